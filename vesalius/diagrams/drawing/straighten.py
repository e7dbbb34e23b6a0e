"""Fewer bends: slide runs of straight string until they are level with their neighbours.

Graphviz makes the sum of all slants small; a reader minds the number of bends too. A block is
what straight strings hold together; it is shifted, with the blocks that it pushes, where that
lowers the price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from vesalius.diagrams.drawing.layers import Edge, Layers

BEND = 14.0  # the price of a bend, in pixels of slant
GROWTH = 0.5  # the price of a pixel by which the picture grows
ROUNDS = 8
LARGE = 4000  # items; beyond, only Graphviz is asked
SMALL = 600  # items; up to here a block pushes others out of its way
PUSHED = 6  # times that it may meet others
MOST = 400  # items that a block may hold
HEAVY = 120  # items; a larger block pushes nobody


def straighten(
    graph: Layers, place: list[float], rooms: Sequence[tuple[float, float]], gap: float
) -> None:
    """Shift blocks of items in `place`; the order within layers stays."""
    if len(graph.items) > LARGE:
        return
    work = _Straightener(graph, place, rooms, gap)
    for _ in range(ROUNDS):
        if not work.round():
            return


class _Straightener:
    def __init__(
        self,
        graph: Layers,
        place: list[float],
        rooms: Sequence[tuple[float, float]],
        gap: float,
    ) -> None:
        self.graph = graph
        self.place = place
        self.rooms = rooms
        self.gap = gap
        self.small = len(graph.items) <= SMALL
        self.before: dict[int, int] = {}
        self.after: dict[int, int] = {}
        for layer in graph.layers:
            for a, b in pairwise(layer):
                self.after[a], self.before[b] = b, a
        self.touching: list[list[int]] = [[] for _ in graph.items]
        for e, edge in enumerate(graph.edges):
            self.touching[edge.a].append(e)
            self.touching[edge.b].append(e)
        self.ends = [(edge.a, edge.b) for edge in graph.edges]
        self.bends = [self.bend(edge) for edge in graph.edges]
        # Of its ends, how many are strings on their way: these stay level, short ones bend.
        way = [(graph.items[a].glyph < 0) + (graph.items[b].glyph < 0) for a, b in self.ends]
        self.long = [count > 0 for count in way]
        self.weights = [1.0 + count for count in way]
        self.prices = [self.price(e, bend) for e, bend in enumerate(self.bends)]
        self.blocks: tuple[dict[int, frozenset[int] | None], ...] = ({}, {})  # until a shift

    def round(self) -> bool:
        """Shift what can be shifted with gain, once for each bend; whether anything was."""
        moved = False
        for e, bend in enumerate(self.bends):
            if bend and any(self.try_shift(*way) for way in self.ways(e)):
                moved = True
        return moved

    def ways(self, e: int) -> Iterator[tuple[int, int, float, bool]]:
        """The ways to make an edge level: one of its ends moves, with all or with long strings."""
        edge, bend = self.graph.edges[e], self.bends[e]
        for long in (False, True):
            yield edge.a, e, bend, long
            yield edge.b, e, -bend, long

    def try_shift(self, start: int, e: int, shift: float, long: bool) -> bool:
        """Shift the block of an item, without edge e, if that is worth it."""
        block = self.pushed(start, e, shift, long)
        if block is None or self.gain(block, shift) <= 1e-6:
            return False
        for k in block:
            self.place[k] += shift
        for known in self.blocks:
            known.clear()
        for f in {f for k in block for f in self.touching[k]}:
            self.bends[f] = self.bend(self.graph.edges[f])
            self.prices[f] = self.price(f, self.bends[f])
        return True

    def bend(self, edge: Edge) -> float:
        a, b = self.graph.items[edge.a], self.graph.items[edge.b]
        start = self.place[edge.a] + (a.outs[edge.out] if edge.out >= 0 else 0.0)
        end = self.place[edge.b] + (b.ins[edge.into] if edge.into >= 0 else 0.0)
        return end - start

    def pushed(self, start: int, without: int, shift: float, long: bool) -> set[int] | None:
        """The block of an item with all that it pushes; None when it pushes itself, or too much."""
        found = self.block(start, long)
        block = None if found is None else set(found)
        a, b = self.ends[without]
        for _ in range(PUSHED if self.small else 1):
            if block is None or (a in block and b in block):
                return None
            way = self.in_the_way(block, shift)
            if not way:
                return block
            for k in way:
                more = self.block(k, long)
                if more is None or len(block) > HEAVY:
                    return None
                block |= more
        return None

    def block(self, start: int, long: bool) -> frozenset[int] | None:
        """What straight strings (or only the long ones) tie to an item; None when too much."""
        known = self.blocks[long]
        if start not in known:
            found, stack = {start}, [start]
            while stack and len(found) <= MOST:
                for e in self.touching[stack.pop()]:
                    if not self.bends[e] and (not long or self.long[e]):
                        new = {*self.ends[e]} - found
                        found |= new
                        stack += new
            known.update(dict.fromkeys(found, frozenset(found) if len(found) <= MOST else None))
        return known[start]

    def in_the_way(self, block: set[int], shift: float) -> list[int]:
        """The neighbours that a block would come too near to when it is shifted."""
        found = []
        for k in sorted(block):
            other = self.after.get(k) if shift > 0 else self.before.get(k)
            if other is None or other in block:
                continue
            first, second = (k, other) if shift > 0 else (other, k)
            ahead = self.place[second] - self.place[first] - abs(shift)
            if ahead < self.least(first, second) - 1e-6:
                found.append(other)
        return found

    def least(self, a: int, b: int) -> float:
        """The least distance of neighbours a, b."""
        items, rooms = self.graph.items, self.rooms
        return items[a].hi + rooms[a][1] + self.gap + rooms[b][0] - items[b].lo

    def gain(self, block: set[int], shift: float) -> float:
        """What a shift saves in bends and costs in height."""
        gain = 0.0
        for k in block:
            for e in self.touching[k]:
                a, b = self.ends[e]
                if (a in block) == (b in block):
                    continue
                then = self.bends[e] - shift if a in block else self.bends[e] + shift
                gain += self.prices[e] - self.price(e, then)
        return gain - GROWTH * self.growth(block, shift) if gain > 0 and self.small else gain

    def growth(self, block: set[int], shift: float) -> float:
        """By how much the picture grows across the flow; negative when it shrinks."""
        now = [self.extent(k, 0.0) for k in range(len(self.place))]
        then = [self.extent(k, shift if k in block else 0.0) for k in range(len(self.place))]
        return _span(then) - _span(now)

    def extent(self, k: int, shift: float) -> tuple[float, float]:
        item, (before, after) = self.graph.items[k], self.rooms[k]
        at = self.place[k] + shift
        return at + item.lo - before, at + item.hi + after

    def price(self, e: int, bend: float) -> float:
        return self.weights[e] * (BEND + min(abs(bend), 200.0)) if bend else 0.0


def _span(extents: Sequence[tuple[float, float]]) -> float:
    return max(hi for _, hi in extents) - min(lo for lo, _ in extents)
