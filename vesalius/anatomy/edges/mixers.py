"""Mixers that look at no key: weights of two places, of any sign, from softmaxes of one sign.

A weight w is (c + w) − c. If c + w is positive, softmax attention has the shares of it in its row,
by scores log(c + w); what a row sums to is known of its place, and what comes out is multiplied by
it. So each head of such weights is the difference of two of softmax attention.
"""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.edges.served import (
    SEQUENCE,
    along_keys,
    finish,
    one_hot,
    prepared,
    served,
    unscaled,
)
from vesalius.anatomy.transformer import norm_diagram
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Tie

SELF: dict[str, Any] = {"m": "n", "c": "n"}


def place(x: Wire) -> Wire:
    """n"""
    return parts.index(x, "n")


PLACE = prepared({"i": ArrayType.parse("n int")}, {"i": place}, SEQUENCE)


def own_place(x: Wire) -> Wire:
    """√|n|·[i = n]"""
    return vs.expand(unscaled(one_hot(parts.index(x, "n"), "c:n")), "h:2")


# -- gMLP -----------------------------------------------------------------------------------------


def signed() -> Wire:
    """1 + relu(W), and 1 + relu(−W)"""
    table = vs.parameter("w", "n m:n", fan="m", scale=1e-3)
    both = vs.concat(vs.expand(table, "h:1"), vs.expand(-table, "h:1"), over="h")
    return 1 + vs.relu(both)


TWO: dict[str, Any] = {**SELF, "h": 2, "e": "f"}


@edge(at("scaled_dot_product", **TWO), "gmlp")
def softmax_to_gmlp() -> Derivation:
    """What is positive in a table of weights is one head, what is negative the other."""

    def keys(x: Wire) -> Wire:
        """log(1 + relu(±W[i,m]))"""
        return vs.log(signed()).rename(n="c")

    def half(x: Wire) -> Wire:
        """norm(gelu(norm(x)·V + b)), for both"""
        _, v = parts.two_halves(norm_diagram()(x))
        return along_keys(vs.expand(v.rename(f="e"), "h:2"))

    def gated(o: Wire, x: Wire, i: Wire) -> Wire:
        """x + (u·(Σ₊·o₊ − Σ₋·o₋ + b[i]))·W_o + b, u = gelu(norm(x)·U + b)"""
        sums = vs.gather(vs.sum(signed(), "m"), i, over="n")
        mixed = vs.contract(o, sums, vs.constant([1.0, -1.0], "h"), over="h").rename(e="f")
        u, _ = parts.two_halves(norm_diagram()(x))
        moved = mixed + vs.gather(vs.parameter("b", "n"), i, over="n")
        return x + vs.linear(parts.times(moved, u), "f", "d", name="wo", bias=True)

    bodies = {"q": own_place, "k": keys, "v": half}
    output = finish({"o": "h:2 e:f", "x": "d", "i": " int"}, "d", gated)
    one = {"w_1": "w", "norm.gain_1": "norm.gain", "norm.shift_1": "norm.shift"}
    moves = (output, PLACE, Tie(one, "one table, one norm"))
    return served("gmlp", TWO, bodies, "(1 + relu(W)) − (1 + relu(−W)) = W", *moves)


# -- FNet -----------------------------------------------------------------------------------------


def waves() -> Wire:
    """2 + cos 2πim/|n|, 2 + sin 2πim/|n| and 1, each positive"""
    unit = one_hot(vs.iota("n"), "m:n")
    cosine, sine = vs.fourier(unit, over="n")
    both = [vs.expand(2 + wave, "h:1") for wave in (cosine, -sine)]
    return vs.concat(*both, vs.like(1.0, both[0]), over="h")


THREE: dict[str, Any] = {**SELF, "h": 3, "e": "d"}


@edge(at("scaled_dot_product", **THREE), "fnet")
def softmax_to_fnet() -> Derivation:
    """Waves that are lifted above 0, of the real and of the imaginary part, less their lift."""

    def queries(x: Wire) -> Wire:
        """√|n|·[i = n]"""
        return vs.expand(unscaled(one_hot(parts.index(x, "n"), "c:n")), "h:3")

    def keys() -> Wire:
        """log(2 + cos 2πim/|n|), log(2 + sin 2πim/|n|), 0"""
        return vs.log(waves()).rename(n="c")

    def spectra(x: Wire) -> Wire:
        """Re F·x, Im F·x and both together"""
        real, imaginary = vs.fourier(x, over="d")
        three = (real, imaginary, real + imaginary)
        return along_keys(vs.concat(*(vs.expand(z, "h:1") for z in three), over="h")).rename(d="e")

    def lowered(o: Wire, i: Wire) -> Wire:
        """Σ(2 + cos)·o[0] + Σ(2 + sin)·o[1] − 2·|n|·o[2]"""
        sums = vs.gather(vs.sum(waves(), "m"), i, over="n")
        return vs.contract(o, sums, vs.constant([1.0, 1.0, -2.0], "h"), over="h").rename(e="d")

    bodies: dict[str, Any] = {"q": queries, "k": keys, "v": spectra}
    output = finish({"o": "h:3 e:d", "i": " int"}, "d", lowered)
    why = "Re Σ exp(−iα)·(A + iB) = Σ (2 + cos α)·A + Σ (2 + sin α)·B − 2·Σ (A + B)"
    return served("fnet", THREE, bodies, why, output, PLACE)
