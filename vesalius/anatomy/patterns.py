"""Attention that looks at some of the keys: each is a few lines that name parts."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import SOFTMAX
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
)
from vesalius.anatomy.variants import variant
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

BELTAGY = Paper("Longformer: The Long-Document Transformer", "Beltagy, Peters, Cohan", 2020,
                "2004.05150")  # fmt: skip
CHILD = Paper(
    "Generating Long Sequences with Sparse Transformers",
    "Child, Gray, Radford, Sutskever",
    2019,
    "1904.10509",
)
ZAHEER = Paper(
    "Big Bird: Transformers for Longer Sequences",
    "Zaheer, Guruganesh, Dubey, Ainslie, Alberti, Ontanon, Pham, Ravula, Wang, Yang, Ahmed",
    2020,
    "2007.14062",
)
ZHAO = Paper(
    "Explicit Sparse Transformer: Concentrated Attention Through Explicit Selection",
    "Zhao, Lin, Zhang, Ren, Su, Sun",
    2019,
    "1912.11637",
)


SOFTMAX_OF = "o[n,e] = Σ_m softmax_m(Σ_c q[n,c]·k[m,c] / √c where {})·v[m,e]"

WINDOW: dict[str, Part] = {
    "preparation": parts.given,
    **SOFTMAX,
    "similarity": parts.scaled_dot,
    "mask": parts.sliding_window,
}


def sliding_window(
    *, blocked: bool = False, causal: bool = False, padding: bool = False, mask: bool = False
) -> Diagram:
    """A window of w − 1 keys to each side, or looking back alone.

    As a mask it costs as much as all pairs. `blocked` computes the same of blocks of w, which see
    themselves and their neighbours: n·w pairs. Queries and keys are as many then, and there is no
    further mask.
    """
    if not blocked:
        return explicit("sliding_window", QKV, "n e", WINDOW)(
            causal=causal, padding=padding, mask=mask
        )
    if mask:
        raise FormatError("sliding_window: blocked has no mask; leave one of them out")

    def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None) -> Wire:
        def laid(x: Wire) -> Wire:
            return parts.with_neighbours(parts.chunks(parts.filled(x, "m"), "m", "m"), causal)

        length = q.axes["n"]
        q = parts.chunks(parts.filled(q))
        near = parts.near_places(q, causal, length)
        if keep is not None:
            near = near & vs.equal(laid(vs.to_int(keep)), 1)
        weights = WINDOW["normaliser"](WINDOW["similarity"](q, laid(k)), near)
        return vs.slice(parts.whole(WINDOW["mixing"](weights, laid(v))), "n", stop=length)

    inputs = {"q": "n c", "k": "m:n c", "v": "m:n e"}
    if padding:
        inputs["keep"] = "m:n bool"
    return diagram_of("sliding_window", inputs, "n e", body)


CATALOGUE.enter(
    Mechanism(
        "sliding_window",
        "Sliding-window attention",
        BELTAGY,
        SOFTMAX_OF.format("|n − m| < w"),
        WINDOW,
        sliding_window,
        check="local-attention",
    )
)
variant(
    "strided",
    "Sparse Transformer, strided",
    CHILD,
    SOFTMAX_OF.format("|n − m| < l or l | n − m"),
    mask=parts.strided_blocks,
)
variant(
    "fixed",
    "Sparse Transformer, fixed",
    CHILD,
    SOFTMAX_OF.format("⌊n/l⌋ = ⌊m/l⌋ or m mod l ≥ l − t"),
    mask=parts.fixed_blocks,
)
variant(
    "big_bird",
    "Big Bird",
    ZAHEER,
    SOFTMAX_OF.format("the blocks of n and m touch, are linked, or one is the first or the last"),
    check="transformers",
    mask=parts.big_bird,
)
variant(
    "top_k",
    "Top-k attention",
    ZHAO,
    SOFTMAX_OF.format("it is among the t largest of its row"),
    check="x-transformers",
    normaliser=parts.softmax_of_largest,
)
