"""The mechanisms that `attention.py` measures: a diagram, the naive text, the best by hand.

Every function takes the tensors of `shapes`, batches and heads first. `naive` is the text of the
formula; `best` is the fastest form that we know how to write by hand with torch's own operators,
None where that is the naive text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flexible
import torch
import torch.nn.functional as F
from floor import (
    CAUSAL,
    PAIRS,
    Least,
    OfPairs,
    Sizes,
    earlier,
    of_additive,
    within,
)

import vesalius as vs

Function = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Mechanism:
    """One function to compute, by several hands.

    `shapes` are texts such as `"b h n c"`; `"b n int"` is the number of the document at
    each position, for documents of different lengths one after another.
    """

    name: str
    diagram: Any
    naive: Function
    best: Function | None
    shapes: tuple[str, ...] = ("b h n c", "b h m c", "b h m e")
    to_best: float | None = None  # how close to the best by hand we mean to be
    to_naive: float | None = None  # how far ahead of the naive text
    flexible: Function | None = None  # the best on a GPU: flex_attention, written by hand
    least: int = 1  # the shortest and the longest length that says something
    longest: int = 1 << 20
    others: dict[str, Function] = field(default_factory=dict)  # what else people write by hand
    floor: Callable[[Sizes], Least] = PAIRS  # what has to be done at the least


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


# -- other scores, normalisers and masks ----------------------------------------------------------


def row(weights: Any) -> Any:
    """Weights divided by their sum over the keys."""
    return weights / (vs.sum(weights, "m") + 1e-6)


@vs.diagram
def relu_squared(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return vs.contract(row(vs.power(vs.relu(scaled(q, k)), 2)), v, over="m")


def naive_relu_squared(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    weights = torch.relu(q @ k.mT / q.shape[-1] ** 0.5) ** 2
    return weights / (weights.sum(-1, keepdim=True) + 1e-6) @ v


@vs.diagram
def sigmoid(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return vs.contract(vs.sigmoid(scaled(q, k)) / vs.size("m"), v, over="m")


def naive_sigmoid(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    return torch.sigmoid(q @ k.mT / q.shape[-1] ** 0.5) / k.shape[-2] @ v


@vs.diagram
def softcap(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return mixed(up_to_now(20 * vs.tanh(scaled(q, k) / 20)), v)


def naive_softcap(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    scores = 20 * torch.tanh(q @ k.mT / q.shape[-1] ** 0.5 / 20)
    return torch.softmax(scores.masked_fill(future(scores), -torch.inf), -1) @ v


@vs.diagram
def window(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    far = vs.iota("n") - vs.iota("m")
    return mixed(vs.where((far >= 0) & (far < 256), scaled(q, k), float("-inf")), v)


def naive_window(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    n, m = scores.shape[-2:]
    far = torch.arange(n, device=q.device)[:, None] - torch.arange(m, device=q.device)
    hidden = (far < 0) | (far >= 256)
    return torch.softmax(scores.masked_fill(hidden, -torch.inf), -1) @ v


def sdpa_window(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Each block of queries beside its own block of keys and the one before, then the kernel."""
    b, h, n, _ = q.shape
    width = 256
    if n % width:
        return naive_window(q, k, v)
    blocks = n // width
    keys, values = (F.pad(x, (0, 0, width, 0)).unfold(2, 2 * width, width).mT for x in (k, v))
    far = torch.arange(width)[:, None] + width - torch.arange(2 * width)
    shown = ((far >= 0) & (far < width)).to(q.device)
    first = shown & (torch.arange(2 * width) >= width).to(q.device)
    mask = torch.cat([first[None], shown.expand(blocks - 1, -1, -1)])
    out = F.scaled_dot_product_attention(
        q.unflatten(2, (blocks, width)).flatten(0, 1),
        keys.flatten(0, 1),
        values.flatten(0, 1),
        attn_mask=mask,
    )
    return out.unflatten(0, (b, h)).flatten(2, 3)


