"""Attention in blocks of l positions: summaries of blocks, blocks that are sorted or selected."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import counted, index, written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
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


def _or_one(total: Wire) -> Wire:
    """A divisor: 1 where there is nothing to divide."""
    return vs.where(total > 0, total, 1.0)


def up_to(x: Wire, axis: str, other: str) -> Wire:
    """1 where `other`, an axis of the same length, is at `axis` or before, else 0"""
    return vs.to_float(counted(other, x.axes[axis]) <= index(x, axis))


@diagram
def balanced_past(r: "i j") -> {"r": "i j"}:  # type: ignore[misc]
    """Rows are brought to the sum 1; columns too, each row by itself and those before it."""
    r = r / _or_one(vs.sum(r, "j"))
    former = vs.contract(up_to(r, "i", "k"), r.rename(i="k"), over="k")
    return {"r": r / _or_one(former)}


def pooled(x: Wire, causal: bool) -> Wire:
    """Σ_l x[i,l], the sum of a block; causal, of all that is up to its first position"""
    blocks = vs.split(x, "n", blocks_of(x, "n", "i l"))
    sums = vs.sum(blocks, "l")
    if not causal:
        return sums
    first = vs.sum(vs.slice(blocks, "l", length=1), "l")
    return vs.contract(up_to(sums, "i", "k"), sums.rename(i="k"), over="k") - sums + first


def sorting(x: Wire, turns: int, causal: bool = False) -> Wire:
    """exp of relu(pooled x[i]·W)·U[·,j], made doubly stochastic in some turns: Sinkhorn's R[i,j]

    U has a column for each block: the length is fixed. Causal, a block takes of earlier ones alone,
    and columns are normalised with the rows up to their own.
    """
    sums = pooled(x, causal)
    hidden = vs.relu(vs.linear(sums, "d", "h f", name="sort_up"))
    scores = vs.linear(hidden, "f", written(j=sums.axes["i"]), name="sort_down")
    if not causal:
        (logs,) = vs.scan(balanced, over="turn", states=[scores], length=turns)
        return vs.exp(logs)
    earlier = index(scores, "j") < index(scores, "i")
    start = vs.softmax(vs.where(earlier, scores, float("-inf")), "j")
    (order,) = vs.scan(balanced_past, over="turn", states=[start], length=turns)
    return order


def with_sorted(x: Wire, order: Wire) -> Wire:
    """x[i, l] and after it Σ_j R[i,j]·x[j, l]: a block, and what is sorted to it"""
    blocks = vs.split(x, "m", blocks_of(x, "m", "j l"))
    moved = vs.contract(order, blocks, over="j")
    return vs.concat(blocks.rename(j="i"), moved, over="l")


def seen_of_sorted(order: Wire, length: Size, causal: bool, keep: Wire | None) -> Wire:
    """the keys that count: in the block those kept and, if causal, m ≤ n; of what is sorted to it
    those places of which anything is kept
    """
    blocks, size = order.axes["i"], vs.size("l")
    kept = vs.expand(1.0, written(m=length)) if keep is None else vs.to_float(keep)
    own = vs.split(kept, "m", written(i=blocks, l=size)) > 0
    if causal:
        own = own & (counted("l", size) <= counted("n", size))
    moved = vs.contract(order, vs.split(kept, "m", written(j=blocks, l=size)), over="j") > 0
    return vs.concat(own, moved, over="l")


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
