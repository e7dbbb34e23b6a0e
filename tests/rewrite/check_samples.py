"""Rules and a diagram that several tests of checking look at."""

import vesalius as vs
from vesalius.rewrite.rule import rule


@rule("equal")
def normalise_late(p: "m", v: "m") -> "":
    """Σ_m (p_m/Σp)·v_m = (Σ_m p_m·v_m)/Σp"""
    total = vs.sum(p, "m")
    return vs.contract(p / total, v, over="m"), vs.contract(p, v, over="m") / total


@rule("equal")
def circle(x: "") -> "":
    """cos² + sin² = 1, times x"""
    return x * (vs.power(vs.cos(x), 2) + vs.power(vs.sin(x), 2)), x


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")
