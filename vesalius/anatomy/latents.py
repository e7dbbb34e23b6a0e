"""Attention by way of few vectors: landmarks of the tokens, or latent tokens that are learned."""

from __future__ import annotations

from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, QKV, with_heads
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
from vesalius.anatomy.transformer import (
    WIDTHS,
    block,
    mlp_diagram,
    norm_diagram,
    positive,
    residual,
    stack,
)
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

WANG = Paper(
    "Linformer: Self-Attention with Linear Complexity",
    "Wang, Li, Khabsa, Fang, Ma",
    2020,
    "2006.04768",
)
XIONG = Paper(
    "Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention",
    "Xiong, Zeng, Chakraborty, Tan, Fung, Li, Singh",
    2021,
    "2102.03902",
)
LEE = Paper(
    "Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks",
    "Lee, Lee, Kim, Kosiorek, Choi, Teh",
    2018,
    "1810.00825",
)
JAEGLE = Paper(
    "Perceiver: General Perception with Iterative Attention",
    "Jaegle, Gimeno, Brock, Zisserman, Vinyals, Carreira",
    2021,
    "2103.03206",
)

WEIGHTS: dict[str, Part] = {
    "similarity": parts.scaled_dot,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
}


def weights(q: Wire, k: Wire) -> Wire:
    """softmax over m of the scaled dot products"""
    scores = parts.scaled_dot(q, k)
    return parts.softmax(scores, None)


# -- landmarks ------------------------------------------------------------------------------------


def linformer(*, shared: bool = False) -> Diagram:
    """Attention over r learned combinations of the keys and of the values.

    `shared` takes the same combinations of both. How many tokens there are is in the parameters.
    """

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        q, k, v = parts.projected_tokens(q, k, v, shared)
        return parts.weighted_sum(weights(q, k), v)

    return diagram_of("linformer", QKV, "n e", body)


def nystromformer(*, iterations: int = 6, convolution: bool = True) -> Diagram:
    """Attention by way of r landmarks, which are means of segments of equal length.

    `iterations` brings the pseudo-inverse of the landmarks' weights nearer to the exact one; with
    `convolution`, a convolution of the values of width w is added.
    """
    positive("iterations", iterations)

    def body(q: Wire, k: Wire, v: Wire) -> Wire:
        q_mean, k_mean = parts.segment_means(q, k, v)
        q_mean, k_mean = q_mean.rename(r="n"), k_mean.rename(r="m")
        pairs = (q, k_mean), (q_mean, k_mean), (q_mean, k)
        near, between, far = (weights(*pair) for pair in pairs)
        o = parts.through_landmarks(near, between, far, v, iterations)
        if convolution:
            o = o + parts.convolution(v.rename(m="n"))
        return o

    length = ":n" if convolution else ""
    inputs = {"q": "n c", "k": f"m{length} c", "v": f"m{length} e"}
    return diagram_of("nystromformer", inputs, "n e", body)


CATALOGUE.enter(
    Mechanism(
        "linformer",
        "Linformer",
        WANG,
        "o[n,e] = Σ_r softmax_r(Σ_c q[n,c]·(Σ_m W_k[m,r]·k[m,c]) / √c)·(Σ_m W_v[m,r]·v[m,e])",
        {"preparation": parts.projected_tokens, **WEIGHTS},
        linformer,
        causal="never",
        check="linformer",
    )
)
CATALOGUE.enter(
    Mechanism(
        "nystromformer",
        "Nyströmformer",
        XIONG,
        "o = softmax(q·k̃ᵀ / √c)·softmax(q̃·k̃ᵀ / √c)⁺·softmax(q̃·kᵀ / √c)·v + filter * v, "
        "q̃ and k̃ means of segments",
        {
            **WEIGHTS,
            "preparation": parts.segment_means,
            "mixing": parts.through_landmarks,
            "gate": parts.convolution,
        },
        nystromformer,
        causal="never",
        of_heads=("filter",),
        check="nystrom-attention",
    )
)


# -- sets -----------------------------------------------------------------------------------------


def set_block(padding: bool) -> Diagram:
    """MAB(x, y): attention from x to y, then a layer; each with a residual, and a norm after it."""
    heads = with_heads("attention", "scaled_dot_product", True, True, padding=padding)
    layer = diagram_of("layer", {"x": "d"}, "d", parts.layer)

    def body(x: Wire, y: Wire, **masks: Any) -> Wire:
        x = residual(x, lambda x: heads.boxed(x, y, **masks), "post")
        return residual(x, layer.boxed, "post")

    inputs = {"x": "n d", "y": "m d", **mask_inputs("m", padding, False)}
    return diagram_of("set_block", inputs, "n d", body)


