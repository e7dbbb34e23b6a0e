"""The picture as pure data: where every box, string, dot, tube and text is.

All geometry is computed here, once, in coordinates along and across the flow; the backends
(SVG, TikZ, HTML) only write it down. Lengths are pixels; y grows downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vesalius.diagrams.drawing import tubes as tubes_
from vesalius.diagrams.drawing.layers import Edge, Item, Layers, layered
from vesalius.diagrams.drawing.order import arrange
from vesalius.diagrams.drawing.place import positions
from vesalius.diagrams.drawing.sketch import Glyph, Sketch
from vesalius.diagrams.drawing.text import SIZE, Label, Run, label_width, run_size, shortened

AXES = 12.0  # the font size of axes beside wires
TICK = 11.0
PITCH, DOT_PITCH = 20.0, 12.0  # between ports
HIGH, ROUND = 28.0, 24.0  # the height of a box, the diameter of a circle
SIDE = 10.0  # from the middle of a sum to where a string comes in from the side
PAD, TRIANGLE = 10.0, 13.0
MARGIN = 10.0
STUB = 6.0  # from the border of a frame to what is inside
FRAME, TITLE = 12.0, 20.0  # the room inside a frame, and for its name
CLEAR = 6.0  # between the border of a tube and what is not in it
ABOVE = 17.0  # what a label takes above its wire

Point = tuple[float, float]
Span = tuple[float, float]  # from and to, across the flow
Side = tuple[int, bool]  # an item, and whether the side behind it is meant


@dataclass(frozen=True)
class Text:
    """A line of text: `at` is its anchor (`start`, `middle`, `end`) on the baseline."""

    at: Point
    anchor: str
    label: Label
    size: float
    role: str  # `label`, `axes`, `tick`, `name`, `tube`, `title`

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, from the width table."""
        wide = label_width(self.label, self.size)
        left = self.at[0] - {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        low = max((0.22 * run_size(r, self.size) + 3.5 * r.sub for r in self.label), default=0.0)
        return (left, self.at[1] - 0.76 * self.size, left + wide, self.at[1] + low)


@dataclass(frozen=True)
class Shape:
    """A glyph where it stands: its rectangle, its look, its text."""

    key: str
    look: str
    box: tuple[float, float, float, float]  # left, top, right, bottom
    texts: tuple[Text, ...]
    title: str
    node: int
    learned: bool = False
    inner: Scene | None = None
    points: tuple[Point, ...] = ()  # of a triangle


# A path is a list of pieces: a start (2 numbers), lines (2) and curves (6 numbers).
Piece = tuple[str, tuple[float, ...]]
Path = tuple[Piece, ...]


@dataclass(frozen=True)
class Wire:
    """A string with all its branches."""

    key: str
    path: Path
    axes: tuple[int, ...]
    title: str
    texts: tuple[Text, ...]
    dots: tuple[Point, ...]
    ticks: tuple[tuple[Point, Point], ...]
    ends: tuple[tuple[Point, Point], ...]  # bars at strings that nobody reads
    wire: int
    around: tuple[str, ...]  # keys of the glyphs at its ends
    sleeve: tuple[int, ...] = ()  # axes whose tube is drawn around this string alone


@dataclass(frozen=True)
class Region:
    """A tube: one path of pieces that overlap; filled as a whole."""

    key: str
    path: Path
    axes: tuple[int, ...]
    depth: int
    title: str
    text: Text | None
    slabs: tuple[tuple[float, ...], ...]  # u0, u1, v0 and v1 at u0, v0 and v1 at u1


@dataclass
class Scene:
    """A picture, or a part of one inside a frame."""

    name: str
    size: Point
    shapes: list[Shape] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    ins: list[float] = field(default_factory=list)  # where inputs enter, across
    outs: list[float] = field(default_factory=list)
    lines: list[Text] = field(default_factory=list)  # under the picture
    offset: Point = (0.0, 0.0)
    down: bool = False

    def texts(self) -> Iterator[Text]:
        """All texts of this scene, not those inside frames."""
        for shape in self.shapes:
            yield from shape.texts
        for wire in self.wires:
            yield from wire.texts
        for region in self.regions:
            if region.text is not None:
                yield region.text
        yield from self.lines


@dataclass
class _Column:
    """A layer along the flow: room for ticks, for glyphs, for labels."""

    left: float = 0.0
    start: float = 0.0
    end: float = 0.0
    right: float = 0.0


def scene(
    sketch: Sketch,
    *,
    down: bool = False,
    tubes: bool = True,
    framed: bool = False,
    legend: bool = False,
    note: str = "",
) -> Scene:
    """Lay a sketch out. `down` turns the flow; `framed` leaves out the interface's names."""
    made = _Layout(sketch, down, tubes, framed).run()
    if note:
        _add_lines(made, [(Run(note),)])
    if legend:
        _add_lines(made, _legend(made))
    return made


def _add_lines(made: Scene, labels: Sequence[Label]) -> None:
    """Lines of text under a picture, each a row of its own when the next would not fit."""
    wide, high = made.size
    wide = max(wide, max(label_width(label, AXES) for label in labels) + 2 * MARGIN)
    x, y = MARGIN, high + 8.0
    for label in labels:
        long = label_width(label, AXES)
        if x > MARGIN and x + long > wide - MARGIN:
            x, y = MARGIN, y + 18.0
        made.lines.append(Text((_round(x), y), "start", label, AXES, "legend"))
        x += long + 18.0
    made.size = (_round(wide), y + MARGIN)


def _legend(made: Scene) -> list[Label]:
    """The axes with their sizes, in the order in which the picture brings them up."""
    found: dict[tuple[str, str], None] = {}
    scenes = [made]
    for one in scenes:
        for wire in one.wires:
            for c in wire.axes:
                found.setdefault((one.axes[c], one.sizes[c]))
        scenes += [shape.inner for shape in one.shapes if shape.inner is not None]
    return [
        (Run(shortened(name, 20), "italic"), Run(f" has size {shortened(size, 24)}"))
        for name, size in found
    ] or [(Run("no axes"),)]


class _Layout:
    def __init__(self, sketch: Sketch, down: bool, tubes: bool, framed: bool) -> None:
        self.sketch = sketch
        self.down = down
        self.with_tubes = tubes
        self.framed = framed
        self.graph: Layers = layered(sketch)
        self.inner: dict[int, Scene] = {}
        self.spans: list[tuple[float, float]] = []  # of each glyph: along, across
        self.columns: list[_Column] = []
        self.place: list[float] = []
        self.tubes: list[tubes_.Tube] = []
        self.sleeves: set[int] = set()
        self.borders: list[dict[Side, Span]] = []  # of each tube, on both sides of its items

    def run(self) -> Scene:
        for k, glyph in enumerate(self.sketch.glyphs):
            if glyph.body is not None:
                self.inner[k] = scene(glyph.body, down=self.down, tubes=self.with_tubes, framed=True)
            self.spans.append(self.span(k, glyph))
        for item in self.graph.items:
            self.ports(item)
        turned = arrange(self.graph)
        self.read = [list(glyph.ins) for glyph in self.sketch.glyphs]
        for k, order in turned.items():
            self.read[self.graph.items[k].glyph] = [
                self.sketch.glyphs[self.graph.items[k].glyph].ins[p] for p in order
            ]
        self.straight_through()
        self.after: list[list[int]] = [[] for _ in self.graph.items]
        for e, edge in enumerate(self.graph.edges):
            self.after[edge.a].append(e)
        for item in self.graph.items:
            self.extent(item)
        if self.with_tubes:
            self.tubes = tubes_.chosen(self.sketch, self.graph)
            shown = {c for tube in self.tubes for c in tube.classes}
            for tube in tubes_.candidates(self.sketch, self.graph):
                self.sleeves.update(c for c in tube.classes if c not in shown)
            named = [
                label_width(self.tube_label(t), TICK) + 8 if self.down else tubes_.BEFORE
                for t in self.tubes
            ]
            tubes_.set_margins(self.tubes, named)
        self.place = positions(self.graph, tubes_.rooms(self.tubes, self.graph))
        self.set_columns()
        return self.result()

    # -- sizes ----------------------------------------------------------------------------------

    def span(self, k: int, glyph: Glyph) -> tuple[float, float]:
        """The size of a glyph along and across the flow."""
        wide = label_width(glyph.label)
        count = max(len(glyph.ins), len(glyph.outs), 1)
        look = glyph.look
        if look in ("input", "output"):
            if self.framed:
                return (0.0, 0.0)
            size = (wide + 6 if glyph.label else 4.0, 16.0)
            return (20.0 if glyph.label else 4.0, wide) if self.down else size
        if look == "frame":
            x, y = self.inner[k].size
            x, y = max(x, wide + 2 * PAD), y + TITLE
            return (y, x) if self.down else (x, y)
        if look in ("parameter", "constant", "random"):
            if self.down:
                return (SIZE + 6 + TRIANGLE, max(wide, TRIANGLE + 4))
            return (wide + 5 + TRIANGLE, 20.0)
        if look in ("dot", "scalar"):
            ports = (count - 1) * self.pitch(glyph) + 14
            if look == "dot" and wide <= 13 and count <= 2:
                return (ROUND, ROUND)
            w, h = max(wide + 16, ROUND), ROUND
            return (h, max(w, ports)) if self.down else (w, max(h, ports))
        w, h = max(wide + 2 * PAD, 32.0), HIGH
        ports = (count - 1) * PITCH + HIGH
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
        pitch = self.pitch(glyph)
        item.ins = _spread(len(glyph.ins), pitch)
        labels = [label_width(self.axes_label(port.string), AXES) for port in glyph.outs]
        out_pitch = max(pitch, max(labels) + 14) if self.down and len(labels) > 1 else pitch
        item.outs = _spread(len(glyph.outs), out_pitch)

    def straight_through(self) -> None:
        """A string that comes a long way to a sum or product goes straight through it.

        So a residual stream is one line, and what is added to it comes in from the side.
        """
        arriving: dict[int, list[Edge]] = {}
        for edge in self.graph.edges:
            if edge.into >= 0:
                arriving.setdefault(edge.b, []).append(edge)
        for k, edges in arriving.items():
            item = self.graph.items[k]
            glyph = self.sketch.glyphs[item.glyph]
            if glyph.look != "dot" or len(edges) != 2 or self.pitch(glyph) > DOT_PITCH:
                continue
            long = [edge for edge in edges if self.graph.items[edge.a].glyph < 0]
            if len(long) == 1:
                item.ins = [0.0, SIDE] if long[0].into == 0 else [-SIDE, 0.0]

    def axes_label(self, string: int) -> Label:
        text = self.sketch.strings[string].label
        return (Run(text, "italic"),) if text else ()


    def tube_label(self, tube: tubes_.Tube) -> Label:
        return (Run(" ".join(tube.names), "italic"),)

    def extent(self, item: Item) -> None:
        """How far an item reaches across the flow: itself, and the labels of its strings."""
        if item.glyph < 0:
            item.lo, item.hi = -7.0, 7.0
            return
        glyph = self.sketch.glyphs[item.glyph]
        half = self.spans[item.glyph][1] / 2
        lo, hi = -half, half
        for port, y in zip(glyph.outs, item.outs, strict=True):
            lo, hi = self.reach(self.axes_label(port.string), AXES, y, lo, hi)
        for port, y in zip(self.read[item.glyph], item.ins, strict=True):
            tick: Label = (Run(port.tick, "italic"),) if port.tick else ()
            lo, hi = self.reach(tick, TICK, y, lo, hi)
        if self.framed and not half:
            lo, hi = min(lo, -7.0), max(hi, 7.0)
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

    # -- along the flow -------------------------------------------------------------------------

    def set_columns(self) -> None:
        graph, glyphs = self.graph, self.sketch.glyphs
        at = 0.0
        for r, layer in enumerate(graph.layers):
            own = [graph.items[k].glyph for k in layer if graph.items[k].glyph >= 0]
            self.same_width(own)
            long = max((self.spans[g][0] for g in own), default=0.0)
            labels = [label_width(self.axes_label(p.string), AXES) for g in own for p in glyphs[g].outs]
            ticks = [
                label_width((Run(p.tick, "italic"),), TICK)
                for g in own
                for p in self.read[g]
                if p.tick
            ]
            column = _Column(at)
            into = (18.0 if self.down else max(ticks) + 10) if ticks else 4.0
            wide = max(labels, default=0.0)
            out = (18.0 if self.down else wide + 12) if wide else 6.0
            if self.framed and r == 0:
                into = 0.0
            if r == len(graph.layers) - 1:
                out = 0.0
            column.start = at + into
            column.end = column.start + long
            column.right = column.end + out
            self.columns.append(column)
            at = column.right + self.gap(r)

    def same_width(self, own: Sequence[int]) -> None:
        """Siblings look like siblings: learned boxes of a layer are equally long."""
        dark = [g for g in own if self.sketch.glyphs[g].look == "dark"]
        long = max((self.spans[g][0] for g in dark), default=0.0)
        for g in dark:
            self.spans[g] = (long, self.spans[g][1])

    def gap(self, r: int) -> float:
        """Room for the curves after a layer: more where they are steep."""
        if r + 1 >= len(self.graph.layers):
            return 0.0
        steep = 0.0
        for item in self.graph.layers[r]:
            for e in self.after[item]:
                a, b = self.ends(self.graph.edges[e])
                steep = max(steep, abs(a - b))
        return 14.0 if steep < 1 else min(26 + 0.28 * steep, 84.0)

    def ends(self, edge: Edge) -> Point:
        """Where an edge starts and ends, across the flow."""
        a, b = self.graph.items[edge.a], self.graph.items[edge.b]
        start = self.place[edge.a] + (a.outs[edge.out] if edge.out >= 0 else 0.0)
        end = self.place[edge.b] + (b.ins[edge.into] if edge.into >= 0 else 0.0)
        return start, end

    def node_span(self, k: int) -> Point:
        """Where the glyph of item k starts and ends along the flow."""
        item = self.graph.items[k]
        column = self.columns[item.layer]
        if item.glyph < 0:
            return column.left, column.right
        long = self.spans[item.glyph][0]
        look = self.sketch.glyphs[item.glyph].look
        if look in ("input", "parameter", "constant", "random"):
            return column.end - long, column.end
        if look == "output":
            return column.start, column.start + long
        middle = (column.start + column.end) / 2
        return middle - long / 2, middle + long / 2

    def touch(self, k: int, port: float, after: bool) -> float:
        """Where a string meets the outline of item k, along the flow."""
        start, end = self.node_span(k)
        item = self.graph.items[k]
        if self.framed and item.glyph >= 0:
            look = self.sketch.glyphs[item.glyph].look
            if look in ("input", "output"):
                return end - STUB if look == "input" else start + STUB
        if item.glyph >= 0 and self.sketch.glyphs[item.glyph].look in ("dot", "scalar"):
            across = self.spans[item.glyph][1]
            radius = min(across, end - start) / 2
            over = abs(port) - (across / 2 - radius)
            if over > 0:
                dip = radius - math.sqrt(max(radius * radius - over * over, 0.0))
                return end - dip if after else start + dip
        return end if after else start

    # -- the result -----------------------------------------------------------------------------

    def result(self) -> Scene:
        made = Scene(self.sketch.name, (0.0, 0.0), axes=self.sketch.axes, sizes=self.sketch.sizes)
        made.down = self.down
        regions = [self.region(t) for t in range(len(self.tubes))]
        before, after, start, end = self.bounds(regions)
        self.shift = (-start, -before)
        made.size = self.turn((end, after))
        for t, (slabs, text_at) in enumerate(regions):
            made.regions.append(self.finished(t, slabs, text_at))
        for k, item in enumerate(self.graph.items):
            if item.glyph >= 0:
                made.shapes.append(self.shape(k, item))
        made.shapes.sort(key=lambda shape: _number(shape.key))
        for s in range(len(self.sketch.strings)):
            made.wires.append(self.wire(s))
        for g in self.sketch.inputs:
            made.ins.append(self.place[g] - before)
        for g in self.sketch.outputs:
            made.outs.append(self.place[g] - before)
        return made

    def bounds(
        self, regions: Sequence[tuple[list[tuple[float, ...]], Point]]
    ) -> tuple[float, float, float, float]:
        """What the picture covers: before and after across, start and end along."""
        lo = min((y + i.lo for y, i in zip(self.place, self.graph.items, strict=True)), default=0.0)
        hi = max((y + i.hi for y, i in zip(self.place, self.graph.items, strict=True)), default=0.0)
        start, end = 0.0, self.columns[-1].right if self.columns else 0.0
        for slabs, _ in regions:
            for _, _, a0, b0, a1, b1 in slabs:
                lo, hi = min(lo, a0, a1), max(hi, b0, b1)
        edge = FRAME if self.framed else MARGIN
        lo, hi = lo - edge, hi + edge
        edge = STUB if self.framed else MARGIN
        start, end = start - edge, end + edge
        return lo, hi, start, end

    def turn(self, point: Point) -> Point:
        """From along and across to x and y."""
        u, v = point[0] + self.shift[0], point[1] + self.shift[1]
        return (_round(v), _round(u)) if self.down else (_round(u), _round(v))

    def turned(self, path: Sequence[tuple[str, tuple[float, ...]]]) -> Path:
        found = []
        for command, numbers in path:
            points = [self.turn((numbers[i], numbers[i + 1])) for i in range(0, len(numbers), 2)]
            found.append((command, tuple(x for point in points for x in point)))
        return tuple(found)

    # -- glyphs ---------------------------------------------------------------------------------

    def shape(self, k: int, item: Item) -> Shape:
        glyph = self.sketch.glyphs[item.glyph]
        start, end = self.node_span(k)
        half = self.spans[item.glyph][1] / 2
        one, two = self.turn((start, self.place[k] - half)), self.turn((end, self.place[k] + half))
        box = (one[0], one[1], two[0], two[1])
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        inner = self.inner.get(item.glyph)
        texts: list[Text] = []
        points: tuple[Point, ...] = ()
        if glyph.look == "frame":
            assert inner is not None
            inner.offset = (box[0] + (box[2] - box[0] - inner.size[0]) / 2, box[1] + TITLE)
            texts.append(Text((box[0] + 8, box[1] + 14), "start", glyph.label, AXES, "title"))
        elif glyph.look in ("input", "output"):
            if glyph.label and not self.framed:
                texts.append(self.end_text(glyph, box))
        elif glyph.look in ("parameter", "constant", "random"):
            points = self.triangle(box)
            if self.down:
                at = (middle[0], box[1] + SIZE - 2)
                texts.append(Text(at, "middle", glyph.label, SIZE, "label"))
            else:
                at = (box[2] - TRIANGLE - 5, middle[1] + 4.5)
                texts.append(Text(at, "end", glyph.label, SIZE, "label"))
        elif glyph.label:
            low = 3.5 if any(run.sub for run in glyph.label) else 4.5
            at = (middle[0], middle[1] + low)
            texts.append(Text(at, "middle", glyph.label, SIZE, "label"))
        learned = glyph.look == "parameter" or (glyph.look == "folded" and glyph.name == "learned")
        return Shape(
            glyph.key, glyph.look, box, tuple(texts), glyph.title, glyph.node, learned, inner, points
        )

    def end_text(self, glyph: Glyph, box: tuple[float, float, float, float]) -> Text:
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        if self.down:
            y = box[1] + SIZE - 1 if glyph.look == "input" else box[3] - 3
            return Text((middle[0], y), "middle", glyph.label, SIZE, "name")
        if glyph.look == "input":
            return Text((box[2] - 6, middle[1] + 4), "end", glyph.label, SIZE, "name")
        return Text((box[0] + 6, middle[1] + 4), "start", glyph.label, SIZE, "name")

    def triangle(self, box: tuple[float, float, float, float]) -> tuple[Point, ...]:
        """Pointing against the flow: a state, in the usual reading."""
        left, top, right, bottom = box
        if self.down:
            x = (left + right) / 2
            return ((x, bottom - TRIANGLE), (x + 9, bottom), (x - 9, bottom))
        y = (top + bottom) / 2
        return ((right - TRIANGLE, y), (right, y - 9), (right, y + 9))

    # -- strings --------------------------------------------------------------------------------

    def wire(self, s: int) -> Wire:
        string = self.sketch.strings[s]
        graph = self.graph
        source, out = string.source
        pieces: list[tuple[str, tuple[float, ...]]] = []
        dots: list[Point] = []
        ticks: list[tuple[Point, Point]] = []
        bars: list[tuple[Point, Point]] = []
        texts: list[Text] = []
        y = self.place[source] + graph.items[source].outs[out]
        edges = [e for e in self.after[source] if graph.edges[e].out == out]
        column = self.columns[graph.items[source].layer]
        begin = self.touch(source, graph.items[source].outs[out], True)
        label = self.axes_label(s)
        if label:
            texts.append(self.beside(label, AXES, column.end, column.right - 2, y, "axes"))
        if not edges:
            stop = max(column.right - 2, begin + 10)
            pieces += [("M", (begin, y)), ("L", (stop, y))]
            bars.append((self.turn((stop, y - 5)), self.turn((stop, y + 5))))
        # Depth first, so that a trunk and its branches are one stroke each.
        stack = [(e, begin) for e in reversed(edges)]
        seen_dot: set[int] = set()
        while stack:
            e, begin = stack.pop()
            edge = graph.edges[e]
            y0, y1 = self.ends(edge)
            here = self.columns[graph.items[edge.a].layer]
            there = self.columns[graph.items[edge.b].layer]
            siblings = [f for f in self.after[edge.a] if graph.edges[f].out == edge.out]
            branch = len(siblings) > 1
            if branch and edge.a in seen_dot:
                pieces.append(("M", (here.right, y0)))
            else:
                if not pieces or pieces[-1][1][-2:] != (begin, y0):
                    pieces.append(("M", (begin, y0)))
                pieces.append(("L", (here.right, y0)))
                if branch:
                    seen_dot.add(edge.a)
                    dots.append(self.turn((here.right, y0)))
            pieces.append(_curve(here.right, y0, there.left, y1))
            if edge.into >= 0:
                port = graph.items[edge.b].ins[edge.into]
                pieces.append(("L", (self.touch(edge.b, port, False), y1)))
                tick = self.tick_of(edge)
                if tick:
                    middle = (there.left + there.start) / 2
                    ticks.append((self.turn((middle - 3, y1 + 5)), self.turn((middle + 3, y1 - 5))))
                    label = (Run(tick, "italic"),)
                    texts.append(self.beside(label, TICK, there.left, there.start, y1, "tick"))
            else:
                stack += [(f, there.left) for f in reversed(self.after[edge.b])]
        around = dict.fromkeys(
            [self.sketch.glyphs[source].key, *(self.sketch.glyphs[g].key for g, _ in string.targets)]
        )
        return Wire(
            string.key,
            self.turned(_merged(pieces)),
            string.classes,
            string.title,
            tuple(texts),
            tuple(dots),
            tuple(ticks),
            tuple(bars),
            string.wire,
            tuple(around),
            tuple(c for c in string.classes if c in self.sleeves),
        )

    def tick_of(self, edge: Edge) -> str:
        """The relabelling at the end of an edge; ports may have been put in another order."""
        return self.read[self.graph.items[edge.b].glyph][edge.into].tick

    def beside(
        self, label: Label, size: float, start: float, end: float, y: float, role: str
    ) -> Text:
        """A label along a straight piece of a string: above it, or right of it."""
        middle = (start + end) / 2
        if self.down:
            x, top = self.turn((middle + 4, y + 6))
            return Text((x, top), "start", label, size, role)
        return Text(self.turn((middle, y - 5)), "middle", label, size, role)

    # -- tubes ----------------------------------------------------------------------------------

    def region(self, t: int) -> tuple[list[tuple[float, ...]], Point]:
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
                        sides[k, after] = (covered[0] - tube.before, covered[1] + tube.after)
                        run.append(k)
                        continue
                    for other in run:
                        runs[other, after] = run[0]
                    run = []
        self.smooth(t, sides, runs)
        slabs: list[tuple[float, ...]] = []
        for layer in self.graph.layers:
            self.column_slabs(tube, layer, sides, slabs)
        self.gap_slabs(tube, sides, runs, slabs)
        # The name stands in the first column that the region is in, at the top.
        start = min(slab[0] for slab in slabs)
        first = min((s for s in slabs if s[0] < start + 24), key=lambda slab: slab[2])
        return slabs, (first[0], first[2])

    def smooth(self, t: int, sides: dict[Side, Span], runs: dict[Side, int]) -> None:
        """Draw the borders of a region straight, as far as nothing else is in the way."""
        tube = self.tubes[t]
        top = min(span[0] for span in sides.values())
        bottom = max(span[1] for span in sides.values())
        own = tube.before - max((x.before for x in self.tubes if x.parent == t), default=0.0)
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
                edge = self.place[k] + item.hi + self.tubes[other].after
            else:
                edge = self.place[k] + item.lo - self.tubes[other].before
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
        ports, places = (glyph.outs, item.outs) if after else (self.read[item.glyph], item.ins)
        lo, hi = math.inf, -math.inf
        for port, place in zip(ports, places, strict=True):
            classes = self.sketch.strings[port.string].classes
            if set(tube.classes) & set(classes):
                label = self.axes_label(port.string) if after else ()
                tick: Label = (Run(port.tick, "italic"),) if port.tick and not after else ()
                lo, hi = self.reach(label or tick, AXES, place, lo, hi)
        return (y + lo, y + hi) if hi > lo else None

    def is_inside(self, tube: tubes_.Tube, item: Item, k: int) -> bool:
        """Whether a region holds a glyph: one that is mapped, or a source that makes its axes."""
        if item.glyph in tube.glyphs:
            return True
        if item.glyph < 0 or k not in tube.members:
            return False
        return self.sketch.glyphs[item.glyph].look in ("parameter", "constant", "random")

    def column_slabs(
        self,
        tube: tubes_.Tube,
        layer: Sequence[int],
        sides: dict[Side, Span],
        slabs: list[tuple[float, ...]],
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
                slabs.append((column.left, column.right, a0, b0, a1, b1))
                whole = []
            if k >= 0:
                start, end = self.node_span(k)
                if (k, False) in sides:
                    slabs.append((column.left, start, *sides[k, False], *sides[k, False]))
                if (k, True) in sides:
                    slabs.append((end, column.right, *sides[k, True], *sides[k, True]))

    def gap_slabs(
        self,
        tube: tubes_.Tube,
        sides: dict[Side, Span],
        runs: dict[Side, int],
        slabs: list[tuple[float, ...]],
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
                (
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
        return [sides[layer[k], after] for k in range(first, last + 1) if (layer[k], after) in sides]

    def finished(self, t: int, slabs: list[tuple[float, ...]], at: Point) -> Region:
        tube = self.tubes[t]
        pieces: list[tuple[str, tuple[float, ...]]] = []
        for u0, u1, a0, b0, a1, b1 in slabs:
            pieces.append(("M", (u0, a0)))
            pieces.append(_curve(u0, a0, u1, a1))
            pieces.append(("L", (u1, b1)))
            pieces.append(_curve(u1, b1, u0, b0))
            pieces.append(("Z", ()))
        label = self.tube_label(tube)
        if self.down:
            x, y = self.turn((at[0] + 12, at[1] + 5))
        else:
            x, y = self.turn((at[0] + 4, at[1] + 11))
        sizes = ", ".join(f"{self.sketch.axes[c]}: {self.sketch.sizes[c]}" for c in tube.classes)
        return Region(
            f"tube-{'-'.join(tube.names)}-{t}",
            self.turned(pieces),
            tube.classes,
            tube.depth,
            f"tube over {sizes}",
            Text((x, y), "start", label, TICK, "tube"),
            tuple(slabs),
        )


def _number(key: str) -> tuple[int, int]:
    kind, _, number = key.partition("-")
    return ({"input": 0, "box": 1, "output": 2}[kind], int(number))


def _round(x: float) -> float:
    return round(x * 10) / 10


def _spread(count: int, pitch: float) -> list[float]:
    return [(k - (count - 1) / 2) * pitch for k in range(count)]


def _curve(u0: float, v0: float, u1: float, v1: float) -> Piece:
    """A string from one height to another, level at both ends."""
    if abs(v0 - v1) < 0.25:
        return ("L", (u1, v1))
    bend = (u1 - u0) * 0.5
    return ("C", (u0 + bend, v0, u1 - bend, v1, u1, v1))


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Level lines that continue each other, as one."""
    found: list[Piece] = []
    for command, numbers in pieces:
        if command == "L" and len(found) > 1 and found[-1][0] == "L":
            before = found[-2][1][-1]
            if found[-1][1][1] == numbers[1] == before:
                found[-1] = (command, numbers)
                continue
        found.append((command, numbers))
    return found
