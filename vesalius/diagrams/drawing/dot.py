"""The graph in the language of Graphviz, written by the `graphviz` package.

For people who have tools for that language; the layout and the look are then Graphviz's.
"""

from __future__ import annotations

from vesalius.diagrams.drawing.sketch import sketch
from vesalius.diagrams.drawing.text import plain
from vesalius.diagrams.graph import Diagram

_SHAPES = {
    "input": "plaintext",
    "output": "plaintext",
    "dot": "ellipse",
    "scalar": "ellipse",
    "parameter": "triangle",
    "constant": "triangle",
    "random": "triangle",
    "folded": "box3d",
}


def dot(diagram: Diagram, direction: str = "right") -> str:
    """The glyphs of a diagram as nodes, its strings as edges with their axes."""
    import graphviz

    drawn = sketch(diagram, labels="all")
    graph = graphviz.Digraph(_plain(diagram.name))
    graph.attr(rankdir="LR" if direction == "right" else "TB")
    graph.attr("node", fontname="Helvetica", shape="box")
    graph.attr("edge", fontname="Helvetica", fontsize="10", arrowsize="0.6")
    for glyph in drawn.glyphs:
        dark = {"style": "filled", "fillcolor": "#26384f", "fontcolor": "white"}
        graph.node(
            glyph.key,
            label=graphviz.escape(plain(glyph.label) or glyph.name),
            tooltip=graphviz.escape(glyph.title),
            shape=_SHAPES.get(glyph.look, "box"),
            **(dark if glyph.look == "dark" else {}),
        )
    for string in drawn.strings:
        source = drawn.glyphs[string.source[0]].key
        for target, port in string.targets:
            glyph = drawn.glyphs[target]
            graph.edge(
                source,
                glyph.key,
                label=graphviz.escape(string.label),
                taillabel="",
                headlabel=graphviz.escape(glyph.ins[port].tick),
            )
    return str(graph.source)


def _plain(name: str) -> str:
    return name or "diagram"
