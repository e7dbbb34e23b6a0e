"""What is built around attention: a block, a stack of blocks, a language model.

The parts of a block are named boxes, and so are the blocks of a stack: a picture shows as many
levels as one wants, and every parameter is called by where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, VASWANI, with_heads
from vesalius.anatomy.forms import Form
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among
from vesalius.diagrams.wire import Wire

Norm = Literal["pre", "post"]

RADFORD = Paper(
    "Language Models are Unsupervised Multitask Learners",
    "Radford, Wu, Child, Luan, Amodei, Sutskever",
    2019,
)


def norm_diagram() -> Diagram:
    """Layer normalisation as a diagram: `x: d -> d`; all else is a tube."""
    return diagram_of("norm", {"x": "d"}, "d", parts.layer_norm)


def mlp_diagram(activation: parts.Activation, bias: bool) -> Diagram:
    """The two-layer network of a block as a diagram: `x: d -> d`."""
    return diagram_of("mlp", {"x": "d"}, "d", lambda x: parts.mlp(x, activation, bias))


def block(
    *,
    norm: Norm = "pre",
    activation: parts.Activation = "gelu",
    attention: str = "scaled_dot_product",
    form: Form | None = None,
    bias: bool = True,
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """One block: attention and a two-layer network, each with a residual and a norm.

    `norm` is `pre` (x + f(norm(x))) or `post` (norm(x + f(x))).
    """
    one_of("norm", norm, Norm)
    one_of("activation", activation, parts.Activation)
    options: dict[str, Any] = {"form": form, "causal": causal, "padding": padding, "mask": mask}
    heads = with_heads("attention", attention, bias, False, **options)
    network = mlp_diagram(activation, bias)

    def body(x: Wire, **masks: Any) -> Wire:
        x = residual(x, lambda x: heads.boxed(x, **masks), norm)
        return residual(x, network.boxed, norm)

    return diagram_of("block", _inputs(padding, mask), "n d", body)


def residual(x: Wire, layer: Callable[[Wire], Wire], norm: Norm) -> Wire:
    """`pre`: x + layer(norm(x)); `post`: norm(x + layer(x))."""
    normalise = norm_diagram()
    if norm == "pre":
        return x + layer(normalise.boxed(x))
    result: Wire = normalise.boxed(x + layer(x))
    return result


def encoder(
    *,
    layers: int = 6,
    norm: Norm = "post",
    activation: parts.Activation = "relu",
    attention: str = "scaled_dot_product",
    form: Form | None = None,
    bias: bool = True,
    padding: bool = False,
    mask: bool = False,
    final_norm: bool | None = None,
) -> Diagram:
    """A stack of blocks; one more norm ends it, by default where `norm` is `pre`."""
    inner = block(
        norm=norm,
        activation=activation,
        attention=attention,
        form=form,
        bias=bias,
        padding=padding,
        mask=mask,
    )

    def body(x: Wire, **masks: Any) -> Wire:
        return stack(x, inner, layers, ends_in_norm(norm, final_norm), **masks)

    return diagram_of("encoder", _inputs(padding, mask), "n d", body)


def language_model(
    *,
    layers: int = 2,
    tied: bool = True,
    norm: Norm = "pre",
    activation: parts.Activation = "gelu",
    attention: str = "scaled_dot_product",
    form: Form | None = None,
    bias: bool = True,
) -> Diagram:
    """A decoder-only language model: from tokens to the logits of the token that follows each.

    Positions are learned, up to `p` of them. With `tied`, the table of tokens is read again to
    make the logits; otherwise that is a linear map of its own.
    """
    inner = block(
        norm=norm, activation=activation, attention=attention, form=form, bias=bias, causal=True
    )

    def body(tokens: Wire) -> Wire:
        x, table = parts.embedding(tokens)
        x = stack(x, inner, layers, ends_in_norm(norm, None))
        if tied:
            return vs.contract(x, table, over="d")
        return vs.linear(x, "d", "v", name="head")

    return diagram_of("language_model", {"tokens": "n int"}, "n v", body)


def stack(x: Wire, inner: Diagram, layers: int, final_norm: bool, **others: Any) -> Wire:
    """The block `inner` so many times, each with parameters of its own, and perhaps a norm."""
    positive("layers", layers)
    for _ in range(layers):
        x = inner.boxed(x, **others)
    result: Wire = norm_diagram().boxed(x) if final_norm else x
    return result


def ends_in_norm(norm: Norm, final_norm: bool | None) -> bool:
    """Whether a norm ends a stack: as asked for, else where the blocks leave sums unnormalised."""
    return norm == "pre" if final_norm is None else final_norm


def _inputs(padding: bool, mask: bool) -> dict[str, str]:
    return {"x": "n d", **mask_inputs("n", padding, mask, "n m:n")}


def positive(option: str, value: Any) -> None:
    """Refuse what is not a number of times: `FormatError`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise FormatError(f"{option} is a positive integer, not {value!r}")


def one_of(option: str, value: Any, choices: Any) -> None:
    """Refuse a value that an option does not take, with those that it does: `FormatError`."""
    if value not in get_args(choices):
        raise FormatError(among(option, get_args(choices), value))


PARTS: dict[str, Part] = {
    "attention": with_heads,
    "norm": parts.layer_norm,
    "feed_forward": parts.mlp,
}
WIDTHS = {**CHANNELS, "f": "4*d"}

BLOCK = CATALOGUE.enter(
    Mechanism(
        "block",
        "Transformer block",
        VASWANI,
        "pre: x + mlp(norm(x + attention(norm(x)))); post: norm(y + mlp(y)), "
        "y = norm(x + attention(x))",
        PARTS,
        block,
        implied=WIDTHS,
        check="torch",
    )
)
CATALOGUE.enter(
    Mechanism(
        "encoder",
        "Transformer encoder",
        VASWANI,
        "block ∘ … ∘ block",
        PARTS,
        encoder,
        causal="never",
        implied=WIDTHS,
        check="torch",
    )
)
CATALOGUE.enter(
    Mechanism(
        "language_model",
        "Decoder-only language model",
        RADFORD,
        "logits = (block ∘ … ∘ block)(token[t] + position[n])·tokenᵀ",
        {**PARTS, "position": parts.embedding},
        language_model,
        causal="always",
        implied=WIDTHS,
        check="torch",
    )
)
