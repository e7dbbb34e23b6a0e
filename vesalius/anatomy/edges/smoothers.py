"""Mechanisms whose weights are a kernel's, by their sum: as softmax attention, a kernel smoother.

Softmax attention divides Σ κ·v by Σ κ, with the exponential of a scaled product as the kernel κ of
two tokens. Tsai et al. 2019, *Transformer Dissection*, arXiv 1908.11775.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import ATTENTION, SMOOTHER, as_it_is, row
from vesalius.anatomy.edges.registry import edge
from vesalius.anatomy.mechanism import diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare


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


def choices(q: Wire) -> Wire:
    """√c·softmax_c(q)"""
    return vs.sqrt(q.axes["c"]) * vs.softmax(q, "c")


def shares(k: Wire) -> Wire:
    """softmax_m(k)"""
    return vs.softmax(k, "m")


@edge("efficient", "scaled_dot_product")
def efficient_and_softmax() -> Derivation:
    """Queries are prepared over channels and keys over all tokens: scores are weights already."""
    both = {
        "q": diagram_of("choices", {"q": "n c"}, "n c", choices),
        "k": diagram_of("shares", {"k": "m c"}, "m c", shares),
    }
    prepared = Prepare(both, "q → √c·softmax_c(q), k → softmax_m(k)")
    why = "(√c·q·k/√c)·v, and Σ_m (q·k)·v = q·(Σ_m k·v)"
    return ATTENTION.siblings("efficient", why, prepared, normaliser=as_it_is)
