"""The attention free transformer: from its formula to two matrix products."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import mechanisms, softmaxes


@diagram
def attention_free(q: "n e", k: "m e", v: "m e", w: "n m") -> "n e":
    """σ(q)·Σ_m softmax_m(w + k)·v: scores of positions and of keys, for each channel.

    AFT-full, from An Attention Free Transformer (arXiv 2105.14103).
    """
    return parts.sigmoid_gate(q, parts.weighted_sum(parts.softmax(w + k, None), v))


@diagram
def layer(x: "n d", y: "m d") -> "n e":
    """Attention with its projections, one head."""
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(y, "d", "c", name="wk")
    v = vs.linear(y, "d", "e", name="wv")
    return parts.weighted_sum(parts.softmax(parts.scaled_dot(q, k), None), v)


@DERIVATIONS.enter("softmax-to-aft", "Softmax attention to attention free")
def softmax_to_aft() -> Derivation:
    """A choice, not an equality: scores of positions and keys, and the query as a gate.

    In steps: a score for each channel says more than one for all; one that does not read the query
    says less; positions as a parameter are a special case; the gate is new. Up and down: siblings.
    """
    return derive(layer, mechanisms.softmax_to_attention_free)


@DERIVATIONS.enter("aft-to-factored", "Attention free, as two matrix products")
def aft_to_factored() -> Derivation:
    """exp(w + k) = exp(w)·exp(k), so that the sum over keys is a matrix product for all channels.

    Each factor is made safe by its own maximum, and the maxima cancel in the quotient.
    """
    # Match 1 multiplies the values by exp(k) first, match 0 by exp(w), for each query.
    return derive(attention_free, (softmaxes.factor_softmax_of_sum_safely, 1))
