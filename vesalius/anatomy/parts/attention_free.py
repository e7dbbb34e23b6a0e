"""Attention without products of queries and keys: scores for each channel, pooled vectors."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def channels(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = x·W_k, v = x·W_v, channels of one width"""
    q, k, v = (vs.linear(x, "d", "e", name=f"w{name}") for name in "qkv")
    return q, k.rename(n="m"), v.rename(n="m")


def table(q: Wire, k: Wire) -> Wire:
    """W[n,m], of a learned table for p positions"""
    row = vs.gather(_whole_table(), index(q, "n"), over="p")
    return vs.gather(row, index(k, "m"), over="b")


def table_at(i: Wire, j: Wire) -> Wire:
    """W[i,j], of a learned table for p positions"""
    return vs.gather(vs.gather(_whole_table(), i, over="p"), j, over="b")


def _whole_table() -> Wire:
    return vs.parameter("w", "p b:p", init="normal", scale=0.01)


def table_and_keys(q: Wire, k: Wire) -> Wire:
    """W[n,m] + k, for each channel"""
    return table(q, k) + k


def near_table_and_keys(q: Wire, k: Wire) -> Wire:
    """W[n,m] + k where |n − m| < w, k elsewhere, for each channel"""
    near = vs.abs(index(q, "n") - index(k, "m")) < vs.size("w")
    return vs.where(near, table(q, k), 0.0) + k


def keys_alone(q: Wire, k: Wire) -> Wire:
    """k, for each channel"""
    return k


def sigmoid_gate(q: Wire, mixed: Wire) -> Wire:
    """σ(q)·mixed"""
    return vs.sigmoid(q) * mixed


def project(o: Wire) -> Wire:
    """Σ_e o·W_o"""
    return vs.linear(o, "e", "d", name="wo")


# -- pooled vectors -------------------------------------------------------------------------------


def three_maps(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = x·W_k, v = x·W_v, as wide as x"""
    q, k, v = (_square(x, f"w{name}") for name in "qkv")
    return q, k, v


def _square(x: Wire, name: str) -> Wire:
    """x·W, W at first of deviation 0.02"""
    return vs.linear(x, "d", axes_of(x, "d"), name=name, init="normal", scale=0.02)


def pooling_scores(x: Wire, name: str) -> Wire:
    """(Σ_d a·x) / √d, a learned"""
    weights = vs.parameter(f"a{name}", axes_of(x, "d"), init="normal", scale=0.02)
    return vs.contract(weights, x, over="d") / vs.sqrt(x.axes["d"])


def add_query(o: Wire, q: Wire) -> Wire:
    """o·W + q"""
    return _square(o, "wo") + q
