"""Checking: what is true is accepted, on the best evidence there is, and said plainly."""

from fractions import Fraction

import pytest
from check_samples import circle, normalise_late

import vesalius as vs
from vesalius.rewrite.check import assert_rule, check
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.checking.sampled import sampled
from vesalius.rewrite.rule import anyfunction, many, rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.verdict import weakest


@rule("equal")
def distribute(ws: many(""), x: "j", y: "j") -> "":
    """Σ_j w·(x_j + y_j) = w·Σ_j x_j + w·Σ_j y_j"""
    left = vs.contract(ws, x + y, over="j")
    return left, vs.contract(ws, x, over="j") + vs.contract(ws, y, over="j")


@rule("equal")
def split_softmax(s: "m", t: "k", v: "m", u: "k") -> "":
    """attention over two sets of keys from attention over each"""
    e, f = vs.sum(vs.exp(s), "m"), vs.sum(vs.exp(t), "k")
    joined = vs.concat(s, t, over=("m", "k"), into="a")
    values = vs.concat(v, u, over=("m", "k"), into="a")
    one = vs.contract(vs.softmax(s, over="m"), v, over="m")
    other = vs.contract(vs.softmax(t, over="k"), u, over="k")
    whole = vs.contract(vs.softmax(joined, over="a"), values, over="a")
    return whole, (e * one + f * other) / (e + f)


@rule("equal")
def stable_softmax(s: "m") -> "m":
    """softmax = exp(s − max s) / Σ exp(s − max s)"""
    e = vs.exp(s - vs.max(s, "m"))
    return vs.softmax(s, over="m"), e / vs.sum(e, "m")


@rule("equal")
def fold_scale(q: "c", k: "c") -> "":
    """(q·k)/√c = (q/√c)·k"""
    scale = 1 / vs.sqrt(vs.size("c"))
    return scale * vs.contract(q, k, over="c"), vs.contract(scale * q, k, over="c")


@rule("equal")
def any_function_of_a_choice(f: anyfunction, c: "bool", x: "", y: "") -> "":
    """f(x if c else y) = f(x) if c else f(y)"""
    return f(vs.where(c, x, y)), vs.where(c, f(x), f(y))


@rule("equal")
def largest_of_two(x: "", y: "") -> "":
    """max(x, y) = (x + y + |x − y|)/2"""
    return vs.maximum(x, y), (x + y + vs.abs(x - y)) * Fraction(1, 2)


@rule("equal")
def softplus_is_odd_up_to_x(x: "") -> "":
    """softplus(x) − softplus(−x) = x: no tier but floats knows softplus"""
    return vs.softplus(x) - vs.softplus(-x), x


HOLDING = {
    "exact": [
        distribute,
        split_softmax,
        normalise_late,
        stable_softmax,
        fold_scale,
        any_function_of_a_choice,
        circle,
    ],
    "rational": [largest_of_two],
    "sampled": [softplus_is_odd_up_to_x],
}


@pytest.mark.parametrize(
    ("mark", "known"), [(mark, known) for mark, rules in HOLDING.items() for known in rules]
)
def test_a_true_rule_is_accepted_with_the_mark_it_deserves(mark, known):
    verdict = check(known)
    assert verdict, str(verdict)
    assert verdict.mark == mark
    assert verdict.counterexample is None
    assert_rule(known)


# Equal rules of the library on which no exact tier decides: they are about order.
WEAKER = {
    "rational": {
        "largest_is_the_maximum",
        "maximum_in_two",
        "maximum_of_concat",
        "maximum_of_merged",
        "maximum_of_negatives",
        "maximum_of_shift",
        "prefix_maximum_as_loop",
        "relu_is_a_maximum",
        "root_of_product",
        "sum_in_sorted_order",
        "two_relus_are_linear",
        "two_relus_are_the_absolute",
    },
    "sampled": {
        "all_of_the_largest",
        "log_of_reciprocal",
        "log_of_sigmoid",
        "mask_as_places",
        "softmax_in_sorted_order",
        "unfold_softplus",
    },
}


@pytest.mark.parametrize("known", RULES.values(), ids=RULES.keys())
def test_every_rule_of_the_library_keeps_its_promise(known):
    verdict = check(known)
    assert verdict, str(verdict)
    if known.grade.name == "equal":
        weaker = [mark for mark, names in WEAKER.items() if known.name in names]
        assert [verdict.mark] == (weaker or ["exact"])


