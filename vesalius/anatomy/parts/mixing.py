"""Mixing: values by their weights, and the heads together."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of
from vesalius.anatomy.parts.positions import clipped_distance
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def weighted_sum(weights: Wire, v: Wire) -> Wire:
    """Σ_m weights·v"""
    return vs.contract(weights, v, over="m")


def join_heads(o: Wire, bias: bool = False) -> Wire:
    """Σ_he o·W_o"""
    return vs.linear(o, "h e", "d", name="wo", bias="zeros" if bias else False)


def join_normal(o: Wire) -> Wire:
    """Σ_he o·W_o, W_o at first normal"""
    fan = o.axes["h"] * o.axes["e"]
    return vs.linear(o, "h e", "d", name="wo", init="normal", fan=fan)


def join_groups(o: Wire) -> Wire:
    """Σ_ghe o·W_o"""
    return vs.linear(o, "g h e", "d", name="wo")


def with_relative_values(weights: Wire, v: Wire) -> Wire:
    """Σ_m weights·(v + R_v[clip(m − n)])"""
    table = vs.parameter("r_v", f"o:2*w+1 {axes_of(v, 'e')}", init="normal", scale=0.02)
    more = vs.gather(table, clipped_distance(weights, v), over="o")
    return weighted_sum(weights, v) + vs.contract(weights, more, over="m")
