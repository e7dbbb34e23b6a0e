"""Why a rule does not match: the nearest miss, its box, and the condition that failed."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import RULES


@vs.rule("equal")
def pull_out(w: "", x: "j") -> "":
    """Σ_j w·x_j = w·Σ_j x_j"""
    return vs.contract(w, x, over="j"), w * vs.sum(x, "j")


@vs.rule("equal")
def reassociate(q: "r", k: "r j", v: "j") -> "":
    """Σ_j (Σ_r q_r·k_rj)·v_j = Σ_r q_r·(Σ_j k_rj·v_j)"""
    left = vs.contract(vs.contract(q, k, over="r"), v, over="j")
    return left, vs.contract(q, vs.contract(k, v, over="j"), over="r")


@vs.rule("equal")
def square(x: "") -> "":
    """x·x = x²"""
    return x * x, vs.power(x, 2)


@vs.rule("variant", conditions=(lambda match: "it is never wanted",))
def unwanted(x: "") -> "":
    """exp(x) → x"""
    return vs.exp(x), x


@vs.rule("reparametrised")
def scale(x: "d") -> "":
    """x·w → x·v"""
    w, v = vs.parameter("w", "d"), vs.parameter("v", "d")
    return vs.contract(x, w, over="d"), vs.contract(x, v, over="d")


@vs.diagram
def both(a: "n j", b: "j") -> "n":
    return vs.contract(a, b, over="j")


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@vs.diagram
def three(a: "n", b: "n j", c: "j") -> "n":
    return vs.contract(a, b, c, over="j")


@vs.diagram
def two(x: "n", y: "n") -> "n":
    return x * y


@vs.diagram
def exponential(x: "n") -> "n":
    return vs.exp(x)


@pytest.mark.parametrize(
    ("rule", "host", "words"),
    [
        (pull_out, both, "contract {n} float: `w` carries the axis `j`"),
        (pull_out, three, "it has 3 operands, in the rule 2"),
        (pull_out, exponential, "exponential has no contract to begin with"),
        (reassociate, attention, "it reads softmax where the rule has contract"),
        (square, two, "`x` stands at two places, and they read different wires"),
        (unwanted, exponential, "exp {n} float: it is never wanted"),
        (scale, both, "`w` is input, in the rule a parameter"),
    ],
)
def test_the_reason_names_the_box_and_what_failed(
    rule: vs.Diagram, host: Diagram, words: str
) -> None:
    assert words in rule.explain(host)  # type: ignore[attr-defined]
    assert not list(matches(rule, host))  # type: ignore[arg-type]


def test_a_rule_that_matches_says_where() -> None:
    assert RULES["unfold_softmax"].explain(attention) == (
        "unfold_softmax stands at softmax {n, m} float"
    )


@given(st.data())
@settings(max_examples=25)
def test_every_rule_has_something_to_say_of_every_diagram(data: st.DataObject) -> None:
    host = data.draw(testing.diagrams(max_boxes=6, kinds=["contract", "add", "pointwise"]))
    for rule in islice(RULES.values(), 0, None, 3):
        said = rule.explain(host)
        assert said.startswith(rule.name)
        assert ("stands at" in said) == any(True for _ in matches(rule, host))
