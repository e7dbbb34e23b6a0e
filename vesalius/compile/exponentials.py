"""Helpers of emitted text: means by exponential weights, brought to the largest, which cancels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from vesalius.compile.helpers import fast_weights, recurrent


def seen(condition: torch.Tensor) -> bool | None:
    """Whether a condition holds; None where the code may not look. A GPU is waited for."""
    if torch.compiler.is_compiling():
        return None
    if condition.is_cuda and torch.cuda.is_current_stream_capturing():
        return None
    try:
        return bool(condition)
    except RuntimeError:  # inside torch.func.vmap
        return None


def score_means(w: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Σ_m softmax_m(w[n, m] + k[m, c])·v[m, c] with an array of all scores."""
    lowest = torch.finfo(w.dtype).min / 4
    shown = (w >= lowest).to(w.dtype) @ (k >= lowest).to(w.dtype) > 0
    scores = w.clamp(min=lowest)[..., None] + k.clamp(min=lowest)[..., None, :, :]
    means = (torch.softmax(scores, -2) * v[..., None, :, :]).sum(-2)
    return torch.where(shown, means, 0.0)


def factored_exponentials(w: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Σ_m exp(w[n, m] + k[m, c])·v[m, c], divided by the same of ones, as two products.

    Shapes: w (…, n, m), k and v (…, m, c). Both exponents are brought to their own largest along m.
    Where a sum is so small that what underflowed may count, its query and its channel are computed
    from scores, some at a time.
    """
    dtype, wide = v.dtype, torch.promote_types(v.dtype, torch.float32)
    w, k = w.to(wide), k.to(wide)
    if w.numel() == 0 or k.numel() == 0 or v.numel() == 0:
        return (w @ (k * v)).to(dtype)
    lowest = torch.finfo(wide).min / 4
    with torch.no_grad():
        of_rows = w.amax(-1, keepdim=True).clamp(min=lowest)
        of_columns = k.amax(-2, keepdim=True).clamp(min=lowest)
    factor = wide if dtype == torch.float16 else dtype  # whose exponents are few
    left, right = (w - of_rows).exp().to(factor), (k - of_columns).exp().to(factor)
    total, mixed = left @ right, left @ (right * v.to(factor))
    least = torch.finfo(total.dtype).tiny ** 0.5
    small = (total < least) & (of_rows > lowest) & (of_columns > lowest)
    means = (mixed / torch.where(total < least, 1.0, total)).to(dtype)
    k, v = torch.broadcast_tensors(k, v.to(wide))
    if torch.compiler.is_compiling():
        return torch.cond(
            small.any(),
            lambda w, k, v, means: score_means(w, k, v).to(means.dtype),
            lambda w, k, v, means: means.clone(),
            (w, k, v, means),
        )
    some = seen(small.any())
    if some is None:
        return score_means(w, k, v).to(dtype)
    if some:
        rows, columns = (
            small.movedim(d, 0).flatten(1).any(1).nonzero().squeeze(1) for d in (-2, -1)
        )
        some_k, some_v = k.index_select(-1, columns), v.index_select(-1, columns)
        count = max(1, (1 << (26 if w.is_cuda else 20)) // some_k.numel())
        exact = [
            checkpoint(score_means, x, some_k, some_v, use_reentrant=False)
            for x in w.index_select(-2, rows).split(count, -2)
        ]
        part = torch.cat(exact, -2).to(dtype)
        part = means.index_select(-2, rows).index_copy(-1, columns, part)
        means = means.index_copy(-2, rows, part)
    return means


def exponential_means(
    level: torch.Tensor,
    v: torch.Tensor,
    decay: torch.Tensor | None = None,
    now: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ_{m ≤ n} exp(level[m] + Σ_{m < j ≤ n} decay[j])·v[m], divided by the same of ones.

    Along the last dimension. With `now` it is Σ_{m < n} and, for n itself, the level now[n]. All
    exponents are brought to the largest that counts, which cancels: so it has no gradient.
    """
    dtype, wide = v.dtype, torch.promote_types(v.dtype, torch.float32)
    level, v = level.to(wide), v.to(wide)
    lowest = torch.finfo(wide).min / 4
    if level.numel() == 0 or v.numel() == 0:
        return (level + v).to(dtype)
    if decay is None and now is None and level.device.type == "cpu":
        with torch.no_grad():
            top = level.amax(-1, keepdim=True)
            near = (top - level.amin(-1, keepdim=True)).max() < 60
        if seen(near):
            weights = (level - top).exp()
            return ((weights * v).cumsum(-1) / weights.cumsum(-1)).to(dtype)
    decay = None if decay is None else decay.to(wide)
    with torch.no_grad():
        fades = torch.zeros((), dtype=torch.float64, device=v.device)
        if decay is not None:
            fades = decay.double().clamp(min=-1e6).cumsum(-1)
        top = ((level - fades).cummax(-1).values + fades).to(wide).clamp(min=lowest)
        last = torch.cat([top[..., :1], top[..., :-1]], -1)
    weights = (level - top).exp()
    gates = (last - top if decay is None else last - top + decay).exp()
    mixed, total = recurrent(gates, weights * v), recurrent(gates, weights)
    if now is not None:
        now = now.to(wide)
        mixed, total = F.pad(mixed[..., :-1], (1, 0)), F.pad(total[..., :-1], (1, 0))
        with torch.no_grad():
            both = torch.maximum(F.pad(top[..., :-1], (1, 0), value=lowest), now)
            left = (F.pad(top[..., :-1], (1, 0), value=lowest) - both).exp()
        own = (now - both).exp()
        mixed, total = mixed * left + own * v, total * left + own
    return (mixed / total).to(dtype)


def exponential_reads(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Σ_c q[n, c]·Σ_{m ≤ n} exp(k[m, c])·v[m] / Σ_{m ≤ n} exp(k[m, c]).

    Shapes: q, k (…, n, c), v (…, n, e). Brought to the largest key so far, as above.
    """
    dtype, wide = v.dtype, torch.promote_types(v.dtype, torch.float32)
    q, k, v = q.to(wide), k.to(wide), v.to(wide)
    if k.numel() == 0:
        return (q @ k.mT @ v).to(dtype)
    with torch.no_grad():
        top = k.cummax(-2).values.clamp(min=torch.finfo(wide).min / 4)
        fades = torch.cat([top[..., :1, :], top[..., :-1, :]], -2) - top
    weights = (k - top).exp()
    total = recurrent(fades.exp().mT, weights.mT).mT
    return fast_weights(q / total, weights, v, decay=fades).to(dtype)
