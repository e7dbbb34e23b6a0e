"""Convolutions along the tokens: windows of a width, and filters as long as the sequence."""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of, index
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def windows(x: Wire, axis: str = "n", causal: bool = False) -> Wire:
    """x[n + w − ⌊|w|/2⌋], or if causal x[n + w − |w| + 1]; 0 outside"""
    width = vs.size("w")
    before = width - 1 if causal else width // 2
    return vs.window(vs.pad(x, axis, before, width - 1 - before), axis, f"{axis} w")


def convolution(x: Wire, causal: bool = False, channels: str = "") -> Wire:
    """Σ_w filter[w]·x[n + w − ⌊|w|/2⌋], or looking back alone; a filter for each of the channels"""
    taps = vs.parameter("filter", f"{axes_of(x, channels)} w".strip(), fan="w")
    return vs.contract(windows(x, "n", causal), taps, over="w")


def window_mean(x: Wire, axis: str = "n") -> Wire:
    """the mean of those of |w| neighbours that there are, of both sides"""
    ones = vs.expand(1.0, axes_of(x, axis))
    return vs.sum(windows(x, axis), "w") / vs.sum(windows(ones, axis), "w")


def light_filter(x: Wire) -> Wire:
    """softmax_w of weights, the same for the channels of a head"""
    taps = vs.parameter("filter", f"{axes_of(x, 'h')} w", fan="w + h*w", scale=6**0.5)
    return vs.softmax(taps, "w")


def dynamic_filter(x: Wire) -> Wire:
    """softmax_w of Σ_hc x·W, at each token another for the channels of a head"""
    return vs.softmax(vs.linear(x, "h c", f"{axes_of(x, 'h')} w", name="filter"), "w")


def filtered(x: Wire, taps: Wire, causal: bool = False) -> Wire:
    """Σ_w taps·x[n + w − ⌊|w|/2⌋], or looking back alone"""
    return vs.contract(windows(x, "n", causal), taps, over="w")


# -- filters as long as the sequence --------------------------------------------------------------


def long_convolution(x: Wire, taps: Wire) -> Wire:
    """Σ_{m ≤ n} taps[n − m]·x[m], by Fourier transforms of twice the length"""
    length = x.axes["n"]
    a, b = (vs.fourier(vs.pad(y, "n", 0, length), over="n") for y in (x, taps))
    product = (a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0])
    whole, _ = vs.fourier(*product, over="n", inverse=True)
    return vs.slice(whole, "n", 0, length=length)


def sine_network(x: Wire, frequency: float = 10.0) -> Wire:
    """sin(10·(sin(10·(z·W))·W)), z[n] = [t, cos 2πkt, sin 2πkt], t = n / |p|: of positions alone"""
    return sine_network_at(index(x, "n") / vs.size("p"), frequency)


def sine_network_at(time: Wire, frequency: float = 10.0) -> Wire:
    """sin(10·(sin(10·(z·W))·W)), z = [t, cos 2πkt, sin 2πkt]"""
    angle = time * vs.iota("k") * (2 * math.pi)
    basis = vs.concat(vs.expand(time, "k:1"), vs.cos(angle), vs.sin(angle), over="k", into="u")
    hidden = vs.sin(frequency * vs.linear(basis, "u", "a", name="waves", bias=True))
    return vs.sin(frequency * vs.linear(hidden, "a", "a", name="inner", bias=True))


def implicit_filter(x: Wire, hidden: Wire, shift: float = 0.05) -> Wire:
    """(Σ_a waves·W)·(exp(−αt) + 0.05), α from log 100 / 1.5 to log 100 / 0.3 over the channels"""
    return implicit_filter_at(x, hidden, index(x, "n") / vs.size("p"), shift)


def implicit_filter_at(
    x: Wire, hidden: Wire, time: Wire, shift: float = 0.05, name: str = "filter"
) -> Wire:
    """(Σ_a waves·W)·(exp(−αt) + 0.05) at a time t, for each channel of x"""
    slow, fast = math.log(100) / 1.5, math.log(100) / 0.3
    rate = slow + (fast - slow) * (index(x, "d") + 1) / x.axes["d"]
    taps = vs.linear(hidden, "a", axes_of(x, "d"), name=name)
    return taps * (vs.exp(-1 * rate * time) + shift)
