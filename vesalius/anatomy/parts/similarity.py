"""Similarity: how much a query looks at a key."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, written
from vesalius.anatomy.parts.norms import unit
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def dot(q: Wire, k: Wire) -> Wire:
    """Σ_c q·k"""
    return vs.contract(q, k, over="c")


def scaled_dot(q: Wire, k: Wire) -> Wire:
    """(Σ_c q·k) / √c"""
    return dot(q, k) / vs.sqrt(q.axes["c"])


def tempered_dot(q: Wire, k: Wire, beta: Wire | float | None = None) -> Wire:
    """β·Σ_c q·k, β = 1/√c unless said; a β that is learned is in units of 1/√c"""
    if beta is None:
        return scaled_dot(q, k)
    return beta * (scaled_dot(q, k) if isinstance(beta, Wire) else dot(q, k))


def learned_scale() -> Wire:
    """β, at first 1"""
    return vs.parameter("beta", "", init="ones")


def bilinear(s: Wire, y: Wire) -> Wire:
    """Σ_e (Σ_c s·W)·y"""
    return vs.contract(vs.linear(s, "c", "e", name="w", init="uniform", scale=0.1), y, over="e")


def additive(s: Wire, y: Wire) -> Wire:
    """Σ_a v·tanh(Σ_d s·W + Σ_e y·U)"""
    asks = vs.linear(s, "d", "a", name="w", init="normal", scale=0.001)
    answers = vs.linear(y, "e", "a", name="u", init="normal", scale=0.001)
    return vs.contract(vs.tanh(asks + answers), vs.parameter("v", "a", init="zeros"), over="a")


def softcapped_dot(q: Wire, k: Wire, cap: float = 50.0) -> Wire:
    """50·tanh((Σ_c q·k) / (50·√c))"""
    return cap * vs.tanh(scaled_dot(q, k) / cap)


def cosine(q: Wire, k: Wire) -> Wire:
    """g·(Σ_c q·k) / (|q|·|k|), with a learned g"""
    return vs.parameter("g", "", init="ones") * dot(unit(q), unit(k))


def concatenated(s: Wire, y: Wire) -> Wire:
    """Σ_a v·tanh(Σ_ce [s, y]·W), [s, y] one after the other"""
    width, both = s.axes["c"], s.axes["c"] + y.axes["e"]
    w = vs.parameter("w", f"{written(i=both)} a", init="uniform", scale=0.1)
    first, second = (vs.slice(w, "i", stop=width, into="c"), vs.slice(w, "i", width, into="e"))
    hidden = vs.contract(s, first, over="c") + vs.contract(y, second, over="e")
    v = vs.parameter("v", "a", init="uniform", scale=0.1)
    return vs.contract(vs.tanh(hidden), v, over="a")


def content_bias_dot(q: Wire, k: Wire) -> Wire:
    """(Σ_c (q + u)·k) / √c"""
    return scaled_dot(q + vs.parameter("u", axes_of(q, "h c"), init="normal", scale=0.02), k)


def mixed_dot(q: Wire, k: Wire) -> Wire:
    """Σ_h P[h,g]·(Σ_c q·k) / √c"""
    return talk(scaled_dot(q, k), "p")


def talk(x: Wire, name: str) -> Wire:
    """every head a linear mix of all heads, at first itself"""

    def identity(into: Wire, out: Wire) -> Wire:
        return vs.to_float(vs.equal(into, out))

    return vs.linear(x, "h", axes_of(x, "h"), name=name, init=identity)
