"""From softmax attention to linear attention, and the forms in which that is computed."""

from __future__ import annotations

from vesalius.anatomy.attention import LINEAR, SCALED_DOT_PRODUCT
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.moves import Choose
from vesalius.rewrite.rules import fusion, kernels, masks, recurrences, softmaxes, sums
from vesalius.rewrite.strategy import repeat


@DERIVATIONS.enter("softmax-to-linear", "Softmax attention to linear attention")
def softmax_to_linear() -> Derivation:
    """One step is no equality: the exponential of a product becomes a product of features.

    All else is the same function in another order: the softmax is unfolded, its denominator
    moves behind the sum, and what is summed first is the product that knows nothing of queries.
    """
    found = derive(
        SCALED_DOT_PRODUCT(),
        softmaxes.unfold_softmax,
        softmaxes.normalise_late,
        kernels.scaled_exponential_to_elu_kernel,
        sums.reassociate,
    )
    return found.reach(sums.reassociate, LINEAR())  # of the denominators, too


@DERIVATIONS.enter("softmax-to-linear-causal", "Softmax attention to linear attention, causal")
def softmax_to_linear_causal() -> Derivation:
    """The same under a mask: hidden scores of −∞ are features that are not summed."""
    return derive(
        SCALED_DOT_PRODUCT(causal=True),
        softmaxes.unfold_softmax,
        masks.exp_of_masked,
        kernels.scaled_exponential_to_elu_kernel,
    )


def _one_sum() -> Derivation:
    """Causal linear attention by its weights; denominators become one more channel of the values.

    Along positions, queries and keys are the same positions.
    """
    return derive(
        LINEAR(causal=True, form="weights"),
        Choose({"m": "n"}, "queries and keys are the same positions"),
        softmaxes.normalise_late,
        softmaxes.denominator_as_a_channel,
    )


@DERIVATIONS.enter("linear-to-recurrent", "Causal linear attention as a recurrent network")
def linear_to_recurrent() -> Derivation:
    """Σ_{m ≤ n} (q_n·k_m)·v_m is a query to a state, which grows by k_n·v_n at each position.

    What the loop reads is computed as it comes, so that nothing of the length of the sequence is
    held but inputs and outputs: the network of Transformers are RNNs (arXiv 2006.16236).
    """
    found = _one_sum().then(recurrences.causal_linear_attention_as_loop)
    return repeat(fusion.compute_in_the_loop)(found).derivation


@DERIVATIONS.enter("linear-to-chunked", "Causal linear attention in chunks")
def linear_to_chunked() -> Derivation:
    """Within a chunk of positions by weights, before it by a state that advances once a chunk."""
    return _one_sum().then(recurrences.causal_linear_attention_in_chunks)
