"""The e-graph against congruence written out: all names, all renamings, to a fixed point."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from egraphs import POOL, labelled, merges, small_diagrams
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.errors import TypeClash
from vesalius.rewrite.search.egraph import EGraph


class Closure:
    """Equality of labelled uses of one diagram's wires, closed under renaming and congruence.

    An object is a wire with a name from the pool for each of its slots. Nothing is shared, no
    form is canonical: it is slow, and it is what an e-graph with slots should say.
    """

    def __init__(self, diagram: vs.Diagram) -> None:
        self.diagram = diagram
        self.parent: dict[Any, Any] = {}
        for wire, type_ in enumerate(diagram.types):
            for names in permutations(POOL, len(type_.sizes)):
                self.parent[wire, names] = (wire, names)
        self.close()

    def find(self, item: Any) -> Any:
        while self.parent[item] != item:
            item = self.parent[item]
        return item

    def join(self, one: Any, other: Any) -> bool:
        a, b = self.find(one), self.find(other)
        self.parent[a] = b
        return a != b

    def assert_equal(self, one: Use, other: Use) -> None:
        names = sorted(set(one[1]))
        for images in permutations(POOL, len(names)):
            to = dict(zip(names, images, strict=True))
            self.join(*((wire, tuple(to[x] for x in labels)) for wire, labels in (one, other)))
        self.close()

    def close(self) -> None:
        """To a fixed point: equal boxes on equal operands are equal."""
        while self._congruence():
            pass

    def _congruence(self) -> bool:
        seen: dict[Any, Any] = {}
        news = False
        for node in self.diagram.nodes:
            for key, wires in self._readings(node):
                for output, wire in enumerate(wires):
                    other = seen.setdefault((key, output), wire)
                    news |= self.join(wire, other)
        return news

    def _readings(self, node: Any) -> Iterator[tuple[Any, list[Any]]]:
        box = node.box
        for names in permutations(POOL, box.rank):
            read: Any = [
                self.find((wire, tuple(names[a] for a in row)))
                for wire, row in zip(node.src, box.maps, strict=True)
            ]
            if box.kind.commutes(box.attrs):
                read = sorted(read)
            bound: Any = [names[a] for a in box.bound]
            if box.kind.bound_is_set:
                bound = sorted(bound)
            key = (box.kind.name, box.attrs, tuple(read), tuple(bound), names[box.inner :])
            outs = [
                (wire, tuple(names[a] for a in row))
                for wire, row in zip(node.wires, box.outs, strict=True)
            ]
            yield key, outs


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_congruence_is_what_it_is_when_written_out(data: st.DataObject) -> None:
    diagram = data.draw(small_diagrams())
    naive, graph = Closure(diagram), EGraph()
    seen, _ = graph.insert(diagram)
    for one, other in data.draw(merges(diagram)):
        naive.assert_equal(one, other)
        graph.union(labelled(seen, one), labelled(seen, other))
        if data.draw(st.booleans()):
            graph.rebuild()
    graph.rebuild()
    check_invariants(graph)
    ours = {item: representative(graph, labelled(seen, item)) for item in naive.parent}
    pairs = {(naive.find(item), ours[item]) for item in naive.parent}
    assert len(pairs) == len({one for one, _ in pairs}), "equal by hand, unequal in the e-graph"
    assert len(pairs) == len({one for _, one in pairs}), "unequal by hand, equal in the e-graph"


def representative(graph: EGraph, use: Use) -> Use:
    """One use for all that are known to be equal."""
    group, labels = graph.use(use)
    turns = graph.turns.get(group, ())
    return group, min([labels, *(tuple(labels[k] for k in turn) for turn in turns)], key=str)


def check_invariants(graph: EGraph) -> None:
    for (box, src), node in graph.table.items():
        assert node.same is None
        assert (node.box, node.src) == (box, src)
        assert all(graph.find(group)[0] == group for group in src)
        for output, row in enumerate(box.outs):
            group, slots = graph.seat(node, output)
            sizes = [graph.site(node).sizes[a] for a in row]
            assert sizes == [graph.types[group].sizes[slot] for slot in slots]
            assert (node, output) in graph.members(group)
        for group in src:
            assert node in graph.readers(group)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.permutations(range(3)))))
@settings(max_examples=200, deadline=None)
def test_slots_are_followed_through_chains_of_merges(steps: list[Any]) -> None:
    """Merges of six inputs with three axes, turned: the e-graph against the written closure."""
    inputs = {f"x{k}": "p:n q:n r:n" for k in range(6)}
    builder = Builder("inputs")
    wires = [builder.input(name, type_) for name, type_ in inputs.items()]
    diagram = builder.diagram(**{f"y{k}": wire for k, wire in enumerate(wires)})
    naive, graph = Closure(diagram), EGraph()
    seen, _ = graph.insert(diagram)
    for one, other, turn in steps:
        uses = (one, POOL[:3]), (other, tuple(POOL[k] for k in turn))
        naive.assert_equal(*uses)
        graph.union(*(labelled(seen, use) for use in uses))
    graph.rebuild()
    ours = {item: representative(graph, labelled(seen, item)) for item in naive.parent}
    pairs = {(naive.find(item), ours[item]) for item in naive.parent}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_a_merge_of_different_types_is_refused() -> None:
    @vs.diagram
    def two(x: "n", y: "m") -> ("n", "m"):
        return vs.exp(x), vs.exp(y)

    graph = EGraph()
    seen, _ = graph.insert(two)
    with pytest.raises(TypeClash, match="equal wires have equal types"):
        graph.union((seen[2][0], ("a",)), (seen[3][0], ("a",)))
    with pytest.raises(TypeClash, match="a merge of wires with axes"):
        graph.union((seen[2][0], ("a",)), (seen[3][0], ("b",)))


def test_alpha_variants_are_one_e_node() -> None:
    @vs.diagram
    def self_attention(x: "n d", w: "d c") -> "n m:n":
        q = vs.contract(x, w, over="d")
        return vs.contract(q, vs.contract(x.rename(n="m"), w, over="d"), over="c")

    graph = EGraph()
    graph.insert(self_attention)
    assert len(graph) == 4
    gram = self_attention.owner[self_attention.outputs[0].wire]
    _, nodes = graph.insert(self_attention)
    assert graph.turns[graph.seat(nodes[gram]).group], "a Gram matrix equals its transpose"
