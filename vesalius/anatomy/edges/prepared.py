"""Mechanisms that are softmax attention, but for how their queries and keys are made."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
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
    return vs.linear(s, "c", "e", name="w", init="uniform", scale=0.1)


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


def _one(name: str, body: Any) -> Diagram:
    """Queries or keys, prepared: an input of this name, with its own axes."""
    axes = {"q": "n c", "k": "m c"}[name]
    return diagram_of("prepared", {name: axes}, axes, body)


@edge("scaled_dot_product", "rope")
def softmax_to_rope() -> Derivation:
    """Queries and keys turned by where they stand."""
    turned = {name: _one(name, lambda **x: parts.rotary(*x.values())) for name in ("q", "k")}
    found = derive(SCALED_DOT_PRODUCT(), Prepare(turned, "q → T[n]·q, k → T[m]·k"))
    return lemma(found, CATALOGUE["rope"](), "scores of turned queries and keys")


@edge("scaled_dot_product", "qk_norm")
def softmax_to_qk_norm() -> Derivation:
    """Queries and keys divided by their root mean squares, with gains."""

    def normed(name: str) -> Diagram:
        def body(**x: Wire) -> Wire:
            return parts.rms_norm(x[name], over="c", gain=f"{name}_gain")

        return _one(name, body)

    both = {name: normed(name) for name in ("q", "k")}
    found = derive(SCALED_DOT_PRODUCT(), Prepare(both, "q → q/rms(q)·γ, k → k/rms(k)·δ"))
    return lemma(found, CATALOGUE["qk_norm"](), "scores of normed queries and keys")


@edge("scaled_dot_product", at("hopfield", steps=1))
def softmax_to_hopfield() -> Derivation:
    """One step of retrieval: the patterns are keys and values, the state is a query."""
    both = Restrict("v", "k", {"e": "c"}, "v := k: patterns are keys and values")
    found = derive(SCALED_DOT_PRODUCT(), both, Rename({"q": "s", "k": "y"}, {"e": "c"}))
    return lemma(found, CATALOGUE["hopfield"](steps=1), "softmax(s·y/√c)·y")


def _longer(name: str, axis: str) -> Diagram:
    """Keys or values and one more, which is 0."""

    def body(**x: Wire) -> Wire:
        (own,) = x.values()
        return vs.pad(own, "m", after=1, value=0.0)

    return diagram_of("longer", {name: f"m {axis}"}, f"m:m+1 {axis}", body)


@edge(at("scaled_dot_product", m="m+1"), "softmax_one")
def softmax_to_softmax_one() -> Derivation:
    """One more key and value, both 0: what looks at them looks at nothing."""
    longer = {"k": _longer("k", "c"), "v": _longer("v", "e")}
    found = derive(SCALED_DOT_PRODUCT(m="m+1"), Prepare(longer, "k → [k ; 0], v → [v ; 0]"))
    return lemma(found, CATALOGUE["softmax_one"](), "exp(q·0) = 1, and 1·0 adds nothing")


@edge("scaled_dot_product", at("routing", s=1))
def softmax_to_routing() -> Derivation:
    """One cluster, in which are all: queries and keys are standardised, and no more."""

    def standardised(name: str) -> Diagram:
        return _one(name, lambda **x: parts.standardised(x[name], "c", 1e-5))

    both = {name: standardised(name) for name in ("q", "k")}
    found = derive(SCALED_DOT_PRODUCT(), Prepare(both, "q → (q − mean)/deviation, and so k"))
    return lemma(found, CATALOGUE["routing"](s=1), "the nearest of one centroid is the same")
