"""Sums and products: distributivity in its several uses.

Distributivity is the engine of linear attention. One rule, `reassociate`, is also the merging of
two linear maps, the value projection after the mix, and the absorbed form of latent attention:
they differ in what the wires are called.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

# -- distributivity -------------------------------------------------------------------------------


@rule("equal")
def pull_out_of_sum(ws: many(""), xs: many("j")) -> "":
    """Σ_j w·x_j = w·Σ_j x_j"""
    return vs.contract(ws, xs, over="j"), vs.contract(ws, vs.contract(xs, over="j"))


@worked(pull_out_of_sum)
def a_gate_of_queries(gate: "n", weights: "n m", v: "m e") -> "n e":
    return vs.contract(gate, weights, v, over="m")


@rule("equal")
def reassociate(qs: many("r"), ks: many("r j"), vs_: many("j")) -> "":
    """Σ_j (Σ_r q_r·k_rj)·v_j = Σ_r q_r·(Σ_j k_rj·v_j)

    With queries, keys and values it makes attention linear in the number of keys
    (Transformers are RNNs, arXiv 2006.16236). With two weights it merges two linear maps; with
    weights of keys it moves a projection of values behind the mix.
    """
    scores = vs.contract(qs, ks, over="r")
    return (
        vs.contract(scores, vs_, over="j"),
        vs.contract(qs, vs.contract(ks, vs_, over="j"), over="r"),
    )


@worked(reassociate)
def linear_attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(scores, v, over="m")


@rule("equal")
def scale_one_factor(ws: many(""), x: "j", ys: many("j")) -> "":
    """w·Σ_j x_j·y_j = Σ_j (w·x_j)·y_j: a scale or a temperature goes into the queries"""
    return (
        vs.contract(ws, vs.contract(x, ys, over="j")),
        vs.contract(vs.contract(ws, x), ys, over="j"),
    )


@worked(scale_one_factor)
def scaled_scores(q: "n c", k: "m c") -> "n m":
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


@rule("equal")
def distribute(ws: many(""), x: "", ys: many("")) -> "":
    """w·(x + y) = w·x + w·y"""
    return vs.contract(ws, vs.add(x, ys)), vs.contract(ws, x) + vs.contract(ws, vs.add(ys))


@worked(distribute)
def scores_and_bias_scaled(q: "n c", k: "m c", bias: "n m") -> "n m":
    return (vs.contract(q, k, over="c") + bias) / vs.sqrt(vs.size("c"))


@rule("equal")
def contract_a_sum(ws: many("j"), x: "j", ys: many("j")) -> "":
    """Σ_j w_j·(x_j + y_j) = Σ_j w_j·x_j + Σ_j w_j·y_j"""
    return (
        vs.contract(ws, vs.add(x, ys), over="j"),
        vs.contract(ws, x, over="j") + vs.contract(ws, vs.add(ys), over="j"),
    )


@worked(contract_a_sum)
def keys_with_positions(q: "n c", k: "m c", p: "m c") -> "n m":
    return vs.contract(q, k + p, over="c")


@rule("equal")
def sum_with_a_constant(x: "j", c: "") -> "":
    """Σ_j (x_j + c) = Σ_j x_j + |j|·c, where c does not depend on j"""
    return vs.sum(x + c, "j"), vs.sum(x, "j") + vs.to_float(vs.size("j")) * c


@worked(sum_with_a_constant)
def row_sums_with_a_floor(scores: "n m", floor: "n") -> "n":
    return vs.sum(vs.exp(scores) + floor, "m")


# -- nesting --------------------------------------------------------------------------------------


@rule("equal")
def sum_in_two(xs: many("j k"), us: many("j"), ys: many("k")) -> "":
    """Σ_jk x_jk·u_j·y_k = Σ_k (Σ_j x_jk·u_j)·y_k"""
    return (
        vs.contract(xs, us, ys, over="j k"),
        vs.contract(vs.contract(xs, us, over="j"), ys, over="k"),
    )


@worked(sum_in_two)
def joined_heads(o: "n h e", wo: "h e d") -> "n d":
    return vs.contract(o, wo, over="h e")


@rule("equal")
def scores_in_products_of_channels(q: "j", k: "j", a: "r", b: "r") -> "":
    """(Σ_j q_j·k_j)·(Σ_r a_r·b_r) = Σ_jr (q_j·a_r)·(k_j·b_r)

    A score times a bias of rank r is a score with r times as many channels (cosFormer, arXiv
    2202.08791).
    """
    return (
        vs.contract(q, k, over="j") * vs.contract(a, b, over="r"),
        vs.contract(q * a, k * b, over="j r"),
    )


@worked(scores_in_products_of_channels)
def scores_times_a_decay(q: "n c", k: "m c", a: "n r", b: "m r") -> "n m":
    return vs.contract(vs.relu(q), vs.relu(k), over="c") * vs.contract(a, b, over="r")


# -- maxima -------------------------------------------------------------------------------------


@rule("equal")
def maximum_in_two(x: "j k") -> "":
    """max_jk x = max_k max_j x"""
    return vs.max(x, "j k"), vs.max(vs.max(x, "j"), "k")


@worked(maximum_in_two)
def largest_score(scores: "n m") -> "":
    return vs.max(scores, "n m")


@rule("equal")
def maximum_of_shift(x: "j", c: "") -> "":
    """max_j (x_j + c) = max_j x_j + c, where c does not depend on j"""
    return vs.max(x + c, "j"), vs.max(x, "j") + c


@worked(maximum_of_shift)
def largest_biased_score(scores: "n m", bias: "n") -> "n":
    return vs.max(scores + bias, "m")


@rule("equal")
def maximum_of_negatives(x: "j") -> "":
    """max_j (−x_j) = −min_j x_j"""
    return vs.max(-x, "j"), -vs.min(x, "j")


@worked(maximum_of_negatives)
def smallest_distance(q: "n c", k: "m c") -> "n":
    gap = vs.contract(q - k, q - k, over="c")
    return vs.max(-gap, "m")
