"""Scores of places, by keys that are as wide as the sequence is long: one channel for each place.

A query is 1 in the channel of its place, or a key is in that of its own; the other one has there
what the score of the pair is. So scores that no vectors of fixed width give are products.
"""

from __future__ import annotations

import math

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.edges.served import (
    JOINED,
    Body,
    along_keys,
    finish,
    one_hot,
    served,
    unscaled,
    values,
)
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation

PLACES = {"h": "h", "m": "n", "c": "n"}
WHERE = at("scaled_dot_product", **PLACES)


def own_place(x: Wire) -> Wire:
    """√|n|·[i = n]"""
    return vs.expand(unscaled(one_hot(parts.index(x, "n"), "c:n")), "h")


def key_place(x: Wire) -> Wire:
    """[j = m]"""
    return vs.expand(along_keys(one_hot(parts.index(x, "n"), "c:n")), "h")


# -- slopes ---------------------------------------------------------------------------------------


@edge(at("scaled_dot_product", h="h", m="n", c="c+n"), "alibi")
def softmax_to_alibi() -> Derivation:
    """A penalty for distance: channels in which a key says how far it is from each place."""

    def queries(x: Wire) -> Wire:
        """[√(c+n)·x·W_q/√c ; √(c+n)·[i = n]]"""
        own = vs.linear(x, "d", "h c", name="wq")
        own = own / vs.sqrt(own.axes["c"])
        place = vs.expand(one_hot(parts.index(x, "n"), "c:n"), "h")
        return unscaled(vs.concat(own, place, over="c"))

    def keys(x: Wire) -> Wire:
        """[x·W_k ; −2^(−8(h+1)/|h|)·|m − i|]"""
        own = vs.linear(x, "d", "h c", name="wk")
        slope = vs.exp((parts.index(own, "h") + 1) * (-8 * math.log(2)) / own.axes["h"])
        far = vs.abs(parts.index(x, "n") - vs.iota("c:n"))
        return along_keys(vs.concat(own, -1 * slope * far, over="c"))

    bodies = {"q": queries, "k": keys, "v": values}
    why = "q·k/√c − Σ_i [i = n]·slope·|m − i|"
    return served("alibi", {"h": "h", "m": "n", "c": "c+n"}, bodies, why, JOINED)


# -- Synthesizer ----------------------------------------------------------------------------------


@edge(WHERE, "synthesizer_dense")
def softmax_to_dense() -> Derivation:
    """A query says what it looks at, and a key where it stands."""

    def queries(x: Wire) -> Wire:
        """√|n|·(relu(x·W + b)·U + c)"""
        return unscaled(parts.dense_scores(x).rename(m="c"))

    bodies = {"q": queries, "k": key_place, "v": values}
    return served("synthesizer_dense", PLACES, bodies, "Σ_j s[n,j]·[j = m] = s[n,m]", JOINED)


@edge(WHERE, "synthesizer_factorised_dense")
def softmax_to_short_rows() -> Derivation:
    """The same, of two short rows."""

    def queries(x: Wire) -> Wire:
        """√|n|·a[j mod |k|]·b[⌊j / |k|⌋]"""
        return unscaled(parts.factorised_dense_scores(x).rename(m="c"))

    bodies = {"q": queries, "k": key_place, "v": values}
    why = "Σ_j s[n,j]·[j = m] = s[n,m]"
    return served("synthesizer_factorised_dense", PLACES, bodies, why, JOINED)


@edge(WHERE, "synthesizer_random")
def softmax_to_random() -> Derivation:
    """A query says where it stands, and a key how it is looked at from each place."""

    def keys(x: Wire) -> Wire:
        """R[i,m]"""
        return parts.random_scores(x).rename(n="c")

    bodies = {"q": own_place, "k": keys, "v": values}
    return served("synthesizer_random", PLACES, bodies, "Σ_i [i = n]·R[i,m] = R[n,m]", JOINED)


