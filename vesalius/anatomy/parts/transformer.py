"""What stands around attention in a transformer."""

from __future__ import annotations

from typing import Literal

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire

Activation = Literal["relu", "gelu"]


def mlp(
    x: Wire, activation: Activation = "gelu", bias: bool = True, over: str = "d", hidden: str = "f"
) -> Wire:
    """Σ_f g(Σ_d x·W_up)·W_down, g = relu or gelu"""
    y = vs.linear(x, over, hidden, name="up", bias=bias)
    y = vs.gelu(y) if activation == "gelu" else vs.relu(y)
    return vs.linear(y, hidden, axes_of(x, over), name="down", bias=bias)


def token_mlp(x: Wire) -> Wire:
    """Σ_a gelu(Σ_n x·W_up)·W_down: the tokens in the place of the channels"""
    return mlp(x, over="n", hidden="a")


def layer(x: Wire) -> Wire:
    """relu(Σ_d x·W + b)"""
    return vs.relu(vs.linear(x, "d", "d", name="layer", bias=True))


def embedding(tokens: Wire) -> tuple[Wire, Wire]:
    """token[tokens] + position[n], and the table of tokens"""
    table = vs.parameter("token", "v d", init="normal", scale=0.02)
    places = vs.parameter("position", "p d", init="normal", scale=0.02)
    read = vs.gather(table, tokens, over="v")
    return read + vs.gather(places, index(tokens, "n"), over="p"), table
