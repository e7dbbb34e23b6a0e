"""Coordinates across the flow, by Graphviz: straight strings first, then short ones.

Graphviz gets the layers with their order, the sizes of all items and the places of all ports,
and solves for the positions with its network simplex. It sees no text, so no font.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vesalius.diagrams.drawing.layers import Item, Layers
from vesalius.diagrams.drawing.straighten import straighten

GAP = 6  # between neighbours, beyond their extents
# How much straightness is worth: on the way, from one glyph to the next, elsewhere.
WAY, CHAIN, REST = 24, 8, 3


def positions(graph: Layers, extra: Sequence[tuple[float, float]]) -> list[float]:
    """The centre of each item; `extra[i]` is room that item i wants before and after it."""
    import pygraphviz

    middles = [_middle(item, room) for item, room in zip(graph.items, extra, strict=True)]
    drawing = pygraphviz.AGraph(string=_dot(graph, extra, middles))
    drawing.layout("dot")
    found = []
    for k in range(len(graph.items)):
        x = float(drawing.get_node(f"n{k}").attr["pos"].partition(",")[0])
        found.append(x - middles[k])
    drawing.close()
    least = min((y + item.lo for y, item in zip(found, graph.items, strict=True)), default=0.0)
    place = [float(round(y - least)) for y in found]
    straighten(graph, place, extra, GAP)
    return place


def _middle(item: Item, room: tuple[float, float]) -> float:
    """The middle of the space that an item takes, relative to its centre."""
    return (item.lo - room[0] + item.hi + room[1]) / 2


def _dot(graph: Layers, extra: Sequence[tuple[float, float]], middles: Sequence[float]) -> str:
    lines = [
        "digraph {",
        f"graph [splines=false, nodesep={GAP / 72}, ranksep=0.2, nslimit={_patience(graph)}];",
        'node [shape=box, fixedsize=true, label="", height=0.1, margin=0];',
        "edge [arrowhead=none];",
    ]
    for k, item in enumerate(graph.items):
        span = item.hi - item.lo + sum(extra[k])
        ports = [*item.ins, *item.outs]
        if all(port == middles[k] for port in ports):
            lines.append(f"n{k} [width={span / 72:.5f}];")
        else:
            start = item.lo - extra[k][0]
            cells = _cells([port - start for port in ports], span)
            lines.append(f"n{k} [shape=plain, fixedsize=false, label=<{cells}>];")
    for layer in graph.layers:
        names = [f"n{k}" for k in layer]
        chain = " -> ".join(names)
        lines.append(f"{{rank=same; {chain}{' [style=invis]' if len(names) > 1 else ''}}}")
    for left, right in zip(graph.layers, graph.layers[1:], strict=False):
        lines.append(f"n{left[0]} -> n{right[0]} [weight=0, style=invis];")
    leaving = Counter(edge.a for edge in graph.edges)
    arriving = Counter(edge.b for edge in graph.edges)
    for edge in graph.edges:
        a, b = graph.items[edge.a], graph.items[edge.b]
        alone = leaving[edge.a] == 1 and arriving[edge.b] == 1
        weight = WAY if a.glyph < 0 and b.glyph < 0 else CHAIN if alone else REST
        tail = _port(edge.a, a, 0 if edge.out < 0 else a.outs[edge.out], middles[edge.a], extra)
        head = _port(edge.b, b, 0 if edge.into < 0 else b.ins[edge.into], middles[edge.b], extra)
        lines.append(f"{tail} -> {head} [weight={weight}];")
    lines.append("}")
    return "\n".join(lines)


def _patience(graph: Layers) -> int:
    """Rounds of the network simplex for each item: enough for an optimum, or for a picture."""
    return 40 if len(graph.items) <= 800 else 2


def _port(
    name: int, item: Item, port: float, middle: float, extra: Sequence[tuple[float, float]]
) -> str:
    if all(other == middle for other in (*item.ins, *item.outs)):
        return f"n{name}"
    return f"n{name}:p{round(port - item.lo + extra[name][0])}"


def _cells(ports: Sequence[float], span: float) -> str:
    """A table of one row with a cell around each port, and cells between them."""
    row = []
    at = 0
    for port in sorted({round(port) for port in ports}):
        if port - 1 > at:
            row.append(_cell("", port - 1 - at))
        row.append(_cell(f' PORT="p{port}"', 2))
        at = port + 1
    if round(span) > at:
        row.append(_cell("", round(span) - at))
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'
        f"<TR>{''.join(row)}</TR></TABLE>"
    )


def _cell(port: str, width: int) -> str:
    return f'<TD{port} FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="6"></TD>'
