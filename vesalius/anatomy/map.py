"""The taxonomy as a map: mechanisms as boxes, derivations as strings with their grades.

Graphviz places boxes and strings, from sizes that our width table gives; the ink is that of the
diagrams. An arrow points where its derivation leads. A derivation with a `variant` step is dashed.
Where a derivation goes up to a family with open slots and down again, the family stands between its
ends, as a box for all the mechanisms that it holds. Mechanisms to which no derivation leads stand
in rows below.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot
from pathlib import Path as File

from vesalius.anatomy.mechanism import CATALOGUE
from vesalius.anatomy.taxonomy import Edge, Reached, edges, families, mechanisms, reached
from vesalius.diagrams.drawing.picture import Options, written
from vesalius.diagrams.drawing.scene import Box, Path, Piece, Point, Scene, Shape, Text, Wire
from vesalius.diagrams.drawing.svg import Panel, panels, style
from vesalius.diagrams.drawing.text import SIZE, Run, label_width, width
from vesalius.rewrite.film import sign
from vesalius.rewrite.grade import GRADES

HIGH, PAD, SMALL = 30.0, 12.0, 10.5
MARGIN, GAP = 16.0, 14.0
HEAD = 7.0  # pixels: an arrow's
LEGEND = (
    "An arrow leads from more functions to fewer by ⊒, from fewer to more by ⊑. A dark box is a "
    "family: attention with learners in these slots, which holds what leads up to it and what it "
    "leads down to."
)


@dataclass(frozen=True)
class Map:
    """The map: shows itself in a notebook, and is written by `save`."""

    options: Options

    @cached_property
    def edges(self) -> list[Edge]:
        """The edges between different mechanisms."""
        return [edge for edge in edges() if edge.start.mechanism != edge.end.mechanism]

    @cached_property
    def reached(self) -> Reached:
        """What reaches softmax attention."""
        return reached()

    @cached_property
    def scene(self) -> Scene:
        """Where everything is."""
        return _scene(self.edges)

    def svg(self) -> str:
        """One SVG document."""
        varying = frozenset(f"e{k}" for k, edge in enumerate(self.edges) if edge.varies)
        panel = Panel(self.scene, (0.0, 0.0), varying)
        return panels([panel], (), self.scene.size, theme=self.options.theme, name="taxonomy")

    def html(self) -> str:
        """A page that needs no network: the map, each derivation, and what stands in the way."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            "<title>The taxonomy of attention</title>\n"
            f"<style>{style(self.options.theme)}{PAGE}</style></head><body>\n"
            f"<h1>The taxonomy of attention</h1>\n<p>{html.escape(str(self.reached))}</p>\n"
            f"{self.svg()}\n<table>{''.join(self._rows())}</table>\n</body></html>\n"
        )

    def _rows(self) -> Iterator[str]:
        def row(cells: Sequence[str], tag: str = "td") -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells)}</tr>\n"

        yield row(("derivation", "from", "to", "grade"), "th")
        for edge in self.edges:
            yield row((edge.name, str(edge.start), str(edge.end), str(edge.grade)))
        yield row(("not reached", "", "", "why"), "th")
        for name, why in self.reached.obstructions.items():
            yield row((name, "", "", why))

    def save(self, file: str | File) -> File:
        """Write the map; the ending says what: `.svg` or `.html`."""
        return written(File(file), {".svg": self.svg, ".html": self.html})

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>'


PAGE = """
body { font: 14px Helvetica, Arial, sans-serif; margin: 24px; }
svg { max-width: 100%; height: auto; }
.wire:hover path { stroke-width: 3 !important; } .wire:hover text { font-weight: bold; }
table { border-collapse: collapse; margin-top: 20px; }
td, th { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid #dfe9f6; }
"""


def draw(file: str | File | None = None, *, theme: str = "light") -> Map:
    """The map of the taxonomy; with `file` also write it (`.svg` or `.html`)."""
    found = Map(Options(theme=theme))
    if file is not None:
        found.save(file)
    return found


# -- where everything stands ----------------------------------------------------------------------


def _wide(name: str) -> float:
    return width(_shown(name), "sans", SIZE) + 2 * PAD


@dataclass(frozen=True)
class Link:
    """A string of the map: between two mechanisms, or between one and a family."""

    start: str
    end: str
    text: str
    title: str


def _links(drawn: Sequence[Edge]) -> tuple[list[Link], dict[str, str]]:
    """The strings, one for each edge and then one from each family; the families' descriptions.

    A family is known by its slots and by the mechanism that it leads to.
    """
    links: list[Link] = []
    downs: dict[str, Link] = {}
    for edge in drawn:
        a, b = edge.start.mechanism, edge.end.mechanism
        title = (
            f"{edge.name}: {edge.start} → {edge.end}, {edge.grade}\n{len(edge.derivation)} steps"
        )
        if edge.family is None:
            name = "siblings" if edge.grade.name == "variant" and not edge.varies else ""
            text = f"{name or edge.grade.name} {sign(edge.grade)}"
            links.append(Link(a, b, text, title))
            continue
        family = f"{edge.family.name} → {b}"
        links.append(Link(a, family, _graded("generalises"), title))
        downs[family] = Link(
            family, b, _graded("reduces"), f"{edge.family.name}: {b} is one of them"
        )
    held = {
        f"{name} → {end}": f"holds {', '.join(edge.start.mechanism for edge in members)}"
        for (name, end), members in families().items()
    }
    return [*links, *downs.values()], held


