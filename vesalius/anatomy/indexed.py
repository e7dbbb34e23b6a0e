"""Attention to the keys that a cheap indexer finds: few channels score all, many attend to few."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, SOFTMAX
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

DEEPSEEK = Paper(
    "DeepSeek-V3.2: Pushing the Frontier of Open Large Language Models",
    "DeepSeek-AI",
    2025,
    "2512.02556",
)

STANDS: dict[str, Part] = {
    "preparation": parts.self_projections,
    "position": parts.index_of_keys,
    "similarity": parts.scaled_dot,
    **SOFTMAX,
    "output": parts.join_heads,
}


def indexed(
    *, rotary: bool = False, scores: bool = False, causal: bool = False, padding: bool = False
) -> Diagram:
    """Softmax attention over the t keys of largest index, the same for all heads.

    The index has i heads of r channels; it is hidden before it is searched. `rotary` turns the
    queries and keys of both. A choice has no gradient: the indexer is trained by a loss of its own,
    for which `scores` makes what it scores, {n, m}, a second output.
    """

    def body(x: Wire, keep: Wire | None = None) -> Wire | tuple[Wire, Wire]:
        q, k, v = STANDS["preparation"](x)
        if rotary:
            q, k = parts.rotation(q, k)
        index = STANDS["position"](x, rotary)
        kept = None if keep is None else keep.rename(n="m")
        places = parts.chosen_keys(index, STANDS["mask"](q, k, causal=causal, keep=kept))
        seen = places <= parts.index(q, "n") if causal else places < k.axes["m"]
        seen = seen.rename(t="m")
        if kept is not None:
            seen = seen & vs.equal(parts.of_chosen(vs.to_int(kept), places), 1)
        k, v = (parts.of_chosen(y, places) for y in (k, v))
        weights = STANDS["normaliser"](STANDS["similarity"](q, k), seen)
        joined: Wire = STANDS["output"](STANDS["mixing"](weights, v))
        return (joined, index) if scores else joined

    inputs = {"x": "n d", **mask_inputs("n", padding, False)}
    outputs = {"out": "n d", **({"index": "n m:n"} if scores else {})}
    return diagram_of("indexed", inputs, outputs, body)


CATALOGUE.enter(
    Mechanism(
        "indexed",
        "Attention to the keys that an indexer finds",
        DEEPSEEK,
        "z = Σ_he (Σ_m softmax_m(Σ_c q[h,n,c]·k[h,m,c] / √c where m is among the t of largest "
        "I[n,m])·v[h,m,e])·W_o, I[n,m] = Σ_i w[n,i]/√i·relu(Σ_r q'[n,i,r]·k'[m,r] / √r)",
        STANDS,
        indexed,
        implied=CHANNELS,
        check="transformers",
    )
)
