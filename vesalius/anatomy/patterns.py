"""Attention that looks at some of the keys: each is a few lines that name parts."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import Paper
from vesalius.anatomy.variants import variant

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

variant(
    "sliding_window",
    "Sliding-window attention",
    BELTAGY,
    SOFTMAX_OF.format("|n − m| < w"),
    check="local-attention",
    mask=parts.sliding_window,
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
