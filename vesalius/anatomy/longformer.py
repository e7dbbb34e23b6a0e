"""Longformer: a window, and positions that see all and are seen by all."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, SOFTMAX
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Part, diagram_of, mask_inputs
from vesalius.anatomy.patterns import BELTAGY
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

STANDS: dict[str, Part] = {
    **SOFTMAX,
    "preparation": parts.projections,
    "similarity": parts.scaled_dot,
    "mask": parts.dilated_window,
    "output": parts.join_heads,
}


def longformer(
    *,
    dilation: int | Sequence[int] = 1,
    blocked: bool = False,
    bias: bool = False,
    causal: bool = False,
    padding: bool = False,
) -> Diagram:
    """A window on both sides; positions that `anchors` says see all and are seen by all.

    What an anchor sees, it sees by projections of its own. Of a window with gaps a head sees every
    g-th position, g from `dilation`, which the heads take in turn: (1, 1, 1, 2) for gaps in one
    head of four.

    As masks that costs as much as all pairs. `blocked` computes it of blocks as long as the widest
    window, which see themselves and their neighbours, and u anchors apart: linear in the positions.
    Of more anchors than u the first u count; u is at most n.
    """
    dilation = tuple(dilation) if isinstance(dilation, Sequence) else (dilation,)
    if not dilation or any(type(gap) is not int or gap < 1 for gap in dilation):
        raise FormatError(
            f"longformer: dilation is some positive integers, one a head, not {dilation!r}"
        )

    def attend(q: Wire, k: Wire, v: Wire, allowed: Wire | None) -> Wire:
        scores = STANDS["similarity"](q, k)
        mixed: Wire = STANDS["mixing"](STANDS["normaliser"](scores, allowed), v)
        return mixed

    def of_pairs(x: Wire, anchors: Wire, keep: Wire | None) -> Wire:
        y = x.rename(n="m")
        q, k, v = STANDS["preparation"](x, y, bias)
        near = STANDS["mask"](q, k, dilation, causal=False, keep=None) | anchors.rename(n="m")
        seen = parts.visible(q, k, causal=causal, keep=keep)
        local = attend(q, k, v, near if seen is None else near & seen)
        return vs.where(anchors, attend(*parts.global_projections(x, y, bias), seen), local)

    def in_blocks(x: Wire, anchors: Wire, keep: Wire | None) -> Wire:
        width = vs.size("w") * max(dilation)
        y = x.rename(n="m")
        places, real = parts.first_anchors(anchors)
        here = vs.equal(places, parts.index(x, "n")) & real

        def near(z: Wire) -> Wire:
            rows = parts.chunks(parts.filled(z, "m", width), "m", "m", width)
            return parts.with_neighbours(rows, causal)

        def with_anchors(z: Wire) -> Wire:
            return vs.concat(near(z), vs.gather(z, places, over="m").rename(u="m"), over="m")

        def local() -> Wire:
            q, k, v = STANDS["preparation"](x, y, bias)
            q = parts.chunks(parts.filled(q, "n", width), "n", "n", width)
            others = vs.equal(near(vs.to_int(vs.any(here, "u")).rename(n="m")), 0)
            seen = parts.near_places(q, causal, x.axes["n"], dilation) & others
            anchored = real
            if causal:
                now = parts.index(q, "t") * width + parts.index(q, "n")
                anchored = real & (places <= now)
            seen = vs.concat(seen, anchored.rename(u="m"), over="m")
            if keep is not None:
                seen = seen & vs.equal(with_anchors(vs.to_int(keep)), 1)
            mixed = parts.whole(attend(q, with_anchors(k), with_anchors(v), seen))
            return vs.slice(mixed, "n", stop=x.axes["n"])

        asking = vs.gather(x, places, over="n").rename(u="n")
        q, k, v = parts.global_projections(asking, y, bias)
        seen = keep
        if causal:
            past = parts.index(k, "m") <= places.rename(u="n")
            seen = past if keep is None else past & keep
        return parts.at_anchors(attend(q, k, v, seen).rename(n="u"), here, local())

    def body(x: Wire, anchors: Wire, keep: Wire | None = None) -> Wire:
        kept = None if keep is None else keep.rename(n="m")
        made = (in_blocks if blocked else of_pairs)(x, anchors, kept)
        joined: Wire = STANDS["output"](made, bias)
        return joined

    inputs = {"x": "n d", "anchors": "n bool", **mask_inputs("n", padding, False)}
    return diagram_of("longformer", inputs, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "longformer",
        "Longformer",
        BELTAGY,
        "z[n,d] = Σ_he o[h,n,e]·W_o[h,e,d], o[h,n,e] = Σ_m softmax_m(Σ_c q[h,n,c]·k[h,m,c] / √c "
        "where |n − m| < w or m is global)·v[h,m,e]; where n is global, over all m, by weights "
        "of its own",
        STANDS,
        longformer,
        implied=CHANNELS,
        check="transformers",
    )
)
