"""Mechanisms that are softmax attention at some values of parameters, theirs or its own."""

from __future__ import annotations

from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Prepare
from vesalius.rewrite.rules import weights

MULTIHEAD = CATALOGUE["multihead"]


def constant(value: float, axes: str) -> Diagram:
    """An array of one number."""
    return diagram_of("constant", {}, axes, lambda: vs.expand(value, axes))


def kronecker(rows: str, columns: str) -> Diagram:
    """The identity matrix: 1 where row and column are the same."""

    def body() -> Wire:
        return vs.to_float(vs.equal(vs.iota(rows), vs.iota(columns)))

    return diagram_of("identity", {}, f"{rows} {columns}", body)


@edge("talking_heads", "multihead")
def talking_heads_to_multihead() -> Derivation:
    """P = R = 1: heads that say nothing to each other."""
    silent = {name: kronecker("h_in:h", "h") for name in ("p", "r")}
    found = derive(CATALOGUE["talking_heads"](), Prepare(silent, "P = R = 1"))
    return lemma(found, MULTIHEAD(), "Σ_h [h = g]·s_h = s_g")


@edge("shaw", "scaled_dot_product")
def shaw_to_softmax() -> Derivation:
    """R = 0: distances add nothing to the scores."""
    none = Prepare({"r": constant(0.0, "o:2*w+1 c")}, "R = 0")
    return lemma(derive(CATALOGUE["shaw"](), none), CATALOGUE["scaled_dot_product"](), "s + 0 = s")


@edge("transformer_xl", "multihead")
def transformer_xl_to_multihead() -> Derivation:
    """W_r = u = v = 0: neither distances nor keys alone add to the scores."""
    none = {"wr": constant(0.0, "d h c"), "u": constant(0.0, "h c"), "v": constant(0.0, "h c")}
    found = derive(CATALOGUE["transformer_xl"](), Prepare(none, "W_r = u = v = 0"))
    return lemma(found, MULTIHEAD(), "(q + 0)·k + (q + 0)·(r·0) = q·k")


@edge("t5", "multihead")
def t5_to_multihead() -> Derivation:
    """B = 0, and the scale of the scores is that of W_q."""

    def scaled() -> Wire:
        return vs.parameter("wq", "d h c", fan="d") / vs.sqrt(vs.size("c"))

    values = {"bias": constant(0.0, "k:32 h"), "wq": diagram_of("scaled", {}, "d h c", scaled)}
    found = derive(CATALOGUE["t5"](), Prepare(values, "B = 0, W_q → W_q/√c"))
    return lemma(found, MULTIHEAD(), "(x·W_q/√c)·k + 0 = (x·W_q)·k/√c")


def _repeated(name: str, own: str, tube: str) -> Diagram:
    """A parameter with the axes `own`, the same for all of the axis `tube`."""

    def body() -> Wire:
        return vs.expand(vs.parameter(name, own, fan="d"), tube)

    return diagram_of("repeated", {}, f"{tube} {own}", body)


@edge("multihead", "multi_query")
def multihead_to_multi_query() -> Derivation:
    """W_k and W_v the same for all heads."""
    same = {"wk": _repeated("wk", "d c", "h"), "wv": _repeated("wv", "d e", "h")}
    found = derive(MULTIHEAD(), Prepare(same, "W_k[h] = W_k, W_v[h] = W_v"))
    return lemma(found, CATALOGUE["multi_query"](), "keys and values without an axis of heads")


def _grouped(name: str, axes: str, shared: bool) -> Diagram:
    """A parameter of g groups of h/g heads as one of h heads; `shared` is one for a group."""

    def body() -> Wire:
        own = axes.replace("h", "g") if shared else axes.replace("h", "g h:h/g")
        fan = "d" if axes.startswith("d") else "g h e"
        whole = vs.parameter(name, own, fan=fan)
        return vs.merge(vs.expand(whole, "h:h/g") if shared else whole, "g h", "h")

    return diagram_of("grouped", {}, axes, body)


@edge("multihead", "grouped_query")
def multihead_to_grouped_query() -> Derivation:
    """W_k and W_v the same for all heads of a group."""
    same = {
        "wq": _grouped("wq", "d h c", False),
        "wk": _grouped("wk", "d h c", True),
        "wv": _grouped("wv", "d h e", True),
        "wo": _grouped("wo", "h e d", False),
    }
    found = derive(MULTIHEAD(), Prepare(same, "W_k[g, h] = W_k[g], W_v[g, h] = W_v[g]"))
    return lemma(found, CATALOGUE["grouped_query"](), "keys and values with an axis of groups")


@edge(at("linformer", rank="m"), "scaled_dot_product")
def linformer_to_softmax() -> Derivation:
    """As many summaries as tokens, each of them a token."""
    found = derive(
        CATALOGUE["linformer"](rank="m"), weights.summaries_to_tokens, weights.summaries_to_tokens
    )
    return lemma(found, CATALOGUE["scaled_dot_product"](), "each summary is a token")


# -- between others -------------------------------------------------------------------------------


def _silent(name: str) -> Derivation:
    """Attention free, with w = 0."""
    none = Prepare({"w": constant(0.0, "p b:p")}, "w = 0")
    found = derive(CATALOGUE[name](), none)
    return lemma(found, CATALOGUE["aft_simple"](), "softmax_m(0 + k) = softmax_m(k)")


@edge("aft_full", "aft_simple")
def aft_full_to_simple() -> Derivation:
    """w = 0: places say nothing."""
    return _silent("aft_full")


@edge("aft_local", "aft_simple")
def aft_local_to_simple() -> Derivation:
    """w = 0: places say nothing, near ones neither."""
    return _silent("aft_local")


@edge("sigmoid_bias", "sigmoid")
def bias_to_length() -> Derivation:
    """b = −log |m|: the bias is the length's."""
    length = diagram_of("length", {}, "", lambda: -vs.log(vs.to_float(vs.constant(vs.size("m")))))
    found = derive(CATALOGUE["sigmoid_bias"](), Prepare({"b": length}, "b = −log |m|"))
    return lemma(found, CATALOGUE["sigmoid"](), "σ(s − log |m|)")
