"""Preparation: from the inputs to queries [n, c], keys [m, c] and values [m, e]."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire


def given(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire, Wire]:
    """q, k and v are inputs"""
    return q, k, v


def memory(s: Wire, y: Wire) -> tuple[Wire, Wire, Wire]:
    """the keys and the values are one memory y"""
    return s, y, y


def projections(x: Wire, y: Wire, bias: bool = False) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = y·W_k, v = y·W_v, for each head"""
    return (
        vs.linear(x, "d", "h c", name="wq", bias=bias),
        vs.linear(y, "d", "h c", name="wk", bias=bias),
        vs.linear(y, "d", "h e", name="wv", bias=bias),
    )


def drawn(noise: Wire) -> Wire:
    """mean + exp(log_deviation)·noise, both learned, one for all"""
    axis = ArrayType({"d": noise.axes["d"]}).words()[0]
    deviation = vs.exp(vs.parameter("log_deviation", axis, init="zeros"))
    return vs.parameter("mean", axis, init="normal") + deviation * noise
