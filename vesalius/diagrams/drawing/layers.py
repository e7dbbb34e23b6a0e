"""From a sketch to layers: every glyph gets a rank, every long string a way through the ranks.

A string that is read at several ranks runs as one trunk and branches where it is read, so a
mask that twelve layers read is one line with twelve dots and not twelve lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vesalius.diagrams.drawing.sketch import Sketch


@dataclass
class Item:
    """A place in a layer: a glyph, or (with `glyph` −1) a string on its way.

    `lo` and `hi` are its extent across the flow relative to its centre; `ins` and `outs` are
    where its ports are, likewise.
    """

    layer: int
    glyph: int
    string: int = -1
    lo: float = 0.0
    hi: float = 0.0
    ins: list[float] = field(default_factory=list)
    outs: list[float] = field(default_factory=list)
    free: bool = False


@dataclass(frozen=True)
class Edge:
    """A piece of a string between neighbouring layers; ports are −1 at items on the way."""

    string: int
    a: int
    out: int
    b: int
    into: int


@dataclass
class Layers:
    """Items, the layers that hold them in order, and the edges between layers."""

    items: list[Item]
    layers: list[list[int]]
    edges: list[Edge]
    inputs: list[int]
    outputs: list[int]


def ranks(sketch: Sketch) -> list[int]:
    """A rank for each glyph: as early as possible; what depends on no input, as late."""
    glyphs, strings = sketch.glyphs, sketch.strings
    rank = [0] * len(glyphs)
    floating = [False] * len(glyphs)
    for k, glyph in enumerate(glyphs):
        sources = [strings[port.string].source[0] for port in glyph.ins]
        floating[k] = glyph.look != "input" and all(floating[g] for g in sources)
        rank[k] = max((rank[g] + 1 for g in sources), default=0)
    last = max((rank[k] for k in range(len(glyphs)) if not floating[k]), default=0)
    for k in sketch.outputs:
        last = max(last, rank[k])
    for k in sketch.outputs:
        rank[k] = max(last, 1)
    for k in range(len(glyphs) - 1, -1, -1):
        if floating[k] and glyphs[k].look != "output":
            reads = [rank[g] for port in glyphs[k].outs for g, _ in strings[port.string].targets]
            rank[k] = min(reads, default=rank[k] + 1) - 1
    least = min(rank, default=0)
    if least < 0:
        rank = [0 if glyphs[k].look == "input" else value - least for k, value in enumerate(rank)]
    return rank


def layered(sketch: Sketch) -> Layers:
    """The items of a sketch in layers, in the order of the sketch."""
    rank = ranks(sketch)
    depth = max(rank, default=0) + 1
    layers: list[list[int]] = [[] for _ in range(depth)]
    items: list[Item] = []
    edges: list[Edge] = []
    for k, glyph in enumerate(sketch.glyphs):
        layers[rank[k]].append(len(items))
        items.append(Item(rank[k], k, free=glyph.free))
    for s, string in enumerate(sketch.strings):
        source, out = string.source
        targets = sorted(string.targets, key=lambda target: rank[target[0]])
        here, port = source, out
        at = rank[source]
        for target, into in targets:
            while at < rank[target] - 1:
                at += 1
                way = len(items)
                layers[at].append(way)
                items.append(Item(at, -1, s))
                edges.append(Edge(s, here, port, way, -1))
                here, port = way, -1
            edges.append(Edge(s, here, port, target, into))
    inputs = list(sketch.inputs)
    return Layers(items, layers, edges, inputs, list(sketch.outputs))
