"""Pairs and strips: what differs is lit, and only that; DOT is Graphviz's own language."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pygraphviz
import pytest
from drawing_geometry import overlap
from drawing_samples import OWN, attention, causal

import vesalius as vs
from vesalius.diagrams.drawing.difference import changed
from vesalius.diagrams.drawing.sketch import sketch
from vesalius.diagrams.drawing.strips import Change, _placed, pair, strip
from vesalius.diagrams.drawing.text import name_label, plain, wrapped


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


def marked(text: str, mark: str) -> list[str]:
    """The ids of what has a mark, without the name of the strip."""
    found = re.findall(rf'id="strip-[^"]*?-(\d-\w+-[^"]*)" class="[^"]*\b{mark}\b', text)
    return sorted(found)


def test_a_pair_marks_the_difference_on_both_sides() -> None:
    text = pair(quadratic, reassociated, ["before", "after"]).svg()
    # Two sums and the string between them, on each side; never exp, tanh or the inputs.
    assert marked(text, "goes") == ["0-box-4", "0-box-5", "0-wire-4"]
    assert marked(text, "comes") == ["1-box-4", "1-box-5", "1-wire-4"]
    assert "before" in text
    assert "after" in text


def test_marks_are_what_is_given() -> None:
    """Nodes mark the boxes that they are drawn in, wires their strings, and nothing is guessed."""
    root = next(k for k, n in enumerate(causal.nodes) if n.box.kind.name == "constant")
    change = Change([root], [], gone_wires=[0], come_wires=[1])
    text = strip([causal, attention], changes=[change]).svg()
    scale = next(g for g in sketch(causal).glyphs if g.look == "scalar")
    assert root in scale.covers
    assert marked(text, "goes") == [f"0-{scale.key}", "0-wire-0"]
    assert marked(text, "comes") == ["1-wire-1"]
    assert marked(strip([causal, attention], changes=[Change((), ())]).svg(), "goes") == []


def test_every_node_is_drawn_in_some_box() -> None:
    """What goes can always be shown: no node but inputs is left out of all glyphs."""
    for diagram in OWN:
        drawn = sketch(diagram)
        read = set().union(*(g.covers for g in drawn.glyphs))
        first = len(diagram.inputs)
        assert set(range(first, len(diagram.nodes))) <= read, diagram.name


def test_ids_are_unique_in_a_strip_and_texts_are_text() -> None:
    step = Change(sign="⊒", rule="a & <b>", grade="equal")
    film = strip([attention, attention, causal], ["a", "b & c", "<d>"], [step, step], width=1000)
    root = ET.fromstring(film.svg())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    shown = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
    for text in ("b & c", "<d>", "a & <b>", "⊒"):
        assert text in shown
    assert float(root.get("width")) <= 1000
    assert {panel.at[1] > 100 for panel in _placed(film)[0]} == {False, True}


def test_a_strip_lies_clear() -> None:
    """No text of a strip over a picture or over another text, in one row or in many."""
    captions = ["what there was before anything was done to it, which is a long story", "", "end"]
    step = Change(sign="⊒", rule="a rule with quite a long name", grade="reparametrised")
    for width in (500, 1000, 4000):
        film = strip([quadratic, reassociated, causal], captions, [step, step], width=width)
        panels, texts, size = _placed(film)
        boxes = [text.box for text in texts]
        for panel in panels:
            w, h = panel.scene.size
            boxes.append((*panel.at, panel.at[0] + w, panel.at[1] + h))
        for a, b in combinations(boxes, 2):
            assert not overlap(a, b), (width, a, b)
        for left, top, right, bottom in boxes:
            assert left >= 0
            assert top >= 0
            assert right <= size[0] + 0.1
            assert bottom <= size[1] + 0.1


def test_a_strip_is_written_in_every_form(tmp_path: Path) -> None:
    film = pair(quadratic, reassociated)
    for ending in ("svg", "html", "tex", "tikz"):
        assert film.save(tmp_path / f"a.{ending}").read_text("utf-8")
    assert (
        (tmp_path / "a.svg").read_text("utf-8") == film.svg() == pair(quadratic, reassociated).svg()
    )
    assert "<svg" in film._repr_mimebundle_()["image/svg+xml"]
    with pytest.raises(vs.FormatError, match="ends in none of"):
        film.save(tmp_path / "a.gif")


def test_a_strip_says_what_is_wrong() -> None:
    with pytest.raises(vs.StructureError, match="at least one"):
        strip([])
    with pytest.raises(vs.StructureError, match="2 captions for 1"):
        strip([attention], ["a", "b"])
    with pytest.raises(vs.StructureError, match="0 changes between 2"):
        strip([attention, attention], changes=[])
    with pytest.raises(vs.StructureError, match="change 0: comes: there is no node 99"):
        strip([attention, attention], changes=[Change((), {99})])


@pytest.mark.parametrize("diagram", OWN, ids=lambda d: d.name)
def test_dot_is_read_by_graphviz(diagram: vs.Diagram) -> None:
    graph = pygraphviz.AGraph(string=diagram.dot())
    shapes = diagram.draw().scene.shapes
    assert len(graph.nodes()) == len(shapes)
    graph.layout("dot")


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("w_q", "w_q"),
        ("mix_query", "mix_query"),
        ("scores_2", "scores_2"),
        ("feed_forward", "feed forward"),
        ("scaled_dot_product_attention(causal)", "scaled dot product attention(causal)"),
        ("_", "_"),
    ],
)
def test_symbols_have_subscripts_and_long_names_are_words(name, drawn) -> None:
    assert plain(name_label(name)) == drawn


def test_only_words_that_are_too_wide_are_shortened() -> None:
    assert wrapped("reassociate, twice", 130, 11) == ["reassociate, twice"]
    assert wrapped("a_name_that_is_much_too_wide", 60, 12) == ["a_name_…"]
