"""networkx: no diagrams, but the graphs that people would put them in; boxes are nodes.

Wires have no types, and ports are an attribute of an edge. Equality is isomorphism (VF2++)
respecting the boxes' names; JSON is the node-link form.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import networkx as nx
from networkx import MultiDiGraph as Graph
from sampling import Operation
from shapes import brick_offsets

DISTRIBUTION = "networkx"


def chain(n: int) -> Graph:
    """Node after node."""
    graph = Graph()
    for i in range(n):
        graph.add_node(i, box="fg"[i % 2])
        if i:
            graph.add_edge(i - 1, i)
    return graph


def chain_bulk(n: int) -> Graph:
    """All nodes, then all edges."""
    graph = Graph()
    graph.add_nodes_from((i, {"box": "fg"[i % 2]}) for i in range(n))
    graph.add_edges_from((i - 1, i) for i in range(1, n))
    return graph


def brick(n: int, wires: int) -> Graph:
    """Node after node, ports on the edges."""
    graph = Graph()
    ends: list[tuple[int | str, int]] = [(f"in {i}", 0) for i in range(wires)]
    for i, k in enumerate(brick_offsets(n, wires)):
        graph.add_node(i, box="b")
        for port in (0, 1):
            node, output = ends[k + port]
            graph.add_edge(node, i, output=output, input=port)
            ends[k + port] = (i, port)
    return graph


def building(build: Callable[..., Graph]) -> Callable[..., Operation]:
    """The operation that builds, and checks how many boxes there are."""

    def count(graph: Graph) -> int:
        return sum(isinstance(node, int) for node in graph)

    def operation(n: int, **more: int) -> Operation:
        return Operation(lambda: build(n, **more), check=lambda g: count(g) == n)

    return operation


def compose(n: int) -> Operation:
    """Disjoint union, and one edge between."""

    def run(first: Graph, second: Graph) -> Graph:
        graph = nx.disjoint_union(first, second)
        graph.add_edge(n - 1, n)
        return graph

    return Operation(
        run, prepare=lambda: (chain_bulk(n), chain_bulk(n)), check=lambda g: len(g) == 2 * n
    )


def equal(n: int) -> Operation:
    """Two chains, up to isomorphism."""
    return Operation(
        lambda a, b: nx.vf2pp_is_isomorphic(a, b, node_label="box"),
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=bool,
    )


def json_round_trip(n: int) -> Operation:
    """A chain to JSON text and back."""

    def run(graph: Graph) -> Graph:
        text = json.dumps(nx.node_link_data(graph, edges="edges"))
        return nx.node_link_graph(json.loads(text), edges="edges")

    return Operation(run, prepare=lambda: (chain_bulk(n),), check=lambda g: len(g) == n)


OPERATIONS = {
    "build_chain": building(chain),
    "build_chain_bulk": building(chain_bulk),
    "build_brick": building(brick),
    "compose": compose,
    "equal": equal,
    "json_round_trip": json_round_trip,
}