def _learned(name: str) -> Wire:
    """r learned vectors that stand in the place of tokens."""
    return vs.parameter(name, "r d", fan="r*d + d", scale=6**0.5)


def _of_set(name: str, output: str, padding: bool, body: Any) -> Diagram:
    """A diagram of a set x, whose elements are `m` where they are attended to."""
    block = set_block(padding)

    def of_set(x: Wire, **masks: Any) -> Wire:
        masks = {name: mask.rename(n="m") for name, mask in masks.items()}
        result: Wire = body(block, x, x.rename(n="m"), masks)
        return result

    return diagram_of(name, {"x": "n d", **mask_inputs("n", padding, False)}, output, of_set)


def set_attention(*, padding: bool = False) -> Diagram:
    """SAB(x) = MAB(x, x): each element of a set attends to all."""

    def body(block: Diagram, x: Wire, y: Wire, masks: dict[str, Any]) -> Any:
        return block.boxed(x, y, **masks)

    return _of_set("set_attention", "n d", padding, body)


def induced_set_attention(*, padding: bool = False) -> Diagram:
    """ISAB(x) = MAB(x, MAB(i, x)): the elements attend to r learned points that attend to them."""
    last = set_block(False)

    def body(block: Diagram, x: Wire, y: Wire, masks: dict[str, Any]) -> Any:
        points = block.boxed(_learned("points").rename(r="n"), y, **masks)
        return last.boxed(x, points.rename(n="m"))

    return _of_set("induced_set_attention", "n d", padding, body)


def set_pooling(*, padding: bool = False) -> Diagram:
    """PMA(x) = MAB(s, layer(x)): r learned seeds attend to the elements of a set."""
    layer = diagram_of("layer", {"x": "d"}, "d", parts.layer)

    def body(block: Diagram, x: Wire, y: Wire, masks: dict[str, Any]) -> Any:
        return block.boxed(_learned("seeds").rename(r="n"), layer.boxed(y), **masks).rename(n="r")

    return _of_set("set_pooling", "r d", padding, body)


SETS: dict[str, Part] = {
    "attention": with_heads,
    "norm": parts.layer_norm,
    "feed_forward": parts.layer,
}
for _build, _title, _formula in (
    (set_attention, "Set attention", "MAB(x, x)"),
    (induced_set_attention, "Induced set attention", "MAB(x, MAB(i, x)), i learned"),
    (set_pooling, "Pooling by attention", "MAB(s, layer(x)), s learned"),
):
    CATALOGUE.enter(
        Mechanism(
            _build.__name__,
            _title,
            LEE,
            f"{_formula}; MAB(x, y) = norm(z + layer(z)), z = norm(x + attention(x, y))",
            SETS,
            _build,
            causal="never",
            implied=CHANNELS,
            check="torch_geometric",
        )
    )


# -- latent arrays --------------------------------------------------------------------------------


def perceiver(*, reads: int = 1, layers: int = 2, padding: bool = False) -> Diagram:
    """An array of r latent tokens that attends to the input, then to itself.

    It does so `reads` times, each time through so many `layers` of self-attention, all with
    parameters of their own. The input has channels of its own, a of them.
    """
    positive("reads", reads)
    cross = with_heads("cross", "scaled_dot_product", True, True, memory="m d:a", padding=padding)
    inner, network, normalise = block(), mlp_diagram("gelu", True), norm_diagram()

    def body(y: Wire, **masks: Any) -> Wire:
        x = vs.parameter("latents", "r d", init="normal", scale=0.02).rename(r="n")
        for _ in range(reads):
            x = residual(x, lambda x: cross.boxed(x, normalise.boxed(y), **masks), "pre")
            x = residual(x, network.boxed, "pre")
            x = stack(x, inner, layers, False)
        return x.rename(n="r")

    inputs = {"y": "m d:a", **mask_inputs("m", padding, False)}
    return diagram_of("perceiver", inputs, "r d", body)


CATALOGUE.enter(
    Mechanism(
        "perceiver",
        "Perceiver",
        JAEGLE,
        "block ∘ … ∘ block(z + mlp(norm(z))), z = x + attention(norm(x), norm(y)), x learned",
        {"attention": with_heads, "norm": parts.layer_norm, "feed_forward": parts.mlp},
        perceiver,
        causal="never",
        implied=WIDTHS,
        check="transformers",
    )
)
