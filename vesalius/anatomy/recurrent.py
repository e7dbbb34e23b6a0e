"""Attention whose past fades: a state that is written and read along the positions.

All are causal by what they are. Where an equal form by weights exists, `form="weights"` is it:
one weight for each query and key. Without, or with `form="scan"`, a state goes from one position
to the next.

`padding` adds the input `keep`, true for the positions that count. The others are read as zeros and
nothing of them is written; time passes at them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vesalius.anatomy import parts
from vesalius.anatomy.forms import Form, chosen
from vesalius.anatomy.kernels import PENG as RFA
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.recurrences import corrected

SUN = Paper(
    "Retentive Network: A Successor to Transformer for Large Language Models",
    "Sun, Dong, Huang, Ma, Xia, Xue, Wang, Wei",
    2023,
    "2307.08621",
)
YANG = Paper(
    "Gated Linear Attention Transformers with Hardware-Efficient Training",
    "Yang, Wang, Shen, Panda, Kim",
    2023,
    "2312.06635",
)
DAO = Paper(
    "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State "
    "Space Duality",
    "Dao, Gu",
    2024,
    "2405.21060",
)
DELTA = Paper(
    "Parallelizing Linear Transformers with the Delta Rule over Sequence Length",
    "Yang, Wang, Zhang, Shen, Kim",
    2024,
    "2406.06484",
)
GATED_DELTA = Paper(
    "Gated Delta Networks: Improving Mamba2 with Delta Rule",
    "Yang, Kautz, Hatamizadeh",
    2024,
    "2412.06464",
)
PENG = Paper(
    "RWKV: Reinventing RNNs for the Transformer Era",
    "Peng, Alcaide, Anthony, Albalak, Arcadinho, Biderman, Cao, Cheng, Chung, Grella, and others",
    2023,
    "2305.13048",
)


CHANNELS = {"c": "d/h", "e": "c"}


def enter(
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    check: str,
    build: Callable[..., Diagram],
    implied: Mapping[str, str] = CHANNELS,
    **stands: Part,
) -> None:
    """Enter a mechanism that is causal by what it is."""
    after = {"gate": stands.pop("gate")} if "gate" in stands else {}
    ordered: dict[str, Part] = {
        **stands,
        "mixing": parts.recall,
        **after,
        "output": parts.join_heads,
    }
    made = Mechanism(name, title, paper, formula, ordered, build, "always", implied, check=check)
    CATALOGUE.enter(made)


def of_sequence(name: str, padding: bool, body: Callable[[Wire, Wire | None], Wire]) -> Diagram:
    """From a sequence to one like it; what is not kept is 0."""

    def told(x: Wire, keep: Wire | None = None) -> Wire:
        return body(parts.shown(x, keep), keep)

    return diagram_of(name, {"x": "n d", **mask_inputs("n", padding, False)}, "n d", told)


def remembered(
    form: Form, similarity: Part, step: Diagram, q: Wire, k: Wire, v: Wire, gate: Wire
) -> Wire:
    """What the past says to each query, by weights or from a state."""
    if form == "weights":
        return parts.weighted_sum(similarity(q, k, gate), v)
    return parts.recall(step, q, k, v, gate)


def retnet(*, padding: bool = False, form: Form | None = None) -> Diagram:
    """Multi-scale retention: each head forgets at a rate of its own, which is fixed."""
    form = chosen("retnet", form, True)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.self_projections(x)
        q, k = parts.rotation(q, k, "interleaved")
        gate = parts.retention_decay(q)
        o = remembered(form, parts.fading_dot, parts.recalled, parts.asked(q), k, v, gate)
        return parts.join_heads(parts.retention_gate(o, x))

    return of_sequence("retnet", padding, body)


enter(
    "retnet",
    "RetNet, multi-scale retention",
    SUN,
    "z[n,d] = Σ_he silu(x·W_g)[h,n,e]·norm_e(Σ_{m≤n} (Σ_c q[h,n,c]·k[h,m,c] / √c)·γ_h^(n−m)·"
    "v[h,m,e])·W_o[h,e,d], q, k = x·W_q, x·W_k rotated, v = x·W_v, γ_h = 1 − 2^(−5−h)",
    "fla-core",
    retnet,
    {"c": "d/h", "e": "2*c"},
    preparation=parts.self_projections,
    position=parts.rotation,
    similarity=parts.fading_dot,
    gate=parts.retention_gate,
)


def rfa_gated(*, padding: bool = False, form: Form | None = None) -> Diagram:
    """Random feature attention that forgets: what is new comes in as far as the past goes."""
    form = chosen("rfa_gated", form, True)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.self_projections(x)
        queries, keys = parts.waves(q, k)
        share = parts.kept_share(x)
        new = parts.shown(parts.new_share(share), keep).rename(n="m")
        if form == "weights":
            scores = parts.gated_dot(queries, keys * new, share)
            scores = scores if keep is None else scores + vs.where(keep, 0.0, 1.0)
            o = parts.weighted_sum(parts.row_sum(scores, None), v)
        else:
            o, total = (
                parts.recall(parts.recalled, queries, keys, y, share) for y in (new * v, new)
            )
            # a row that sees nothing is not divided by 0, here and above
            o = o / (total if keep is None else total + vs.where(keep, 0.0, 1.0))
        return parts.join_heads(o)

    return of_sequence("rfa_gated", padding, body)


enter(
    "rfa_gated",
    "Random feature attention, gated",
    RFA,
    "z[n,d] = Σ_he (Σ_{m≤n} w[h,n,m]·v[h,m,e] / Σ_{m≤n} w[h,n,m])·W_o[h,e,d], w[n,m] = "
    "Σ_r cos(Σ_c ω[r,c]·σ[c]·(q[n,c]/|q[n]| − k[m,c]/|k[m]|))·(1 − g[m])·Π_{m<l≤n} g[l], "
    "g = σ(x·W + b), q, k, v = x·W",
    "transcription",
    rfa_gated,
    preparation=parts.self_projections,
    position=parts.kept_share,
    similarity=parts.gated_dot,
    normaliser=parts.row_sum,
)


def gla(*, padding: bool = False, form: Form | None = None) -> Diagram:
    """Gated linear attention: each channel of the keys forgets as the input says."""
    form = chosen("gla", form, True)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.self_projections(x)
        gate = parts.channel_gates(x)
        how = parts.dot_gated_by_channels, parts.recalled_by_channels
        o = remembered(form, *how, parts.asked(q), k, v, gate)
        return parts.join_heads(parts.gate_of_layer_norm(o, x))

    return of_sequence("gla", padding, body)


enter(
    "gla",
    "Gated linear attention",
    YANG,
    "z[n,d] = Σ_he silu(x·W_g + b)[h,n,e]·norm_e(Σ_c q[h,n,c]·S[h,n,c,e] / √c)·W_o[h,e,d], "
    "S[n,c,e] = α[n,c]·S[n−1,c,e] + k[n,c]·v[n,e], q, k, v = x·W, α = σ(x·W_1·W_2 + b)^(1/16)",
    "fla-core",
    gla,
    {"c": "d/(2*h)", "e": "2*c"},
    preparation=parts.self_projections,
    position=parts.channel_gates,
    similarity=parts.dot_gated_by_channels,
    gate=parts.gate_of_layer_norm,
)


def mamba2(*, padding: bool = False, form: Form | None = None) -> Diagram:
    """Mamba-2: a state space whose heads forget by scalars, as masked linear attention."""
    form = chosen("mamba2", form, True)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.convolved_states(x)
        steps = parts.step_sizes(x)
        written = v * parts.shown(steps, keep).rename(n="m")
        how = parts.gated_dot, parts.recalled
        o = remembered(form, *how, q, k, written, parts.state_decay(steps))
        return parts.join_heads(parts.skip_and_norm(o, v.rename(m="n"), x))

    return of_sequence("mamba2", padding, body)


enter(
    "mamba2",
    "Mamba-2, state space duality",
    DAO,
    "z[n,d] = Σ_he norm_he((S[h,n,e] + D[h]·v[h,n,e])·silu(x·W_z)[h,n,e])·W_o[h,e,d], S[h,n,e] = "
    "Σ_{m≤n} (Σ_c C[n,c]·B[m,c])·exp(Σ_{m<l≤n} A_h·Δ[h,l])·Δ[h,m]·v[h,m,e], with C, B, v from x "
    "by maps, short convolutions and silu, Δ = softplus(x·W + b), A = −4·exp(a)",
    "transformers",
    mamba2,
    {"e": "2*d/h"},
    preparation=parts.convolved_states,
    position=parts.step_sizes,
    similarity=parts.gated_dot,
    gate=parts.skip_and_norm,
)


# -- states that are corrected --------------------------------------------------------------------


def delta_net(*, padding: bool = False) -> Diagram:
    """DeltaNet: what the state holds at a key moves towards the value."""

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.convolved_projections(x)
        o = parts.recall(
            corrected, parts.asked(q), k, v, parts.shown(parts.writing_strength(x), keep)
        )
        return parts.join_heads(parts.norm_of_heads(o))

    return of_sequence("delta_net", padding, body)


enter(
    "delta_net",
    "DeltaNet",
    DELTA,
    "z[n,d] = Σ_he rms_e(Σ_c q[h,n,c]·S[h,n,c,e] / √c)·W_o[h,e,d], S[n,c,e] = S[n−1,c,e] + "
    "β[n]·k[n,c]·(v[n,e] − Σ_c k[n,c]·S[n−1,c,e]), with q, k, v from x by maps, short "
    "convolutions and silu, |q| = |k| = 1, β = σ(x·W)",
    "fla-core",
    delta_net,
    preparation=parts.convolved_projections,
    position=parts.writing_strength,
    gate=parts.norm_of_heads,
)


def gated_delta_net(*, padding: bool = False) -> Diagram:
    """Gated DeltaNet: the state fades before it is corrected."""

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.convolved_projections(x)
        gate = parts.drawn_decay(parts.step_sizes(x))
        more = parts.shown(parts.writing_strength(x), keep), gate
        o = parts.recall(parts.corrected_fading, parts.asked(q), k, v, *more)
        return parts.join_heads(parts.gate_of_rms_norm(o, x))

    return of_sequence("gated_delta_net", padding, body)


enter(
    "gated_delta_net",
    "Gated DeltaNet",
    GATED_DELTA,
    "z[n,d] = Σ_he silu(x·W_z)[h,n,e]·rms_e(Σ_c q[h,n,c]·S[h,n,c,e] / √c)·W_o[h,e,d], "
    "S[n,c,e] = T[n,c,e] + β[n]·k[n,c]·(v[n,e] − Σ_c k[n,c]·T[n,c,e]), T[n] = exp(A·Δ[n])·S[n−1], "
    "with q, k, v, β as in DeltaNet, Δ and A as in Mamba-2",
    "transformers",
    gated_delta_net,
    preparation=parts.convolved_projections,
    position=parts.step_sizes,
    gate=parts.gate_of_rms_norm,
)


# -- a state for each channel ---------------------------------------------------------------------


def rwkv(*, padding: bool = False, form: Form | None = None) -> Diagram:
    """The time mixing of RWKV-4: attention free, each channel fades at its own learned rate.

    `scan` carries the sums of exp(k)·v and of exp(k), which the compiler brings to the largest
    exponent so far; `weights` has a weight for each query, key and channel.
    """
    form = chosen("rwkv", form, True)

    def body(x: Wire, keep: Wire | None) -> Wire:
        r, k, v = parts.token_shift(x)
        decay, bonus = parts.decay_and_bonus(k)
        if form == "weights":
            k, v = k.rename(n="m"), v.rename(n="m")
            scores = parts.fading_keys(k, decay, bonus)
            allowed = None if keep is None else parts.kept_or_now(scores, keep)
            o = parts.weighted_sum(parts.softmax(scores, allowed), v)
        else:
            o = parts.fading_mean(k, v, decay, bonus, keep)
        return parts.project(parts.sigmoid_gate(r, o))

    return of_sequence("rwkv", padding, body)


CATALOGUE.enter(
    Mechanism(
        "rwkv",
        "RWKV-4, time mixing",
        PENG,
        "z[n,d] = Σ_e σ(r[n,e])·(Σ_m softmax_m(b[n,m,e] + k[m,e])·v[m,e])·W_o[e,d], b = "
        "−(n − 1 − m)·w[e] for m < n, u[e] for m = n, −∞ after, with r, k, v maps of "
        "(x[n] + x[n−1] + μ·(x[n] − x[n−1])) / 2 and w = exp(ω − 1)",
        {
            "preparation": parts.token_shift,
            "position": parts.decay_and_bonus,
            "similarity": parts.fading_keys,
            "normaliser": parts.softmax,
            "mixing": parts.fading_mean,
            "gate": parts.sigmoid_gate,
            "output": parts.project,
        },
        rwkv,
        causal="always",
        check="transformers",
    )
)
