"""Weights that no pair of tokens is asked for: of one token, or of positions alone."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import written
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.wire import Wire


def dense_scores(x: Wire) -> Wire:
    """relu(Σ_d x·W + b)·W + b: each token says how much it looks at each place"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))
    return _outputs(hidden, "scores", m=x.axes["n"])


def random_scores(x: Wire) -> Wire:
    """R[n,m], which is learned"""
    places = written(n=x.axes["n"], m=x.axes["n"])
    return vs.parameter("scores", f"h {places}", fan="m")


def factorised_scores(x: Wire) -> Wire:
    """Σ_r R[n,r]·R[m,r]: random scores of rank r"""
    n, m = written(n=x.axes["n"]), written(m=x.axes["n"])
    left = vs.parameter("left", f"h {n} r", fan="r")
    return vs.contract(left, vs.parameter("right", f"h {m} r", fan="r"), over="r")


def factorised_dense_scores(x: Wire) -> Wire:
    """a[m mod |k|]·b[⌊m / |k|⌋]: dense scores that are products of two short rows"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))
    few = vs.size("k")
    short = _outputs(hidden, "short", k=few)
    coarse = _outputs(hidden, "coarse", s=x.axes["n"] / few)
    return vs.merge(coarse * short, "s k", "m")


def _outputs(hidden: Wire, name: str, **axis: Size) -> Wire:
    """A linear map of the hidden units of each head, of its own."""
    new = written(**axis)
    weight = vs.parameter(name, f"h a {new}", fan="a")
    return vs.contract(hidden, weight, over="a") + vs.parameter(f"{name}_bias", f"h {new}")


def token_weights(x: Wire) -> Wire:
    """W[n,m], which is learned, and starts near 0"""
    return vs.parameter("w", written(n=x.axes["n"], m=x.axes["n"]), fan="n m", scale=1e-3)


def real_spectrum(x: Wire) -> Wire:
    """Re Σ_nd exp(−2πi·(k·n / |n| + l·d / |d|))·x: what is at the frequencies k and l"""
    return vs.fourier(*vs.fourier(x, over="d"), over="n")[0]
