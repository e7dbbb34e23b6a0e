"""From a sketch to a scene: all geometry is computed here, once, along and across the flow."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from vesalius.diagrams.drawing import tubes as tubes_
from vesalius.diagrams.drawing.layers import Edge, Item, Layers, layered
from vesalius.diagrams.drawing.measure import (
    AXES,
    ENDS,
    FRAME,
    MARGIN,
    SOURCES,
    STUB,
    TICK,
    TITLE,
    TRIANGLE,
    Frame,
    Measure,
    axes_label,
    frame_of,
    tick_label,
)
from vesalius.diagrams.drawing.order import arrange
from vesalius.diagrams.drawing.place import positions
from vesalius.diagrams.drawing.regions import Regions, clash
from vesalius.diagrams.drawing.scene import (
    Box,
    Point,
    Region,
    Scene,
    Shape,
    Slab,
    Text,
    outline,
)
from vesalius.diagrams.drawing.sketch import Glyph, Sketch
from vesalius.diagrams.drawing.strings import Strings, level_ports
from vesalius.diagrams.drawing.text import SIZE, Label, Run, label_width, shortened
from vesalius.diagrams.expressions import size_text


def lay_out(
    sketch: Sketch,
    *,
    down: bool = False,
    tubes: bool = True,
    frame: Frame | None = None,
    legend: bool = False,
    note: str = "",
) -> Scene:
    """The scene of a sketch. `down` turns the flow.

    With a `frame` it is the inside of one: without the names of its interface, and with room
    for what the frame says.
    """
    made = Layout(sketch, down, tubes, frame).run()
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
        made.lines.append(Text((rounded(x), y), "start", label, AXES, "legend"))
        x += long + 18.0
    made.size = (rounded(wide), y + MARGIN)


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
        (
            Run(shortened(name, 20), "italic"),
            *([] if name == size else [Run(f" : {shortened(size_text(size), 24)}")]),
        )
        for name, size in found
    ] or [(Run("no axes"),)]


FORK = 14.0  # before a string branches


@dataclass
class Column:
    """A layer along the flow: room for ticks, for glyphs, for labels."""

    left: float = 0.0
    start: float = 0.0
    end: float = 0.0
    right: float = 0.0


class Layout:
    """A sketch being laid out; `run` gives the scene."""

    def __init__(self, sketch: Sketch, down: bool, tubes: bool, frame: Frame | None = None) -> None:
        self.sketch = sketch
        self.down = down
        self.with_tubes = tubes
        self.frame = frame
        self.graph: Layers = layered(sketch)
        self.inner = {
            k: lay_out(glyph.body, down=down, tubes=tubes, frame=frame_of(sketch, glyph))
            for k, glyph in enumerate(sketch.glyphs)
            if glyph.body is not None
        }
        self.measure = Measure(sketch, self.graph, self.inner, down, frame)
        self.columns: list[Column] = []
        self.place: list[float] = []
        self.tubes: list[tubes_.Tube] = []
        self.regions: list[tuple[list[Slab], Point]] = []
        self.sleeves: set[int] = set()

    def run(self) -> Scene:
        """Order, room, positions, and then everything where it stands."""
        self.measure.settle(arrange(self.graph))
        self.after: list[list[int]] = [[] for _ in self.graph.items]
        for e, edge in enumerate(self.graph.edges):
            self.after[edge.a].append(e)
        refused: set[tuple[int, ...]] = set()
        while True:
            if self.with_tubes:
                self.choose_tubes(refused)
            self.place = positions(self.graph, tubes_.rooms(self.tubes, self.graph))
            level_ports(self.graph, self.sketch, self.place)
            self.set_columns()
            found = Regions(self)
            self.regions = [found.region(t) for t in range(len(self.tubes))]
            bad = self.clashing()
            if bad is None:
                return self.result()
            refused.add(self.tubes[bad].classes)

    def clashing(self) -> int | None:
        """A tube whose region overlaps that of an earlier one without nesting in it."""
        for t, (slabs, _) in enumerate(self.regions):
            if any(clash(around, slabs) for around, _ in self.regions[:t]):
                return t
        return None

    def choose_tubes(self, refused: Collection[tuple[int, ...]]) -> None:
        """The tubes with regions; the largest that has none shows on its strings."""
        self.tubes = tubes_.chosen(self.sketch, self.graph, refused)
        self.sleeves.clear()
        shown = {c for tube in self.tubes for c in tube.classes}
        left = [t for t in tubes_.candidates(self.sketch, self.graph) if not shown & {*t.classes}]
        self.sleeves.update(left[0].classes if left else ())
        if self.down:
            for tube in self.tubes:
                tube.named = math.ceil(label_width(self.tube_label(tube), TICK)) + 8.0

    def tube_label(self, tube: tubes_.Tube) -> Label:
        return (Run(" ".join(tube.names), "italic"),)

    def set_columns(self) -> None:
        graph, glyphs = self.graph, self.sketch.glyphs
        self.columns = []
        at = 0.0
        for r, layer in enumerate(graph.layers):
            own = [graph.items[k].glyph for k in layer if graph.items[k].glyph >= 0]
            long = max((self.measure.spans[g][0] for g in own), default=0.0)
            labels = [
                label_width(axes_label(self.sketch, p.string), AXES)
                for g in own
                for p in glyphs[g].outs
            ]
            ticks = [
                label_width(tick_label(p), TICK)
                for g in own
                for p in self.measure.read[g]
                if p.tick
            ]
            column = Column(at)
            into = (18.0 if self.down else max(ticks) + 10) if ticks else 4.0
            wide = max(labels, default=0.0)
            forked = any(
                len(self.sketch.strings[p.string].targets) > 1 for g in own for p in glyphs[g].outs
            )
            out = (18.0 if self.down else wide + 12) if wide else FORK if forked else 6.0
            if self.frame is not None and r == 0:
                into = 0.0
            if r == len(graph.layers) - 1:
                out = 0.0
            column.start = at + into
            column.end = column.start + long
            column.right = column.end + out
            self.columns.append(column)
            at = column.right + self.gap(r)
        if self.frame is not None and not self.down:
            self.stretch(self.frame.titled - 2 * STUB)

    def stretch(self, least: float) -> None:
        """Move the columns apart until they are as long as that."""
        lack = least - self.columns[-1].right
        steps = max(len(self.columns) - 1, 1)
        for r, column in enumerate(self.columns if lack > 0 else ()):
            by = lack * r / steps
            column.left += by
            column.start += by
            column.end += by
            column.right += by

    def gap(self, r: int) -> float:
        """Room for the curves after a layer: more where they are steep."""
        if r + 1 >= len(self.graph.layers):
            return 0.0
        steep = 0.0
        for item in self.graph.layers[r]:
            for e in self.after[item]:
                a, b = self.ends(self.graph.edges[e])
                steep = max(steep, abs(a - b))
        # Ends are moved by a pixel or so later on, hence a little less steep than 4.
        return 14.0 if steep < 1 else max(min(26 + 0.28 * steep, 84.0), steep / 3.95)

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
        long = self.measure.spans[item.glyph][0]
        look = self.sketch.glyphs[item.glyph].look
        if look in ("input", *SOURCES):
            return column.end - long, column.end
        if look == "output":
            return column.start, column.start + long
        middle = (column.start + column.end) / 2
        return middle - long / 2, middle + long / 2

    def touch(self, k: int, port: float, after: bool) -> float:
        """Where a string meets the outline of item k, along the flow."""
        start, end = self.node_span(k)
        item = self.graph.items[k]
        if self.frame is not None and item.glyph >= 0:
            look = self.sketch.glyphs[item.glyph].look
            if look in ENDS:
                return end - STUB if look == "input" else start + STUB
        if self.down and not after and item.glyph in self.inner:
            return start + TITLE  # the name of the frame stands between
        if item.glyph >= 0 and self.sketch.glyphs[item.glyph].look in ("dot", "scalar"):
            across = self.measure.spans[item.glyph][1]
            radius = min(across, end - start) / 2
            over = abs(port) - (across / 2 - radius)
            if over > 0:
                dip = radius - math.sqrt(max(radius * radius - over * over, 0.0))
                return end - dip if after else start + dip
        return end if after else start

    def result(self) -> Scene:
        made = Scene(self.sketch.name, (0.0, 0.0), axes=self.sketch.axes, sizes=self.sketch.sizes)
        made.down = self.down
        before, after, start, end = self.bounds()
        self.shift = (-start, -before)
        made.origin = self.shift
        made.size = self.turn((end, after))
        for t, (slabs, text_at) in enumerate(self.regions):
            made.regions.append(self.finished(t, slabs, text_at))
        for k, item in enumerate(self.graph.items):
            if item.glyph >= 0:
                made.shapes.append(self.shape(k, item))
        made.shapes.sort(key=lambda shape: _number(shape.key))
        made.regions = [_named_in_the_clear(region, made.shapes) for region in made.regions]
        drawn = Strings(self)
        for s in range(len(self.sketch.strings)):
            made.wires.append(drawn.wire(s))
        for g in self.sketch.inputs:
            made.ins.append(self.place[g] - before)
        for g in self.sketch.outputs:
            made.outs.append(self.place[g] - before)
        return made

    def bounds(self) -> Box:
        """What the picture covers: before and after across, start and end along."""
        lo = min((y + i.lo for y, i in zip(self.place, self.graph.items, strict=True)), default=0.0)
        hi = max((y + i.hi for y, i in zip(self.place, self.graph.items, strict=True)), default=0.0)
        start, end = 0.0, self.columns[-1].right if self.columns else 0.0
        for slabs, _ in self.regions:
            for slab in slabs:
                lo, hi = min(lo, slab.a0, slab.a1), max(hi, slab.b0, slab.b1)
        edge = FRAME if self.frame is not None else MARGIN
        lo, hi = lo - edge, hi + edge
        if self.frame is not None and self.down and self.sketch.inputs:
            # The title stands beside the strings that come in: before them, or behind.
            first, last = (self.place[self.sketch.inputs[k]] for k in (0, -1))
            if first - lo < self.frame.titled:
                hi = max(hi, last + self.frame.titled)
        elif self.frame is not None and self.down:
            hi = max(hi, lo + self.frame.titled)
        edge = STUB if self.frame is not None else MARGIN
        start, end = start - edge, end + edge
        return lo, hi, start, end

    def turn(self, point: Point) -> Point:
        """From along and across to x and y."""
        u, v = point[0] + self.shift[0], point[1] + self.shift[1]
        return (rounded(v), rounded(u)) if self.down else (rounded(u), rounded(v))

    def shape(self, k: int, item: Item) -> Shape:
        glyph = self.sketch.glyphs[item.glyph]
        start, end = self.node_span(k)
        half = self.measure.spans[item.glyph][1] / 2
        one, two = self.turn((start, self.place[k] - half)), self.turn((end, self.place[k] + half))
        box = (one[0], one[1], two[0], two[1])
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        inner = self.inner.get(item.glyph)
        texts: list[Text] = []
        points: tuple[Point, ...] = ()
        if glyph.look == "frame":
            assert inner is not None
            inner.offset = (box[0], box[1] + TITLE)
            x = box[0] + 8
            if self.down and inner.ins and inner.ins[0] < frame_of(self.sketch, glyph).titled:
                x = box[0] + inner.ins[-1] + 8
            texts.append(Text((x, box[1] + 14), "start", glyph.label, AXES, "title"))
        elif glyph.look in ENDS:
            if glyph.label and not self.frame is not None:
                texts.append(self.end_text(glyph, box))
        elif glyph.look in SOURCES:
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
            glyph.key,
            glyph.look,
            box,
            tuple(texts),
            glyph.title,
            glyph.node,
            glyph.covers,
            learned,
            glyph.formula,
            inner,
            points,
        )

    def end_text(self, glyph: Glyph, box: Box) -> Text:
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        if self.down:
            y = box[1] + SIZE - 1 if glyph.look == "input" else box[3] - 3
            return Text((middle[0], y), "middle", glyph.label, SIZE, "name")
        if glyph.look == "input":
            return Text((box[2] - 6, middle[1] + 4), "end", glyph.label, SIZE, "name")
        return Text((box[0] + 6, middle[1] + 4), "start", glyph.label, SIZE, "name")

    def triangle(self, box: Box) -> tuple[Point, ...]:
        """Pointing against the flow: a state, in the usual reading."""
        left, top, right, bottom = box
        if self.down:
            x = (left + right) / 2
            return ((x, bottom - TRIANGLE), (x + 9, bottom), (x - 9, bottom))
        y = (top + bottom) / 2
        return ((right - TRIANGLE, y), (right, y - 9), (right, y + 9))

    def finished(self, t: int, slabs: list[Slab], at: Point) -> Region:
        tube = self.tubes[t]
        label = self.tube_label(tube)
        if self.down:
            x, y = self.turn((at[0] + 12, at[1] + 5))
        else:
            x, y = self.turn((at[0] + 4, at[1] + 11))
        sizes = ", ".join(f"{self.sketch.axes[c]}: {self.sketch.sizes[c]}" for c in tube.classes)
        return Region(
            f"tube-{'-'.join(tube.names)}-{t}",
            outline(slabs, self.turn, self.down),
            tube.classes,
            tube.depth,
            f"tube over {sizes}",
            Text((x, y), "start", label, TICK, "tube"),
            tuple(slabs),
        )


def _named_in_the_clear(region: Region, shapes: Sequence[Shape]) -> Region:
    """The region with its name behind whatever shape would cover it."""
    text = region.text
    for shape in shapes:
        if text is None or shape.inner is not None:
            continue
        left, top, right, bottom = text.box
        over = min(right, shape.box[2]) > max(left, shape.box[0])
        if over and min(bottom, shape.box[3]) > max(top, shape.box[1]):
            text = replace(text, at=(rounded(shape.box[2] + 4), text.at[1]))
    return replace(region, text=text)


def _number(key: str) -> tuple[int, int]:
    kind, _, number = key.partition("-")
    return ({"input": 0, "box": 1, "output": 2}[kind], int(number))


def rounded(x: float) -> float:
    """A length to a tenth of a pixel."""
    return round(x * 10) / 10
