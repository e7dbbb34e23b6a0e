"""The picture as pure data: where every box, string, dot, tube and text is.

The backends (SVG, TikZ, HTML) only write it down. Lengths are pixels; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vesalius.diagrams.drawing.text import Label, label_width, run_size

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Text:
    """A line of text: `at` is its anchor (`start`, `middle`, `end`) on the baseline."""

    at: Point
    anchor: str
    label: Label
    size: float
    role: str  # `label`, `axes`, `tick`, `name`, `tube`, `title`, `legend`, `sign`

    @property
    def box(self) -> Box:
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
    box: Box
    texts: tuple[Text, ...]
    title: str
    node: int
    covers: frozenset[int]  # the nodes that are drawn as this shape
    learned: bool = False
    formula: str = ""  # where it is not that of the node's kind
    inner: Scene | None = None
    points: tuple[Point, ...] = ()  # of a triangle


# A path is a list of pieces: a start (2 numbers), lines (2) and curves (6 numbers).
Piece = tuple[str, tuple[float, ...]]
Path = tuple[Piece, ...]


class Anchor(NamedTuple):
    """A point that a string goes through, and what moves it when a box is opened.

    `command` is `M` (start), `L` (straight to here) or `C` (a string's curve to here). `owner`
    is the key of the glyph whose port (`side` in or out, number `port`) it is level with;
    `edge` says that it lies on the outline of that glyph.
    """

    command: str
    at: Point
    owner: str = ""
    side: str = ""
    port: int = -1
    edge: bool = False


class Slab(NamedTuple):
    """A piece of a region: from u0 to u1 along the flow, a to b across at either end.

    `first` and `last` are the keys of the glyphs at whose outlines it starts and ends.
    """

    u0: float
    u1: float
    a0: float
    b0: float
    a1: float
    b1: float
    first: str = ""
    last: str = ""


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
    anchors: tuple[Anchor, ...] = ()


@dataclass(frozen=True)
class Region:
    """A tube: one path of pieces that overlap; filled as a whole."""

    key: str
    path: Path
    axes: tuple[int, ...]
    depth: int
    title: str
    text: Text | None
    slabs: tuple[Slab, ...]


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
    origin: Point = (0.0, 0.0)  # what takes along and across of slabs to the picture
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


def curve(start: Point, end: Point, down: bool) -> Piece:
    """A string from one height to another, level at both ends."""
    (x0, y0), (x1, y1) = start, end
    if abs(x1 - x0 if down else y1 - y0) < 0.25:
        return ("L", end)
    if down:
        bend = (y1 - y0) * 0.5
        return ("C", (x0, y0 + bend, x1, y1 - bend, x1, y1))
    bend = (x1 - x0) * 0.5
    return ("C", (x0 + bend, y0, x1 - bend, y1, x1, y1))


def through(anchors: Sequence[Anchor], down: bool) -> Path:
    """The path of a string through its anchors; level pieces in a row become one."""
    across = 0 if down else 1
    found: list[Piece] = []
    here = (0.0, 0.0)
    for anchor in anchors:
        piece: Piece = (anchor.command, anchor.at)
        if anchor.command == "C":
            piece = curve(here, anchor.at, down)
        level = piece[0] == "L" and len(found) > 1 and found[-1][0] == "L"
        if level and found[-1][1][across] == anchor.at[across] == found[-2][1][across - 2]:
            found[-1] = piece
        else:
            found.append(piece)
        here = anchor.at
    return tuple(found)


def outline(slabs: Sequence[Slab], turn: Callable[[Point], Point], down: bool) -> Path:
    """The path around slabs, one after the other; they overlap and are filled together."""
    found: list[Piece] = []
    for slab in slabs:
        corners = [(slab.u0, slab.a0), (slab.u1, slab.a1), (slab.u1, slab.b1), (slab.u0, slab.b0)]
        a, b, c, d = (turn(corner) for corner in corners)
        found += [("M", a), curve(a, b, down), ("L", c), curve(c, d, down), ("Z", ())]
    return tuple(found)
