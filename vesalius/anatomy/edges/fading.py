"""States that fade by gates of the tokens: the similarity reads how much was kept in between.

What a position keeps is opened: the gates of the positions from one token to another are summed.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import as_it_is, row
from vesalius.anatomy.edges.heads import heads, queries_and_keys
from vesalius.anatomy.edges.registry import edge
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Tie


def _between(f: Wire, g: Wire, i: Wire, j: Wire) -> Wire:
    """exp of the sum of the gates after j up to i, 0 where j > i"""
    return vs.exp(vs.where(j <= i, f - g, float("-inf")))


# -- gated linear attention -----------------------------------------------------------------------


def channel_gates(x: Wire) -> Wire:
    """log σ(x·W_1·W_2 + b)/16, for each channel of the keys"""
    return parts.channel_gates(x)


def product_that_fades(x: Wire, y: Wire, i: Wire, j: Wire, f: Wire, g: Wire) -> Wire:
    """Σ_c q·k·exp(f − g)/√c, 0 where j > i"""
    q, k = queries_and_keys(x, y)
    return vs.contract(parts.asked(q), k, _between(f, g, i, j), over="c")


def normed_and_gated(o: Wire, x: Wire, i: Wire) -> Wire:
    """(silu(x·W_g + b)·layer norm_e(o))·W_o"""
    return parts.join_heads(parts.gate_of_layer_norm(o, x))


@edge("gla", "multihead")
def gated_linear_and_multihead() -> Derivation:
    """Channels of the keys fade by gates of the tokens; a norm and a gate stand behind."""
    return heads(fades="h c").siblings(
        "gla",
        "Σ_{m≤n} (Σ_c q·k·Π_{m<l≤n} α[l])·v = q·S, S[n] = α[n]·S[n−1] + k·v",
        position=channel_gates,
        similarity=product_that_fades,
        normaliser=as_it_is,
        output=normed_and_gated,
    )


# -- random features, gated -----------------------------------------------------------------------


def kept_share(x: Wire) -> Wire:
    """log σ(x·W + b), for each head"""
    return parts.kept_share(x)


def estimate_that_fades(x: Wire, y: Wire, i: Wire, j: Wire, f: Wire, g: Wire) -> Wire:
    """Σ_r cos(ω·(q/|q| − k/|k|))·(1 − σ(y·W + b))·exp(f − g), 0 where j > i"""
    queries, keys = parts.waves(*queries_and_keys(x, y))
    new = parts.new_share(parts.kept_share(y))
    return parts.dot(queries, keys * new) * _between(f, g, i, j)


@edge("rfa_gated", "multihead")
def gated_features_and_multihead() -> Derivation:
    """A kernel of random features, of which what is new comes in as far as the past goes."""
    one = {f"similarity.{own}": own for own in ("wf", "wf_bias")}
    return heads(fades="h").siblings(
        "rfa_gated",
        "Σ_{m≤n} w·v/Σ_{m≤n} w by two states",
        Tie(one, "one gate"),
        position=kept_share,
        similarity=estimate_that_fades,
        normaliser=row(parts.row_sum),
    )


# -- Mamba-2: slots read windows as well ----------------------------------------------------------


def state_decay(x: Wire) -> Wire:
    """−4·exp(a)·softplus(x·W + b − log 100), for each head"""
    return parts.state_decay(parts.step_sizes(x))


def _convolved(window: Wire, channels: str, name: str, filter: str, bias: str) -> Wire:
    """silu of a map of each token of a window, by a filter of each channel"""
    mapped = vs.linear(window, "d", channels, name=name)
    taps = vs.parameter(filter, f"{channels} w", fan="w")
    return vs.silu(vs.contract(mapped, taps, over="w") + vs.parameter(bias, channels, init="zeros"))


def convolved_that_fades(
    x: Wire, p: Wire, y: Wire, r: Wire, i: Wire, j: Wire, f: Wire, g: Wire
) -> Wire:
    """(Σ_c C·B)·exp(f − g), 0 where j > i, C and B of windows"""
    c = _convolved(p, "c", "wc", "filter", "bias_c")
    b = _convolved(r, "c", "wb", "filter_1", "bias_b")
    return parts.dot(c, b) * _between(f, g, i, j)


def convolved_and_stepped(y: Wire, r: Wire) -> Wire:
    """Δ·v, v of a window"""
    return _convolved(r, "h e", "wx", "filter_2", "bias_x") * parts.step_sizes(y)


def skip_and_norm(o: Wire, x: Wire, p: Wire, i: Wire) -> Wire:
    """(rms norm_he((o + D·v)·silu(x·W_z)))·W_o, v of a window"""
    v = _convolved(p, "h e", "wx", "filter_2", "bias_x")
    return parts.join_heads(parts.skip_and_norm(o, v, x))


@edge("mamba2", "multihead")
def state_space_and_multihead() -> Derivation:
    """A state space whose heads fade by steps of the tokens, which windows make."""
    one = {
        **{f"values.{own}": own for own in ("step_bias", "wt")},
        **{f"output.{own}": own for own in ("wx", "filter_2", "bias_x")},
    }
    return heads("windows", window=True, fades="h").siblings(
        "mamba2",
        "Σ_{m≤n} (C·B)·exp(Σ_{m<l≤n} A·Δ[l])·Δ·v = C·S, S[n] = exp(A·Δ[n])·S[n−1] + B·Δ·v",
        Tie(one, "one step and one value for all"),
        position=state_decay,
        similarity=convolved_that_fades,
        normaliser=as_it_is,
        values=convolved_and_stepped,
        output=skip_and_norm,
    )
