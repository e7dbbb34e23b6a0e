"""Kernels: similarities that are products of features, so that keys can be summed before queries.

Each comes as two functions: the features of q and of k, along the axis `c`, and their product.
"""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.anatomy.parts.norms import unit
from vesalius.anatomy.parts.similarity import dot, scaled_dot
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def elu_plus_one(x: Wire) -> Wire:
    """elu(x) + 1, which is positive"""
    return vs.elu(x) + 1


def elu_features(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """elu + 1 of q and of k"""
    return elu_plus_one(q), elu_plus_one(k)


def kernel(q: Wire, k: Wire) -> Wire:
    """Σ_c φ(q)·φ(k), φ = elu + 1"""
    return dot(*elu_features(q, k))


# -- random features ------------------------------------------------------------------------------


def directions(q: Wire, orthogonal: bool = False) -> Wire:
    """r random directions, drawn once and kept: normal, orthogonal in blocks of c on request"""
    init = "orthogonal" if orthogonal else "normal"
    return vs.parameter("omega", f"r {axes_of(q, 'c')}", init=init, trainable=False)


def exponential_features(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """exp(ω·x − |x|²/2) of x = q / ⁴√c and of x = k / ⁴√c

    The exponent is at most |ω|²/2, so that nothing overflows and no maximum has to be subtracted.
    """
    omega, root = directions(q, orthogonal=True), vs.sqrt(vs.sqrt(q.axes["c"]))

    def features(x: Wire) -> Wire:
        x = x / root
        return vs.exp(dot(x, omega) - dot(x, x) / 2).rename(r="c")

    return features(q), features(k)


def softmax_estimate(q: Wire, k: Wire) -> Wire:
    """Σ_r exp(ω·q − |q|²/2)·exp(ω·k − |k|²/2), of q and k divided by ⁴√c"""
    return dot(*exponential_features(q, k))


def waves(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """[sin(σ·ω·x), cos(σ·ω·x)] of x = q / |q| and of x = k / |k|, σ learned"""
    omega = directions(q) * vs.parameter("sigma", axes_of(q, "c"), init="ones")

    def features(x: Wire) -> Wire:
        phase = dot(unit(x), omega)
        return vs.concat(vs.sin(phase), vs.cos(phase), over="r", into="c")

    return features(q), features(k)


def gaussian_estimate(q: Wire, k: Wire) -> Wire:
    """Σ_r sin(ω·q)·sin(ω·k) + cos(ω·q)·cos(ω·k), of q / |q| and k / |k|"""
    return dot(*waves(q, k))


# -- others ---------------------------------------------------------------------------------------


def reweighted_at(x: Wire, place: Wire) -> Wire:
    """[relu(x)·cos(π·i/2p), relu(x)·sin(π·i/2p)], i the place"""
    angle = place * (math.pi / 2) / vs.size("p")
    x = vs.relu(x)
    return vs.concat(x * vs.cos(angle), x * vs.sin(angle), over="c")


def reweighted(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """[relu(x)·cos(π·i/2p), relu(x)·sin(π·i/2p)] of q at i = n and of k at i = m"""
    return reweighted_at(q, index(q, "n")), reweighted_at(k, index(k, "m"))


def near_relu(q: Wire, k: Wire) -> Wire:
    """(Σ_c relu(q)·relu(k))·cos(π·(n − m)/2p)"""
    return dot(*reweighted(q, k))


def monomials(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """[1, x_a, x_a·x_b/√2] of x = q / ⁴√c and of x = k / ⁴√c"""
    root = vs.sqrt(vs.sqrt(q.axes["c"]))

    def features(x: Wire) -> Wire:
        x = x / root
        one = vs.like(1.0, vs.slice(x, "c", length=1))
        squares = vs.merge(x * x.rename(c="a"), "c a", "c") / math.sqrt(2)
        return vs.concat(one, x, squares, over="c")

    return features(q), features(k)


def second_order(q: Wire, k: Wire) -> Wire:
    """1 + s + s²/2, s = (Σ_c q·k) / √c"""
    s = scaled_dot(q, k)
    return 1 + s + vs.power(s, 2) / 2


def by_channels(q: Wire, k: Wire) -> Wire:
    """Σ_c softmax_c(q)·k"""
    return dot(vs.softmax(q, "c"), k)
