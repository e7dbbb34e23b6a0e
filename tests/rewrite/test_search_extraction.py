"""Extraction against every selection there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from egraphs import labelled, merges, small_diagrams
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.rewrite.search.choose import Chooser
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.extract import Extraction
from vesalius.rewrite.search.price import Price
from vesalius.rewrite.search.realise import realise

MOST = 4000


def selections(
    graph: EGraph, chosen: dict[int, ENode], todo: list[int]
) -> Iterator[dict[int, ENode]]:
    """Every way to make the classes to do, without a class that reads itself."""
    todo = [group for group in todo if group not in chosen]
    if not todo:
        yield chosen
        return
    for node, _ in graph.members(todo[0]):
        grown = {**chosen, todo[0]: node}
        if acyclic(grown, todo[0]):
            yield from selections(graph, grown, [*todo[1:], *node.src])


def acyclic(chosen: dict[int, ENode], start: int) -> bool:
    seen, todo = set(), list(chosen[start].src)
    while todo:
        group = todo.pop()
        if group == start:
            return False
        if group not in seen and group in chosen:
            seen.add(group)
            todo += chosen[group].src
    return True


def total(prices: dict[ENode, int], chosen: dict[int, ENode]) -> int:
    return sum(prices[node] for node in set(chosen.values()))


@st.composite
def priced(draw: st.DrawFn) -> tuple[EGraph, list[int], dict[ENode, int]]:
    diagram = draw(small_diagrams())
    graph = EGraph()
    seen, _ = graph.insert(diagram)
    for one, other in draw(merges(diagram)):
        graph.union(labelled(seen, one), labelled(seen, other))
    graph.rebuild()
    prices = {node: draw(st.integers(0, 9)) for node in graph.nodes()}
    count = draw(st.integers(1, 2))
    roots = [graph.find(seen[port.wire][0])[0] for port in diagram.outputs[-count:]]
    return graph, roots, prices


@given(priced())
@settings(max_examples=300, deadline=None)
def test_the_best_selection_is_found_and_proved(case) -> None:
    graph, roots, prices = case
    every = list(islice(selections(graph, {}, roots), MOST + 1))
    assume(len(every) <= MOST)
    extraction = Extraction(graph, roots, prices.__getitem__)
    best = extraction.best()
    assert extraction.proved
    assert set(roots) <= set(best)
    assert all(graph.find(below)[0] in best for node in best.values() for below in node.src)
    assert all(acyclic(best, group) for group in best)
    assert total(prices, best) == min(total(prices, one) for one in every)


def test_sharing_is_not_overlooked() -> None:
    """The cheapest way to each output alone is not the cheapest to both."""

    @vs.diagram
    def two(x: "n") -> ("n", "n", "n", "n"):
        common = vs.tanh(x)
        return vs.exp(common), vs.sin(common), vs.cos(x), vs.relu(x)

    graph = EGraph()
    seen, _ = graph.insert(two)
    uses = [seen[port.wire] for port in two.outputs]
    graph.union(uses[0], uses[2])
    graph.union(uses[1], uses[3])
    graph.rebuild()
    price = {"tanh": 10, "exp": 1, "sin": 1, "cos": 8, "relu": 8}

    def of(node: ENode) -> int:
        return 0 if not node.src else price[node.box["function"].name]

    best = Extraction(graph, [group for group, _ in uses], of).best()
    names = {node.box["function"].name for node in best.values() if node.src}
    assert names == {"tanh", "exp", "sin"}


def test_a_box_of_two_outputs_is_paid_once() -> None:
    @vs.diagram
    def largest(x: "n") -> ("k:2", "k:2 int"):
        return vs.topk(x, "n", "k:2")

    graph = EGraph()
    seen, _ = graph.insert(largest)
    extraction = Extraction(graph, [seen[p.wire][0] for p in largest.outputs], lambda n: 5)
    best = extraction.best()
    assert extraction.proved
    assert extraction.price({g: o for g, (o, *_) in extraction.options.items()}) == 10
    assert len(set(best.values())) == 2


@pytest.mark.parametrize("additive", [True, False])
@given(case=st.data())
@settings(max_examples=60, deadline=None)
def test_costs_of_whole_diagrams_are_the_least_where_all_can_be_asked(additive, case) -> None:
    diagram = case.draw(small_diagrams())
    graph = EGraph()
    seen, _ = graph.insert(diagram)
    first = set(graph.nodes())
    for one, other in case.draw(merges(diagram, 3)):
        graph.union(labelled(seen, one), labelled(seen, other))
    graph.rebuild()
    roots = [graph.use(seen[port.wire]) for port in diagram.outputs]
    every = list(islice(selections(graph, {}, [g for g, _ in roots]), 200))
    assume(len(every) < 200)
    weights = {"contract": 7, "add": 5, "pointwise": 3, "softmax": 4}

    def cost(one: vs.Diagram) -> int:
        return sum(weights.get(node.box.kind.name, 0) for node in one.boxes)

    price = Price("weights", cost, {}, additive)
    chooser = Chooser(graph, roots, first, diagram, price, lambda n: False, lambda: True)
    choice = chooser.best()
    found = price.of(realise(graph, choice.selection, roots, diagram))
    assert choice.proved
    assert found == min(price.of(realise(graph, one, roots, diagram)) for one in every)
