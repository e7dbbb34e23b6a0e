"""Positions in the scores, as `attention.py` measures them: buckets, relative keys, sinusoids.

By hand, the fused kernel takes what hangs on positions as a bias: an array of queries × keys.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from floor import OfPairs
from mechanisms import HEADS, Mechanism, mixed, naive_two_sided, scaled, two_sided

import vesalius as vs

REACH = 128  # relative keys up to so far away
PASSED = (12, 16, 23, 32, 46, 64, 91)  # where the wider buckets begin, of 16 for each sign


def far(n: int, m: int, device: torch.device) -> torch.Tensor:
    """m − n for all pairs."""
    return torch.arange(m, device=device) - torch.arange(n, device=device)[:, None]


def biased(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, fused: bool
) -> torch.Tensor:
    """Attention with a bias for each pair: the formula, or the fused kernel."""
    if fused:
        return F.scaled_dot_product_attention(q, k, v, bias)
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 + bias, -1) @ v


@vs.diagram
def buckets(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:32 h") -> "b h n e":
    """T5 (arXiv 1910.10683): a bias for each bucket of distances."""
    away = vs.iota("m") - vs.iota("n")
    length = vs.abs(away)
    passed = vs.sum(vs.to_int(vs.constant(list(PASSED), "p") <= length), "p")
    here = vs.minimum(length, 8) + passed + vs.to_int(away > 0) * 16
    return mixed(scaled(q, k) + vs.gather(table, here, over="o"), v)


def buckets_by_hand(fused: bool) -> Any:
    """The same in torch."""

    def attend(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: torch.Tensor
    ) -> torch.Tensor:
        away = far(q.shape[-2], k.shape[-2], q.device)
        length = away.abs()
        passed = torch.bucketize(length, torch.tensor(PASSED, device=q.device), right=True)
        here = length.clamp(max=8) + passed + 16 * (away > 0)
        return biased(q, k, v, table[here].permute(2, 0, 1), fused)

    return attend


@vs.diagram
def relative_keys(q: "b h n c", k: "b h m c", v: "b h m e", r: "o:257 c") -> "b h n e":
    """Shaw et al., arXiv 1803.02155: a key for each distance up to a reach."""
    away = vs.minimum(vs.maximum(vs.iota("m") - vs.iota("n"), -REACH), REACH) + REACH
    return mixed(scaled(q, k) + vs.gather(scaled(q, r), away, over="o"), v)


def relative_keys_by_hand(fused: bool) -> Any:
    """The same in torch: each query by all relative keys, then read."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        away = far(q.shape[-2], k.shape[-2], q.device).clamp(-REACH, REACH) + REACH
        scores = q @ r.T / q.shape[-1] ** 0.5
        return biased(q, k, v, scores.gather(-1, away.expand(*q.shape[:2], -1, -1)), fused)

    return attend


@vs.diagram
def content_and_place(
    q: "b h n c", k: "b h n c", v: "b h n e", r: "h o:2*n-1 c", u: "h c", w: "h c"
) -> "b h n e":
    """Transformer-XL (arXiv 1901.02860), its projected sinusoids given."""
    k, v = k.rename(n="m"), v.rename(n="m")
    away = vs.iota("n") - vs.iota("m:n") + (vs.size("n") - 1)
    return mixed(scaled(q + u, k) + vs.gather(scaled(q + w, r), away, over="o"), v)


def content_and_place_by_hand(fused: bool) -> Any:
    """The same in torch, with the shift of the paper's own code."""

    def attend(
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        r: torch.Tensor,
        u: torch.Tensor,
        w: torch.Tensor,
    ) -> torch.Tensor:
        n = q.shape[-2]
        scores = (q + w[:, None]) @ r.flip(-2).mT / q.shape[-1] ** 0.5
        flat = F.pad(scores, (1, 0)).flatten(-2).unflatten(-1, (2 * n, n))
        shifted = flat[..., 1:, :].reshape(scores.shape)[..., :n]
        return biased(q + u[:, None], k, v, shifted, fused)

    return attend


def two_sided_by_hand(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    """The fused kernel, with the slopes times the distances as a bias."""
    away = far(q.shape[-2], k.shape[-2], q.device).abs()
    return biased(q, k, v, -slope[:, None, None] * away, True)


def given(*shapes: str) -> tuple[str, ...]:
    """The shapes of queries, keys and values, and others."""
    return ("b h n c", "b h m c", "b h m e", *shapes)


POSITIONS = [
    Mechanism(
        "position buckets",
        buckets,
        buckets_by_hand(False),
        None,
        given("buckets h"),
        others={"biased": buckets_by_hand(True)},
    ),
    Mechanism(
        "relative keys",
        relative_keys,
        relative_keys_by_hand(False),
        None,
        given("reach c"),
        others={"biased": relative_keys_by_hand(True)},
        floor=OfPairs(places=lambda sizes: sizes["reach"]),
    ),
    Mechanism(
        "content and place",
        content_and_place,
        content_and_place_by_hand(False),
        None,
        given("h o c", "h c", "h c"),
        others={"biased": content_and_place_by_hand(True)},
        floor=OfPairs(places=lambda sizes: sizes["n"]),
    ),
    Mechanism(
        "two-sided slopes",
        two_sided,
        naive_two_sided,
        None,
        HEADS,
        others={"biased": two_sided_by_hand},
    ),
]
