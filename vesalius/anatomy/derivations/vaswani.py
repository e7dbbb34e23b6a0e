"""From Bahdanau's attention to Vaswani's: networks become holes, and the holes are filled anew."""

from __future__ import annotations

from vesalius.anatomy.derivations import recurrent
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.moves import Choose, Fill, Restrict
from vesalius.rewrite.rules import mechanisms, scans

# -- what fills the holes: networks that read less, then linear maps ------------------------------


@diagram
def keys(h: "k", y: "d") -> "k":
    """k(y): whatever it was, now it knows one word"""
    return vs.learner("keys", y, binds="d", into="k")


@diagram
def values(h: "e", y: "d") -> "e":
    """v(y)"""
    return vs.learner("values", y, binds="d", into="e")


@diagram
def queries(s: "c", x: "d", before: "k", after: "e") -> "c":
    """q(x)"""
    return vs.learner("queries", x, binds="d", into="c")


@diagram
def by_keys(s: "c", left: "k", right: "e") -> "":
    """The score reads keys alone."""
    return vs.learner("score", s, left, binds="c k")


@diagram
def of_values(k: "k", e: "e") -> "d":
    """The output reads values alone."""
    return vs.learner("output", e, binds="e", into="d")


@diagram
def inner_product(q: "c", k: "k:c") -> "":
    """Σ_c q·k"""
    return vs.contract(q, k.rename(k="c"), over="c")


@diagram
def to_queries(x: "d") -> "c":
    """x·Wq"""
    return vs.linear(x, "d", "c", name="wq")


@diagram
def to_keys(y: "d") -> "k":
    """y·Wk"""
    return vs.linear(y, "d", "k", name="wk")


@diagram
def to_values(y: "d") -> "e":
    """y·Wv"""
    return vs.linear(y, "d", "e", name="wv")


@diagram
def to_output(o: "e") -> "d":
    """o·Wo"""
    return vs.linear(o, "e", "d", name="wo")


@DERIVATIONS.enter("bahdanau-to-vaswani", "Bahdanau's attention to Vaswani's")
def bahdanau_to_vaswani() -> Derivation:
    """Once up, then down: Bahdanau's networks become holes, and the holes are filled with less.

    What is reached by going down is among the functions of the translator with holes. Against
    Bahdanau's own networks, of a fixed size, it is a sibling and no more.
    """
    abstract = recurrent.translator
    without_score = abstract.fill(score=recurrent.align)
    found = Derivation(without_score.fill(**recurrent.NETWORKS))
    up = Fill(recurrent.NETWORKS, "every network but the score is any function of its inputs")
    found = found.back(up, without_score)
    up = Fill({"score": recurrent.align}, "so is the score: Σ_a v·tanh(s·W + h·U) → a(s, h)")
    found = found.back(up, abstract)
    reads_words = Fill(
        {"rightwards": keys, "leftwards": values, "cell": queries},
        "s' = cell(s, x, c) → q(x), and so for the encoder: no network reads a state",
    )
    found = found.then(reads_words)
    for _ in range(3):
        found = found.then(scans.scan_without_state)
    found = found.then(Restrict("y", "x", {"m": "n"}, "y := x: one sequence attends to itself"))
    one_role_each = Fill(
        {"score": by_keys, "readout": of_values},
        "a(q, k, v) → a(q, k) and g(k, v) → g(v): one annotation is a key, the other a value",
    )
    found = found.then(one_role_each)
    found = found.then(Choose({"k": "c"}, "queries and keys are equally wide"))
    found = found.then(Fill({"score": inner_product}, "a(q, k) → q·k: bilinear, of rank c"))
    linear = {"queries": to_queries, "keys": to_keys, "values": to_values, "output": to_output}
    found = found.then(Fill(linear, "q(x) → x·Wq, k(x) → x·Wk, v(x) → x·Wv, g(o) → o·Wo"))
    for rule in (mechanisms.scale_scores, mechanisms.add_heads, mechanisms.mask_the_future):
        found = found.then(rule)
    return found
