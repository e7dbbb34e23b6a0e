"""Attention on graphs: heads of softmax attention under a mask, by another similarity.

What asks, what answers and what is mixed are made of one sequence; edges are a mask.
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import PLACES, Frame, Slot, places
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import Part, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare, Rename, Tie


def _scaled(q: Wire, k: Wire, **_: Wire) -> Wire:
    """(Σ_c q·k)/√c, for each head"""
    return parts.scaled_dot(q, k)


def _masked(slots: Mapping[str, Part], q: Wire, k: Wire, v: Wire, mask: Wire) -> Wire:
    i, j = places(q, k)
    scores = slots["similarity"](q=q, k=k, i=i, j=j)
    return parts.weighted_sum(parts.softmax(scores + mask, None), v)


MASKED = Frame(
    "scaled_dot_product",
    {"q": "h n c", "k": "h m c", "v": "h m e", "mask": "n m"},
    "h n e",
    {"similarity": Slot({"q": "h c", "k": "h c", **PLACES}, "h", _scaled)},
    _masked,
    name="under a mask",
    options={"mask": True, "h": "h"},
)
"""Σ_m softmax_m(s[h] + mask)·v[m,h], s = S(q, k, n, m)[h]."""

SIZES = {"m": "n", "e": "c"}
WIDTH = Rename(axes={"e": "c"})
ONE_SEQUENCE = at("scaled_dot_product", **MASKED.options, **SIZES)


def _mapped(name: str, axes: str) -> Diagram:
    """x·W, for each head"""

    def body(x: Wire) -> Wire:
        made = vs.linear(x, "d", "h c", name=name)
        made = made.rename(c="e") if "e:c" in axes else made
        return made.rename(n="m") if "m:n" in axes else made

    return diagram_of("mapped", {"x": "n d"}, axes, body)


def _unseen(edges: Wire) -> Wire:
    """0 where there is an edge, −∞ elsewhere"""
    return vs.where(edges, 0.0, float("-inf"))


def _prepared(queries: str, keys: str) -> Prepare:
    bodies = {
        "q": _mapped(queries, "h n c"),
        "k": _mapped(keys, "h m:n c"),
        "v": _mapped(keys, "h m:n e:c"),
        "mask": diagram_of("unseen", {"edges": "n m:n bool"}, "n m:n", _unseen),
    }
    return Prepare(bodies, f"q → x·{queries}, k → x·{keys}, v → x·{keys}, edges are a mask")


def leaky_sum(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """leaky_relu(Σ_c a·q + Σ_c b·k)"""
    return parts.leaky_sum(q, k)


@edge("gat", ONE_SEQUENCE)
def graph_attention_and_softmax() -> Derivation:
    """Scores are sums, which rank keys alike for all queries; one map for all three."""
    one = Tie({"w_1": "w", "w_2": "w"}, "one map for queries, keys and values")
    why = "s + (0 or −∞)"
    return MASKED.siblings(
        "gat", why, _prepared("w", "w"), one, WIDTH, sizes=SIZES, similarity=leaky_sum
    )


def sum_of_leaky(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_c a·leaky_relu(q + k)"""
    return parts.sum_of_leaky(q, k)


@edge("gat_v2", ONE_SEQUENCE)
def dynamic_graph_attention_and_softmax() -> Derivation:
    """Scores are of sums that are rectified; keys are values."""
    one = Tie({"wl_1": "wl"}, "keys are values")
    why = "s + (0 or −∞)"
    return MASKED.siblings(
        "gat_v2", why, _prepared("wr", "wl"), one, WIDTH, sizes=SIZES, similarity=sum_of_leaky
    )
