"""`torch.cumsum`: a sum of all that comes no later, or of all that comes before."""

from __future__ import annotations

import vesalius.diagrams.verbs as vs
from vesalius.compile.causal import read_causal, uses_of
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.layout import Order
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply, method
from vesalius.compile.views import permuted
from vesalius.diagrams.box import Box
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram

BEFORE = "before"


def define(variant: str) -> Diagram:
    """Σ_{m ≤ n} x[m], or Σ_{m < n} x[m] "before"."""
    builder = Builder("cumulative_sum")
    x = builder.input("x", "m")
    with builder:
        m, n = vs.iota("m"), vs.iota("n:m")
        shown = m < n if variant == BEFORE else m <= n
        return builder.diagram(total=vs.sum(vs.where(shown, x, 0.0), "m"))


def find(place: Place) -> Found | str:
    """A causal sum that weighs all that it adds alike."""
    found = read_causal(place, place.use)
    if isinstance(found, str) or found.lengths[0] != found.lengths[1]:
        return ""
    if found.queries or found.keys or found.levels or found.references or found.mean:
        return ""
    right = place.right(use for use in uses_of(found) if not place.is_number(use))
    factors = [right.copied(use) for use in found.values]
    for condition in found.conditions:
        shown = right.copied(condition.use)
        shown = shown if condition.truth else right.apply("logical_not", shown)
        factors.append(right.apply("to_float", shown))
    x = right.expand(right.contract(factors), {found.key: found.lengths[1]})
    x = right.apply("to_float", x) if right.dtype(x) == "int" else x
    result = CUMULATIVE.box(right, [(x, {"m": found.key})], {"n": found.query})
    rest = [right.copied(use) for use in found.rest]
    over = [y for y in found.bound if y in result[1] or any(y in f[1] for f in rest)]
    return right.found(right.contract([result, *rest], over), "a running sum")


def emit(here: Here, variant: str) -> list[Term]:
    """`x.cumsum(dim)`, or `sums_before(x, dim)`."""
    x = here.operand(0)
    (axis,) = here.box.bound
    made = tuple(here.box.inner if a == axis else a for a in x.axes)
    place = str(x.axes.index(axis))
    if variant == BEFORE:
        term = apply(here.scope.program.helper("sums_before"), x.term, place, heavy=True)
    else:
        term = method(x.term, f"cumsum({place})", heavy=True)
    return [permuted(term, made, here.out())]


def work(call: Call) -> list[Work]:
    """An addition for each entry."""
    (length,) = call.lengths(0)
    return [Work(simple=float(call.tubes * length), moved=call.moved, fresh=call.fresh)]


def _gives(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [tuple(box.inner if a in box.bound else a for a in have[0])]


def _asks(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return [tuple(box.bound[0] if a == box.inner else a for a in target[0])]


CUMULATIVE = kernel(
    Kernel(
        name="cumulative_sum",
        summary="Σ_{m ≤ n} x[m], or Σ_{m < n} x[m]",
        define=define,
        root="contract",
        find=find,
        emit=emit,
        layout=(_gives, _asks),
        work=work,
    )
)
