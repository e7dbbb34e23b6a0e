"""Axes that join, masks, caches and lengths."""

import vesalius as vs
from false_friends.claims import wrong


def causal(scores, row, column, offset=0):
    seen = vs.less_equal(vs.iota(column), vs.iota(row) + offset)
    return vs.softmax(vs.where(seen, scores, float("-inf")), over=column.partition(":")[0])


@wrong
def groups_of_queries_join_the_queries_under_a_causal_mask():
    @vs.diagram
    def left(s: "g n m", v: "m") -> "g n":
        return vs.contract(causal(s, "n", "m"), v, over="m")

    @vs.diagram
    def right(s: "g n m", v: "m") -> "g n":
        rows = vs.merge(s, "g n", "r")
        return vs.split(vs.contract(causal(rows, "r:g*n", "m"), v, over="m"), "r", "g n")

    return left, right


@wrong
def heads_are_repeated_in_either_order():
    def scores(q, k, into):
        grouped = vs.split(q, "h", into)
        return vs.merge(vs.contract(grouped, k, over="c"), into, "h")

    @vs.diagram
    def left(q: "h:kv*r c", k: "kv c", one: "r") -> "h:kv*r":
        return scores(q, k * one, "kv r")

    @vs.diagram
    def right(q: "h:kv*r c", k: "kv c", one: "r") -> "h:kv*r":
        return scores(q, k * one, "r kv")

    return left, right


@wrong
def a_causal_mask_starts_at_the_first_key_when_decoding():
    @vs.diagram
    def left(s: "n m:n+p", old: "p") -> "n m:n+p":
        return causal(s, "n", "m:n+p", vs.size("p")) * vs.sum(old, "p")

    @vs.diagram
    def right(s: "n m:n+p", old: "p") -> "n m:n+p":
        return causal(s, "n", "m:n+p") * vs.sum(old, "p")

    return left, right


@wrong
def keys_normalised_over_tokens_can_be_cached():
    @vs.diagram
    def left(k: "m c", v: "m e", new: "t c") -> "c e":
        return vs.contract(vs.softmax(k, over="m"), v, over="m")

    @vs.diagram
    def right(k: "m c", v: "m e", new: "t c") -> "c e":
        longer = vs.concat(k, new, over=("m", "t"), into="a")
        weights = vs.slice(vs.softmax(longer, over="a"), "a", 0, length="m", into="m")
        return vs.contract(weights, v, over="m")

    return left, right


@wrong
def a_long_convolution_is_a_product_of_spectra_of_the_same_length():
    def convolved(x, h):
        a, b = vs.fourier(x, over="n")
        c, d = vs.fourier(h, over="n")
        return vs.fourier(a * c - b * d, a * d + b * c, over="n", inverse=True)[0]

    @vs.diagram
    def left(x: "n", h: "n") -> "n":
        padded = [vs.pad(y, "n", 0, "n", into="k").rename(k="n") for y in (x, h)]
        return vs.slice(convolved(*padded), "n", 0, length="n")

    @vs.diagram
    def right(x: "n", h: "n") -> "n":
        return convolved(x, h)

    return left, right


@wrong
def a_general_mask_can_be_summed_along_the_way():
    """Only masks of low rank make a running state: a general one needs the weights."""

    @vs.diagram
    def left(q: "n c", k: "m c", v: "m", keep: "n m") -> "n":
        return vs.contract(vs.contract(q, k, over="c") * keep, v, over="m")

    @vs.diagram
    def right(q: "n c", k: "m c", v: "m", keep: "n m") -> "n":
        state = vs.contract(k, v, over="m")
        return vs.contract(q, state, over="c") * vs.sum(keep, "m")

    return left, right
