"""Attention that knows where things stand: positions in the vectors or in the scores."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS, SOFTMAX
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.heads import OF_ITSELF, self_attention
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
    mask_inputs,
)
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among
from vesalius.diagrams.wire import Wire

SHAW = Paper(
    "Self-Attention with Relative Position Representations",
    "Shaw, Uszkoreit, Vaswani",
    2018,
    "1803.02155",
)
DAI = Paper(
    "Transformer-XL: Attentive Language Models beyond a Fixed-Length Context",
    "Dai, Yang, Yang, Carbonell, Le, Salakhutdinov",
    2019,
    "1901.02860",
)
RAFFEL = Paper(
    "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    "Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li, Liu",
    2019,
    "1910.10683",
)
PRESS = Paper(
    "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
    "Press, Smith, Lewis",
    2021,
    "2108.12409",
)
SU = Paper(
    "RoFormer: Enhanced Transformer with Rotary Position Embedding",
    "Su, Lu, Pan, Murtadha, Wen, Liu",
    2021,
    "2104.09864",
)
LIN = Paper(
    "Forgetting Transformer: Softmax Attention with a Forget Gate",
    "Lin, Nikishin, He, Courville",
    2025,
    "2503.02130",
)

CORE: dict[str, Part] = {
    "preparation": parts.given,
    "position": parts.rotation,
    "similarity": parts.scaled_dot,
    **SOFTMAX,
}
SHAW_PARTS: dict[str, Part] = {**CORE, "position": parts.relative_keys}


def rope(
    *,
    pairing: parts.Pairing = "half",
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Rotary positions; a pair are two channels half of all apart, or neighbours."""
    if pairing not in get_args(parts.Pairing):
        raise FormatError(among("rope: pairing", get_args(parts.Pairing), pairing))
    stands: dict[str, Part] = {**CORE, "position": partial(parts.rotation, pairing=pairing)}
    return explicit("rope", QKV, "n e", stands)(causal=causal, padding=padding, mask=mask)


CATALOGUE.enter(
    Mechanism(
        "rope",
        "Attention with rotary positions",
        SU,
        "o[n,e] = Σ_m softmax_m(Σ_c (T[n]·q[n])[c]·(T[m]·k[m])[c] / √c)·v[m,e], "
        "T[n] turns the pair of channels f by n·10000^(−2f/c)",
        CORE,
        rope,
        check="transformers",
    )
)


def shaw(
    *, values: bool = False, causal: bool = False, padding: bool = False, mask: bool = False
) -> Diagram:
    """Relative positions up to w away, in the keys, and with `values` in the values too."""
    stands = {**SHAW_PARTS, "mixing": parts.with_relative_values} if values else SHAW_PARTS
    return explicit("shaw", QKV, "n e", stands)(causal=causal, padding=padding, mask=mask)


CATALOGUE.enter(
    Mechanism(
        "shaw",
        "Attention with relative keys",
        SHAW,
        "o[n,e] = Σ_m softmax_m(Σ_c q[n,c]·(k[m,c] + R[clip(m − n, −w, w) + w, c]) / √c)·v[m,e]",
        SHAW_PARTS,
        shaw,
        check="transformers",
    )
)

TRANSFORMER_XL: dict[str, Part] = {
    **OF_ITSELF,
    "position": parts.sinusoids,
    "similarity": parts.content_bias_dot,
}


