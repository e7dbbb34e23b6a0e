"""Gates: what is made of the mixed values."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def gru(x: Wire, h: Wire) -> Wire:
    """(1 − z)·tanh(x·W + r·(h·U)) + z·h, gates r, z = σ(x·W + h·U), all with biases

    x has the axis e, the state h the axis d. Cho et al. 2014, arXiv 1406.1078.
    """

    def seen(gate: str) -> Wire:
        return vs.linear(x, "e", "d", name=f"w_{gate}", bias=True)

    def kept(gate: str) -> Wire:
        return vs.linear(h, "d", "d", name=f"u_{gate}", bias=True)

    reset = vs.sigmoid(seen("reset") + kept("reset"))
    update = vs.sigmoid(seen("update") + kept("update"))
    new = vs.tanh(seen("new") + reset * kept("new"))
    return (1 - update) * new + update * h
