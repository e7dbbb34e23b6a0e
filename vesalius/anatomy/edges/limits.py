"""Mechanisms that become softmax attention in a limit, or are near it where scores are small."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import QKV
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of, explicit
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import inverses, kernels, limits, softmaxes

SOFTMAX = CATALOGUE["scaled_dot_product"]


def plain_sink(scores: Wire, allowed: Wire | None) -> Wire:
    """exp(s)/(exp(b) + Σ_m exp(s)), as it is read: without the maximum that makes it safe"""
    e = vs.exp(scores)
    return e / (vs.exp(vs.parameter("b", "h")) + vs.sum(e, "m"))


@edge("sink", "multihead")
def sink_to_multihead() -> Derivation:
    """b → −∞: a sink at which nothing looks."""
    stands = {**CATALOGUE["sink"].parts, "normaliser": plain_sink}
    body = explicit("sink, plain", {"x": "n d"}, "n d", stands)()
    plain = lemma(Derivation(CATALOGUE["sink"]()), body, "e^(s − t)/(e^(b − t) + Σ_m e^(s − t))")
    return plain.reach(limits.sink_that_is_never_looked_at, CATALOGUE["multihead"]())


@edge("forgetting", at("multihead", causal=True))
def forgetting_to_multihead() -> Derivation:
    """b → ∞: gates that stay open forget nothing."""
    found = Derivation(CATALOGUE["forgetting"]()).then(limits.gate_that_stays_open)
    return lemma(found, CATALOGUE["multihead"](causal=True), "s + 0 − 0 = s")


@edge(at("performer", form="weights"), "scaled_dot_product")
def performer_to_softmax() -> Derivation:
    """As features grow in number, their products become the exponential."""

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        omega = vs.parameter("omega", "r c", init="normal", trainable=False)
        q, k = (x / vs.sqrt(vs.sqrt(vs.size("c"))) for x in (q, k))

        def features(x: Wire) -> Wire:
            return vs.exp(vs.contract(omega, x, over="c") - vs.contract(x, x, over="c") / 2)

        kernel = vs.contract(features(q), features(k), over="r") / vs.size("r")
        return parts.weighted_sum(parts.row_sum(kernel, None), v)

    mean = diagram_of("performer, as a mean", QKV, "n e", body)
    found = lemma(Derivation(CATALOGUE["performer"](form="weights")), mean, "1/r cancels in rows")
    found = found.then(limits.positive_features_to_an_exponential)
    return lemma(found, SOFTMAX(), "exp(s)/Σ_m exp(s), s = (q/⁴√c)·(k/⁴√c)")


@edge("scaled_dot_product", at("based", form="weights"))
def softmax_to_based() -> Derivation:
    """exp(s) ≈ 1 + s + s²/2: the start of its series."""
    found = derive(SOFTMAX(), softmaxes.unfold_softmax, kernels.exponential_to_second_order)
    return lemma(found, CATALOGUE["based"](form="weights"), "w/Σ_m w, w = 1 + s + s²/2")


ALL = {"r": "n", "m": "n"}
"""As many landmarks as tokens."""


@edge(at("nystromformer", convolution=False, **ALL), at("scaled_dot_product", m="n"))
def nystromformer_to_softmax() -> Derivation:
    """With every token as a landmark, weights stand on both sides of their own nearly inverse."""

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        weights = parts.softmax(parts.scaled_dot(q, k), None).rename(n="i", m="j")
        mixed = inverses.between_itself(weights).rename(i="n", j="m")
        return parts.weighted_sum(mixed, v)

    inputs = {"q": "n c", "k": "m:n c", "v": "m:n e"}
    whole = diagram_of("weights between their inverse", inputs, "n e", body)
    found = Derivation(CATALOGUE["nystromformer"](convolution=False, **ALL))
    found = lemma(found, whole, "means of one token each: A·Z·(A·v)")
    return found.reach(inverses.matrix_between_its_inverse, SOFTMAX(m="n"))


@edge("softcap", "scaled_dot_product")
def softcap_to_softmax() -> Derivation:
    """50·tanh(s/50) ≈ s, where scores are small beside the cap."""
    return derive(CATALOGUE["softcap"](), limits.cap_of_small_scores)
