"""Convolutions along the tokens, as mixing: short ones with weights of softmax, and long ones."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.anatomy.transformer import positive
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

WU = Paper(
    "Pay Less Attention with Lightweight and Dynamic Convolutions",
    "Wu, Fan, Baevski, Dauphin, Auli",
    2019,
    "1901.10430",
)
POLI = Paper(
    "Hyena Hierarchy: Towards Larger Convolutional Language Models",
    "Poli, Massaroli, Nguyen, Fu, Dao, Baccus, Bengio, Ermon, Ré",
    2023,
    "2302.10866",
)


def _short(name: str, title: str, formula: str, similarity: Part, check: str) -> None:
    stands: dict[str, Part] = {
        "preparation": parts.glu,
        "similarity": similarity,
        "mixing": parts.filtered,
        "output": parts.join_heads,
    }

    def build(*, causal: bool = False) -> Diagram:
        def body(x: Wire) -> Wire:
            values = parts.glu(x)
            mixed = parts.filtered(values, similarity(values), causal)
            return parts.join_heads(mixed.rename(c="e"), bias=True)

        return diagram_of(name, {"x": "n d"}, "n d", body)

    formula = f"z = Σ_hc (Σ_w {formula}·y[n + w − ⌊|w|/2⌋,h,c])·W_o[h,c,d], y = (x·W)·σ(x·V)"
    entry = Mechanism(name, title, WU, formula, stands, build, implied={"c": "d/h"}, check=check)
    CATALOGUE.enter(entry)


_short(
    "light_convolution",
    "Lightweight convolution",
    "softmax_w(f[h,w])",
    parts.light_filter,
    "torch",
)
_short(
    "dynamic_convolution",
    "Dynamic convolution",
    "softmax_w(Σ_hc y[n,h,c]·W[h,c,h,w])",
    parts.dynamic_filter,
    "transcription",
)


def hyena(*, order: int = 2) -> Diagram:
    """Gates and causal convolutions as long as the sequence, in turn, `order` times.

    The filters are a network of the position, which is measured in lengths of p tokens.
    """
    positive("order", order)

    def body(x: Wire) -> Wire:
        names = ("v", *(f"x{k + 1}" for k in range(order)))
        maps = (vs.linear(x, "d", "d", name=name, bias=True) for name in names)
        z, *gates = (parts.convolution(y, True, "d") for y in maps)
        hidden = parts.sine_network(x)
        for gate in gates:
            z = parts.times(parts.long_convolution(z, parts.implicit_filter(x, hidden)), gate)
        return vs.linear(z, "d", "d", name="wo", bias=True)

    return diagram_of("hyena", {"x": "n d"}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "hyena",
        "Hyena",
        POLI,
        "z_1 = v, z_{t+1}[n,d] = x_t[n,d]·Σ_{m ≤ n} h_t[n − m,d]·z_t[m,d], h_t = mlp_t(n)·decay; "
        "v and x_t after short convolutions",
        {
            "preparation": parts.convolution,
            "similarity": parts.implicit_filter,
            "mixing": parts.long_convolution,
            "gate": parts.times,
        },
        hyena,
        causal="always",
    )
)
