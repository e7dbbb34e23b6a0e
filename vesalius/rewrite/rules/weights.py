"""Weights: what may be merged, moved or left out when parameters are free.

Frozen weights are wires, and `sums` holds of them. For weights that are trained, a product of two
is as free as its rank lets it be; the witness says which weights give which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness, identity, zeros

if TYPE_CHECKING:
    from torch import Tensor

    State = Mapping[str, Tensor]
    Sizes = Mapping[str, int]

# -- merging --------------------------------------------------------------------------------------


def _score_matrix(p: State, sizes: Sizes) -> State:
    return {"w": p["wq"] @ p["wk"].T}


@rule("generalises", witness=Witness(to_right=_score_matrix))
def merge_queries_and_keys(x: "d", y: "f") -> "":
    """(x·Wq)·(y·Wk) → x·W·y, W = Wq·Wkᵀ: the rank of W is no longer bounded by the channels"""
    q, k = vs.linear(x, "d", "e", name="wq"), vs.linear(y, "f", "e", name="wk")
    w = vs.parameter("w", "d f")
    return vs.contract(q, k, over="e"), vs.contract(vs.contract(x, w, over="d"), y, over="f")


@worked(merge_queries_and_keys)
def scores_of_every_head(x: "n d", y: "m d") -> "h n m":
    q, k = vs.linear(x, "d", "h c", name="wq"), vs.linear(y, "d", "h c", name="wk")
    return vs.contract(q, k, over="c")


def _matrix_product(p: State, sizes: Sizes) -> State:
    return {"w": p["w1"] @ p["w2"]}


@rule("generalises", witness=Witness(to_right=_matrix_product))
def merge_two_maps(x: "d") -> "f":
    """x·W₁·W₂ → x·W, W = W₁·W₂; read backwards, a map of low rank"""
    hidden = vs.linear(x, "d", "e", name="w1")
    return vs.linear(hidden, "e", "f", name="w2"), vs.linear(x, "d", "f", name="w")


@worked(merge_two_maps)
def keys_from_a_latent(y: "m d") -> "m c":
    return vs.linear(vs.linear(y, "d", "r", name="down"), "r", "c", name="up")


def _scaled_rows(p: State, sizes: Sizes) -> State:
    return {"w_new": p["gain"].unsqueeze(1) * p["w"]}


def _unit_gain(p: State, sizes: Sizes) -> State:
    return {"w": p["w_new"], "gain": p["w_new"].new_ones(sizes["d"])}


@rule(
    "reparametrised",
    witness=Witness(to_right=_scaled_rows, to_left=_unit_gain),
    replaces={"w_new": "w gain"},
)
def gain_into_weight(x: "d") -> "e":
    """(x·γ)·W = x·W', W' = γ·W: the gain of a norm is the next map's"""
    gain, w = vs.parameter("gain", "d"), vs.parameter("w", "d e")
    return vs.contract(x * gain, w, over="d"), vs.contract(
        x, vs.parameter("w_new", "d e"), over="d"
    )


@worked(gain_into_weight)
def a_norm_and_a_map(x: "n d") -> "n h c":
    unit = x / vs.sqrt(vs.mean(x * x, "d") + 1e-6)
    return vs.linear(unit * vs.parameter("gain", "d", init="ones"), "d", "h c", name="wq")


def _stacked(p: State, sizes: Sizes) -> State:
    from torch import cat

    return {"w": cat([p["w1"], p["w2"]], 1)}


def _cut(p: State, sizes: Sizes) -> State:
    return {"w1": p["w"][:, : sizes["e"]], "w2": p["w"][:, sizes["e"] :]}


@rule("reparametrised", witness=Witness(to_right=_stacked, to_left=_cut))
def stack_two_maps(x: "d") -> "k:e+f":
    """[x·W₁ ; x·W₂] = x·W, W = [W₁ ; W₂]: one product for several projections of one input"""
    one, other = vs.linear(x, "d", "e", name="w1"), vs.linear(x, "d", "f", name="w2")
    return (
        vs.concat(one, other, over=("e", "f"), into="k"),
        vs.linear(x, "d", "k:e+f", name="w"),
    )


@worked(stack_two_maps)
def queries_beside_keys(x: "n d") -> "n k:2*c":
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(x, "d", "c", name="wk")
    return vs.concat(q, k, over="c", into="k")


# -- directions that do not matter ----------------------------------------------------------------


@rule("equal")
def gauge_of_channels(q: "c", k: "c", g: "c") -> "":
    """Σ_c (q·g)·(k/g) = Σ_c q·k, where no g is 0: queries and keys share their lengths"""
    return (
        vs.contract(q * g, k / g, over="c"),
        vs.like(vs.contract(q, k, over="c"), vs.sum(g, "c")),
    )


@worked(gauge_of_channels)
def balanced_scores(q: "n c", k: "m c", g: "c") -> "n m":
    return vs.contract(q * g, k / g, over="c")


@rule("equal")
def reflect_both(q: "c", k: "c", u: "c") -> "":
    """(H q)·(H k) = q·k, H = 1 − 2·u·uᵀ/‖u‖² a reflection; products of these are all rotations"""
    length = vs.contract(u, u, over="c")
    a, b = (x - 2 * vs.contract(x, u, over="c") / length * u for x in (q, k))
    return (
        vs.contract(a, b, over="c"),
        vs.like(vs.contract(q, k, over="c"), length),
    )


