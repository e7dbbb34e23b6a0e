"""Layers of two kinds, one after the other: what the one sees roughly, the other sees near by."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.attention import with_heads
from vesalius.anatomy.kernels import ARORA
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, diagram_of, mask_inputs
from vesalius.anatomy.transformer import residual
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire


def based_layers(*, bias: bool = False, causal: bool = False, padding: bool = False) -> Diagram:
    """Attention to all by Taylor features, then softmax attention within a window of w.

    The features are of r channels a head, few, as there are r² of them; the window's heads have c.
    Both have heads, a norm before them and a residual around them. Linear in the positions.
    """
    masks: dict[str, Any] = {"causal": causal, "padding": padding}
    whole = with_heads("taylor", "based", bias, False, **masks).substitute(c="r")
    window = with_heads("window", "sliding_window", bias, False, blocked=True, **masks)

    def body(x: Wire, **given: Any) -> Wire:
        y = residual(x, lambda x: whole.boxed(x, **given), "pre")
        return residual(y, lambda y: window.boxed(y, **given), "pre")

    inputs = {"x": "n d", **mask_inputs("n", padding, False)}
    return diagram_of("based_layers", inputs, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "based_layers",
        "Based: a layer of Taylor features and one of windows",
        ARORA,
        "z = y + window(norm(y)), y = x + taylor(norm(x)); taylor: heads of weights 1 + s + s²/2, "
        "divided by their sum; window: heads of softmax attention where |n − m| < w",
        {"norm": parts.layer_norm, "attention": with_heads},
        based_layers,
        implied={"c": "d/h", "e": "c"},
    )
)
