"""Pictures of random diagrams: nested boxes, scans, many outputs, and names of every kind."""

import xml.etree.ElementTree as ET

import pytest
from drawing_checks import CHECKS
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.drawing.picture import DIRECTIONS
from vesalius.diagrams.drawing.sketch import LABELS

OPTIONS = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(DIRECTIONS),
        "depth": st.integers(0, 2),
        "labels": st.sampled_from(LABELS),
        "tubes": st.booleans(),
        "legend": st.booleans(),
    }
)
NAMES = st.sampled_from(
    [
        "x" * 200,
        "<b>&amp;</b>",
        "a & b",
        "\"quoted\" 'twice'",
        r"\input{x} $x_1^2$ %# ~{}",
        "注意機構のとても長い名前がここに立っています",
        "W_" + "long" * 40,
        "fi",
    ]
)

WORDS = st.sampled_from(["W_q", "W_" + "long" * 50, "注意機構", "wq", "a.b.gain"])  # of parameters


def in_order(diagram: vs.Diagram, options: dict) -> None:
    picture = vs.draw(diagram, **options)
    for check in CHECKS:
        check(picture.scene)
    text = picture.svg()
    ET.fromstring(text)
    assert text == vs.draw(vs.Diagram.from_json(diagram.to_json()), **options).svg()


@given(testing.diagrams(tubes=True), OPTIONS)
@settings(max_examples=60)
def test_any_diagram(diagram: vs.Diagram, options: dict) -> None:
    in_order(diagram, options)


@given(testing.diagrams(kinds=("named", "scan", "contract", "add", "topk"), min_boxes=3), OPTIONS)
@settings(max_examples=40)
def test_diagrams_in_diagrams(diagram: vs.Diagram, options: dict) -> None:
    in_order(diagram, options)


@given(NAMES, NAMES, NAMES, WORDS, OPTIONS)
@settings(max_examples=40)
def test_any_name(host: str, box: str, port: str, parameter: str, options: dict) -> None:
    with vs.Builder(box) as builder:
        x = builder.input("x", "n c")
        w = vs.parameter(parameter, "c d")
        inner = builder.diagram(vs.softmax(vs.contract(x, w, over="c"), over="d"))
    with vs.Builder(host) as builder:
        x = builder.input(port, "n c")
        y = inner.boxed(x)
        whole = builder.diagram(**{port: y + vs.random("n d", "normal"), box or "y": y})
    in_order(whole, options)


@pytest.mark.slow
@given(testing.diagrams(max_boxes=30, min_boxes=15), OPTIONS)
@settings(max_examples=25)
def test_larger_diagrams(diagram: vs.Diagram, options: dict) -> None:
    in_order(diagram, options)
