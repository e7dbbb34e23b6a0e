"""Windows in chunks: positions in chunks of one width, which see themselves and their neighbours.

A mask of all pairs costs all pairs; chunks cost what they see. The width is `w` unless said.
"""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.anatomy.parts.axes import counted, index, written
from vesalius.anatomy.parts.masks import visible
from vesalius.anatomy.parts.patterns import among, steps_back
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.wire import Wire


def chunks(x: Wire, axis: str = "n", into: str = "n", width: Size | None = None) -> Wire:
    """the tokens as t chunks of w"""
    width = width or vs.size("w")
    return vs.split(x, axis, written(t=x.axes[axis] / width, **{into: width}))


def filled(x: Wire, axis: str = "n", width: Size | None = None) -> Wire:
    """x, and 0 after it up to a multiple of w"""
    length, width = x.axes[axis], width or vs.size("w")
    return vs.pad(x, axis, after=length.ceil_div(width) * width - length)


def whole(x: Wire) -> Wire:
    """the chunks as one sequence again"""
    return vs.merge(x, "t n", "n")


def with_neighbours(x: Wire, causal: bool) -> Wire:
    """each chunk t with the one before it and, unless causal, the one after; the ends go round"""
    chunks, at = x.axes["t"], index(x, "t")
    turns = [chunks - 1] if causal else [chunks - 1, vs.size(1)]
    others = [vs.gather(x, vs.remainder(at + turn, chunks), over="t") for turn in turns]
    return vs.concat(others[0], x, *others[1:], over="m")


def near_places(
    q: Wire,
    causal: bool,
    length: Size | None = None,
    dilation: Sequence[int] = (1,),
    reach: Size | None = None,
) -> Wire:
    """|n − m| < w, and m ≤ n if causal, of queries in chunks and keys of chunks with neighbours

    `length` is what the chunks hold but for what fills them up, `reach` what stands for w.
    """
    width = q.axes["n"]
    at = index(q, "t") * width
    places = at - width + counted("m", width * (2 if causal else 3))
    length = q.axes["t"] * width if length is None else length
    near = in_window(at + index(q, "n") - places, q, dilation, reach)
    seen = near & (places >= 0) & (places < length)
    return seen & (at + index(q, "n") >= places) if causal else seen


# -- with gaps ------------------------------------------------------------------------------------


def in_window(
    back: Wire, q: Wire, dilation: Sequence[int] = (1,), reach: Size | None = None
) -> Wire:
    """|back| < w·g and g divides back, g the gap of a head: each has the next of `dilation`"""
    width = reach or vs.size("w")
    if tuple(dilation) == (1,):
        return vs.abs(back) < width
    gaps: Wire | int = dilation[0]
    if len(dilation) > 1:
        turn = vs.remainder(index(q, "h"), len(dilation))
        gaps = vs.gather(vs.constant(list(dilation), "k"), turn, over="k")
    return (vs.abs(back) < gaps * width) & vs.equal(vs.remainder(back, gaps), 0)


def dilated_window(
    q: Wire, k: Wire, dilation: Sequence[int], *, causal: bool, keep: Wire | None
) -> Wire:
    """|n − m| < w·g and g divides n − m, g the gap of a head, and m ≤ n if causal"""
    near = in_window(steps_back(q, k), q, dilation)
    return among(near, visible(q, k, causal=causal, keep=keep))


# -- anchors --------------------------------------------------------------------------------------


def first_anchors(anchors: Wire) -> tuple[Wire, Wire]:
    """the places of the first u anchors, and which of these are anchors at all"""
    _, places = vs.topk(vs.to_int(anchors), "n", "u")
    return places, vs.gather(anchors, places, over="n")


def at_anchors(rows: Wire, here: Wire, local: Wire) -> Wire:
    """the row u of an anchor where it is here, elsewhere what is local"""
    own = vs.contract(vs.to_float(here), rows, over="u")
    return vs.where(vs.any(here, "u"), own, local)
