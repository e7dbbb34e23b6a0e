"""Attention between the nodes of a graph: scores of neighbours."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def one_map(x: Wire) -> tuple[Wire, Wire, Wire]:
    """u = x·W for each head: what asks, what answers and what is mixed"""
    u = vs.linear(x, "d", "h c", name="w")
    return u, u.rename(n="m"), u.rename(n="m")


def two_maps(x: Wire) -> tuple[Wire, Wire, Wire]:
    """r = x·W_r asks; l = x·W_l answers and is mixed; for each head"""
    asks = vs.linear(x, "d", "h c", name="wr")
    answers = vs.linear(x, "d", "h c", name="wl").rename(n="m")
    return asks, answers, answers


def leaky_sum(q: Wire, k: Wire) -> Wire:
    """leaky_relu(Σ_c a·q + Σ_c b·k), slope 0.2, a and b for each head"""
    axes = axes_of(q, "h c")
    a, b = (vs.parameter(name, axes, fan="c") for name in ("a", "b"))
    return vs.leaky_relu(vs.contract(a, q, over="c") + vs.contract(b, k, over="c"), 0.2)


def sum_of_leaky(q: Wire, k: Wire) -> Wire:
    """Σ_c a·leaky_relu(q + k), slope 0.2, a for each head"""
    axes = axes_of(q, "h c")
    return vs.contract(vs.parameter("a", axes, fan="c"), vs.leaky_relu(q + k, 0.2), over="c")


def neighbours(edges: Wire) -> Wire:
    """the m with an edge to n, n itself among them if the graph has loops"""
    return edges
