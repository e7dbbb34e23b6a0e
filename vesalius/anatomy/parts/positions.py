"""Where things stand: positions, and what scores or vectors owe to them."""

from __future__ import annotations

import math
from typing import Literal

from vesalius.anatomy.parts.axes import axes_of, counted, index, written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.recurrences import running

Pairing = Literal["half", "interleaved"]


# -- in the vectors -------------------------------------------------------------------------------


def frequencies(x: Wire, channels: Size, base: float = 10000.0) -> Wire:
    """base^(−2f/c) along the axis f of x"""
    return vs.exp(index(x, "f") * (-2 * math.log(base)) / channels)


def rotary(x: Wire, pairing: Pairing = "half") -> Wire:
    """each pair of channels turned by position · 10000^(−2f/c)"""
    pairs = _pairs(x, pairing)
    return _turned(pairs, index(x, "n" if "n" in x.axes else "m"), x.axes["c"], pairing)


def rotary_at(x: Wire, place: Wire, pairing: Pairing = "half") -> Wire:
    """each pair of channels turned by place · 10000^(−2f/c)"""
    return _turned(_pairs(x, pairing), place, x.axes["c"], pairing)


def _pairs(x: Wire, pairing: Pairing) -> Wire:
    return vs.split(x, "c", "p:2 f" if pairing == "half" else "f p:2")


def _turned(pairs: Wire, place: Wire, channels: Size, pairing: Pairing) -> Wire:
    angle = place * frequencies(pairs, channels)
    quarter = vs.constant([[0.0, -1.0], [1.0, 0.0]], "p k")
    turned = vs.contract(pairs.rename(p="k"), quarter, over="k")
    both = pairs * vs.cos(angle) + turned * vs.sin(angle)
    return vs.merge(both, "p f" if pairing == "half" else "f p", "c")


def rotation(q: Wire, k: Wire, pairing: Pairing = "half") -> tuple[Wire, Wire]:
    """q and k turned, each pair of channels by position · 10000^(−2f/c)"""
    return rotary(q, pairing), rotary(k, pairing)


# -- in the scores --------------------------------------------------------------------------------


def distance(q: Wire, k: Wire) -> Wire:
    """m − n"""
    return index(k, "m") - index(q, "n")


def slopes(q: Wire, k: Wire) -> Wire:
    """2^(−8(h+1)/|h|)·(m − n)"""
    heads = q.axes["h"]
    slope = vs.exp((index(q, "h") + 1) * (-8 * math.log(2)) / heads)
    return slope * distance(q, k)


def two_sided_slopes(q: Wire, k: Wire) -> Wire:
    """−2^(−8(h+1)/|h|)·|m − n|"""
    heads = q.axes["h"]
    slope = vs.exp((index(q, "h") + 1) * (-8 * math.log(2)) / heads)
    return -1 * slope * vs.abs(distance(q, k))


def decay(q: Wire, k: Wire, kept: Wire) -> Wire:
    """C[n] − C[m], C = what is kept, summed up to there"""
    total = running_sum(kept)
    return total - total.rename(n="m")


def running_sum(x: Wire) -> Wire:
    """Σ_{m ≤ n} x[m]"""
    _, sums = vs.scan(running, over="n", states=[0.0], sequences=[x])
    return sums


def clipped_distance(q: Wire, k: Wire) -> Wire:
    """min(max(m − n, −w), w) + w"""
    width = vs.constant(vs.size("w"))
    return vs.minimum(vs.maximum(distance(q, k), -1 * width), width) + width


def relative_keys(q: Wire, k: Wire) -> Wire:
    """Σ_c q·R[clip(m − n)] / √c"""
    channels = q.axes["c"]
    table = vs.parameter("r", f"o:2*w+1 {axes_of(q, 'c')}", init="normal", scale=0.02)
    reads = vs.contract(q, table, over="c") / vs.sqrt(channels)
    return vs.gather(reads, clipped_distance(q, k), over="o")


