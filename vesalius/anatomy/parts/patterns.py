"""Masks that are sparse: which keys a query may see, by where they stand or by what they hold.

The sizes in them are given with the mechanism: `w` a window, `l` the length of a block, `s` the
number of blocks, `t` what is kept of a block, `u` random blocks for each.
"""

from __future__ import annotations

from vesalius.anatomy.parts.axes import index, written
from vesalius.anatomy.parts.masks import visible
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.wire import Wire


def among(pattern: Wire, visible: Wire | None) -> Wire:
    """those of a pattern that count"""
    return pattern if visible is None else pattern & visible


def steps_back(q: Wire, k: Wire) -> Wire:
    """n − m"""
    return index(q, "n") - index(k, "m")


def block_of(x: Wire, axis: str) -> Wire:
    """the block of length l that a position stands in"""
    return vs.floor_divide(index(x, axis), vs.size("l"))


def sliding_window(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """|n − m| < w, and m ≤ n if causal"""
    near = vs.abs(steps_back(q, k)) < vs.size("w")
    return among(near, visible(q, k, causal=causal, keep=keep))


def strided_blocks(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """|n − m| < l or l divides n − m, and m ≤ n if causal"""
    length = vs.size("l")
    far = steps_back(q, k)
    pattern = (vs.abs(far) < length) | vs.equal(vs.remainder(far, length), 0)
    return among(pattern, visible(q, k, causal=causal, keep=keep))


def fixed_blocks(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """⌊n/l⌋ = ⌊m/l⌋ or m is one of the last t of its block, and m ≤ n if causal"""
    summary = vs.remainder(index(k, "m"), vs.size("l")) >= vs.size("l") - vs.size("t")
    pattern = vs.equal(block_of(q, "n"), block_of(k, "m")) | summary
    return among(pattern, visible(q, k, causal=causal, keep=keep))


def random_blocks(blocks: Size | None = None) -> Wire:
    """u blocks for each of s blocks, drawn once and kept: ⌊s·(links + 1) / 2⌋"""
    blocks = blocks or vs.size("s")
    links = vs.parameter("links", f"{written(s=blocks)} u", init="uniform", trainable=False)
    return vs.to_int(vs.floor((links + 1) * blocks / 2))


def big_bird(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire:
    """blocks that touch, the first and the last of s, and u random ones; m ≤ n if causal"""
    queries, keys = block_of(q, "n"), block_of(k, "m")

    def ends(blocks: Wire) -> Wire:
        return vs.equal(blocks, 0) | vs.equal(blocks, vs.size("s") - 1)

    near = vs.abs(queries - keys) <= 1
    linked = vs.any(vs.equal(vs.gather(random_blocks(), queries, over="s"), keys), "u")
    pattern = near | ends(queries) | ends(keys) | linked
    return among(pattern, visible(q, k, causal=causal, keep=keep))


def before(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire | None:
    """the keys that count: those kept and, if causal, m < n"""
    if not causal:
        return keep
    earlier = index(k, "m") < index(q, "n")
    return earlier if keep is None else earlier & keep
