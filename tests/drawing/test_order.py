"""Crossings: counted right, and minimal for small diagrams."""

from itertools import pairwise, permutations

import pytest
from drawing_samples import OWN, SHIPPED, SMALL, random_diagram

import vesalius as vs
from vesalius.diagrams.drawing.layers import Layers, layered
from vesalius.diagrams.drawing.layout import Layout
from vesalius.diagrams.drawing.order import arrange, crossings
from vesalius.diagrams.drawing.sketch import sketch


def prepared(diagram: vs.Diagram) -> Layers:
    """Layers in the order of the sketch, with ports."""
    drawn = sketch(diagram)
    graph = layered(drawn)
    for item in graph.items:
        if item.glyph >= 0:
            item.ins = [0.0] * len(drawn.glyphs[item.glyph].ins)
            item.outs = [0.0] * len(drawn.glyphs[item.glyph].outs)
    return graph


def counted(graph: Layers) -> int:
    """Crossings by their definition: pairs of edges whose ends are in opposite orders."""
    place = {item: k for layer in graph.layers for k, item in enumerate(layer)}
    total = 0
    for k, one in enumerate(graph.edges):
        for other in graph.edges[k + 1 :]:
            if graph.items[one.a].layer != graph.items[other.a].layer:
                continue
            starts = [(place[e.a], e.out) for e in (one, other)]
            ends = [(place[e.b], 0 if graph.items[e.b].free else e.into) for e in (one, other)]
            total += (starts[0] < starts[1] and ends[0] > ends[1]) or (
                starts[0] > starts[1] and ends[0] < ends[1]
            )
    return total


def least(graph: Layers) -> int | None:
    """The fewest crossings of all orders; layer by layer, as only neighbours cross."""
    fixed = {item: k for k, item in enumerate([*graph.inputs, *graph.outputs])}

    def orders(layer: list[int]) -> list[tuple[int, ...]]:
        still = [item for item in layer if item in fixed]
        return [o for o in permutations(layer) if [i for i in o if i in fixed] == still]

    if max(len(layer) for layer in graph.layers) > 6:
        return None
    best: dict[tuple[int, ...], int] = dict.fromkeys(orders(graph.layers[0]), 0)
    for r in range(1, len(graph.layers)):
        edges = [e for e in graph.edges if graph.items[e.b].layer == r]
        found: dict[tuple[int, ...], int] = {}
        for order in orders(graph.layers[r]):
            for before, cost in best.items():
                if order in found and cost >= found[order]:
                    continue
                here = between(graph, edges, before, order)
                found[order] = min(found.get(order, cost + here), cost + here)
        best = found
    return min(best.values())


def between(graph: Layers, edges: list, left: tuple[int, ...], right: tuple[int, ...]) -> int:
    ends = sorted(
        (
            (left.index(e.a), e.out),
            (right.index(e.b), 0 if graph.items[e.b].free else e.into),
        )
        for e in edges
    )
    return sum(
        ends[i][0] < ends[j][0] and ends[i][1] > ends[j][1]
        for j in range(len(ends))
        for i in range(j)
    )


@pytest.mark.parametrize("diagram", [*OWN, *SMALL], ids=lambda d: d.name)
def test_crossings_are_counted_by_definition(diagram: vs.Diagram) -> None:
    graph = prepared(diagram)
    assert crossings(graph) == counted(graph)
    arrange(graph)
    assert crossings(graph) == counted(graph)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_crossings_are_minimal_for_small_diagrams(seed: int) -> None:
    diagram = random_diagram(1000 + seed, 3 + seed % 9)
    graph = prepared(diagram)
    bound = least(graph)
    assert bound is not None, "a layer of more than six items: too large for this test"
    arrange(graph)
    assert counted(graph) == bound


WIDE = [
    "based",
    "big_bird",
    "cosformer",
    "entmax",
    "flash",
    "gated_delta_net",
    "gau",
    "hyena",
    "indexed",
    "latent",
    "longformer",
    "mamba2",
    "mega",
    "native_sparse",
    "nystromformer",
    "retnet",
    "rfa",
    "rfa_gated",
    "rope",
    "rwkv",
    "sinkhorn",
    "slot_attention",
]
"""Those with a layer of more than six items, which has too many orders to try."""


@pytest.mark.parametrize("diagram", [*OWN, *SHIPPED], ids=lambda d: d.name)
def test_crossings_are_minimal_for_what_we_show(diagram: vs.Diagram) -> None:
    graph = prepared(diagram)
    bound = least(graph)
    arrange(graph)
    if bound is None:
        assert diagram.name in WIDE
    else:
        assert counted(graph) == bound


def test_strings_keep_their_distance(diagram: vs.Diagram) -> None:
    """Neighbours in a layer stay apart after all that moves them."""
    layout = Layout(sketch(diagram), False, True)
    layout.run()
    for layer in layout.graph.layers:
        for a, b in pairwise(layer):
            one, other = layout.graph.items[a], layout.graph.items[b]
            assert layout.place[b] + other.lo - layout.place[a] - one.hi >= 5.0
