"""Mechanisms in which tokens meet twice: a first round makes a second sequence, for a second round.

What the first round makes is an input of the family, which was prepared.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.heads import heads
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare, Tie

TWICE = heads("two sequences", averaged=True)
"""Slots read a token, and what the first round made there."""


# -- Fastformer -----------------------------------------------------------------------------------


def _map(x: Wire, name: str) -> Wire:
    return vs.linear(x, "d", "d", name=name)


def pooled_query_times_keys(x: Wire) -> Wire:
    """q̄·k, q̄ = Σ_n softmax_n(Σ_d a·q/√d)·q"""
    q, k = (_map(x, name) for name in ("wq", "wk"))
    weights = vs.softmax(parts.pooling_scores(q, "q"), "n")
    return vs.contract(weights, q, over="n") * k


def of_one(x: Wire, a: Wire, y: Wire, b: Wire, i: Wire, j: Wire) -> Wire:
    """(Σ_d a_k·b)/√d: whoever asks"""
    return vs.expand(parts.pooling_scores(b, "k"), "h:1")


def as_it_was_made(y: Wire, b: Wire) -> Wire:
    """b"""
    return vs.expand(b.rename(d="e"), "h:1")


def times_value_and_query(o: Wire, x: Wire, a: Wire, i: Wire) -> Wire:
    """(o·(x·W_v))·W_o + x·W_q"""
    mixed = vs.sum(o, "h").rename(e="d")
    return parts.add_query(mixed * _map(x, "wv"), _map(x, "wq"))


@edge("fastformer", at("multihead", h=1, e="d"))
def fastformer_and_multihead() -> Derivation:
    """Keys times one query, pooled by scores of their own; values and queries come in behind."""
    first = {"a": diagram_of("first round", {"x": "n d"}, "n d", pooled_query_times_keys)}
    return TWICE.siblings(
        "fastformer",
        "Σ_m softmax_m(a_k·p[m]/√d)·p[m], the same for all",
        Prepare(first, "a → q̄·k: keys times the pooled query"),
        Tie({"wq_1": "wq"}, "queries are pooled, and added"),
        sizes={"h": 1, "e": "d"},
        similarity=of_one,
        values=as_it_was_made,
        output=times_value_and_query,
    )
