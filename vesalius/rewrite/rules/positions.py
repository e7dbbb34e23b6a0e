"""Positions: slopes, rotations, Toeplitz matrices, and what a causal mask makes dead."""

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")

# -- slopes ---------------------------------------------------------------------------------------


@rule("equal")
def slope_of_distance_is_a_bias_of_keys(s: "n m", slope: "") -> "n m":
    """softmax_m(s + w·(m − n)) = softmax_m(s + w·m): the part of the query is dead

    One-sided distances only; |m − n| is no sum of two parts (ALiBi, arXiv 2108.12409, is causal).
    """
    n, m = vs.to_float(vs.iota("n")), vs.to_float(vs.iota("m"))
    return vs.softmax(s + slope * (m - n), over="m"), vs.softmax(s + slope * m, over="m")


@worked(slope_of_distance_is_a_bias_of_keys)
def scores_with_linear_biases(q: "h n c", k: "h m c", slope: "h") -> "h n m":
    gap = vs.to_float(vs.iota("m")) - vs.to_float(vs.iota("n"))
    return vs.softmax(vs.contract(q, k, over="c") + slope * gap, over="m")


@rule("equal")
def causal_distance_has_no_sign(slope: "") -> "n m":
    """w·|n − m| where m ≤ n, 0 elsewhere = w·(n − m) where m ≤ n, 0 elsewhere"""
    n, m = vs.iota("n"), vs.iota("m")
    gap = n - m
    seen = m <= n
    return (
        vs.where(seen, slope * vs.to_float(vs.abs(gap)), 0.0),
        vs.where(seen, slope * vs.to_float(gap), 0.0),
    )


@worked(causal_distance_has_no_sign)
def symmetric_slopes_under_a_mask(slope: "h") -> "h n m":
    n, m = vs.iota("n"), vs.iota("m")
    return vs.where(m <= n, slope * vs.to_float(vs.abs(n - m)), 0.0)


# -- rotations ------------------------------------------------------------------------------------


def rotated(x: Wire, y: Wire, cos: Wire, sin: Wire) -> tuple[Wire, Wire]:
    """The points (x, y) turned by an angle, given its cosine and its sine."""
    return x * cos - y * sin, x * sin + y * cos


def dot(pairs: tuple[Wire, Wire], others: tuple[Wire, Wire]) -> Wire:
    """The dot product of two lists of points."""
    return vs.contract(pairs[0], others[0], over="c") + vs.contract(pairs[1], others[1], over="c")


@rule("equal")
def rotations_meet_in_their_difference(
    x: "c", y: "c", u: "c", v: "c", ca: "c", sa: "c", cb: "c", sb: "c"
) -> "":
    """(R_a q)·(R_b k) = q·(R_(b − a) k): a rotary score depends on the distance alone

    q = (x, y) and k = (u, v) in pairs of channels, each turned by its angle (RoFormer, arXiv
    2104.09864); cos(b − a) = cos a·cos b + sin a·sin b, sin(b − a) = cos a·sin b − sin a·cos b.
    """
    cos, sin = ca * cb + sa * sb, ca * sb - sa * cb
    return (
        dot(rotated(x, y, ca, sa), rotated(u, v, cb, sb)),
        dot((x, y), rotated(u, v, cos, sin)),
    )


@worked(rotations_meet_in_their_difference)
def rotary_scores(x: "n c", y: "n c", u: "m c", v: "m c", frequency: "c") -> "n m":
    a, b = (vs.to_float(vs.iota(axis)) * frequency for axis in ("n", "m"))
    return dot(rotated(x, y, vs.cos(a), vs.sin(a)), rotated(u, v, vs.cos(b), vs.sin(b)))


@rule("equal")
def length_of_rotated(x: "c", y: "c", cos: "c", sin: "c") -> "":
    """‖R q‖² = Σ_c (cos² + sin²)·(x² + y²): normalising commutes with rotating"""
    p, q = rotated(x, y, cos, sin)
    return (
        vs.contract(p, p, over="c") + vs.contract(q, q, over="c"),
        vs.contract(cos * cos + sin * sin, x * x + y * y, over="c"),
    )


@worked(length_of_rotated)
def lengths_of_rotated_keys(x: "m c", y: "m c", frequency: "c") -> "m":
    angle = vs.to_float(vs.iota("m")) * frequency
    p, q = rotated(x, y, vs.cos(angle), vs.sin(angle))
    return vs.contract(p, p, over="c") + vs.contract(q, q, over="c")


# -- Toeplitz matrices ----------------------------------------------------------------------------


@rule("equal")
def decay_by_distance_in_two_factors(g: "", x: "", y: "") -> "":
    """exp(g·(x − y)) = exp(g·x)·exp(−g·y)

    A decay γ^(n − m) goes into queries and keys. One factor overflows over long stretches: use
    it inside short chunks.
    """
    return vs.exp(g * (x - y)), vs.exp(g * x) * vs.exp(-(g * y))


@worked(decay_by_distance_in_two_factors)
def decayed_scores(q: "n c", k: "m c", rate: "h") -> "h n m":
    n, m = vs.to_float(vs.iota("n")), vs.to_float(vs.iota("m"))
    return vs.contract(q, k, over="c") * vs.exp(rate * (n - m))


@rule("equal")
def causal_convolution_by_spectra(x: "n", h: "n") -> "n":
    """Σ_{m ≤ n} h[n − m]·x[m] = the transform back of the product of spectra, over 2n positions

    Over n positions the convolution would be circular and leak the future.
    """
    n, m = vs.iota("n"), vs.iota("m:n")
    read = vs.gather(h, vs.remainder(n - m, vs.size("n")), over="n")
    direct = vs.contract(vs.where(m <= n, read, 0.0), x.rename(n="m"), over="m")
    (a, b), (c, d) = (vs.fourier(vs.pad(y, "n", 0, "n", into="t"), over="t") for y in (x, h))
    real, imaginary = a * c - b * d, a * d + b * c
    back, _ = vs.fourier(real, imaginary, over="t", inverse=True)
    return direct, vs.slice(back, "t", 0, length="n", into="n")


@worked(causal_convolution_by_spectra)
def long_convolution(x: "n d", filters: "n d") -> "n d":
    n, m = vs.iota("n"), vs.iota("m:n")
    read = vs.gather(filters, vs.remainder(n - m, vs.size("n")), over="n")
    return vs.contract(vs.where(m <= n, read, 0.0), x.rename(n="m"), over="m")
