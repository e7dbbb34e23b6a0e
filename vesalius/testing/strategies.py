"""Strategies for diagrams and for the programs that make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType, TypeLike
from vesalius.testing import arithmetic, indexing, nested, shape, sources  # noqa: F401
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
    return _programs(_Asked.read(max_boxes, kinds, inputs, outputs, exact, min_boxes))


class _Asked(NamedTuple):
    """What is asked of a program, checked."""

    least: int
    most: int
    kinds: frozenset[str]
    inputs: dict[str, ArrayType] | None
    outputs: list[ArrayType] | None
    exact: str | None

    @classmethod
    def read(
        cls,
        most: int,
        kinds: Collection[str] | None,
        inputs: Sequence[TypeLike] | Mapping[str, TypeLike] | None,
        outputs: Sequence[TypeLike] | None,
        exact: str | None,
        least: int,
    ) -> _Asked:
        if exact not in EXACT:
            raise FormatError(f"exact is 'rational' or 'field', not {exact!r}")
        allowed = frozenset(KINDS if kinds is None else kinds)
        unknown = allowed - set(KINDS) - set(OPTIONAL)
        if unknown:
            raise FormatError(f"no box of the kind {min(unknown)!r} is drawn, only {KINDS}")
        if inputs is not None and not isinstance(inputs, Mapping):
            inputs = _numbered(inputs)
        return cls(
            min(least, most),
            most,
            allowed,
            None if inputs is None else {n: ArrayType.parse(t) for n, t in inputs.items()},
            None if outputs is None else [ArrayType.parse(type_) for type_ in outputs],
            exact,
        )


def _numbered(types: Sequence[Any]) -> dict[str, Any]:
    return {f"x{k}" if k else "x": type_ for k, type_ in enumerate(types)}


def _drawer(draw: st.DrawFn, asked: _Asked) -> Drawer:
    """What has drawn its steps, and is ready to say where they lead."""
    types = asked.inputs if asked.inputs is not None else draw(_INPUTS)
    known = [Known.of(type_) for type_ in types.values()]
    drawer = Drawer(draw, types, known, asked.kinds, asked.exact)
    drawer.boxes(asked.least, asked.most)
    return drawer


@st.composite
def _programs(draw: st.DrawFn, asked: _Asked) -> Program:
    return _drawer(draw, asked).program("drawn", asked.outputs)


@st.composite
def _diagrams(draw: st.DrawFn, asked: _Asked) -> Diagram:
    return _drawer(draw, asked).diagram(asked.outputs)


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
    plain = _diagrams(_Asked.read(max_boxes, kinds, inputs, outputs, exact, min_boxes))
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
    return _numbered([first, *more])


_FIRST = array_types()
_MORE = st.lists(array_types(dtypes=("float", "int", "bool"), max_rank=2), max_size=2)
_INPUTS = _inputs()
