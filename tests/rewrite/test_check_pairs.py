"""Checking two diagrams, and the schemas and hosts of rules."""

import numpy as np
import pytest
import torch
from check_samples import attention
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.errors import TypeClash
from vesalius.rewrite.apply import apply
from vesalius.rewrite.check import check
from vesalius.rewrite.checking.compare import compare
from vesalius.rewrite.checking.instances import host, instances
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import RULES, SCHEMAS
from vesalius.rewrite.schema import schema


def test_the_order_of_inputs_and_of_axes_does_not_matter():
    @vs.diagram
    def turned(v: "e m", k: "c m", q: "c n") -> "e n":
        e = vs.exp(vs.contract(k, q, over="c"))
        return vs.contract(e, v, over="m") / vs.sum(e, "m")

    verdict = check((attention, turned))
    assert verdict, str(verdict)
    assert verdict.mark == "exact"


def test_interfaces_that_differ_are_a_reason():
    @vs.diagram
    def more(q: "n c", k: "m c", v: "m e", w: "m e") -> "n e":
        return attention(q, k, v + w)

    @vs.diagram
    def summed(q: "n c", k: "m c", v: "m e") -> "n":
        return vs.sum(attention(q, k, v), "e")

    for other, reason in ((more, "4"), (summed, "the output 'out'")):
        verdict = check((attention, other))
        assert not verdict
        assert reason in verdict.reason
        assert verdict.counterexample is None


def test_parameters_of_one_name_are_one():
    @vs.diagram
    def left(x: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="w", bias=True)

    @vs.diagram
    def right(x: "n d") -> "n e":
        w, b = vs.parameter("w", "d e"), vs.parameter("w_bias", "e", init="zeros")
        return b + vs.contract(w, x, over="d")

    @vs.diagram
    def without(x: "n d") -> "n e":
        return vs.contract(vs.parameter("w", "d e"), x, over="d")

    assert check((left, right))
    assert not check((left, without))  # a parameter that starts at zero need not stay there


def test_holes_are_outside():
    @vs.diagram
    def unknown(x: "n d") -> "n e":
        return vs.learner("u", x, binds="d", into="e")

    @vs.diagram
    def twice(x: "n d") -> "n e":
        return unknown(x) + 0

    verdict = check((unknown, twice))
    assert not verdict
    assert verdict.mark == "outside"
    assert "hole" in verdict.reason


def test_a_function_that_only_torch_knows_is_sampled():
    own = Function("bessel", torch="torch.special.i0({0})")

    @vs.diagram
    def left(x: "n m") -> "n":
        return vs.sum(own(x) * own(-x), "m")

    @vs.diagram
    def right(x: "n m") -> "n":
        return vs.sum(vs.power(own(x), 2), "m")

    @vs.diagram
    def wrong(x: "n m") -> "n":
        return vs.sum(vs.power(own(x), 2), "m") * 1.0001

    verdict = check((left, right))  # it is even, which nothing here knows
    assert verdict, str(verdict)
    assert verdict.mark == "sampled"
    assert not check((left, wrong))


def test_many_digits_know_a_value_that_one_side_lacks():
    @vs.diagram
    def left(x: "n") -> "n":
        return vs.log(x)

    @vs.diagram
    def right(x: "n") -> "n":
        return 2 * vs.log(vs.sqrt(x))

    @vs.diagram
    def wider(x: "n") -> "n":
        return vs.log(vs.abs(x))

    assert check((left, right))
    assert not check((left, wider))
    pair = Pair(left, wider)
    from vesalius.rewrite.checking.pair import Values

    assert compare(pair, Values({"n": 1}, (np.array([2.0]),))) == "equal"
    assert compare(pair, Values({"n": 1}, (np.array([-2.0]),))) == "undefined"


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(testing.diagrams(kinds=set(testing.KINDS) - {"parameter", "random"}), st.data())
def test_a_diagram_equals_itself_under_other_names(diagram, data):
    """Without sources: a parameter or a draw of another name is another one."""
    verdict = check((diagram, data.draw(testing.alpha_variants(diagram))))
    assert verdict, str(verdict)
    assert verdict.mark == "exact"


@settings(max_examples=20, deadline=None)
@given(testing.hosts(RULES["normalise_late"]))
def test_a_rule_is_found_in_its_hosts_and_keeps_their_types(before):
    for match in matches(RULES["normalise_late"], before):
        assert apply(before, match).output_types == before.output_types


def test_hosts_of_a_rule_hold_it():
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        chosen = instances(RULES["normalise_late"], rng)[1]
        found += any(
            True
            for _ in matches(RULES["normalise_late"], host(RULES["normalise_late"], chosen, rng))
        )
    assert found >= 5


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_keeps_its_promise(name):
    verdict = check(SCHEMAS[name])
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert verdict.parts


def test_a_wrong_schema_is_refuted_by_a_rule_that_it_makes():
    @schema("equal", at=[SOFTMAX])
    def twice(f):
        """softmax(x) = softmax(2·x)"""
        yield f.open().rule(lambda side: side.call(f, 2 * side[f][0]))

    verdict = check(twice, inputs=[attention])
    assert not verdict
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})
    nothing = check(SCHEMAS["prefix_of_scan"], inputs=[attention])
    assert not nothing
    assert nothing.mark == "outside"


def test_anything_else_is_refused():
    with pytest.raises(TypeClash, match="a pair of diagrams or of modules"):
        check(3)
    with pytest.raises(TypeClash, match="inputs="):
        check((torch.exp, torch.exp))
