"""From one score to another: what a network can say, a bilinear form, a product."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Rename
from vesalius.rewrite.moves import Fill, Restrict
from vesalius.rewrite.rules import mechanisms, weights


def _memory(s: Wire, y: Wire) -> Wire:
    score = vs.learner("similarity", s, y, binds="d e")
    return parts.weighted_sum(parts.softmax(score, None), y)


ANY_SCORE = diagram_of("any similarity", {"s": "n d", "y": "m e"}, "n e", _memory)
"""Attention to a memory by whatever score of a state and a token."""


@diagram
def additive(s: "d", y: "e") -> "":
    """Σ_a v·tanh(Σ_d s·W + Σ_e y·U)"""
    return parts.additive(s, y)


@diagram
def bilinear(s: "d", y: "e") -> "":
    """Σ_e (Σ_d s·W)·y"""
    return parts.bilinear(s.rename(d="c"), y)


@edge("bahdanau", "luong_general")
def additive_to_bilinear() -> Derivation:
    """Both scores are what a network can say of a state and a token, and neither holds the other.

    An additive score without biases is odd, s(−x, −y) = −s(x, y); a bilinear one is even.
    """
    up = Fill({"similarity": additive}, "Σ_a v·tanh(s·W + y·U) → a(s, y): any score")
    found = Derivation(CATALOGUE["bahdanau"]()).back(up, ANY_SCORE)
    found = found.then(Fill({"similarity": bilinear}, "a(s, y) → s·W·y: a bilinear score"))
    return found.then(Rename(axes={"d": "c"}))


@edge("luong_concat", "luong_general")
def concat_to_bilinear() -> Derivation:
    """As from additive attention: one map of both is two maps."""
    up = Fill({"similarity": CONCATENATED}, "Σ_a v·tanh([s ; y]·W) → a(s, y): any score")
    found = derive(CATALOGUE["luong_concat"](), Rename(axes={"c": "d"})).back(up, ANY_SCORE)
    found = found.then(Fill({"similarity": bilinear}, "a(s, y) → s·W·y: a bilinear score"))
    return found.then(Rename(axes={"d": "c"}))


def _concatenated(s: Wire, y: Wire) -> Wire:
    return parts.concatenated(s.rename(d="c"), y)


CONCATENATED = diagram_of("concatenated", {"s": "d", "y": "e"}, "", _concatenated)


def _square() -> Diagram:
    """Multiplicative attention whose states are as wide as its tokens."""
    return CATALOGUE["luong_general"](c="e")


@edge(at("luong_general", c="e"), "luong_dot")
def bilinear_to_dot() -> Derivation:
    """W = 1: states and tokens are compared as they are."""
    return derive(_square(), weights.summaries_to_tokens, Rename(axes={"e": "c"}))


@edge(at("luong_general", c="e"), at("scaled_dot_product", e="c"))
def bilinear_to_scaled_dot() -> Derivation:
    """W = 1/√c gives scaled products with a memory, whose keys are values too.

    The last step goes up, to keys and values apart: so the ends are siblings.
    """
    found = derive(
        _square(),
        mechanisms.scale_scores,
        weights.summaries_to_tokens,
        Rename({"s": "q", "y": "k"}, {"e": "c"}),
    )
    both = Restrict("v", "k", {"e": "c"}, "v := k: one memory is keys and values")
    return found >> derive(SCALED_DOT_PRODUCT(e="c"), both, Rename(axes={"e": "c"})).inverse()
