"""Attention itself: each mechanism is a few lines that name its parts."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import Any, Literal, get_args

from vesalius.anatomy import parts
from vesalius.anatomy.dissection import part
from vesalius.anatomy.forms import QKV as QKV
from vesalius.anatomy.forms import Form, of_features
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

BAHDANAU = Paper(
    "Neural Machine Translation by Jointly Learning to Align and Translate",
    "Bahdanau, Cho, Bengio",
    2014,
    "1409.0473",
)
LUONG = Paper(
    "Effective Approaches to Attention-based Neural Machine Translation",
    "Luong, Pham, Manning",
    2015,
    "1508.04025",
)
VASWANI = Paper(
    "Attention Is All You Need",
    "Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin",
    2017,
    "1706.03762",
)
KATHAROPOULOS = Paper(
    "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    "Katharopoulos, Vyas, Pappas, Fleuret",
    2020,
    "2006.16236",
)

SOFTMAX: dict[str, Part] = {
    "mask": parts.visible,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
}


def enter(
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    inputs: dict[str, str],
    output: str,
    stands: dict[str, Part],
    **claims: Any,
) -> Mechanism:
    """Enter a mechanism that has a weight for each query and key.

    `claims` are what its length or its check make differ: `cacheable`, `check`.
    """
    stands = {slot: part(stand) for slot, stand in stands.items()}
    build = explicit(name, inputs, output, stands)
    return CATALOGUE.enter(Mechanism(name, title, paper, formula, stands, build, **claims))


enter(
    "bahdanau",
    "Additive attention",
    BAHDANAU,
    "o[n,e] = Σ_m softmax_m(Σ_a v[a]·tanh(Σ_d s[n,d]·W[d,a] + Σ_e y[m,e]·U[e,a]))·y[m,e]",
    {"s": "n d", "y": "m e"},
    "n e",
    {"preparation": parts.memory, "similarity": parts.additive, **SOFTMAX},
    check="keras",
)

Local = Literal["monotonic", "predictive"]


def luong(
    name: str, title: str, formula: str, query: str, key: str, similarity: Part, check: str
) -> Mechanism:
    """Enter attention of a decoder's states s to a memory y, whose values are its keys."""
    inputs, output = {"s": f"n {query}", "y": f"m {key}"}, f"n {key}"
    stands: dict[str, Part] = {
        "preparation": parts.memory,
        "similarity": part(similarity),
        **SOFTMAX,
    }
    everywhere = explicit(name, inputs, output, stands)

    def build(
        *,
        local: Local | None = None,
        causal: bool = False,
        padding: bool = False,
        mask: bool = False,
    ) -> Diagram:
        """`local` looks at places within w of a centre alone: of the place itself, if `monotonic`;
        `predictive`, the centre is learned of the state, and weights fall off from it as a normal
        density of deviation w/2 does.
        """
        if local is None:
            return everywhere(causal=causal, padding=padding, mask=mask)
        if local not in get_args(Local):
            raise FormatError(among(f"{name}: local", get_args(Local), local))

        def body(s: Wire, y: Wire, keep: Wire | None = None, mask: Wire | None = None) -> Wire:
            centre = parts.index(s, "n") if local == "monotonic" else parts.predicted(s, y)
            far = parts.index(y, "m") - centre
            near = vs.abs(far) <= vs.size("w")
            scores = stands["similarity"](s, y)
            scores = scores if mask is None else scores + mask
            seen = parts.visible(s, y, causal=causal, keep=keep)
            weights = stands["normaliser"](scores, near if seen is None else near & seen)
            if local == "predictive":
                weights = weights * parts.bell(far)
            mixed: Wire = stands["mixing"](weights, y)
            return mixed

        return diagram_of(name, {**inputs, **mask_inputs("m", padding, mask)}, output, body)

    return CATALOGUE.enter(Mechanism(name, title, LUONG, formula, stands, build, check=check))


luong(
    "luong_dot",
    "Multiplicative attention, dot",
    "o[n,c] = Σ_m softmax_m(Σ_c s[n,c]·y[m,c])·y[m,c]",
    "c",
    "c",
    parts.dot,
    "keras",
)
luong(
    "luong_general",
    "Multiplicative attention, general",
    "o[n,e] = Σ_m softmax_m(Σ_ce s[n,c]·W[c,e]·y[m,e])·y[m,e]",
    "c",
    "e",
    parts.bilinear,
    "transcription",
)
luong(
    "luong_concat",
    "Multiplicative attention, concat",
    "o[n,e] = Σ_m softmax_m(Σ_a v[a]·tanh(Σ_i [s[n], y[m]][i]·W[i,a]))·y[m,e]",
    "c",
    "e",
    parts.concatenated,
    "keras",
)

