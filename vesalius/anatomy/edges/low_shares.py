"""Shares that each key takes for itself, if all are low: then they are as those of a softmax.

What comes out is divided by what came of one more channel of the values, which is 1.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import QKV
from vesalius.anatomy.edges.features import DIVIDED, with_one
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.edges.served import Body, prepared, unscaled
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import limits

SOFTMAX = CATALOGUE["scaled_dot_product"]


def bias() -> Wire:
    """b"""
    return vs.parameter("b", "", init="zeros")


def asked(q: Wire) -> Wire:
    """√(c+1)·[q/√c ; 1]"""
    return unscaled(vs.pad(q / vs.sqrt(q.axes["c"]), "c", after=1, value=1.0))


def beside(k: Wire, score: Wire) -> Wire:
    """[k ; score]"""
    return vs.concat(k, vs.expand(vs.like(score, vs.sum(k, "c")), "c:1"), over="c")


def _low(found: Derivation) -> Derivation:
    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        weights = vs.sigmoid(parts.scaled_dot(q, k) + bias())
        return parts.weighted_sum(parts.row_sum(weights, None), v)

    divided = diagram_of("sigmoids by their sum", QKV, "n e", body)
    found = lemma(found, divided, "Σ_m σ(s + b)·v by Σ_m σ(s + b)")
    return found.reach(limits.sigmoids_of_a_low_bias, SOFTMAX())


@edge(at("sigmoid_bias", e="e+1"), "scaled_dot_product")
def biased_sigmoid_to_softmax() -> Derivation:
    """b → −∞: where a sigmoid is low, it is exponential."""
    start = CATALOGUE["sigmoid_bias"](e="e+1")
    return _low(derive(start, prepared(start.input_types, {"v": with_one}, QKV), DIVIDED))


@edge(at("sigmoid", c="c+1", e="e+1"), "scaled_dot_product")
def sigmoid_to_softmax() -> Derivation:
    """The same, with a bias that comes from one more channel of queries and keys."""

    def keys(k: Wire) -> Wire:
        """[k ; b + log |m|]"""
        return beside(k, bias() + vs.log(vs.to_float(vs.constant(k.axes["m"]))))

    start = CATALOGUE["sigmoid"](c="c+1", e="e+1")
    bodies: dict[str, Body] = {"q": asked, "k": keys, "v": with_one}
    return _low(derive(start, prepared(start.input_types, bodies, QKV), DIVIDED))


@edge(at("stick_breaking", c="c+1", e="e+1"), "scaled_dot_product")
def stick_to_softmax() -> Derivation:
    """If each key takes little, the later ones leave nearly all."""

    def keys(k: Wire) -> Wire:
        """[k ; b]"""
        return beside(k, bias())

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        scores = parts.scaled_dot(q, k) + bias()
        earlier = parts.index(k, "m") < parts.index(k.rename(m="l"), "l")
        later = -1 * vs.to_float(earlier)
        left = vs.contract(later, vs.softplus(scores).rename(m="l"), over="l")
        return parts.weighted_sum(parts.row_sum(vs.sigmoid(scores) * vs.exp(left), None), v)

    start = CATALOGUE["stick_breaking"](c="c+1", e="e+1")
    bodies: dict[str, Body] = {"q": asked, "k": keys, "v": with_one}
    found = derive(start, prepared(start.input_types, bodies, QKV), DIVIDED)
    divided = diagram_of("sticks by their sum", QKV, "n e", body)
    found = lemma(found, divided, "Π_{l>m} (1 − σ(s)) = exp(−Σ_l [m < l]·softplus(s))")
    return found.reach(limits.sticks_of_a_low_bias, SOFTMAX())
