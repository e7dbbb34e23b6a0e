"""Convolutions along the tokens: windows of a width, and filters as long as the sequence."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def windows(x: Wire, axis: str = "n", causal: bool = False) -> Wire:
    """x[n + w − ⌊|w|/2⌋], or if causal x[n + w − |w| + 1]; 0 outside"""
    width = vs.size("w")
    before = width - 1 if causal else width // 2
    padded = vs.pad(x, axis, before, width - 1 - before)
    return vs.window(padded, axis, f"{axis} w")


def convolution(x: Wire, axis: str = "n", causal: bool = False) -> Wire:
    """Σ_w filter[w]·x[n + w − ⌊|w|/2⌋], or looking back alone if causal"""
    return vs.contract(windows(x, axis, causal), vs.parameter("filter", "w"), over="w")
