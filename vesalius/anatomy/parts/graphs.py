"""Attention between the nodes of a graph: scores of neighbours."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def one_map(x: Wire) -> tuple[Wire, Wire, Wire]:
    """u = x·W for each head: what asks, what answers and what is mixed"""
    u = _glorot(x, "w")
    return u, u.rename(n="m"), u.rename(n="m")


def two_maps(x: Wire) -> tuple[Wire, Wire, Wire]:
    """r = x·W_r asks; l = x·W_l answers and is mixed; for each head"""
    asks, answers = _glorot(x, "wr"), _glorot(x, "wl").rename(n="m")
    return asks, answers, answers


def _glorot(x: Wire, name: str) -> Wire:
    """x·W for each head, of Glorot's width: ±√(6 / (|d| + |h|·|c|))"""
    wide = x.axes["d"] + vs.size("h*c")
    return vs.linear(x, "d", "h c", name=name, scale=6**0.5, fan=wide)


def _reading(q: Wire, name: str) -> Wire:
    """What reads the channels of each head, of Glorot's width: ±√(6 / (|h| + |c|))"""
    return vs.parameter(name, axes_of(q, "h c"), scale=6**0.5, fan="h + c")


def leaky_sum(q: Wire, k: Wire) -> Wire:
    """leaky_relu(Σ_c a·q + Σ_c b·k), slope 0.2, a and b for each head"""
    a, b = _reading(q, "a"), _reading(q, "b")
    return vs.leaky_relu(vs.contract(a, q, over="c") + vs.contract(b, k, over="c"), 0.2)


def sum_of_leaky(q: Wire, k: Wire) -> Wire:
    """Σ_c a·leaky_relu(q + k), slope 0.2, a for each head"""
    return vs.contract(_reading(q, "a"), vs.leaky_relu(q + k, 0.2), over="c")


def neighbours(edges: Wire) -> Wire:
    """the m with an edge to n, n itself among them if the graph has loops"""
    return edges