def transformer_xl(
    *, memory: bool = False, causal: bool = False, padding: bool = False, mask: bool = False
) -> Diagram:
    """Sinusoids of the distance in the scores.

    `memory` adds the input of that name: the j positions before x, the former segment as the layer
    below made it, of which keys and values are made as of x. `keep` is for x alone, `mask` for all.
    """
    if not memory:
        build = self_attention("transformer_xl", TRANSFORMER_XL)
        return build(causal=causal, padding=padding, mask=mask)

    def body(x: Wire, memory: Wire, keep: Wire | None = None, mask: Wire | None = None) -> Wire:
        past = memory.axes["j"]
        y = vs.concat(memory.rename(j="n"), x, over="n", into="m")
        q, k, v = parts.projections(x, y)
        scores = parts.content_bias_dot(q, k) + parts.sinusoids(q, k, past)
        scores = scores if mask is None else scores + mask
        places = parts.index(k, "m")
        seen = [places <= parts.index(q, "n") + past] if causal else []
        if keep is not None:
            own = vs.pad(vs.to_int(keep), "n", past, 0).rename(n="m")
            seen.append((places < past) | vs.equal(own, 1))
        allowed = seen[0] & seen[-1] if seen else None
        weights = parts.softmax(scores, allowed)
        return parts.join_heads(parts.weighted_sum(weights, v))

    inputs = {"x": "n d", "memory": "j d", **mask_inputs("n", padding, mask, "n m:j+n")}
    return diagram_of("transformer_xl", inputs, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "transformer_xl",
        "Attention with sinusoids of the distance",
        DAI,
        "o[h,n,e] = Σ_m softmax_m(Σ_c ((q + u)[h,n,c]·k[h,m,c] + "
        "(q + v)[h,n,c]·(r[n−m]·W_r)[h,c]) / √c)·v[h,m,e], r[δ] = [sin, cos](δ·10000^(−2f/d))",
        TRANSFORMER_XL,
        transformer_xl,
        implied=CHANNELS,
        check="transformers",
    )
)


def t5(*, causal: bool = False, padding: bool = False, mask: bool = False) -> Diagram:
    """A learned bias for each head and bucket of distances; if causal, of those to the past."""
    stands = {**T5, "position": parts.bucketed_past if causal else parts.bucketed}
    return self_attention("t5", stands)(causal=causal, padding=padding, mask=mask)


def alibi(*, causal: bool = False, padding: bool = False, mask: bool = False) -> Diagram:
    """A penalty for each head that grows with the distance, to both sides unless causal."""
    stands = {**ALIBI, "position": parts.slopes if causal else parts.two_sided_slopes}
    return self_attention("alibi", stands)(causal=causal, padding=padding, mask=mask)


def forgetting(*, padding: bool = False, mask: bool = False) -> Diagram:
    """A gate at each position says how much of what came before it is kept.

    With `padding`, the gate at a position that is not kept is that of a token of zeros.
    """
    inner = self_attention("forgetting", FORGETTING)(causal=True, padding=padding, mask=mask)
    if not padding:
        return inner

    def body(x: Wire, **masks: Any) -> Wire:
        result: Wire = inner(parts.shown(x, masks["keep"]), **masks)
        return result

    inputs = {"x": "n d", **mask_inputs("n", padding, mask, "n m:n")}
    return diagram_of("forgetting", inputs, "n d", body)


T5: dict[str, Part] = {
    **OF_ITSELF,
    "preparation": parts.unscaled_projections,
    "similarity": parts.dot,
    "position": parts.bucketed,
    "output": parts.join_normal,
}
ALIBI: dict[str, Part] = {**OF_ITSELF, "position": parts.two_sided_slopes}
FORGETTING: dict[str, Part] = {
    **OF_ITSELF,
    "preparation": parts.forgetting,
    "position": parts.decay,
}

CATALOGUE.enter(
    Mechanism(
        "forgetting",
        "Forgetting attention",
        LIN,
        "o[h,n,e] = Σ_{m ≤ n} softmax_m(Σ_c q[h,n,c]·k[h,m,c] / √c + C[h,n] − C[h,m])·v[h,m,e], "
        "C[h,n] = Σ_{m ≤ n} log σ(Σ_d x[m,d]·w_f[d,h] + b[h])",
        FORGETTING,
        forgetting,
        causal="always",
        implied=CHANNELS,
        check="fla-core",
    )
)
CATALOGUE.enter(
    Mechanism(
        "t5",
        "Attention with a bias for each bucket of distances",
        RAFFEL,
        "o[h,n,e] = Σ_m softmax_m(Σ_c q[h,n,c]·k[h,m,c] + B[bucket(m − n), h])·v[h,m,e]",
        T5,
        t5,
        implied=CHANNELS,
        check="transformers",
    )
)
CATALOGUE.enter(
    Mechanism(
        "alibi",
        "Attention with linear biases",
        PRESS,
        "o[h,n,e] = Σ_m softmax_m(Σ_c q[h,n,c]·k[h,m,c] / √c − 2^(−8(h+1)/|h|)·|n − m|)·v[h,m,e]",
        ALIBI,
        alibi,
        implied=CHANNELS,
        check="x-transformers",
    )
)
