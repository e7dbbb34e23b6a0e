"""Between mechanisms: steps that no algebra gives, with what relates the two sides.

The exact ones come with a witness; the others swap one part for another and promise nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor]

# -- queries and heads ----------------------------------------------------------------------------


def _stretched(p: State, sizes: Mapping[str, int]) -> State:
    return {"wq": p["wq"] * sqrt(sizes["c"])}


def _shrunk(p: State, sizes: Mapping[str, int]) -> State:
    return {"wq": p["wq"] / sqrt(sizes["c"])}


@rule("reparametrised", witness=Witness(to_left=_shrunk, to_right=_stretched))
def scale_scores(x: "d", k: "c") -> "":
    """(x·Wq)·k = (x·W'q)·k / √c, W'q = √c·Wq"""
    scores = vs.contract(vs.linear(x, "d", "c", name="wq"), k, over="c")
    return scores, scores / vs.sqrt(vs.size("c"))


@worked(scale_scores)
def unscaled_scores(x: "n d", k: "m c") -> "n m":
    return vs.contract(vs.linear(x, "d", "c", name="wq"), k, over="c")


def _first_head(p: State, sizes: Mapping[str, int]) -> State:
    """One head, and others that are not read."""
    heads = {
        f"{name}_heads": p[name].unsqueeze(1).expand(-1, sizes["h"], -1)
        for name in ("wq", "wk", "wv")
    }
    wo = p["wo"].new_zeros(sizes["h"], *p["wo"].shape)
    wo[0] = p["wo"]
    return {**heads, "wo_heads": wo}


@rule(
    "generalises",
    witness=Witness(to_right=_first_head),
    replaces={"wq_heads": "wq", "wk_heads": "wk", "wv_heads": "wv", "wo_heads": "wo"},
    free="h",
)
def add_heads(x: "d", y: "m g") -> "f":
    """one head → h heads, summed by Wo: W'o is Wo for the first head and 0 for the others"""

    def attended(heads: str, name: str):  # type: ignore[no-untyped-def]
        q = vs.linear(x, "d", f"{heads} c", name=f"wq{name}")
        k = vs.linear(y, "g", f"{heads} c", name=f"wk{name}")
        v = vs.linear(y, "g", f"{heads} e", name=f"wv{name}")
        weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), over="m")
        o = vs.contract(weights, v, over="m")
        return vs.linear(o, f"{heads} e", "f", name=f"wo{name}")

    return attended("", ""), attended("h", "_heads")


@worked(add_heads)
def a_single_head(x: "n d", y: "m d") -> "n f":
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(y, "d", "c", name="wk")
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), over="m")
    mixed = vs.contract(weights, vs.linear(y, "d", "e", name="wv"), over="m")
    return vs.linear(mixed, "e", "f", name="wo")


# -- masks ----------------------------------------------------------------------------------------


@rule("variant")
def mask_the_future(s: "n m:n") -> "n m:n":
    """softmax_m(s) → softmax_m(s where m ≤ n, −∞ elsewhere)"""
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.softmax(s, over="m"), vs.softmax(vs.where(seen, s, float("-inf")), over="m")


@worked(mask_the_future)
def attention_over_all_positions(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")
