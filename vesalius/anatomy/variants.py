"""Attention with another similarity or another normaliser: each is a few lines that name parts."""

from __future__ import annotations

import math
from typing import Literal, get_args

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SOFTMAX, enter
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
    mask_inputs,
)
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among
from vesalius.diagrams.wire import Wire

HENRY = Paper(
    "Query-Key Normalization for Transformers",
    "Henry, Dachapally, Pawar, Chen",
    2020,
    "2010.04245",
)
DEHGHANI = Paper(
    "Scaling Vision Transformers to 22 Billion Parameters",
    "Dehghani and others",
    2023,
    "2302.05442",
)
RAMSAUER = Paper(
    "Hopfield Networks is All You Need",
    "Ramsauer, Schäfl, Lehner, Seidl, Widrich, Adler, Gruber, Holzleitner, Pavlović, Sandve, "
    "Greiff, Kreil, Kopp, Klambauer, Brandstetter, Hochreiter",
    2020,
    "2008.02217",
)
GEMMA = Paper(
    "Gemma 2: Improving Open Language Models at a Practical Size",
    "Gemma Team",
    2024,
    "2408.00118",
)
RAMAPURAM = Paper(
    "Theory, Analysis, and Best Practices for Sigmoid Self-Attention",
    "Ramapuram, Danieli, Dhekane, Weers, Busbridge, Ablin, Likhomanenko, Digani, Gu, Shidani, Webb",
    2024,
    "2409.04431",
)
WORTSMAN = Paper(
    "Replacing softmax with ReLU in Vision Transformers",
    "Wortsman, Lee, Gilmer, Kornblith",
    2023,
    "2309.08586",
)
HUA = Paper("Transformer Quality in Linear Time", "Hua, Dai, Liu, Le", 2022, "2202.10447")
XIAO = Paper(
    "Efficient Streaming Language Models with Attention Sinks",
    "Xiao, Tian, Chen, Han, Lewis",
    2023,
    "2309.17453",
)
ABBOTT = Paper(
    "Accelerating Machine Learning Systems via Category Theory: Applications to Spherical "
    "Attention for Gene Regulatory Networks",
    "Abbott, Kamiya, Glowacki, Atsumi, Zardini, Maruyama",
    2025,
    "2505.09326",
)


def variant(
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    cacheable: str = "",
    check: str = "transcription",
    **stands: Part,
) -> Mechanism:
    """Enter scaled dot-product attention with some parts in the place of its own.

    `stands` are functions on wires, by slot: `preparation(q, k, v)` makes queries {n, c}, keys
    {m, c} and values {m, e}; `similarity(q, k)` scores {n, m}; `mask(q, k, causal=…, keep=…)`
    truth values {n, m}, or None; `normaliser(scores, allowed)` weights {n, m};
    `mixing(weights, v)` the output {n, e}. Raises `FormatError` for another slot and for a name
    that is taken.
    """
    usual: dict[str, Part] = {"similarity": parts.scaled_dot, **SOFTMAX}
    all_parts = {"preparation": parts.given, **usual, **stands}
    claims = {"cacheable": cacheable, "check": check}
    return enter(name, title, paper, formula, QKV, "n e", all_parts, **claims)


variant(
    "cosine",
    "Cosine attention",
    HENRY,
    "o[n,e] = Σ_m softmax_m(g·Σ_c q[n,c]·k[m,c] / (|q[n]|·|k[m]|))·v[m,e]",
    similarity=parts.cosine,
)