@worked(reflect_both)
def scores_of_reflected(q: "n c", k: "m c", u: "c") -> "n m":
    length = vs.contract(u, u, over="c")
    a, b = (x - 2 * vs.contract(x, u, over="c") / length * u for x in (q, k))
    return vs.contract(a, b, over="c")


# -- leaving out ----------------------------------------------------------------------------------


def _no_queries(p: State, sizes: Sizes) -> State:
    return {"wq": zeros(sizes["d"], sizes["c"])}


@rule("reduces", witness=Witness(to_left=_no_queries))
def attention_to_a_mean(x: "d", k: "m c", v: "m") -> "":
    """Σ_m softmax_m((x·Wq)·k)·v → mean_m v: Wq = 0 pools uniformly"""
    q = vs.linear(x, "d", "c", name="wq")
    scores = vs.contract(q, k, over="c")
    return (
        vs.contract(vs.softmax(scores, over="m"), v, over="m"),
        vs.like(vs.mean(v, "m"), vs.sum(scores, "m")),
    )


@worked(attention_to_a_mean)
def cross_attention(x: "n d", k: "m c", v: "m e") -> "n e":
    q = vs.linear(x, "d", "c", name="wq")
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


def _no_positions(p: State, sizes: Sizes) -> State:
    return {"w": zeros(sizes["n"], sizes["m"])}


@rule("reduces", witness=Witness(to_left=_no_positions))
def positions_left_out(k: "m") -> "n m":
    """softmax_m(w_nm + k_m) → softmax_m(k_m): w = 0 (AFT-simple, arXiv 2105.14103)"""
    w = vs.parameter("w", "n m")
    return vs.softmax(w + k, over="m"), vs.like(vs.softmax(k, over="m"), w)


@worked(positions_left_out)
def attention_free_with_positions(k: "m e", v: "m e") -> "n e":
    w = vs.parameter("positions", "n m")
    return vs.contract(vs.softmax(w + k, over="m"), v, over="m")


def _all_but_one(p: State, sizes: Sizes) -> State:
    """The other heads are not read."""
    w = p["w1"]
    heads = w.new_zeros(sizes["h"], *w.shape)
    heads[0] = w
    return {"w": heads}


@rule("reduces", witness=Witness(to_left=_all_but_one))
def read_one_head(o: "h e") -> "f":
    """Σ_he o·W → Σ_e o₀·W₁: the other heads have weights 0"""
    first = vs.sum(vs.slice(o, "h", 0, length=1), "h")
    return vs.linear(o, "h e", "f", name="w"), vs.linear(first, "e", "f", name="w1")


@worked(read_one_head)
def joined_heads(o: "n h e") -> "n d":
    return vs.linear(o, "h e", "d", name="wo")


# -- mixing of tokens -----------------------------------------------------------------------------


def _identity(p: State, sizes: Sizes) -> State:
    return {"map": identity(sizes["m"])}


@rule("generalises", witness=Witness(to_right=_identity))
def keys_through_a_map(q: "c", k: "m c", v: "m") -> "":
    """keys and values of tokens → of learned mixtures of tokens, as many (Linformer, 2006.04768)

    The map is the identity. With fewer mixtures than tokens it is another function.
    """
    mixture = vs.parameter("map", "m s:m")

    def mixed(x: Wire) -> Wire:
        return vs.contract(x, mixture, over="m").rename(s="m")

    def attended(keys: Wire, values: Wire) -> Wire:
        weights = vs.softmax(vs.contract(q, keys, over="c"), over="m")
        return vs.contract(weights, values, over="m")

    return attended(k, v), attended(mixed(k), mixed(v))


@worked(keys_through_a_map)
def attention_to_tokens(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


def _cosines(p: State, sizes: Sizes) -> State:
    """cos(2π·(n·i/|n| + d·j/|d|)), the real part of a product of two transforms."""
    from math import pi

    from torch import arange, cos, float64

    n, d = (arange(sizes[name], dtype=float64) for name in "nd")
    rows, columns = n[:, None] * n / max(sizes["n"], 1), d[:, None] * d / max(sizes["d"], 1)
    turns = rows[:, None, :, None] + columns[None, :, None, :]
    return {"w": cos(2 * pi * turns)}


@rule("reduces", witness=Witness(to_left=_cosines))
def learned_mixing_to_spectra(x: "n d") -> "i:n j:d":
    """Σ_nd x·W → the real part of the transform over n and d (FNet, arXiv 2105.03824)"""
    w = vs.parameter("w", "n d i:n j:d")
    spectrum = vs.fourier(*vs.fourier(x, over="d"), over="n")[0]
    return (
        vs.contract(x, w, over="n d"),
        vs.like(spectrum.rename(n="i", d="j"), vs.sum(w, "n d i j")),
    )


@worked(learned_mixing_to_spectra)
def mixing_of_tokens_and_channels(x: "t e") -> "i:t j:e":
    return vs.contract(x, vs.parameter("mixing", "t e i:t j:e"), over="t e")


def _every_token(p: State, sizes: Sizes) -> State:
    return {"w": identity(sizes["m"])}


@rule("reduces", witness=Witness(to_left=_every_token))
def summaries_to_tokens(k: "m") -> "s:m":
    """Σ_m k·W → k: as many learned summaries as tokens may be the tokens (arXiv 2006.04768)"""
    w = vs.parameter("w", "m s:m")
    return vs.contract(k, w, over="m"), vs.like(k.rename(m="s"), vs.sum(w, "m s"))


@worked(summaries_to_tokens)
def summaries_of_keys(k: "m c") -> "s:m c":
    return vs.contract(k, vs.parameter("over_keys", "m s:m"), over="m")
