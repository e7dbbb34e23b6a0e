"""What the taxonomy adds to derivations, as data: their ends, and what stands in the way of others.

For each derivation of the reference that leads between mechanisms, the mechanism and the options
at which it starts and those at which it ends. Derivations that lead to another form of the same
function (a loop, chunks) stand in the registry alone.
"""

from __future__ import annotations

from vesalius.anatomy.edges.registry import ENDS as OWN
from vesalius.anatomy.edges.registry import Place, at

SOFTMAX = ("scaled_dot_product", "multihead", "multihead_cross")
"""Softmax attention: alone, and with the projections of heads."""

ENDS: dict[str, tuple[Place, Place]] = {
    "softmax-to-linear": (at("scaled_dot_product"), at("linear")),
    "softmax-to-linear-causal": (
        at("scaled_dot_product", causal=True),
        at("linear", causal=True, form="weights"),
    ),
    **OWN,
}

GATED = "Queries gate the mean of the values: equal values do not come out as they are."
STATE = "What is kept of the past is a state of fixed size; softmax attention tells all keys apart."

OBSTRUCTIONS: dict[str, str] = {
    **dict.fromkeys(("aft_full", "aft_local", "aft_simple", "rwkv"), GATED),
    **dict.fromkeys(("retnet", "gla", "mamba2", "delta_net", "gated_delta_net"), STATE),
    "rfa": "Weights have signs, and before the normaliser a rank of at most 2r.",
    "rfa_gated": "Its weights have signs, and fade with the distance as inputs say.",
    "cosformer": "Weights are exactly 0 where no channel is positive in query and key; those of a "
    "softmax never are.",
    "efficient": "Its matrix of weights has a rank of at most c, the width of keys; that of "
    "exponentials of products has any rank.",
    "fastformer": "Outputs are products of maps of the tokens: no means of values.",
    "linear": "Its matrix of weights before the normaliser has a rank of at most c, the width of "
    "keys; that of exponentials of products has any rank.",
    "sigmoid": "Its rows do not sum to 1: equal values do not come out as they are.",
    "relu": "Its rows do not sum to 1: equal values do not come out as they are.",
    "relu_squared": "Weights are exactly 0 where a product is negative; those of a softmax never "
    "are.",
    "spherical": "Weights have signs, and the sum of their squares is 1, not their sum.",
}
"""Why a mechanism reaches softmax attention by no grade but `variant`."""