def test_an_equal_rule_is_tried_in_every_tier_and_through_the_engine():
    verdict = check(RULES["unfold_softmax"])
    assert [tier.name for tier in verdict.tiers] == ["finite field", "floats", "engine"]
    assert all(tier.outcome == "equal" for tier in verdict.tiers)
    assert all(tier.trials > 5 for tier in verdict.tiers)
    assert verdict.trials == sum(tier.trials for tier in verdict.tiers)


def test_the_same_seed_gives_the_same_verdict():
    assert str(check(normalise_late, seed=3)) == str(check(normalise_late, seed=3))


def test_a_rule_that_fails_raises_with_its_counterexample():
    @rule("equal")
    def wrong(x: "j") -> "":
        """Σ x² = (Σ x)²"""
        total = vs.sum(x, "j")
        return vs.contract(x, x, over="j"), total * total

    with pytest.raises(AssertionError, match=r"(?s)FAILS, exact.*def left.*assert torch.allclose"):
        assert_rule(wrong)


def test_without_explanation_no_counterexample_is_looked_for():
    @rule("equal")
    def wrong(x: "") -> "":
        return vs.exp(x), x

    assert check(wrong).counterexample is not None
    quick = check(wrong, explain=False)
    assert not quick
    assert quick.counterexample is None


# -- what holds in a narrower sense ---------------------------------------------------------------


def test_an_empty_axis_is_noted_and_not_held_against_a_rule():
    @rule("equal")
    def mean_of_shift(s: "m", b: "") -> "":
        """the weights of a softmax sum to 1, if there are any"""
        return vs.contract(vs.softmax(s, over="m"), over="m") * b, vs.like(b, vs.sum(s, "m"))

    verdict = check(mean_of_shift)
    assert verdict
    assert set(verdict.notes) == {
        "the sides differ where m is empty",
        "the sides differ where s is all −∞",
    }


def test_a_value_at_special_points_only_is_noted():
    @rule("equal")
    def cancelled(x: "", y: "") -> "":
        """x·y/y = x, where y is not zero"""
        return x * y / y, vs.like(x, y)

    verdict = check(cancelled)
    assert verdict
    assert any("special points" in note for note in verdict.notes)


def test_a_constant_in_floats_is_the_binary_fraction_that_it_is():
    @rule("equal")
    def tenths(x: "") -> "":
        return x * 0.1 + x * 0.2, x * 0.3

    @rule("equal")
    def exact_tenths(x: "") -> "":
        return x * Fraction(1, 10) + x * Fraction(2, 10), x * Fraction(3, 10)

    assert check(exact_tenths)
    verdict = check(tenths)
    assert not verdict
    assert verdict.mark == "exact"
    assert 'algebra="rational"' in str(verdict.counterexample)
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_difference_that_only_the_finite_field_sees_is_printed_in_it():
    @rule("equal")
    def nearly(x: "") -> "":
        """exp(x·(1 + 2⁻⁵⁰⁰⁰)) is exp(x) to any number of digits that is used"""
        return vs.exp(x * (1 + Fraction(1, 2**5000))), vs.exp(x)

    verdict = check(nearly)
    assert not verdict
    assert verdict.mark == "exact"
    assert 'algebra="field"' in str(verdict.counterexample)
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_rounding_and_overflow_are_not_differences():
    """exp overflows float64 at 710, and a sum of large numbers cancels."""

    @rule("equal")
    def shifted(x: "j", c: "") -> "":
        return vs.sum((x + c) - c, "j"), vs.like(vs.sum(x, "j"), c)

    for known in (RULES["exp_of_sum"], RULES["unfold_softmax"], shifted):
        pair = Pair(known.left, known.right) if known is not shifted else None
        assert check(known)
        if pair is not None:
            sample = sampled(pair, draws=20)
            assert sample.refutation is None
            assert sample.trials >= 20


def test_a_small_difference_is_not_rounding():
    @vs.diagram
    def left(x: "n") -> "n":
        return x / (vs.abs(x) + 1e-13)

    @vs.diagram
    def right(x: "n") -> "n":
        return vs.sign(x)

    verdict = check((left, right))
    assert not verdict


# -- verdicts -------------------------------------------------------------------------------------


def test_a_verdict_prints_what_it_rests_on():
    text = str(check(normalise_late))
    assert text.startswith("normalise_late (equal): holds, exact\n  finite field: equal, ")
    assert "wrong with probability ≤ " in text
    assert "engine: equal" in text


def test_the_weakest_mark():
    assert weakest(["exact", "rational", "sampled"]) == "sampled"
    assert weakest(["exact", "outside", "sampled"]) == "outside"
    assert weakest([]) == "exact"
