"""Names that are free."""

from __future__ import annotations

from collections.abc import Container


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
