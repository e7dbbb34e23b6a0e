"""Attention in blocks of l positions: summaries of blocks, blocks that are sorted or selected."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import index, written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire


def log_sum(x: Wire, over: str) -> Wire:
    """log Σ exp(x) along an axis"""
    top = vs.max(x, over)
    return vs.log(vs.sum(vs.exp(x - top), over)) + top


def blocks_of(x: Wire, axis: str, into: str) -> str:
    """an axis as blocks of length l, which divides its length: block and place, with sizes"""
    block, place = into.split()
    length = vs.size("l")
    return written(**{block: x.axes[axis] / length, place: length})


# -- sorted blocks ----------------------------------------------------------------------------


@diagram
def balanced(r: "i j") -> {"r": "i j"}:  # type: ignore[misc]
    """Rows, then columns, are brought to the sum 1; all are logarithms."""
    r = r - log_sum(r, "j")
    return {"r": r - log_sum(r, "i")}


def sorting(x: Wire, turns: int) -> Wire:
    """exp of relu(Σ_l x[i,l]·W)·U[·,j], made doubly stochastic in some turns: Sinkhorn's R[i,j]

    U has a column for each block: the length is fixed.
    """
    pooled = vs.sum(vs.split(x, "n", blocks_of(x, "n", "i l")), "l")
    hidden = vs.relu(vs.linear(pooled, "d", "h f", name="sort_up"))
    scores = vs.linear(hidden, "f", written(j=pooled.axes["i"]), name="sort_down")
    (logs,) = vs.scan(balanced, over="turn", states=[scores], length=turns)
    return vs.exp(logs)


def with_sorted(x: Wire, order: Wire) -> Wire:
    """x[i, l] and after it Σ_j R[i,j]·x[j, l]: a block, and what is sorted to it"""
    blocks = vs.split(x, "m", blocks_of(x, "m", "j l"))
    moved = vs.contract(order, blocks, over="j")
    return vs.concat(blocks.rename(j="i"), moved, over="l")


# -- selected blocks --------------------------------------------------------------------------


def whole_blocks(x: Wire, beyond: str) -> Wire:
    """x[s, l]: blocks of length l, the last filled up with 0, and as many of 0 as `beyond` says"""
    n, length = x.axes["m"], vs.size("l")
    blocks = n.ceil_div(length) + vs.size(beyond)
    filled = vs.pad(x, "m", after=blocks * length - n)
    return vs.split(filled, "m", written(s=blocks, l=length))


def overlapping(x: Wire) -> Wire:
    """x[s, a]: the a positions from s·o on, for all o in whole blocks of l; 0 where x ends"""
    n, span, stride = x.axes["m"], vs.size("a"), vs.size("o")
    length = n.ceil_div(vs.size("l")) * vs.size("l") + span - stride
    cells = vs.split(vs.pad(x, "m", after=length - n), "m", written(s=length / stride, o=stride))
    return vs.merge(vs.window(cells, "s", f"s {written(r=span / stride)}"), "r o", into="a")


def compressed(x: Wire, into: str, name: str) -> Wire:
    """relu((x[s, a] + place[a])·W)·U: a block as one vector"""
    place = vs.parameter(f"{name}_place", f"a {into}", init="normal", scale=0.02)
    hidden = vs.relu(vs.linear(x + place, f"a {into}", "f", name=f"{name}_up"))
    return vs.linear(hidden, "f", into, name=f"{name}_down")


def complete(q: Wire, blocks: Wire) -> Wire:
    """m·o + a ≤ n + 1: the blocks that end no later than the query"""
    return index(blocks, "m") * vs.size("o") + vs.size("a") <= index(q, "n") + 1


def of_blocks(weights: Wire) -> Wire:
    """Σ_i weights[i]·(how many of the o's of block s are in i); and t blocks of 0"""
    span, stride, length = (vs.size(name) for name in "aol")
    before = vs.pad(weights, "s", before=span / stride - 1)
    cells = vs.sum(vs.window(before, "s", f"s {written(r=span / stride)}"), "r")
    blocks = written(s=weights.axes["s"] * stride / length, r=length / stride)
    return vs.pad(vs.sum(vs.split(cells, "s", blocks), "r"), "s", after=vs.size("t"))


def selected(q: Wire, importance: Wire) -> Wire:
    """t blocks: the first, that of the query, the one before, then those of most importance"""
    own = vs.floor_divide(index(q, "n"), vs.size("l"))
    blocks = index(importance, "s")
    always = vs.equal(blocks, 0) | vs.equal(blocks, own) | vs.equal(blocks, own - 1)
    _, places = vs.topk(vs.where(always, float("inf"), importance), "s", "t")
    return places


def positions_in(blocks: Wire) -> Wire:
    """l·block, …, l·block + l − 1: the positions in a block, along l"""
    return blocks * vs.size("l") + vs.iota("l")
