"""Slot attention: the slots compete for what is seen, and are brought up to date in turns."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

LOCATELLO = Paper(
    "Object-Centric Learning with Slot Attention",
    "Locatello, Weissenborn, Unterthiner, Mahendran, Heigold, Uszkoreit, Dosovitskiy, Kipf",
    2020,
    "2006.15055",
)


def _turn(slots: Wire, k: Wire, v: Wire) -> Wire:
    """The slots after they have looked once."""
    q = vs.linear(parts.layer_norm(slots), "d", "c", name="wq", bias=True)
    weights = parts.softmax_of_queries(parts.scaled_dot(q, k))
    slots = parts.gru(parts.weighted_sum(weights, v), slots)
    return slots + parts.mlp(parts.layer_norm(slots), "relu")


TURN = diagram_of("turn", {"slots": "n d", "k": "m c", "v": "m e"}, "n d", _turn)


def slot_attention(*, turns: int = 3) -> Diagram:
    """Slots from `noise`, draws of the standard normal; `turns` times they look at x."""
    if not isinstance(turns, int) or isinstance(turns, bool) or turns < 1:
        raise FormatError(f"slot_attention: turns is a positive integer, not {turns!r}")

    def body(x: Wire, noise: Wire) -> Wire:
        x = parts.layer_norm(x.rename(a="d")).rename(d="a")
        k = vs.linear(x, "a", "c", name="wk", bias=True)
        v = vs.linear(x, "a", "e", name="wv", bias=True)
        (slots,) = vs.scan(
            TURN, over="turn", states=[parts.drawn(noise)], captured=[k, v], length=turns
        )
        return slots

    return diagram_of("slot_attention", {"x": "m a", "noise": "n d"}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "slot_attention",
        "Slot attention",
        LOCATELLO,
        "slots ← gru(Σ_m a[n,m]·v[m,e], slots), slots ← slots + mlp(norm(slots)), "
        "a = w / Σ_m w, w = softmax_n(Σ_c q[n,c]·k[m,c] / √c) + 10⁻⁸",
        {
            "preparation": parts.drawn,
            "similarity": parts.scaled_dot,
            "normaliser": parts.softmax_of_queries,
            "mixing": parts.weighted_sum,
            "gate": parts.gru,
            "norm": parts.layer_norm,
            "feed_forward": parts.mlp,
        },
        slot_attention,
        "never",
        check="slot-attention",
    )
)
