"""Names: those that are free, and those that were meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from vesalius.diagrams.errors import SizeError

if TYPE_CHECKING:
    from vesalius.diagrams.graph import Diagram

T = TypeVar("T")

LISTED = 12  # so many names are read; of more, only those that are near


def among(what: str, known: Collection[str], name: object) -> str:
    """What is said of a choice that there is not: those there are, and the one that is near it.

    >>> among("theme", ["light", "dark"], "drak")
    "theme is one of light, dark, not 'drak'; did you mean 'dark'?"
    """
    near = nearest(name, known)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"{what} is one of {', '.join(known)}, not {name!r}{hint}"


def nearest(name: object, known: Collection[str]) -> str:
    """The one of these names that is near this one, or the empty string."""
    return next(iter(difflib.get_close_matches(str(name), known, n=1)), "")


def meant(name: object, known: Collection[str]) -> str:
    """What is said of a name that is not known: the one that is near it, or those there are.

    >>> meant("lineer", ["linear", "cosine"]), meant("x", ["linear", "cosine"])
    ("did you mean 'linear'?", 'there are linear, cosine')
    """
    near = nearest(name, known)
    if near:
        return f"did you mean {near!r}?"
    listed = ", ".join(list(known)[:LISTED])
    return f"there are {listed or 'none'}" + (", …" if len(known) > LISTED else "")


def check_sizes(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise `SizeError` for a size that `what` does not have."""
    for name in given:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}? " if near else ""
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise SizeError(f"{what} has no size {name!r}; {hint}{there}")


def sizes_of(diagram: Diagram, sizes: Mapping[str, T]) -> dict[str, T]:
    """Those of these sizes that a diagram has."""
    return {name: value for name, value in sizes.items() if name in diagram.size_variables}


def fresh_name(name: str, taken: Container[str]) -> str:
    """`name` when it is free, else its stem with a number that is.

    It is the smallest where the numbers that are taken have no gap.

    >>> fresh_name("w", {"w", "w_1"})
    'w_2'
    """
    if name not in taken:
        return name
    head, _, tail = name.rpartition("_")
    stem = head if head and tail.isdigit() else name
    high = 1
    while f"{stem}_{high}" in taken:
        high *= 2
    low = high // 2  # taken, or 0: so a thousand of one name are numbered in a moment
    while high - low > 1:
        middle = (low + high) // 2
        if f"{stem}_{middle}" in taken:
            low = middle
        else:
            high = middle
    return f"{stem}_{high}"
