"""A derivation is checked step by step, where each step took place."""

import pytest
from check_samples import attention

import vesalius as vs
from vesalius.rewrite.check import check
from vesalius.rewrite.derivation import Derivation, Step, derive
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules import RULES


@vs.diagram
def scaled(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


def test_a_derivation_is_checked_step_by_step():
    found = derive(scaled.over("b h"), RULES["unfold_softmax"], RULES["normalise_late"])
    verdict = check(found)
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert [part.name for part in verdict.parts] == ["1. unfold_softmax", "2. normalise_late"]
    assert verdict.trials > 20


def test_a_long_derivation_is_exact_though_the_whole_is_outside():
    """Two softmaxes on a path: the whole is outside the fragment, each step is not."""

    @vs.diagram
    def two_layers(x: "n m", y: "m") -> "n m":
        first = vs.softmax(x, over="m") * y
        return vs.softmax(first, over="m")

    found = derive(two_layers, RULES["unfold_softmax"], RULES["unfold_softmax"])
    verdict = check(found)
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert len(verdict.parts) == 2


def test_a_wrong_step_is_found():
    @rule("equal")
    def wrong(s: "m") -> "m":
        """softmax = exp / max exp"""
        e = vs.exp(s)
        return vs.softmax(s, over="m"), e / vs.max(e, "m")

    verdict = check(derive(scaled, RULES["unfold_softmax"].inverse().inverse()))
    assert verdict
    verdict = check(derive(scaled, wrong))
    assert not verdict
    assert "step 1, wrong" in verdict.reason
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_step_that_does_not_replay_is_found():
    found = derive(scaled, RULES["unfold_softmax"])
    forged = Derivation(scaled, (Step(Rewrite(RULES["unfold_softmax"]), scaled, attention),))
    assert check(found)
    verdict = check(forged)
    assert not verdict
    assert "does not give what it gave" in verdict.reason


def test_a_derivation_of_variants_promises_little():
    found = derive(vs.diagram(name="kernel")(lambda_kernel), RULES["exponential_to_elu_kernel"])
    verdict = check(found)
    assert verdict
    assert verdict.grade == "variant"
    assert verdict.mark == "sampled"


def lambda_kernel(q: "n c", k: "m c") -> "n m":
    return vs.exp(vs.contract(q, k, over="c"))
