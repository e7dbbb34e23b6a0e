"""The exponential turns sums into products, the logarithm back.

Over the reals. In floats a product of exponentials overflows, and one of their sums vanishes,
long before the exponential of the sum does: take the right sides with a rescaling.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked


@rule("equal")
def exp_of_sum(x: "", ys: many("")) -> "":
    """exp(x + y) = exp(x)·exp(y)"""
    return vs.exp(vs.add(x, ys)), vs.exp(x) * vs.exp(vs.add(ys))


@worked(exp_of_sum)
def factored_position_weights(w: "n m", k: "m e") -> "n m e":
    return vs.exp(w + k)


@rule("equal")
def exp_of_negative(x: "") -> "":
    """exp(−x) = 1/exp(x)"""
    return vs.exp(-x), vs.reciprocal(vs.exp(x))


@worked(exp_of_negative)
def decay_by_distance(distance: "n m") -> "n m":
    return vs.exp(-distance)


@rule("equal")
def log_of_exp(x: "") -> "":
    """log(exp x) = x"""
    return vs.log(vs.exp(x)), x


@worked(log_of_exp)
def logarithm_of_a_gate(gate: "n") -> "n":
    return vs.log(vs.exp(gate))


@rule("equal")
def log_of_reciprocal(x: "") -> "":
    """log(1/x) = −log x, where x > 0"""
    return vs.log(vs.reciprocal(x)), -vs.log(x)


@worked(log_of_reciprocal)
def logarithm_of_a_share(scores: "n m") -> "n":
    return vs.log(1 / vs.sum(vs.exp(scores), "m"))


@rule("equal")
def log_sum_exp_of_shift(s: "m", c: "") -> "":
    """log Σ_m exp(s_m + c) = log Σ_m exp(s_m) + c, where c does not depend on m"""
    return vs.log(vs.sum(vs.exp(s + c), "m")), vs.log(vs.sum(vs.exp(s), "m")) + c


@worked(log_sum_exp_of_shift)
def normaliser_of_biased_scores(s: "n m", bias: "n") -> "n":
    return vs.log(vs.sum(vs.exp(s + bias), "m"))


@rule("equal")
def stabilise_log_sum_exp(s: "m") -> "":
    """log Σ_m exp(s_m) = log Σ_m exp(s_m − max_m s) + max_m s: nothing overflows

    Where all s_m are −∞ the right side is not a number.
    """
    largest = vs.max(s, "m")
    return (
        vs.log(vs.sum(vs.exp(s), "m")),
        vs.log(vs.sum(vs.exp(s - largest), "m")) + largest,
    )


@worked(stabilise_log_sum_exp)
def normaliser_of_scores(q: "n c", k: "m c") -> "n":
    return vs.log(vs.sum(vs.exp(vs.contract(q, k, over="c")), "m"))


@rule("equal")
def root_of_product(x: "", y: "") -> "":
    """√(x²·y²) = |x|·|y|"""
    return vs.sqrt(vs.power(x, 2) * vs.power(y, 2)), vs.abs(x) * vs.abs(y)


@worked(root_of_product)
def geometric_mean_of_energies(q: "n c", k: "m c") -> "n m c":
    return vs.sqrt(vs.power(q, 2) * vs.power(k, 2))
