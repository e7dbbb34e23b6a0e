"""Reading at places: gathers, one-hot channels, windows of keys, the largest scores."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")

# -- tables ---------------------------------------------------------------------------------------


@rule("equal")
def read_by_one_hot_channels(table: "b", p: "{} int") -> "":
    """table[p] = Σ_b table_b·[p = b]: a bias by buckets as channels"""
    hot = vs.to_float(vs.equal(p, vs.iota("b")))
    return vs.gather(table, p, over="b"), vs.contract(table, hot, over="b")


@worked(read_by_one_hot_channels)
def bias_by_buckets(table: "n b", bucket: "m int", scores: "n m") -> "n m":
    return scores + vs.gather(table, bucket, over="b")


@rule("equal")
def score_the_table_then_read(q: "c", table: "b c", p: "{} int") -> "":
    """Σ_c q_c·table[p, c] = (Σ_c q_c·table_c)[p]: relative keys without a vector for each pair

    Reading slides out of the product along its tube (Music Transformer, arXiv 1809.04281).
    """
    read = vs.gather(table, p, over="b")
    return (
        vs.contract(q, read, over="c"),
        vs.gather(vs.contract(q, table, over="c"), p, over="b"),
    )


@worked(score_the_table_then_read)
def relative_scores_by_position(q: "n c", table: "p c") -> "n m:n":
    place = vs.iota("m:n") - vs.iota("n") + (vs.size("n") - 1)
    clipped = vs.minimum(vs.maximum(place, vs.constant(0)), vs.size("p") - 1)
    return vs.contract(q, vs.gather(table, clipped, over="p"), over="c")


@rule("equal")
def function_of_what_is_read(table: "b", p: "{} int", w: "") -> "":
    """w·table[p] = (w·table)[p]"""
    return w * vs.gather(table, p, over="b"), vs.gather(w * table, p, over="b")


@worked(function_of_what_is_read)
def scaled_embeddings(table: "v d", tokens: "n int") -> "n d":
    return vs.gather(table, tokens, over="v") * vs.sqrt(vs.size("d"))


@rule("equal")
def read_what_is_read(table: "b", p: "k int", r: "{} int") -> "":
    """(table[p])[r] = table[p[r]]"""
    return (
        vs.gather(vs.gather(table, p, over="b"), r, over="k"),
        vs.gather(table, vs.gather(p, r, over="k"), over="b"),
    )


@worked(read_what_is_read)
def keys_of_chosen_blocks(keys: "m c", blocks: "b int", chosen: "n s int") -> "n s c":
    return vs.gather(vs.gather(keys, blocks, over="m"), chosen, over="b")


# -- masks as places ------------------------------------------------------------------------------


@rule("equal")
def mask_as_places(s: "m", v: "m", p: "k int") -> "":
    """Σ_m softmax_m(s + log Σ_k [p_k = m])·v = Σ_k softmax_k(s[p])·v[p]

    A mask that lists the allowed keys of each query becomes a read before the softmax. Written
    with their number, so that a place which is listed twice counts twice.
    """
    count = vs.sum(vs.to_float(vs.equal(p, vs.iota("m"))), "k")
    weights = vs.softmax(vs.gather(s, p, over="m"), over="k")
    return (
        vs.contract(vs.softmax(s + vs.log(count), over="m"), v, over="m"),
        vs.contract(weights, vs.gather(v, p, over="m"), over="k"),
    )


@worked(mask_as_places)
def attention_to_listed_keys(q: "n c", k: "m c", v: "m e", listed: "n j int") -> "n e":
    count = vs.sum(vs.to_float(vs.equal(listed, vs.iota("m"))), "j")
    scores = vs.contract(q, k, over="c") + vs.log(count)
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@rule("equal")
def sliding_window_as_windows(q: "n c", k: "m:n c", v: "m:n") -> "n":
    """the keys n − w < m ≤ n under a mask = the w keys of a window, no more scores than w·n"""
    w = vs.size("w")
    place, key = vs.iota("n"), vs.iota("m:n")
    seen = (key <= place) & (place < key + w)
    scores = vs.where(seen, vs.contract(q, k, over="c"), LOW)
    near_k, near_v = (vs.window(vs.pad(x, "m", w - 1, 0, into="t"), "t", "n d:w") for x in (k, v))
    real = vs.constant(0) <= place + vs.iota("d:w") - (w - 1)
    near = vs.where(real, vs.contract(q, near_k, over="c"), LOW)
    return (
        vs.contract(vs.softmax(scores, over="m"), v, over="m"),
        vs.contract(vs.softmax(near, over="d"), near_v, over="d"),
    )


@worked(sliding_window_as_windows)
def attention_to_a_window(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    place, key = vs.iota("n"), vs.iota("m:n")
    seen = (key <= place) & (place < key + vs.size("w"))
    scores = vs.where(seen, vs.contract(q, k, over="c"), LOW)
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


# -- the largest scores ---------------------------------------------------------------------------


@rule("equal")
def all_of_the_largest(s: "m", v: "m") -> "":
    """Σ_k softmax_k(the |m| largest s)·v at their places = Σ_m softmax_m(s)·v"""
    best, place = vs.topk(s, "m", "k:m")
    return (
        vs.contract(vs.softmax(best, over="k"), vs.gather(v, place, over="m"), over="k"),
        vs.contract(vs.softmax(s, over="m"), v, over="m"),
    )


@worked(all_of_the_largest)
def attention_to_every_sorted_key(q: "n c", k: "m c", v: "m e") -> "n e":
    best, place = vs.topk(vs.contract(q, k, over="c"), "m", "j:m")
    return vs.contract(vs.softmax(best, over="j"), vs.gather(v, place, over="m"), over="j")


@rule("equal")
def sum_in_sorted_order(s: "m", x: "m", y: "m") -> "":
    """Σ_k x[p_k]·y[p_k] = Σ_m x·y, p the places of s in order: sums are blind to permutations"""
    _, place = vs.topk(s, "m", "k:m")
    return (
        vs.contract(vs.gather(x, place, over="m"), vs.gather(y, place, over="m"), over="k"),
        vs.like(vs.contract(x, y, over="m"), vs.sum(s, "m")),
    )


@worked(sum_in_sorted_order)
def mix_in_the_order_of_hashes(hashes: "m", weights: "n m", v: "m e") -> "n e":
    _, place = vs.topk(hashes, "m", "j:m")
    a, b = (vs.gather(x, place, over="m") for x in (weights, v))
    return vs.contract(a, b, over="j")


@rule("equal")
def softmax_in_sorted_order(s: "m") -> "k:m":
    """softmax of sorted scores = the sorted weights"""
    best, _ = vs.topk(s, "m", "k:m")
    weights, _ = vs.topk(vs.softmax(s, over="m"), "m", "k:m")
    return vs.softmax(best, over="k"), weights


@worked(softmax_in_sorted_order)
def weights_in_order(q: "n c", k: "m c") -> "n j:m":
    best, _ = vs.topk(vs.contract(q, k, over="c"), "m", "j:m")
    return vs.softmax(best, over="j")


@rule("equal")
def largest_is_the_maximum(x: "m") -> "k:1":
    """the largest 1 = max"""
    best, _ = vs.topk(x, "m", "k:1")
    return best, vs.expand(vs.max(x, "m"), "k:1")


@worked(largest_is_the_maximum)
def hard_attention(q: "n c", k: "m c") -> "n j:1":
    best, _ = vs.topk(vs.contract(q, k, over="c"), "m", "j:1")
    return best
