"""Strategies for sizes, array types and tubes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from hypothesis import strategies as st

from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import DTYPES, ArrayType

VARIABLES = ("n", "m", "k")
AXES = ("a", "b", "c", "d", "e", "f", "g", "h")


@lru_cache(maxsize=64)
def sizes(variables: Sequence[str] = VARIABLES, largest: int = 4) -> st.SearchStrategy[Size]:
    """Sizes of axes: variables, numbers from 1 to `largest`, products and sums of these.

    Shrinks towards the first variable.
    """
    plain = [*variables, *range(1, largest + 1)]
    composite = [f"{2 + (i > 0)}*{v}" for i, v in enumerate(variables)]
    composite += [f"{v}+1" for v in variables[:1]]
    composite += [f"{v}*{w}" for v, w in pairwise(variables)]
    # Plain sizes meet often, so that axes can be joined: they are drawn more often.
    return st.sampled_from([size(x) for x in [*plain, *plain, *plain, *composite]])


def array_types(
    max_rank: int = 3,
    dtypes: Sequence[str] = ("float",),
    axes: Sequence[str] = AXES,
    sizes: st.SearchStrategy[Size] | None = None,
) -> st.SearchStrategy[ArrayType]:
    """Array types of at most `max_rank` axes, with names from `axes` in any order."""
    names = st.lists(st.sampled_from(list(axes)), max_size=max_rank, unique=True)
    kinds = st.sampled_from([dtype for dtype in DTYPES if dtype in dtypes])
    return _array_types(names, sizes if sizes is not None else _sizes(), kinds)


@st.composite
def _array_types(
    draw: st.DrawFn,
    names: st.SearchStrategy[list[str]],
    lengths: st.SearchStrategy[Size],
    dtypes: st.SearchStrategy[str],
) -> ArrayType:
    return ArrayType({name: draw(lengths) for name in draw(names)}, draw(dtypes))


def tubes(max_axes: int = 2) -> st.SearchStrategy[str]:
    """Axes for `Diagram.over`, such as `"t0 t1:2"`; their names occur in no drawn diagram."""
    length = st.sampled_from(["", ":2", ":1", ":n", ":3"])
    return st.lists(length, min_size=1, max_size=max_axes).map(
        lambda lengths: " ".join(f"t{i}{length}" for i, length in enumerate(lengths))
    )


def _sizes() -> st.SearchStrategy[Size]:
    return sizes()
