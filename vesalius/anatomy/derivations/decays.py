"""Attention in which the past fades: by weights for all pairs, as a loop, in chunks."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SCALED_DOT_PRODUCT
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.moves import Choose
from vesalius.rewrite.rules import fusion, masks, mechanisms, recurrences, softmaxes, sums
from vesalius.rewrite.strategy import repeat

SAME = Choose({"m": "n"}, "queries and keys are the same positions")


@DERIVATIONS.enter("softmax-to-retention", "Causal softmax attention to retention")
def softmax_to_retention() -> Derivation:
    """The softmax goes, a decay by distance comes: that is a choice, and no equality.

    Retentive Network (arXiv 2307.08621), without its rotations, norm and gate.
    """
    return derive(
        SCALED_DOT_PRODUCT(causal=True),
        SAME,
        sums.scale_one_factor,
        mechanisms.softmax_to_decay,
    )


def _retention() -> Diagram:
    return softmax_to_retention().end


@DERIVATIONS.enter("retention-to-recurrent", "Retention as a recurrent network")
def retention_to_recurrent() -> Derivation:
    """S_n = γ·S_(n−1) + k_n·v_n, o_n = q_n·S_n"""
    return derive(_retention(), recurrences.retention_as_loop)


@DERIVATIONS.enter("retention-to-chunked", "Retention in chunks")
def retention_to_chunked() -> Derivation:
    """Within a chunk of positions by weights, before it by a state that fades once a chunk."""
    return derive(_retention(), recurrences.retention_in_chunks)


@diagram
def fading_channels(k: "m:n e", v: "m:n e", w: "e", u: "e") -> "n e":
    """Σ_m softmax_m(b + k)·v with b = −(n−1−m)·w before the present, u at it, −∞ after it.

    The mix of RWKV-4 (arXiv 2305.13048), without its gate and the shift of its inputs.
    """
    return parts.weighted_sum(parts.softmax(parts.fading_keys(k, w, u), None), v)


@DERIVATIONS.enter("rwkv-to-recurrent", "RWKV as a recurrent network")
def rwkv_to_recurrent() -> Derivation:
    """Each channel carries two sums that fade; the present counts with a bonus."""
    found = derive(fading_channels, (softmaxes.factor_softmax_of_sum, FACTORED))
    found = repeat(recurrences.decay_and_bonus_as_loop)(found).derivation
    found = repeat(fusion.read_in_the_loop)(found).derivation
    return repeat(fusion.compute_in_the_loop)(found).derivation


FACTORED = 1  # the match that multiplies the values by the keys' exponentials first


@diagram
def causal_attention_free(k: "m:n e", v: "m:n e") -> "n e":
    """Attention free, causal, with a learned weight for each pair of positions and channel."""
    table = vs.parameter("w", "n m:n e", fan="m")
    seen = vs.where(vs.iota("m:n") <= vs.iota("n"), table, float("-inf"))
    return parts.weighted_sum(parts.softmax(seen + k, None), v)


@DERIVATIONS.enter("aft-to-rwkv", "Attention free with weights for each channel, to RWKV")
def aft_to_rwkv() -> Derivation:
    """The weights of positions become a decay and a bonus: two numbers a channel, not n²."""
    return derive(causal_attention_free, mechanisms.positions_to_a_decay)


@diagram
def simple(k: "m:n e", v: "m:n e") -> "n e":
    """Attention free without positions, causal: AFT-simple (arXiv 2105.14103)."""
    seen = vs.iota("m:n") <= vs.iota("n")
    return parts.weighted_sum(parts.softmax(k, seen), v)


@DERIVATIONS.enter("aft-simple-to-recurrent", "Attention free without positions, as running sums")
def aft_simple_to_recurrent() -> Derivation:
    """Under a causal mask it is a quotient of two running sums, for each channel."""
    return _running_means(simple)


@diagram
def efficient(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    """Σ_c softmax_c(q)·(the mean of v up to n, weighted by exp k_c): causal efficient attention."""
    seen = vs.iota("m:n") <= vs.iota("n")
    return parts.by_channels(q, parts.weighted_sum(parts.softmax(k, seen), v))


@DERIVATIONS.enter("efficient-to-recurrent", "Causal efficient attention, as running sums")
def efficient_to_recurrent() -> Derivation:
    """Each feature keeps a running mean of the values.

    This is the causal form. The formula of the paper (arXiv 1812.01243) normalises each feature
    over all keys, so it lets the future through.
    """
    return _running_means(efficient)


def _running_means(start: Diagram) -> Derivation:
    """Weights that do not depend on queries, but for the mask, as two running sums."""
    found = derive(start, softmaxes.unfold_softmax, masks.exp_of_masked, softmaxes.normalise_late)
    found = repeat(recurrences.weighted_prefix_sum_as_loop)(found).derivation
    for schema in (fusion.read_in_the_loop, fusion.compute_in_the_loop):
        found = repeat(schema)(found).derivation
    return found
