"""Softmax attention as people write it: scores, masks, normalisers, operands and shapes."""

import torch

import vesalius as vs

SDPA = "scaled_dot_product_attention"

# -- one mechanism, written in many ways --------------------------------------------------------


def on_queries(q, k):
    return vs.contract(q / vs.sqrt(vs.size("c")), k, over="c")


def on_keys_as_factor(q, k):
    return vs.contract(q, k * (1 / vs.sqrt(vs.size("c"))), over="c")


def on_scores(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


def half_and_half(q, k):
    root = vs.sqrt(vs.sqrt(vs.size("c")))
    return vs.contract(k / root, q / root, over="c")


def in_one_product(q, k):
    return vs.contract(1 / vs.sqrt(vs.size("c")), k, q, over="c")


def negated_twice(q, k):
    return -vs.contract(-q, k, over="c") / vs.sqrt(vs.size("c"))


def with_dead_shifts(q, k):
    shift = vs.sum(q, "c")
    return on_scores(q, k) + shift - 3.0


SCORES = [
    on_queries, on_keys_as_factor, on_scores, half_and_half, in_one_product, negated_twice,
    with_dead_shifts,
]  # fmt: skip


def unmasked(scores):
    return scores


def causal(scores):
    return vs.where(vs.iota("m") <= vs.iota("n"), scores, float("-inf"))


def causal_turned(scores):
    return vs.where(vs.iota("n") < vs.iota("m"), float("-inf"), scores)


def causal_by_distance(scores):
    return vs.where(~(vs.iota("m") - vs.iota("n") >= 1), scores, float("-inf"))


def causal_added(scores):
    return scores + vs.where(vs.iota("n") - vs.iota("m") >= 0, 0.0, float("-inf"))


def causal_in_floats(scores):
    n, m = vs.to_float(vs.iota("n")), vs.to_float(vs.iota("m"))
    return vs.where(m <= n, scores, float("-inf"))


CAUSAL = [causal, causal_turned, causal_by_distance, causal_added, causal_in_floats]


def as_softmax(scores, v):
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def exponentials(scores, v):
    e = vs.exp(scores)
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


def safe_exponentials(scores, v):
    e = vs.exp(scores - vs.max(scores, "m"))
    return vs.contract(v, e / vs.sum(e, "m"), over="m")


def divided_after_the_mix(scores, v):
    e = vs.exp(scores - vs.max(scores, "m"))
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


def divided_values(scores, v):
    e = vs.exp(scores)
    return vs.contract(e, v / vs.sum(e, "m"), over="m")


def by_logarithm(scores, v):
    return vs.contract(vs.exp(scores - vs.log(vs.sum(vs.exp(scores), "m"))), v, over="m")


NORMALISERS = [
    as_softmax, exponentials, safe_exponentials, divided_after_the_mix, divided_values,
    by_logarithm,
]  # fmt: skip


def spelled(score, mask, normaliser):
    @vs.diagram
    def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        return normaliser(mask(score(q, k)), v)

    return attention


def tensors(diagram, sizes, dtype=torch.float64, scale=1.0):
    made = []
    for port in diagram.inputs:
        lengths, kind = diagram.types[port.wire]
        shape = [length.at(sizes) for length in (lengths[s] for s in port.slots)]
        if kind == "bool":
            made.append(torch.rand(shape) > 0.3)
        elif kind == "int":
            made.append(torch.randint(3, shape))
        else:
            made.append((torch.randn(shape, dtype=torch.float64) * scale).to(dtype))
    return made


SIZES = {"b": 2, "h": 3, "g": 2, "n": 5, "m": 6, "c": 4, "e": 7, "r": 2}


# -- what goes into queries, keys and masks -----------------------------------------------------


def unit(x):
    return x / vs.sqrt(vs.sum(x * x, "c"))


def dot(q, k):
    return vs.contract(q, k, over="c")


@vs.diagram
def cosine(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    return as_softmax(t * dot(unit(q), unit(k)), v)


@vs.diagram
def cosine_of_norms(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    def norm(x):
        return vs.sqrt(vs.sum(x * x, "c"))

    return as_softmax(dot(q, k) * t / (norm(q) * norm(k)), v)


@vs.diagram
def alibi(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    return as_softmax(causal(dot(q, k) - t * (vs.iota("n") - vs.iota("m"))), v)


@vs.diagram
def alibi_of_distances(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    far = vs.abs(vs.to_float(vs.iota("m")) - vs.to_float(vs.iota("n")))
    return as_softmax(causal(dot(q, k)) - t * far, v)


@vs.diagram
def low_rank(q: "h n c", k: "h m c", v: "h m e", a: "n r", b: "h m r") -> "h n e":
    return as_softmax(dot(q, k) * 0.3 + vs.contract(a, b, over="r"), v)


@vs.diagram
def two_products(q: "h n c", k: "h m c", v: "h m e", a: "h n r", b: "m r") -> "h n e":
    total = vs.size("c") + vs.size("r")
    return as_softmax((dot(q, k) + vs.contract(a, b, over="r")) / vs.sqrt(total), v)


@vs.diagram
def bias_of_keys(q: "h n c", k: "h m c", v: "h m e", u: "m", w: "h n") -> "h n e":
    return as_softmax(dot(q, k) + u + w, v)


CHANNELS = [
    cosine, cosine_of_norms, alibi, alibi_of_distances, low_rank, two_products, bias_of_keys,
]  # fmt: skip


@vs.diagram
def padded(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    return as_softmax(vs.where(keep, dot(q, k), float("-inf")), v)


@vs.diagram
def added_mask(q: "h n c", k: "h m c", v: "h m e", mask: "n m") -> "h n e":
    return as_softmax(dot(q, k) + mask, v)


@vs.diagram
def causal_and_padded(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    shown = keep & (vs.iota("m") <= vs.iota("n"))
    return as_softmax(vs.where(shown, dot(q, k), float("-inf")), v)


@vs.diagram
def nested_masks(q: "h n c", k: "h m c", v: "h m e", keep: "h n m bool", u: "n m") -> "h n e":
    return as_softmax(vs.where(~keep, float("-inf"), causal(dot(q, k)) + u), v)


@vs.diagram
def hidden_queries(q: "h n c", k: "h m c", v: "h m e", keep: "n bool") -> "h n e":
    return as_softmax(vs.where(keep, dot(q, k), float("-inf")), v)


@vs.diagram
def on_exponentials(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    e = vs.where(keep, vs.exp(dot(q, k)), 0.0)
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


@vs.diagram
def times_indicator(q: "h n c", k: "h m c", v: "h m e", keep: "n m bool") -> "h n e":
    e = vs.exp(dot(q, k)) * vs.to_float(keep)
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


@vs.diagram
def relative_keys(q: "h n c", k: "h m c", v: "h m e", r: "n m c") -> "h n e":
    return as_softmax(dot(q, k + r), v)


MASKS = [
    padded, added_mask, causal_and_padded, nested_masks, hidden_queries, on_exponentials,
    times_indicator, relative_keys,
]  # fmt: skip


@vs.diagram
def grouped(q: "h g n c", k: "h m c", v: "h m e") -> "h g n e":
    return as_softmax(causal(dot(q, k)), v)


@vs.diagram
def one_key_head(q: "h n c", k: "m c", v: "m e") -> "h n e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def shared_values(q: "h n c", k: "h m c", v: "m e") -> "h n e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def one_query(q: "h c", k: "h m c", v: "h m e") -> "h e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def scalar_values(q: "n c", k: "m c", v: "m") -> "n":
    return as_softmax(dot(q, k), v)


@vs.diagram
def wide(q: "n c r", k: "m c r", v: "m e h") -> "n e h":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c r"), "m"), v, over="m")


@vs.diagram
def two_axes_of_keys(q: "h n c", k: "h m r c", v: "h m r e", keep: "m bool", u: "r") -> "h n e":
    scores = vs.where(keep, dot(q, k) + u, float("-inf"))
    return vs.contract(vs.softmax(scores, "m r"), v, over="m r")


@vs.diagram
def projections_in_one_product(
    x: "n c", y: "m c", wq: "c h r", wk: "c h r", wv: "c h e", wo: "h e c"
) -> "n c":
    y = y.rename(c="d")
    scores = vs.contract(x, wq, y, wk.rename(c="d"), over="c d r")
    out = vs.contract(
        vs.softmax(scores, "m"), y, wv.rename(c="d"), wo.rename(c="o"), over="m d h e"
    )
    return out.rename(o="c")


SHAPES = [
    grouped, one_key_head, shared_values, one_query, scalar_values, wide, two_axes_of_keys,
    projections_in_one_product,
]  # fmt: skip
ALL = [*CHANNELS, *MASKS, *SHAPES]
