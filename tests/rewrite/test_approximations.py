"""What a rule that approximates is held to, with a stated bound and without one."""

import vesalius as vs


def test_without_a_bound_the_difference_is_measured_and_nothing_is_called_equal():
    @vs.rule("approximates")
    def first_order(x: "") -> "":
        """exp x ≈ 1 + x"""
        return vs.exp(x), 1 + x

    verdict = vs.check(first_order)
    assert verdict
    assert 0.1 < verdict.measured < float("inf")
    (tier,) = verdict.tiers
    assert tier.outcome == "measured"
    assert "no bound is stated" in str(verdict)


def test_what_is_no_nearer_than_zero_approximates_nothing():
    @vs.rule("approximates")
    def turned(x: "") -> "":
        """sinh x ≈ −sinh x"""
        return vs.exp(x) - vs.exp(-x), vs.exp(-x) - vs.exp(x)

    verdict = vs.check(turned)
    assert not verdict
    assert "by more than zero does" in str(verdict)


def test_a_difference_that_is_not_finite_is_no_small_one():
    @vs.rule("approximates")
    def of_negative_numbers(x: "") -> "":
        """x ≈ exp(log x), for positive x alone"""
        return x, vs.exp(vs.log(x))

    verdict = vs.check(of_negative_numbers)
    assert not verdict
    assert verdict.measured == float("inf")
