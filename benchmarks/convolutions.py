"""A long convolution, as `attention.py` measures it: by several hands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from floor import of_traffic
from mechanisms import Mechanism

import vesalius as vs


@vs.diagram
def long_convolution(x: "b n c", filters: "n c") -> "b n c":
    """Σ_{m ≤ n} h[n − m]·x[m], a filter as long as the sequence (Hyena, arXiv 2302.10866)."""
    far = vs.remainder(vs.iota("n") - vs.iota("m:n"), vs.size("n"))
    weights = vs.where(vs.iota("m:n") <= vs.iota("n"), vs.gather(filters, far, over="n"), 0.0)
    return vs.contract(weights, x.rename(n="m"), over="m")


def naive(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """PyTorch's convolution of each channel by itself: a sum over all taps."""
    n, channels = filters.shape
    taps = filters.flip(0).T[:, None]
    return F.conv1d(F.pad(x.mT, (n - 1, 0)), taps, groups=channels).mT


def spectra(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Fourier transforms of twice the length."""
    n = x.shape[1]
    of_x, of_filters = torch.fft.rfft(x.mT.float(), 2 * n), torch.fft.rfft(filters.T.float(), 2 * n)
    return torch.fft.irfft(of_x * of_filters, 2 * n)[..., :n].mT.to(x.dtype)


LONG_CONVOLUTION = Mechanism(
    "long convolution",
    long_convolution,
    naive,
    spectra,
    ("b n c", "n c"),
    to_best=1.15,
    to_naive=1 / 15,
    least=4096,
    floor=of_traffic,
)
