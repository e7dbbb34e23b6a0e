"""Tokens that are mixed by learned or fixed maps, not by scores."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import weights


@diagram
def mixer(x: "n d") -> "i:n j:d":
    """One linear map over tokens and channels together."""
    return vs.contract(x, vs.parameter("w", "n d i:n j:d"), over="n d")


@DERIVATIONS.enter("mixing-to-fnet", "A learned mixing of tokens and channels to FNet")
def mixing_to_fnet() -> Derivation:
    """The real part of a Fourier transform over tokens and channels is one such map.

    FNet: Mixing Tokens with Fourier Transforms (arXiv 2105.03824).
    """
    return derive(mixer, weights.learned_mixing_to_spectra)


@diagram
def projected_tokens(q: "n c", k: "m c", v: "m e") -> "n e":
    """Attention over s summaries of the keys and values, here as many as there are tokens.

    Linformer: Self-Attention with Linear Complexity (arXiv 2006.04768).
    """
    keys = vs.contract(k, vs.parameter("over_keys", "m s:m"), over="m").rename(s="m")
    values = vs.contract(v, vs.parameter("over_values", "m s:m"), over="m").rename(s="m")
    return parts.weighted_sum(parts.softmax(parts.scaled_dot(q, keys), None), values)


@DERIVATIONS.enter("linformer-to-softmax", "Linformer at full rank to softmax attention")
def linformer_to_softmax() -> Derivation:
    """With as many summaries as tokens, each summary may be a token: then it is attention.

    So attention is among its functions at that rank, and at no smaller one in general.
    """
    return derive(projected_tokens, weights.summaries_to_tokens, weights.summaries_to_tokens)
