"""Mechanisms whose weights are a kernel's, by their sum: as softmax attention, a kernel smoother.

Softmax attention divides Σ κ·v by Σ κ, with the exponential of a scaled product as the kernel κ of
two tokens. Tsai et al. 2019, *Transformer Dissection*, arXiv 1908.11775.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import SMOOTHER
from vesalius.anatomy.edges.registry import edge
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation


def wave_kernel(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_r cos(ω·(q/|q| − k/|k|)), an estimate of a Gaussian"""
    return parts.gaussian_estimate(q, k)


@edge("rfa", "scaled_dot_product")
def random_features_and_softmax() -> Derivation:
    """A kernel of sines and cosines in random directions."""
    return SMOOTHER.siblings("rfa", "Σ_m (φq·φk)·v = φq·(Σ_m φk·v)", kernel=wave_kernel)
