"""Matrices between their nearly inverse: what an iteration for the pseudo-inverse leaves."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked

STEPS = 6


def iterated_inverse(a: Wire, iterations: int = STEPS) -> Wire:
    """Z ← ¼·Z·(13 − A·Z·(15 − A·Z·(7 − A·Z))), from Aᵀ / (max_i Σ_j |A|·max_j Σ_i |A|)

    Rows are i, columns j. Razavi et al. 2014, as in Nyströmformer, arXiv 2102.03902.
    """
    one = vs.to_float(vs.equal(*(vs.iota(f"{axis}:{a.axes[axis]}") for axis in "ij")))
    size = vs.abs(a)
    largest = vs.max(vs.sum(size, "j"), "i") * vs.max(vs.sum(size, "i"), "j")
    z = a.rename(i="j", j="i") / largest
    for _ in range(iterations):
        az = _times(a, z)
        inner = 15 * one - _times(az, 7 * one - az)
        z = _times(z, 3.25 * one - 0.25 * _times(az, inner))
    return z


def _times(x: Wire, y: Wire) -> Wire:
    """The product of square matrices with rows `i` and columns `j`."""
    return vs.contract(x.rename(j="k"), y.rename(i="k"), over="k")


@diagram
def nearly_inverse(a: "i j:i") -> "i j:i":
    """Six steps towards the pseudo-inverse."""
    return iterated_inverse(a)


def between_itself(a: Wire) -> Wire:
    """A·Z·A, Z the nearly inverse of A"""
    z = nearly_inverse.boxed(a).rename(i="p", j="q")
    return vs.contract(a.rename(j="p"), z, a.rename(i="q"), over="p q")


@rule("approximates")
def matrix_between_its_inverse(a: "i j:i") -> "i j:i":
    """A·Z·A ≈ A, Z the pseudo-inverse of A after six steps of an iteration

    A step takes the part e of A·Z that is missing to (3·e³ + e⁴)/4. So what is missing of A, in
    the spectral norm, is 0.0126·√(max_i Σ_j |A|·max_j Σ_i |A|) at most; a bound that does not
    grow with A there is not. A is not 0.
    """
    return between_itself(a), a


@worked(matrix_between_its_inverse)
def weights_between_their_inverse(s: "h i j:i") -> "h i j:i":
    return between_itself(vs.softmax(s, "j"))