def qk_norm(
    *,
    norm: Norm = "rms",
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Queries and keys normed over their channels, in each head."""
    if norm not in get_args(Norm):
        raise FormatError(among("qk_norm: norm", get_args(Norm), norm))
    stands = {**NORMED, "preparation": parts.rms_normed if norm == "rms" else parts.layer_normed}
    return explicit("qk_norm", QKV, "n e", stands)(causal=causal, padding=padding, mask=mask)


def hopfield(
    *,
    steps: int = 3,
    beta: float | str | None = None,
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """The state s falls towards the patterns y in so many steps; one of them is attention.

    `beta`, the inverse temperature, is 1/√c unless it is a number, or `learned`: one for all steps,
    at first 1/√c. The larger it is, the fewer patterns a state is drawn to.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise FormatError(f"hopfield: steps is a positive integer, not {steps!r}")
    number = isinstance(beta, int | float) and not isinstance(beta, bool) and 0 < beta < math.inf
    if beta not in (None, "learned") and not number:
        raise FormatError(f"hopfield: beta is a positive number or 'learned', not {beta!r}")

    def body(s: Wire, y: Wire, keep: Wire | None = None, mask: Wire | None = None) -> Wire:
        s, k, v = HOPFIELD["preparation"](s, y)
        allowed = HOPFIELD["mask"](s, k, causal=causal, keep=keep)
        warmth = parts.learned_scale() if beta == "learned" else beta
        for _ in range(steps):
            scores = HOPFIELD["similarity"](s, k, warmth)
            scores = scores if mask is None else scores + mask
            s = HOPFIELD["mixing"](HOPFIELD["normaliser"](scores, allowed), v)
        return s

    masks = mask_inputs("m", padding, mask)
    return diagram_of("hopfield", {"s": "n c", "y": "m c", **masks}, "n c", body)


Norm = Literal["rms", "layer"]
NORMED: dict[str, Part] = {
    "preparation": parts.rms_normed,
    "similarity": parts.scaled_dot,
    **SOFTMAX,
}
HOPFIELD: dict[str, Part] = {
    **NORMED,
    "preparation": parts.memory,
    "similarity": parts.tempered_dot,
}

CATALOGUE.enter(
    Mechanism(
        "qk_norm",
        "Attention with normed queries and keys",
        DEHGHANI,
        "o[n,e] = Σ_m softmax_m(Σ_c q̂[n,c]·k̂[m,c] / √c)·v[m,e], "
        "q̂ = q·a / √(mean_c q² + 10⁻⁶), k̂ = k·b / √(mean_c k² + 10⁻⁶)",
        NORMED,
        qk_norm,
        check="transformers",
    )
)
CATALOGUE.enter(
    Mechanism(
        "hopfield",
        "Modern Hopfield network",
        RAMSAUER,
        "s[n,c] ← Σ_m softmax_m(β·Σ_c s[n,c]·y[m,c])·y[m,c], three times, β = 1/√c",
        HOPFIELD,
        hopfield,
    )
)
variant(
    "softcap",
    "Attention with capped scores",
    GEMMA,
    "o[n,e] = Σ_m softmax_m(50·tanh(Σ_c q[n,c]·k[m,c] / (50·√c)))·v[m,e]",
    check="x-transformers",
    similarity=parts.softcapped_dot,
)
variant(
    "sigmoid",
    "Sigmoid attention",
    RAMAPURAM,
    "o[n,e] = Σ_m σ(Σ_c q[n,c]·k[m,c] / √c − log |m|)·v[m,e]",
    cacheable="never",
    normaliser=parts.sigmoid,
)
variant(
    "relu",
    "ReLU attention",
    WORTSMAN,
    "o[n,e] = Σ_m relu(Σ_c q[n,c]·k[m,c] / √c)·v[m,e] / |m|",
    cacheable="never",
    normaliser=parts.relu_by_length,
)
variant(
    "relu_squared",
    "Squared ReLU attention, normalised",
    HUA,
    "o[n,e] = Σ_m r[n,m]·v[m,e] / (Σ_m r[n,m] + 10⁻⁶), r = relu(Σ_c q[n,c]·k[m,c] / √c)²",
    normaliser=parts.squared_relu,
)
variant(
    "softmax_one",
    "Attention that may look at nothing",
    XIAO,
    "o[n,e] = Σ_m exp(s[n,m])·v[m,e] / (1 + Σ_m exp(s[n,m])), s = Σ_c q[n,c]·k[m,c] / √c",
    check="x-transformers",
    normaliser=parts.softmax_one,
)
variant(
    "spherical",
    "Spherical attention",
    ABBOTT,
    "o[n,e] = Σ_m s[n,m]·v[m,e] / √(Σ_m s[n,m]² + 10⁻⁶), s = Σ_c q[n,c]·k[m,c] / √c",
    normaliser=parts.spherical,
)
