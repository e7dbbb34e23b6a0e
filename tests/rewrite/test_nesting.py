"""Flattening and grouping: every order of evaluation is reached, and all compute the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules.nesting import flatten_nested, group_operands


@vs.diagram
def chain(a: "i j", b: "j k", c: "k l", d: "l o") -> "i o":
    ab = vs.contract(a, b, over="j")
    return vs.contract(vs.contract(ab, c, over="k"), d, over="l")


@vs.diagram
def flat(a: "i j", b: "j k", c: "k l", d: "l o") -> "i o":
    return vs.contract(a, b, c, d, over="j k l")


def test_flattening_leads_to_the_flat_contraction() -> None:
    diagram = chain
    while (match := next(matches(flatten_nested, diagram), None)) is not None:
        diagram = apply(diagram, match)
    assert diagram == flat


def test_grouping_reaches_every_order_of_a_chain() -> None:
    """A chain of four has five orders of two operands at a time, beside outer products."""
    reached, layer = set(), {flat}
    while layer:
        reached |= layer
        layer = {apply(d, m) for d in layer for m in matches(group_operands, d)} - reached
    binary = [d for d in reached if all(len(node.src) == 2 for node in d.boxes)]
    chained = [d for d in binary if all(node.box.bound for node in d.boxes)]
    assert len(chained) == 5
    assert chain in chained


def test_an_axis_of_one_operand_is_summed_there() -> None:
    @vs.diagram
    def loose(x: "i j", y: "i") -> "i":
        return vs.contract(x, y, over="j")

    (match,) = matches(group_operands, loose)
    assert apply(loose, match) == pulled


@vs.diagram
def pulled(x: "i j", y: "i") -> "i":
    return y * vs.sum(x, "j")


@pytest.mark.parametrize("rule", [flatten_nested, group_operands])
def test_every_instance_computes_what_it_did(rule: object) -> None:
    @given(st.data())
    @settings(max_examples=25, deadline=None)
    def run(data: st.DataObject) -> None:
        kinds = ["contract", "add"]
        host = data.draw(testing.diagrams(max_boxes=6, kinds=kinds, exact="field"))
        for match in matches(rule, host):  # type: ignore[arg-type]
            after = apply(host, match)
            assert after != host
            assert vs.check((host, after), explain=False)

    run()
