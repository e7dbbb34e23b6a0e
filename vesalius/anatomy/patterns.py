"""Attention that looks at some of the keys: each is a few lines that name parts."""

from __future__ import annotations

from collections.abc import Callable

from vesalius.anatomy import blocked, parts
from vesalius.anatomy.attention import SOFTMAX
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
    mask_inputs,
)
from vesalius.anatomy.variants import variant
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

Blocked = Callable[[Wire, Wire, Wire, Wire | None, bool], Wire]


def patterned(
    name: str,
    title: str,
    paper: Paper,
    where: str,
    mask: Part,
    in_blocks: Blocked,
    check: str = "transcription",
) -> None:
    """Enter softmax attention over the keys of a pattern: as a mask, and in blocks."""
    stands: dict[str, Part] = {"preparation": parts.given, "similarity": parts.scaled_dot}
    stands |= {**SOFTMAX, "mask": mask}
    of_pairs = explicit(name, QKV, "n e", stands)

    def build(
        *, blocked: bool = False, causal: bool = False, padding: bool = False, mask: bool = False
    ) -> Diagram:
        """As a mask, a pattern costs as much as all pairs. `blocked` computes the same function of
        the keys that each query sees: queries and keys are as many then, and there is no further
        mask.
        """
        if not blocked:
            return of_pairs(causal=causal, padding=padding, mask=mask)
        if mask:
            raise FormatError(f"{name}: blocked has no mask; leave one of them out")

        def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None) -> Wire:
            return in_blocks(q, k, v, keep, causal)

        inputs = {"q": "n c", "k": "m:n c", "v": "m:n e", **mask_inputs("m:n", padding, False)}
        return diagram_of(name, inputs, "n e", body)

    formula = SOFTMAX_OF.format(where)
    CATALOGUE.enter(Mechanism(name, title, paper, formula, stands, build, check=check))


patterned(
    "sliding_window",
    "Sliding-window attention",
    BELTAGY,
    "|n − m| < w",
    parts.sliding_window,
    blocked.sliding_window,
    "local-attention",
)
patterned(
    "strided",
    "Sparse Transformer, strided",
    CHILD,
    "|n − m| < l or l | n − m",
    parts.strided_blocks,
    blocked.strided,
)
patterned(
    "fixed",
    "Sparse Transformer, fixed",
    CHILD,
    "⌊n/l⌋ = ⌊m/l⌋ or m mod l ≥ l − t",
    parts.fixed_blocks,
    blocked.fixed,
)
patterned(
    "big_bird",
    "Big Bird",
    ZAHEER,
    "the blocks of n and m touch, are linked, or one is the first or the last",
    parts.big_bird,
    blocked.big_bird,
    "transformers",
)
variant(
    "top_k",
    "Top-k attention",
    ZHAO,
    SOFTMAX_OF.format("it is among the t largest of its row"),
    check="x-transformers",
    normaliser=parts.softmax_of_largest,
)
