"""Mechanisms that are softmax attention in a limit, when they are handed features.

Weights that are products of queries and keys estimate exponentials, if what is multiplied are the
positive random features of a Performer. Where rows are not divided by their sum, one more channel
of the values, which is 1, says what the sum is, and what comes out is divided by it.
"""

from __future__ import annotations

import math

from vesalius.anatomy import parts
from vesalius.anatomy.attention import QKV
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.edges.served import Body, finish, prepared
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Tie
from vesalius.rewrite.rules import limits

SOFTMAX = CATALOGUE["scaled_dot_product"]
PERFORMER = at("performer", form="weights")


def with_one(v: Wire) -> Wire:
    """[v ; 1]"""
    return vs.pad(v, "e", after=1, value=1.0)


def by_last(o: Wire) -> Wire:
    """o[e] / o[|e|]: divided by what came of the 1"""
    width = vs.size("e")
    return vs.slice(o, "e", stop=width) / vs.sum(vs.slice(o, "e", width, length=1), "e")


DIVIDED = finish({"o": "e:e+1"}, "e", by_last)
ONE_DRAW = Tie({"omega_1": "omega"}, "one draw of directions for queries and keys")


def directions() -> Wire:
    """ω, drawn once"""
    return vs.parameter("omega", "r c", init="orthogonal", trainable=False)


def exponents(x: Wire, omega: Wire, of: int = 1) -> Wire:
    """ω·x − |x|²/2 of x / ⁴√c, by √2 for half the score: the logarithms of positive features"""
    x = x / vs.sqrt(of * vs.sqrt(vs.size("c")))
    return vs.contract(omega, x, over="c") - vs.contract(x, x, over="c") / 2


def fed(mechanism: str, feature: Body, divided: bool) -> Derivation:
    """A mechanism that gets features of queries and keys, and 1 beside the values if `divided`."""
    start = CATALOGUE[mechanism](c="r", **({"e": "e+1"} if divided else {}))

    def queries(q: Wire) -> Wire:
        return feature(q)

    def keys(k: Wire) -> Wire:
        return feature(k)

    queries.__doc__ = keys.__doc__ = feature.__doc__
    bodies: dict[str, Body] = {"q": queries, "k": keys, **({"v": with_one} if divided else {})}
    last = [DIVIDED] if divided else []
    return derive(start, prepared(start.input_types, bodies, QKV), ONE_DRAW, *last)


def to_performer(mechanism: str, feature: Body, why: str, divided: bool = True) -> Derivation:
    """Down to a Performer."""
    found = fed(mechanism, feature, divided)
    return lemma(found, CATALOGUE["performer"](form="weights"), why)


@edge(at("linear", c="r"), PERFORMER)
def linear_to_performer() -> Derivation:
    """elu + 1 is any positive number, so that a positive feature is elu + 1 of something."""

    def feature(x: Wire) -> Wire:
        """where z = ω·x − |x|²/2 is positive, exp(z) − 1, else z"""
        z = exponents(x, directions()).rename(r="c")
        return vs.where(z > 0, vs.exp(z) - 1, z)

    return to_performer("linear", feature, "elu + 1 of it is exp(z)", divided=False)


def features(x: Wire) -> Wire:
    """⁴√r·exp(ω·x − |x|²/2): scaled products of them are products"""
    return _scaled(exponents(x, directions()))


def _scaled(z: Wire) -> Wire:
    return (vs.sqrt(vs.sqrt(vs.size("r"))) * vs.exp(z)).rename(r="c")


@edge(at("relu", c="r", e="e+1"), PERFORMER)
def relu_to_performer() -> Derivation:
    """What is positive stays as it is, and the length cancels."""
    return to_performer("relu", features, "Σ_m relu(w)·v/|m| by Σ_m relu(w)/|m|, w > 0")


@edge(at("relu_normalised", c="r", e="e+1"), PERFORMER)
def normalised_relu_to_performer() -> Derivation:
    """What is positive stays as it is, and what divides the row cancels."""
    return to_performer("relu_normalised", features, "w/(Σ w + ε) by Σ w/(Σ w + ε), w > 0")


@edge(at("spherical", c="r", e="e+1"), PERFORMER)
def spherical_to_performer() -> Derivation:
    """What divides the row cancels, whatever it is."""
    return to_performer("spherical", features, "Σ_m w·v/√(Σ_m w² + ε) by Σ_m w/√(Σ_m w² + ε)")


@edge(at("cosformer", c="r", e="e+1"), PERFORMER)
def cosformer_to_performer() -> Derivation:
    """A wave that is as long as one likes is level; what divides the row cancels."""

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        omega = directions()
        own = [vs.exp(exponents(x, omega)) for x in (q, k)]
        far = (parts.index(q, "n") - parts.index(k, "m")) * (math.pi / 2)
        wave = vs.cos(far / vs.size("p"))
        kernel = vs.contract(*own, over="r") * wave
        return parts.weighted_sum(parts.row_sum(kernel, None), v)

    waved = diagram_of("performer, under a wave", QKV, "n e", body)
    found = lemma(fed("cosformer", features, True), waved, "cos a·cos b + sin a·sin b = cos(a − b)")
    found = found.then(limits.long_wave_is_level)
    return lemma(found, CATALOGUE["performer"](form="weights"), "1·w")


# -- squares: features of half the score ----------------------------------------------------------


def half_features(x: Wire) -> Wire:
    """⁴√r·exp(ω·x − |x|²/2), of x by √2: their products estimate exp(s/2)"""
    return _scaled(exponents(x, directions(), 2))


def _squared(name: str) -> Derivation:
    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        omega = directions()
        own = [vs.exp(exponents(x, omega, 2)) for x in (q, k)]
        estimate = vs.contract(*own, over="r") / vs.size("r")
        return parts.weighted_sum(parts.row_sum(vs.power(estimate, 2), None), v)

    mean = diagram_of("squares of a mean", QKV, "n e", body)
    found = lemma(fed(name, half_features, True), mean, "what divides the row cancels")
    found = found.then(limits.positive_features_to_an_exponential)
    return lemma(found, SOFTMAX(), "exp(s/2)² = exp(s)")


@edge(at("relu_squared", c="r", e="e+1"), "scaled_dot_product")
def squared_relu_to_softmax() -> Derivation:
    """Squares of estimates of exp(s/2), by their sum."""
    return _squared("relu_squared")


@edge(at("relu_squared_by_length", c="r", e="e+1"), "scaled_dot_product")
def squared_relu_by_length_to_softmax() -> Derivation:
    """The same: what divides the row cancels."""
    return _squared("relu_squared_by_length")
