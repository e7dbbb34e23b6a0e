"""Preparation: from the inputs to queries [n, c], keys [m, c] and values [m, e]."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of
from vesalius.anatomy.parts.norms import layer_norm, rms_norm
from vesalius.anatomy.parts.positions import rotary
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def given(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire, Wire]:
    """q, k and v are inputs"""
    return q, k, v


def memory(s: Wire, y: Wire) -> tuple[Wire, Wire, Wire]:
    """the keys and the values are one memory y"""
    return s, y, y


def projections(x: Wire, y: Wire, bias: bool = False) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = y·W_k, v = y·W_v, for each head"""
    at_first = "zeros" if bias else False
    return (
        vs.linear(x, "d", "h c", name="wq", bias=at_first),
        vs.linear(y, "d", "h c", name="wk", bias=at_first),
        vs.linear(y, "d", "h e", name="wv", bias=at_first),
    )


def values(x: Wire) -> Wire:
    """v = x·W_v for each head, and neither queries nor keys"""
    return vs.linear(x, "d", "h e", name="wv").rename(n="m")


def two_halves(x: Wire) -> tuple[Wire, Wire]:
    """u = gelu(x·U), v = norm(gelu(x·V))"""
    u, v = (vs.gelu(vs.linear(x, "d", "f", name=name, bias=True)) for name in ("u", "v"))
    return u, layer_norm(v, over="f")


def glu(x: Wire) -> Wire:
    """(x·W)·σ(x·V) for each head"""
    wide = x.axes["d"] + 2 * vs.size("h*c")  # one map of both, of Glorot's width
    value, gate = (
        vs.linear(x, "d", "h c", name=name, bias="zeros", scale=6**0.5, fan=wide)
        for name in ("w", "v")
    )
    return value * vs.sigmoid(gate)


def drawn(noise: Wire) -> Wire:
    """mean + exp(log_deviation)·noise, both learned, one for all"""
    axis = axes_of(noise, "d")
    deviation = vs.exp(vs.parameter("log_deviation", axis, scale=3**0.5))
    return vs.parameter("mean", axis, init="normal") + deviation * noise


# -- of one sequence x [n, d], whose positions are the keys' too ----------------------------------


def _projected(x: Wire, queries: str, keys: str, values: str) -> tuple[Wire, Wire, Wire]:
    """x·W_q, x·W_k and x·W_v with these axes, the last two along `m`."""
    return (
        vs.linear(x, "d", queries, name="wq"),
        vs.linear(x, "d", keys, name="wk").rename(n="m"),
        vs.linear(x, "d", values, name="wv").rename(n="m"),
    )


def self_projections(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = x·W_k, v = x·W_v, for each head"""
    return _projected(x, "h c", "h c", "h e")


def unscaled_projections(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = x·W_k, v = x·W_v, for each head; W_q at first narrower by √c"""
    d, c = x.axes["d"], vs.size("c")
    return (
        vs.linear(x, "d", "h c", name="wq", init="normal", fan=d * c),
        vs.linear(x, "d", "h c", name="wk", init="normal", fan=d).rename(n="m"),
        vs.linear(x, "d", "h e", name="wv", init="normal", fan=d).rename(n="m"),
    )


def one_key(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q for each head; k = x·W_k, v = x·W_v, one for all heads"""
    return _projected(x, "h c", "c", "e")


def grouped_keys(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q for each of h heads; k = x·W_k, v = x·W_v for each of g groups of heads"""
    return _projected(x, "g h:h/g c", "g c", "g e")


def two_queries(x: Wire) -> tuple[Wire, Wire, Wire]:
    """two q = x·W_q and two k = x·W_k for each head, one v = x·W_v"""
    return _projected(x, "s:2 h c", "s:2 h c", "h e")


def latent(x: Wire, low_rank_queries: bool = False) -> tuple[Wire, Wire, Wire]:
    """k = [z·W_uk, rotated x·W_kr], v = z·W_uv, z = rms(x·W_down); q = [x·W_q, rotated x·W_qr]"""
    z = rms_norm(vs.linear(x, "d", "r", name="down"), over="r")
    asks, wide = x, "d"
    if low_rank_queries:
        asks, wide = vs.linear(x, "d", "a", name="down_q"), "a"
        asks = rms_norm(asks, over="a", gain="q_gain")
    place_q = rotary(vs.linear(asks, wide, "h u", name="wqr").rename(u="c"), "interleaved")
    place_k = rotary(vs.linear(x, "d", "u", name="wkr").rename(u="c"), "interleaved")
    q = vs.concat(vs.linear(asks, wide, "h c", name="wq"), place_q, over="c")
    k = vs.concat(vs.linear(z, "r", "h c", name="up_k"), place_k, over="c")
    v = vs.linear(z, "r", "h e", name="up_v")
    return q, k.rename(n="m"), v.rename(n="m")


def kept_share(x: Wire) -> Wire:
    """log σ(x·W + b), for each head: how much of the past is kept"""
    return -1 * vs.softplus(-1 * vs.linear(x, "d", "h", name="wf", bias=True))


def forgetting(x: Wire) -> tuple[Wire, Wire, Wire, Wire]:
    """q, k, v = x·W_q, x·W_k, x·W_v and log σ(x·w_f + b), for each head"""
    kept = kept_share(x)
    return (*self_projections(x), kept)


def rms_normed(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire, Wire]:
    """q / rms(q) · gain_q and k / rms(k) · gain_k, over c"""
    return rms_norm(q, over="c", gain="q_gain"), rms_norm(k, over="c", gain="k_gain"), v


def layer_normed(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire, Wire]:
    """layer norms of q and k over c"""
    return layer_norm(q, over="c", prefix="q_"), layer_norm(k, over="c", prefix="k_"), v


def jointly_normed(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q / rms(q) · gain_q and k / rms(k) · gain_k, over all channels of all heads"""
    q, k, v = self_projections(x)
    return rms_norm(q, over="h c", gain="q_gain"), rms_norm(k, over="h c", gain="k_gain"), v


def global_projections(x: Wire, y: Wire, bias: bool = False) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = y·W_k, v = y·W_v, for each head; weights of their own for global positions"""
    return (
        vs.linear(x, "d", "h c", name="wq_global", bias=bias),
        vs.linear(y, "d", "h c", name="wk_global", bias=bias),
        vs.linear(y, "d", "h e", name="wv_global", bias=bias),
    )