@vs.diagram
def relative(q: "b h n c", k: "b h n c", v: "b h n e", table: "h n") -> "b h n e":
    k, v = k.rename(n="m"), v.rename(n="m")
    far = vs.iota("n") - vs.iota("m:n")
    bias = vs.gather(table.rename(n="far"), vs.where(far >= 0, far, 0), "far")
    return mixed(vs.where(far >= 0, scaled(q, k) + bias, float("-inf")), v)


def naive_relative(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    n, m = scores.shape[-2:]
    far = torch.arange(n, device=q.device)[:, None] - torch.arange(m, device=q.device)
    scores = scores + table[:, far.clamp(min=0)]
    return torch.softmax(scores.masked_fill(far < 0, -torch.inf), -1) @ v


@vs.diagram
def two_sided(q: "b h n c", k: "b h m c", v: "b h m e", slope: "h") -> "b h n e":
    return mixed(scaled(q, k) - slope * vs.abs(vs.iota("n") - vs.iota("m")), v)


def naive_two_sided(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    n, m = scores.shape[-2:]
    far = torch.arange(n, device=q.device)[:, None] - torch.arange(m, device=q.device)
    return torch.softmax(scores - slope[:, None, None] * far.abs(), -1) @ v


@vs.diagram
def additive(q: "b n a", k: "b m a", v: "b m e", w: "a") -> "b n e":
    return mixed(vs.contract(w, vs.tanh(q + k), over="a"), v)


def naive_additive(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, w: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    return torch.softmax(torch.tanh(q[:, :, None] + k[:, None]) @ w, -1) @ v


HEADS = ("b h n c", "b h m c", "b h m e", "h")

MECHANISMS = [
    Mechanism("softmax", softmax, naive_softmax, sdpa, to_best=1.05),
    Mechanism("softmax, scale on q", scale_on_queries, naive_softmax, sdpa, to_best=1.05),
    Mechanism("softmax, exponentials", exponentials, naive_exponentials, sdpa, to_best=1.05),
    Mechanism("causal", causal, naive_causal, sdpa_causal, to_best=1.05, floor=CAUSAL),
    Mechanism(
        "causal, mask added", causal_added, naive_causal, sdpa_causal, to_best=1.05, floor=CAUSAL
    ),
    Mechanism(
        "grouped heads",
        grouped,
        naive_grouped,
        sdpa_grouped,
        ("b k g n c", "b k m c", "b k m e"),
        to_best=1.05,
        floor=OfPairs(tubes="b k g"),
    ),
    Mechanism("cosine", cosine, naive_cosine, sdpa_cosine, HEADS, to_best=1.15, to_naive=1 / 2.5),
    Mechanism(
        "causal ALiBi",
        alibi,
        naive_alibi,
        sdpa_alibi,
        HEADS,
        to_best=1.15,
        to_naive=1 / 2.5,
        floor=CAUSAL,
    ),
    Mechanism(
        "ReLU squared",
        relu_squared,
        naive_relu_squared,
        None,
        to_naive=1 / 1.3,
        floor=OfPairs(series=0),
    ),
    Mechanism("sigmoid", sigmoid, naive_sigmoid, None, to_naive=1 / 1.3),
    Mechanism(
        "softcap, causal",
        softcap,
        naive_softcap,
        None,
        to_naive=1 / 1.3,
        flexible=flexible.softcap,
        floor=OfPairs(earlier, series=2),
    ),
    Mechanism(
        "sliding window",
        window,
        naive_window,
        sdpa_window,
        to_naive=1 / 1.3,
        flexible=flexible.window,
        floor=OfPairs(within(256)),
    ),
    Mechanism(
        "relative, causal",
        relative,
        naive_relative,
        None,
        ("b h n c", "b h n c", "b h n e", "h n"),
        flexible=flexible.relative,
        floor=CAUSAL,
    ),
    Mechanism("two-sided ALiBi", two_sided, naive_two_sided, None, HEADS, flexible=flexible.alibi),
    Mechanism(
        "additive",
        additive,
        naive_additive,
        None,
        ("b n c", "b m c", "b m e", "c"),
        to_naive=1 / 1.3,
        longest=512,
        floor=of_additive,
    ),
]
