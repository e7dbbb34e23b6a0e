"""From softmax attention to linear attention, and the forms in which that is computed."""

from __future__ import annotations

from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import kernels, softmaxes, sums


@DERIVATIONS.enter("softmax-to-linear", "Softmax attention to linear attention")
def softmax_to_linear() -> Derivation:
    """One step is no equality: the exponential of a product becomes a product of features.

    All else is the same function in another order: the softmax is unfolded, its denominator
    moves behind the sum, and what is summed first is the product that knows nothing of queries.
    """
    return derive(
        SCALED_DOT_PRODUCT(),
        softmaxes.unfold_softmax,
        softmaxes.normalise_late,
        kernels.scaled_exponential_to_elu_kernel,
        sums.reassociate,
    )
