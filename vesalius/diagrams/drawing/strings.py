"""Strings where they run: strokes with their branches, dots, ticks, ends and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vesalius.diagrams.drawing.layers import Edge, Layers
from vesalius.diagrams.drawing.measure import AXES, SIDE, SLIGHT, TICK, axes_label, tick_label
from vesalius.diagrams.drawing.scene import Anchor, Point, Text, Wire, through
from vesalius.diagrams.drawing.sketch import Sketch
from vesalius.diagrams.drawing.text import Label, Run, shortened

if TYPE_CHECKING:
    from vesalius.diagrams.drawing.layout import Layout


def level_ports(graph: Layers, sketch: Sketch, place: Sequence[float]) -> None:
    """A circle is met where a string arrives: no bends that are too small to be meant."""
    arriving: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        item = graph.items[edge.b]
        if item.glyph >= 0 and sketch.glyphs[item.glyph].look == "dot" and len(item.ins) == 2:
            arriving.setdefault(edge.b, []).append(edge)
    for k, edges in arriving.items():
        item = graph.items[k]
        for edge in edges:
            a = graph.items[edge.a]
            start = place[edge.a] + (a.outs[edge.out] if edge.out >= 0 else 0.0)
            port = start - place[k]
            other = item.ins[1 - edge.into]
            ordered = port < other if edge.into == 0 else port > other
            near = abs(port - item.ins[edge.into]) <= SLIGHT and abs(port) <= SIDE
            if near and ordered and abs(port - other) >= SLIGHT:
                item.ins[edge.into] = port


class Strings:
    """The strings of a layout, once everything has its place."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.graph = layout.graph
        self.sketch = layout.sketch
        self.place, self.columns, self.after = layout.place, layout.columns, layout.after
        self.measure, self.sleeves, self.down = layout.measure, layout.sleeves, layout.down
        self.turn, self.touch, self.ends = layout.turn, layout.touch, layout.ends

    def wire(self, s: int) -> Wire:
        string = self.sketch.strings[s]
        graph = self.graph
        source, out = string.source
        anchors: list[Anchor] = []
        dots: list[Point] = []
        ticks: list[tuple[Point, Point]] = []
        bars: list[tuple[Point, Point]] = []
        texts: list[Text] = []
        key = self.sketch.glyphs[source].key
        y = self.place[source] + graph.items[source].outs[out]
        edges = [e for e in self.after[source] if graph.edges[e].out == out]
        column = self.columns[graph.items[source].layer]
        begin = self.touch(source, graph.items[source].outs[out], True)
        label = self.axes_label(s)
        if label:
            texts.append(self.beside(label, AXES, column.end, column.right - 2, y, "axes"))
        anchors.append(Anchor("M", self.turn((begin, y)), key, "out", out, True))
        if edges:
            anchors.append(Anchor("L", self.turn((column.right, y)), key, "out", out))
        else:
            stop = max(column.right - 2, begin + 10)
            anchors.append(Anchor("L", self.turn((stop, y)), key, "out", out))
            bars.append((self.turn((stop, y - 5)), self.turn((stop, y + 5))))
        # Depth first, so that a trunk and its branches are one stroke each.
        stack = list(reversed(edges))
        fresh = True
        while stack:
            e = stack.pop()
            edge = graph.edges[e]
            y0, y1 = self.ends(edge)
            here = self.columns[graph.items[edge.a].layer]
            there = self.columns[graph.items[edge.b].layer]
            first, last = key if edge.a == source else "", self.key_of(edge.b)
            start = self.turn((here.right, y0))
            if len([f for f in self.after[edge.a] if graph.edges[f].out == edge.out]) > 1:
                if start not in dots:
                    dots.append(start)
                if not fresh:
                    anchors.append(Anchor("M", start, first, "out", edge.out))
            anchors.append(Anchor("C", self.turn((there.left, y1)), last, "in", edge.into))
            fresh = edge.into < 0
            if fresh:
                anchors.append(Anchor("L", self.turn((there.right, y1))))
                stack += reversed(self.after[edge.b])
                continue
            port = graph.items[edge.b].ins[edge.into]
            end = self.turn((self.touch(edge.b, port, False), y1))
            anchors.append(Anchor("L", end, last, "in", edge.into, True))
            tick = tick_label(self.measure.read[graph.items[edge.b].glyph][edge.into])
            if tick:
                middle = (there.left + there.start) / 2
                ticks.append((self.turn((middle - 3, y1 + 5)), self.turn((middle + 3, y1 - 5))))
                texts.append(self.beside(tick, TICK, there.left, there.start, y1, "tick"))
        around = dict.fromkeys(
            [
                self.sketch.glyphs[source].key,
                *(self.sketch.glyphs[g].key for g, _ in string.targets),
            ]
        )
        return Wire(
            string.key,
            through(anchors, self.down),
            string.classes,
            string.title,
            tuple(texts),
            tuple(dots),
            tuple(ticks),
            tuple(bars),
            string.wire,
            tuple(around),
            tuple(c for c in string.classes if c in self.sleeves),
            tuple(anchors),
        )

    def axes_label(self, s: int) -> Label:
        """The axes beside a string; those that follow strings are set apart."""
        string = self.sketch.strings[s]
        label = axes_label(self.sketch, s)
        if not label or self.sleeves.isdisjoint(string.classes):
            return label
        follows = {
            shortened(name, 12)
            for name, c in zip(string.names, string.classes, strict=True)
            if c in self.sleeves
        }
        runs: list[Run] = []
        for word in label[0].text.split(" "):
            gap = " " if runs else ""
            if runs and runs[-1].along == (word in follows):
                runs[-1] = runs[-1]._replace(text=f"{runs[-1].text}{gap}{word}")
            else:
                runs.append(Run(f"{gap}{word}", "italic", along=word in follows))
        return tuple(runs)

    def key_of(self, k: int) -> str:
        """The key of the glyph of item k, if it is one."""
        glyph = self.graph.items[k].glyph
        return self.sketch.glyphs[glyph].key if glyph >= 0 else ""

    def beside(
        self, label: Label, size: float, start: float, end: float, y: float, role: str
    ) -> Text:
        """A label along a straight piece of a string: above it, or right of it."""
        middle = (start + end) / 2
        if self.down:
            x, top = self.turn((middle + 4, y + 6))
            return Text((x, top), "start", label, size, role)
        return Text(self.turn((middle, y - 5)), "middle", label, size, role)
