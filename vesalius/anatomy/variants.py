"""Attention with another similarity or another normaliser: each is a few lines that name parts."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SOFTMAX, enter
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import Paper, Part

HENRY = Paper(
    "Query-Key Normalization for Transformers",
    "Henry, Dachapally, Pawar, Chen",
    2020,
    "2010.04245",
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
) -> None:
    """Scaled dot-product attention with some parts in the place of its own."""
    usual: dict[str, Part] = {"similarity": parts.scaled_dot, **SOFTMAX}
    all_parts = {"preparation": parts.given, **usual, **stands}
    enter(name, title, paper, formula, QKV, "n e", all_parts, cacheable=cacheable, check=check)


variant(
    "cosine",
    "Cosine attention",
    HENRY,
    "o[n,e] = Σ_m softmax_m(g·Σ_c q[n,c]·k[m,c] / (|q[n]|·|k[m]|))·v[m,e]",
    similarity=parts.cosine,
)
variant(
    "softcap",
    "Attention with capped scores",
    GEMMA,
    "o[n,e] = Σ_m softmax_m(50·tanh(Σ_c q[n,c]·k[m,c] / (50·√c)))·v[m,e]",
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
    normaliser=parts.softmax_one,
)
variant(
    "spherical",
    "Spherical attention",
    ABBOTT,
    "o[n,e] = Σ_m s[n,m]·v[m,e] / √(Σ_m s[n,m]² + 10⁻⁶), s = Σ_c q[n,c]·k[m,c] / √c",
    normaliser=parts.spherical,
)
