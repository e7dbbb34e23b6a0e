"""From one way to weigh keys to another: related, not equal.

A *variant* promises nothing: it is a step that a paper took by choice. Where more is known, the
grade says it: random features reach the exponential in the limit, a polynomial within an error.
"""

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness

# -- other kernels than the exponential -----------------------------------------------------------


@rule("variant")
def exponential_to_elu_kernel(q: "c", k: "c") -> "":
    """exp(q·k) → φ(q)·φ(k), φ = elu + 1 (Transformers are RNNs, arXiv 2006.16236)"""
    return (
        vs.exp(vs.contract(q, k, over="c")),
        vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c"),
    )


@worked(exponential_to_elu_kernel)
def unfolded_attention(q: "n c", k: "m c", v: "m e") -> "n e":
    e = vs.exp(vs.contract(q, k, over="c"))
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


@rule("variant")
def scaled_exponential_to_elu_kernel(q: "c", k: "c", w: "") -> "":
    """exp(w·(q·k)) → φ(q)·φ(k), φ = elu + 1 (Transformers are RNNs, arXiv 2006.16236)"""
    features = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.exp(w * vs.contract(q, k, over="c")), vs.like(features, w)


@worked(scaled_exponential_to_elu_kernel)
def unfolded_scaled_attention(q: "n c", k: "m c", v: "m e") -> "n e":
    e = vs.exp(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")))
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


@rule("approximates")
def exponential_to_second_order(x: "") -> "":
    """exp(x) ≈ 1 + x + x²/2, for small x

    Of a dot product, a kernel with 1 + c + c² features (Based, arXiv 2402.18668). The error is
    x³/6·exp(max(x, 0)) at most in size; it is not bounded over all x.
    """
    return vs.exp(x), 1 + x + vs.power(x, 2) / 2


@worked(exponential_to_second_order)
def small_scores(q: "n c", k: "m c") -> "n m":
    return vs.exp(vs.contract(q, k, over="c"))


def _same(given: object, sizes: object, scale: object) -> dict[str, object]:
    """No parameter changes: the draws are the random source's own."""
    return {}


@rule("limit", witness=Witness(to_right=_same, scales=(16, 256, 4096), width="r"))
def exponential_to_random_features(q: "c", k: "c") -> "":
    """exp(q·k) = E_w φ_w(q)·φ_w(k), φ_w(x) = exp(w·x − ‖x‖²/2), w ~ N(0, 1)

    The mean over r draws, all of them positive (Performer, arXiv 2009.14794). The error falls as
    1/√r, and grows with the lengths of q and k.
    """
    w = vs.random("r c", name="features")

    def features(x: Wire) -> Wire:
        return vs.exp(vs.contract(w, x, over="c") - vs.contract(x, x, over="c") / 2)

    return (
        vs.exp(vs.contract(q, k, over="c")),
        vs.contract(features(q), features(k), over="r") / vs.size("r"),
    )


@worked(exponential_to_random_features)
def exponential_scores(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.exp(vs.contract(q, k, over="c")), v, over="m")


# -- other normalisers than the sum of exponentials -----------------------------------------------


@rule("variant")
def softmax_to_sigmoid(s: "m") -> "m":
    """softmax_m(s) → σ(s − log |m|): rows need no longer sum to 1 (arXiv 2409.04431)"""
    return vs.softmax(s, over="m"), vs.sigmoid(s - vs.log(vs.to_float(vs.size("m"))))


@worked(softmax_to_sigmoid)
def attention_before_sigmoid(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("variant")
def softmax_to_squared_relu(s: "m") -> "m":
    """softmax_m(s) → relu(s)²/|m| (Transformer Quality in Linear Time, arXiv 2202.10447)"""
    return vs.softmax(s, over="m"), vs.power(vs.relu(s), 2) / vs.size("m")


@worked(softmax_to_squared_relu)
def attention_before_squares(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("variant")
def softmax_to_unit_rows(s: "m") -> "m":
    """softmax_m(s) → s/‖s‖: rows on a sphere (Spherical Attention, arXiv 2505.09326)"""
    return vs.softmax(s, over="m"), s / vs.sqrt(vs.contract(s, s, over="m"))


@worked(softmax_to_unit_rows)
def attention_before_the_sphere(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("variant")
def softmax_to_softmaxes_of_its_factors(q: "c", k: "m c") -> "m":
    """softmax_m(q·k) → softmax_c(q)·softmax_m(k) (Efficient Attention, arXiv 1812.01243)"""
    return (
        vs.softmax(vs.contract(q, k, over="c"), over="m"),
        vs.contract(vs.softmax(q, over="c"), vs.softmax(k, over="m"), over="c"),
    )


@worked(softmax_to_softmaxes_of_its_factors)
def attention_before_its_factors(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@rule("variant")
def softmax_to_scores(s: "m") -> "m":
    """softmax_m(s) → s: no normaliser at all, so that products reassociate"""
    return vs.softmax(s, over="m"), s


@worked(softmax_to_scores)
def attention_before_retention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")
