"""Axes cut, merged, cut out and turned around: what sums and softmaxes make of it.

Along tubes all this slides through any box (`reindexing`). Here the axis is bound.
"""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked


@rule("equal")
def sum_of_merged(x: "a b", y: "a b") -> "":
    """Σ_j merge(x)·merge(y) = Σ_ab x·y"""
    return (
        vs.contract(vs.merge(x, "a b", "j"), vs.merge(y, "a b", "j"), over="j"),
        vs.contract(x, y, over="a b"),
    )


@worked(sum_of_merged)
def heads_joined_before_a_map(o: "n h e", wo: "h e d") -> "n d":
    joined, weight = vs.merge(o, "h e", "j"), vs.merge(wo, "h e", "j")
    return vs.contract(joined, weight, over="j")


@rule("equal")
def map_of_merged(x: "a b", w: "j:a*b") -> "":
    """Σ_j merge(x)·W = Σ_ab x·split(W): the heads of a joined output, each with its own map"""
    return (
        vs.contract(vs.merge(x, "a b", "j"), w, over="j"),
        vs.contract(x, vs.split(w, "j", "a b"), over="a b"),
    )


@worked(map_of_merged)
def concatenated_heads(o: "n h e", wo: "j:h*e d") -> "n d":
    return vs.contract(vs.merge(o, "h e", "j"), wo, over="j")


@rule("equal")
def softmax_of_merged(s: "a b") -> "j:a*b":
    """softmax_j(merge(s)) = merge(softmax_ab(s))"""
    return (
        vs.softmax(vs.merge(s, "a b", "j"), over="j"),
        vs.merge(vs.softmax(s, over="a b"), "a b", "j"),
    )


@worked(softmax_of_merged)
def attention_over_a_picture(q: "n c", k: "y x c", v: "y x e") -> "n e":
    scores = vs.merge(vs.contract(q, k, over="c"), "y x", "m")
    return vs.contract(vs.softmax(scores, over="m"), vs.merge(v, "y x", "m"), over="m")


@rule("equal")
def maximum_of_merged(s: "a b") -> "":
    """max_j merge(s) = max_ab s"""
    return vs.max(vs.merge(s, "a b", "j"), "j"), vs.max(s, "a b")


@worked(maximum_of_merged)
def largest_score_of_a_picture(q: "n c", k: "y x c") -> "n":
    return vs.max(vs.merge(vs.contract(q, k, over="c"), "y x", "m"), "m")


@rule("equal")
def sum_of_turned(x: "j", y: "j") -> "":
    """Σ_j x[−j]·y[−j] = Σ_j x·y: sums do not see the order of their terms"""
    return (
        vs.contract(vs.slice(x, "j", step=-1), vs.slice(y, "j", step=-1), over="j"),
        vs.contract(x, y, over="j"),
    )


@worked(sum_of_turned)
def mix_of_a_turned_sequence(weights: "n m", v: "m e") -> "n e":
    a, b = (vs.slice(x, "m", step=-1) for x in (weights, v))
    return vs.contract(a, b, over="m")


@rule("equal")
def softmax_of_turned(s: "j") -> "j":
    """softmax_j(s[−j]) = softmax_j(s)[−j]"""
    return (
        vs.softmax(vs.slice(s, "j", step=-1), over="j"),
        vs.slice(vs.softmax(s, over="j"), "j", step=-1),
    )


@worked(softmax_of_turned)
def weights_of_a_turned_sequence(s: "n m") -> "n m":
    return vs.softmax(vs.slice(s, "m", step=-1), over="m")


@rule("equal")
def sum_over_a_diagonal(x: "i j:i") -> "":
    """Σ_i diagonal(x)_i = Σ_ij x_ij·[i = j]: a trace"""
    same = vs.to_float(vs.equal(vs.iota("i"), vs.iota("j:i")))
    return (
        vs.sum(vs.diagonal(x, "i j", "k"), "k"),
        vs.contract(x, same, over="i j"),
    )


@worked(sum_over_a_diagonal)
def weight_of_every_token_on_itself(q: "n c", k: "m:n c") -> "":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.sum(vs.diagonal(weights, "n m", "t"), "t")
