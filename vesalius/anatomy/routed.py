"""Attention whose mask follows from what is there: hashes, clusters, blocks that are sorted."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, SOFTMAX
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
from vesalius.anatomy.variants import variant
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

KITAEV = Paper(
    "Reformer: The Efficient Transformer", "Kitaev, Kaiser, Levskaya", 2020, "2001.04451"
)
ROY = Paper(
    "Efficient Content-Based Sparse Attention with Routing Transformers",
    "Roy, Saffar, Vaswani, Grangier",
    2020,
    "2003.05997",
)
TAY = Paper("Sparse Sinkhorn Attention", "Tay, Bahri, Yang, Metzler, Juan", 2020, "2002.11296")

variant(
    "routing",
    "Routing attention",
    ROY,
    "o[n,e] = Σ_m softmax_m(Σ_c q̂[n,c]·k̂[m,c] / √c where n and m have the nearest of s centroids "
    "in common)·v[m,e], x̂ = (x − mean x) / deviation x",
    similarity=parts.standardised_dot,
    mask=parts.same_cluster,
)

REFORMER: dict[str, Part] = {
    **SOFTMAX,
    "preparation": parts.tied,
    "similarity": parts.scaled_dot,
    "position": parts.but_itself,
    "mask": parts.same_hash,
    "output": parts.join_heads,
}


def reformer(*, causal: bool = False, padding: bool = False) -> Diagram:
    """Attention among positions of the same hash; u hashes into 2·s buckets each.

    As the formula of the paper has it. Its sorted chunks, which bound the size of a bucket, are
    an approximation of this.
    """

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        q, k, v = REFORMER["preparation"](x)
        kept = None if keep is None else keep.rename(n="m")
        allowed = REFORMER["mask"](q, k, causal=causal, keep=kept)
        scores = REFORMER["similarity"](q, k) + REFORMER["position"](q, k)
        mixed = REFORMER["mixing"](REFORMER["normaliser"](scores, allowed), v)
        joined: Wire = REFORMER["output"](mixed)
        return joined

    return diagram_of("reformer", {"x": "n d", **mask_inputs("n", padding, False)}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "reformer",
        "Attention by locality-sensitive hashing",
        KITAEV,
        "z[n,d] = Σ_he (Σ_m softmax_m(Σ_c q[h,n,c]·q[h,m,c] / (√c·|q[h,m]|) where a hash agrees)"
        "·v[h,m,e])·W_o[h,e,d], hash = argmax [q·R, −q·R]",
        REFORMER,
        reformer,
        implied=CHANNELS,
    )
)

SINKHORN: dict[str, Part] = {
    "preparation": parts.projections,
    "position": parts.sorting,
    "similarity": parts.scaled_dot,
    "mask": parts.with_sorted,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
    "output": parts.join_heads,
}


def sinkhorn(*, turns: int = 8) -> Diagram:
    """Blocks of l attend to themselves and to a block that is sorted to them, by a soft
    permutation that `turns` of normalising rows and columns make; without noise.
    """
    if not isinstance(turns, int) or isinstance(turns, bool) or turns < 1:
        raise FormatError(f"sinkhorn: turns is a positive integer, not {turns!r}")

    def body(x: Wire) -> Wire:
        q, k, v = SINKHORN["preparation"](x, x)
        order = SINKHORN["position"](x, turns)
        k, v = (SINKHORN["mask"](y.rename(n="m"), order).rename(l="m") for y in (k, v))
        q = vs.split(q, "n", parts.blocks_of(q, "n", "i n"))
        weights = SINKHORN["normaliser"](SINKHORN["similarity"](q, k), None)
        mixed = vs.merge(SINKHORN["mixing"](weights, v), "i n", into="n")
        joined: Wire = SINKHORN["output"](mixed)
        return joined

    return diagram_of("sinkhorn", {"x": "n d"}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "sinkhorn",
        "Sinkhorn attention",
        TAY,
        "z = Σ_he (softmax(q[i]·[k[i], Σ_j R[i,j]·k[j]] / √c)·[v[i], Σ_j R[i,j]·v[j]])·W_o in "
        "blocks i, j of length l, R doubly stochastic, of what the blocks' sums say",
        SINKHORN,
        sinkhorn,
        "never",
        implied=CHANNELS,
    )
)
