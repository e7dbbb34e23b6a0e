"""`torch.linalg.vector_norm`: the length of a vector in one pass, without its squares in memory."""

from __future__ import annotations

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Kernel, kernel
from vesalius.compile.layout import Order
from vesalius.compile.roofline import fused
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply
from vesalius.compile.views import dim, permuted
from vesalius.diagrams.box import Box
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram


def define(variant: str) -> Diagram:
    """√(Σ_c x·x); there are no variants."""
    builder = Builder("vector_norm")
    x = builder.input("x", "c")
    return builder.diagram(length=vs.sqrt(vs.contract(x, x, over="c")))


def emit(here: Here, variant: str) -> list[Term]:
    """`torch.linalg.vector_norm(x, dim=-1)`, wherever the axis stands."""
    x = here.operand(0)
    (axis,) = here.box.bound
    left = tuple(a for a in x.axes if a != axis)
    term = apply("torch.linalg.vector_norm", x.term, f"dim={dim(x.axes, axis)}", heavy=True)
    return [permuted(term, left, here.out())]


def _gives(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [tuple(a for a in have[0] if a not in box.bound)]


def _asks(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return [(*target[0], *box.bound)]


NORM = kernel(
    Kernel(
        name="vector_norm",
        summary="√(Σ_c x·x)",
        define=define,
        emit=emit,
        layout=(_gives, _asks),
        work=fused,
    )
)
