"""Names that are free."""

from __future__ import annotations

from collections.abc import Container


def fresh_name(name: str, taken: Container[str]) -> str:
    """`name` when it is free, else its stem with the smallest number that is."""
    if name not in taken:
        return name
    head, _, tail = name.rpartition("_")
    stem = head if head and tail.isdigit() else name
    k = 1
    while f"{stem}_{k}" in taken:
        k += 1
    return f"{stem}_{k}"
