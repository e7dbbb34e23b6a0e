"""Rounds of hashing: positions sorted by their hashes, cut into chunks, merged over the rounds."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import index, written
from vesalius.anatomy.parts.blocks import blocks_of, log_sum
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def sorted_by(hashes: Wire) -> tuple[Wire, Wire]:
    """the position that comes t-th in round u, by its hash, then by its place; and the inverse"""
    length = hashes.axes["n"]
    _, order = vs.topk(hashes, "n", written(t=length), largest=False)
    _, inverse = vs.topk(order, "t", written(n=length), largest=False)
    return order, inverse


def in_chunks(x: Wire) -> Wire:
    """x[u, t] as chunks j of l places i: one round after the other"""
    rows = vs.merge(x, "u t", into="t")
    return vs.split(rows, "t", blocks_of(rows, "t", "j i"))


def with_former(x: Wire) -> Wire:
    """each chunk, and before it the one before; before the first is the last"""
    chunks = x.axes["j"]
    former = vs.gather(x, vs.remainder(index(x, "j") + (chunks - 1), chunks), over="j")
    return vs.concat(former, x, over="i", into="m")


def unsorted(x: Wire, inverse: Wire) -> Wire:
    """x[u, n] of chunks"""
    rows = vs.split(vs.merge(x, "j i", into="t"), "t", written(u=vs.size("u"), t=inverse.axes["n"]))
    return vs.gather(rows, inverse, over="t")


def over_rounds(o: Wire, scores: Wire, inverse: Wire) -> Wire:
    """Σ_u softmax_u(log Σ_m exp(scores))·o: rounds count as what they saw weighs"""
    shares = vs.softmax(unsorted(log_sum(scores, "m"), inverse), "u")
    return vs.contract(unsorted(o, inverse), shares, over="u")
