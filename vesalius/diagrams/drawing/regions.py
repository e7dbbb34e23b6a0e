"""Where tubes are: the slabs that a region is made of, with borders as straight as may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from vesalius.diagrams.drawing import tubes as tubes_
from vesalius.diagrams.drawing.layers import Edge, Item
from vesalius.diagrams.drawing.measure import AXES, CLEAR, SOURCES, axes_label, tick_label
from vesalius.diagrams.drawing.scene import Point, Slab
from vesalius.diagrams.drawing.text import Label

if TYPE_CHECKING:
    from vesalius.diagrams.drawing.layout import Layout

Span = tuple[float, float]  # from and to, across the flow
Side = tuple[int, bool]  # an item, and whether the side behind it is meant


def clash(one: Sequence[Slab], other: Sequence[Slab]) -> bool:
    """Whether two regions overlap and neither holds the other."""
    places = sorted({u for slab in (*one, *other) for u in slab[:2]})
    nested, apart = True, True
    for start, end in pairwise(places):
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            u = start + part * (end - start)
            around, found = _covered(one, u), _covered(other, u)
            apart &= not any(a < y and x < b for a, b in found for x, y in around)
            nested &= all(any(x <= a and b <= y for x, y in around) for a, b in found)
        if not nested and not apart:
            return True
    return False


def _covered(slabs: Sequence[Slab], u: float) -> list[Span]:
    """What slabs cover across the flow at u, joined where they touch."""
    found: list[Span] = []
    spans = (_across(slab, u) for slab in slabs if slab.u0 < u < slab.u1)
    for lo, hi in sorted(spans):
        if found and lo <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], hi))
        else:
            found.append((lo, hi))
    return found


def _across(slab: Slab, u: float) -> Span:
    """Where the borders of a slab are at u: they are drawn as strings are, level at both ends."""
    along = (u - slab.u0) / (slab.u1 - slab.u0)
    low, high = 0.0, 1.0
    for _ in range(20):
        s = (low + high) / 2
        low, high = (s, high) if 1.5 * s * (1 - s) + s**3 < along else (low, s)
    part = low * low * (3 - 2 * low)
    return slab.a0 + (slab.a1 - slab.a0) * part, slab.b0 + (slab.b1 - slab.b0) * part


class Regions:
    """The regions of the tubes of a layout; outer ones are made before inner ones."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.graph = layout.graph
        self.sketch = layout.sketch
        self.place = layout.place
        self.measure = layout.measure
        self.columns = layout.columns
        self.tubes = layout.tubes
        self.borders: list[dict[Side, Span]] = []  # of each tube, on both sides of its items

    def region(self, t: int) -> tuple[list[Slab], Point]:
        """The slabs of a tube and where its name stands."""
        tube = self.tubes[t]
        sides: dict[Side, Span] = {}
        runs: dict[Side, int] = {}
        for layer in self.graph.layers:
            for after in (False, True):
                run: list[int] = []
                for k in [*layer, -1]:
                    covered = self.side(tube, k, after) if k >= 0 else None
                    if covered is not None:
                        start = covered[0] - tubes_.before(self.tubes, t, k)
                        sides[k, after] = (start, covered[1] + tubes_.after(self.tubes, t, k))
                        run.append(k)
                        continue
                    for other in run:
                        runs[other, after] = run[0]
                    run = []
        self.smooth(t, sides)
        slabs: list[Slab] = []
        for layer in self.graph.layers:
            self.column_slabs(tube, layer, sides, slabs)
        self.gap_slabs(tube, sides, runs, slabs)
        # The name stands in the first column that the region is in, at the top.
        start = min(slab.u0 for slab in slabs)
        first = min((s for s in slabs if s.u0 < start + 24), key=lambda slab: slab.a0)
        return slabs, (first.u0, first.a0)

    def smooth(self, t: int, sides: dict[Side, Span]) -> None:
        """Draw the borders of a region straight, as far as nothing else is in the way."""
        tube = self.tubes[t]
        top = min(span[0] for span in sides.values())
        bottom = max(span[1] for span in sides.values())
        own = self.tubes[tube.parent].named if tube.parent >= 0 else 0.0
        around = self.borders[tube.parent] if tube.parent >= 0 else {}
        for layer in self.graph.layers:
            for after in (False, True):
                for place, k in enumerate(layer):
                    if (k, after) not in sides:
                        continue
                    lo, hi = sides[k, after]
                    above = layer[place - 1] if place else -1
                    below = layer[place + 1] if place + 1 < len(layer) else -1
                    outer = around.get((k, after), (-math.inf, math.inf))
                    if (above, after) not in sides:
                        limit = max(self.blocked(t, above, after, True), outer[0] + own)
                        lo = min(lo, max(top, limit))
                    if (below, after) not in sides:
                        limit = min(self.blocked(t, below, after, False), outer[1] - tubes_.AFTER)
                        hi = max(hi, min(bottom, limit))
                    sides[k, after] = (lo, hi)
        self.borders.append(dict(sides))

    def blocked(self, t: int, k: int, after: bool, above: bool) -> float:
        """How far a region may go towards item k, which is none of it."""
        if k < 0:
            return -math.inf if above else math.inf
        item = self.graph.items[k]
        limit = self.place[k] + (item.hi if above else item.lo)
        for other in range(len(self.tubes)):
            if self.encloses(other, t) or k not in self.tubes[other].members:
                continue
            if other < len(self.borders) and (k, after) in self.borders[other]:
                edge = self.borders[other][k, after][1 if above else 0]
            elif above:
                edge = self.place[k] + item.hi + tubes_.after(self.tubes, other, k)
            else:
                edge = self.place[k] + item.lo - tubes_.before(self.tubes, other, k)
            limit = max(limit, edge) if above else min(limit, edge)
        return limit + CLEAR if above else limit - CLEAR

    def encloses(self, outer: int, t: int) -> bool:
        while t >= 0:
            if t == outer:
                return True
            t = self.tubes[t].parent
        return False

    def side(self, tube: tubes_.Tube, k: int, after: bool) -> tuple[float, float] | None:
        """What a tube covers at one side of item k, across the flow, without margins."""
        item = self.graph.items[k]
        y = self.place[k]
        if self.is_inside(tube, item, k):
            return y + item.lo, y + item.hi
        if k not in tube.members:
            return None
        if item.glyph < 0:
            carried = set(tube.classes) & set(self.sketch.strings[item.string].classes)
            return (y + item.lo, y + item.hi) if carried else None
        glyph = self.sketch.glyphs[item.glyph]
        ports, places = (
            (glyph.outs, item.outs) if after else (self.measure.read[item.glyph], item.ins)
        )
        lo, hi = math.inf, -math.inf
        for port, place in zip(ports, places, strict=True):
            classes = self.sketch.strings[port.string].classes
            if set(tube.classes) & set(classes):
                label: Label = axes_label(self.sketch, port.string) if after else ()
                tick = tick_label(port) if not after else ()
                lo, hi = self.measure.reach(label or tick, AXES, place, lo, hi)
        return (y + lo, y + hi) if hi > lo else None

    def is_inside(self, tube: tubes_.Tube, item: Item, k: int) -> bool:
        """Whether a region holds a glyph: one that is mapped, or a source that makes its axes."""
        if item.glyph in tube.glyphs:
            return True
        if item.glyph < 0 or k not in tube.members:
            return False
        return self.sketch.glyphs[item.glyph].look in SOURCES

    def column_slabs(
        self,
        tube: tubes_.Tube,
        layer: Sequence[int],
        sides: dict[Side, Span],
        slabs: list[Slab],
    ) -> None:
        """Whole members side by side are one slab; the others reach to their glyphs."""
        column = self.columns[self.graph.items[layer[0]].layer]
        whole: list[int] = []
        for k in [*layer, -1]:
            item = self.graph.items[k] if k >= 0 else None
            both = (k, False) in sides and (k, True) in sides
            if item is not None and both and (item.glyph < 0 or self.is_inside(tube, item, k)):
                whole.append(k)
                continue
            if whole:
                (a0, _), (_, b0) = sides[whole[0], False], sides[whole[-1], False]
                (a1, _), (_, b1) = sides[whole[0], True], sides[whole[-1], True]
                slabs.append(Slab(column.left, column.right, a0, b0, a1, b1))
                whole = []
            if k >= 0:
                start, end = self.layout.node_span(k)
                key = self.sketch.glyphs[self.graph.items[k].glyph].key
                if (k, False) in sides:
                    a, b = sides[k, False]
                    slabs.append(Slab(column.left, start, a, b, a, b, last=key))
                if (k, True) in sides:
                    a, b = sides[k, True]
                    slabs.append(Slab(end, column.right, a, b, a, b, first=key))

    def gap_slabs(
        self,
        tube: tubes_.Tube,
        sides: dict[Side, Span],
        runs: dict[Side, int],
        slabs: list[Slab],
    ) -> None:
        """Between columns: a band for each pair of runs that strings of the tube join."""
        bands: dict[tuple[int, int], list[Edge]] = {}
        for e in sorted(tube.edges):
            edge = self.graph.edges[e]
            if (edge.a, True) in runs and (edge.b, False) in runs:
                bands.setdefault((runs[edge.a, True], runs[edge.b, False]), []).append(edge)
        used = {(e.a, True) for es in bands.values() for e in es}
        used |= {(e.b, False) for es in bands.values() for e in es}
        for edges in bands.values():
            start = self.idle({e.a for e in edges}, True, sides, used)
            end = self.idle({e.b for e in edges}, False, sides, used)
            slabs.append(
                Slab(
                    self.columns[self.graph.items[edges[0].a].layer].right,
                    self.columns[self.graph.items[edges[0].b].layer].left,
                    min(span[0] for span in start),
                    max(span[1] for span in start),
                    min(span[0] for span in end),
                    max(span[1] for span in end),
                )
            )

    def idle(
        self, ends: set[int], after: bool, sides: dict[Side, Span], used: set[Side]
    ) -> list[Span]:
        """What a band covers at one of its sides: its ends, and neighbours that no band has."""
        layer = self.graph.layers[self.graph.items[min(ends)].layer]
        places = [k for k, item in enumerate(layer) if item in ends]
        first, last = places[0], places[-1]
        for step, start in ((-1, first), (1, last)):
            at = start + step
            while 0 <= at < len(layer):
                side = (layer[at], after)
                if side not in sides or side in used:
                    break
                first, last = min(first, at), max(last, at)
                at += step
        return [
            sides[layer[k], after] for k in range(first, last + 1) if (layer[k], after) in sides
        ]
