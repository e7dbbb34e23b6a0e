"""Masks: how truth values pass through functions, sums and products, and what they become.

A hidden score is −∞, a hidden term of a sum is 0. −∞ times 0 is not a number, so a mask goes
into products as 0, never as −∞.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import anyfunction, many, rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")


@rule("equal")
def function_of_a_choice(f: anyfunction, keep: "bool", x: "", y: "") -> "":
    """f(x if kept, y elsewhere) = f(x) if kept, f(y) elsewhere"""
    return f(vs.where(keep, x, y)), vs.where(keep, f(x), f(y))  # type: ignore[misc]


@worked(function_of_a_choice)
def activations_of_padded_tokens(x: "n d", keep: "n bool", blank: "d") -> "n d":
    return vs.gelu(vs.where(keep, x, blank))


@rule("equal")
def exp_of_masked(keep: "bool", s: "") -> "":
    """exp(s where kept, −∞ elsewhere) = exp(s) where kept, 0 elsewhere"""
    return vs.exp(vs.where(keep, s, LOW)), vs.where(keep, vs.exp(s), 0.0)


@worked(exp_of_masked)
def unnormalised_causal_weights(s: "n m:n") -> "n m:n":
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.exp(vs.where(seen, s, LOW))


@rule("equal")
def mask_as_a_bias(keep: "bool", s: "") -> "":
    """s where kept, −∞ elsewhere = s + (0 where kept, −∞ elsewhere)"""
    return vs.where(keep, s, LOW), s + vs.where(keep, 0.0, LOW)


@worked(mask_as_a_bias)
def padded_weights(q: "n c", k: "m c", keep: "m bool") -> "n m":
    return vs.softmax(vs.where(keep, vs.contract(q, k, over="c"), LOW), over="m")


@rule("equal")
def mask_as_a_factor(keep: "bool", x: "") -> "":
    """x where kept, 0 elsewhere = x·[kept]"""
    return vs.where(keep, x, 0.0), x * vs.to_float(keep)


@worked(mask_as_a_factor)
def masked_kernel(q: "n c", k: "m:n c") -> "n m:n":
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.where(seen, vs.contract(q, k, over="c"), 0.0)


@rule("equal")
def mask_out_of_a_product(keep: "bool", x: "", ys: many("")) -> "":
    """(x where kept, 0 elsewhere)·y = x·y where kept, 0 elsewhere"""
    return (
        vs.contract(vs.where(keep, x, 0.0), ys),
        vs.where(keep, vs.contract(x, ys), 0.0),
    )


@worked(mask_out_of_a_product)
def masked_weights_scaled(s: "n m", keep: "m bool", gate: "n") -> "n m":
    return gate * vs.where(keep, s, 0.0)


@rule("equal")
def mask_values_instead_of_weights(keep: "m bool", x: "m", v: "m", ys: many("m")) -> "":
    """Σ_m (x where kept, 0 elsewhere)·v = Σ_m x·(v where kept, 0 elsewhere)"""
    return (
        vs.contract(vs.where(keep, x, 0.0), v, ys, over="m"),
        vs.contract(x, vs.where(keep, v, 0.0), ys, over="m"),
    )


@worked(mask_values_instead_of_weights)
def padded_kernel_attention(q: "n c", k: "m c", v: "m e", keep: "m bool") -> "n e":
    scores = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(vs.where(keep, scores, 0.0), v, over="m")


@rule("equal")
def mask_of_every_term(keep: "bool", x: "m") -> "":
    """Σ_m (x_m where kept, 0 elsewhere) = Σ_m x_m where kept, 0 elsewhere, kept without m"""
    return vs.sum(vs.where(keep, x, 0.0), "m"), vs.where(keep, vs.sum(x, "m"), 0.0)


@worked(mask_of_every_term)
def sums_of_kept_queries(keep: "n bool", s: "n m") -> "n":
    return vs.sum(vs.where(keep, s, 0.0), "m")


@rule("equal")
def mask_of_a_masked(a: "bool", b: "bool", x: "", z: "") -> "":
    """(x where b, z elsewhere) where a, z elsewhere = x where a and b, z elsewhere"""
    return vs.where(a, vs.where(b, x, z), z), vs.where(a & b, x, z)


@worked(mask_of_a_masked)
def causal_and_padded(s: "n m:n", keep: "m:n bool") -> "n m:n":
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.where(seen, vs.where(keep, s, LOW), LOW)


@rule("equal")
def mask_by_what_is_hidden(hidden: "bool", x: "", y: "") -> "":
    """x unless hidden, y if hidden"""
    return vs.where(~hidden, x, y), vs.where(hidden, y, x)


@worked(mask_by_what_is_hidden)
def scores_where_not_padding(s: "n m", padding: "m bool") -> "n m":
    return vs.where(~padding, s, LOW)


@rule("equal")
def softmax_of_masked(keep: "m bool", s: "m") -> "m":
    """softmax_m(s where kept, −∞ elsewhere) = w/Σ_m w, w = exp(s) where kept, 0 elsewhere

    The denominator of a row that keeps no key is 1, so that its weights are 0.
    """
    e = vs.where(keep, vs.exp(s), 0.0)
    empty = vs.to_float(~vs.any(keep, "m"))
    return vs.softmax(vs.where(keep, s, LOW), over="m"), e / (vs.sum(e, "m") + empty)


@worked(softmax_of_masked)
def padded_attention(q: "n c", k: "m c", v: "m e", keep: "m bool") -> "n e":
    scores = vs.where(keep, vs.contract(q, k, over="c"), LOW)
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@rule("equal")
def exp_of_a_sparse_bias(near: "bool", w: "") -> "":
    """exp(w where near, 0 elsewhere) = 1 + (exp(w) − 1 where near, 0 elsewhere)

    A global sum and a correction in a band (AFT-local, arXiv 2105.14103).
    """
    return vs.exp(vs.where(near, w, 0.0)), 1 + vs.where(near, vs.exp(w) - 1, 0.0)


@worked(exp_of_a_sparse_bias)
def local_position_weights(w: "n m:n") -> "n m:n":
    near = vs.abs(vs.iota("n") - vs.iota("m:n")) < vs.constant(8)
    return vs.exp(vs.where(near, w, 0.0))


@rule("equal")
def negation_of_conjunction(a: "bool", b: "bool") -> "{} bool":
    """not (a and b) = not a or not b"""
    return ~(a & b), ~a | ~b


@worked(negation_of_conjunction)
def hidden_tokens(seen: "n m bool", keep: "m bool") -> "n m bool":
    return ~(seen & keep)


@rule("approximates")
def hide_by_a_large_negative(keep: "m bool", s: "m") -> "m":
    """softmax_m(s where kept, −∞ elsewhere) ≈ softmax_m(s + (0 where kept, −10⁴ elsewhere))

    What kernels with an additive bias are given. Off by exp(max s − 10⁴) for rows that keep a
    key; a row that keeps none has weights that sum to 1 instead of 0.
    """
    bias = vs.where(keep, 0.0, -1e4)
    return vs.softmax(vs.where(keep, s, LOW), over="m"), vs.softmax(s + bias, over="m")


@worked(hide_by_a_large_negative)
def padding_for_a_kernel(q: "n c", k: "m c", keep: "m bool") -> "n m":
    return vs.softmax(vs.where(keep, vs.contract(q, k, over="c"), LOW), over="m")
