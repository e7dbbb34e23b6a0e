"""Mechanisms whose weights are a kernel's, by their sum: as softmax attention, a kernel smoother.

Softmax attention divides Σ κ·v by Σ κ, with the exponential of a scaled product as the kernel κ of
two tokens. Tsai et al. 2019, *Transformer Dissection*, arXiv 1908.11775.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import ATTENTION, SMOOTHER, row
from vesalius.anatomy.edges.registry import edge
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation


def elu_kernel(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_c φ(q)·φ(k), φ = elu + 1"""
    return parts.kernel(q, k)


@edge("linear", "scaled_dot_product")
def linear_and_softmax() -> Derivation:
    """A kernel that is a product of features, so that keys can be summed before queries."""
    return SMOOTHER.siblings("linear", "Σ_m (φq·φk)·v = φq·(Σ_m φk·v)", kernel=elu_kernel)


def wave_kernel(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_r cos(ω·(q/|q| − k/|k|)), an estimate of a Gaussian"""
    return parts.gaussian_estimate(q, k)


@edge("rfa", "scaled_dot_product")
def random_features_and_softmax() -> Derivation:
    """A kernel of sines and cosines in random directions."""
    return SMOOTHER.siblings("rfa", "Σ_m (φq·φk)·v = φq·(Σ_m φk·v)", kernel=wave_kernel)


def waves_of_places(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    """(Σ_c relu(q)·relu(k))·cos(π·(i − j)/2p)"""
    return parts.dot(parts.reweighted_at(q, i), parts.reweighted_at(k, j))


@edge("cosformer", "scaled_dot_product")
def cosformer_and_softmax() -> Derivation:
    """Its row sum has a floor, so that the normaliser is opened beside the similarity."""
    return ATTENTION.siblings(
        "cosformer",
        "Σ_m (φq·φk)·v = φq·(Σ_m φk·v)",
        similarity=waves_of_places,
        normaliser=row(parts.clamped_row_sum),
    )
