"""Mechanisms that are softmax attention, but for how their queries and keys are made."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.edges.registry import edge
from vesalius.anatomy.mechanism import CATALOGUE
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Prepare, Rename
from vesalius.rewrite.moves import Restrict
from vesalius.rewrite.rules import arithmetic, nesting
from vesalius.rewrite.strategy import repeat


def unscaled(x: Wire) -> Wire:
    """√c·x: scaled products of it are products."""
    return vs.sqrt(x.axes["c"]) * x


FLAT = repeat(nesting.flatten_nested, arithmetic.cancel_in_a_sum)


def met(found: Derivation, end: Diagram) -> Derivation:
    """The derivation, led on to `end` through products that are flat and factors that cancel."""
    there, back = FLAT(found.end).derivation, FLAT(end).derivation
    if there.end != back.end:
        raise StructureError(f"{found.end.name} and {end.name} differ by more than their products")
    return found >> there >> back.inverse()


@diagram
def directions(q: "n c") -> "n c":
    """√c·g·q/|q|"""
    return unscaled(vs.parameter("g", "", init="ones") * parts.unit(q))


@diagram
def unit_keys(k: "m c") -> "m c":
    """k/|k|"""
    return parts.unit(k)


@edge("scaled_dot_product", "cosine")
def softmax_to_cosine() -> Derivation:
    """Cosine attention is softmax attention of queries and keys that are divided by their lengths.

    So whatever computes the one computes the other; their weights were trained otherwise.
    """
    lengths = Prepare({"q": directions, "k": unit_keys}, "q → √c·g·q/|q|, k → k/|k|")
    return met(derive(SCALED_DOT_PRODUCT(), lengths), CATALOGUE["cosine"]())


@diagram
def states(s: "n c") -> "n c":
    """√c·s"""
    return unscaled(s)


@diagram
def tokens(y: "m c") -> "m c":
    """y"""
    return y


@edge("scaled_dot_product", "luong_dot")
def softmax_to_dot() -> Derivation:
    """A memory is keys and values at once, and queries come in a scale of their own."""
    both = Restrict("v", "k", {"e": "c"}, "v := k: one memory is keys and values")
    start = derive(SCALED_DOT_PRODUCT(), both, Rename(axes={"e": "c"}))
    scaled = start.then(Prepare({"q": states, "k": tokens}, "q → √c·s, k → y"))
    return met(scaled, CATALOGUE["luong_dot"]())


@diagram
def scaled_queries(q: "n e") -> "n e":
    """√e·q"""
    return vs.sqrt(vs.size("e")) * q


@diagram
def mapped(s: "n c") -> "n e":
    """Σ_c s·W"""
    return vs.linear(s, "c", "e", name="w")


@diagram
def wide_tokens(y: "m e") -> "m e":
    """y"""
    return y


@edge("scaled_dot_product", "luong_general")
def softmax_to_bilinear() -> Derivation:
    """A memory is keys and values at once, and a learned map makes queries of states."""
    both = Restrict("v", "k", {"e": "c"}, "v := k: one memory is keys and values")
    start = derive(SCALED_DOT_PRODUCT(), both, Rename(axes={"c": "e"}))
    scaled = start.then(Prepare({"q": scaled_queries}, "q → √e·q"))
    states = Prepare({"q": mapped, "k": wide_tokens}, "q → s·W, k → y")
    return FLAT(scaled).derivation.then(states)