@edge(at("scaled_dot_product", h="h", m="n", c="r"), "synthesizer_factorised")
def softmax_to_factorised() -> Derivation:
    """Queries and keys are learned for each place."""

    def queries() -> Wire:
        """√r·L[n]"""
        return unscaled(vs.parameter("left", "h n r", fan="r").rename(r="c"))

    def keys() -> Wire:
        """R[m]"""
        return vs.parameter("right", "h m:n r", fan="r").rename(r="c")

    bodies: dict[str, Body] = {"q": queries, "k": keys, "v": values}
    options = {"h": "h", "m": "n", "c": "r"}
    return served("synthesizer_factorised", options, bodies, "Σ_r L[n]·R[m]", JOINED)


# -- attention free: each channel is a head of width 1 --------------------------------------------

CHANNELS = {"h": "e", "m": "n", "c": "n", "e": 1}


def channel_place(x: Wire) -> Wire:
    """√|n|·[i = n], for each channel"""
    return vs.expand(unscaled(one_hot(parts.index(x, "n"), "c:n")), "h:e")


def channel_key(x: Wire) -> Wire:
    """x·W_k"""
    return vs.linear(x, "d", "e", name="wk").rename(e="h")


def channel_values(x: Wire) -> Wire:
    """x·W_v, for each channel"""
    return along_keys(vs.expand(vs.linear(x, "d", "e", name="wv").rename(e="h"), "e:1"))


def mixed_channels(o: Wire) -> Wire:
    """Heads of width 1 as channels."""
    return vs.sum(o, "e").rename(h="e")


def gated_by_query(o: Wire, x: Wire) -> Wire:
    """(σ(x·W_q)·o)·W_o"""
    query = vs.linear(x, "d", "e", name="wq")
    return parts.project(parts.sigmoid_gate(query, mixed_channels(o)))


GATED = finish({"o": "h:e e:1", "x": "d"}, "d", gated_by_query)


@edge(at("scaled_dot_product", **CHANNELS), "aft_full")
def softmax_to_attention_free() -> Derivation:
    """A key has its own score, and that of its place from each other; the query is a gate."""

    def keys(x: Wire) -> Wire:
        """W[i,m] + x·W_k"""
        table = parts.table_at(vs.iota("c:n"), parts.index(x, "n"))
        return along_keys(table + channel_key(x))

    bodies = {"q": channel_place, "k": keys, "v": channel_values}
    return served("aft_full", CHANNELS, bodies, "Σ_i [i = n]·(W[i,m] + k[m])", GATED)


@edge(at("scaled_dot_product", **CHANNELS), "aft_local")
def softmax_to_local_attention_free() -> Derivation:
    """The same, where places say something if they are near."""

    def keys(x: Wire) -> Wire:
        """[|i − m| < w]·W[i,m] + x·W_k"""
        i, m = vs.iota("c:n"), parts.index(x, "n")
        near = vs.abs(i - m) < vs.size("w")
        return along_keys(vs.where(near, parts.table_at(i, m), 0.0) + channel_key(x))

    bodies = {"q": channel_place, "k": keys, "v": channel_values}
    return served("aft_local", CHANNELS, bodies, "Σ_i [i = n]·([near]·W[i,m] + k[m])", GATED)


ALONE = {**CHANNELS, "c": 1}


@edge(at("scaled_dot_product", **ALONE), "aft_simple")
def softmax_to_simple_attention_free() -> Derivation:
    """One channel, in which every query is 1: a key is its own score."""

    def queries(x: Wire) -> Wire:
        """1"""
        return vs.expand(1.0, "h:e n c:1")

    def keys(x: Wire) -> Wire:
        """x·W_k"""
        return along_keys(vs.expand(channel_key(x), "c:1"))

    bodies = {"q": queries, "k": keys, "v": channel_values}
    return served("aft_simple", ALONE, bodies, "1·k[m]", GATED)
