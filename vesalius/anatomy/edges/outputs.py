"""Softmax attention whose mix is handed on: heads are subtracted, gated, chosen from, or joined."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.places import CHANNELS, channel_place, mixed_channels
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.edges.served import (
    JOINED,
    SEQUENCE,
    along_keys,
    finish,
    prepared,
    served,
    values,
)
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Tie

SELF = {"h": "h", "m": "n"}

# -- queries and keys of a norm or of a latent ----------------------------------------------------


@edge(at("scaled_dot_product", **SELF), "joint_qk_norm")
def softmax_to_joint_norm() -> Derivation:
    """Queries and keys are normed over all channels of all heads."""

    def queries(x: Wire) -> Wire:
        """rms_hc(x·W_q)·γ"""
        return parts.rms_norm(vs.linear(x, "d", "h c", name="wq"), over="h c", gain="q_gain")

    def keys(x: Wire) -> Wire:
        """rms_hc(x·W_k)·δ"""
        made = vs.linear(x, "d", "h c", name="wk")
        return along_keys(parts.rms_norm(made, over="h c", gain="k_gain"))

    bodies = {"q": queries, "k": keys, "v": values}
    return served("joint_qk_norm", SELF, bodies, "scores of normed queries and keys", JOINED)


@edge(at("scaled_dot_product", **SELF, c="c+u"), "latent")
def softmax_to_latent() -> Derivation:
    """Keys and values are of a short vector; a second key, for all heads, is turned by its place"""

    def queries(x: Wire) -> Wire:
        """[x·W_q ; T[n]·x·W_qr]"""
        return parts.latent(x)[0]

    def keys(x: Wire) -> Wire:
        """[z·W_uk ; T[m]·x·W_kr], z = rms(x·W_down)"""
        return parts.latent(x)[1]

    def mixed(x: Wire) -> Wire:
        """z·W_uv"""
        return parts.latent(x)[2]

    one = {"down_1": "down", "gain_1": "gain"}
    bodies = {"q": queries, "k": keys, "v": mixed}
    moves = (Tie(one, "keys and values are of one latent"), JOINED)
    return served("latent", {**SELF, "c": "c+u"}, bodies, "[q ; q']·[k ; k']", *moves)


# -- two softmaxes --------------------------------------------------------------------------------

PAIRS = {"h": "2*h", "m": "n"}


@edge(at("scaled_dot_product", **PAIRS), "differential")
def softmax_to_differential() -> Derivation:
    """Heads in pairs, which share their values: one is subtracted from the other, with a norm."""

    def pairs(x: Wire, name: str) -> Wire:
        return vs.merge(vs.linear(x, "d", "s:2 h c", name=name), "s h", "h")

    def queries(x: Wire) -> Wire:
        """x·W_q[s]"""
        return pairs(x, "wq")

    def keys(x: Wire) -> Wire:
        """x·W_k[s]"""
        return along_keys(pairs(x, "wk"))

    def both(x: Wire) -> Wire:
        """x·W_v, the same for both"""
        shared = vs.expand(vs.linear(x, "d", "h e", name="wv"), "s:2")
        return along_keys(vs.merge(shared, "s h", "h"))

    def subtracted(o: Wire) -> Wire:
        """((1 − λ₁)·rms_e(o[0] − λ·o[1]))·W_o"""
        return parts.join_heads(parts.difference(vs.split(o, "h", "s:2 h")))

    bodies = {"q": queries, "k": keys, "v": both}
    output = finish({"o": "h:2*h e"}, "d", subtracted)
    return served("differential", PAIRS, bodies, "2·h heads as two of h", output)


# -- a softmax over tokens for each channel of the keys -------------------------------------------

EACH_KEY = {"h": "c", "c": 1}


@edge(at("scaled_dot_product", **EACH_KEY), "efficient")
def softmax_to_efficient_attention() -> Derivation:
    """A head for each channel of the keys, which nothing asks; the query says how much of each."""

    def queries(q: Wire) -> Wire:
        """1, for each channel"""
        return vs.expand(vs.like(1.0, vs.sum(q, "c")), "h:c c:1")

    def keys(k: Wire) -> Wire:
        """k, for each channel"""
        return vs.expand(k.rename(c="h"), "c:1")

    def shared(v: Wire) -> Wire:
        """v, for each channel"""
        return vs.expand(v, "h:c")

    def chosen(o: Wire, q: Wire) -> Wire:
        """Σ_c softmax_c(q)·o[c]"""
        return vs.contract(vs.softmax(q, "c"), o.rename(h="c"), over="c")

    bodies = {"q": queries, "k": keys, "v": shared}
    reads = {"q": "n c", "k": "m c", "v": "m e"}
    output = finish({"o": "h:c e", "q": "c"}, "e", chosen)
    why = "Σ_c softmax_c(q)·Σ_m softmax_m(k[c])·v"
    return served("efficient", EACH_KEY, bodies, why, output, reads=reads)


# -- RWKV: what is made of a token also reads the one before it -----------------------------------


@edge(at("scaled_dot_product", **CHANNELS, causal=True), "rwkv")
def softmax_to_rwkv() -> Derivation:
    """Keys that fade in each channel at its own rate. Maps read a token and the one before it."""

    def keys(x: Wire) -> Wire:
        """k[m] − (i − 1 − m)·w, k[m] + u where i = m"""
        _, k, _ = parts.token_shift(x)
        decay, bonus = parts.decay_and_bonus(k)
        i, m = vs.iota("c:n"), parts.index(x, "n")
        score = vs.where(vs.equal(i, m), bonus, -(decay * vs.to_float(i - 1 - m)))
        return along_keys((score + k).rename(e="h"))

    def mixed(x: Wire) -> Wire:
        """v"""
        _, _, v = parts.token_shift(x)
        return along_keys(vs.expand(v.rename(e="h"), "e:1"))

    def gate(x: Wire) -> Wire:
        """r"""
        r, _, _ = parts.token_shift(x)
        return r

    def gated(o: Wire, r: Wire) -> Wire:
        """(σ(r)·o)·W_o"""
        return parts.project(parts.sigmoid_gate(r, mixed_channels(o)))

    bodies = {"q": channel_place, "k": keys, "v": mixed}
    output = finish({"o": "h:e e:1", "r": "e"}, "d", gated)
    receptance = prepared({"r": ArrayType.parse("n e")}, {"r": gate}, SEQUENCE)
    options = {**CHANNELS, "causal": True}
    why = "Σ_i [i = n]·k[i,m], under the mask that hides what comes later"
    return served("rwkv", options, bodies, why, output, receptance)
