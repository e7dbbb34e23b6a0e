"""Mechanisms that differ from softmax attention in the normaliser alone: it is opened.

A normaliser is a function of one row of scores, to one row of weights.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import ATTENTION, row
from vesalius.anatomy.edges.registry import edge
from vesalius.rewrite.derivation import Derivation


@edge("sigmoid", "scaled_dot_product")
def sigmoid_and_softmax() -> Derivation:
    """Each weight is for itself: rows need not sum to 1."""
    return ATTENTION.siblings("sigmoid", "σ(s − log |m|)", normaliser=row(parts.sigmoid))


@edge("sigmoid_bias", "scaled_dot_product")
def biased_sigmoid_and_softmax() -> Derivation:
    """Each weight is for itself, by a bias that is learned."""
    return ATTENTION.siblings("sigmoid_bias", "σ(s + b)", normaliser=row(parts.sigmoid_of_bias))


@edge("relu", "scaled_dot_product")
def relu_and_softmax() -> Derivation:
    """What is positive in a score, by the length."""
    return ATTENTION.siblings("relu", "relu(s)/|m|", normaliser=row(parts.relu_by_length))


@edge("relu_normalised", "scaled_dot_product")
def relu_by_sum_and_softmax() -> Derivation:
    """What is positive in a score, by the sum of the row."""
    return ATTENTION.siblings(
        "relu_normalised", "relu(s)/(Σ_m relu(s) + ε)", normaliser=row(parts.relu_by_sum)
    )


@edge("relu_squared", "scaled_dot_product")
def relu_squared_and_softmax() -> Derivation:
    """Squares of what is positive, by the sum of the row."""
    return ATTENTION.siblings(
        "relu_squared", "relu(s)²/(Σ_m relu(s)² + ε)", normaliser=row(parts.squared_relu)
    )


@edge("relu_squared_by_length", "scaled_dot_product")
def relu_squared_by_length_and_softmax() -> Derivation:
    """Squares of what is positive, by the length."""
    return ATTENTION.siblings(
        "relu_squared_by_length", "relu(s)²/|m|", normaliser=row(parts.squared_relu_by_length)
    )


@edge("sparsemax", "scaled_dot_product")
def sparsemax_and_softmax() -> Derivation:
    """The nearest point of the simplex: weights may be 0."""
    return ATTENTION.siblings("sparsemax", "relu(s − τ)", normaliser=row(parts.sparsemax))


@edge("entmax", "scaled_dot_product")
def entmax_and_softmax() -> Derivation:
    """Between softmax and sparsemax: weights may be 0."""
    return ATTENTION.siblings("entmax", "relu(s/2 − τ)²", normaliser=row(parts.entmax))


@edge("spherical", "scaled_dot_product")
def spherical_and_softmax() -> Derivation:
    """Rows of length 1, with signs."""
    return ATTENTION.siblings("spherical", "s/√(Σ_m s² + ε)", normaliser=row(parts.spherical))


@edge("stick_breaking", "scaled_dot_product")
def stick_breaking_and_softmax() -> Derivation:
    """A weight reads its own score and the later ones."""
    return ATTENTION.siblings(
        "stick_breaking", "σ(s[m])·Π_{l>m} (1 − σ(s[l]))", normaliser=row(parts.stick_breaking)
    )
