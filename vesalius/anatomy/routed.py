"""Attention whose mask follows from what is there: hashes, clusters, blocks that are sorted."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, SOFTMAX
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
    mask_inputs,
)
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

ROUTING: dict[str, Part] = {
    "preparation": parts.given,
    **SOFTMAX,
    "similarity": parts.standardised_dot,
    "mask": parts.same_cluster,
}


def routing(
    *,
    balanced: bool = False,
    decay: float | None = None,
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Attention within clusters of s centroids, which are drawn once.

    As equation 6 of the paper has it: keys whose nearest centroid is that of the query. `balanced`
    is its algorithm 1: each centroid takes the t nearest queries and the t nearest keys, a query in
    many clusters gets the mean of what they make, one in none gets 0. t is at most n and m. Which
    queries a centroid takes may depend on later ones, even if causal.

    A diagram does not change its parameters. With `decay`, λ, there is a second output `moved`: the
    centroids after this step of the paper's k-means, for whoever trains to put in their place.
    """
    if decay is not None:
        return _moving(routing(balanced=balanced, causal=causal, padding=padding, mask=mask), decay)
    if not balanced:
        return explicit("routing", QKV, "n e", ROUTING)(causal=causal, padding=padding, mask=mask)

    def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None, mask: Wire | None = None) -> Wire:
        of_queries, of_keys = parts.members(q, k, keep)

        def queries(x: Wire) -> Wire:
            return vs.gather(x, of_queries, over="n").rename(t="n")

        def keys(x: Wire) -> Wire:
            return vs.gather(x, of_keys, over="m").rename(j="m")

        scores = ROUTING["similarity"](queries(q), keys(k))
        if mask is not None:
            scores = scores + keys(queries(mask))
        places = of_keys.rename(j="m"), of_queries.rename(t="n")
        seen = places[0] <= places[1] if causal else None
        if keep is not None:
            seen = keys(keep) if seen is None else seen & keys(keep)
        mixed = ROUTING["mixing"](ROUTING["normaliser"](scores, seen), keys(v))
        return parts.mean_of_clusters(mixed, of_queries, q)

    return diagram_of("routing", {**QKV, **mask_inputs("m", padding, mask)}, "n e", body)


def _moving(attention: Diagram, decay: float) -> Diagram:
    """Routing attention with a second output: its centroids, moved towards what is near them."""
    if not isinstance(decay, float) or not 0 <= decay <= 1:
        raise FormatError(f"routing: decay is a number from 0.0 to 1.0, not {decay!r}")
    exposed = attention.expose("centroids")

    def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None, **mask: Wire) -> tuple[Wire, ...]:
        middles = parts.centroids(q)
        given = [q, k, v, *([] if keep is None else [keep]), *mask.values(), middles]
        return exposed(*given), parts.moved_centroids(q, k, middles, keep, decay)

    inputs = mask_inputs("m", "keep" in attention.input_types, "mask" in attention.input_types)
    return diagram_of("routing", {**QKV, **inputs}, {"out": "n e", "moved": "c s"}, body)


CATALOGUE.enter(
    Mechanism(
        "routing",
        "Routing attention",
        ROY,
        "o[n,e] = Σ_m softmax_m(Σ_c q̂[n,c]·k̂[m,c] / √c where n and m have the nearest of s "
        "centroids in common)·v[m,e], x̂ = (x − mean x) / deviation x",
        ROUTING,
        routing,
    )
)

REFORMER: dict[str, Part] = {
    **SOFTMAX,
    "preparation": parts.tied,
    "similarity": parts.scaled_dot,
    "position": parts.but_itself,
    "mask": parts.same_hash,
    "output": parts.join_heads,
}


