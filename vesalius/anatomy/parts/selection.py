"""Masks that follow from what queries and keys hold: hashes, clusters, the best blocks."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.anatomy.parts.masks import visible
from vesalius.anatomy.parts.norms import layer_norm, standardised, unit
from vesalius.anatomy.parts.patterns import among
from vesalius.anatomy.parts.positions import rotary
from vesalius.anatomy.parts.similarity import scaled_dot
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def first_largest(x: Wire, axis: str) -> Wire:
    """where x is largest along an axis; the first such place"""
    _, place = vs.topk(x, axis, "one:1")
    return vs.max(place, "one")


# -- hashes -----------------------------------------------------------------------------------


def tied(x: Wire) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = q / |q|, v = x·W_v, for each head"""
    q = vs.linear(x, "d", "h c", name="wq")
    v = vs.linear(x, "d", "h e", name="wv")
    return q, unit(q).rename(n="m"), v.rename(n="m")


def hashes(x: Wire, keep: Wire | None = None) -> Wire:
    """argmax_s [x·R, −x·R] for each of u normal R a head, drawn once; 2·s where not `keep`"""
    axes = f"{axes_of(x, 'h c')} u s"
    rotations = vs.parameter("rotations", axes, init="normal", trainable=False)
    turned = vs.contract(x, rotations, over="c")
    found = first_largest(vs.concat(turned, -turned, over="s"), "s")
    return found if keep is None else vs.where(keep.rename(m="n"), found, 2 * vs.size("s"))


def same_hash(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """any of the hashes of n and m agree, and m ≤ n if causal; k is q, but for its length"""
    of_queries = hashes(q)
    shared = vs.any(vs.equal(of_queries, of_queries.rename(n="m")), "u")
    return among(shared, visible(q, k, causal=causal, keep=keep))


def but_itself(q: Wire, k: Wire) -> Wire:
    """−10⁵ where n = m: a position looks at itself where it sees no other"""
    return vs.where(vs.equal(index(q, "n"), index(k, "m")), -1e5, 0.0)


# -- clusters ---------------------------------------------------------------------------------


def standardised_dot(q: Wire, k: Wire) -> Wire:
    """Σ_c q̂·k̂ / √c, x̂ = (x − mean_c x) / √(var_c x + 10⁻⁵)"""
    return vs.contract(standardised(q, "c", 1e-5), standardised(k, "c", 1e-5), over="c") / vs.sqrt(
        q.axes["c"]
    )


def centroids(q: Wire) -> Wire:
    """s normal directions, drawn once and kept"""
    return vs.parameter("centroids", f"{axes_of(q, 'c')} s", init="normal", trainable=False)


def same_cluster(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """q̂ and k̂ have the nearest of s centroids in common, and m ≤ n if causal"""
    middles = centroids(q)

    def nearest(x: Wire) -> Wire:
        return first_largest(vs.contract(standardised(x, "c", 1e-5), middles, over="c"), "s")

    return among(vs.equal(nearest(q), nearest(k)), visible(q, k, causal=causal, keep=keep))


def moved_centroids(q: Wire, k: Wire, middles: Wire, keep: Wire | None, decay: float) -> Wire:
    """λ·μ + (1 − λ)/2·(Σ q̂ + Σ k̂), of those of which μ is the nearest centroid"""

    def taken(x: Wire, axis: str, keep: Wire | None) -> Wire:
        x = standardised(x, "c", 1e-5)
        nearest = first_largest(vs.contract(x, middles, over="c"), "s")
        here = vs.to_float(vs.equal(nearest, index(middles, "s")))
        return vs.contract(x, here if keep is None else vs.where(keep, here, 0.0), over=axis)

    sums = taken(q, "n", None) + taken(k, "m", keep)
    return decay * middles + (1 - decay) / 2 * sums


def members(q: Wire, k: Wire, keep: Wire | None) -> tuple[Wire, Wire]:
    """the t queries and the t keys nearest to each of s centroids, of those that are kept"""
    middles = centroids(q)
    near_q, near_k = (vs.contract(standardised(x, "c", 1e-5), middles, over="c") for x in (q, k))
    near_k = near_k if keep is None else vs.where(keep, near_k, float("-inf"))
    _, of_queries = vs.topk(near_q, "n", "t")
    _, of_keys = vs.topk(near_k, "m", "j:t")
    return of_queries, of_keys


def mean_of_clusters(o: Wire, places: Wire, q: Wire) -> Wire:
    """the mean of o[s, n] over the clusters s that a query is in; 0 where it is in none"""
    here = vs.to_float(vs.equal(places, index(q, "n")))
    total = vs.contract(here, o.rename(n="t"), over="s t")
    return total / vs.maximum(vs.sum(vs.sum(here, "s"), "t"), 1.0)


# -- an indexer -------------------------------------------------------------------------------


def index_of_keys(x: Wire, rotary_positions: bool = False) -> Wire:
    """Σ_i w[n,i]/√i·relu(Σ_r q[n,i,r]·k[m,r] / √r), q = x·W_q, k = norm(x·W_k), w = x·W: few
    channels, one key for all heads i
    """
    q = vs.linear(x, "d", "i c:r", name="wq_index")
    k = layer_norm(vs.linear(x, "d", "c:r", name="wk_index"), 1e-6, "c", "index_").rename(n="m")
    if rotary_positions:
        q, k = rotary(q), rotary(k)
    share = vs.linear(x, "d", "i", name="w_index") / vs.sqrt(q.axes["i"])
    return vs.contract(share, vs.relu(scaled_dot(q, k)), over="i")


def chosen_keys(scores: Wire, seen: Wire | None) -> Wire:
    """the places m of the t largest scores, of those seen; beyond the last where there are fewer"""
    scores = scores if seen is None else vs.where(seen, scores, float("-inf"))
    _, places = vs.topk(vs.pad(scores, "m", after=vs.size("t"), value=float("-inf")), "m", "t")
    return places


def of_chosen(x: Wire, places: Wire) -> Wire:
    """x at the places t of its axis m, which is the axis m then; 0 beyond its end"""
    return vs.gather(vs.pad(x, "m", after=vs.size("t")), places, over="m").rename(t="m")
