"""Attention in which heads share keys, talk to each other, are subtracted or squeezed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, HEADS, SOFTMAX
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, explicit
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram

SHAZEER = Paper(
    "Fast Transformer Decoding: One Write-Head is All You Need", "Shazeer", 2019, "1911.02150"
)
AINSLIE = Paper(
    "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
    "Ainslie, Lee-Thorp, de Jong, Zemlyanskiy, Lebrón, Sanghai",
    2023,
    "2305.13245",
)
TALKING = Paper("Talking-Heads Attention", "Shazeer, Lan, Cheng, Ding, Hou", 2020, "2003.02436")
DEEPSEEK = Paper(
    "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model",
    "DeepSeek-AI",
    2024,
    "2405.04434",
)
YE = Paper("Differential Transformer", "Ye, Dong, Xia, Sun, Zhu, Huang, Wei", 2024, "2410.05258")
OLMO = Paper("2 OLMo 2 Furious", "OLMo Team", 2025, "2501.00656")
GPT_OSS = Paper("gpt-oss-120b & gpt-oss-20b Model Card", "OpenAI", 2025, "2508.10925")

OF_ITSELF: dict[str, Part] = {**HEADS, "preparation": parts.self_projections}


def self_attention(name: str, stands: dict[str, Part]) -> Callable[..., Diagram]:
    """The builder of a mechanism from a sequence x [n, d] to one like it."""
    return explicit(name, {"x": "n d"}, "n d", stands)


def enter(
    name: str, title: str, paper: Paper, formula: str, check: str, **stands: Part
) -> Mechanism:
    """Enter multi-head attention with some parts in the place of its own."""
    ordered = {slot: stands.get(slot, part) for slot, part in OF_ITSELF.items()} | stands
    build = self_attention(name, ordered)
    return CATALOGUE.enter(
        Mechanism(name, title, paper, formula, ordered, build, implied=CHANNELS, check=check)
    )


enter(
    "multi_query",
    "Multi-query attention",
    SHAZEER,
    "z[n,d] = Σ_he (Σ_m softmax_m(Σ_c q[h,n,c]·k[m,c] / √c)·v[m,e])·W_o[h,e,d], "
    "with q = x·W_q, k = x·W_k, v = x·W_v",
    "torch",
    preparation=parts.one_key,
)
enter(
    "grouped_query",
    "Grouped-query attention",
    AINSLIE,
    "z[n,d] = Σ_ghe (Σ_m softmax_m(Σ_c q[g,h,n,c]·k[g,m,c] / √c)·v[g,m,e])·W_o[g,h,e,d], "
    "with q = x·W_q, k = x·W_k, v = x·W_v, h/g heads in each of g groups",
    "torch",
    preparation=parts.grouped_keys,
    output=parts.join_groups,
)
enter(
    "talking_heads",
    "Talking-heads attention",
    TALKING,
    "z[n,d] = Σ_fe (Σ_m Σ_g softmax_m(Σ_h P[h,g]·s[h,n,m])·R[g,f]·v[f,m,e])·W_o[f,e,d], "
    "s = Σ_c q[h,n,c]·k[h,m,c] / √c",
    "x-transformers",
    similarity=parts.mixed_dot,
    normaliser=parts.talking_softmax,
)
enter(
    "sink",
    "Attention with a learned sink",
    GPT_OSS,
    "o[h,n,e] = Σ_m exp(s[h,n,m])·v[h,m,e] / (exp(b[h]) + Σ_m exp(s[h,n,m])), "
    "s = Σ_c q[h,n,c]·k[h,m,c] / √c",
    "transformers",
    normaliser=parts.sink,
)
enter(
    "joint_qk_norm",
    "Attention with queries and keys normed over all heads",
    OLMO,
    "o[h,n,e] = Σ_m softmax_m(Σ_c q̂[h,n,c]·k̂[h,m,c] / √c)·v[h,m,e], "
    "q̂ = q·a / √(mean_hc q² + 10⁻⁶), k̂ = k·b / √(mean_hc k² + 10⁻⁶)",
    "transformers",
    preparation=parts.jointly_normed,
)


def latent(
    *,
    low_rank_queries: bool = False,
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Keys and values from a short vector; queries from another one with `low_rank_queries`."""
    prepared = partial(parts.latent, low_rank_queries=low_rank_queries)
    build = self_attention("latent", {**LATENT, "preparation": prepared})
    return build(causal=causal, padding=padding, mask=mask)


LATENT: dict[str, Part] = {**OF_ITSELF, "preparation": parts.latent}
CATALOGUE.enter(
    Mechanism(
        "latent",
        "Multi-head latent attention",
        DEEPSEEK,
        "z[n,d] = Σ_he (Σ_m softmax_m((q·k + q'·k') / √(c+u))·v[h,m,e])·W_o[h,e,d], "
        "k = l·W_uk and v = l·W_uv from l = rms(x·W_down), q' and k' rotated, k' without heads",
        LATENT,
        latent,
        implied=CHANNELS,
        check="transformers",
    )
)


def differential(
    *, depth: int = 1, causal: bool = False, padding: bool = False, mask: bool = False
) -> Diagram:
    """Differential attention; λ starts higher in a layer of greater `depth`, counted from 1."""
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise FormatError(f"differential: depth is a positive integer, not {depth!r}")
    stands: dict[str, Part] = {**DIFFERENTIAL, "gate": partial(parts.difference, depth=depth)}
    build = self_attention("differential", stands)
    return build(causal=causal, padding=padding, mask=mask)


DIFFERENTIAL: dict[str, Part] = {
    "preparation": parts.two_queries,
    "similarity": parts.scaled_dot,
    **SOFTMAX,
    "gate": parts.difference,
    "output": parts.join_heads,
}
CATALOGUE.enter(
    Mechanism(
        "differential",
        "Differential attention",
        YE,
        "o[h,n] = (1 − λ₁)·rms_e(Σ_m (a[0,h,n,m] − λ·a[1,h,n,m])·v[h,m]), "
        "a = softmax_m(Σ_c q[s,h,n,c]·k[s,h,m,c] / √c), "
        "λ = exp(λ_q[0]·λ_k[0]) − exp(λ_q[1]·λ_k[1]) + λ₁, λ₁ = 0.8 − 0.6·exp(−0.3·(depth − 1))",
        DIFFERENTIAL,
        differential,
        implied={"c": "d/(2*h)", "e": "2*c"},
        check="transformers",
    )
)
