"""A rule of your own, its check, and a derivation with it."""

import vesalius as vs


@vs.rule("equal")
def negative_values(w: "m", v: "m") -> "":
    """Σ_m w·(−v) = −Σ_m w·v"""
    return vs.contract(w, -v, over="m"), -vs.contract(w, v, over="m")


@vs.diagram
def repelled(q: "n c", k: "m c", v: "m e") -> "n e":
    """Attention to the negatives of the values."""
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.contract(weights, -v, over="m")


print(vs.check(negative_values))  # in every tier that applies
derivation = vs.derive(repelled.over("b h"), negative_values)  # batches and heads are tubes
print(derivation)
assert derivation.check()
