"""Native sparse attention that leaves nothing out: one block, and a window as wide as all."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.edges.values import constant
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Prepare, Tie

WHOLE: dict[str, Any] = {"l": "n", "t": 1, "w": "n", "g": "h", "h": 1}
"""One block, of which each query sees all; a window of all; a group for each head."""


def _of_heads(name: str, own: str, type_: ArrayType) -> Diagram:
    """A parameter of heads, as one of groups of one head."""

    def body() -> Wire:
        whole = vs.parameter(name, own, fan="d").rename(h="g")
        return vs.expand(whole, "h:1") if "h" in type_.axes else whole

    return diagram_of("heads", {}, parts.written(**type_.axes), body)


@edge(at("native_sparse", **WHOLE), at("multihead", causal=True))
def native_sparse_to_multihead() -> Derivation:
    """Half of the block and half of the window, which are the same, and summaries of value 0.

    Gates that read nothing are ½; what is compressed to 0 adds nothing.
    """
    start = CATALOGUE["native_sparse"](**WHOLE)
    keys, values = ("wk_selected", "wk_window"), ("wv_selected", "wv_window")
    owned = {"wq": ("wq", "d h c"), "wo": ("wo", "h e d")}
    owned |= dict.fromkeys(keys, ("wk", "d h c")) | dict.fromkeys(values, ("wv", "d h e"))
    fixed = {
        name: _of_heads(*owned[name], type_)
        if name in owned
        else constant(0.0, parts.written(**type_.axes))
        for name, type_ in start.parameters.items()
    }
    found = derive(
        start,
        Prepare(fixed, "W[selected] = W[window] = W, all others 0"),
        Tie({"wk_1": "wk", "wv_1": "wv"}, "the block and the window have the same keys and values"),
    )
    end = CATALOGUE["multihead"](causal=True)
    return lemma(found, end, "σ(0)·0 + σ(0)·a + σ(0)·a = a, m ≤ n in both")
