"""What some axes of a match say about the others: along a wire, slots are slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from vesalius.diagrams.box import Axes
from vesalius.diagrams.graph import Diagram

if TYPE_CHECKING:
    from vesalius.rewrite.assign import Assignment
    from vesalius.rewrite.pattern import Pattern

Place = tuple[int, int]  # a pattern node and one of its ports, or one of its local axes
Rows = Mapping[Place, Axes]  # for a pattern node and a host port, the local axes of its slots
# A pattern wire, its axes in the pattern's box, the pattern node, its axes in the host's box.
Edge = tuple[int, Axes, int, Axes]


def edges(pattern: Pattern, host: Diagram, state: Assignment, rows: Rows | None) -> Iterator[Edge]:
    """Where wires of the pattern meet its boxes, as far as these are assigned.

    `rows` say how symmetric wires are read; as they are written when None.
    """
    for node, k in state.nodes.items():
        ours, theirs = pattern.left.nodes[node], host.nodes[k].box
        for p, wire in enumerate(ours.src):
            if (node, p) in state.ports and not pattern.many(wire):
                (q,) = state.ports[node, p]
                row = theirs.maps[q] if rows is None else rows[node, q]
                yield wire, ours.box.maps[p], node, row
        for wire, mine, other in zip(ours.wires, ours.box.outs, theirs.outs, strict=True):
            yield wire, mine, node, other


def spread(along: Iterable[Edge], axes: Mapping[Place, int]) -> dict[Place, int] | None:
    """The images of axes that are known, and those that follow; None where they disagree."""
    along, known = list(along), dict(axes)
    slots: dict[Place, int] = {}
    changed = True
    while changed:
        changed = False
        for wire, row, node, other in along:
            for s, axis in enumerate(row):
                image, slot = known.get((node, axis)), slots.get((wire, s))
                if image is not None:
                    if image not in other:
                        return None
                    place = other.index(image)
                    if slot is None:
                        slots[wire, s] = place
                        changed = True
                    elif slot != place:
                        return None
                elif slot is not None:
                    known[node, axis] = other[slot]
                    changed = True
    images = Counter((node, image) for (node, _), image in known.items())
    return None if any(count > 1 for count in images.values()) else known
