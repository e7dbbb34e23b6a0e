"""Memories: states that keys write values into, which fade, and are corrected."""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of, counted, index
from vesalius.anatomy.parts.convolutions import convolution
from vesalius.anatomy.parts.norms import layer_norm, rms_norm, standardised, unit
from vesalius.anatomy.parts.positions import running_sum
from vesalius.anatomy.parts.preparation import self_projections
from vesalius.anatomy.parts.similarity import dot
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.recurrences import corrected

# -- one position ---------------------------------------------------------------------------------


@diagram
def recalled(state: "c", q: "c", k: "c", v: "", gate: "") -> {"state": "c", "o": ""}:  # type: ignore[misc]
    """The state fades by exp(gate), a value is written at its key, a query is answered."""
    state = vs.exp(gate) * state + k * v
    return {"state": state, "o": dot(q, state)}


@diagram
def recalled_by_channels(state: "c", q: "c", k: "c", v: "", gate: "c") -> {"state": "c", "o": ""}:  # type: ignore[misc]
    """The same, where each channel of the keys fades by its own."""
    state = vs.exp(gate) * state + k * v
    return {"state": state, "o": dot(q, state)}


@diagram
def corrected_fading(state: "c", q: "c", k: "c", v: "", step: "", gate: "") -> ("c", ""):  # type: ignore[syntax]
    """The state fades, then what it holds at a key moves towards the value."""
    return corrected(vs.exp(gate) * state, q, k, v, step)


def recall(step: Diagram, q: Wire, k: Wire, v: Wire, *more: Wire) -> Wire:
    """Σ_c q·S, S a state: it fades, and v is written into it at k, position by position

    `step` is what one position does; what does not change along the positions it gets at each.
    """
    along = [x.rename(m="n") if "m" in x.axes else x for x in (q, k, v)]
    fixed = [x for x in more if "n" not in x.axes]
    moving = [x for x in more if "n" in x.axes]
    empty = vs.expand(0.0, axes_of(k, "c"))
    _, o = vs.scan(step, over="n", states=[empty], sequences=[*along, *moving], captured=fixed)
    return o


# -- how the past fades ---------------------------------------------------------------------------


def seen(x: Wire) -> tuple[Wire, Wire]:
    """The positions of queries and of keys, as long as x."""
    length = x.axes["n"]
    return counted("n", length), counted("m", length)


def fading_dot(q: Wire, k: Wire, gate: Wire) -> Wire:
    """(Σ_c q·k)·exp((n − m)·gate), 0 where m > n"""
    return fading_dot_at(q, k, gate, *seen(q))


def fading_dot_at(q: Wire, k: Wire, gate: Wire, i: Wire, j: Wire) -> Wire:
    """(Σ_c q·k)·exp((i − j)·gate), 0 where j > i"""
    return dot(q, k) * vs.exp(vs.where(j <= i, gate * (i - j), float("-inf")))


def gated_dot(q: Wire, k: Wire, gate: Wire) -> Wire:
    """(Σ_c q·k)·exp(Σ_{m<l≤n} gate[l]), 0 where m > n"""
    return dot(q, k) * vs.exp(between(gate))


def dot_gated_by_channels(q: Wire, k: Wire, gate: Wire) -> Wire:
    """Σ_c q·k·exp(Σ_{m<l≤n} gate[l,c]), 0 where m > n"""
    return vs.contract(q, k, vs.exp(between(gate)), over="c")


def between(gate: Wire) -> Wire:
    """Σ_{m<l≤n} gate[l], −∞ where m > n"""
    total = running_sum(gate)
    n, m = seen(gate)
    return vs.where(m <= n, total - total.rename(n="m"), float("-inf"))


def retention_decay(q: Wire) -> Wire:
    """log γ, γ = 1 − 2^(−5−h)"""
    return vs.log(1 - vs.exp((index(q, "h") + 5) * -math.log(2)))


def new_share(kept: Wire) -> Wire:
    """1 − exp(kept): how much of what is new is taken"""
    return 1 - vs.exp(kept)


def channel_gates(x: Wire) -> Wire:
    """log σ(x·W_1·W_2 + b) / 16, for each channel of the keys of each head"""
    low = vs.linear(x, "d", "r", name="wa")
    return -1 * vs.softplus(-1 * vs.linear(low, "r", "h c", name="wb", bias=True)) / 16


