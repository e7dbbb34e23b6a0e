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
ZERO = "It has weights that are exactly 0; those of a softmax never are. "
BEHIND = (
    "Its weights do not sum to 1 and fade. What comes of them is divided by its own length in each "
    "head, and gated, and no value of its parameters takes the two away"
)
CORRECTED = (
    "A value is written less what the state holds at its key: the weight of a pair depends on all "
    "the keys in between. What comes out is divided by its own length."
)
TIED = (
    "Its queries and keys are one silu of a norm, scaled and shifted, so that no features of a "
    "kernel can be handed to it; "
)

OBSTRUCTIONS: dict[str, str] = {
    "rfa": RANK,
    "rfa_gated": "Queries and keys are of length 1, and the past fades: with gates that stay open "
    "it is attention of such vectors, which is less than softmax attention; with others, more.",
    "based_layers": "Two layers with residuals around them: tokens meet twice, and each stays "
    "beside what was mixed.",
    "sparsemax": ZERO + "Where none is 0 they are linear in the scores.",
    "entmax": ZERO + "Where none is 0 they are squares of the scores, less a level.",
    "reformer": "Keys are the directions of the queries, hashes of both say what is hidden, and a "
    "token looks at itself only where it sees no other.",
    "gau": TIED + "its squares of products, by the length, sum to no 1.",
    "flash": TIED + "its weights, squares in a chunk and products across, sum to no 1.",
    "mega": "Its queries and keys are of moving averages: what is prepared reads all of the past. "
    "A silu stands behind what was mixed, and no value of its gates takes it away.",
    "fastformer": "Tokens meet in one pooled query and one pooled key: there is no weight for a "
    "pair of tokens.",
    "hyena": "Filters of positions mix and tokens gate, twice in turn: what one token is to "
    "another depends on all in between.",
    "retnet": f"{BEHIND}.",
    "gla": f"{BEHIND}.",
    "mamba2": f"{BEHIND}; what is asked and written is of windows.",
    "delta_net": CORRECTED,
    "gated_delta_net": CORRECTED,
}
"""Why neither a mechanism nor softmax attention promises anything of the other."""
