"""Fewer bends: slide runs of straight string until they meet their neighbours.

Graphviz makes the sum of all slants small; a reader minds the number of bends too. A block is
what straight strings hold together; it is shifted where that lowers the price and stays clear
of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from vesalius.diagrams.drawing.layers import Edge, Layers

BEND = 14.0  # the price of a bend, in pixels of slant
ROUNDS = 8
LARGE = 4000  # items; beyond, only Graphviz is asked


def straighten(
    graph: Layers, place: list[float], rooms: Sequence[tuple[float, float]], gap: float
) -> None:
    """Shift blocks of items in `place`; the order within layers stays."""
    if len(graph.items) > LARGE:
        return
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    for layer in graph.layers:
        for a, b in pairwise(layer):
            after[a], before[b] = b, a
    touching: list[list[int]] = [[] for _ in graph.items]
    for e, edge in enumerate(graph.edges):
        touching[edge.a].append(e)
        touching[edge.b].append(e)
    bends = [_bend(graph, edge, place) for edge in graph.edges]

    def least(a: int, b: int) -> float:
        """The least distance of neighbours a, b."""
        return graph.items[a].hi + rooms[a][1] + gap + rooms[b][0] - graph.items[b].lo

    for _ in range(ROUNDS):
        moved = False
        for e, edge in enumerate(graph.edges):
            if not bends[e]:
                continue
            for start, shift, long in (
                (edge.a, bends[e], False),
                (edge.b, -bends[e], False),
                (edge.a, bends[e], True),
                (edge.b, -bends[e], True),
            ):
                block = _block(start, e, graph, touching, bends, long)
                if block is None or not _fits(block, shift, place, before, after, least):
                    continue
                if _gain(block, shift, graph, touching, bends) <= 1e-6:
                    continue
                for k in block:
                    place[k] += shift
                for f in {f for k in block for f in touching[k]}:
                    bends[f] = _bend(graph, graph.edges[f], place)
                moved = True
                break
        if not moved:
            return


def _bend(graph: Layers, edge: Edge, place: Sequence[float]) -> float:
    a, b = graph.items[edge.a], graph.items[edge.b]
    start = place[edge.a] + (a.outs[edge.out] if edge.out >= 0 else 0.0)
    end = place[edge.b] + (b.ins[edge.into] if edge.into >= 0 else 0.0)
    return end - start


def _block(
    start: int,
    without: int,
    graph: Layers,
    touching: Sequence[Sequence[int]],
    bends: Sequence[float],
    long: bool,
) -> set[int] | None:
    """What straight strings (or only the long ones) tie to an item; None when that is too much."""
    found, stack = {start}, [start]
    while stack:
        for e in touching[stack.pop()]:
            if e == without or bends[e]:
                continue
            ends = (graph.edges[e].a, graph.edges[e].b)
            if long and all(graph.items[k].glyph >= 0 for k in ends):
                continue
            for k in ends:
                if k not in found:
                    found.add(k)
                    stack.append(k)
        if len(found) > 400:
            return None
    return found


def _fits(
    block: set[int],
    shift: float,
    place: Sequence[float],
    before: Mapping[int, int],
    after: Mapping[int, int],
    least: Callable[[int, int], float],
) -> bool:
    for k in block:
        other = after.get(k) if shift > 0 else before.get(k)
        if other is None or other in block:
            continue
        first, second = (k, other) if shift > 0 else (other, k)
        ahead = place[second] - place[first] - abs(shift)
        if ahead < least(first, second) - 1e-6:
            return False
    return True


def _price(graph: Layers, edge: Edge, bend: float) -> float:
    if not bend:
        return 0.0
    a, b = graph.items[edge.a], graph.items[edge.b]
    weight = 1.0 + (a.glyph < 0) + (b.glyph < 0)  # a long string stays level, what is short bends
    return weight * (BEND + min(abs(bend), 200.0))


def _gain(
    block: set[int],
    shift: float,
    graph: Layers,
    touching: Sequence[Sequence[int]],
    bends: Sequence[float],
) -> float:
    gain = 0.0
    for k in block:
        for e in touching[k]:
            edge = graph.edges[e]
            if (edge.a in block) == (edge.b in block):
                continue
            then = bends[e] - shift if edge.a in block else bends[e] + shift
            gain += _price(graph, edge, bends[e]) - _price(graph, edge, then)
    return gain
