"""What stands around attention in a transformer."""

from __future__ import annotations

from typing import Literal

from vesalius.anatomy.parts.axes import index
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire

Activation = Literal["relu", "gelu"]


def mlp(x: Wire, activation: Activation = "gelu", bias: bool = True) -> Wire:
    """Σ_f g(Σ_d x·W_up)·W_down, g = relu or gelu"""
    hidden = vs.linear(x, "d", "f", name="up", bias=bias)
    hidden = vs.gelu(hidden) if activation == "gelu" else vs.relu(hidden)
    return vs.linear(hidden, "f", "d", name="down", bias=bias)


def layer(x: Wire) -> Wire:
    """relu(Σ_d x·W + b)"""
    return vs.relu(vs.linear(x, "d", "d", name="layer", bias=True))


def embedding(tokens: Wire) -> tuple[Wire, Wire]:
    """token[tokens] + position[n], and the table of tokens"""
    table = vs.parameter("token", "v d", init="normal", scale=0.02)
    places = vs.parameter("position", "p d", init="normal", scale=0.02)
    read = vs.gather(table, tokens, over="v")
    return read + vs.gather(places, index(tokens, "n"), over="p"), table
