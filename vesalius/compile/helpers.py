"""Functions that emitted text brings along when it needs them; their source is copied into it."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def orthogonal_rows(rows: int, width: int) -> torch.Tensor:
    """As long as normal ones, and orthogonal to each other in blocks of `width`."""
    blocks = [torch.linalg.qr(block.T)[0].T for block in torch.randn(rows, width).split(width)]
    return torch.cat(blocks) * torch.randn(rows, width).norm(dim=1, keepdim=True)


def masked_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Softmax, with zeros instead of NaN where all entries are minus infinity."""
    if x.shape[dim] == 0:
        return x
    hidden = x.amax(dim, keepdim=True) == -torch.inf
    return torch.softmax(x.masked_fill(hidden, 0.0), dim).masked_fill(hidden, 0.0)


def quick_masked_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The same, where the code may look at values: mostly no row is hidden whole."""
    if torch.compiler.is_exporting():
        return masked_softmax(x, dim)
    hidden = x.shape[dim] == 0 or bool((x.amax(dim) == -torch.inf).any())
    return masked_softmax(x, dim) if hidden else torch.softmax(x, dim)


def windows(
    x: torch.Tensor, dim: int, count: int, width: int, stride: int = 1, dilation: int = 1
) -> torch.Tensor:
    """`count` sliding windows along a dimension: positions stand there, offsets come last."""
    if count == 0:
        return x.narrow(dim, 0, 0)[..., None].expand(*(-1 for _ in x.shape), width)
    views = x.unfold(dim, dilation * (width - 1) + 1, stride)
    return views.narrow(dim, 0, count)[..., ::dilation]


def fourier(
    real: torch.Tensor, imaginary: torch.Tensor, dim: int, inverse: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The discrete Fourier transform of a pair of real tensors, as such a pair."""
    if real.numel() == 0:
        return real, imaginary
    wide = torch.promote_types(real.dtype, torch.float32)
    z = torch.complex(real.to(wide), imaginary.to(wide))
    z = torch.fft.ifft(z, dim=dim) if inverse else torch.fft.fft(z, dim=dim)
    return z.real.to(real.dtype), z.imag.to(real.dtype)


def padded_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Attention; on a CPU, zero channels make keys and values as wide as the fused kernel needs."""
    more = q.shape[-1] - v.shape[-1]
    if more == 0 or q.device.type != "cpu":
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    q, k = F.pad(q, (0, max(0, -more))), F.pad(k, (0, max(0, -more)))
    out = F.scaled_dot_product_attention(
        q,
        k,
        F.pad(v, (0, max(0, more))),
        attn_mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    return out[..., : v.shape[-1]]


def convolved(h: torch.Tensor, x: torch.Tensor, way: str = "causal") -> torch.Tensor:
    """Σ_m h[n − m]·x[m] along the last dimension, as the product of spectra.

    Both are padded so far that nothing comes round at the end, unless the way is "circular". The
    way "" has distances of both signs: h[n − m + |m|], for as many n as h is longer than x.
    """
    count, dtype = x.shape[-1], torch.promote_types(h.dtype, x.dtype)
    start, stop = (count, h.shape[-1]) if way == "" else (0, count)
    if h.numel() == 0 or x.numel() == 0:
        return (h.sum(-1, keepdim=True) * x.sum(-1, keepdim=True)).expand(
            *[-1] * (max(h.ndim, x.ndim) - 1), stop - start
        )
    wide = torch.promote_types(dtype, torch.float32)
    length = {"circular": count, "causal": 2 * count, "": h.shape[-1]}[way]
    if way != "circular" and not torch.compiler.is_compiling():
        # A length without large prime factors.
        length = min(k << (-(-length // k) - 1).bit_length() for k in (1, 3, 5, 9, 15))
    spectra = [torch.fft.rfft(y.to(wide), length) for y in (h, x)]
    y = torch.fft.irfft(spectra[0] * spectra[1], length)
    return y[..., start:stop].to(dtype)


def recurrent(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """h[n] = a[n]·h[n − 1] + x[n] along the last dimension, h[−1] = 0: log n steps that double."""
    step, length = 1, x.shape[-1]
    x, a = x + torch.zeros_like(a), a + torch.zeros_like(x)
    while step < length:
        later = x[..., step:] + a[..., step:] * x[..., :-step]
        x = torch.cat([x[..., :step], later], -1)
        a = torch.cat([a[..., :step], a[..., step:] * a[..., :-step]], -1)
        step *= 2
    return x
