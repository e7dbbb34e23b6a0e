"""The e-graph against congruence written out: all names, all renamings, to a fixed point."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.builder import Builder, Use
from vesalius.rewrite.search.egraph import EGraph

POOL = ("p", "q", "r", "s")


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


@st.composite
def small_diagrams(draw: st.DrawFn) -> vs.Diagram:
    """Diagrams in which all axes have one size, so that everything can be renamed."""
    builder = Builder("drawn")
    wires = [builder.input(f"x{k}", " ".join(f"{a}:n" for a in draw(_AXES))) for k in range(2)]
    with builder:
        for _ in range(draw(st.integers(1, 7))):
            verb = draw(st.sampled_from(["exp", "contract", "contract", "add", "softmax", "less"]))
            x = draw(_renamed(wires))
            y = draw(_renamed(wires))
            if len(set(x.names) | set(y.names)) > 3:
                continue
            if verb == "exp":
                made = vs.exp(x)
            elif verb == "softmax" and x.names:
                made = vs.softmax(x, over=x.names[0])
            elif verb == "contract":
                both = sorted(set(x.names) | set(y.names))
                made = vs.contract(
                    x, y, over=draw(st.lists(st.sampled_from(both), unique=True)) if both else ""
                )
            elif verb == "less":
                made = vs.to_float(vs.less(x, y))
            else:
                made = x + y
            wires.append(made)
    return builder.diagram(**{f"y{k}": wire for k, wire in enumerate(wires)})


_AXES = st.sampled_from(["", "p", "pq", "pqr"])


@st.composite
def _renamed(draw: st.DrawFn, wires: list[Any]) -> Any:
    wire = draw(st.sampled_from(wires))
    names = draw(st.permutations(POOL[:3]))
    return wire.rename(**dict(zip(wire.names, names, strict=False)))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_congruence_is_what_it_is_when_written_out(data: st.DataObject) -> None:
    diagram = data.draw(small_diagrams())
    naive, graph = Closure(diagram), EGraph()
    seen, _ = graph.insert(diagram)
    for _ in range(data.draw(st.integers(0, 6))):
        types = diagram.types
        one = data.draw(st.sampled_from(range(len(types))))
        other = data.draw(st.sampled_from([w for w, t in enumerate(types) if t == types[one]]))
        names = POOL[: len(types[one].sizes)]
        uses = (one, names), (other, tuple(data.draw(st.permutations(names))))
        naive.assert_equal(*uses)
        graph.union(*(labelled(seen, use) for use in uses))
        if data.draw(st.booleans()):
            graph.rebuild()
    graph.rebuild()
    check_invariants(graph)
    ours = {item: representative(graph, labelled(seen, item)) for item in naive.parent}
    pairs = {(naive.find(item), ours[item]) for item in naive.parent}
    assert len(pairs) == len({one for one, _ in pairs}), "equal by hand, unequal in the e-graph"
    assert len(pairs) == len({one for _, one in pairs}), "unequal by hand, equal in the e-graph"


def labelled(seen: list[Use], use: Use) -> Use:
    """The use in the e-graph of a use in the diagram."""
    wire, labels = use
    group, slots = seen[wire]
    return group, tuple(labels[slot] for slot in slots)


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
