"""Folds: contractions along an axis that need not be read at once.

A softmax streams with an accumulator (m, l, o): the largest score so far, the sum of exponentials
and the mix, both relative to it. Two accumulators meet by bringing both to the larger maximum, so
keys may come in any order, in blocks, or in parts side by side (arXiv 1805.02867, arXiv
2205.14135). Quotients of sums need no maximum. What is one of several passes, a sparsemax or a
median, does not stream.
"""

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")


def finite(x: Wire) -> Wire:
    """x, or 0 for −∞, so that −∞ − x is no difference of infinities."""
    return vs.where(x > LOW, x, 0.0)


def nonzero(x: Wire) -> Wire:
    """x, or 1 for 0: the denominator of a row without a finite score."""
    return vs.where(vs.equal(x, 0.0), 1.0, x)


# -- softmax --------------------------------------------------------------------------------------


@diagram
def accumulate(top: "", total: "", mixed: "", s: "", v: "") -> ("", "", ""):  # type: ignore[syntax]
    """One key more: what there was is brought to the new maximum."""
    new = vs.maximum(top, s)
    before, weight = vs.exp(top - finite(new)), vs.exp(s - finite(new))
    return new, before * total + weight, before * mixed + weight * v


@rule("equal")
def stream_softmax(s: "m", v: "m") -> "":
    """Σ_m softmax_m(s)·v = o/l after a loop over the keys that carries (m, l, o)

    One pass, nothing overflows, and rows that are all −∞ come out as 0.
    """
    states = [LOW, 0.0, 0.0]
    _, total, mixed = vs.scan(accumulate, over="m", states=states, sequences=[s, v])
    return vs.contract(vs.softmax(s, over="m"), v, over="m"), mixed / nonzero(total)


@worked(stream_softmax)
def attention_to_stream(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@diagram
def accumulate_block(top: "", total: "", mixed: "", s: "w", v: "w") -> ("", "", ""):  # type: ignore[syntax]
    """A block of keys more."""
    new = vs.maximum(top, vs.max(s, "w"))
    before, weights = vs.exp(top - finite(new)), vs.exp(s - finite(new))
    total = before * total + vs.sum(weights, "w")
    return new, total, before * mixed + vs.contract(weights, v, over="w")


@rule("equal")
def stream_softmax_in_blocks(s: "b w", v: "b w") -> "":
    """Σ_bw softmax_bw(s)·v = o/l after a loop over blocks of keys that carries (m, l, o)"""
    states = [LOW, 0.0, 0.0]
    _, total, mixed = vs.scan(accumulate_block, over="b", states=states, sequences=[s, v])
    return vs.contract(vs.softmax(s, over="b w"), v, over="b w"), mixed / nonzero(total)


@worked(stream_softmax_in_blocks)
def attention_to_stream_in_blocks(q: "n c", k: "b w c", v: "b w e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="b w")
    return vs.contract(weights, v, over="b w")


@rule("equal")
def accumulators_meet(s: "m", t: "k", v: "m", u: "k") -> "":
    """Σ_j exp(r − max r)·y over [m ; k] = e^(a − c)·Σ_m exp(s − a)·v + e^(b − c)·Σ_k exp(t − b)·u

    a and b are the maxima of the parts and c the larger one. With ones for values it is the
    denominator. Both parts have a finite score.
    """
    r, y = (vs.concat(x, z, over=("m", "k"), into="j") for x, z in ((s, t), (v, u)))
    a, b = vs.max(s, "m"), vs.max(t, "k")
    c = vs.maximum(a, b)
    one, other = vs.contract(vs.exp(s - a), v, over="m"), vs.contract(vs.exp(t - b), u, over="k")
    return (
        vs.contract(vs.exp(r - vs.max(r, "j")), y, over="j"),
        vs.exp(a - c) * one + vs.exp(b - c) * other,
    )


@worked(accumulators_meet)
def mix_of_two_sets(s: "n m", t: "n k", v: "m e", u: "k e") -> "n e":
    r, y = (vs.concat(x, z, over=("m", "k"), into="j") for x, z in ((s, t), (v, u)))
    return vs.contract(vs.exp(r - vs.max(r, "j")), y, over="j")


# -- sums and quotients of sums -------------------------------------------------------------------


@diagram
def grown(total: "", x: "") -> "":
    """One term more."""
    return total + x


@rule("equal")
def stream_sum(xs: many("m"), y: "m") -> "":
    """Σ_m x·y = the last of S_m = S_(m−1) + x_m·y_m: weights without a normaliser stream"""
    (total,) = vs.scan(grown, over="m", states=[0.0], sequences=[vs.contract(xs, y)])
    return vs.contract(xs, y, over="m"), total


@worked(stream_sum)
def sigmoid_attention(s: "n m", v: "m e") -> "n e":
    return vs.contract(vs.sigmoid(s), v, over="m")


@diagram
def grown_twice(mixed: "", total: "", a: "", v: "", b: "") -> ("", ""):  # type: ignore[syntax]
    """One weight and its value more."""
    return mixed + a * v, total + b


@rule("equal")
def stream_quotient(a: "m", v: "m", b: "m") -> "":
    """(Σ_m a·v)/(Σ_m b) = o/z after one loop that carries both sums

    Kernels, squared relus, and slots, whose weights are a softmax over queries.
    """
    mixed, total = vs.scan(grown_twice, over="m", states=[0.0, 0.0], sequences=[a, v, b])
    return vs.contract(a, v, over="m") / vs.sum(b, "m"), mixed / total


@worked(stream_quotient)
def slots(s: "n m", v: "m e") -> "n e":
    weights = vs.softmax(s, over="n")
    return vs.contract(weights, v, over="m") / vs.sum(weights, "m")


@rule("equal")
def stream_unit_rows(a: "m", v: "m") -> "":
    """(Σ_m a·v)/√(Σ_m a²) = o/√z after one loop (Spherical Attention, arXiv 2505.09326)"""
    states = [0.0, 0.0]
    mixed, total = vs.scan(grown_twice, over="m", states=states, sequences=[a, v, a * a])
    length = vs.sqrt(vs.contract(a, a, over="m"))
    return vs.contract(a, v, over="m") / length, mixed / vs.sqrt(total)


@worked(stream_unit_rows)
def spherical_attention(s: "n m", v: "m e") -> "n e":
    return vs.contract(s, v, over="m") / vs.sqrt(vs.contract(s, s, over="m"))


@rule("equal")
def normalise_rows_late(a: "m", v: "m") -> "":
    """Σ_m (a/√Σa²)·v = (Σ_m a·v)/√Σa²"""
    length = vs.sqrt(vs.contract(a, a, over="m"))
    return vs.contract(a / length, v, over="m"), vs.contract(a, v, over="m") / length


@worked(normalise_rows_late)
def rows_on_a_sphere(s: "n m", v: "m e") -> "n e":
    return vs.contract(s / vs.sqrt(vs.contract(s, s, over="m")), v, over="m")


@rule("equal")
def centre_weights_late(s: "m", v: "m") -> "":
    """Σ_m (s − mean_m s)·v = Σ_m s·v − mean_m s·Σ_m v: centred weights are sums that stream"""
    middle = vs.mean(s, "m")
    return (
        vs.contract(s - middle, v, over="m"),
        vs.contract(s, v, over="m") - middle * vs.sum(v, "m"),
    )


@worked(centre_weights_late)
def weights_by_layer_norm(s: "n m", v: "m e") -> "n e":
    return vs.contract(s - vs.mean(s, "m"), v, over="m")
