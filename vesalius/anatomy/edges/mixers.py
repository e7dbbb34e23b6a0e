"""Mixers that look at no key: their weights are of two places, or of one token and a place.

Scores are weights as they are, and what is made of the mix may read the token.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.frames import as_it_is, row
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


def _taps(i: Wire, j: Wire) -> Wire:
    """Which tap of a window of w that is centred on i lies on j; outside, none does."""
    return j - i + vs.constant(vs.size("w") // 2)


def near(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """1 in a window of w that is centred on i, 0 elsewhere"""
    tap = _taps(i, j)
    return vs.expand(vs.to_float((tap >= 0) & (tap < vs.size("w"))), "h:1")


def less_token(o: Wire, x: Wire, i: Wire) -> Wire:
    """o − x"""
    return parts.less_itself(vs.sum(o, "h").rename(e="d"), x)


def _as_they_are() -> Wire:
    """W_v = 1"""
    return vs.expand(vs.to_float(vs.equal(vs.iota("d"), vs.iota("e:d"))), "h:1")


@edge("poolformer", at("multihead", h=1, e="d"))
def pooling_and_multihead() -> Derivation:
    """A mean of neighbours is one head, whose weights are 1 there, by their sum."""
    fixed = {"wv": diagram_of("as they are", {}, "d h:1 e:d", _as_they_are)}
    return HEADS.siblings(
        "poolformer",
        "the windows' sum by their count",
        Prepare(fixed, "W_v = 1"),
        sizes={"h": 1, "e": "d"},
        similarity=near,
        normaliser=row(parts.row_sum),
        output=less_token,
    )


# -- short convolutions ---------------------------------------------------------------------------


def _read(taps: Wire, i: Wire, j: Wire) -> Wire:
    """taps[w] at the tap that lies on j, 0 where none does"""
    tap = _taps(i, j)
    there = (tap >= 0) & (tap < vs.size("w"))
    return vs.where(there, vs.gather(taps, vs.where(there, tap, 0), over="w"), 0.0)


def light_taps(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """softmax_w(f[h,w]) at w = j − i + ⌊|w|/2⌋"""
    return _read(vs.softmax(vs.parameter("filter", "h w", fan="w"), "w"), i, j)


def dynamic_taps(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """softmax_w(Σ_hc glu(x)·W[h,c,h,w]) at w = j − i + ⌊|w|/2⌋"""
    return _read(parts.dynamic_filter(parts.glu(x)), i, j)


def gated_linear(y: Wire) -> Wire:
    """(y·W + b)·σ(y·V + b)"""
    return parts.glu(y).rename(c="e")


def joined_with_bias(o: Wire, x: Wire, i: Wire) -> Wire:
    """Σ_he o·W_o + b"""
    return parts.join_heads(o, bias=True)


@edge("light_convolution", at("multihead", e="c"))
def light_convolution_and_multihead() -> Derivation:
    """Weights of a distance, which are normalised already, for each head."""
    return HEADS.siblings(
        "light_convolution",
        "Σ_w f[w]·y[n + w − ⌊|w|/2⌋]",
        sizes={"e": "c"},
        similarity=light_taps,
        normaliser=as_it_is,
        values=gated_linear,
        output=joined_with_bias,
    )


@edge("dynamic_convolution", at("multihead", e="c"))
def dynamic_convolution_and_multihead() -> Derivation:
    """The same, where a token says what its weights are."""
    one = {f"values.{own}": own for own in ("w", "w_bias", "v", "v_bias")}
    return HEADS.siblings(
        "dynamic_convolution",
        "Σ_w f[n,w]·y[n + w − ⌊|w|/2⌋]",
        Tie(one, "the filter reads the values"),
        sizes={"e": "c"},
        similarity=dynamic_taps,
        normaliser=as_it_is,
        values=gated_linear,
        output=joined_with_bias,
    )
