"""Softmax: what it is, what it ignores, how it splits, and where its denominator may stand.

A row whose scores are all −∞ has weights 0 by definition. There the sum of exponentials is 0,
and a rule that divides by it holds nowhere else than for rows with a finite score. Rules that
keep the softmax whole hold for all rows.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")

# -- what it is -----------------------------------------------------------------------------------


@rule("equal")
def unfold_softmax(s: "m") -> "m":
    """softmax_m(s) = exp(s) / Σ_m exp(s)

    For rows with a finite score. The right side overflows where s > 88 in float32:
    `unfold_softmax_safely` does not.
    """
    e = vs.exp(s)
    return vs.softmax(s, over="m"), e / vs.sum(e, "m")


@worked(unfold_softmax)
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("equal")
def unfold_softmax_safely(s: "m") -> "m":
    """softmax_m(s) = exp(s − max_m s) / Σ_m exp(s − max_m s)

    For rows with a finite score; nothing overflows (arXiv 1805.02867).
    """
    e = vs.exp(s - vs.max(s, "m"))
    return vs.softmax(s, over="m"), e / vs.sum(e, "m")


@worked(unfold_softmax_safely)
def attention_over_tokens(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("equal")
def softmax_by_its_normaliser(s: "m") -> "m":
    """softmax_m(s) = exp(s − log Σ_m exp(s)): weights anew from what a kernel keeps"""
    return vs.softmax(s, over="m"), vs.exp(s - vs.log(vs.sum(vs.exp(s), "m")))


@worked(softmax_by_its_normaliser)
def weights_in_a_backward_pass(s: "n m", dv: "m e") -> "n e":
    return vs.contract(vs.softmax(s, over="m"), dv, over="m")


@rule("equal")
def log_of_softmax(s: "m") -> "m":
    """log softmax_m(s) = s − log Σ_m exp(s)"""
    return vs.log(vs.softmax(s, over="m")), s - vs.log(vs.sum(vs.exp(s), "m"))


@worked(log_of_softmax)
def log_likelihoods(logits: "n v") -> "n v":
    return vs.log(vs.softmax(logits, over="v"))


# -- what it ignores ------------------------------------------------------------------------------


@rule("equal")
def shift_softmax(ss: many("m"), c: "", cs: many("")) -> "m":
    """softmax_m(s + c) = softmax_m(s), where c does not depend on m

    So a bias of queries is dead, and so is the part −i of a distance j − i.
    """
    return (
        vs.softmax(vs.add(ss, c, cs), over="m"),
        vs.like(vs.softmax(vs.add(ss), over="m"), vs.add(c, cs)),
    )


@worked(shift_softmax)
def scores_with_a_bias_of_queries(q: "n c", k: "m c", position: "n m", bias: "n") -> "n m":
    return vs.softmax(vs.contract(q, k, over="c") + position + bias, over="m")


@rule("equal")
def shift_masked_softmax(keep: "m bool", s: "m", c: "") -> "m":
    """softmax_m(s + c where kept, −∞ elsewhere) = softmax_m(s where kept, −∞ elsewhere)"""
    return (
        vs.softmax(vs.where(keep, s + c, LOW), over="m"),
        vs.like(vs.softmax(vs.where(keep, s, LOW), over="m"), c),
    )


@worked(shift_masked_softmax)
def padded_scores_with_a_bias_of_queries(q: "n c", k: "m c", bias: "n", keep: "m bool") -> "n m":
    scores = vs.contract(q, k, over="c") + bias
    return vs.softmax(vs.where(keep, scores, LOW), over="m")


@rule("equal")
def centre_keys(q: "c", k: "m c") -> "m":
    """softmax_m(q·k_m) = softmax_m(q·(k_m − mean_m k)): smaller keys, for quantisation"""
    centred = k - vs.mean(k, "m")
    return (
        vs.softmax(vs.contract(q, k, over="c"), over="m"),
        vs.softmax(vs.contract(q, centred, over="c"), over="m"),
    )


@worked(centre_keys)
def plain_weights(q: "n c", k: "m c") -> "n m":
    return vs.softmax(vs.contract(q, k, over="c"), over="m")


@rule("equal")
def bias_of_keys_is_dead(qs: many("c"), k: "m c", b: "c") -> "m":
    """softmax_m(q·(k_m + b)) = softmax_m(q·k_m), where b does not depend on m

    So the projection of keys needs no bias, unless something that depends on the position, a
    rotation for one, stands between the bias and the product.
    """
    plain = vs.softmax(vs.contract(qs, k, over="c"), over="m")
    return (
        vs.softmax(vs.contract(qs, k + b, over="c"), over="m"),
        vs.like(plain, vs.contract(qs, b, over="c")),
    )


@worked(bias_of_keys_is_dead)
def keys_with_a_bias(x: "n c", y: "m d", wk: "d c", bk: "c") -> "n m":
    keys = vs.contract(y, wk, over="d") + bk
    return vs.softmax(vs.contract(x, keys, over="c"), over="m")


# -- its weights sum to 1 -------------------------------------------------------------------------


@rule("equal")
def weights_sum_to_one(s: "m") -> "":
    """Σ_m softmax_m(s) = 1, for rows with a finite score"""
    return vs.sum(vs.softmax(s, over="m"), "m"), vs.like(1.0, vs.sum(s, "m"))


@worked(weights_sum_to_one)
def total_weight(q: "n c", k: "m c") -> "n":
    return vs.sum(vs.softmax(vs.contract(q, k, over="c"), over="m"), "m")


@rule("equal")
def mix_of_shift(s: "m", y: "m", b: "") -> "":
    """Σ_m softmax_m(s)·(y_m + b) = Σ_m softmax_m(s)·y_m + b, for rows with a finite score

    So a bias of values moves behind the mix.
    """
    weights = vs.softmax(s, over="m")
    return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b


@worked(mix_of_shift)
def values_with_a_bias(s: "n m", y: "m d", wv: "d e", bv: "e") -> "n e":
    values = vs.contract(y, wv, over="d") + bv
    return vs.contract(vs.softmax(s, over="m"), values, over="m")


# -- where its denominator may stand --------------------------------------------------------------


@rule("equal")
def normalise_late(ws: many(""), xs: many("m"), ys: many("m")) -> "":
    """Σ_m (w·x_m)·y_m = w·Σ_m x_m·y_m: the denominator of a softmax after the sum"""
    return (
        vs.contract(vs.contract(ws, xs), ys, over="m"),
        vs.contract(ws, vs.contract(xs, ys, over="m")),
    )


@worked(normalise_late)
def weights_from_positive_scores(a: "n m", v: "m e") -> "n e":
    return vs.contract(a / vs.sum(a, "m"), v, over="m")


@rule("equal")
def denominator_as_a_channel(a: "m", v: "m e") -> "e":
    """(Σ_m a_m·v_m)/(Σ_m a_m) from one sum, of the values with a channel of ones"""
    mixed = vs.contract(a, v, over="m")
    wide = vs.contract(a, vs.pad(v, "e", 0, 1, value=1, into="w"), over="m")
    total = vs.slice(wide, "w", "e", length=1, into="z")
    return (
        mixed / vs.sum(a, "m"),
        vs.slice(wide, "w", 0, length="e", into="e") / vs.sum(total, "z"),
    )


@worked(denominator_as_a_channel)
def normalised_kernel_attention(q: "n c", k: "m c", v: "m e") -> "n e":
    a = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(a, v, over="m") / vs.sum(a, "m")


# -- how it splits --------------------------------------------------------------------------------


@rule("equal")
def softmax_of_product(s: "m", t: "k") -> "m k":
    """softmax_mk(s_m + t_k) = softmax_m(s)·softmax_k(t)"""
    return vs.softmax(s + t, over="m k"), vs.softmax(s, over="m") * vs.softmax(t, over="k")


@worked(softmax_of_product)
def weights_over_rows_and_columns(rows: "n y", columns: "n x") -> "n y x":
    return vs.softmax(rows + columns, over="y x")


@rule("equal")
def softmax_in_two(s: "m k") -> "m k":
    """softmax_mk(s) = softmax_k(s)·softmax_m(log Σ_k exp(s)): blocks of keys, then keys

    Holds for rows and blocks that are all −∞, too.
    """
    inner = vs.log(vs.sum(vs.exp(s), "k"))
    return vs.softmax(s, over="m k"), vs.softmax(s, over="k") * vs.softmax(inner, over="m")


@worked(softmax_in_two)
def weights_over_blocks_of_keys(q: "n c", k: "b w c") -> "n b w":
    return vs.softmax(vs.contract(q, k, over="c"), over="b w")


@rule("equal")
def attend_in_blocks(s: "m k", v: "m k") -> "":
    """Σ_mk softmax_mk(s)·v = Σ_m (l/Σ_m l)·(Σ_k softmax_k(s)·v), l = Σ_k exp(s)

    Attention over each block apart, merged by the blocks' denominators. `shares_by_softmax`
    makes the shares of what kernels return.
    """
    inner = vs.contract(vs.softmax(s, over="k"), v, over="k")
    total = vs.sum(vs.exp(s), "k")
    return (
        vs.contract(vs.softmax(s, over="m k"), v, over="m k"),
        vs.contract(total / vs.sum(total, "m"), inner, over="m"),
    )


@worked(attend_in_blocks)
def attention_over_blocks_of_keys(q: "n c", k: "b w c", v: "b w e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="b w")
    return vs.contract(weights, v, over="b w")


@rule("equal")
def shares_by_softmax(s: "m k") -> "m":
    """l/Σ_m l = softmax_m(log l), l = Σ_k exp(s): nothing overflows

    For rows with a finite score.
    """
    total = vs.sum(vs.exp(s), "k")
    return total / vs.sum(total, "m"), vs.softmax(vs.log(total), over="m")


@worked(shares_by_softmax)
def shares_of_blocks(s: "n b w", o: "n b e") -> "n e":
    total = vs.sum(vs.exp(s), "w")
    return vs.contract(total / vs.sum(total, "b"), o, over="b")


@rule("equal")
def factor_softmax_of_sum(w: "m", k: "m", vs_: many("m")) -> "":
    """Σ_m softmax_m(w + k)·v = (Σ_m e^w·(e^k·v)) / (Σ_m e^w·e^k)

    With w of positions and k of channels, two matrix products instead of weights for each
    query, key and channel (An Attention Free Transformer, arXiv 2105.14103). For rows with a
    finite score. Exponentials overflow one by one: `factor_softmax_of_sum_safely` rescales.
    """
    a, b = vs.exp(w), vs.exp(k)
    return (
        vs.contract(vs.softmax(w + k, over="m"), vs_, over="m"),
        vs.contract(a, vs.contract(b, vs_), over="m") / vs.contract(a, b, over="m"),
    )


@worked(factor_softmax_of_sum)
def attention_free(w: "n m", k: "m e", v: "m e") -> "n e":
    return vs.contract(vs.softmax(w + k, over="m"), v, over="m")


@rule("equal")
def factor_softmax_of_sum_safely(w: "m", k: "m", vs_: many("m")) -> "":
    """the same with e^(w − max_m w) and e^(k − max_m k), which cancel in the quotient

    Nothing overflows. A denominator vanishes only where the largest w and the largest k meet
    exponents below −85 (float32) of each other.
    """
    a, b = vs.exp(w - vs.max(w, "m")), vs.exp(k - vs.max(k, "m"))
    return (
        vs.contract(vs.softmax(w + k, over="m"), vs_, over="m"),
        vs.contract(a, vs.contract(b, vs_), over="m") / vs.contract(a, b, over="m"),
    )


@worked(factor_softmax_of_sum_safely)
def attention_free_rescaled(w: "n m", k: "m e", v: "m e") -> "n e":
    return vs.contract(vs.softmax(w + k, over="m"), v, over="m")
