"""Softmax attention to neighbours, whose scores are of distances: convolutions and pooling."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.edges.served import Body, along_keys, finish, one_hot, served, unscaled
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Tie

# -- pooling --------------------------------------------------------------------------------------

POOLED: dict[str, Any] = {"mask": True, "m": "n", "c": 1, "e": "d"}


@edge(at("scaled_dot_product", **POOLED), "poolformer")
def softmax_to_pooling() -> Derivation:
    """Scores that are 0 under a mask: the mean of what it shows, which is a window."""

    def queries() -> Wire:
        """0"""
        return vs.expand(0.0, "n c:1")

    def keys() -> Wire:
        """0"""
        return vs.expand(0.0, "m:n c:1")

    def tokens(x: Wire) -> Wire:
        """x"""
        return along_keys(x.rename(d="e"))

    def window() -> Wire:
        """0 where 0 ≤ m − n + ⌊|w|/2⌋ < |w|, −∞ elsewhere"""
        tap = vs.iota("m:n") - vs.iota("n") + vs.constant(vs.size("w") // 2)
        return _shown((tap >= 0) & (tap < vs.size("w")))

    def less_token(o: Wire, x: Wire) -> Wire:
        """o − x"""
        return parts.less_itself(o.rename(e="d"), x)

    bodies: dict[str, Body] = {"q": queries, "k": keys, "v": tokens, "mask": window}
    output = finish({"o": "e:d", "x": "d"}, "d", less_token)
    why = "softmax of 0 where shown: 1 by how many are there"
    return served("poolformer", POOLED, bodies, why, output)


def _shown(there: Wire) -> Wire:
    return vs.where(there, 0.0, float("-inf"))


# -- short convolutions: keys are the tokens, and zeros before and after them ---------------------

LONG = "n+w-1"
SHORT: dict[str, Any] = {"h": "h", "m": LONG, "c": LONG, "e": "c", "mask": True}


def _tap() -> Wire:
    """Which tap of the window of n lies on m, where tokens begin at ⌊|w|/2⌋."""
    return vs.iota(f"m:{LONG}") - vs.iota("n")


def _taps_of(filter: Wire) -> Wire:
    """√c·f[m − n] in a channel for each key, 0 where no tap is."""
    tap = _tap()
    there = (tap >= 0) & (tap < vs.size("w"))
    own = vs.gather(filter, vs.where(there, tap, 0), over="w")
    return unscaled(vs.where(there, own, 0.0).rename(m="c"))


def own_place() -> Wire:
    """[j = m]"""
    return vs.expand(one_hot(vs.iota(f"m:{LONG}"), f"c:{LONG}"), "h")


def with_zeros(x: Wire) -> Wire:
    """[0 ; glu(x) ; 0]"""
    before = vs.size("w") // 2
    made = vs.pad(parts.glu(x), "n", before, vs.size("w") - 1 - before)
    return along_keys(made.rename(c="e"))


def window() -> Wire:
    """0 where 0 ≤ m − n < |w|, −∞ elsewhere"""
    tap = _tap()
    return _shown((tap >= 0) & (tap < vs.size("w")))


def joined_with_bias(o: Wire) -> Wire:
    """Σ_he o·W_o + b"""
    return parts.join_heads(o, bias=True)


OUTPUT = finish({"o": "h e:c"}, "d", joined_with_bias)
WHY = "softmax over the taps on tokens and zeros: Σ_w f[w]·y[n + w − ⌊|w|/2⌋]"


@edge(at("scaled_dot_product", **SHORT), "light_convolution")
def softmax_to_light_convolution() -> Derivation:
    """Scores of a distance for each head, in a window."""

    def queries() -> Wire:
        """√|m|·f[j − n]"""
        return _taps_of(vs.parameter("filter", "h w", fan="w"))

    bodies: dict[str, Body] = {"q": queries, "k": own_place, "v": with_zeros, "mask": window}
    return served("light_convolution", SHORT, bodies, WHY, OUTPUT)


@edge(at("scaled_dot_product", **SHORT), "dynamic_convolution")
def softmax_to_dynamic_convolution() -> Derivation:
    """The same, where a token says what its scores are."""

    def queries(x: Wire) -> Wire:
        """√|m|·(Σ_hc glu(x)·W)[j − n]"""
        return _taps_of(vs.linear(parts.glu(x), "h c", "h w", name="filter"))

    bodies: dict[str, Body] = {"q": queries, "k": own_place, "v": with_zeros, "mask": window}
    one = Tie({f"{own}_1": own for own in ("w", "w_bias", "v", "v_bias")}, "scores read the values")
    return served("dynamic_convolution", SHORT, bodies, WHY, one, OUTPUT)
