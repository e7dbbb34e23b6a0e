"""Norms of vectors, before the scores, after the mixing and between layers."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def unit(x: Wire, eps: float = 1e-12) -> Wire:
    """x / √(Σ_c x² + eps)"""
    return x / vs.sqrt(vs.contract(x, x, over="c") + eps)


def rms_norm(x: Wire, over: str = "e", eps: float = 1e-6, gain: str | None = "gain") -> Wire:
    """x / √(mean x² + eps) · gain"""
    y = x / vs.sqrt(vs.mean(x * x, over) + eps)
    return y if gain is None else y * vs.parameter(gain, axes_of(x, over), init="ones")


def standardised(x: Wire, over: str, eps: float) -> Wire:
    """(x − mean x) / √(var x + eps)"""
    centred = x - vs.mean(x, over)
    return centred * (1 / vs.sqrt(vs.mean(centred * centred, over) + eps))


def layer_norm(x: Wire, eps: float = 1e-5, over: str = "d", prefix: str = "") -> Wire:
    """(x − mean x) / √(var x + eps) · gain + shift, over the channels"""
    y, axes = standardised(x, over, eps), axes_of(x, over)
    gain = vs.parameter(f"{prefix}gain", axes, init="ones")
    return y * gain + vs.parameter(f"{prefix}shift", axes, init="zeros")
