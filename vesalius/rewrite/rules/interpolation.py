"""Functions of a sum as sums of products: one summand is interpolated between knots.

A function f of p + u is the sum over knots g of hat(p − g)·f(g + u), as nearly as the knots are
dense and reach far, where a hat is 1 at 0 and falls to 0 at the next knots. So what two tokens
make of the sum of what each says is a product of what each says alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness


def knots() -> Wire:
    """g = (2i − r)/2√r for i < r: they are 1/√r apart, and reach from −√r/2 to √r/2"""
    return (2 * vs.iota("r") - vs.size("r")) / (2 * vs.sqrt(vs.size("r")))


def hats(p: Wire) -> Wire:
    """relu(1 − √r·|p − g|): how much of p is at each knot"""
    return vs.relu(1 - vs.sqrt(vs.size("r")) * vs.abs(p - knots()))


def at_knots(f: Callable[[Wire], Wire], u: Wire) -> Wire:
    """f(g + 1/2√r + u): half a step beyond each knot

    So the error is of the order 1/√r wherever f is not level, and can be seen to fall.
    """
    return f(knots() + 1 / (2 * vs.sqrt(vs.size("r"))) + u)


def leaky(x: Wire) -> Wire:
    """x, or x/5 where it is negative"""
    return vs.leaky_relu(x, 0.2)


def _nothing(p: Mapping[str, Any], sizes: Mapping[str, int], scale: float) -> dict[str, Any]:
    """There are no parameters: knots are the same for all."""
    return {}


MORE_KNOTS = Witness(to_left=_nothing, scales=(16, 256, 4096), width="r")


@rule("limit", witness=MORE_KNOTS)
def interpolated_tanh_of_a_sum(p: "", u: "") -> "":
    """Σ_r hat_r(p)·tanh(g_r + 1/2√r + u) → tanh(p + u), as r → ∞

    The error is at most 3/2√r where p lies between the knots, as tanh rises by no more than 1.
    """
    return vs.contract(hats(p), at_knots(vs.tanh, u), over="r"), vs.tanh(p + u)


@worked(interpolated_tanh_of_a_sum)
def additive_score_of_products(q: "n a", k: "m a") -> "n m a":
    return vs.contract(hats(q), at_knots(vs.tanh, k), over="r")


@rule("limit", witness=MORE_KNOTS)
def interpolated_leaky_relu_of_a_sum(p: "", u: "") -> "":
    """Σ_r hat_r(p)·leaky(g_r + 1/2√r + u) → leaky(p + u), leaky(x) = max(x, x/5), as r → ∞

    The error is at most 3/2√r where p lies between the knots, as leaky rises by no more than 1.
    """
    return vs.contract(hats(p), at_knots(leaky, u), over="r"), leaky(p + u)


@worked(interpolated_leaky_relu_of_a_sum)
def leaky_score_of_products(q: "n", k: "m") -> "n m":
    return vs.contract(hats(q), at_knots(leaky, k), over="r")
