"""Boxes that users declare, without touching the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Pullback, Site, declare
from vesalius.diagrams.errors import AxisError, FormatError, Outside
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType


class OwnBox:
    """A box of a user's own; call it on wires. Made by `vs.box`.

    `axes` are the axes that it binds, in the order of its boxes; `torch` is what it does.
    """

    def __init__(
        self,
        kind: Kind,
        inputs: list[ArrayType],
        outputs: list[ArrayType],
        axes: list[str],
        torch: Callable[..., Any],
    ) -> None:
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.axes = axes
        self.torch = torch

    def __repr__(self) -> str:
        return f"<box {self.kind.name}: {self.kind.formula}>"

    def __call__(self, *wires: Any, **axes: str) -> Any:
        """Apply to wires; `axes` says which axis of the wires a declared axis is.

        Returns a wire, or a tuple of wires when the box has several outputs. Axes that the
        box does not declare are tubes.
        """
        from vesalius.diagrams.verbs import place_own

        return place_own(self, wires, axes)


OWN: dict[str, OwnBox] = {}  # by name of the kind


def box(
    name: str,
    signature: str,
    torch: Callable[..., Any],
    *,
    exact: Callable[..., Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    look: str = "",
    derivative: str = "as torch differentiates it",
    pullback: Pullback | None = None,
    summary: str = "",
) -> OwnBox:
    """Declare a box: `vs.box("cumsum", "n -> n", lambda x: x.cumsum(-1), cost={"add": "n"})`.

    `signature` lists the axes that each input and output binds. `torch` gets tensors whose
    last dimensions are those axes in the order written, after common leading dimensions for
    the tubes, and returns a tensor (or a tuple) of the same form. `exact` does the same on
    numpy arrays of exact numbers; without it the exact algebras refuse the box. `cost` gives
    operations per tube as sizes in the names of the axes. `pullback` gives `vs.grad` its
    derivative on wires (`vesalius.diagrams.derivative`); compiled modules do without.
    """
    left, arrow, right = signature.partition("->")
    if not arrow:
        raise FormatError(f"a signature is written 'n c, m c -> n m', not {signature!r}")
    inputs = [ArrayType.parse(part) for part in left.split(",")]
    outputs = [ArrayType.parse(part) for part in right.split(",")]
    known = {axis for one in inputs for axis in one.axes}
    for one in outputs:
        for axis, size in one.axes.items():
            if not size.variables <= known:
                raise AxisError(f"box {name!r}: no input says how long {axis!r} is")
    for one in inputs:
        for axis, size in one.axes.items():
            if size.variable != axis:
                raise FormatError(f"box {name!r}: the input axis {axis!r} takes no formula")
    names = sorted(known, key=[a for one in inputs for a in one.axes].index)
    charged = {key: ArrayType({"x": value}).axes["x"] for key, value in (cost or {}).items()}

    def outs(box_: Box) -> tuple[Axes, ...]:
        slots, at = [], box_.inner
        for one in outputs:
            slots.append((*box_.tubes, *range(at, at + len(one))))
            at += len(one)
        return tuple(slots)

    def meaning(algebra: Any, site: Site, wires: list[Any]) -> list[Any]:
        apply = torch if algebra.name == "torch" else exact
        if apply is None:
            raise Outside(f"the box {name!r} declares no exact form")
        tubes = list(site.box.tubes)
        axis = dict(zip(names, site.box.bound, strict=True))
        arranged = []
        for x, row, one in zip(wires, site.box.maps, inputs, strict=True):
            order = [*tubes, *(axis[a] for a in one.axes)]
            shape = [site.sizes[a] for a in order]
            arranged.append(algebra.broadcast(algebra.align(x, row, order), shape))
        results = algebra.call(apply, arranged)
        return list(results) if isinstance(results, (tuple, list)) else [results]

    def operations(site: Site) -> Mapping[str, Size]:
        sizes = dict(zip(names, site.bound_sizes, strict=True))
        rest = Size({(): 1})
        for a in site.box.tubes:
            rest = rest * site.sizes[a]
        return {key: value.substitute(sizes) * rest for key, value in charged.items()}

    def dtypes(box_: Box, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.dtype for one in outputs)

    kind = Kind(
        name=name,
        summary=summary or f"a box of the user's: {signature.strip()}",
        formula=signature.strip(),
        meaning=meaning,
        outs=outs,
        dtypes=dtypes,
        cost=operations,
        look=Look("box", look or name),
        derivative=derivative,
        pullback=pullback,
        refusals={} if exact else dict.fromkeys(("rational", "field", "sympy"), "no exact form"),
    )
    own = OWN[name] = OwnBox(declare(kind), inputs, outputs, names, torch)
    return own
