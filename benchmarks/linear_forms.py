"""Linear forms, as `attention.py` measures them: their products come in a cheaper order."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from floor import of_states, of_sums
from mechanisms import Mechanism, dot

import vesalius as vs


def positive(x: Any) -> Any:
    """elu + 1"""
    return vs.elu(x) + 1


@vs.diagram
def linear(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    weights = dot(positive(q), positive(k))
    return vs.contract(weights / vs.sum(weights, "m"), v, over="m")


def naive_linear(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    weights = (F.elu(q) + 1) @ (F.elu(k) + 1).mT
    return weights / weights.sum(-1, keepdim=True) @ v


def state_linear(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Keys and values first."""
    q, k = F.elu(q) + 1, F.elu(k) + 1
    return q @ (k.mT @ v) / (q @ k.sum(-2)[..., None])


@vs.diagram
def causal_linear(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    shown = vs.iota("m:n") <= vs.iota("n")
    k, v = k.rename(n="m"), v.rename(n="m")
    weights = vs.where(shown, dot(positive(q), positive(k)), 0.0)
    return vs.contract(weights / vs.sum(weights, "m"), v, over="m")


def naive_causal_linear(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula, all pairs."""
    weights = ((F.elu(q) + 1) @ (F.elu(k) + 1).mT).tril()
    return weights / weights.sum(-1, keepdim=True) @ v


def chunked_linear(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Chunks of 64, with the sums before each."""
    n, width = q.shape[2], 64
    if n % width:
        return naive_causal_linear(q, k, v)
    v = torch.cat([v, torch.ones_like(v[..., :1])], -1)
    q, k, v = (x.unflatten(2, (n // width, width)) for x in (F.elu(q) + 1, F.elu(k) + 1, v))
    states = k.mT @ v
    before = states.cumsum(2) - states
    out = ((q @ k.mT).tril() @ v + q @ before).flatten(2, 3)
    return out[..., :-1] / out[..., -1:]


@vs.diagram
def attention_free(w: "n m", k: "b m c", v: "b m c") -> "b n c":
    """AFT-full: a softmax over the keys for each channel (arXiv 2105.14103)."""
    return vs.contract(vs.softmax(w + k, "m"), v, over="m")


def naive_attention_free(w: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The formula."""
    return (torch.softmax(w[..., None] + k[:, None], 2) * v[:, None]).sum(2)


def factored_attention_free(w: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Two products; each exponential is brought to its own largest."""
    ew = torch.exp(w - w.amax(-1, keepdim=True))
    ek = torch.exp(k - k.amax(1, keepdim=True))
    return (ew @ (ek * v)) / (ew @ ek)


LINEAR_FORMS = [
    Mechanism("linear", linear, naive_linear, state_linear, to_best=1.15, floor=of_states),
    Mechanism(
        "causal linear",
        causal_linear,
        naive_causal_linear,
        chunked_linear,
        to_best=1.15,
        to_naive=1 / 15,
        least=4096,
        floor=of_states,
    ),
    Mechanism(
        "attention free",
        attention_free,
        naive_attention_free,
        factored_attention_free,
        ("n m", "b m c", "b m e"),
        to_best=1.15,
        longest=1024,
        floor=of_sums,
    ),
]