def step_sizes(x: Wire) -> Wire:
    """softplus(x·W + b − log 100), for each head: of b = 0 about 0.01, at first 0.001 to 0.1"""

    def log_uniform(h: Wire) -> Wire:
        step = vs.exp(math.log(100) * vs.random("h", "uniform") - math.log(1000))
        return vs.log(vs.exp(step) - 1) + math.log(100)

    start = vs.parameter("step_bias", "h", init=log_uniform)
    return vs.softplus(vs.linear(x, "d", "h", name="wt") + start - math.log(100))


def state_decay(steps: Wire) -> Wire:
    """−4·exp(a)·Δ, the rates 4·exp(a) at first 1, 2, … |h|"""
    rate = vs.parameter("a", axes_of(steps, "h"), init=lambda h: vs.log((h + 1) / 4))
    return -4 * vs.exp(rate) * steps


def drawn_decay(steps: Wire) -> Wire:
    """−4·exp(a)·Δ, the rates 4·exp(a) at first uniform from 0.01 to 16"""
    axis = axes_of(steps, "h")

    def rates(h: Wire) -> Wire:
        return vs.log((15.99 * vs.random(axis, "uniform") + 0.01) / 4)

    return -4 * vs.exp(vs.parameter("a", axis, init=rates)) * steps


# -- what is asked and what is written ------------------------------------------------------------


def asked(q: Wire) -> Wire:
    """q / √c"""
    return q / vs.sqrt(q.axes["c"])


def short_convolution(x: Wire, channels: str, bias: str = "") -> Wire:
    """silu(Σ_w filter[w]·x[n + w − |w| + 1] + b), a filter for each channel"""
    mixed = convolution(x, True, channels)
    return vs.silu(
        mixed + vs.parameter(bias, axes_of(x, channels), init="zeros") if bias else mixed
    )


def convolved_states(x: Wire) -> tuple[Wire, Wire, Wire]:
    """C, B for all heads and x for each, all convolved: what is asked, where, what is written"""
    q = vs.linear(x, "d", "c", name="wc")
    k = vs.linear(x, "d", "c", name="wb")
    v = vs.linear(x, "d", "h e", name="wx")
    return (
        short_convolution(q, "c", "bias_c"),
        short_convolution(k, "c", "bias_b").rename(n="m"),
        short_convolution(v, "h e", "bias_x").rename(n="m"),
    )


def convolved_projections(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q, k, v = x·W for each head, convolved, q and k then of length 1"""
    q, k, v = self_projections(x)
    q, k = short_convolution(q, "h c"), short_convolution(k.rename(m="n"), "h c")
    v = short_convolution(v.rename(m="n"), "h e")
    return unit(q, 1e-6), unit(k, 1e-6), v


def writing_strength(x: Wire) -> Wire:
    """β = σ(x·W), for each head"""
    return vs.sigmoid(vs.linear(x, "d", "h", name="ws"))


# -- what is made of the answers ------------------------------------------------------------------


def retention_gate(o: Wire, x: Wire) -> Wire:
    """silu(x·W_g)·(o − mean_e o) / √(var_e o + 10⁻⁵)"""
    return vs.silu(vs.linear(x, "d", "h e", name="wg")) * standardised(o, "e", 1e-5)


def gate_of_layer_norm(o: Wire, x: Wire) -> Wire:
    """silu(x·W_g + b)·layer norm of o over e"""
    return vs.silu(vs.linear(x, "d", "h e", name="wg", bias=True)) * layer_norm(o, over="e")


def skip_and_norm(o: Wire, v: Wire, x: Wire) -> Wire:
    """rms norm, over all heads, of (o + D·v)·silu(x·W_z)"""
    skip = vs.parameter("skip", axes_of(o, "h"), init="ones")
    y = o + skip * v
    return rms_norm(y * vs.silu(vs.linear(x, "d", "h e", name="wz")), over="h e", eps=1e-5)


def norm_of_heads(o: Wire) -> Wire:
    """rms norm of o over e"""
    return rms_norm(o, over="e", eps=1e-5)


def gate_of_rms_norm(o: Wire, x: Wire) -> Wire:
    """silu(x·W_z)·rms norm of o over e"""
    return vs.silu(vs.linear(x, "d", "h e", name="wz")) * rms_norm(o, over="e")