def _graded(name: str) -> str:
    return f"{name} {sign(GRADES[name])}"


def _scene(drawn: Sequence[Edge]) -> Scene:
    links, held = _links(drawn)
    linked = dict.fromkeys(name for link in links for name in (link.start, link.end))
    boxes, strings, (wide, high) = _laid(list(linked), links)
    wires = [_string(k, link, *strings[k]) for k, link in enumerate(links)]
    alone = [name for name in mechanisms() if name not in linked]
    wide = max([wide, 800.0, *(_wide(name) + 2 * MARGIN for name in alone)])
    lines = [Text((MARGIN, high + GAP), "start", (Run(LEGEND),), 12.0, "legend")]
    if alone:
        high += 2 * GAP
        said = (Run("no derivation has been written to or from"),)
        lines.append(Text((MARGIN, high + GAP), "start", said, 12.0, "legend"))
    x, y = MARGIN, high + 2 * GAP
    for name in alone:
        if x + _wide(name) > wide - MARGIN:
            x, y = MARGIN, y + HIGH + GAP
        boxes[name] = (x, y, x + _wide(name), y + HIGH)
        x += _wide(name) + GAP
    high = y + HIGH + MARGIN if alone else high + 2 * GAP
    shapes = [_shape(k, name, box, held.get(name)) for k, (name, box) in enumerate(boxes.items())]
    return Scene("taxonomy", (wide, high), shapes, wires, lines=lines)


def _shape(k: int, name: str, box: Box, family: str | None) -> Shape:
    left, top, right, bottom = box
    at = ((left + right) / 2, (top + bottom) / 2 + 4.5)
    text = Text(at, "middle", (Run(_shown(name)),), SIZE, "label")
    if family is not None:
        return Shape(f"f{k}", "box", box, (text,), f"{name}\n{family}", -1, frozenset(), True)
    mechanism = CATALOGUE[name]
    title = f"{mechanism.title}\n{mechanism.formula}"
    return Shape(f"m{k}", "folded", box, (text,), title, -1, frozenset())


def _shown(name: str) -> str:
    return name.partition(" → ")[0]


def _string(k: int, link: Link, path: Path, at: Point) -> Wire:
    text = Text(at, "middle", (Run(link.text),), SMALL, "tick")
    return Wire(f"e{k}", path, (), link.title, (text,), (), _head(path), (), k, ())


def _head(path: Path) -> tuple[tuple[Point, Point], ...]:
    """The two strokes of an arrow's head, at the end of a path."""
    *before, x, y = path[-1][1]
    x0, y0 = before[-2:] if before else path[-2][1][-2:]
    length = hypot(x - x0, y - y0) or 1.0
    u, v = (x0 - x) / length * HEAD, (y0 - y) / length * HEAD
    return tuple(
        ((x, y), (x + u + turn * v * 0.55, y + v - turn * u * 0.55)) for turn in (1.0, -1.0)
    )


def _laid(
    names: Sequence[str], drawn: Sequence[Link]
) -> tuple[dict[str, Box], list[tuple[Path, Point]], Point]:
    """The boxes, the path and the place of the text of each edge, and the size of all."""
    import pygraphviz

    graph = pygraphviz.AGraph(string=_dot(names, drawn))
    graph.layout("dot")
    _, _, wide, high = (float(x) for x in graph.graph_attr["bb"].split(","))

    def point(text: str) -> Point:
        x, y = (float(c) for c in text.split(","))
        return (x + MARGIN, high - y + MARGIN)

    boxes = {}
    for k, name in enumerate(names):
        x, y = point(graph.get_node(f"n{k}").attr["pos"])
        half = _wide(name) / 2
        boxes[name] = (x - half, y - HIGH / 2, x + half, y + HIGH / 2)
    strings: list[tuple[Path, Point]] = []
    for k, link in enumerate(drawn):
        a, b = names.index(link.start), names.index(link.end)
        attributes = graph.get_edge(f"n{a}", f"n{b}", f"e{k}").attr
        points = [point(text) for text in attributes["pos"].split()]
        pieces: list[Piece] = [("M", points[0])]
        for three in zip(points[1::3], points[2::3], points[3::3], strict=True):
            pieces.append(("C", tuple(c for p in three for c in p)))
        x, y = point(attributes["lp"])
        strings.append((tuple(pieces), (x, y + SMALL / 3)))
    graph.close()
    return boxes, strings, (wide + 2 * MARGIN, high + 2 * MARGIN)


def _dot(names: Sequence[str], drawn: Sequence[Link]) -> str:
    lines = [
        "digraph {",
        "graph [rankdir=LR, nodesep=0.22, ranksep=0.35, splines=true];",
        'node [shape=box, fixedsize=true, label=""];',
        "edge [arrowhead=none];",
    ]
    for k, name in enumerate(names):
        lines.append(f"n{k} [width={_wide(name) / 72:.4f}, height={HIGH / 72:.4f}];")
    for k, link in enumerate(drawn):
        a, b = names.index(link.start), names.index(link.end)
        room = round(label_width((Run(link.text),), SMALL)) + 6
        cell = f'<TD FIXEDSIZE="TRUE" WIDTH="{room}" HEIGHT="14"></TD>'
        table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0"><TR>{cell}</TR></TABLE>'
        lines.append(f"n{a} -> n{b} [key=e{k}, label=<{table}>];")
    lines.append("}")
    return "\n".join(lines)
