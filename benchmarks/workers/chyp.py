"""Chyp: a hypergraph in dictionaries of vertices and edges.

Its language composes terms by ``>>``, which deep-copies the left side; composing in place is a
public method too, and measured apart. The best bulk call adds vertices and edges by hand.
Equality is an isomorphism found by its matcher. It reads JSON but writes none.
"""

from __future__ import annotations

from collections.abc import Callable

from chyp.graph import Graph, gen, perm
from chyp.matcher import find_iso, match_rule
from chyp.rewrite import dpo
from chyp.rule import Rule
from sampling import Operation
from shapes import brick_offsets

DISTRIBUTION = "chyp"


def chain(n: int) -> Graph:
    """Box after box by ``>>``."""
    boxes = gen("f", 1, 1), gen("g", 1, 1)
    graph = perm([0])
    for i in range(n):
        graph = graph >> boxes[i % 2]
    return graph


def chain_in_place(n: int) -> Graph:
    """Box after box, the graph changed in place."""
    boxes = gen("f", 1, 1), gen("g", 1, 1)
    graph = perm([0])
    for i in range(n):
        graph.compose(boxes[i % 2])
    return graph


def chain_bulk(n: int) -> Graph:
    """Vertices and edges by hand."""
    graph = Graph()
    before = first = graph.add_vertex()
    for i in range(n):
        after = graph.add_vertex()
        graph.add_edge([before], [after], "fg"[i % 2])
        before = after
    graph.set_inputs([first])
    graph.set_outputs([before])
    return graph


def identity(n: int) -> Graph:
    """n wires."""
    return perm(list(range(n)))


def brick(n: int, wires: int) -> Graph:
    """Box after box by ``*`` and ``>>``."""
    box, graph = gen("b", 2, 2), identity(wires)
    for k in brick_offsets(n, wires):
        graph = graph >> identity(k) * box * identity(wires - 2 - k)
    return graph


def brick_bulk(n: int, wires: int) -> Graph:
    """Vertices and edges by hand."""
    graph = Graph()
    ends = [graph.add_vertex() for _ in range(wires)]
    graph.set_inputs(list(ends))
    for k in brick_offsets(n, wires):
        after = [graph.add_vertex(), graph.add_vertex()]
        graph.add_edge(ends[k : k + 2], after, "b")
        ends[k : k + 2] = after
    graph.set_outputs(ends)
    return graph


def building(build: Callable[..., Graph]) -> Callable[..., Operation]:
    """The operation that builds, and checks how many boxes there are."""

    def operation(n: int, **more: int) -> Operation:
        return Operation(lambda: build(n, **more), check=lambda g: g.num_edges() == n)

    return operation


def compose(n: int) -> Operation:
    """Two chains of n boxes, by ``>>``."""
    return Operation(
        lambda first, second: first >> second,
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=lambda g: g.num_edges() == 2 * n,
    )


def compose_in_place(n: int) -> Operation:
    """Two chains of n boxes, the first one changed."""

    def run(first: Graph, second: Graph) -> Graph:
        first.compose(second)
        return first

    return Operation(
        run,
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=lambda g: g.num_edges() == 2 * n,
    )


def equal(n: int) -> Operation:
    """Two chains, up to isomorphism."""
    return Operation(
        find_iso,
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=lambda found: found is not None,
    )


def rewrite_chain(n: int) -> Operation:
    """f;g becomes h, the first match again and again, each checked for convexity as it does."""
    rule = Rule(gen("f", 1, 1) >> gen("g", 1, 1), gen("h", 1, 1))

    def run(graph: Graph) -> Graph:
        while (match := next(iter(match_rule(rule, graph)), None)) is not None:
            graph = next(iter(dpo(rule, match))).cod
        return graph

    return Operation(run, prepare=lambda: (chain_bulk(n),), check=lambda g: g.num_edges() == n // 2)


OPERATIONS = {
    "rewrite_chain": rewrite_chain,
    "build_chain": building(chain),
    "build_chain_in_place": building(chain_in_place),
    "build_chain_bulk": building(chain_bulk),
    "build_brick": building(brick),
    "build_brick_bulk": building(brick_bulk),
    "compose": compose,
    "compose_in_place": compose_in_place,
    "equal": equal,
}
