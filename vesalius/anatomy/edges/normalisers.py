"""Mechanisms that differ from softmax attention in the normaliser alone: it is opened.

A normaliser is a function of one row of scores, to one row of weights.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import ATTENTION, row
from vesalius.anatomy.edges.registry import edge
from vesalius.rewrite.derivation import Derivation


@edge("sparsemax", "scaled_dot_product")
def sparsemax_and_softmax() -> Derivation:
    """The nearest point of the simplex: weights may be 0."""
    return ATTENTION.siblings("sparsemax", "relu(s − τ)", normaliser=row(parts.sparsemax))


@edge("entmax", "scaled_dot_product")
def entmax_and_softmax() -> Derivation:
    """Between softmax and sparsemax: weights may be 0."""
    return ATTENTION.siblings("entmax", "relu(s/2 − τ)²", normaliser=row(parts.entmax))
