"""Gates: what is made of the mixed values."""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of
from vesalius.anatomy.parts.norms import rms_norm
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def spatial_gate(u: Wire, mixed: Wire) -> Wire:
    """u·(mixed + b[n]), b learned for each place"""
    return u * (mixed + vs.parameter("b", axes_of(u, "n"), init="ones"))


def less_itself(mixed: Wire, x: Wire) -> Wire:
    """mixed − x, as a residual adds x again"""
    return mixed - x


def times(x: Wire, gate: Wire) -> Wire:
    """gate·x"""
    return gate * x


def gru(x: Wire, h: Wire) -> Wire:
    """(1 − z)·tanh(x·W + r·(h·U)) + z·h, gates r, z = σ(x·W + h·U), all with biases

    x has the axis e, the state h the axis d. Cho et al. 2014, arXiv 1406.1078.
    """

    def seen(gate: str) -> Wire:
        return vs.linear(x, "e", "d", name=f"w_{gate}", bias=True)

    def kept(gate: str) -> Wire:
        return vs.linear(h, "d", "d", name=f"u_{gate}", bias=True)

    reset = vs.sigmoid(seen("reset") + kept("reset"))
    update = vs.sigmoid(seen("update") + kept("update"))
    new = vs.tanh(seen("new") + reset * kept("new"))
    return (1 - update) * new + update * h


def difference(o: Wire, depth: int = 1) -> Wire:
    """(1 − λ₁)·rms(o[0] − λ·o[1]), λ = exp(λ_q·λ_k)[0] − exp(λ_q·λ_k)[1] + λ₁"""
    start = 0.8 - 0.6 * math.exp(-0.3 * (depth - 1))
    names = "lambda_q", "lambda_k"
    pair = [vs.parameter(name, "s:2 c", init="normal", scale=0.1) for name in names]
    powers = vs.exp(vs.contract(*pair, over="c"))
    scale = vs.contract(powers, vs.constant([1.0, -1.0], "s"), over="s") + start
    first, second = (vs.sum(vs.slice(o, "s", k, length=1), "s") for k in (0, 1))
    return (1 - start) * rms_norm(first - scale * second, over="e", eps=1e-5, gain=None)


def gate_of_heads(x: Wire, name: str) -> Wire:
    """σ(x·W), one number for each head of each group"""
    return vs.sigmoid(vs.linear(x, "d", "g h", name=f"gate_{name}"))
