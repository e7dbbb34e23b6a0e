"""Norms of vectors, before the scores, after the mixing and between layers."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire


def unit(x: Wire, eps: float = 1e-12) -> Wire:
    """x / √(Σ_c x² + eps)"""
    return x / vs.sqrt(vs.contract(x, x, over="c") + eps)


def layer_norm(x: Wire, eps: float = 1e-5) -> Wire:
    """(x − mean_d x) / √(var_d x + eps) · gain + shift"""
    centred = x - vs.mean(x, "d")
    scale = 1 / vs.sqrt(vs.mean(centred * centred, "d") + eps)
    axis = ArrayType({"d": x.axes["d"]}).words()[0]
    gain = vs.parameter("gain", axis, init="ones")
    return centred * scale * gain + vs.parameter("shift", axis, init="zeros")
