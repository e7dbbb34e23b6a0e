"""The frame of attention with heads, of one sequence; and what else its slots may be let read.

HEADS                         # G(Σ_m N(s)[h,m]·V(x[m])[h], x[n], n), s = S(x[n], x[m], n, m)[h]
heads(window=True)            # each token with those of a window that ends with it
heads(fades="h")              # a position: how much is kept from each token to the next
heads(averaged=True)          # a second sequence, which is made from the first
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import PLACES, Frame, Slot, places, row
from vesalius.anatomy.mechanism import Part
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.moves import Restrict


def products(x: Wire, y: Wire, **_: Wire) -> Wire:
    """(x·W_q)·(y·W_k)/√c"""
    return parts.scaled_dot(*queries_and_keys(x, y))


def queries_and_keys(x: Wire, y: Wire) -> tuple[Wire, Wire]:
    """x·W_q and y·W_k for each head."""
    return vs.linear(x, "d", "h c", name="wq"), vs.linear(y, "d", "h c", name="wk")


def values(y: Wire, **_: Wire) -> Wire:
    """y·W_v"""
    return vs.linear(y, "d", "h e", name="wv")


def joined(o: Wire, **_: Wire) -> Wire:
    """Σ_he o·W_o"""
    return parts.join_heads(o)


def heads(
    name: str = "", *, window: bool = False, fades: str = "", averaged: bool = False
) -> Frame:
    """Attention with heads, of one sequence.

    A slot reads a token x and, as `y`, the one that is looked at. With `window` it also reads the
    windows `p` and `r` of w tokens that end with these, 0 before the first one. With
    `fades`, the axes of it, there is a slot `position`: of each token, and the similarity reads
    its sums up to x and to y, `f` and `g`. With `averaged`, slots also read `a` and `b`, which
    stand beside x and y in another sequence; in softmax attention that is the same one.
    """

    def beside(x: Wire, a: Wire | None, names: str) -> dict[str, Wire]:
        found = {names[0]: x}
        found |= {names[1]: parts.windows(x, "n", causal=True)} if window else {}
        return found | ({} if a is None else {names[2]: a})

    def body(slots: Mapping[str, Part], x: Wire, a: Wire | None = None) -> Wire:
        token = beside(x, a, "xpa")
        other = {port: wire.rename(n="m") for port, wire in beside(x, a, "yrb").items()}
        i, j = places(x, other["y"])
        more = {}
        if fades:
            kept = slots["position"](x=x)
            kept = kept if "n" in kept.names else vs.expand(kept, parts.axes_of(x, "n"))
            total = parts.running_sum(kept)
            more = {"f": total, "g": total.rename(n="m")}
        scores = slots["similarity"](**token, **other, i=i, j=j, **more)
        mixed = parts.weighted_sum(slots["normaliser"](scores=scores), slots["values"](**other))
        return slots["output"](o=mixed, **token, i=i)

    def reads(names: str) -> dict[str, str]:
        kinds = zip(names, ("d", "d w", "d"), (True, window, averaged), strict=True)
        return {name: axes for name, axes, there in kinds if there}

    x, y = reads("xpa"), reads("yrb")
    sums = {"f": fades, "g": fades} if fades else {}
    slots = {
        **({"position": Slot({"x": "d"}, fades, _kept(fades))} if fades else {}),
        "similarity": Slot({**x, **y, **PLACES, **sums}, "h", products),
        "normaliser": Slot({"scores": "m:n"}, "m:n", row(parts.softmax)),
        "values": Slot(y, "h e", values),
        "output": Slot({"o": "h e", **x, "i": " int"}, "d", joined),
    }
    inputs = {"x": "n d", **({"a": "n d"} if averaged else {})}

    finish = _one_sequence if averaged else None
    return Frame("multihead", inputs, "n d", slots, body, finish, name)


def _one_sequence(found: Derivation, softmax: Diagram) -> Derivation:
    return found.reach(Restrict("a", "x", {}, "a := x: one sequence"), softmax)


def _kept(axes: str) -> Part:
    def all_is_kept(x: Wire) -> Wire:
        """0: all is kept"""
        return vs.expand(0.0, axes)

    return all_is_kept


HEADS = heads()
"""G(Σ_m N(s)[h,m]·V(x[m])[h], x, n), s = S(x[n], x[m], n, m)[h]: G is of each token alone."""