def reformer(*, chunked: bool = False, causal: bool = False, padding: bool = False) -> Diagram:
    """Attention among positions of the same hash; u hashes into 2·s buckets each.

    As equation 2 of the paper has it: all that shares a hash, at the cost of all pairs. `chunked`
    is what the paper's experiments compute, with 2·u·n·l scores: in each round positions are sorted
    by hash and cut into chunks of l, which see themselves and the chunk before, in whatever bucket;
    rounds are merged as log Σ exp of their scores says, so that what two rounds see counts twice.
    l divides u·n. A chunk is of all positions: with `causal` a query attends to none later, but
    which earlier ones share its chunk may depend on those later.
    """

    def attend(q: Wire, k: Wire, v: Wire, keep: Wire | None) -> Wire:
        allowed = REFORMER["mask"](q, k, causal=causal, keep=keep)
        scores = REFORMER["similarity"](q, k) + REFORMER["position"](q, k)
        mixed: Wire = REFORMER["mixing"](REFORMER["normaliser"](scores, allowed), v)
        return mixed

    def in_rounds(q: Wire, k: Wire, v: Wire, keep: Wire | None) -> Wire:
        order, inverse = parts.sorted_by(parts.hashes(q, keep))

        def sought(x: Wire) -> Wire:
            return parts.in_chunks(vs.gather(x, order, over="n"))

        q, k, v = sought(q), *(parts.with_former(sought(y.rename(m="n"))) for y in (k, v))
        places = parts.in_chunks(order)
        others = parts.with_former(places)
        allowed = others <= places if causal else None
        if keep is not None:
            kept = parts.with_former(sought(keep.rename(m="n")))
            allowed = kept if allowed is None else allowed & kept
        scores = REFORMER["similarity"](q, k) + vs.where(vs.equal(places, others), -1e5, 0.0)
        if allowed is not None:
            scores = vs.where(allowed, scores, -1e9)
        mixed = REFORMER["mixing"](REFORMER["normaliser"](scores, None), v)
        return parts.over_rounds(mixed, scores, inverse)

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        q, k, v = REFORMER["preparation"](x)
        kept = None if keep is None else keep.rename(n="m")
        joined: Wire = REFORMER["output"]((in_rounds if chunked else attend)(q, k, v, kept))
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
        check="transformers",
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


def sinkhorn(*, turns: int = 8, causal: bool = False, padding: bool = False) -> Diagram:
    """Blocks of l attend to themselves and to a block that is sorted to them, by a soft
    permutation that `turns` of normalising rows and columns make; without noise.

    `causal` sorts to a block earlier ones alone, as what comes before its second position says,
    and normalises columns over the rows up to each. With `padding`, what is not kept is 0 in what
    is sorted.
    """
    if not isinstance(turns, int) or isinstance(turns, bool) or turns < 1:
        raise FormatError(f"sinkhorn: turns is a positive integer, not {turns!r}")

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        shown = parts.shown(x, keep)
        q, k, v = SINKHORN["preparation"](shown, shown)
        order = SINKHORN["position"](shown, turns, causal)
        seen = None
        if causal or keep is not None:
            kept = None if keep is None else keep.rename(n="m")
            seen = parts.seen_of_sorted(order, x.axes["n"], causal, kept).rename(l="m")
        k, v = (SINKHORN["mask"](y.rename(n="m"), order).rename(l="m") for y in (k, v))
        q = vs.split(q, "n", parts.blocks_of(q, "n", "i n"))
        weights = SINKHORN["normaliser"](SINKHORN["similarity"](q, k), seen)
        mixed = vs.merge(SINKHORN["mixing"](weights, v), "i n", into="n")
        joined: Wire = SINKHORN["output"](mixed)
        return joined

    return diagram_of("sinkhorn", {"x": "n d", **mask_inputs("n", padding, False)}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "sinkhorn",
        "Sinkhorn attention",
        TAY,
        "z = Σ_he (softmax(q[i]·[k[i], Σ_j R[i,j]·k[j]] / √c)·[v[i], Σ_j R[i,j]·v[j]])·W_o in "
        "blocks i, j of length l, R doubly stochastic, of what the blocks' sums say",
        SINKHORN,
        sinkhorn,
        implied=CHANNELS,
    )
)
