"""Matching in the e-graph finds what matching in a diagram finds, for every equal rule."""

from __future__ import annotations

from itertools import islice

import pytest

import vesalius as vs
from vesalius.diagrams.errors import StructureError
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import EXAMPLES, RULES, SCHEMAS
from vesalius.rewrite.search.local import Neighbourhood, Reader
from vesalius.rewrite.search.realise import realise
from vesalius.rewrite.search.saturate import Saturation

EQUAL = [r for r in (*RULES.values(), *SCHEMAS.values()) if r.grade.name == "equal"]
# A schema that opens boxes below boxes below its anchor looks deeper than the search does.
MOST = 12


def in_the_diagram(rule, host: vs.Diagram) -> set[vs.Diagram]:
    found = set()
    for match in islice(matches(rule, host), 10 * MOST):
        try:
            found.add(apply(host, match))
        except StructureError:
            continue
    return found


def in_the_e_graph(rule, host: vs.Diagram) -> set[vs.Diagram]:
    """Each place in an e-graph of its own: the diagram with the result there."""
    found = set()
    count = len(places(Saturation(host, []), rule))
    for number in range(count):
        saturation = Saturation(host, [])
        place, result = places(saturation, rule)[number]
        first = saturation.first
        right = saturation._merge(place, result)
        saturation.graph.rebuild()
        found.add(read_off(saturation, place, right, first))
    return found


def places(saturation: Saturation, rule) -> list[tuple[Neighbourhood, vs.Diagram]]:
    reader = Reader(rule, {})
    return [
        (place, result.diagram)
        for root in saturation.graph.nodes()
        if reader.looks.anchors(root.box.kind)
        for chosen in reader.looks.choices(saturation.graph, root)
        for place in [Neighbourhood(saturation.graph, root, chosen, reader.looks.named)]
        for result in reader.rewritten(place)
    ]


def read_off(saturation: Saturation, place: Neighbourhood, right, first) -> vs.Diagram:
    """The diagram in which the root is made by what the rule brought."""
    graph = saturation.graph
    selection = {}
    for group in graph.groups():
        members = [node for node, _ in graph.members(group)]
        others = [node for node in members if node is not graph.node(place.root)]
        wanted = [node for node in others if right is not None and node is graph.node(right)]
        selection[group] = (wanted or others or members)[0]
    return realise(graph, selection, saturation.roots, saturation.diagram)


@pytest.mark.parametrize(
    "rule", [rule for rule in EQUAL if rule.name in EXAMPLES], ids=lambda rule: rule.name
)
def test_both_find_the_same_in_the_worked_example(rule) -> None:
    for host in (EXAMPLES[rule.name], EXAMPLES[rule.name].over("batch head")):
        ordinary = in_the_diagram(rule, host)
        if len(host.outputs) > 1 or len(ordinary) > MOST:
            continue
        assert in_the_e_graph(rule, host) == ordinary
