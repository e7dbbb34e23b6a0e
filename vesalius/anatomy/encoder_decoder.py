"""The Transformer of *Attention Is All You Need*: a decoder, and with an encoder the whole."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.attention import VASWANI, with_heads
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, diagram_of
from vesalius.anatomy.transformer import (
    PARTS,
    WIDTHS,
    Norm,
    encoder,
    ends_in_norm,
    mlp_diagram,
    one_of,
    residual,
    stack,
)
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire


def decoder_block(norm: Norm, activation: parts.Activation, bias: bool, padding: bool) -> Diagram:
    """Causal attention, attention to a memory, a network: each with a residual and a norm."""
    one_of("norm", norm, Norm)
    one_of("activation", activation, parts.Activation)
    own = with_heads("attention", "scaled_dot_product", bias, False, causal=True)
    cross = with_heads("cross", "scaled_dot_product", bias, True, padding=padding)
    network = mlp_diagram(activation, bias)

    def body(x: Wire, memory: Wire, **masks: Any) -> Wire:
        y = memory.rename(j="m")
        masks = {name: mask.rename(j="m") for name, mask in masks.items()}
        x = residual(x, own.boxed, norm)
        x = residual(x, lambda x: cross.boxed(x, y, **masks), norm)
        return residual(x, network.boxed, norm)

    return diagram_of("block", _inputs("x", "memory", padding), "n d", body)


def decoder(
    *,
    layers: int = 6,
    norm: Norm = "post",
    activation: parts.Activation = "relu",
    bias: bool = True,
    padding: bool = False,
    final_norm: bool | None = None,
) -> Diagram:
    """A stack of blocks that look back along the target and at all of a memory.

    `padding` adds the input `keep`, true for the places of the memory that count. One more norm
    ends the stack, by default where `norm` is `pre`.
    """
    inner = decoder_block(norm, activation, bias, padding)

    def body(x: Wire, memory: Wire, **masks: Any) -> Wire:
        last = ends_in_norm(norm, final_norm)
        return stack(x, inner, layers, last, memory=memory, **masks)

    return diagram_of("decoder", _inputs("x", "memory", padding), "n d", body)


def transformer(
    *,
    layers: int = 6,
    norm: Norm = "post",
    activation: parts.Activation = "relu",
    bias: bool = True,
    padding: bool = False,
    final_norm: bool | None = None,
) -> Diagram:
    """An encoder of the source, and a decoder of the target that attends to what it makes.

    `padding` adds the input `keep`, true for the places of the source that count. One more norm
    ends each stack, by default where `norm` is `pre`; in `torch.nn.Transformer` it always does.
    """
    options: dict[str, Any] = {
        "layers": layers,
        "norm": norm,
        "activation": activation,
        "bias": bias,
        "padding": padding,
        "final_norm": final_norm,
    }
    encode, decode = encoder(**options), decoder(**options)

    def body(target: Wire, source: Wire, **masks: Any) -> Wire:
        own = {name: mask.rename(j="n") for name, mask in masks.items()}
        memory = encode.boxed(source.rename(j="n"), **own).rename(n="j")
        result: Wire = decode.boxed(target, memory, **masks)
        return result

    return diagram_of("transformer", _inputs("target", "source", padding), "n d", body)


def _inputs(x: str, memory: str, padding: bool) -> dict[str, str]:
    return {x: "n d", memory: "j d", **({"keep": "j bool"} if padding else {})}


CATALOGUE.enter(
    Mechanism(
        "decoder",
        "Transformer decoder",
        VASWANI,
        "block ∘ … ∘ block, block: z = norm(y + mlp(y)), y = norm(t + attention(t, memory)), "
        "t = norm(x + attention(x))",
        PARTS,
        decoder,
        causal="always",
        implied=WIDTHS,
        check="torch",
    )
)
CATALOGUE.enter(
    Mechanism(
        "transformer",
        "The Transformer",
        VASWANI,
        "decoder(target, encoder(source))",
        PARTS,
        transformer,
        causal="always",
        implied=WIDTHS,
        check="torch",
    )
)
