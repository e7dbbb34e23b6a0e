"""The finite field: how sure it is, what it takes for any function, when it says outside."""

import pytest
from check_samples import circle, normalise_late

import vesalius as vs
from vesalius.diagrams.meaning.field import acceptance
from vesalius.rewrite.check import check
from vesalius.rewrite.checking.exact import complexity, exact
from vesalius.rewrite.checking.pair import Pair


def test_the_error_bound_is_that_of_the_trials():
    verdict = check(normalise_late)
    (field,) = [tier for tier in verdict.tiers if tier.name == "finite field"]
    assert field.error is not None
    assert 0 < field.error <= 1e-9
    assert verdict.error == field.error
    pair = Pair(normalise_late.left, normalise_late.right)
    tier, _ = exact(pair)
    terms, degree = complexity(pair, {"m": 2})
    assert terms == 0  # no exponential: the bound of Schwartz and Zippel
    assert tier.error == pytest.approx(acceptance(0, degree) ** 3)


@pytest.mark.parametrize(("m", "terms"), [(2, 3), (3, 6), (4, 10)])
def test_the_exponentials_of_a_difference_are_counted(m, terms):
    """(Σ_m e^s·v)·(Σ_m e^s): the products of two of m exponentials, in either order."""
    weights = vs.softmax

    @vs.diagram
    def left(s: "m", v: "m") -> "":
        return vs.contract(weights(s, over="m"), v, over="m")

    @vs.diagram
    def right(s: "m", v: "m") -> "":
        e = vs.exp(s)
        return vs.contract(e, v, over="m") / vs.sum(e, "m")

    assert complexity(Pair(left, right), {"m": m})[0] == terms


def test_the_largest_of_places_is_known_where_exponentials_are_counted():
    """Places are integers, of which there is nothing to count."""

    @vs.diagram
    def left(s: "n m") -> "n":
        _, place = vs.topk(s, "m", "one:1")
        return vs.to_float(vs.max(place, "one")) + vs.max(s, "m")

    @vs.diagram
    def right(s: "n m") -> "n":
        _, place = vs.topk(s, "m", "one:1")
        return vs.to_float(vs.min(place, "one")) + vs.max(s, "m")

    assert complexity(Pair(left, right), {"n": 2, "m": 3})[0] == 0
    assert check((left, right))


def test_many_exponentials_have_no_bound_and_it_says_so():
    @vs.diagram
    def left(s: "i j k") -> "":
        return vs.sum(vs.softmax(vs.softmax(s, over="i"), over="j"), "i j k") / vs.size("i*k")

    verdict = check((left, left.rename()))
    assert verdict.error == 0.0  # one diagram

    @vs.diagram
    def right(s: "i j k") -> "":
        e = vs.exp(s)
        return vs.sum(vs.softmax(e / vs.sum(e, "i"), over="j"), "i j k") / vs.size("i*k")

    tier, _ = exact(Pair(left, right))
    assert tier.outcome == "equal"
    assert tier.error is None
    assert "too many" in tier.reason


def test_what_the_field_does_not_contain_is_taken_for_any_function():
    @vs.diagram
    def left(x: "n m", y: "n") -> "n":
        return vs.relu(vs.max(x, "m")) * (y + y)

    @vs.diagram
    def right(x: "n m", y: "n") -> "n":
        return 2 * vs.relu(vs.max(x, "m")) * y

    verdict = check((left, right))
    assert verdict.mark == "exact"
    assert verdict


def test_two_exponentials_on_a_path_are_equal_where_the_inner_ones_are():
    @vs.diagram
    def left(s: "n m", t: "m") -> "m":
        return vs.softmax(vs.contract(vs.softmax(s, over="n"), t, over="n") + 1, over="m")

    @vs.diagram
    def right(s: "n m", t: "m") -> "m":
        e = vs.exp(vs.contract(vs.softmax(s, over="n"), t, over="n"))
        return e / vs.sum(e, "m")

    verdict = check((left, right))
    assert verdict
    assert verdict.mark == "exact"


def test_the_field_says_outside_when_it_cannot_decide():
    tier, difference = exact(Pair(circle.left, circle.right))
    assert tier.outcome == "outside"
    assert "cos, sin" in tier.reason
    assert difference is None


def test_a_symmetric_function_may_swap_its_arguments():
    @vs.diagram
    def left(x: "n", y: "n") -> "n":
        return vs.maximum(x + 0, y)

    @vs.diagram
    def right(x: "n", y: "n") -> "n":
        return vs.maximum(y, x)

    assert check((left, right)).mark == "exact"
