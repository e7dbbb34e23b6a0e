"""Sparse attention that leaves nothing out: a window as wide as all, one block, the m largest."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Prepare

SOFTMAX = CATALOGUE["scaled_dot_product"]
WIDE: dict[str, dict[str, Any]] = {
    "sliding_window": {"w": "n", "m": "n"},
    "strided": {"l": "n", "m": "n"},
    "fixed": {"l": "n", "m": "n"},
    "big_bird": {"l": "n", "m": "n"},
}
"""Sizes for which a pattern holds all pairs."""


def _all_seen(name: str, why: str) -> Derivation:
    return lemma(Derivation(CATALOGUE[name](**WIDE[name])), SOFTMAX(m="n"), why)


@edge(at("sliding_window", **WIDE["sliding_window"]), at("scaled_dot_product", m="n"))
def window_to_softmax() -> Derivation:
    """A window that is as wide as the sequence."""
    return _all_seen("sliding_window", "|n − m| < n: all pairs")


@edge(at("strided", **WIDE["strided"]), at("scaled_dot_product", m="n"))
def strided_to_softmax() -> Derivation:
    """A stride that is as long as the sequence."""
    return _all_seen("strided", "|n − m| < n: all pairs")


@edge(at("fixed", **WIDE["fixed"]), at("scaled_dot_product", m="n"))
def fixed_to_softmax() -> Derivation:
    """One block that is as long as the sequence."""
    return _all_seen("fixed", "⌊n/n⌋ = ⌊m/n⌋: all pairs")


@edge(at("big_bird", **WIDE["big_bird"]), at("scaled_dot_product", m="n"))
def big_bird_to_softmax() -> Derivation:
    """Blocks that are as long as the sequence: every pair is in the first."""
    return _all_seen("big_bird", "blocks that touch: all pairs")


@edge(at("top_k", t="m"), "scaled_dot_product")
def top_k_to_softmax() -> Derivation:
    """The m largest scores of m are all."""
    found = Derivation(CATALOGUE["top_k"](t="m"))
    return lemma(found, SOFTMAX(), "no score is below the least of its row")


@edge(at("longformer", w="n"), "multihead")
def longformer_to_multihead() -> Derivation:
    """No anchors, and a window that is as wide as the sequence."""
    none = diagram_of("none", {}, "n bool", lambda: vs.expand(vs.constant(False), "n"))
    fixed = Prepare({"anchors": none}, "no token is an anchor")
    found = derive(CATALOGUE["longformer"](w="n"), fixed)
    return lemma(found, CATALOGUE["multihead"](), "|n − m| < n: all pairs; where(no, a, b) = b")


@edge(at("sinkhorn", l="n"), "multihead")
def sorted_blocks_to_multihead() -> Derivation:
    """One block that is as long as the sequence: what is sorted to it is itself."""
    found = Derivation(CATALOGUE["sinkhorn"](l="n"))
    return lemma(found, CATALOGUE["multihead"](), "all keys twice: softmax([s ; s])·[v ; v]")


@edge(at("indexed", t="n"), "multihead")
def indexed_to_multihead() -> Derivation:
    """The n keys of largest index of n are all, in another order."""
    found = Derivation(CATALOGUE["indexed"](t="n"))
    return lemma(found, CATALOGUE["multihead"](), "a sum over keys does not ask for their order")
