"""The shapes that every side builds."""

from __future__ import annotations

from collections.abc import Iterator


def brick_offsets(n: int, wires: int) -> Iterator[int]:
    """The leftmost wire of each of the n two-wire boxes of a brick wall.

    >>> list(brick_offsets(7, 6))
    [0, 2, 4, 1, 3, 0, 2]
    """
    if wires < 3:
        raise ValueError(f"a brick wall needs at least 3 wires, not {wires}")
    left, offset = n, 0
    while left > 0:
        row = range(offset, wires - 1, 2)[:left]
        yield from row
        left, offset = left - len(row), 1 - offset
