"""Optimising a mechanism: the search of `vesalius.rewrite.search`, told to people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import size
from vesalius.rewrite.search import Found, search

COSTS = ("flops", "bytes_moved", "peak_bytes")


# Where nothing else is said, there are as many keys as queries, and values are as wide as keys.
LIKE = {"m": "n", "e": "c"}


def completed(
    diagram: Diagram, at: Mapping[str, int], implied: Mapping[str, str]
) -> dict[str, int]:
    """The sizes given and those that follow: by what a mechanism implies, m = n and e = c.

    Raises `SizeError` when some size has no value yet.
    """
    sizes = dict(at)
    for name, formula in [*implied.items(), *LIKE.items()]:
        value = size(formula)
        if name in diagram.size_variables and name not in sizes and value.variables <= set(sizes):
            sizes[name] = value.at(sizes)
    missing = [name for name in diagram.size_variables if name not in sizes]
    if missing:
        wanted = ",".join(f"{name}=..." for name in missing)
        raise SizeError(f"{diagram.name} has more sizes: add {wanted} to --at")
    return sizes


def optimise(
    diagram: Diagram,
    at: Mapping[str, int],
    cost: str | Mapping[str, float] = "flops",
    **options: Any,
) -> Found:
    """The cheapest diagram that the equal rules of the library lead to, at these sizes."""
    return search(diagram, cost=cost, at=at, **options)


def costs(found: Found, at: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """FLOPs, bytes moved and peak memory, before and after."""
    before, after = (one.cost().given(at) for one in (found.start, found.end))
    return {name: (getattr(before, name), getattr(after, name)) for name in COSTS}


def told(found: Found, at: Mapping[str, int]) -> str:
    """What was found, as text: costs before and after, the derivation, the diagram."""
    rows = [
        (name.replace("_", " "), f"{one:,}", f"{other:,}")
        for name, (one, other) in costs(found, at).items()
    ]
    rows.insert(0, ("", "before", "after"))
    sizes = ", ".join(f"{name} = {value}" for name, value in at.items())
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    table = [f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in rows]
    if not len(found):
        return "\n".join([f"at {sizes}", *table, "", str(found)])
    return "\n".join([f"at {sizes}", *table, "", str(found), "", str(found.end)])


def as_json(found: Found, at: Mapping[str, int]) -> dict[str, Any]:
    """What was found, in JSON's types."""
    return {
        "sizes": dict(at),
        "cost": found.cost,
        "before": found.before,
        "after": found.after,
        "costs": {
            name: {"before": one, "after": other} for name, (one, other) in costs(found, at).items()
        },
        "proved": found.proved,
        "whole": found.whole,
        "checked": None if found.verdict is None else found.verdict.mark,
        "statistics": None if found.statistics is None else asdict(found.statistics),
        "steps": [{"name": step.name, "grade": step.grade.name} for step in found],
        "diagram": str(found.end),
    }
