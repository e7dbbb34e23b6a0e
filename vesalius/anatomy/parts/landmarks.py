"""Landmarks: few vectors that stand for many tokens, and what attention through them needs."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.inverses import iterated_inverse


def projected_tokens(q: Wire, k: Wire, v: Wire, shared: bool = False) -> tuple[Wire, Wire, Wire]:
    """q, Σ_m W_k[m,r]·k and Σ_m W_v[m,r]·v: r learned combinations of all tokens"""
    over_keys = _combinations(k, "over_keys")
    over_values = over_keys if shared else _combinations(v, "over_values")
    keys, values = (vs.contract(x, w, over="m") for x, w in ((k, over_keys), (v, over_values)))
    return q, keys.rename(r="m"), values.rename(r="m")


def _combinations(x: Wire, name: str) -> Wire:
    return vs.parameter(name, f"{axes_of(x, 'm')} r", fan="r")


def segment_means(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire]:
    """q̃ and k̃: the means of r segments of the queries and of the keys, each of equal length"""
    return _segment_means(q, "n"), _segment_means(k, "m")


def _segment_means(x: Wire, axis: str) -> Wire:
    return vs.mean(vs.split(x, axis, written(r=vs.size("r"), l=x.axes[axis] / vs.size("r"))), "l")


def through_landmarks(near: Wire, between: Wire, far: Wire, v: Wire, iterations: int = 6) -> Wire:
    """near·between⁺·(far·v), the weights of queries, of landmarks and of keys"""
    inverse = iterated_inverse(between.rename(n="i", m="j"), iterations)
    summaries = vs.contract(far.rename(n="j"), v, over="m")
    return vs.contract(near.rename(m="i"), inverse, summaries, over="i j")
