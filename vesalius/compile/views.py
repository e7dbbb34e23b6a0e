"""Tensors with their dimensions in another order, or with some of length 1 between, as views."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.compile.layout import is_within
from vesalius.compile.text import (
    Term,
    index,
    kept_dimension,
    method,
)


def permuted(term: Term, have: Sequence[int], want: Sequence[int]) -> Term:
    """A view with its dimensions in another order."""
    if tuple(have) == tuple(want):
        return term
    order = [list(have).index(a) for a in want]
    moved = [d for d, source in enumerate(order) if d != source]
    rank = len(order)
    if len(moved) == 2:
        a, b = moved
        if rank == 2:
            return method(term, "T", cost=0)
        if (a, b) == (rank - 2, rank - 1):
            return method(term, "mT", cost=0)
        return method(term, f"transpose({a}, {b})", cost=0)
    return method(term, f"permute({', '.join(map(str, order))})", cost=0)


def unsqueezed(term: Term, have: Sequence[int], want: Sequence[int]) -> Term:
    """A view with dimensions of length 1 where an axis is missing behind the first one it has."""
    assert is_within(have, want)
    behind = list(want[want.index(have[0]) :]) if have else []
    items = [":" if a in have else "None" for a in behind]
    if "None" not in items:
        return term
    if items.index("None") == len(items) - 1:
        return kept_dimension(term, "..., None" if len(items) > 2 else ":, None")
    while items[-1] == ":":
        items.pop()
    return index(term, ", ".join(items))


def dim(order: Sequence[int], axis: int) -> int:
    """The dimension of an axis; -1 for the last."""
    place = list(order).index(axis)
    return -1 if place == len(order) - 1 else place