def predicted(s: Wire, y: Wire) -> Wire:
    """|m|·σ(Σ_a v·tanh(Σ_c s·W)): the place to look at"""
    hidden = vs.tanh(vs.linear(s, "c", "a", name="wp"))
    return vs.sigmoid(vs.contract(hidden, vs.parameter("vp", "a"), over="a")) * y.axes["m"]


def bell(far: Wire) -> Wire:
    """exp(−2·(far / w)²): a normal density of deviation w/2, next to its largest value"""
    return vs.exp(-2 * vs.power(vs.to_float(far) / vs.size("w"), 2))


def diagonals(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """m − n on each diagonal o, and the diagonal on which a pair n, m lies"""
    before = vs.constant(q.axes["n"]) - 1
    o = counted("o", q.axes["n"] + k.axes["m"] - 1)
    return o - before, distance(q, k) + before


def bucket(far: Wire, exact: int, buckets: int, longest: int = 128) -> Wire:
    """far below `exact`, then logarithmic up to `longest`, in so many buckets"""
    more = buckets - exact
    # far enough for one more: far^more ≥ exact^(more − k)·longest^k, without rounding
    ends = [
        next(d for d in range(exact, longest + 1) if d**more >= exact ** (more - k) * longest**k)
        for k in range(1, more)
    ]
    passed = vs.sum(vs.to_int(vs.constant(ends, "k") <= far), "k")
    return vs.minimum(far, exact) + passed


def signed_bucket(far: Wire) -> Wire:
    """the bucket of m − n, 16 for each sign"""
    return bucket(vs.abs(far), 8, 16) + vs.to_int(far > 0) * 16


def bucketed(q: Wire, k: Wire, heads: str = "h") -> Wire:
    """B[bucket(m − n), h], with buckets for both signs"""
    far, on = diagonals(q, k)
    return vs.gather(bucketed_at(q, far, heads), on, over="o")


def bucketed_past(q: Wire, k: Wire, heads: str = "h") -> Wire:
    """B[bucket(n − m), h]"""
    far, on = diagonals(q, k)
    buckets = bucket(vs.maximum(-1 * far, 0), 16, 32)
    return vs.gather(_from_buckets(q, buckets, heads), on, over="o")


def bucketed_at(q: Wire, far: Wire, heads: str = "h") -> Wire:
    """B[bucket(far), h], with buckets for both signs"""
    return _from_buckets(q, signed_bucket(far), heads)


def _from_buckets(q: Wire, buckets: Wire, heads: str) -> Wire:
    width = 0.02 if not heads else 1.0  # of gated units; of T5 by the width of the model
    fan = vs.size("d") if heads else None
    table = vs.parameter("bias", f"k:32 {axes_of(q, heads)}", init="normal", scale=width, fan=fan)
    return vs.gather(table, buckets, over="k")


def relative_table(q: Wire, k: Wire) -> Wire:
    """B[m − n], for up to p places"""
    table = _relative()
    return vs.gather(table, distance(q, k) + (vs.size("p") - 1), over="o")


def relative_table_at(far: Wire) -> Wire:
    """B[far], for up to p places"""
    return vs.gather(_relative(), far + (vs.size("p") - 1), over="o")


def _relative() -> Wire:
    return vs.parameter("bias", written(o=2 * vs.size("p") - 1), init="normal", scale=0.02)


def sinusoids(q: Wire, k: Wire, past: Size | None = None) -> Wire:
    """Σ_c (q + v)·(r[n − m]·W_r) / √c, r = [sin, cos] of (n − m)·10000^(−2f/d)"""
    channels = q.axes["c"]
    far, on = diagonals(q, k)
    far = far if past is None else far - past  # so many keys are before the first query
    waves = counted("f", vs.size("d/2"))
    angle = -1 * far * frequencies(waves, vs.size("d"))
    r = vs.concat(vs.sin(angle), vs.cos(angle), over="f", into="d")
    keys = vs.linear(r, "d", axes_of(q, "h c"), name="wr")
    v = vs.parameter("v", axes_of(q, "h c"), init="normal", scale=0.02)
    reads = vs.contract(q + v, keys, over="c") / vs.sqrt(channels)
    return vs.gather(reads, on, over="o")
