"""The edges of the taxonomy: short derivations from one mechanism of the catalogue to another.

Where a mechanism has parameters or inputs that softmax attention lacks, an edge says at which
values of them it is softmax attention, and the rules of the library prove it.
"""

# Importing a file of edges enters them.
from vesalius.anatomy.edges import (  # noqa: F401
    fading,
    features,
    gates,
    limits,
    low_shares,
    masks,
    mixers,
    native,
    nearby,
    normalisers,
    outputs,
    places,
    prepared,
    rounds,
    scores,
    similarities,
    smoothers,
    sums,
    values,
)
from vesalius.anatomy.edges.registry import EDGES, ENDS, at, edge

__all__ = ["EDGES", "ENDS", "at", "edge"]
