"""Steps that papers took by choice: another normaliser or kernel, and nothing is promised."""

from __future__ import annotations

from vesalius.anatomy.edges.registry import edge, lemma
from vesalius.anatomy.mechanism import CATALOGUE
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import kernels

SOFTMAX = CATALOGUE["scaled_dot_product"]


@edge("scaled_dot_product", "sigmoid")
def softmax_to_sigmoid() -> Derivation:
    """Each weight for itself: rows need no longer sum to 1."""
    found = derive(SOFTMAX(), kernels.softmax_to_sigmoid)
    return lemma(found, CATALOGUE["sigmoid"](), "σ(s − log |m|)")


@edge("scaled_dot_product", "relu_squared_by_length")
def softmax_to_squared_relu() -> Derivation:
    """Squares of what is positive, by the length."""
    found = derive(SOFTMAX(), kernels.softmax_to_squared_relu)
    return lemma(found, CATALOGUE["relu_squared_by_length"](), "relu(s)²/|m|")
