"""Pairs and strips: what differs is lit, and only that; DOT is Graphviz's own language."""

import re
import xml.etree.ElementTree as ET

import pygraphviz
import pytest
from drawing_samples import OWN, attention, causal

import vesalius as vs
from vesalius.diagrams.drawing.difference import changed
from vesalius.diagrams.drawing.strips import pair, strip


@vs.diagram
def quadratic(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.tanh(vs.contract(vs.contract(vs.exp(q), k, over="c"), v, over="m"))


@vs.diagram
def reassociated(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.tanh(vs.contract(vs.exp(q), vs.contract(k, v, over="m"), over="c"))


@pytest.mark.parametrize("diagram", OWN, ids=lambda d: d.name)
def test_equal_diagrams_do_not_differ(diagram: vs.Diagram) -> None:
    assert changed(diagram, diagram) == (frozenset(), frozenset())


def test_a_rewritten_middle_is_what_differs() -> None:
    left, right = changed(quadratic, reassociated)
    names = [
        [d.nodes[k].box.kind.name for k in sorted(nodes)]
        for d, nodes in ((quadratic, left), (reassociated, right))
    ]
    assert names == [["contract", "contract"], ["contract", "contract"]]


def test_a_pair_lights_the_difference_on_both_sides() -> None:
    text = pair(quadratic, reassociated, ["before", "after"])
    lit = re.findall(r'id="(strip-[^"]*)" class="[^"]*\blit"', text)
    sides = {int(re.search(r"-(\d+)-(box|wire)", key)[1]) for key in lit}
    assert sides == {0, 1}
    # Two sums and the string between them, on each side; never exp, tanh or the inputs.
    assert len(lit) == 6
    assert "before" in text
    assert "after" in text


def test_ids_are_unique_in_a_strip() -> None:
    text = strip([attention, attention, causal], ["a", "b & c", "<d>"], columns=2)
    root = ET.fromstring(text)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert "b & c" in {"".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")}


def test_a_strip_says_what_is_wrong() -> None:
    with pytest.raises(vs.StructureError, match="at least one"):
        strip([])
    with pytest.raises(vs.StructureError, match="2 captions for 1"):
        strip([attention], ["a", "b"])


@pytest.mark.parametrize("diagram", OWN, ids=lambda d: d.name)
def test_dot_is_read_by_graphviz(diagram: vs.Diagram) -> None:
    graph = pygraphviz.AGraph(string=diagram.dot())
    shapes = diagram.draw().scene.shapes
    assert len(graph.nodes()) == len(shapes)
    graph.layout("dot")
