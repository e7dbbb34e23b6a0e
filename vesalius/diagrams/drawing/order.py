"""The order within layers: as few crossings as possible, ports in their order.

Sweeps by barycentre and then swaps of neighbours, from several beginnings; the best is kept.
Glyphs that take their inputs in any order (sums, products) take them as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vesalius.diagrams.drawing.layers import Layers

SMALL = 120  # items: up to here several beginnings are tried
SWEEPS = 8
SHUFFLES = 4

# An end of an edge: the item, and the place of the port in it.
End = tuple[int, float]


class _Order:
    def __init__(self, graph: Layers) -> None:
        self.graph = graph
        count = len(graph.items)
        self.right: list[list[tuple[float, int, float]]] = [[] for _ in range(count)]
        self.left: list[list[tuple[float, int, float]]] = [[] for _ in range(count)]
        for edge in graph.edges:
            a, b = graph.items[edge.a], graph.items[edge.b]
            out = (edge.out + 1) / (len(a.outs) + 1) if edge.out >= 0 else 0.5
            into = 0.5 if edge.into < 0 or b.free else (edge.into + 1) / (len(b.ins) + 1)
            self.right[edge.a].append((out, edge.b, into))
            self.left[edge.b].append((into, edge.a, out))
        self.fixed = {item: k for k, item in enumerate(graph.inputs)}
        self.fixed.update({item: k for k, item in enumerate(graph.outputs)})

    def between(self, above: int, below: int, place: Sequence[int], left: bool) -> int:
        """Crossings of the edges on one side of two items of a layer, the first being above."""
        near = self.left if left else self.right
        count = 0
        for _, other, port in near[above]:
            end = (place[other], port)
            for _, other2, port2 in near[below]:
                count += end > (place[other2], port2)
        return count

    def crossings(self, layers: Sequence[Sequence[int]], place: Sequence[int]) -> int:
        """All crossings, those within the ports of one item included."""
        total = 0
        for layer in layers:
            ends: list[End] = []
            for item in layer:
                ends += [
                    (place[b], into) for _, b, into in sorted(self.right[item], key=self.key(place))
                ]
            total += inversions(ends)
        return total

    @staticmethod
    def key(place: Sequence[int]):  # type: ignore[no-untyped-def]
        """Edges of one port fan out in the order of their targets, so they never cross."""
        return lambda edge: (edge[0], place[edge[1]], edge[2])

    def may_swap(self, a: int, b: int) -> bool:
        return not (a in self.fixed and b in self.fixed)

    def swaps(self, layers: list[list[int]], place: list[int], level: bool = False) -> None:
        """Swap neighbours while that removes crossings; `level`, a few times also where it moves
        one along, from which others may be removed."""
        for _ in range(SHUFFLES if level else 3 * SWEEPS):
            changed = False
            for layer in layers:
                for k in range(len(layer) - 1):
                    a, b = layer[k], layer[k + 1]
                    if not self.may_swap(a, b):
                        continue
                    now = self.between(a, b, place, True) + self.between(a, b, place, False)
                    then = self.between(b, a, place, True) + self.between(b, a, place, False)
                    if then < now or (level and then == now > 0):
                        layer[k], layer[k + 1] = b, a
                        place[a], place[b] = k + 1, k
                        changed = True
            if not changed:
                return

    def sweep(self, layers: list[list[int]], place: list[int], forward: bool) -> None:
        """Sort each layer by the mean place of the neighbours in the layer before it."""
        order = range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1)
        near = self.left if forward else self.right
        for r in order:
            layer = layers[r]
            keys = {}
            for item in layer:
                ends = [place[other] + port for _, other, port in near[item]]
                keys[item] = sum(ends) / len(ends) if ends else place[item] + 0.5
            moving = sorted(
                (i for i in layer if i not in self.fixed), key=lambda i: (keys[i], place[i])
            )
            layer[:] = self.merged(layer, moving, keys)
            for k, item in enumerate(layer):
                place[item] = k

    def merged(self, layer: Sequence[int], moving: list[int], keys: dict[int, float]) -> list[int]:
        """Inputs and outputs in their order, the others among them by their keys."""
        still = sorted((i for i in layer if i in self.fixed), key=self.fixed.__getitem__)
        if not still:
            return moving
        result: list[int] = []
        at = 0
        for item in still:
            while at < len(moving) and keys[moving[at]] < keys[item]:
                result.append(moving[at])
                at += 1
            result.append(item)
        return result + moving[at:]

    def improve(self, layers: list[list[int]]) -> tuple[int, list[list[int]]]:
        """The best order found from this beginning."""
        place = [0] * len(self.graph.items)
        for layer in layers:
            for k, item in enumerate(layer):
                place[item] = k
        best = (self.crossings(layers, place), [layer[:] for layer in layers])
        for turn in range(SWEEPS):
            if not best[0]:
                break
            self.sweep(layers, place, turn % 2 == 0)
            for level in (False, True) if len(place) <= SMALL else (False,):
                if level:
                    self.swaps(layers, place, level)
                self.swaps(layers, place)
                found = self.crossings(layers, place)
                if found < best[0]:
                    best = (found, [layer[:] for layer in layers])
        return best


def inversions(ends: Sequence[End]) -> int:
    """How many pairs stand in the wrong order; by merging."""
    if len(ends) < 24:
        return sum(ends[i] > ends[j] for j in range(1, len(ends)) for i in range(j))
    middle = len(ends) // 2
    left, right = list(ends[:middle]), list(ends[middle:])
    count = inversions(left) + inversions(right)
    left.sort()
    right.sort()
    at = 0
    for end in right:
        while at < len(left) and left[at] <= end:
            at += 1
        count += len(left) - at
    return count


def crossings(graph: Layers) -> int:
    """The number of crossings in the present order."""
    place = [0] * len(graph.items)
    for layer in graph.layers:
        for k, item in enumerate(layer):
            place[item] = k
    return _Order(graph).crossings(graph.layers, place)


def arrange(graph: Layers) -> dict[int, list[int]]:
    """Put every layer in an order with few crossings.

    Returns, for items that take their inputs in any order, their old ports in the new order.
    """
    order = _Order(graph)
    best = order.improve([layer[:] for layer in graph.layers])
    beginnings = 12 if len(graph.items) <= SMALL else 0
    state = 12345
    for turn in range(beginnings):
        if not best[0]:
            break
        start = [layer[:] for layer in graph.layers]
        for layer in start:
            if turn == 0:
                layer.reverse()
            else:
                for k in range(len(layer) - 1, 0, -1):
                    state = (1103515245 * state + 12345) % 2**31
                    j = (state >> 8) % (k + 1)
                    layer[k], layer[j] = layer[j], layer[k]
            still = iter(
                sorted((i for i in layer if i in order.fixed), key=order.fixed.__getitem__)
            )
            layer[:] = [next(still) if i in order.fixed else i for i in layer]
        found = order.improve(start)
        if found[0] < best[0]:
            best = found
    graph.layers = best[1]
    return _ports_in_order(graph)


def _ports_in_order(graph: Layers) -> dict[int, list[int]]:
    """Let glyphs that do not mind take their inputs in the order in which they arrive."""
    place = {item: k for layer in graph.layers for k, item in enumerate(layer)}
    arriving: dict[int, list[int]] = {}
    for k, edge in enumerate(graph.edges):
        if graph.items[edge.b].free and edge.into >= 0:
            arriving.setdefault(edge.b, []).append(k)
    turned = {}
    for item, found in arriving.items():
        found.sort(key=lambda k: (place[graph.edges[k].a], graph.edges[k].out, k))
        turned[item] = [graph.edges[k].into for k in found]
        for port, k in enumerate(found):
            graph.edges[k] = replace(graph.edges[k], into=port)
    return turned
