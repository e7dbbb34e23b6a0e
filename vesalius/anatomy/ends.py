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
CORRECTED = (
    "A value is written less what the state holds at its key: the weight of a pair depends on all "
    "the keys in between."
)
FIXED = "Its weights do not depend on what the tokens are: there is no score."

OBSTRUCTIONS: dict[str, str] = {
    "linear": RANK,
    "rfa": RANK,
    "cosformer": RANK,
    "nystromformer": "Its weights are a product of three softmaxes, one of them inverted by a few "
    "steps: with all tokens as landmarks it is softmax attention only if the inverse is exact.",
    "based_layers": "One of its two layers is not attention of one softmax: " + RANK,
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
    "native_sparse": "A network makes one key of a block, blocks are chosen by their scores, and "
    "three softmaxes are added by gates of the query: the weight of a pair reads keys besides.",
    "reformer": "Keys are the directions of the queries, and a token looks at itself only where it "
    "sees no other.",
    "gau": SUM,
    "flash": SUM,
    "mega": "A silu stands behind what was mixed, and no value of its gates takes it away.",
    "fastformer": "Tokens meet in one pooled query and one pooled key: there is no weight for a "
    "pair of tokens.",
    "hyena": "Filters of positions mix and tokens gate, twice in turn: what one token is to "
    "another depends on all in between.",
    "gmlp": FIXED,
    "fnet": FIXED,
    "retnet": STATE,
    "rfa_gated": RANK,
    "gla": STATE,
    "mamba2": STATE,
    "delta_net": CORRECTED,
    "gated_delta_net": CORRECTED,
}
"""Why neither a mechanism nor softmax attention promises anything of the other."""
