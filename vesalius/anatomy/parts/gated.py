"""What gated attention units are made of: one base for queries and keys, chunks, gates."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def silu_of(x: Wire, axis: str, name: str) -> Wire:
    """silu(Σ_d x·W + b)"""
    return vs.silu(narrow(x, "d", axis, name))


def narrow(x: Wire, over: str, into: str, name: str) -> Wire:
    """Σ x·W + b, W at first of deviation 0.02, b of 0"""
    return vs.linear(x, over, into, name=name, init="normal", scale=0.02, bias="zeros")


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

    def signs(d: Wire, k: Wire) -> Wire:
        return 1 - 2 * vs.remainder(k, 2) + 0.02 * vs.random(channels)

    beta = vs.parameter("beta_in", channels, init=signs)
    eta = vs.parameter("eta", channels, init="normal", fan="k")
    kept = vs.exp(index(x, "n") * vs.log(1 - alpha * delta))
    return vs.contract(alpha, beta, eta, kept, over="k")


def reset_and_update(x: Wire, averaged: Wire, o: Wire) -> Wire:
    """φ·silu(y·W + (γ·o)·U + b) + (1 − φ)·x, φ = σ(y·W_φ + b), γ = silu(y·W_γ + b), y averaged"""
    reset = silu_of(averaged, "e", "reset")
    update = vs.sigmoid(narrow(averaged, "d", "d", "update"))
    seen = narrow(averaged, "d", "d", "new")
    carried = vs.linear(reset * o, "e", "d", name="wo", init="normal", scale=0.02)
    new = vs.silu(seen + carried)
    return update * new + (1 - update) * x
