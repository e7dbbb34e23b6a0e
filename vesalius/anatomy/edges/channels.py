"""Weights of its own for each channel: as many heads as channels, of values of width 1."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.heads import HEADS, heads
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare

CHANNELS = {"h": "e", "e": 1}
EACH = at("multihead", **CHANNELS)


def _one_by_one(o: Wire) -> Wire:
    """Heads of width 1 as channels."""
    return vs.sum(o, "e").rename(h="e")


# -- attention free transformers ------------------------------------------------------------------


def table_and_key(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """W[i, j] + y·W_k, for each channel"""
    key = vs.linear(y, "d", "e", name="wk").rename(e="h")
    return parts.table_at(i, j) + key


def near_table_and_key(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """W[i, j] + y·W_k where |i − j| < w, y·W_k elsewhere, for each channel"""
    key = vs.linear(y, "d", "e", name="wk").rename(e="h")
    return vs.where(vs.abs(i - j) < vs.size("w"), parts.table_at(i, j), 0.0) + key


def gated_by_query(o: Wire, x: Wire, i: Wire) -> Wire:
    """(σ(x·W_q)·o)·W_o"""
    query = vs.linear(x, "d", "e", name="wq")
    return parts.project(parts.sigmoid_gate(query, _one_by_one(o)))


def _columns() -> Wire:
    """W_v of channels as that of heads of width 1"""
    return vs.expand(vs.parameter("wv", "d e").rename(e="h"), "e:1")


EACH_COLUMN = Prepare(
    {"wv": diagram_of("columns", {}, "d h:e e:1", _columns)}, "each column of W_v is a head's"
)


@edge("aft_full", EACH)
def attention_free_and_multihead() -> Derivation:
    """Scores of a key and two places, for each channel; the query gates what comes out."""
    return HEADS.siblings(
        "aft_full",
        "each channel is a head of width 1",
        EACH_COLUMN,
        sizes=CHANNELS,
        similarity=table_and_key,
        output=gated_by_query,
    )


@edge("aft_local", EACH)
def local_attention_free_and_multihead() -> Derivation:
    """The same, where places say something if they are near."""
    return HEADS.siblings(
        "aft_local",
        "each channel is a head of width 1",
        EACH_COLUMN,
        sizes=CHANNELS,
        similarity=near_table_and_key,
        output=gated_by_query,
    )


# -- RWKV: slots read a token and the one before it -----------------------------------------------

WINDOWED = heads("windows", window=True)


def _shifted(x: Wire, window: Wire, name: str) -> Wire:
    """A map of a token and the one before it, which is the first of a window of two."""
    return parts.shifted(x, vs.sum(vs.slice(window, "w", 0, length=1), "w"), name)


def fading(x: Wire, p: Wire, y: Wire, r: Wire, i: Wire, j: Wire) -> Wire:
    """k − (i − 1 − j)·w where j < i, k + u where j = i, −∞ after, k of y and of the one before"""
    k = _shifted(y, r, "k")
    return parts.fading_keys_at(k, *parts.decay_and_bonus(k), i, j).rename(e="h")


def shifted_values(y: Wire, r: Wire) -> Wire:
    """v of y and of the one before"""
    return vs.expand(_shifted(y, r, "v").rename(e="h"), "e:1")


def gated_by_receptance(o: Wire, x: Wire, p: Wire, i: Wire) -> Wire:
    """(σ(r)·o)·W_o, r of x and of the one before"""
    return parts.project(parts.sigmoid_gate(_shifted(x, p, "r"), _one_by_one(o)))


@edge("rwkv", EACH)
def rwkv_and_multihead() -> Derivation:
    """Keys that fade in each channel at its own rate; queries gate what comes out."""
    return WINDOWED.siblings(
        "rwkv",
        "each channel is a head of width 1",
        sizes={**CHANNELS, "w": 2},
        similarity=fading,
        values=shifted_values,
        output=gated_by_receptance,
    )
