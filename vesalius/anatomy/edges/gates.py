"""Mechanisms that make more of what was mixed: the output is opened, beside what else differs.

What is made of the mixed values may read the token itself, and no other.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import as_it_is, row
from vesalius.anatomy.edges.heads import HEADS, heads, queries_and_keys
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import diagram_of
from vesalius.anatomy.transformer import norm_diagram
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare, Tie


def retained(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(T[i]·q)·(T[j]·k)/√c·γ_h^(i − j), 0 where j > i"""
    q, k = queries_and_keys(x, y)
    q, k = (parts.rotary_at(z, place, "interleaved") for z, place in ((q, i), (k, j)))
    return parts.fading_dot_at(parts.asked(q), k, parts.retention_decay(q), i, j)


def normed_and_gated(o: Wire, x: Wire, i: Wire) -> Wire:
    """(silu(x·W_g)·norm_e(o))·W_o"""
    return parts.join_heads(parts.retention_gate(o, x))


@edge("retnet", "multihead")
def retnet_and_multihead() -> Derivation:
    """Scores that fade are weights as they are; a norm and a gate stand behind."""
    return HEADS.siblings(
        "retnet",
        "Σ_{m≤n} γ^(n−m)·(q·k)·v = q·S, S[n] = γ·S[n−1] + k·v",
        similarity=retained,
        normaliser=as_it_is,
        output=normed_and_gated,
    )


# -- gated units: one head, a norm before and a residual after -------------------------------------

ONE_NORM = Tie(
    {
        f"{slot}.norm.{own}": f"norm.{own}"
        for slot in ("values", "output")
        for own in ("gain", "shift")
    },
    "one norm for all",
)


def _bases(x: Wire, y: Wire, count: int, normed: bool = True) -> tuple[list[Wire], list[Wire]]:
    """Each z·γ + β of both tokens, z = silu(norm(·)·W + b), or without the norm."""
    both = vs.concat(vs.expand(x, "t:1"), vs.expand(y, "t:1"), over="t")
    made = parts.shared_base(norm_diagram()(both) if normed else both, count)
    first, second = ([vs.sum(vs.slice(z, "t", k, length=1), "t") for z in made] for k in (0, 1))
    return first, second


def squared_later(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(z·γ_q + β_q)·(z'·γ_k + β_k) + B[j − i], z and z' = silu(norm(·)·W + b) of x and of y"""
    (q, _), (_, k) = _bases(x, y, 2)
    return vs.expand(parts.dot(q, k) + parts.bucketed_at(q, j - i, heads=""), "h:1")


def silu_values(y: Wire) -> Wire:
    """silu(norm(y)·W_v + b)"""
    return vs.expand(parts.silu_of(norm_diagram()(y), "e", "v"), "h:1")


def gated_residual(o: Wire, x: Wire, i: Wire) -> Wire:
    """x + (silu(norm(x)·W_u + b)·o)·W_o + b"""
    gate = parts.silu_of(norm_diagram()(x), "e", "u")
    mixed = parts.times(vs.sum(o, "h"), gate)
    return x + vs.linear(mixed, "e", "d", name="wo", bias=True)


@edge("gau", at("multihead", h=1))
def gated_unit_and_multihead() -> Derivation:
    """One head, whose weights are squares by the length; a gate and a residual stand behind."""
    return HEADS.siblings(
        "gau",
        "one head, one norm",
        ONE_NORM,
        sizes={"h": 1},
        similarity=squared_later,
        normaliser=row(parts.relu_squares_of_mean),
        values=silu_values,
        output=gated_residual,
    )


def near_and_far(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """relu(q·k/|w| + B[j − i])² within a chunk of w, and q'·k'/|n|"""
    (q, far_q, _, _), (_, _, k, far_k) = _bases(x, y, 4)
    width = vs.constant(vs.size("w"))
    scores = parts.dot(q, k) / vs.size("w") + parts.bucketed_at(q, j - i, heads="")
    together = vs.equal(vs.floor_divide(i, width), vs.floor_divide(j, width))
    near = parts.relu_squares(scores, together)
    return vs.expand(near + parts.dot(far_q, far_k) / vs.size("n"), "h:1")


@edge("flash", at("multihead", h=1))
def flash_and_multihead() -> Derivation:
    """As the gated unit; a weight is a square in a chunk, and a product everywhere."""
    return HEADS.siblings(
        "flash",
        "one head, one norm; weights in chunks and across",
        ONE_NORM,
        sizes={"h": 1},
        similarity=near_and_far,
        normaliser=as_it_is,
        values=silu_values,
        output=gated_residual,
    )


# -- Mega: a second sequence, of moving averages ---------------------------------------------------


def of_averages(x: Wire, a: Wire, y: Wire, b: Wire, i: Wire, j: Wire) -> Wire:
    """(z·γ_q + β_q)·(z'·γ_k + β_k)/√c + B[j − i], z and z' = silu(·W + b) of averages at x and y"""
    (q, _), (_, k) = _bases(a, b, 2, normed=False)
    return vs.expand(parts.scaled_dot(q, k) + parts.relative_table_at(j - i), "h:1")


def plain_silu_values(y: Wire, b: Wire) -> Wire:
    """silu(y·W_v + b)"""
    return vs.expand(parts.silu_of(y, "e", "v"), "h:1")


def reset_and_updated(o: Wire, x: Wire, a: Wire, i: Wire) -> Wire:
    """φ·silu(a·W + (γ·o)·U + b) + (1 − φ)·x, φ and γ gates of the average"""
    return parts.reset_and_update(x, a, vs.sum(o, "h"))


def averages(x: Wire) -> Wire:
    """a damped moving average of x, for each channel"""
    return parts.long_convolution(x, parts.moving_average(x))


@edge("mega", at("multihead", h=1))
def mega_and_multihead() -> Derivation:
    """One head, of a sequence and its moving average; two gates stand behind."""
    second = {"a": diagram_of("averages", {"x": "n d"}, "n d", averages)}
    return heads("two sequences", averaged=True).siblings(
        "mega",
        "one head",
        Prepare(second, "a → Σ_k η·h, h[n] = α·β·x[n] + (1 − α·δ)·h[n − 1]"),
        sizes={"h": 1},
        similarity=of_averages,
        values=plain_silu_values,
        output=reset_and_updated,
    )
