"""Biases into channels, several maps in one, and joined axes taken apart.

A kernel for softmax(q·k)·v serves every score that is a sum of products, once the sum is written
as one product in more channels. A bias of rank r costs r channels.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

# -- biases into channels -------------------------------------------------------------------------


@rule("equal")
def bias_into_channels(q: "c", k: "c", a: "r", b: "r", rest: many("")) -> "":
    """Σ_c q·k + Σ_r a·b = Σ [q ; a]·[k ; b]: a bias of rank r as r more channels

    In bfloat16 a channel holds 8 bits: a bias whose values are larger needs two channels, or three.
    """
    wide = [vs.concat(x, y, over=("c", "r"), into="w") for x, y in ((q, a), (k, b))]
    return (
        vs.add(vs.contract(q, k, over="c"), vs.contract(a, b, over="r"), rest),
        vs.add(vs.contract(*wide, over="w"), rest),
    )


@worked(bias_into_channels)
def scores_with_a_bias_of_low_rank(q: "n c", k: "m c", a: "n r", b: "m r") -> "n m":
    return vs.softmax(vs.contract(q, k, over="c") + vs.contract(a, b, over="r"), over="m")


@rule("equal")
def product_into_a_channel(q: "c", k: "c", a: "", b: "", rest: many("")) -> "":
    """Σ_c q·k + a·b = Σ [q ; a]·[k ; b]: a slope times a position as one channel"""
    wide = [
        vs.concat(x, vs.expand(y, "z:1"), over=("c", "z"), into="w") for x, y in ((q, a), (k, b))
    ]
    return (
        vs.add(vs.contract(q, k, over="c"), a * b, rest),
        vs.add(vs.contract(*wide, over="w"), rest),
    )


@worked(product_into_a_channel)
def scores_with_a_slope(q: "h n c", k: "h m c", slope: "h", position: "m") -> "h n m":
    return vs.softmax(vs.contract(q, k, over="c") + slope * position, over="m")


@rule("equal")
def bias_of_keys_into_a_channel(q: "c", k: "c", b: "", rest: many("")) -> "":
    """Σ_c q·k + b = Σ [q ; 1]·[k ; b]"""
    wide = (
        vs.concat(q, vs.expand(1.0, "z:1"), over=("c", "z"), into="w"),
        vs.concat(k, vs.expand(b, "z:1"), over=("c", "z"), into="w"),
    )
    return (
        vs.add(vs.contract(q, k, over="c"), b, rest),
        vs.add(vs.contract(*wide, over="w"), rest),
    )


@worked(bias_of_keys_into_a_channel)
def scores_with_a_bias_of_keys(q: "h n c", k: "h m c", bias: "h m") -> "h n m":
    return vs.softmax(vs.contract(q, k, over="c") + bias, over="m")


@rule("equal")
def contract_of_concats(x: "c", y: "c", u: "r", v: "r") -> "":
    """Σ [x ; u]·[y ; v] = Σ_c x·y + Σ_r u·v

    With a joined weight: a map of joined channels is a sum of maps.
    """
    wide = [vs.concat(a, b, over=("c", "r"), into="w") for a, b in ((x, u), (y, v))]
    return vs.contract(*wide, over="w"), vs.contract(x, y, over="c") + vs.contract(u, v, over="r")


@worked(contract_of_concats)
def content_and_rotary_channels(q: "n c", k: "m c", qr: "n r", kr: "m r") -> "n m":
    q = vs.concat(q, qr, over=("c", "r"), into="w")
    return vs.contract(q, vs.concat(k, kr, over=("c", "r"), into="w"), over="w")


# -- several maps in one --------------------------------------------------------------------------


@rule("equal")
def concat_of_maps(x: "d", w: "d e", u: "d f") -> "k:e+f":
    """[x·W ; x·U] = x·[W ; U]: two maps of one input are one, and then split"""
    return (
        vs.concat(
            vs.contract(x, w, over="d"), vs.contract(x, u, over="d"), over=("e", "f"), into="k"
        ),
        vs.contract(x, vs.concat(w, u, over=("e", "f"), into="k"), over="d"),
    )


@worked(concat_of_maps)
def queries_and_keys_side_by_side(x: "n d", wq: "d c", wk: "d e") -> "n w:c+e":
    q, k = vs.contract(x, wq, over="d"), vs.contract(x, wk, over="d")
    return vs.concat(q, k, over=("c", "e"), into="w")


# -- key sets -------------------------------------------------------------------------------------


@rule("equal")
def attend_to_two_sets(s: "m", t: "k", v: "m", u: "k") -> "":
    """attention over the keys [m ; k] = w·o + w'·o', w = l/(l + l'), w' = l'/(l + l')

    o and l = Σ exp(s), o' and l' are the mix and the denominator of each set. One set may be
    empty or hidden, not both. `share_by_sigmoid` makes the shares of what kernels return.
    """
    weights = vs.softmax(vs.concat(s, t, over=("m", "k"), into="j"), over="j")
    values = vs.concat(v, u, over=("m", "k"), into="j")
    one, other = vs.sum(vs.exp(s), "m"), vs.sum(vs.exp(t), "k")
    mixed = vs.contract(vs.softmax(s, over="m"), v, over="m")
    rest = vs.contract(vs.softmax(t, over="k"), u, over="k")
    return (
        vs.contract(weights, values, over="j"),
        one / (one + other) * mixed + other / (one + other) * rest,
    )


@worked(attend_to_two_sets)
def attention_to_memory_and_window(s: "n m", t: "n k", v: "m e", u: "k e") -> "n e":
    weights = vs.softmax(vs.concat(s, t, over=("m", "k"), into="j"), over="j")
    return vs.contract(weights, vs.concat(v, u, over=("m", "k"), into="j"), over="j")


@rule("equal")
def maximum_of_concat(x: "m", y: "k") -> "":
    """max [x ; y] = max(max_m x, max_k y)"""
    return (
        vs.max(vs.concat(x, y, over=("m", "k"), into="j"), "j"),
        vs.maximum(vs.max(x, "m"), vs.max(y, "k")),
    )


@worked(maximum_of_concat)
def largest_score_of_two_sets(s: "n m", t: "n k") -> "n":
    return vs.max(vs.concat(s, t, over=("m", "k"), into="j"), "j")


@rule("equal")
def sum_of_concat(x: "m", y: "k") -> "":
    """Σ [x ; y] = Σ_m x + Σ_k y"""
    return (
        vs.sum(vs.concat(x, y, over=("m", "k"), into="j"), "j"),
        vs.sum(x, "m") + vs.sum(y, "k"),
    )


@worked(sum_of_concat)
def denominator_of_two_sets(s: "n m", t: "n k") -> "n":
    e, f = vs.exp(s), vs.exp(t)
    return vs.sum(vs.concat(e, f, over=("m", "k"), into="j"), "j")


@rule("equal")
def share_by_sigmoid(s: "m", t: "k") -> "":
    """l/(l + l') = σ(log l − log l'), l = Σ_m exp(s), l' = Σ_k exp(t): nothing overflows"""
    one, other = vs.sum(vs.exp(s), "m"), vs.sum(vs.exp(t), "k")
    return one / (one + other), vs.sigmoid(vs.log(one) - vs.log(other))


@worked(share_by_sigmoid)
def share_of_a_window(s: "n m", t: "n k", o: "n e") -> "n e":
    one, other = vs.sum(vs.exp(s), "m"), vs.sum(vs.exp(t), "k")
    return one / (one + other) * o