SCALED_DOT_PRODUCT = enter(
    "scaled_dot_product",
    "Scaled dot-product attention",
    VASWANI,
    "o[n,e] = Σ_m softmax_m(Σ_c q[n,c]·k[m,c] / √c)·v[m,e]",
    QKV,
    "n e",
    {"preparation": parts.given, "similarity": parts.scaled_dot, **SOFTMAX},
    check="torch",
)


# -- linear attention: one function, three ways to compute it -------------------------------------

LINEAR_PARTS: dict[str, Part] = {
    "preparation": parts.given,
    "similarity": parts.kernel,
    "mask": parts.visible,
    "normaliser": parts.row_sum,
    "mixing": parts.weighted_sum,
}
LINEAR = CATALOGUE.enter(
    Mechanism(
        "linear",
        "Linear attention",
        KATHAROPOULOS,
        "o[n,e] = Σ_c φ(q)[n,c]·(Σ_m φ(k)[m,c]·v[m,e]) / Σ_c φ(q)[n,c]·(Σ_m φ(k)[m,c]), "
        "φ = elu + 1",
        LINEAR_PARTS,
        of_features("linear", LINEAR_PARTS, parts.elu_features),
        check="fla-core",
    )
)


# -- heads ----------------------------------------------------------------------------------------


def core_names() -> list[str]:
    """The mechanisms that can stand inside heads: those whose inputs are q, k and v."""
    prepared = {m.name: m.parts.get("preparation", parts.memory) for m in CATALOGUE}
    return [name for name, part in prepared.items() if {*QKV} <= {*signature(part).parameters}]


def with_heads(
    name: str,
    attention: str,
    bias: bool,
    cross: bool,
    memory: str = "m d",
    **options: Any,
) -> Diagram:
    """projections, a mechanism over q, k and v in a tube of heads, the output projection

    `cross` makes the keys and values come from a second input `y`, whose axes are `memory`.
    `options` go to the mechanism; those that are false or None are left out, so that it need not
    have them.
    """
    if attention not in core_names():
        raise FormatError(among(f"{name}: attention", core_names(), attention))
    core = CATALOGUE[attention]
    wanted = {option: value for option, value in options.items() if value}
    for option in wanted:
        if option not in core.options:
            raise FormatError(f"{name}: the attention {attention!r} has no option {option!r}")
    inner = core(**wanted)
    if core.of_heads:
        inner = core.in_heads(inner)

    def body(x: Wire, y: Wire | None = None, **masks: Any) -> Wire:
        q, k, v = parts.projections(x, x if y is None else y, bias)
        if y is None:
            k, v = k.rename(n="m"), v.rename(n="m")
            masks |= {"keep": masks["keep"].rename(n="m")} if "keep" in masks else {}
        return parts.join_heads(inner(q, k, v, **masks), bias)

    padding, mask = bool(options.get("padding")), bool(options.get("mask"))
    if cross:
        inputs = {"x": "n d", "y": memory, **mask_inputs("m", padding, mask)}
    else:
        inputs = {"x": "n d", **mask_inputs("n", padding, mask, "n m:n")}
    return diagram_of(name, inputs, "n d", body)


def multihead(
    *,
    attention: str = "scaled_dot_product",
    form: Form | None = None,
    bias: bool = False,
    causal: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Self-attention with heads; `attention` is what stands in each head."""
    options: dict[str, Any] = {"form": form, "causal": causal, "padding": padding, "mask": mask}
    return with_heads("multihead", attention, bias, False, **options)


def multihead_cross(
    *,
    attention: str = "scaled_dot_product",
    form: Form | None = None,
    bias: bool = False,
    padding: bool = False,
    mask: bool = False,
) -> Diagram:
    """Attention with heads from x to another sequence y."""
    options: dict[str, Any] = {"form": form, "padding": padding, "mask": mask}
    return with_heads("multihead_cross", attention, bias, True, **options)


HEADS: dict[str, Part] = {
    **SCALED_DOT_PRODUCT.parts,
    "preparation": parts.projections,
    "output": parts.join_heads,
}
CHANNELS = {"c": "d/h", "e": "c"}

MULTIHEAD = CATALOGUE.enter(
    Mechanism(
        "multihead",
        "Multi-head self-attention",
        VASWANI,
        "z[n,d] = Σ_he (Σ_m softmax_m(Σ_c q[h,n,c]·k[h,m,c] / √c)·v[h,m,e])·W_o[h,e,d], "
        "with q = x·W_q, k = x·W_k, v = x·W_v",
        HEADS,
        multihead,
        implied=CHANNELS,
        check="torch",
    )
)
CATALOGUE.enter(
    replace(
        MULTIHEAD,
        name="multihead_cross",
        title="Multi-head cross-attention",
        formula=MULTIHEAD.formula.replace("k = x·W_k, v = x·W_v", "k = y·W_k, v = y·W_v"),
        build=multihead_cross,
        causal="never",
        cacheable="never",
    )
)
