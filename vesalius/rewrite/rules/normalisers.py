"""Normalisers beside softmax: sinks, sums of positive scores, lengths, layer normalisation."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

# -- sinks ----------------------------------------------------------------------------------------


@rule("equal")
def sink_by_sigmoid(s: "m", b: "") -> "m":
    """exp(s)/(exp(b) + Σ_m exp(s)) = softmax_m(s)·σ(ℓ − b), ℓ = log Σ_m exp(s)

    Weights with a learned sink b from plain ones and the logarithm of their denominator, which
    kernels return.
    """
    e = vs.exp(s)
    total = vs.log(vs.sum(e, "m"))
    return (
        e / (vs.exp(b) + vs.sum(e, "m")),
        vs.softmax(s, over="m") * vs.sigmoid(total - b),
    )


@worked(sink_by_sigmoid)
def attention_with_a_sink(s: "h n m", sink: "h", v: "h m e") -> "h n e":
    e = vs.exp(s)
    return vs.contract(e / (vs.exp(sink) + vs.sum(e, "m")), v, over="m")


@rule("equal")
def sink_of_one_by_sigmoid(s: "m") -> "m":
    """exp(s)/(1 + Σ_m exp(s)) = softmax_m(s)·σ(log Σ_m exp(s)): a row may attend to nothing"""
    e = vs.exp(s)
    return (
        e / (1 + vs.sum(e, "m")),
        vs.softmax(s, over="m") * vs.sigmoid(vs.log(vs.sum(e, "m"))),
    )


@worked(sink_of_one_by_sigmoid)
def attention_to_nothing(s: "n m", v: "m e") -> "n e":
    e = vs.exp(s)
    return vs.contract(e / (1 + vs.sum(e, "m")), v, over="m")


@rule("equal")
def sink_as_a_key(s: "m", b: "") -> "m":
    """exp(s)/(exp(b) + Σ_m exp(s)) = the first |m| weights of softmax([s ; b])"""
    e = vs.exp(s)
    longer = vs.concat(s, vs.expand(b, "z:1"), over=("m", "z"), into="k")
    return (
        e / (vs.exp(b) + vs.sum(e, "m")),
        vs.slice(vs.softmax(longer, over="k"), "k", 0, length="m", into="m"),
    )


@worked(sink_as_a_key)
def weights_with_a_sink(q: "h n c", k: "h m c", sink: "h") -> "h n m":
    e = vs.exp(vs.contract(q, k, over="c"))
    return e / (vs.exp(sink) + vs.sum(e, "m"))


# -- sums of scores -------------------------------------------------------------------------------


@rule("equal")
def unnormalised_by_softmax(s: "m", vs_: many("m")) -> "":
    """Σ_m exp(s)·v = exp(ℓ)·Σ_m softmax_m(s)·v, ℓ = log Σ_m exp(s)

    A kernel for softmax computes sums of exponentials, as long as exp(ℓ) is in range.
    """
    e = vs.exp(s)
    return (
        vs.contract(e, vs_, over="m"),
        vs.contract(
            vs.exp(vs.log(vs.sum(e, "m"))), vs.contract(vs.softmax(s, over="m"), vs_, over="m")
        ),
    )


@worked(unnormalised_by_softmax)
def exponential_mix(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.exp(vs.contract(q, k, over="c")), v, over="m")


@rule("equal")
def absolute_scores_by_softmax(g: "m") -> "m":
    """|g|/Σ_m |g| = softmax_m(log |g|), for rows with a score that is not 0

    A kernel for softmax computes weights by any scores that are not negative.
    """
    return vs.abs(g) / vs.sum(vs.abs(g), "m"), vs.softmax(vs.log(vs.abs(g)), over="m")


@worked(absolute_scores_by_softmax)
def attention_by_absolute_scores(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.abs(vs.contract(q, k, over="c"))
    return vs.contract(scores / vs.sum(scores, "m"), v, over="m")


@rule("equal")
def squared_scores_by_softmax(g: "m") -> "m":
    """g²/Σ_m g² = softmax_m(2·log |g|), for rows with a score that is not 0"""
    squares = vs.power(g, 2)
    return squares / vs.sum(squares, "m"), vs.softmax(2 * vs.log(vs.abs(g)), over="m")


@worked(squared_scores_by_softmax)
def attention_by_squared_scores(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.power(vs.contract(q, k, over="c"), 2)
    return vs.contract(scores / vs.sum(scores, "m"), v, over="m")


@rule("equal")
def scale_of_weights_cancels(a: "m", w: "") -> "m":
    """w·a/Σ_m w·a = a/Σ_m a, where w ≠ 0 does not depend on m"""
    scaled = w * a
    return scaled / vs.sum(scaled, "m"), vs.like(a / vs.sum(a, "m"), w)


@worked(scale_of_weights_cancels)
def weights_with_a_gain_of_queries(a: "n m", gain: "n") -> "n m":
    b = gain * a
    return b / vs.sum(b, "m")


# -- lengths --------------------------------------------------------------------------------------


@rule("equal")
def cosine_of_unit_vectors(q: "c", k: "c") -> "":
    """(q·k)/(‖q‖·‖k‖) = (q/‖q‖)·(k/‖k‖), where neither is 0

    An ε against division by zero must stand at each length: one ε of the product is another
    function.
    """
    a, b = (vs.sqrt(vs.contract(x, x, over="c")) for x in (q, k))
    return vs.contract(q, k, over="c") / (a * b), vs.contract(q / a, k / b, over="c")


@worked(cosine_of_unit_vectors)
def cosine_scores(q: "n c", k: "m c") -> "n m":
    a, b = (vs.sqrt(vs.contract(x, x, over="c")) for x in (q, k))
    return vs.contract(q, k, over="c") / (a * b)


@rule("equal")
def gains_on_one_side(q: "c", k: "c", gs: many("c"), hs: many("c")) -> "":
    """Σ_c (q·γ)·(k·δ) = Σ_c (q·γ·δ)·k: gains of normalised queries and keys are one gain

    Both gains have the channel of the product. A rotation between them and it stands in the way.
    """
    return (
        vs.contract(vs.contract(q, gs), vs.contract(k, hs), over="c"),
        vs.contract(vs.contract(q, gs, hs), k, over="c"),
    )


@worked(gains_on_one_side)
def normalised_queries_and_keys(q: "n c", k: "m c", gain: "c", other: "c") -> "n m":
    return vs.contract(q * gain, k * other, over="c")


# -- layer normalisation --------------------------------------------------------------------------


@rule("equal")
def centring_ignores_a_shift(x: "d", c: "") -> "d":
    """(x + c) − mean_d(x + c) = x − mean_d x, where c does not depend on d"""
    y = x + c
    return y - vs.mean(y, "d"), vs.like(x - vs.mean(x, "d"), c)


@worked(centring_ignores_a_shift)
def a_shift_before_a_norm(x: "n d", shift: "n") -> "n d":
    y = x + shift
    return y - vs.mean(y, "d")


@rule("equal")
def sum_of_centred(x: "d") -> "":
    """Σ_d (x − mean_d x) = 0"""
    return vs.sum(x - vs.mean(x, "d"), "d"), vs.like(0.0, vs.sum(x, "d"))


@worked(sum_of_centred)
def mean_after_a_norm(x: "n d") -> "n":
    return vs.sum(x - vs.mean(x, "d"), "d")


@rule("equal")
def variance_in_one_pass(x: "d") -> "":
    """Σ_d (x − mean_d x)² = Σ_d x² − |d|·(mean_d x)²

    The right side streams over d. In floats it cancels where the mean is large.
    """
    gap = x - vs.mean(x, "d")
    middle = vs.mean(x, "d")
    return (
        vs.contract(gap, gap, over="d"),
        vs.contract(x, x, over="d") - vs.to_float(vs.size("d")) * (middle * middle),
    )


@worked(variance_in_one_pass)
def spread_of_channels(x: "n d") -> "n":
    gap = x - vs.mean(x, "d")
    return vs.contract(gap, gap, over="d")


@rule("equal")
def gain_and_shift_into_a_map(x: "d", gain: "d", shift: "d", w: "d") -> "":
    """Σ_d (x·γ + β)·W = Σ_d x·(γ·W) + Σ_d β·W: a norm's gain and shift go into the next map"""
    return (
        vs.contract(x * gain + shift, w, over="d"),
        vs.contract(x, gain * w, over="d") + vs.contract(shift, w, over="d"),
    )


@worked(gain_and_shift_into_a_map)
def a_norm_before_queries(x: "n d", gain: "d", shift: "d", wq: "d h c") -> "n h c":
    centred = x - vs.mean(x, "d")
    unit = centred / vs.sqrt(vs.mean(centred * centred, "d") + 1e-5)
    return vs.contract(unit * gain + shift, wq, over="d")
