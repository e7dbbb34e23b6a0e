"""Other normalisers in the place of the softmax, and what that allows."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.derivations.attention_free import attention_free
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import kernels, softmaxes, sums


@diagram
def unscaled(q: "n c", k: "m c", v: "m e") -> "n e":
    """Attention whose scale is in the queries already."""
    return parts.weighted_sum(parts.softmax(parts.dot(q, k), None), v)


@DERIVATIONS.enter("softmax-to-efficient", "Softmax attention to efficient attention")
def softmax_to_efficient() -> Derivation:
    """The softmax of a product becomes a product of softmaxes; then the sum over keys comes first.

    Efficient Attention: Attention with Linear Complexities (arXiv 1812.01243).
    """
    return derive(unscaled, kernels.softmax_to_softmaxes_of_its_factors, sums.reassociate)


@DERIVATIONS.enter("softmax-to-spherical", "Softmax attention to spherical attention")
def softmax_to_spherical() -> Derivation:
    """Rows of length 1 instead of sum 1. Two running sums then suffice, and no maximum.

    Spherical attention, from arXiv 2505.09326.
    """
    return derive(SCALED_DOT_PRODUCT(), kernels.softmax_to_unit_rows, softmaxes.normalise_late)


@diagram
def attention_free_learned(q: "n e", k: "m e", v: "m e") -> "n e":
    """The attention free transformer, its scores of positions a parameter of the layer."""
    w = vs.parameter("w", "n m", fan="m")
    return attention_free(q, k, v, w)


@DERIVATIONS.enter("aft-to-simple", "Attention free, without positions")
def aft_to_simple() -> Derivation:
    """Where all scores of positions are 0, every query gets the same mean of the values."""
    from vesalius.rewrite.rules import weights

    return derive(attention_free_learned, weights.positions_left_out)
