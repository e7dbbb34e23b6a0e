"""How large things are: glyphs, the places of their ports, the room for labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vesalius.diagrams.drawing.layers import Edge, Item, Layers
from vesalius.diagrams.drawing.scene import Point, Scene
from vesalius.diagrams.drawing.sketch import Glyph, Port, Sketch
from vesalius.diagrams.drawing.text import SIZE, Label, Run, label_width

AXES = 12.0  # the font size of axes beside wires
TICK = 11.0
PITCH, DOT_PITCH = 20.0, 12.0  # between ports
HIGH, ROUND = 28.0, 26.0  # the height of a box, the diameter of a circle
SIDE = 10.0  # from the middle of a sum to where a string comes in from the side
SLIGHT = 7.0  # a bend of a string that is smaller looks like a mistake
PAD, TRIANGLE = 10.0, 13.0
MARGIN = 10.0
STUB = 6.0  # from the border of a frame to what is inside
FRAME, TITLE = 12.0, 20.0  # the room inside a frame, and for its name
CLEAR = 6.0  # between the border of a tube and what is not in it
ABOVE = 17.0  # what a label takes above its wire
SOURCES = ("parameter", "constant", "random")
ENDS = ("input", "output")


@dataclass(frozen=True)
class Frame:
    """What surrounds the inside of an open box: its name, and the labels outside at its ports.

    `ins` and `outs` are the widths of those labels, which stand beside strings that run down.
    """

    title: Label
    ins: tuple[float, ...] = ()
    outs: tuple[float, ...] = ()

    @property
    def titled(self) -> float:
        """The room that the title needs; whole and even."""
        return 2.0 * math.ceil(label_width(self.title, AXES) / 2 + PAD)


def frame_of(sketch: Sketch, glyph: Glyph) -> Frame:
    """The frame of a glyph when it is opened."""
    labels = [axes_label(sketch, port.string) for port in glyph.outs]
    return Frame(
        glyph.label,
        tuple(label_width(tick_label(port), TICK) for port in glyph.ins),
        tuple(label_width(label, AXES) for label in labels),
    )


def axes_label(sketch: Sketch, string: int) -> Label:
    """The axes beside a string, where they are written."""
    text = sketch.strings[string].label
    return (Run(text, "italic"),) if text else ()


def tick_label(port: Port) -> Label:
    """What a port calls by another name."""
    return (Run(port.tick, "italic"),) if port.tick else ()


class Measure:
    """The sizes of what a sketch holds, along and across the flow.

    `spans[g]` is the size of glyph g, `read[g]` are its input ports in the order drawn.
    """

    def __init__(
        self,
        sketch: Sketch,
        graph: Layers,
        inner: dict[int, Scene],
        down: bool,
        frame: Frame | None,
    ) -> None:
        self.sketch = sketch
        self.graph = graph
        self.inner = inner
        self.down = down
        self.frame = frame
        self.read: list[list[Port]] = [list(glyph.ins) for glyph in sketch.glyphs]
        self.spans = [self.span(k, glyph) for k, glyph in enumerate(sketch.glyphs)]
        for item in graph.items:
            self.ports(item)

    def settle(self, turned: dict[int, list[int]]) -> None:
        """Take note of the order of layers: whose inputs were turned, who lies opposite whom."""
        for k, order in turned.items():
            glyph = self.graph.items[k].glyph
            self.read[glyph] = [self.sketch.glyphs[glyph].ins[p] for p in order]
        self.straight_through()
        for item in self.graph.items:
            self.extent(item)
        for layer in self.graph.layers:
            self.same_width(layer)

    def span(self, k: int, glyph: Glyph) -> Point:
        """The size of a glyph along and across the flow."""
        wide = label_width(glyph.label)
        look = glyph.look
        if look in ENDS:
            if self.frame is not None:
                return (0.0, 0.0)
            size = (wide + 6 if glyph.label else 4.0, 16.0)
            return (20.0 if glyph.label else 4.0, wide) if self.down else size
        if look == "frame":
            x, y = self.inner[k].size
            y += TITLE
            return (y, x) if self.down else (x, y)
        if look in SOURCES:
            if self.down:
                return (SIZE + 6 + TRIANGLE, max(wide, TRIANGLE + 4))
            return (wide + 5 + TRIANGLE, 20.0)
        if look in ("dot", "scalar"):
            ports = self.ports_span(glyph) + 14
            if look == "dot" and wide <= 17 and ports <= ROUND + 8:
                return (ROUND, ROUND)
            w, h = max(wide + 16, ROUND), ROUND
            return (h, max(w, ports)) if self.down else (w, max(h, ports))
        w, h = max(wide + 2 * PAD, 32.0), HIGH
        ports = self.ports_span(glyph) + HIGH
        return (h, max(w, ports)) if self.down else (w, max(h, ports))

    def pitch(self, glyph: Glyph) -> float:
        """The distance of ports; a relabelling needs room for its name."""
        close = glyph.look in ("dot", "scalar") and not any(port.tick for port in glyph.ins)
        return DOT_PITCH if close else PITCH

    def ports(self, item: Item) -> None:
        """Where the ports of an item are, relative to its centre."""
        if item.glyph < 0:
            return
        glyph = self.sketch.glyphs[item.glyph]
        if glyph.look == "frame":
            inner = self.inner[item.glyph]
            middle = self.spans[item.glyph][1] / 2
            title = 0.0 if self.down else TITLE
            item.ins = [y + title - middle for y in inner.ins]
            item.outs = [y + title - middle for y in inner.outs]
            return
        into, out = self.pitches(glyph)
        item.ins = spread(len(glyph.ins), into)
        item.outs = spread(len(glyph.outs), out)

    def pitches(self, glyph: Glyph) -> Point:
        """The distances of input ports and of output ports.

        Where strings run down, what stands beside one must end before the next.
        """
        pitch = self.pitch(glyph)
        if not self.down:
            return pitch, pitch
        ticked = glyph.ins if glyph.free else glyph.ins[:-1]  # what is free may come last
        ticks = [label_width(tick_label(port), TICK) for port in ticked]
        labels = [label_width(axes_label(self.sketch, port.string), AXES) for port in glyph.outs]
        beside = [max(found, default=0.0) for found in (ticks, labels[:-1])]
        into, out = (max(pitch, wide + 14) if wide else pitch for wide in beside)
        return into, out

    def ports_span(self, glyph: Glyph) -> float:
        """How far the ports of a glyph are apart, from the first to the last."""
        into, out = self.pitches(glyph)
        return max((len(glyph.ins) - 1) * into, (len(glyph.outs) - 1) * out, 0.0)

    def straight_through(self) -> None:
        """The main string of a glyph goes straight through it, others come in from the side.

        To a sum or product that is the one that comes a long way: so a residual stream is one
        line. Otherwise it is the only one that depends on an input: a mask comes from the side.
        """
        fixed: list[bool] = []  # depends on no input
        for glyph in self.sketch.glyphs:
            sources = [self.sketch.strings[port.string].source[0] for port in glyph.ins]
            fixed.append(glyph.look != "input" and all(fixed[g] for g in sources))
        arriving: dict[int, list[Edge]] = {}
        for edge in self.graph.edges:
            if edge.into >= 0:
                arriving.setdefault(edge.b, []).append(edge)
        for k, edges in arriving.items():
            item = self.graph.items[k]
            glyph = self.sketch.glyphs[item.glyph]
            sources = [self.sketch.strings[edge.string].source[0] for edge in edges]
            main = [edge for edge, g in zip(edges, sources, strict=True) if not fixed[g]]
            if glyph.look == "dot" and len(edges) == 2 and self.pitch(glyph) <= DOT_PITCH:
                long = [edge for edge in edges if self.graph.items[edge.a].glyph < 0]
                main = long if len(long) == 1 else main
                if len(main) == 1:
                    item.ins = [0.0, SIDE] if main[0].into == 0 else [-SIDE, 0.0]
            elif len(main) == 1 and len(item.outs) == 1 and glyph.look in ("box", "dark", "folded"):
                item.outs = [item.ins[main[0].into]]

    def extent(self, item: Item) -> None:
        """How far an item reaches across the flow: itself, and the labels of its strings."""
        if item.glyph < 0:
            item.lo, item.hi = -7.0, 7.0
            return
        glyph = self.sketch.glyphs[item.glyph]
        half = self.spans[item.glyph][1] / 2
        lo, hi = -half, half
        for port, y in zip(glyph.outs, item.outs, strict=True):
            lo, hi = self.reach(axes_label(self.sketch, port.string), AXES, y, lo, hi)
        for port, y in zip(self.read[item.glyph], item.ins, strict=True):
            lo, hi = self.reach(tick_label(port), TICK, y, lo, hi)
        if self.frame is not None and glyph.look in ENDS:
            lo, hi = min(lo, -7.0), max(hi, 7.0)
            ends, wide = (
                (self.sketch.inputs, self.frame.ins)
                if glyph.look == "input"
                else (self.sketch.outputs, self.frame.outs)
            )
            beside = wide[ends.index(item.glyph)] if self.down and wide else 0.0
            hi = max(hi, 8 + beside) if beside else hi
        item.lo, item.hi = math.floor(lo), math.ceil(hi)
        item.hi += (item.hi - item.lo) % 2  # whole and even, so that strings come out straight

    def reach(
        self, label: Label, size: float, y: float, lo: float, hi: float
    ) -> tuple[float, float]:
        if not label:
            return min(lo, y - 5), max(hi, y + 5)
        if self.down:
            return min(lo, y - 5), max(hi, y + 8 + label_width(label, size))
        return min(lo, y - ABOVE), max(hi, y + 5)

    def same_width(self, layer: list[int]) -> None:
        """Siblings look like siblings: learned boxes of a layer are equally long."""
        own = [self.graph.items[k].glyph for k in layer if self.graph.items[k].glyph >= 0]
        dark = [g for g in own if self.sketch.glyphs[g].look == "dark"]
        long = max((self.spans[g][0] for g in dark), default=0.0)
        for g in dark:
            self.spans[g] = (long, self.spans[g][1])


def spread(count: int, pitch: float) -> list[float]:
    """Places of so many ports, evenly around the middle."""
    return [(k - (count - 1) / 2) * pitch for k in range(count)]
