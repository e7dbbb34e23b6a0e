"""Mixing: values by their weights, and the heads together."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def weighted_sum(weights: Wire, v: Wire) -> Wire:
    """Σ_m weights·v"""
    return vs.contract(weights, v, over="m")


def join_heads(o: Wire, bias: bool = False) -> Wire:
    """Σ_he o·W_o"""
    return vs.linear(o, "h e", "d", name="wo", bias=bias)
