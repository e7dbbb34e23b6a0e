"""Mixers that look at no key: their weights are of two places, or of one token and a place.

Scores are weights as they are, and what is made of the mix may read the token.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import as_it_is
from vesalius.anatomy.edges.heads import HEADS
from vesalius.anatomy.edges.registry import at, edge
from vesalius.anatomy.mechanism import diagram_of
from vesalius.anatomy.transformer import norm_diagram
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare, Tie

# -- a weight for each pair of places -------------------------------------------------------------


def of_places(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """W[i, j], of one head"""
    table = vs.parameter("w", "n m:n", fan="m", scale=1e-3)
    return vs.expand(vs.gather(vs.gather(table, i, over="n"), j, over="m"), "h:1")


def normed_half(y: Wire) -> Wire:
    """norm(gelu(norm(y)·V + b))"""
    _, v = parts.two_halves(norm_diagram()(y))
    return vs.expand(v.rename(f="e"), "h:1")


def gated_by_half(o: Wire, x: Wire, i: Wire) -> Wire:
    """x + (u·(o + b[i]))·W_o + b, u = gelu(norm(x)·U + b)"""
    u, _ = parts.two_halves(norm_diagram()(x))
    moved = vs.sum(o, "h").rename(e="f") + vs.gather(vs.parameter("b", "n"), i, over="n")
    return x + vs.linear(parts.times(moved, u), "f", "d", name="wo", bias=True)


@edge("gmlp", at("multihead", h=1, e="f"))
def gmlp_and_multihead() -> Derivation:
    """A table of weights is one head's, as it is; half of the channels gate the rest."""
    one = {f"output.norm.{own}": f"norm.{own}" for own in ("gain", "shift")}
    return HEADS.siblings(
        "gmlp",
        "W read at n and m; one norm",
        Tie(one, "one norm for both"),
        sizes={"h": 1, "e": "f"},
        similarity=of_places,
        normaliser=as_it_is,
        values=normed_half,
        output=gated_by_half,
    )


# -- nothing learned ------------------------------------------------------------------------------


def two_waves(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """cos 2πij/|n| in one head, sin 2πij/|n| in the other: the spectrum of what is 1 at j, at i"""
    spectrum = vs.fourier(vs.to_float(vs.equal(vs.iota("n"), j)), over="n")
    cosine, sine = (vs.gather(wave, i, over="n") for wave in spectrum)
    return vs.concat(vs.expand(cosine, "h:1"), vs.expand(-sine, "h:1"), over="h")


def _spectra() -> Wire:
    """W_v: the real part of the spectrum of each channel in one head, the imaginary in the other"""
    unit = vs.to_float(vs.equal(vs.iota("d"), vs.iota("e:d")))
    return vs.concat(*(vs.expand(part, "h:1") for part in vs.fourier(unit, over="d")), over="h")


def _added() -> Wire:
    """W_o: the sum of both heads"""
    return vs.expand(vs.to_float(vs.equal(vs.iota("e:d"), vs.iota("d"))), "h:2")


@edge("fnet", at("multihead", h=2, e="d"))
def fnet_and_multihead() -> Derivation:
    """The real part of a spectrum of spectra is the sum of two heads, with fixed projections."""
    fixed = {
        "wv": diagram_of("spectra", {}, "d h:2 e:d", _spectra),
        "wo": diagram_of("added", {}, "h:2 e:d d", _added),
    }
    return HEADS.siblings(
        "fnet",
        "Re Σ exp(−iα)·(A + iB) = Σ cos α·A + Σ sin α·B",
        Prepare(fixed, "W_v = [Re F, Im F], W_o = [1, 1]"),
        sizes={"h": 2, "e": "d"},
        similarity=two_waves,
        normaliser=as_it_is,
    )
