"""Scores of sums: what two tokens make of the sum of what each says, as a product in a limit.

Queries say between which knots their summand lies, keys what the score is at each knot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.edges.served import along_keys, prepared, unscaled
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Rename, Tie
from vesalius.rewrite.moves import Move
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules import interpolation
from vesalius.rewrite.rules.interpolation import at_knots, hats

SOFTMAX = CATALOGUE["scaled_dot_product"]


def interpolated(
    softmax: dict[str, Any],
    bodies: dict[str, Callable[..., Wire]],
    reads: dict[str, str],
    between: Diagram,
    rule: Rule,
    end: Diagram,
    *moves: Move,
) -> Derivation:
    """From softmax attention of features at knots, by the limit of a rule, down to a mechanism."""
    start = SOFTMAX(**softmax)
    found = derive(start, prepared(start.input_types, bodies, reads), *moves)
    found = lemma(found, between, "Σ_ar v·hat·f = Σ_a v·Σ_r hat·f, the scale cancels")
    return lemma(found.then(rule), end, "Σ_a v·f(p + u)")


# -- additive attention ---------------------------------------------------------------------------


def _features(x: Wire) -> Wire:
    return vs.merge(x, "a r", "c")


def _additive(name: str, wide: str, hidden: Callable[..., list[Wire]]) -> Derivation:
    """`hidden` maps what it is given, a state `s` of axis `wide` and a token `y`, to the units."""
    end = CATALOGUE[name]()

    def queries(s: Wire) -> Wire:
        """√c·v·hat(s·W), at knots for each hidden unit"""
        weight = vs.parameter("v", "a")
        return unscaled(_features(weight * hats(*hidden(s=s))))

    def keys(y: Wire) -> Wire:
        """tanh(g + y·U)"""
        return _features(at_knots(vs.tanh, *hidden(y=y)))

    def tokens(y: Wire) -> Wire:
        """y"""
        return y

    def body(s: Wire, y: Wire) -> Wire:
        p, u = hidden(s=s, y=y)
        near = vs.contract(hats(p), at_knots(vs.tanh, u), over="r")
        score = vs.contract(near, vs.parameter("v", "a"), over="a")
        return parts.weighted_sum(parts.softmax(score, None), y)

    reads = {"s": f"n {wide}", "y": "m e"}
    between = diagram_of(f"{name}, interpolated", reads, "n e", body)
    bodies = {"q": queries, "k": keys, "v": tokens}
    rule = interpolation.interpolated_tanh_of_a_sum
    moves = [Tie({"w_1": "w"}, "one map of both")] if name == "luong_concat" else []
    return interpolated({"c": "a*r"}, bodies, reads, between, rule, end, *moves)


@edge(at("scaled_dot_product", c="a*r"), "bahdanau")
def softmax_to_additive() -> Derivation:
    """A memory is keys and values at once; tanh of a sum is interpolated, more and more finely."""

    def hidden(**given: Wire) -> list[Wire]:
        own = {"s": ("d", "w"), "y": ("e", "u")}
        return [vs.linear(x, own[k][0], "a", name=own[k][1]) for k, x in given.items()]

    return _additive("bahdanau", "d", hidden)


@edge(at("scaled_dot_product", c="a*r"), "luong_concat")
def softmax_to_concat() -> Derivation:
    """As additive attention: one map of both is two maps."""

    def hidden(**given: Wire) -> list[Wire]:
        whole, width = vs.parameter("w", "i:c+e a", fan="i"), vs.size("c")
        own = {
            "s": ("c", lambda: vs.slice(whole, "i", stop=width, into="c")),
            "y": ("e", lambda: vs.slice(whole, "i", width, into="e")),
        }
        return [vs.contract(x, own[k][1](), over=own[k][0]) for k, x in given.items()]

    return _additive("luong_concat", "c", hidden)


# -- graphs ---------------------------------------------------------------------------------------

WIDTH = Rename(axes={"e": "c"})
NODES = {"x": "n d", "edges": "n m:n bool"}


def _unseen(edges: Wire) -> Wire:
    """0 where there is an edge, −∞ elsewhere"""
    return vs.where(edges, 0.0, float("-inf"))


def _mapped(x: Wire, name: str) -> Wire:
    return vs.linear(x, "d", "h c", name=name)


@edge(at("scaled_dot_product", h="h", mask=True, m="n", c="r", e="c"), "gat")
def softmax_to_graph_attention() -> Derivation:
    """Scores of two summands for each head, under a mask of edges."""

    def summand(x: Wire, name: str) -> Wire:
        weight = vs.parameter(name, "h c", fan="c")
        return vs.contract(weight, _mapped(x, "w"), over="c")

    def queries(x: Wire) -> Wire:
        """√r·hat(Σ_c a·u)"""
        return unscaled(hats(summand(x, "a")).rename(r="c"))

    def keys(x: Wire) -> Wire:
        """leaky(g + Σ_c b·u)"""
        return along_keys(at_knots(interpolation.leaky, summand(x, "b")).rename(r="c"))

    def tokens(x: Wire) -> Wire:
        """u = x·W"""
        return along_keys(_mapped(x, "w").rename(c="e"))

    def body(x: Wire, edges: Wire) -> Wire:
        u = _mapped(x, "w")
        a, b = (vs.parameter(name, "h c", fan="c") for name in "ab")
        p, s = vs.contract(a, u, over="c"), along_keys(vs.contract(b, u, over="c"))
        score = vs.contract(hats(p), at_knots(interpolation.leaky, s), over="r")
        return parts.weighted_sum(parts.softmax(score, edges), along_keys(u))

    between = diagram_of("gat, interpolated", NODES, "n h c", body)
    bodies = {"q": queries, "k": keys, "v": tokens, "mask": _unseen}
    softmax = {"h": "h", "mask": True, "m": "n", "c": "r", "e": "c"}
    rule = interpolation.interpolated_leaky_relu_of_a_sum
    one = Tie({"w_1": "w", "w_2": "w"}, "one map for queries, keys and values")
    return interpolated(softmax, bodies, NODES, between, rule, CATALOGUE["gat"](), one, WIDTH)


@edge(at("scaled_dot_product", h="h", mask=True, m="n", c="c*r", e="c"), "gat_v2")
def softmax_to_dynamic_graph_attention() -> Derivation:
    """The same for each channel."""

    def queries(x: Wire) -> Wire:
        """√c·a·hat(x·W_r), at knots for each channel"""
        weight = vs.parameter("a", "h c", fan="c")
        return unscaled(_channels(weight * hats(_mapped(x, "wr"))))

    def keys(x: Wire) -> Wire:
        """leaky(g + x·W_l)"""
        return along_keys(_channels(at_knots(interpolation.leaky, _mapped(x, "wl"))))

    def tokens(x: Wire) -> Wire:
        """x·W_l"""
        return along_keys(_mapped(x, "wl").rename(c="e"))

    def body(x: Wire, edges: Wire) -> Wire:
        asks, answers = _mapped(x, "wr"), along_keys(_mapped(x, "wl"))
        near = vs.contract(hats(asks), at_knots(interpolation.leaky, answers), over="r")
        score = vs.contract(vs.parameter("a", "h c", fan="c"), near, over="c")
        return parts.weighted_sum(parts.softmax(score, edges), answers)

    between = diagram_of("gat_v2, interpolated", NODES, "n h c", body)
    bodies = {"q": queries, "k": keys, "v": tokens, "mask": _unseen}
    softmax = {"h": "h", "mask": True, "m": "n", "c": "c*r", "e": "c"}
    rule = interpolation.interpolated_leaky_relu_of_a_sum
    one = Tie({"wl_1": "wl"}, "keys are values")
    return interpolated(softmax, bodies, NODES, between, rule, CATALOGUE["gat_v2"](), one, WIDTH)


def _channels(x: Wire) -> Wire:
    return vs.merge(x.rename(c="a"), "a r", "c")
