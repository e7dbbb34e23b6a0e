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

RANK = (
    "Its weights before the normaliser are a product of features, of a rank that is fixed by their "
    "number; twice the query does not double the logarithms of their ratios, as in a softmax."
)
SUM = "Its rows do not sum to 1: equal values do not come out as they are."
ZERO = "It has weights that are exactly 0; those of a softmax never are."
STATE = (
    "No normaliser: rows do not sum to 1, and what is kept is a state of fixed size; weights of a "
    "softmax over the past need all keys."
)
CHANNELS = (
    "Each channel has its own weights, of keys and places; the query gates what comes out and "
    "is in no score."
)
FIXED = "Its weights do not depend on what the tokens are: there is no score."

OBSTRUCTIONS: dict[str, str] = {
    "linear": RANK,
    "rfa": RANK,
    "cosformer": RANK,
    "efficient": "Queries and keys are normalised apart, the queries over channels: " + RANK,
    "nystromformer": "Its weights are a product of three softmaxes, one of them inverted by a few "
    "steps: with all tokens as landmarks it is softmax attention only if the inverse is exact.",
    "sigmoid": SUM,
    "sigmoid_bias": SUM,
    "relu": SUM,
    "relu_squared_by_length": SUM,
    "stick_breaking": SUM,
    "spherical": "Weights have signs, and the sum of their squares is 1, not their sum.",
    "relu_squared": ZERO,
    "relu_normalised": ZERO,
    "sparsemax": ZERO,
    "entmax": ZERO,
    "native_sparse": "Keys are averaged over blocks and chosen by block, and three softmaxes are "
    "added by gates of the query: rows sum to what the gates say.",
    "reformer": "Which keys a query sees is drawn, by hashes of the vectors themselves.",
    "routing": "Which keys a query sees depends on all tokens, by the nearest of learned centres.",
    "sinkhorn": "Blocks of keys are mixed by a learned sorting: a softmax over mixtures of keys.",
    "gau": SUM,
    "flash": SUM,
    "mega": "Open: an average along positions and two gates stand around its softmax, and at which "
    "of their values they do nothing is not derived.",
    "differential": "The difference of its two softmaxes is brought to length 1 in each head: no "
    "value of λ takes the norm away.",
    "gat": "Its values are the vectors that are scored, and a mask that is an input hides keys: "
    "scores of sums of two parts are no products.",
    "gat_v2": "Its values are the vectors that are scored, and a mask that is an input hides keys: "
    "scores of rectified sums are no products.",
    "aft_full": CHANNELS,
    "aft_local": CHANNELS,
    "aft_simple": CHANNELS,
    "rwkv": CHANNELS,
    "fastformer": "Tokens meet in one pooled query and one pooled key: there is no weight for a "
    "pair of tokens.",
    "light_convolution": "Its softmax is over distances, not over keys, and reads no key.",
    "dynamic_convolution": "Its softmax is over distances, not over keys, and reads no key.",
    "hyena": "Its filters do not depend on the tokens, which gate what goes in and what comes out: "
    "there is no score, and rows do not sum to 1.",
    "gmlp": FIXED,
    "fnet": FIXED,
    "poolformer": FIXED,
    "retnet": STATE,
    "rfa_gated": STATE,
    "gla": STATE,
    "mamba2": STATE,
    "delta_net": STATE,
    "gated_delta_net": STATE,
}
"""Why neither a mechanism nor softmax attention promises anything of the other."""
