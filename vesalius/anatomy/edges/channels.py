"""Weights of its own for each channel: as many heads as channels, of values of width 1.

Slots read a token and the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import (
    PLACES,
    Frame,
    Slot,
    joined,
    places,
    products,
    row,
    values,
)
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import Part
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation


def _shifted(slots: Mapping[str, Part], x: Wire) -> Wire:
    y, p = x.rename(n="m"), parts.previous(x)
    scores = slots["similarity"](x, p, y, p.rename(n="m"), *places(x, y))
    mixed = parts.weighted_sum(slots["normaliser"](scores), slots["values"](y, p.rename(n="m")))
    return slots["output"](mixed, x, p)


def _products(x: Wire, p: Wire, y: Wire, r: Wire, i: Wire, j: Wire) -> Wire:
    """(x·W_q)·(y·W_k)/√c"""
    return products(x, y, i, j)


def _values(y: Wire, r: Wire) -> Wire:
    """y·W_v"""
    return values(y)


def _joined(o: Wire, x: Wire, p: Wire) -> Wire:
    """Σ_he o·W_o"""
    return joined(o, x)


TOKEN, OTHER = {"x": "d", "p": "d"}, {"y": "d", "r": "d"}
SHIFTED = Frame(
    "multihead",
    {"x": "n d"},
    "n d",
    {
        "similarity": Slot({**TOKEN, **OTHER, **PLACES}, "h", _products),
        "normaliser": Slot({"scores": "m:n"}, "m:n", row(parts.softmax)),
        "values": Slot(OTHER, "h e", _values),
        "output": Slot({"o": "h e", **TOKEN}, "d", _joined),
    },
    _shifted,
    name="of two neighbours",
)
"""Attention with heads, whose slots read a token and the one before it, p of x and r of y."""


def fading(x: Wire, p: Wire, y: Wire, r: Wire, i: Wire, j: Wire) -> Wire:
    """k − (i − 1 − j)·w where j < i, k + u where j = i, −∞ after, k of y and of the one before"""
    k = parts.shifted(y, r, "k", "e:h")
    return parts.fading_keys_at(k, *parts.decay_and_bonus(k), i, j).rename(e="h")


def shifted_values(y: Wire, r: Wire) -> Wire:
    """v of y and of the one before"""
    return vs.expand(parts.shifted(y, r, "v", "e:h").rename(e="h"), "e")


def gated(o: Wire, x: Wire, p: Wire) -> Wire:
    """(σ(r)·o)·W_o, r of x and of the one before"""
    mixed = vs.sum(o, "e").rename(h="e")
    return parts.project(parts.sigmoid_gate(parts.shifted(x, p, "r", "e:h"), mixed))


@edge("rwkv", at("multihead", h="e", e=1))
def rwkv_and_multihead() -> Derivation:
    """Keys that fade in each channel at its own rate; queries gate what comes out."""
    return SHIFTED.siblings(
        "rwkv",
        "each channel is a head of width 1",
        sizes={"h": "e", "e": 1},
        similarity=fading,
        values=shifted_values,
        output=gated,
    )
