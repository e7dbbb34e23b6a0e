"""Sparse patterns in blocks: only what a query may see is compared with it.

Each is the function of a mask over all pairs, of as many queries as keys. What is seen in several
ways counts once.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire

Keys = tuple[Wire, Wire, Wire]
"""Some keys, their values, and which queries see which of them."""


def attend(q: Wire, *groups: Keys) -> Wire:
    """softmax(q·k/√c)·v over the keys of all groups together."""
    scores = [parts.scaled_dot(q, k) for k, _, _ in groups]
    joined = vs.concat(*scores, over="m") if len(groups) > 1 else scores[0]
    seen = [mask for _, _, mask in groups]
    weights = parts.softmax(joined, vs.concat(*seen, over="m") if len(groups) > 1 else seen[0])
    start, mixed = vs.size(0), []
    for k, v, _ in groups:
        length = k.axes["m"]
        own = vs.slice(weights, "m", start, length=length) if len(groups) > 1 else weights
        mixed.append(parts.weighted_sum(own, v))
        start = start + length
    return vs.add(*mixed) if len(groups) > 1 else mixed[0]


def kept(seen: Wire, keep: Wire | None) -> Wire:
    """What is seen and kept."""
    return seen if keep is None else seen & keep


def sliding_window(q: Wire, k: Wire, v: Wire, keep: Wire | None, causal: bool) -> Wire:
    """Blocks of w with their neighbours; the last block is filled up."""

    def laid(x: Wire) -> Wire:
        return parts.with_neighbours(parts.chunks(parts.filled(x, "m"), "m", "m"), causal)

    length = q.axes["n"]
    q = parts.chunks(parts.filled(q))
    real = None if keep is None else vs.equal(laid(vs.to_int(keep)), 1)
    near = kept(parts.near_places(q, causal, length), real)
    return vs.slice(parts.whole(attend(q, (laid(k), laid(v), near))), "n", stop=length)


def blocks(x: Wire, axis: str, into: str) -> Wire:
    """x[t, into]: blocks of l"""
    return parts.chunks(x, axis, into, vs.size("l"))


def strided(q: Wire, k: Wire, v: Wire, keep: Wire | None, causal: bool) -> Wire:
    """A block with its neighbours, and the same place of all others: n·(3·l + n/l) pairs."""

    def near(x: Wire) -> Wire:
        return parts.with_neighbours(blocks(x, "m", "m"), causal)

    def column(x: Wire) -> Wire:
        return blocks(x, "m", "n").rename(t="m")

    q = blocks(q, "n", "n")
    window = parts.near_places(q, causal, reach=vs.size("l"))
    own, others = parts.index(q, "t"), parts.index(column(k), "m")
    far = others < own if causal else vs.logical_not(vs.equal(others, own))
    masks = (window, far) if keep is None else (window & near(keep), far & column(keep))
    groups = ((near(k), near(v), masks[0]), (column(k), column(v), masks[1]))
    return parts.whole(attend(q, *groups))


def fixed(q: Wire, k: Wire, v: Wire, keep: Wire | None, causal: bool) -> Wire:
    """A block, and the last t of all others: n·(l + t·n/l) pairs."""
    length, last = vs.size("l"), vs.size("t")

    def own(x: Wire) -> Wire:
        return blocks(x, "m", "m")

    def summaries(x: Wire) -> Wire:
        return vs.merge(vs.slice(own(x), "m", length - last), "t m", into="m")

    q = blocks(q, "n", "n")
    here = parts.counted("m", length)
    inside = here <= parts.index(q, "n") if causal else here >= 0
    block, others = parts.index(q, "t"), vs.floor_divide(parts.index(summaries(k), "m"), last)
    far = others < block if causal else vs.logical_not(vs.equal(others, block))
    masks = (inside, far) if keep is None else (inside & own(keep), far & summaries(keep))
    groups = ((own(k), own(v), masks[0]), (summaries(k), summaries(v), masks[1]))
    return parts.whole(attend(q, *groups))


def big_bird(q: Wire, k: Wire, v: Wire, keep: Wire | None, causal: bool) -> Wire:
    """Blocks that touch, the first and the last, u random ones; these two see all: n·(5 + u)·l."""
    length, count = vs.size("l"), q.axes["n"] / vs.size("l")
    q = blocks(q, "n", "n")
    own = parts.index(q, "t")
    ends = parts.counted("x", vs.size(2)) * (count - 1)
    links = parts.random_blocks(count).rename(s="t")

    def near(x: Wire) -> Wire:
        return parts.with_neighbours(blocks(x, "m", "m"), causal)

    def chosen(x: Wire, places: Wire, axis: str) -> Wire:
        """x[…, m] of the blocks at these places, one after the other."""
        taken = vs.gather(blocks(x, "m", "m"), places, over="t")
        return vs.merge(taken, f"{axis} m", into="m")

    def apart(places: Wire) -> Wire:
        """Whether blocks do not touch that of the query."""
        return vs.abs(own - places) > 1

    def seen(places: Wire, counts: Wire, axis: str) -> Wire:
        """Of all positions in these blocks, those that a query sees, if the blocks count."""
        inside = places * length + parts.counted("m", length)
        if causal:
            counts = counts & (inside <= own * length + parts.index(q, "n"))
        else:
            counts = counts & (inside >= 0)
        mask = vs.merge(counts, f"{axis} m", into="m")
        return kept(mask, None if keep is None else chosen(keep, places, axis))

    window = kept(
        parts.near_places(q, causal, reach=2 * length), None if keep is None else near(keep)
    )
    no_end = (links > 0) & (links < count - 1)
    former = parts.counted("y", vs.size("u")) < parts.index(links, "u")
    again = vs.any(vs.equal(links, links.rename(u="y")) & former, "y")
    fresh = apart(links) & no_end & vs.logical_not(again)
    local = attend(
        q,
        (near(k), near(v), window),
        (chosen(k, ends, "x"), chosen(v, ends, "x"), seen(ends, apart(ends), "x")),
        (chosen(k, links, "u"), chosen(v, links, "u"), seen(links, fresh, "u")),
    )

    asking = vs.gather(q, ends, over="t")
    everywhere = parts.counted("m", count * length)
    now = ends * length + parts.index(asking, "n")
    shown = kept(everywhere <= now if causal else everywhere >= 0, keep)
    whole = vs.gather(attend(asking, (k, v, shown)), vs.to_int(own > 0), over="x")
    is_end = vs.equal(own, 0) | vs.equal(own, count - 1)
    return parts.whole(vs.where(is_end, whole, local))
