"""Gated units: attention with one head, the weights of which need not be a softmax, and gates."""

from __future__ import annotations

from typing import Any, Literal

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, diagram_of, mask_inputs
from vesalius.anatomy.transformer import norm_diagram, one_of
from vesalius.anatomy.variants import HUA
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

MA = Paper(
    "Mega: Moving Average Equipped Gated Attention",
    "Ma, Zhou, Kong, He, Gui, Neubig, May, Zettlemoyer",
    2022,
    "2209.10655",
)
Weights = Literal["softmax", "laplace"]


def gau(*, causal: bool = False, padding: bool = False) -> Diagram:
    """The gated attention unit: squares of what is positive in the scores, divided by the length.

    Queries and keys are the same vectors, each scaled and moved in its own way. The length is that
    of the keys, kept or not.
    """

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        normed = norm_diagram().boxed(x)
        v, u = parts.value_and_gate(normed)
        q, k = parts.shared_base(normed)
        k, v = k.rename(n="m"), v.rename(n="m")
        scores = parts.dot(q, k) + _bias(q, k, causal)
        kept = None if keep is None else keep.rename(n="m")
        allowed = parts.visible(q, k, causal=causal, keep=kept)
        weights = parts.relu_squares_of_mean(scores, allowed)
        mixed = parts.times(parts.weighted_sum(weights, v), u)
        return x + parts.narrow(mixed, "e", "d", "wo")

    return diagram_of("gau", {"x": "n d", **mask_inputs("n", padding, False)}, "n d", body)


def _bias(q: Wire, k: Wire, causal: bool) -> Any:
    return (parts.bucketed_past if causal else parts.bucketed)(q, k, heads="")


def flash(*, causal: bool = False, padding: bool = False) -> Diagram:
    """Gated attention units within chunks of w tokens, and linear attention across the chunks.

    w divides n. What is not kept counts in the length by which sums are divided, as in `gau`.
    """

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        normed = norm_diagram().boxed(x)
        v, u = parts.value_and_gate(normed)
        q, far_q, k, far_k = (parts.chunks(z) for z in parts.shared_base(normed, 4))
        k, far_k, v = (z.rename(n="m") for z in (k, far_k, parts.chunks(v)))
        scores = parts.dot(q, k) / vs.size("w") + _bias(q, k, causal)
        kept = None if keep is None else parts.chunks(keep).rename(n="m")
        far_k = parts.shown(far_k, kept)
        allowed = parts.visible(q, k, causal=causal, keep=kept)
        weights = parts.relu_squares(scores, allowed)
        near, far = parts.weighted_sum(weights, v), parts.across_chunks(far_q, far_k, v, causal)
        mixed = parts.times(parts.whole(near + far), u)
        return x + parts.narrow(mixed, "e", "d", "wo")

    return diagram_of("flash", {"x": "n d", **mask_inputs("n", padding, False)}, "n d", body)


def mega(
    *,
    causal: bool = False,
    padding: bool = False,
    weights: Weights = "softmax",
    chunked: bool = False,
) -> Diagram:
    """Attention whose queries and keys are moving averages, with a gate to reset and one to update.

    `weights` are a softmax, or `laplace`: a smooth step of the scores, which are then divided by
    the number of keys, kept or not. With `chunked`, attention is within chunks of w tokens; w
    divides n. What is not kept is 0 in the moving averages.
    """
    one_of("weights", weights, Weights)

    def attend(q: Wire, k: Wire, v: Wire, keep: Wire | None) -> Wire:
        smooth = weights == "laplace"
        scores = parts.dot(q, k) / k.axes["m"] if smooth else parts.scaled_dot(q, k)
        scores = scores + parts.relative_table(q, k)
        allowed = parts.visible(q, k, causal=causal, keep=keep)
        normalise = parts.laplace if smooth else parts.softmax
        return parts.weighted_sum(normalise(scores, allowed), v)

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        x = parts.shown(x, keep)
        averaged = parts.long_convolution(x, parts.moving_average(x))
        q, k = parts.shared_base(averaged)
        v = parts.silu_of(x, "e", "v")
        if chunked:
            k, v = (parts.chunks(z, into="m") for z in (k, v))
            kept = None if keep is None else parts.chunks(keep, into="m")
            o = parts.whole(attend(parts.chunks(q), k, v, kept))
        else:
            kept = None if keep is None else keep.rename(n="m")
            o = attend(q, k.rename(n="m"), v.rename(n="m"), kept)
        return parts.reset_and_update(x, averaged, o)

    return diagram_of("mega", {"x": "n d", **mask_inputs("n", padding, False)}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "gau",
        "Gated attention unit",
        HUA,
        "z = x + (u·Σ_m relu((Σ_c q[n,c]·k[m,c] + B[m − n]) / |m|)²·v[m,e])·W_o, "
        "u, v, b = silu(norm(x)·W), q = b·γ_q + β_q, k = b·γ_k + β_k",
        {
            "preparation": parts.shared_base,
            "position": parts.bucketed,
            "similarity": parts.dot,
            "mask": parts.visible,
            "normaliser": parts.relu_squares_of_mean,
            "mixing": parts.weighted_sum,
            "gate": parts.times,
            "norm": parts.layer_norm,
        },
        gau,
        cacheable="never",
        implied={"e": "2*d"},
        check="FLASH-pytorch",
    )
)
CATALOGUE.enter(
    Mechanism(
        "flash",
        "FLASH",
        HUA,
        "z = x + u·(Σ_m relu(q·k / |w| + B[m − n])²·v[m] within a chunk of w, and q'·(Σ k'·v) "
        "over all or former chunks)·W_o, queries and keys of one base",
        {
            "preparation": parts.shared_base,
            "position": parts.bucketed,
            "similarity": parts.dot,
            "mask": parts.visible,
            "normaliser": parts.relu_squares,
            "mixing": parts.across_chunks,
            "gate": parts.times,
            "norm": parts.layer_norm,
        },
        flash,
        implied={"e": "2*d"},
        check="FLASH-pytorch",
    )
)
CATALOGUE.enter(
    Mechanism(
        "mega",
        "Mega",
        MA,
        "z = φ·silu(y·W + (γ·o)·U + b) + (1 − φ)·x, o[n] = Σ_m softmax_m(q[n]·k[m] / √c + B[m − n])"
        "·v[m], y a damped moving average of x, q and k of silu(y·W_z), v = silu(x·W_v)",
        {
            "preparation": parts.moving_average,
            "position": parts.relative_table,
            "similarity": parts.scaled_dot,
            "mask": parts.visible,
            "normaliser": parts.softmax,
            "mixing": parts.weighted_sum,
            "gate": parts.reset_and_update,
        },
        mega,
        implied={"e": "2*d"},
    )
)
