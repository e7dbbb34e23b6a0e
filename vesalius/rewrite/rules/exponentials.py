"""The exponential turns sums into products."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule


@rule("equal")
def exp_of_sum(x: "", y: "") -> "":
    """exp(x + y) = exp(x)·exp(y)"""
    return vs.exp(x + y), vs.exp(x) * vs.exp(y)


@rule("equal")
def reciprocal_of_product(x: "", y: "") -> "":
    """1/(x·y) = 1/x · 1/y"""
    return vs.reciprocal(x * y), vs.reciprocal(x) * vs.reciprocal(y)
