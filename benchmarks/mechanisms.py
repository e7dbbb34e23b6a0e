"""The mechanisms that `attention.py` measures: a diagram, the naive text, the best by hand.

Every function takes the tensors of `shapes`, batches and heads first. `naive` is the text of the
formula; `best` is the fastest form that we know how to write by hand with torch's own operators,
None where that is the naive text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

import vesalius as vs

Function = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Mechanism:
    """One function to compute, by several hands; `shapes` are texts such as `"b h n c"`."""

    name: str
    diagram: Any
    naive: Function
    best: Function | None
    shapes: tuple[str, ...] = ("b h n c", "b h m c", "b h m e")
    to_best: float | None = None  # how close to the best by hand we mean to be
    to_naive: float | None = None  # how far ahead of the naive text


def dot(q: Any, k: Any) -> Any:
    """Σ_c q·k"""
    return vs.contract(q, k, over="c")


def scaled(q: Any, k: Any) -> Any:
    """Σ_c q·k / √c"""
    return dot(q, k) / vs.sqrt(vs.size("c"))


def mixed(scores: Any, v: Any) -> Any:
    """Σ_m softmax_m(scores)·v"""
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def up_to_now(scores: Any) -> Any:
    """Scores of keys that come later are −∞."""
    return vs.where(vs.iota("m") <= vs.iota("n"), scores, float("-inf"))


def future(scores: torch.Tensor) -> torch.Tensor:
    """Where a key comes later than the query."""
    n, m = scores.shape[-2:]
    return torch.ones(n, m, dtype=torch.bool, device=scores.device).triu(1)


# -- softmax, in several spellings ----------------------------------------------------------------


@vs.diagram
def softmax(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return mixed(scaled(q, k), v)


@vs.diagram
def scale_on_queries(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return mixed(dot(q / vs.sqrt(vs.size("c")), k), v)


@vs.diagram
def exponentials(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = scaled(q, k)
    e = vs.exp(scores - vs.max(scores, "m"))
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


def naive_softmax(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


def naive_exponentials(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula, spelled out."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    e = torch.exp(scores - scores.amax(-1, keepdim=True))
    return e @ v / e.sum(-1, keepdim=True)


def sdpa(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The fused kernel."""
    return F.scaled_dot_product_attention(q, k, v)


@vs.diagram
def causal(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return mixed(up_to_now(scaled(q, k)), v)


@vs.diagram
def causal_added(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    mask = vs.where(vs.iota("n") - vs.iota("m") >= 0, 0.0, float("-inf"))
    return mixed(dot(q, k / vs.sqrt(vs.size("c"))) + mask, v)


def naive_causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return torch.softmax(scores.masked_fill(future(scores), -torch.inf), -1) @ v


def sdpa_causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The fused kernel."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@vs.diagram
def grouped(q: "b k g n c", key: "b k m c", v: "b k m e") -> "b k g n e":
    return mixed(scaled(q, key), v)


def naive_grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula, keys and values broadcast."""
    return torch.softmax(q @ k[:, :, None].mT / q.shape[-1] ** 0.5, -1) @ v[:, :, None]


def sdpa_grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The fused kernel, which shares heads."""
    out = F.scaled_dot_product_attention(q.flatten(1, 2), k, v, enable_gqa=True)
    return out.unflatten(1, q.shape[1:3])


# -- algebra before the kernel --------------------------------------------------------------------


@vs.diagram
def cosine(q: "b h n c", k: "b h m c", v: "b h m e", tau: "h") -> "b h n e":
    def norm(x: Any) -> Any:
        return vs.sqrt(vs.sum(x * x, "c"))

    return mixed(tau * dot(q, k) / (norm(q) * norm(k)), v)


def naive_cosine(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, tau: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    norms = q.norm(dim=-1)[..., None] * k.norm(dim=-1)[..., None, :]
    return torch.softmax(tau[:, None, None] * (q @ k.mT) / norms, -1) @ v


def sdpa_cosine(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, tau: torch.Tensor
) -> torch.Tensor:
    """Queries and keys of unit length, then the fused kernel."""
    q = F.normalize(q, dim=-1) * tau[:, None, None]
    return F.scaled_dot_product_attention(q, F.normalize(k, dim=-1), v, scale=1.0)


@vs.diagram
def alibi(q: "b h n c", k: "b h m c", v: "b h m e", slope: "h") -> "b h n e":
    return mixed(up_to_now(scaled(q, k) - slope * (vs.iota("n") - vs.iota("m"))), v)


def naive_alibi(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    n, m = scores.shape[-2:]
    far = torch.arange(n, device=q.device)[:, None] - torch.arange(m, device=q.device)
    scores = scores - slope[:, None, None] * far
    return torch.softmax(scores.masked_fill(future(scores), -torch.inf), -1) @ v


def sdpa_alibi(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    """Positions as further channels of the keys, then the fused kernel: no mask at all."""
    b, h, m, c = k.shape
    places = torch.arange(m, device=q.device, dtype=torch.float32)
    high = torch.floor(places / 256) * 256
    wide_q, wide_k = q.new_zeros(b, h, q.shape[2], c + 8), k.new_zeros(b, h, m, c + 8)
    wide_q[..., :c], wide_q[..., c : c + 2] = q * c**-0.5, slope[:, None, None]
    wide_k[..., :c], wide_k[..., c], wide_k[..., c + 1] = k, high, places - high
    v = F.pad(v, (0, c + 8 - v.shape[-1]))
    out = F.scaled_dot_product_attention(wide_q, wide_k, v, is_causal=True, scale=1.0)
    return out[..., :c]


HEADS = ("b h n c", "b h m c", "b h m e", "h")

MECHANISMS = [
    Mechanism("softmax", softmax, naive_softmax, sdpa, to_best=1.05),
    Mechanism("softmax, scale on q", scale_on_queries, naive_softmax, sdpa, to_best=1.05),
    Mechanism("softmax, exponentials", exponentials, naive_exponentials, sdpa, to_best=1.05),
    Mechanism("causal", causal, naive_causal, sdpa_causal, to_best=1.05),
    Mechanism("causal, mask added", causal_added, naive_causal, sdpa_causal, to_best=1.05),
    Mechanism(
        "grouped heads",
        grouped,
        naive_grouped,
        sdpa_grouped,
        ("b k g n c", "b k m c", "b k m e"),
        to_best=1.05,
    ),
    Mechanism("cosine", cosine, naive_cosine, sdpa_cosine, HEADS, to_best=1.15, to_naive=1 / 2.5),
    Mechanism(
        "causal ALiBi", alibi, naive_alibi, sdpa_alibi, HEADS, to_best=1.15, to_naive=1 / 2.5
    ),
]
