"""Pairs of residues: the numbers of the finite-field algebra, and the arithmetic of one of them.

The primes. Q and P = 2Q + 1 are prime, and both are -1 modulo 8·3·5·7·11·13·17·19·23. By
quadratic reciprocity every prime up to 23 is then a square modulo both, and so is every size
up to 28. Q lies below 2³⁰ and P below 2³¹, so that products of residues fit in 64 bits.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NoReturn

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
    """An array of pairs from an array of residues mod p, and one of residues mod q."""
    made = np.empty(np.shape(p), dtype=FIELD)
    made["p"] = p
    made["q"] = q
    return made


def residues(entry: Any) -> tuple[int, int]:
    """The pair of an exact number. Floats are the binary fractions that they are."""
    if isinstance(entry, Residue):
        pair: tuple[int, int] = entry.value.tolist()
        return pair
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
    digits = -(-Q.bit_length() // DIGIT)
    bases = [pow(omega, 1 << DIGIT * d, P) for d in range(digits)]
    found = np.ones((digits, 1 << DIGIT), dtype=np.int64)
    for bit in range(DIGIT):  # twice as many powers each time
        half = 1 << bit
        steps = np.array([[pow(base, half, P)] for base in bases])
        found[:, half : 2 * half] = found[:, :half] * steps % P
    return list(found)


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64: a bijection of 64 bits without visible structure."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E37_79B9_7F4A_7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        return x ^ (x >> np.uint64(31))


def spread(state: npt.NDArray[np.uint64]) -> Array:
    """Pairs of residues, spread evenly, that depend on 64 bits each."""
    p, q = mix(state) % np.uint64(P), mix(~state) % np.uint64(Q)
    return pairs(p.astype(np.int64), q.astype(np.int64))


# -- scalars --------------------------------------------------------------------------------------


class Residue:
    """One number of the field, with the operators of a number and without order.

    What a user's exact form gets in place of a Fraction. `==` is refused too: whether two
    residues are equal is for the end of a trial to say.
    """

    __slots__ = ("algebra", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, algebra: Any) -> None:
        self.value: Array = np.asarray(value, dtype=FIELD)
        self.algebra = algebra

    def _other(self, other: Any) -> Array:
        if isinstance(other, Residue):
            return other.value
        if isinstance(other, (int, float, Fraction)):
            return np.array(residues(other), dtype=FIELD)
        raise TypeError(f"a residue does not combine with {other!r}")

    def _made(self, value: Any) -> Residue:
        return Residue(value, self.algebra)

    def __add__(self, other: Any) -> Residue:
        return self._made(self.algebra.plus(self.value, self._other(other)))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Residue:
        return self._made(self.algebra.times(self.value, self._other(other)))

    __rmul__ = __mul__

    def __neg__(self) -> Residue:
        return self * -1

    def __pos__(self) -> Residue:
        return self

    def __sub__(self, other: Any) -> Residue:
        return self + self._made(self._other(other)) * -1

    def __rsub__(self, other: Any) -> Residue:
        return self._made(self._other(other)) - self

    def __truediv__(self, other: Any) -> Residue:
        return self * self._made(self.algebra.inverse(self._other(other)))

    def __rtruediv__(self, other: Any) -> Residue:
        return self._made(self._other(other)) / self

    def __pow__(self, exponent: Any) -> Residue:
        return self._made(self.algebra.power(self.value, exponent))

    def exp(self) -> Residue:
        """The exponential; numpy's `exp` calls it on arrays of objects."""
        return self._made(self.algebra.exp(self.value))

    def _refuse(self, other: Any = None) -> NoReturn:
        no_order("a comparison")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __abs__ = __bool__ = __float__ = __int__ = _refuse

    def __repr__(self) -> str:
        p, q = self.value.tolist()
        return f"Residue({p} mod p, {'absent' if q < 0 else f'{q} mod q'})"


def refuse_infinity(what: str, *inputs: Array) -> None:
    """Raise `Outside` where an entry is minus infinity."""
    if any((x["p"] < 0).any() for x in inputs):
        raise Outside(f"{what} of minus infinity: it serves sums and exponentials as a mask only")


def no_order(what: str) -> NoReturn:
    """Raise `Outside`: an operation needs an order."""
    raise Outside(f"{what}: a finite field has no order")
