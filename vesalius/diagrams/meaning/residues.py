"""Pairs of residues: the numbers of the finite-field algebra, and the arithmetic of one of them.

The primes. Q and P = 2Q + 1 are prime, and both are -1 modulo 8·3·5·7·11·13·17·19·23. By
quadratic reciprocity every prime up to 23 is then a square modulo both, and so is every size
up to 28. Q lies below 2³⁰ and P below 2³¹, so that products of residues fit in 64 bits.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.arrays import Array

Q = 892_371_479
P = 2 * Q + 1  # 1,784,742,959
ABSENT = -1  # as residue mod q: unknown, behind an exponential; as residue mod p: minus infinity
FIELD = np.dtype([("p", np.int64), ("q", np.int64)])
DIGIT = 6  # bits of an exponent that one table lookup serves
LARGEST = 1 << 15  # numerators and denominators of the constants whose roots are known

Residues = npt.NDArray[np.int64]


def pairs(p: Any, q: Any) -> Array:
    made = np.empty(np.broadcast_shapes(np.shape(p), np.shape(q)), dtype=FIELD)
    made["p"] = p
    made["q"] = q
    return made


def residues(entry: Any) -> tuple[int, int]:
    """The pair of an exact number. Floats are the binary fractions that they are."""
    if isinstance(entry, int):
        return entry % P, entry % Q
    if isinstance(entry, float) and not math.isfinite(entry):
        if entry == -math.inf:
            return ABSENT, ABSENT
        raise Outside(f"the finite field has no {entry}; minus infinity serves as a mask only")
    exact = Fraction(entry)
    if exact.denominator % P == 0 or exact.denominator % Q == 0:
        raise Outside(f"the denominator of {exact} is 0 in the finite field")
    top, bottom = exact.numerator, exact.denominator
    return top * pow(bottom, -1, P) % P, top * pow(bottom, -1, Q) % Q


def root(p: int, q: int) -> tuple[int, int] | None:
    """The square root of a small rational from its residues; None for any other number."""
    known = rational(p, q)
    if known is None:
        return None
    if known < 0:
        raise Outside(f"the square root of {known} is not real")
    roots = pow(p, (P + 1) // 4, P), pow(q, (Q + 1) // 4, Q)
    if roots[0] ** 2 % P != p or roots[1] ** 2 % Q != q:
        raise Outside(
            f"the square root of {known} is not in the finite field; it has those of numbers "
            "whose prime factors are at most 23, so of every size up to 28"
        )
    return roots


def rational(p: int, q: int) -> Fraction | None:
    """The fraction of small integers with these residues, if there is one.

    Rational reconstruction modulo p·q: there is at most one, and a number drawn at random is
    taken for one with probability below 2⁻²⁸.
    """
    if p < 0 or q < 0:
        return None
    modulus = P * Q
    # By the Chinese remainder theorem, as p = 2q + 1: q is -1/2 mod p, and p is 1 mod q.
    old, new = modulus, (p * -2 * Q + q * P) % modulus
    old_factor, factor = 0, 1
    while new > LARGEST:
        quotient = old // new
        old, new = new, old - quotient * new
        old_factor, factor = factor, old_factor - quotient * factor
    if not 0 < abs(factor) <= LARGEST or math.gcd(new, factor) != 1:
        return None
    return Fraction(new, factor)


def tables(omega: int) -> list[Residues]:
    """For each digit d of an exponent, ω^(j·64^d) for j from 0 to 63."""
    found, base = [], omega
    for _ in range(-(-Q.bit_length() // DIGIT)):
        row = [1]
        for _ in range((1 << DIGIT) - 1):
            row.append(row[-1] * base % P)
        found.append(np.array(row, dtype=np.int64))
        base = row[-1] * base % P
    return found


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection of 64 bits without visible structure."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E37_79B9_7F4A_7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        return x ^ (x >> np.uint64(31))
