"""Limits: what a parameter, or a number of features, takes away as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor]
    Sizes = Mapping[str, int]

STEPS = (1e-1, 1e-2, 1e-3)


def _far_below(p: State, sizes: Sizes, scale: float) -> State:
    """exp(b) → 0 as b → −∞"""
    from torch import tensor

    return {"b": tensor(-1 / scale)}


@rule("limit", witness=Witness(to_left=_far_below, scales=STEPS))
def sink_that_is_never_looked_at(s: "m") -> "m":
    """exp(s)/(exp(b) + Σ_m exp(s)) → softmax_m(s), as b → −∞"""
    b = vs.parameter("b", "")
    e = vs.exp(s)
    return e / (vs.exp(b) + vs.sum(e, "m")), vs.like(vs.softmax(s, over="m"), b)


@worked(sink_that_is_never_looked_at)
def weights_with_a_learned_sink(s: "h n m") -> "h n m":
    e = vs.exp(s)
    return e / (vs.exp(vs.parameter("sink", "h")) + vs.sum(e, "m"))


def _low_bias(p: State, sizes: Sizes, scale: float) -> State:
    """σ(s + b) → exp(b)·exp(s) as b → −∞"""
    from torch import tensor

    return {"b": tensor(-1 / scale)}


@rule("limit", witness=Witness(to_left=_low_bias, scales=(1.0, 0.2, 0.04)))
def sigmoids_of_a_low_bias(s: "m") -> "m":
    """σ(s + b)/Σ_m σ(s + b) → softmax_m(s), as b → −∞: where a sigmoid is low, it is exponential

    The error of a weight is of the order exp(b)·Σ_m exp(s).
    """
    b = vs.parameter("b", "")
    w = vs.sigmoid(s + b)
    return w / vs.sum(w, "m"), vs.like(vs.softmax(s, over="m"), b)


@worked(sigmoids_of_a_low_bias)
def sigmoids_by_their_sum(q: "n c", k: "m c") -> "n m":
    w = vs.sigmoid(vs.contract(q, k, over="c") + vs.parameter("bias", ""))
    return w / vs.sum(w, "m")


@rule("limit", witness=Witness(to_left=_low_bias, scales=(1.0, 0.2, 0.04)))
def sticks_of_a_low_bias(s: "m", t: "m l:m") -> "m":
    """σ(s + b)·exp(Σ_l t·log(1 + exp(s[l] + b))), by its sum over m → softmax_m(s), as b → −∞

    Shares of what others left: as each takes little, all is left.
    """
    b = vs.parameter("b", "")
    taken = vs.softplus(s + b).rename(m="l")
    w = vs.sigmoid(s + b) * vs.exp(vs.contract(t, taken, over="l"))
    shares = vs.like(vs.softmax(s, over="m"), b)
    return w / vs.sum(w, "m"), vs.like(shares, vs.sum(t, "m l"))


@worked(sticks_of_a_low_bias)
def sticks_by_their_sum(s: "n m", later: "m l:m") -> "n m":
    shifted = s + vs.parameter("bias", "")
    left = vs.contract(later, vs.softplus(shifted).rename(m="l"), over="l")
    w = vs.sigmoid(shifted) * vs.exp(left)
    return w / vs.sum(w, "m")


def _far_above(p: State, sizes: Sizes, scale: float) -> State:
    """σ(b) → 1 as b → ∞"""
    from torch import tensor

    return {"b": tensor(1 / scale)}


@rule("limit", witness=Witness(to_left=_far_above, scales=STEPS))
def gate_that_stays_open(x: "") -> "":
    """log σ(x + b) → 0, as b → ∞: nothing is forgotten"""
    b = vs.parameter("b", "")
    return vs.softplus(-1 * (x + b)), vs.like(vs.like(0.0, x), b)


@worked(gate_that_stays_open)
def forgetting_of_every_head(x: "n d") -> "n h":
    return vs.softplus(-1 * (vs.linear(x, "d", "h", name="w") + vs.parameter("bias", "h")))


def _normal(p: State, sizes: Sizes, scale: float) -> State:
    """As many draws of the standard normal as the scale says."""
    import torch

    draw = torch.Generator().manual_seed(0)
    shape = int(scale), sizes["c"]
    return {"w": torch.randn(shape, generator=draw, dtype=torch.float64)}


@rule("limit", witness=Witness(to_left=_normal, scales=(16, 256, 4096), width="r"))
def positive_features_to_an_exponential(q: "c", k: "c") -> "":
    """(1/r)·Σ_r φ_r(q)·φ_r(k) → exp(q·k), φ_r(x) = exp(w_r·x − ‖x‖²/2), w ~ N(0, 1), as r → ∞

    The features of a Performer (arXiv 2009.14794), their directions kept as a parameter. The error
    falls as 1/√r, and grows with the lengths of q and k.
    """
    w = vs.parameter("w", "r c", trainable=False)

    def features(x: Wire) -> Wire:
        return vs.exp(vs.contract(w, x, over="c") - vs.contract(x, x, over="c") / 2)

    return (
        vs.contract(features(q), features(k), over="r") / vs.size("r"),
        vs.like(vs.exp(vs.contract(q, k, over="c")), vs.sum(w, "r c")),
    )


@worked(positive_features_to_an_exponential)
def kernel_of_kept_directions(q: "n c", k: "m c") -> "n m":
    w = vs.parameter("omega", "r c", trainable=False)

    def features(x: Wire) -> Wire:
        return vs.exp(vs.contract(w, x, over="c") - vs.contract(x, x, over="c") / 2)

    return vs.contract(features(q), features(k), over="r") / vs.size("r")


def _no_parameters(p: State, sizes: Sizes, scale: float) -> State:
    """Both sides have none."""
    return {}


@rule("limit", witness=Witness(to_left=_no_parameters, scales=(4, 64, 1024), width="p"))
def long_wave_is_level(x: "") -> "":
    """cos(x/p) → 1, as p → ∞: within a fixed reach, a long wave is level

    The error is x²/2p² at most.
    """
    return vs.cos(x / vs.size("p")), vs.like(1.0, x)


@worked(long_wave_is_level)
def weights_under_a_wave(q: "n c", k: "m c", far: "n m") -> "n m":
    return vs.contract(q, k, over="c") * vs.cos(far / vs.size("p"))


@rule("approximates")
def cap_of_small_scores(x: "", cap: "") -> "":
    """cap·tanh(x/cap) ≈ x, where x is small beside the cap

    The error is |x|³/(3·cap²) at most; it is not bounded over all x.
    """
    return cap * vs.tanh(x / cap), vs.like(x, cap)


@worked(cap_of_small_scores)
def capped_scores(q: "n c", k: "m c") -> "n m":
    cap = vs.constant(50.0)
    return cap * vs.tanh(vs.contract(q, k, over="c") / cap)
