"""The second half of matching: where the axes go, and what runs through a match as a tube.

Every local axis of a pattern's box goes to a local axis of the host's box, injectively, so that
axes that are one along a wire are one there too. Exactness with respect to declared axes: an axis
of the pattern is at a port exactly when its image is. All other host axes are *tubes*: a tube is
found by joining, along the wires inside the match, the local axes that meet; it must run through
no image, meet no box twice and be bound or made by none.

All this depends only on the boxes and on which wires coincide, so it is solved once for each
*shape* of a match, of which there are few: boxes are interned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.assign import Assignment
from vesalius.rewrite.pattern import Pattern
from vesalius.rewrite.spread import Place, Rows, edges, spread

TURNS = 720  # how many readings of symmetric wires are tried for one match

Label = Any  # an int for a slot of the pattern's interface, a Place for the tube through it


class End(NamedTuple):
    """One place at which a variable of the pattern stands: a host port, labels of its slots."""

    node: int
    port: int
    labels: tuple[Label, ...]


class Shape:
    """How the axes of a match go, for all matches of the same boxes.

    `ends[k]` are the places from which variable k is read (one, or one for each operand of a
    `many`), `outputs[j]` the place of output j: a pattern node, which output of it, labels. The
    node -1 - k stands for variable k itself.
    """

    __slots__ = ("axes", "ends", "kept", "outputs")

    def __init__(
        self,
        axes: Mapping[Place, int],
        ends: tuple[tuple[End, ...], ...],
        outputs: tuple[End, ...],
    ) -> None:
        self.axes = axes
        self.ends = ends
        self.outputs = outputs
        self.kept: dict[Any, Any] = {}  # what is found out for this shape at certain sizes


def shapes(pattern: Pattern, host: Diagram, state: Assignment) -> list[Shape]:
    """All ways in which the axes of an assignment go; mostly one, or none."""
    found: dict[Any, Shape] = {}
    for rows in _readings(host, state):
        for shape in _Solver(pattern, host, state, rows).solve():
            found.setdefault((shape.ends, shape.outputs), shape)
    return list(found.values())


def _readings(host: Diagram, state: Assignment) -> Iterator[dict[tuple[int, int], Axes]]:
    """For each (pattern node, host port) the local axes of its slots; symmetric wires may turn."""
    plain: dict[tuple[int, int], Axes] = {}
    turned: dict[tuple[int, int], list[Axes]] = {}
    for (node, _), chosen in state.ports.items():
        theirs = host.nodes[state.nodes[node]]
        for q in chosen:
            row = theirs.box.maps[q]
            plain[node, q] = row
            turns = host.symmetries.get(theirs.src[q])
            if turns:
                turned[node, q] = [row, *(tuple([row[i] for i in turn]) for turn in turns)]
    if not turned:
        yield plain
        return
    for rows in islice(product(*turned.values()), TURNS):
        yield {**plain, **dict(zip(turned, rows, strict=True))}


class _Solver:
    def __init__(
        self,
        pattern: Pattern,
        host: Diagram,
        state: Assignment,
        rows: Rows,
    ) -> None:
        self.pattern = pattern
        self.left = pattern.left
        self.state = state
        self.rows = rows
        self.boxes = {node: host.nodes[k].box for node, k in state.nodes.items()}
        self.host = host
        self.edges = list(edges(pattern, host, state, rows))

    def solve(self) -> Iterator[Shape]:
        for axes in self._axes(dict(self.state.axes)):
            shape = self._shape(axes)
            if shape is not None:
                yield shape

    def _axes(self, axes: dict[Place, int]) -> Iterator[dict[Place, int]]:
        """Send every local axis of the pattern to the host; guess only what nothing tells."""
        known = spread(self.edges, axes)
        if known is None:
            return
        for node, theirs in self.boxes.items():
            for axis in range(self.left.nodes[node].box.rank):
                if (node, axis) not in known:
                    taken = {b for (k, _), b in known.items() if k == node}
                    for guess in theirs.tubes:
                        if guess not in taken:
                            yield from self._axes({**known, (node, axis): guess})
                    return
        yield known

    def _shape(self, axes: Mapping[Place, int]) -> Shape | None:
        """The shape, or None where a declared axis or a tube does not fit."""
        for (node, axis), image in axes.items():
            ours, theirs = self.left.nodes[node].box, self.boxes[node]
            if (image in theirs.bound) != (axis in ours.bound):
                return None
            if (image >= theirs.inner) != (axis >= ours.inner):
                return None
        if not self._exact(axes):
            return None
        tubes = _Tubes(self, axes)
        if not tubes.sound():
            return None
        ends = tubes.ends()
        return None if ends is None else Shape(axes, ends, tubes.outputs())

    def _exact(self, axes: Mapping[Place, int]) -> bool:
        """A declared axis is at a port exactly when its image is."""
        for node in self.boxes:
            ours = self.left.nodes[node].box
            image = [axes[node, a] for a in range(ours.inner)]
            declared = set(image)
            for p, row in enumerate(ours.maps):
                wanted = {image[a] for a in row}
                for q in self.state.ports[node, p]:
                    if set(self.rows[node, q]) & declared != wanted:
                        return False
        return True


class _Tubes:
    """The tubes of a match: host axes that are no image, joined along the wires inside."""

    def __init__(self, solver: _Solver, axes: Mapping[Place, int]) -> None:
        self.solver = solver
        self.left, self.pattern = solver.left, solver.pattern
        self.axes = axes
        self.images: dict[int, set[int]] = {node: set() for node in solver.boxes}
        for (node, _), image in axes.items():
            self.images[node].add(image)
        self.parent: dict[Place, Place] = {}
        for wire, row, node, other in solver.edges:
            declared = {axes[node, a] for a in row}
            for slot, axis in enumerate(other):
                if axis not in declared:
                    self._join((node, axis), (-1 - wire, slot))

    def _find(self, item: Place) -> Place:
        while self.parent.get(item, item) != item:
            item = self.parent[item]
        return item

    def _join(self, one: Place, other: Place) -> None:
        a, b = self._find(one), self._find(other)
        if a != b:
            self.parent[max(a, b)] = min(a, b)

    def sound(self) -> bool:
        """No tube runs through an image, and none through two axes of one box."""
        for node, box in self.solver.boxes.items():
            seen = set()
            for axis in range(box.rank):
                if axis in self.images[node]:
                    continue
                found = self._find((node, axis))
                if axis in box.bound or axis >= box.inner or found in seen:
                    return False
                seen.add(found)
        return True

    def ends(self) -> tuple[tuple[End, ...], ...] | None:
        """The places of each variable; None when two places disagree about one."""
        solver, pattern = self.solver, self.pattern
        found: list[tuple[End, ...]] = [() for _ in pattern.variables]
        seen: dict[int, list[tuple[int, tuple[Label, ...]]]] = {}
        for node in solver.boxes:
            ours = self.left.nodes[node]
            theirs = solver.host.nodes[solver.state.nodes[node]]
            for p, wire in enumerate(ours.src):
                end = pattern.ends.get(wire)
                if end is None:
                    continue
                place = {self.axes[node, a]: s for s, a in enumerate(ours.box.maps[p])}
                places = []
                uses = []
                for q in solver.state.ports[node, p]:
                    row = solver.rows[node, q]
                    labels = tuple([place.get(b, self._find((node, b))) for b in row])
                    places.append(End(node, q, labels))
                    uses.append((theirs.src[q], labels))
                known = seen.setdefault(end, uses)
                if known is uses:
                    found[end] = tuple(places)
                elif pattern.variables[end].many:
                    if Counter(known) != Counter(uses):
                        return None
                elif known != uses:
                    return None
        return tuple(found)

    def outputs(self) -> tuple[End, ...]:
        """For each output of the rule: pattern node, output of its box, labels."""
        found = []
        for port in self.left.outputs:
            k = self.left.owner[port.wire]
            ours = self.left.nodes[k]
            if port.wire in self.pattern.ends:
                found.append(End(-1 - self.pattern.ends[port.wire], 0, port.slots))
                continue
            offset = port.wire - ours.first
            row, other = ours.box.outs[offset], self.solver.boxes[k].outs[offset]
            place = {self.axes[k, row[slot]]: i for i, slot in enumerate(port.slots)}
            labels = tuple([place.get(b, self._find((k, b))) for b in other])
            found.append(End(k, offset, labels))
        return tuple(found)
