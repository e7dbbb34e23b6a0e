"""What gated attention units are made of: one base for queries and keys, chunks, gates."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, counted, index, written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def silu_of(x: Wire, axis: str, name: str) -> Wire:
    """silu(Σ_d x·W + b)"""
    return vs.silu(vs.linear(x, "d", axis, name=name, bias=True))


def value_and_gate(x: Wire) -> tuple[Wire, Wire]:
    """v = silu(x·W_v + b), u = silu(x·W_u + b)"""
    return silu_of(x, "e", "v"), silu_of(x, "e", "u")


def shared_base(x: Wire, count: int = 2) -> tuple[Wire, ...]:
    """z·γ + β for each of the queries and keys, z = silu(x·W_z + b)"""
    z = silu_of(x, "c", "z")
    channels = axes_of(z, "c")
    return tuple(
        z * vs.parameter("gamma", channels, init="normal", scale=0.02)
        + vs.parameter("beta", channels, init="zeros")
        for _ in range(count)
    )


# -- chunks of w tokens ---------------------------------------------------------------------------


def chunks(x: Wire, axis: str = "n", into: str = "n") -> Wire:
    """The tokens as t chunks of w."""
    width = vs.size("w")
    return vs.split(x, axis, written(t=x.axes[axis] / width, **{into: width}))


def filled(x: Wire, axis: str = "n") -> Wire:
    """x, and 0 after it up to a multiple of w"""
    length, width = x.axes[axis], vs.size("w")
    return vs.pad(x, axis, after=length.ceil_div(width) * width - length)


def whole(x: Wire) -> Wire:
    """The chunks as one sequence again."""
    return vs.merge(x, "t n", "n")


def with_neighbours(x: Wire, causal: bool) -> Wire:
    """each chunk t with the one before it and, unless causal, the one after; the ends go round"""
    chunks, at = x.axes["t"], index(x, "t")
    turns = [chunks - 1] if causal else [chunks - 1, vs.size(1)]
    others = [vs.gather(x, vs.remainder(at + turn, chunks), over="t") for turn in turns]
    return vs.concat(others[0], x, *others[1:], over="m")


def near_places(q: Wire, causal: bool) -> Wire:
    """|n − m| < w, and m ≤ n if causal, of queries in chunks and keys of chunks with neighbours"""
    width = vs.size("w")
    at = index(q, "t") * width
    places = at - width + counted("m", width * (2 if causal else 3))
    back = at + index(q, "n") - places
    near = (vs.abs(back) < width) & (places >= 0) & (places < q.axes["t"] * width)
    return near & (back >= 0) if causal else near


def across_chunks(q: Wire, k: Wire, v: Wire, causal: bool = False) -> Wire:
    """q·Σ_t Σ_m k·v / |n|, or of former chunks alone, which is divided by |w|"""
    state = vs.contract(k, v, over="m")
    if causal:
        state = state.rename(t="s")
        former = index(state, "s") < index(q, "t")
        state = vs.sum(vs.where(former, state, 0.0), "s") / k.axes["m"]
    else:
        state = vs.sum(state, "t") / (k.axes["t"] * k.axes["m"])
    return vs.contract(q, state, over="c")


# -- Mega -----------------------------------------------------------------------------------------


def moving_average(x: Wire) -> Wire:
    """the taps of Σ_k η·h: h[n] = α·β·x[n] + (1 − α·δ)·h[n − 1], α and δ in (0, 1)"""
    channels = f"{axes_of(x, 'd')} k"
    alpha, delta = (
        vs.sigmoid(vs.parameter(name, channels, init="normal", scale=0.2))
        for name in ("alpha", "delta")
    )
    beta, eta = (vs.parameter(name, channels, init="normal") for name in ("beta_in", "eta"))
    kept = vs.exp(index(x, "n") * vs.log(1 - alpha * delta))
    return vs.contract(alpha, beta, eta, kept, over="k")


def reset_and_update(x: Wire, averaged: Wire, o: Wire) -> Wire:
    """φ·silu(y·W + (γ·o)·U + b) + (1 − φ)·x, φ = σ(y·W_φ + b), γ = silu(y·W_γ + b), y averaged"""
    reset = silu_of(averaged, "e", "reset")
    update = vs.sigmoid(vs.linear(averaged, "d", "d", name="update", bias=True))
    seen = vs.linear(averaged, "d", "d", name="new", bias=True)
    new = vs.silu(seen + vs.linear(reset * o, "e", "d", name="wo"))
    return update * new + (1 - update) * x
