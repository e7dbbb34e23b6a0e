"""Mechanisms in which tokens meet twice: a first round makes a second sequence, for a second round.

What the first round makes is an input of the family, which was prepared.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import as_it_is, renamed
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


# -- Hyena: filters of positions, and gates that windows make --------------------------------------


def filtered_values(x: Wire) -> Wire:
    """x_1·Σ_{m≤n} h_1[n − m]·v[m], v and x_1 after short convolutions"""
    v, gate = (
        parts.convolution(vs.linear(x, "d", "d", name=name, bias=True), True, "d")
        for name in ("v", "x1")
    )
    taps = parts.implicit_filter(x, parts.sine_network(x))
    return parts.times(parts.long_convolution(v, taps), gate)


def of_distance(x: Wire, p: Wire, a: Wire, y: Wire, r: Wire, b: Wire, i: Wire, j: Wire) -> Wire:
    """h_2[i − j], 0 where j > i, for each channel"""
    time = vs.maximum(i - j, 0) / vs.size("p")
    hidden = parts.sine_network_at(time)
    taps = parts.implicit_filter_at(x, hidden, time, name="filter_4")
    return vs.where(j <= i, taps, 0.0).rename(d="h")


def channels_as_made(y: Wire, r: Wire, b: Wire) -> Wire:
    """b, for each channel"""
    return vs.expand(b.rename(d="h"), "e:1")


def gated_by_window(o: Wire, x: Wire, p: Wire, a: Wire, i: Wire) -> Wire:
    """(x_2·o)·W_o + b, x_2 a map of the tokens of a window that there are, by a filter"""
    mapped = vs.linear(p, "d", "d", name="x2", bias=True)
    there = i + vs.iota("w") - vs.constant(vs.size("w") - 1) >= 0
    gate = vs.contract(vs.where(there, mapped, 0.0), vs.parameter("filter_2", "d w"), over="w")
    mixed = parts.times(vs.sum(o, "e").rename(h="d"), gate)
    return vs.linear(mixed, "d", "d", name="wo", bias=True)


@edge("hyena", at("multihead", h="d", e=1))
def hyena_and_multihead() -> Derivation:
    """Two rounds of filters of positions, each with a gate; each channel is a head."""
    first = diagram_of("first round", {"x": "n d"}, "n d", filtered_values)
    names = {name: name for name in first.parameters} | {"filter_2": "filter_3"}
    one = {f"{own}_1": own for own in ("waves", "waves_bias", "inner", "inner_bias")}
    return heads("windows, two sequences", window=True, averaged=True).siblings(
        "hyena",
        "z_2 = a, z_3 = x_2·(h_2 * a)",
        Prepare({"a": renamed(first, names, first.name)}, "a → x_1·(h_1 * v)"),
        Tie(one, "one network of positions makes both filters"),
        sizes={"h": "d", "e": 1},
        similarity=of_distance,
        normaliser=as_it_is,
        values=channels_as_made,
        output=gated_by_window,
    )
