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


# -- decays instead of normalisers ----------------------------------------------------------------


@rule("variant")
def softmax_to_decay(s: "n m:n") -> "n m:n":
    """softmax_m(s where m ≤ n, −∞ elsewhere) → s·γ^(n − m) where m ≤ n, 0 elsewhere

    No normaliser, and a decay by distance (Retentive Network, arXiv 2307.08621). γ = σ(g) with a
    parameter g; the paper fixes a γ for each head.
    """
    n, m = vs.iota("n"), vs.iota("m:n")
    rate = vs.log(vs.sigmoid(vs.parameter("decay", "", init="zeros")))
    faded = s * vs.exp(rate * vs.to_float(n - m))
    hidden = vs.where(m <= n, s, float("-inf"))
    return vs.softmax(hidden, over="m"), vs.where(m <= n, faded, 0.0)


@worked(softmax_to_decay)
def attention_before_a_decay(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    hidden = vs.where(vs.iota("m:n") <= vs.iota("n"), vs.contract(q, k, over="c"), float("-inf"))
    return vs.contract(vs.softmax(hidden, over="m"), v, over="m")


# -- positions instead of queries -----------------------------------------------------------------


@rule("variant", replaces={"w": "", "gate": "wq", "keys": "wk"})
def softmax_to_attention_free(x: "n d", y: "m g") -> "n e":
    """Σ_m softmax_m(q·k/√c)·v → σ(q)·Σ_m softmax_m(w_nm + k)·v, channel by channel

    Of the query only a gate is left; w is a parameter for each pair of positions (An Attention
    Free Transformer, arXiv 2105.14103). Queries and keys have the channels of the values.
    """
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(y, "g", "c", name="wk")
    v = vs.linear(y, "g", "e", name="wv")
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    gate, keys = vs.linear(x, "d", "e", name="gate"), vs.linear(y, "g", "e", name="keys")
    alone = vs.parameter("w", "n m", fan="m") + keys
    return (
        vs.contract(vs.softmax(scores, over="m"), v, over="m"),
        vs.sigmoid(gate) * vs.contract(vs.softmax(alone, over="m"), v, over="m"),
    )


@worked(softmax_to_attention_free)
def a_layer_of_attention(x: "n d", y: "m d") -> "n e":
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(y, "d", "c", name="wk")
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), over="m")
    return vs.contract(weights, vs.linear(y, "d", "e", name="wv"), over="m")


def _fading_table(p: State, sizes: Mapping[str, int]) -> State:
    """−(n − 1 − m)·w before the present, u at it; what comes later is hidden."""
    from torch import arange, where

    n = arange(sizes["n"])
    ago = (n[:, None] - 1 - n[None, :]).to(p["rate"].dtype)
    return {"w": where(ago < 0, p["bonus"], -p["rate"] * ago)}


@rule("reduces", witness=Witness(to_left=_fading_table), replaces={"rate": "w", "bonus": "w"})
def positions_to_a_decay(k: "m:n") -> "n m:n":
    """softmax_m(w_nm + k_m) → softmax_m(−(n−1−m)·w + k_m), and u for m = n; hidden where m > n

    A decay and a bonus for each channel (RWKV, arXiv 2305.13048).
    """
    n, m = vs.iota("n"), vs.iota("m:n")
    low = float("-inf")
    table = vs.where(m <= n, vs.parameter("w", "n m:n", fan="m"), low)
    rate, bonus = vs.parameter("rate", ""), vs.parameter("bonus", "")
    ago = vs.to_float(n - 1 - m)
    fading = vs.where(m < n, -(rate * ago), vs.where(vs.equal(m, n), bonus, low))
    return vs.softmax(table + k, over="m"), vs.softmax(fading + k, over="m")


@worked(positions_to_a_decay)
def causal_attention_free(k: "m:n e", v: "m:n e") -> "n e":
    w = vs.parameter("positions", "n m:n e", fan="m")
    seen = vs.where(vs.iota("m:n") <= vs.iota("n"), w, float("-inf"))
    return vs.contract(vs.softmax(seen + k, over="m"), v, over="m")
