"""Strategies for diagrams and for the programs that make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType, TypeLike
from vesalius.testing.drawing import KINDS, OPTIONAL, Drawer, Known
from vesalius.testing.programs import Program
from vesalius.testing.types import array_types, tubes

__all__ = ["KINDS", "diagrams", "programs"]

EXACT = (None, "rational", "field")


def programs(
    max_boxes: int = 8,
    kinds: Collection[str] | None = None,
    inputs: Sequence[TypeLike] | Mapping[str, TypeLike] | None = None,
    outputs: Sequence[TypeLike] | None = None,
    exact: str | None = None,
    min_boxes: int = 0,
) -> st.SearchStrategy[Program]:
    """Well-typed programs, which build diagrams; see `diagrams` for what may be asked."""
    wanted = _types(outputs)
    drawers = _drawers(max_boxes, kinds, inputs, exact, min_boxes)
    return drawers.map(lambda drawer: drawer.program("drawn", wanted))


def _types(types: Sequence[TypeLike] | None) -> list[ArrayType] | None:
    return None if types is None else [ArrayType.parse(type_) for type_ in types]


def _drawers(
    max_boxes: int,
    kinds: Collection[str] | None,
    inputs: Sequence[TypeLike] | Mapping[str, TypeLike] | None,
    exact: str | None,
    min_boxes: int,
) -> st.SearchStrategy[Drawer]:
    """What has drawn its steps, and is ready to say where they lead."""
    if exact not in EXACT:
        raise FormatError(f"exact is 'rational' or 'field', not {exact!r}")
    allowed = set(KINDS) if kinds is None else set(kinds)
    unknown = allowed - set(KINDS) - set(OPTIONAL)
    if unknown:
        raise FormatError(f"there is no kind of box {min(unknown)!r} to draw; there are {KINDS}")
    if inputs is not None and not isinstance(inputs, Mapping):
        inputs = {f"x{k}" if k else "x": type_ for k, type_ in enumerate(inputs)}
    fixed = None if inputs is None else {n: ArrayType.parse(t) for n, t in inputs.items()}

    @st.composite
    def drawn(draw: st.DrawFn) -> Drawer:
        types = fixed if fixed is not None else draw(_INPUTS)
        drawer = Drawer(draw, types, [Known.of(t) for t in types.values()], allowed, exact)
        drawer.boxes(min(min_boxes, max_boxes), max_boxes)
        return drawer

    return drawn()


def diagrams(
    max_boxes: int = 8,
    kinds: Collection[str] | None = None,
    inputs: Sequence[TypeLike] | Mapping[str, TypeLike] | None = None,
    outputs: Sequence[TypeLike] | None = None,
    tubes: bool = False,
    exact: str | None = None,
    min_boxes: int = 0,
) -> st.SearchStrategy[Diagram]:
    """Well-typed diagrams of every kind of box, with finite values at modest inputs.

    - `max_boxes`, `min_boxes`: how many boxes are drawn. Boxes that no output needs are
      dropped, so there may be fewer; fixed `outputs` may take a few more.
    - `kinds`: the kinds of boxes to draw from, out of `testing.KINDS`; all of them when None.
      `"learner"` is drawn only when named here: a hole cannot be run.
    - `inputs`, `outputs`: types, such as `["n c", "m c int"]`; drawn when None. Inputs may be
      named: `{"x": "n c"}`.
    - `tubes`: put the diagram in a tube; parameters gain the axes or do not.
    - `exact`: stay inside a fragment that is computed exactly. `"rational"`: no exponentials
      and roots, no zero divided by. `"field"`: no order of floats, and at most one
      exponential on a path.

    Sizes of axes are small numbers and formulas in `n`, `m` and `k`. Evaluated with sizes up
    to 4 and inputs up to 4 in magnitude (`sizes_for`, `inputs_for`) all values stay finite,
    and no result hangs on how a float was rounded: nothing discontinuous reads a rounded
    number.
    """
    wanted = _types(outputs)
    drawers = _drawers(max_boxes, kinds, inputs, exact, min_boxes)
    plain = drawers.map(lambda drawer: drawer.diagram(wanted))
    return plain if not tubes else _in_tubes(plain)


@st.composite
def _in_tubes(draw: st.DrawFn, plain: st.SearchStrategy[Diagram]) -> Diagram:
    diagram = draw(plain)
    options: dict[str, Any] = {
        name: draw(st.booleans()) for name in ("inputs", "parameters", "random")
    }
    return diagram.over(draw(tubes()), **options)


@st.composite
def _inputs(draw: st.DrawFn) -> dict[str, ArrayType]:
    first = draw(_FIRST)
    more = draw(_MORE)
    return {f"x{k}" if k else "x": type_ for k, type_ in enumerate([first, *more])}


_FIRST = array_types()
_MORE = st.lists(array_types(dtypes=("float", "int", "bool"), max_rank=2), max_size=2)
_INPUTS = _inputs()
