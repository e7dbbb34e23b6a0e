"""Which axes are drawn as tubes: shaded regions in which no box binds the axis.

Regions that would overlap without nesting, as the query and key axes of attention do, are
resolved to the larger one; the other shows on its wires alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from vesalius.diagrams.drawing.layers import Layers
from vesalius.diagrams.drawing.sketch import Sketch

BEFORE = 16.0  # room for the name of the axis, at the side where a region is named
AFTER = 8.0


@dataclass
class Tube:
    """A region: glyphs that are mapped over its axes, edges that carry them."""

    classes: tuple[int, ...]
    names: tuple[str, ...]
    glyphs: frozenset[int]
    edges: frozenset[int]
    parent: int = -1
    depth: int = 0
    named: float = BEFORE  # room for its name
    members: frozenset[int] = field(default_factory=frozenset)


def candidates(sketch: Sketch, graph: Layers) -> list[Tube]:
    """The region of every class of axes that some glyph is mapped over; largest first."""
    glyphs: defaultdict[int, set[int]] = defaultdict(set)
    edges: defaultdict[int, set[int]] = defaultdict(set)
    for k, glyph in enumerate(sketch.glyphs):
        for c in glyph.through:
            glyphs[c].add(k)
    for e, edge in enumerate(graph.edges):
        for c in sketch.strings[edge.string].classes:
            edges[c].add(e)
    same: defaultdict[tuple[frozenset[int], frozenset[int]], list[int]] = defaultdict(list)
    for c in sorted(glyphs):
        same[frozenset(glyphs[c]), frozenset(edges[c])].append(c)
    found = [
        Tube(tuple(cs), tuple(dict.fromkeys(sketch.axes[c] for c in cs)), g, e)
        for (g, e), cs in same.items()
    ]
    reached = {c for k in sketch.outputs for port in sketch.glyphs[k].ins for c in port.classes}
    least = min(2, sum(glyph.node >= 0 for glyph in sketch.glyphs))
    found = [t for t in found if len(t.glyphs) >= least and _tells(t, sketch)]
    found.sort(
        key=lambda tube: (
            -len(tube.glyphs),
            reached.isdisjoint(tube.classes),
            -len(tube.edges),
            tube.classes,
        )
    )
    return found


def _tells(tube: Tube, sketch: Sketch) -> bool:
    """Entry by entry, everything is mapped over everything: other boxes make it worth saying."""
    for k in tube.glyphs:
        glyph = sketch.glyphs[k]
        if glyph.bound or glyph.look in ("dark", "folded", "frame"):
            return True
    return False


def chosen(sketch: Sketch, graph: Layers, refused: Collection[tuple[int, ...]] = ()) -> list[Tube]:
    """The tubes that are drawn, outer before inner; `parent` is the next one around.

    `refused` are the axes of tubes whose regions were found to overlap others.
    """
    place = {item: k for layer in graph.layers for k, item in enumerate(layer)}
    kept: list[Tube] = []
    for tube in candidates(sketch, graph):
        if tube.classes in refused:
            continue
        nests = all(_nests(tube, other, graph, place) for other in kept)
        if nests and _tangles(tube, graph, place) <= max(1, len(tube.glyphs) // 3):
            around = [k for k, other in enumerate(kept) if _inside(tube, other)]
            tube.parent = around[-1] if around else -1
            tube.depth = kept[tube.parent].depth + 1 if around else 0
            kept.append(tube)
    for tube in kept:
        tube.members = _members(tube, sketch, graph)
    return kept


def _tangles(tube: Tube, graph: Layers, place: dict[int, int]) -> int:
    """How often strings of a region cross strings that are none of it: its border would be rag."""
    by_layer: defaultdict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    for e, edge in enumerate(graph.edges):
        layer = graph.items[edge.a].layer
        by_layer[layer].append((place[edge.a], place[edge.b], e in tube.edges))
    return sum(
        (a - a2) * (b - b2) < 0
        for edges in by_layer.values()
        for a, b, own in edges
        if own
        for a2, b2, other in edges
        if not other
    )


def _inside(inner: Tube, outer: Tube) -> bool:
    return inner.glyphs <= outer.glyphs and inner.edges <= outer.edges


def _nests(small: Tube, large: Tube, graph: Layers, place: dict[int, int]) -> bool:
    if _inside(small, large):
        return True
    if small.glyphs & large.glyphs or small.edges & large.edges:
        return False
    return not _cross(small, large, graph, place)


def _cross(one: Tube, other: Tube, graph: Layers, place: dict[int, int]) -> bool:
    """Whether an edge of one region crosses an edge of the other."""
    by_layer: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for e in other.edges:
        edge = graph.edges[e]
        by_layer[graph.items[edge.a].layer].append((place[edge.a], place[edge.b]))
    for e in one.edges:
        edge = graph.edges[e]
        a, b = place[edge.a], place[edge.b]
        for a2, b2 in by_layer[graph.items[edge.a].layer]:
            if (a - a2) * (b - b2) <= 0:
                return True
    return False


def _members(tube: Tube, sketch: Sketch, graph: Layers) -> frozenset[int]:
    """The items at which the region is: inside it, or at an end of one of its edges."""
    found = {k for k, item in enumerate(graph.items) if item.glyph in tube.glyphs}
    for e in tube.edges:
        found |= {graph.edges[e].a, graph.edges[e].b}
    return frozenset(found)


def before(tubes: Sequence[Tube], t: int, k: int) -> float:
    """How far tube t reaches before item k: over the tubes inside it that hold the item too."""
    inner = [u for u, tube in enumerate(tubes) if tube.parent == t and k in tube.members]
    return tubes[t].named + max((before(tubes, u, k) for u in inner), default=0.0)


def after(tubes: Sequence[Tube], t: int, k: int) -> float:
    """How far tube t reaches behind item k."""
    inner = [u for u, tube in enumerate(tubes) if tube.parent == t and k in tube.members]
    return AFTER + max((after(tubes, u, k) for u in inner), default=0.0)


def rooms(tubes: Sequence[Tube], graph: Layers) -> list[tuple[float, float]]:
    """The room that each item needs before and after it for the borders between neighbours."""
    found = [(0.0, 0.0)] * len(graph.items)
    for layer in graph.layers:
        for upper, lower in pairwise(layer):
            above = {t for t, tube in enumerate(tubes) if upper in tube.members}
            below = {t for t, tube in enumerate(tubes) if lower in tube.members}
            ending = max((after(tubes, t, upper) for t in above - below), default=0.0)
            starting = max((before(tubes, t, lower) for t in below - above), default=0.0)
            found[upper] = (found[upper][0], ending)
            found[lower] = (starting, found[lower][1])
    return found
