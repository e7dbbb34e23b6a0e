"""PyZX: a graph of spiders; a chain's boxes are spiders of two phases.

Its bricks are CNOTs of a circuit, made into a graph: two spiders each. It has no structural
equality.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from io import StringIO

import pyzx
from pyzx.graph.base import BaseGraph
from pyzx.utils import VertexType
from sampling import Operation
from shapes import brick_offsets

DISTRIBUTION = "pyzx"
PHASES = Fraction(1, 4), Fraction(1, 2)


def chain(n: int, colour: Callable[[int], VertexType] = lambda i: VertexType.Z) -> BaseGraph:
    """Spider after spider."""
    graph = pyzx.Graph()
    before = first = graph.add_vertex(VertexType.BOUNDARY, 0, 0)
    for i in range(n):
        after = graph.add_vertex(colour(i), 0, i + 1, PHASES[i % 2])
        graph.add_edge((before, after))
        before = after
    last = graph.add_vertex(VertexType.BOUNDARY, 0, n + 1)
    graph.add_edge((before, last))
    graph.set_inputs((first,))
    graph.set_outputs((last,))
    return graph


def brick(n: int, wires: int) -> BaseGraph:
    """Gate after gate, then the graph."""
    circuit = pyzx.Circuit(wires)
    for k in brick_offsets(n, wires):
        circuit.add_gate("CNOT", k, k + 1)
    return circuit.to_graph()


def build_chain(n: int) -> Operation:
    """A chain."""
    return Operation(lambda: chain(n), check=lambda g: g.num_vertices() == n + 2)


def build_brick(n: int, wires: int) -> Operation:
    """A brick wall."""
    return Operation(lambda: brick(n, wires), check=lambda g: g.num_vertices() == 2 * n + 2 * wires)


def compose(n: int) -> Operation:
    """Two chains of n spiders, by ``+``."""
    return Operation(
        lambda first, second: first + second,
        prepare=lambda: (chain(n), chain(n)),
        check=lambda g: g.num_vertices() == 2 * n + 2,
    )


def json_round_trip(n: int) -> Operation:
    """A chain to JSON text and back."""
    return Operation(
        lambda graph: pyzx.Graph().from_json(graph.to_json()),
        prepare=lambda: (chain(n),),
        check=lambda g: g.num_vertices() == n + 2,
    )


def drawing(build: Callable[..., BaseGraph]) -> Callable[..., Operation]:
    """The operation that writes an SVG by `draw_matplotlib`; the graph has its places already."""

    def draw(graph: BaseGraph) -> str:
        import matplotlib

        matplotlib.use("svg")
        import matplotlib.pyplot as plt

        figure, text = pyzx.draw_matplotlib(graph), StringIO()
        figure.savefig(text, format="svg")
        plt.close(figure)
        return text.getvalue()

    def operation(n: int, **more: int) -> Operation:
        return Operation(
            draw, prepare=lambda: (build(n, **more),), check=lambda text: "<svg" in text
        )

    return operation


def pairs(n: int) -> BaseGraph:
    """A chain of n spiders, two of a colour and then two of the other: n/2 can be fused."""
    return chain(n, lambda i: VertexType.Z if i // 2 % 2 else VertexType.X)


def rewrite_chain(n: int) -> Operation:
    """Every pair of spiders of one colour becomes one spider, in place."""

    def run(graph: BaseGraph) -> BaseGraph:
        pyzx.simplify.fuse_simp.simp(graph)
        return graph

    return Operation(
        run, prepare=lambda: (pairs(n),), check=lambda g: g.num_vertices() == n // 2 + 2
    )


OPERATIONS = {
    "rewrite_chain": rewrite_chain,
    "draw_chain": drawing(chain),
    "draw_brick": drawing(brick),
    "build_chain": build_chain,
    "build_brick": build_brick,
    "compose": compose,
    "json_round_trip": json_round_trip,
}
