"""Attention as it was first written, inside a recurrent translator, with its networks as holes.

Each network is given a diagram only where it stands in a translator: so the holes are written
first, and Bahdanau's own networks are what fills them.
"""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire


@diagram
def forwards(h: "k", y: "d") -> {"h": "k", "out": "k"}:  # type: ignore[misc]
    """One word of the source, read from the left."""
    h = vs.learner("rightwards", h, y, binds="k d", into="k")
    return {"h": h, "out": h}


@diagram
def backwards(h: "e", y: "d") -> {"h": "e", "out": "e"}:  # type: ignore[misc]
    """One word of the source, read from the right."""
    h = vs.learner("leftwards", h, y, binds="e d", into="e")
    return {"h": h, "out": h}


def attend(s: Wire, left: Wire, right: Wire) -> tuple[Wire, Wire]:
    """What both annotations of the source say to a state: two weighted sums, of one weight."""
    score = vs.learner("score", s, left, right, binds="c k e")
    weights = vs.softmax(score, "m")
    return vs.contract(weights, left, over="m"), vs.contract(weights, right, over="m")


@diagram
def decode(
    s: "c", before: "k", after: "e", x: "d", left: "m k", right: "m e"
) -> {"s": "c", "before": "k", "after": "e", "k_out": "k", "e_out": "e"}:  # type: ignore[misc]
    """One word of the target: a new state from the old one, the word and what was attended to."""
    s = vs.learner("cell", s, x, before, after, binds="c d k e", into="c")
    before, after = attend(s, left, right)
    return {"s": s, "before": before, "after": after, "k_out": before, "e_out": after}


@diagram
def translator(x: "n d", y: "m d") -> "n d":
    """Both directions of the encoder, the decoder, and what is read off each context."""
    zero = {axis: vs.expand(0.0, axis) for axis in ("c", "k", "e")}
    _, left = vs.scan(forwards, over="m", states=[zero["k"]], sequences=[y])
    _, right = vs.scan(backwards, over="m", states=[zero["e"]], sequences=[y], reverse=True)
    *_, k, e = vs.scan(
        decode, over="n", states=list(zero.values()), sequences=[x], captured=[left, right]
    )
    return vs.learner("readout", k, e, binds="k e", into="d")


# -- Bahdanau's networks --------------------------------------------------------------------------


def gated(state: Wire, *reads: Wire) -> Wire:
    """The gated unit of the paper: the next state from the state and from what is read.

    (1 − z)·s + z·tanh(Wx + U(r·s)), with the gates z, r = σ(Wx + Us)
    """
    (axis,) = state.names

    def mapped(gate: str, s: Wire) -> Wire:
        own = vs.linear(s, axis, axis, name=f"u{gate}")
        each = [vs.linear(x, x.names, axis, name=f"w{gate}_{x.names[0]}") for x in reads]
        return vs.add(own, *each)

    z, r = vs.sigmoid(mapped("z", state)), vs.sigmoid(mapped("r", state))
    return (1 - z) * state + z * vs.tanh(mapped("", r * state))


@diagram
def read_forwards(h: "k", y: "d") -> "k":
    """The gated unit of the encoder, from the left."""
    return gated(h, y)


@diagram
def read_backwards(h: "e", y: "d") -> "e":
    """The gated unit of the encoder, from the right."""
    return gated(h, y)


@diagram
def write(s: "c", x: "d", before: "k", after: "e") -> "c":
    """The gated unit of the decoder."""
    return gated(s, x, before, after)


@diagram
def align(s: "c", left: "k", right: "e") -> "":
    """Σ_a v·tanh(Σ_c s·W + Σ_k left·U + Σ_e right·U'): the alignment network"""
    hidden = vs.add(
        vs.linear(s, "c", "a", name="w"),
        vs.linear(left, "k", "a", name="u_left"),
        vs.linear(right, "e", "a", name="u_right"),
    )
    return vs.contract(vs.tanh(hidden), vs.parameter("v", "a"), over="a")


@diagram
def read_out(k: "k", e: "e") -> "d":
    """The part of the output layer that is linear in the context."""
    return vs.linear(k, "k", "d", name="c_left") + vs.linear(e, "e", "d", name="c_right")


NETWORKS = {
    "rightwards": read_forwards,
    "leftwards": read_backwards,
    "cell": write,
    "readout": read_out,
}
