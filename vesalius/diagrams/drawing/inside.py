"""Which axes a diagram is merely mapped over, from its inputs to its outputs.

A named box binds, formally, every axis that its body declares. But a feed-forward network in
a box is mapped over the positions, and attention in a box is not: the body says which.
"""

from __future__ import annotations

from vesalius.diagrams.box import Box
from vesalius.diagrams.graph import Diagram

Place = tuple[int, int]  # an input or output, and one of its axes in the interface's order


def mapped(body: Diagram) -> dict[Place, list[Place]]:
    """For each axis of an input that no box of the body binds, the same axis of outputs."""
    cached: dict[Place, list[Place]] | None = body.__dict__.get("_mapped")
    if cached is None:
        cached = body.__dict__["_mapped"] = _mapped(body)
    return cached


def _mapped(body: Diagram) -> dict[Place, list[Place]]:
    parent: list[int] = []
    first: list[int] = []  # of each wire: its first slot
    bound: set[int] = set()

    def find(a: int) -> int:
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        return a

    for wire_type in body.types:
        first.append(len(parent))
        parent.extend(range(len(parent), len(parent) + len(wire_type.sizes)))

    def slot(wire: int, s: int) -> int:
        return find(first[wire] + s)

    for node in body.nodes:
        box = node.box
        here: list[set[int]] = [set() for _ in range(box.rank)]
        for wires, rows in ((node.src, box.maps), (node.wires, box.outs)):
            for wire, row in zip(wires, rows, strict=True):
                for s, axis in enumerate(row):
                    here[axis].add(slot(wire, s))
        joined: set[int] = set()
        if box.kind.name == "named":
            for a, b in joined_axes(box):
                joined.add(a)
                here[a] |= here[b]
        for axis, slots in enumerate(here):
            ordered = sorted(slots)
            for a in ordered[1:]:
                parent[find(a)] = find(ordered[0])
            if axis in box.bound and axis not in joined and ordered:
                bound.add(ordered[0])
        # Two axes of one box that are one axis: the box is not a map over it.
        roots = [find(min(slots)) for axis, slots in enumerate(here) if slots and axis < box.inner]
        bound |= {root for root in roots if roots.count(root) > 1}
    taken = {find(a) for a in bound}
    found: dict[Place, list[Place]] = {}
    for p, port in enumerate(body.inputs):
        for j, s in enumerate(port.slots):
            root = slot(port.wire, s)
            if root not in taken:
                found[p, j] = [
                    (o, i)
                    for o, out in enumerate(body.outputs)
                    for i, t in enumerate(out.slots)
                    if slot(out.wire, t) == root
                ]
    return found


def joined_axes(box: Box) -> list[tuple[int, int]]:
    """Pairs of local axes of a named box that are one axis: bound before, new behind."""
    body: Diagram = box["body"]
    before: dict[Place, int] = {}
    for p, row in enumerate(box.maps):
        own = [a for a in box.bound if a in row]
        before.update({(p, j): axis for j, axis in enumerate(own)})
    behind: dict[Place, int] = {}
    at = box.inner
    for o, port in enumerate(body.outputs):
        for i in range(len(port.axes)):
            behind[o, i] = at
            at += 1
    return [
        (before[place], behind[result])
        for place, results in mapped(body).items()
        for result in results
        if place in before
    ]
