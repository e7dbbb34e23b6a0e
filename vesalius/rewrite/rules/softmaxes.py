"""Softmax: what it is, what it ignores, and where its denominator may stand.

They hold for rows with a finite score. A row whose scores are all −∞ has weights 0 by
definition, and there the denominators that these rules bring in would be 0.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule


@rule("equal")
def unfold_softmax(s: "m") -> "m":
    """softmax_m(s) = exp(s) / Σ_m exp(s)"""
    e = vs.exp(s)
    return vs.softmax(s, over="m"), e / vs.sum(e, "m")


@rule("equal")
def shift_softmax(s: "m", c: "") -> "m":
    """softmax_m(s + c) = softmax_m(s), where c does not depend on m"""
    return vs.softmax(s + c, over="m"), vs.like(vs.softmax(s, over="m"), c)


@rule("equal")
def normalise_late(ws: many(""), xs: many("m"), ys: many("m")) -> "":
    """Σ_m (w·x_m)·y_m = w·Σ_m x_m·y_m: the denominator of a softmax after the sum"""
    return (
        vs.contract(vs.contract(ws, xs), ys, over="m"),
        vs.contract(ws, vs.contract(xs, ys, over="m")),
    )


@rule("equal")
def mix_of_shift(s: "m", y: "m", b: "") -> "":
    """Σ_m softmax_m(s)·(y_m + b) = Σ_m softmax_m(s)·y_m + b: weights that sum to 1"""
    weights = vs.softmax(s, over="m")
    return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b


@rule("equal")
def softmax_of_product(s: "m", t: "k") -> "m k":
    """softmax_mk(s_m + t_k) = softmax_m(s)·softmax_k(t)"""
    return vs.softmax(s + t, over="m k"), vs.softmax(s, over="m") * vs.softmax(t, over="k")
