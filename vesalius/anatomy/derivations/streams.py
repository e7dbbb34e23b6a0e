"""Attention that reads its keys one after the other, and holds no weights."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import folds, fusion, kernels
from vesalius.rewrite.strategy import repeat


@DERIVATIONS.enter("attention-to-streamed", "Softmax attention, one key after the other")
def attention_to_streamed() -> Derivation:
    """A loop over the keys carries the largest score, the denominator and the mix.

    Online softmax (arXiv 1805.02867). The scores move into the loop: n queries have n numbers at a
    time, not n·m.
    """
    streamed = derive(SCALED_DOT_PRODUCT(), folds.stream_softmax)
    return repeat(fusion.compute_in_the_loop)(streamed).derivation


@diagram
def over_blocks(q: "n c", k: "b w c", v: "b w e") -> "n e":
    """Softmax attention to keys that come in b blocks of w."""
    scores = parts.scaled_dot(q, k)
    return vs.contract(vs.softmax(scores, over="b w"), v, over="b w")


@DERIVATIONS.enter("attention-to-blocks", "Softmax attention, one block of keys after the other")
def attention_to_blocks() -> Derivation:
    """As FlashAttention (arXiv 2205.14135) reads them: what is in fast memory is one block."""
    streamed = derive(over_blocks, folds.stream_softmax_in_blocks)
    return repeat(fusion.compute_in_the_loop)(streamed).derivation


@DERIVATIONS.enter("spherical-to-streamed", "Spherical attention, one key after the other")
def spherical_to_streamed() -> Derivation:
    """Two sums suffice, of s·v and of s², and no maximum (arXiv 2505.09326)."""
    start = derive(SCALED_DOT_PRODUCT(), kernels.softmax_to_unit_rows).end
    streamed = derive(start, folds.normalise_rows_late, folds.stream_unit_rows)
    return repeat(fusion.compute_in_the_loop)(streamed).derivation
