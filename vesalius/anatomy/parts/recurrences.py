"""Sums along the positions: what a step does, means of the past, states that fade."""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of, counted, index
from vesalius.anatomy.parts.normalisers import shown
from vesalius.anatomy.parts.positions import running_sum
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire


@diagram
def fade(state: "", x: "", rate: "") -> {"state": "", "sum": ""}:  # type: ignore[misc]
    """The sum fades by exp(rate), and x joins it."""
    state = vs.exp(rate) * state + x
    return {"state": state, "sum": state}


def faded(x: Wire, rate: Wire) -> Wire:
    """Σ_{m ≤ n} exp((n − m)·rate)·x[m]"""
    _, sums = vs.scan(fade, over="n", states=[0.0], sequences=[x], captured=[rate])
    return sums


def previous(x: Wire) -> Wire:
    """x[n − 1], 0 at the first position"""
    return vs.slice(vs.pad(x, "n", 1, 0), "n", length=x.axes["n"])


# -- RWKV -----------------------------------------------------------------------------------------


def token_shift(x: Wire) -> tuple[Wire, Wire, Wire]:
    """r, k, v = (x + x[n−1] + μ·(x − x[n−1]))·W / 2, μ and W of its own for each"""
    before = previous(x)
    return shifted(x, before, "r"), shifted(x, before, "k"), shifted(x, before, "v")


def shifted(x: Wire, before: Wire, name: str) -> Wire:
    """(x + before + μ·(x − before))·W / 2; of the last channels nearly x alone, at first"""

    def ramp(d: Wire) -> Wire:
        share = d / x.axes["d"]
        return 2 * (vs.sqrt(share) if name == "r" else share) - 1

    mix = vs.parameter(f"mix_{name}", axes_of(x, "d"), init=ramp)
    return vs.linear((x + before + mix * (x - before)) / 2, "d", "e", name=f"w{name}")


def decay_and_bonus(k: Wire) -> tuple[Wire, Wire]:
    """w = exp(ω − 1), by which a channel fades, and u, which the present has more"""
    width = k.axes["e"]

    def slow_to_fast(e: Wire) -> Wire:
        return 8 * vs.power(e / (width - 1), exponent=0.7) - 4

    def zigzag(e: Wire) -> Wire:
        return math.log(0.3) + (vs.remainder(e + 1, 3) - 1) / 2

    channels = axes_of(k, "e")
    decay = vs.exp(vs.parameter("omega", channels, init=slow_to_fast) - 1)
    return decay, vs.parameter("u", channels, init=zigzag)


def fading_keys(k: Wire, w: Wire, u: Wire) -> Wire:
    """k − (n − 1 − m)·w where m < n, k + u where m = n, −∞ where m > n; for each channel"""
    return fading_keys_at(k, w, u, counted("n", k.axes["m"]), index(k, "m"))


def fading_keys_at(k: Wire, w: Wire, u: Wire, i: Wire, j: Wire) -> Wire:
    """k − (i − 1 − j)·w where j < i, k + u where j = i, −∞ where j > i; for each channel"""
    ago = vs.to_float(i - 1 - j)
    hidden = vs.where(vs.equal(j, i), u, float("-inf"))
    return vs.where(j < i, -(w * ago), hidden) + k


def kept_or_now(scores: Wire, keep: Wire) -> Wire:
    """m is kept, or m = n"""
    return keep.rename(n="m") | vs.equal(index(scores, "n"), index(scores, "m"))


def fading_mean(k: Wire, v: Wire, w: Wire, u: Wire, keep: Wire | None = None) -> Wire:
    """(A + e^(u+k)·v) / (B + e^(u+k)), A and B the sums of e^k·v and e^k so far, faded by e^−w"""
    now, bonus = vs.exp(k), vs.exp(u)

    def total(x: Wire) -> Wire:
        return previous(faded(shown(x, keep), -w)) + bonus * x

    return total(now * v) / total(now)


# -- means over positions -------------------------------------------------------------------------


def mean_so_far(scores: Wire, x: Wire) -> Wire:
    """Σ_{m ≤ n} exp(scores)·x / Σ_{m ≤ n} exp(scores)"""
    weights = vs.exp(scores)
    return running_sum(weights * x) / running_sum(weights)
