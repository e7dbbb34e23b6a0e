"""How many exponentials a result is made of: what the error bound of a field trial needs.

Every entry is a quotient of sums of terms c·ω^e, where c is a polynomial in the inputs and e an
exponent. `TermAlgebra` evaluates a diagram in the finite field and carries along, for each
entry, the exponents in its numerator, the factors of its denominator, and its degree; so that
`terms` can count the exponents that the difference of two results has over a common
denominator. Exponents are told apart by their value at the point of evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from itertools import count
from typing import Any

import numpy as np

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.meaning.arrays import Array, ArrayAlgebra, Real, digest, elementwise, exactly
from vesalius.diagrams.meaning.residues import P, Q, residues

MANY = 64  # beyond so many exponents a bound says nothing
Exponents = frozenset[int]
_ONE: Exponents = frozenset([0])
_KEYS = count(1)


class Entry:
    """One entry: its residues, the exponents and the degree of its numerator, and the factors
    of its denominator with multiplicity. `exponents` is None for many.

    A factor is known by the entry whose reciprocal it is: equal values are not enough, as
    whether they are equal is what is being tested.
    """

    __slots__ = ("degree", "exponents", "factors", "key", "p", "q")

    def __init__(
        self,
        p: int,
        q: int,
        exponents: Exponents | None = _ONE,
        degree: int = 0,
        factors: dict[int, tuple[int, Exponents | None, int]] | None = None,
    ) -> None:
        self.p = p
        self.q = q
        self.exponents = exponents
        self.degree = degree
        self.factors = factors or {}  # key -> multiplicity, exponents, degree
        self.key = 0

    def __add__(self, other: Entry) -> Entry:
        common = dict(self.factors)
        for key, factor in other.factors.items():
            if key not in common or common[key][0] < factor[0]:
                common[key] = factor
        one, first = self._over(common)
        two, second = other._over(common)
        return Entry(
            (self.p + other.p) % P,
            (self.q + other.q) % Q,
            union(one, two),
            max(first, second),
            common,
        )

    def __mul__(self, other: Entry) -> Entry:
        factors = dict(self.factors)
        for key, (times, exponents, degree) in other.factors.items():
            known = factors[key][0] if key in factors else 0
            factors[key] = (known + times, exponents, degree)
        return Entry(
            self.p * other.p % P,
            self.q * other.q % Q,
            sums(self.exponents, other.exponents),
            self.degree + other.degree,
            factors,
        )

    def _over(
        self, common: dict[int, tuple[int, Exponents | None, int]]
    ) -> tuple[Exponents | None, int]:
        """The numerator over a larger denominator: its exponents and its degree."""
        exponents, degree = self.exponents, self.degree
        for key, (times, more, further) in common.items():
            have = self.factors[key][0] if key in self.factors else 0
            for _ in range(times - have):
                exponents, degree = sums(exponents, more), degree + further
        return exponents, degree

    def inverse(self) -> Entry:
        """The reciprocal."""
        above, degree = Entry(0, 0)._over(self.factors)
        self.key = self.key or next(_KEYS)
        below = {self.key: (1, self.exponents, self.degree)}
        if self.exponents == _ONE and self.degree == 0:
            below = {}  # a constant
        return Entry(pow(self.p or 1, -1, P), pow(self.q or 1, -1, Q), above, degree, below)


def union(one: Exponents | None, two: Exponents | None) -> Exponents | None:
    """The exponents of a sum."""
    if one is None or two is None:
        return None
    both = one | two
    return both if len(both) <= MANY else None


def sums(one: Exponents | None, two: Exponents | None) -> Exponents | None:
    """The exponents of a product."""
    if one is None or two is None or len(one) * len(two) > MANY * MANY:
        return None
    both = frozenset((a + b) % Q for a in one for b in two)
    return both if len(both) <= MANY else None


class TermAlgebra(ArrayAlgebra):
    """Entries that know how many exponentials they are made of."""

    name = "terms"

    def floats(self, x: Array) -> Array:
        return elementwise(_entry, x)

    def array(self, value: Any, dtype: str) -> Array:
        return self.floats(value) if dtype == "float" else super().array(value, dtype)

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        found = np.empty(tuple(shape), dtype=object)
        for place in np.ndindex(found.shape):
            drawn = digest(self.seed if seed is None else seed, name, place)
            found[place] = Entry(drawn % P, drawn // P % Q, degree=1)
        return found

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        if not x.size:
            shape = [1 if d in dims else length for d, length in enumerate(x.shape)]
            return self.floats(np.zeros(shape, dtype=int).astype(object))
        return super().total(x, dims)

    def exp(self, x: Array) -> Array:
        """A new exponent. What the exponent is made of counts as an argument does."""
        return elementwise(self._exp, x)

    def _exp(self, x: Entry) -> Entry:
        return Entry(pow(4, x.q, P), digest("exp", x.p, x.q) % Q, frozenset([x.q]), x.degree)

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        e = self.exp(self.floats(x))
        return self.times(e, elementwise(Entry.inverse, self.total(e, dims)))

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        """An unspecified function of all entries; of integers, which are known, what it is."""
        if not any(isinstance(entry, Entry) for entry in x.flat):
            return super().extreme(how, x, dim)
        rows = np.moveaxis(x, dim, -1)
        found = np.empty(rows.shape[:-1], dtype=object)
        for place in np.ndindex(found.shape):
            found[place] = _unknown(how, list(rows[place]))
        return found

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        if not any(isinstance(entry, Entry) for x in inputs for entry in x.flat):
            result = exactly(function, numbers, inputs)
            if gives == "bool":
                return result.astype(bool)
            return self.floats(result) if gives == "float" else result
        inputs = [self.embed(x, "bool") if x.dtype == bool else self.floats(x) for x in inputs]
        name = function.name
        if name == "exp":
            return self.exp(inputs[0])
        if name == "reciprocal":
            return elementwise(Entry.inverse, inputs[0])
        if name == "negate":
            return elementwise(lambda x: x * _entry(-1), inputs[0])
        if name in ("tanh", "sigmoid", "silu"):
            return elementwise(lambda x: self._sigmoid(name, x), inputs[0])
        if name == "power" and Fraction(numbers[0]).denominator == 1:
            return elementwise(lambda x: _power(x, int(numbers[0])), inputs[0])
        if gives == "bool":
            return elementwise(lambda *xs: _unknown(name, list(xs)).p % 2 == 1, *inputs).astype(
                bool
            )
        return elementwise(lambda *xs: _unknown((name, numbers), list(xs)), *inputs)

    def _sigmoid(self, name: str, x: Entry) -> Entry:
        e = self._exp(x)
        found = e * (e + _entry(1)).inverse()
        return x * found if name == "silu" else found

    def fourier(
        self, real: Array, imaginary: Array, dim: int, size: int, inverse: bool
    ) -> tuple[Array, Array]:
        found = self.plus(self.floats(real), self.floats(imaginary))
        spread = self.total(found, [dim]) if size else found
        return np.broadcast_to(spread, found.shape), np.broadcast_to(spread, found.shape)

    def topk(self, x: Array, k: int, largest: bool) -> tuple[Array, Array]:
        places = np.broadcast_to(np.arange(k).astype(object), (*x.shape[:-1], k))
        return x[..., :k], places


def _entry(x: Any) -> Entry:
    if isinstance(x, Entry):
        return x
    if isinstance(x, float) and x in (float("inf"), -float("inf")):
        return Entry(digest(x) % P, digest(x) % Q)
    return Entry(*residues(x))


def _power(x: Entry, exponent: int) -> Entry:
    base = x if exponent >= 0 else x.inverse()
    return reduce(Entry.__mul__, [base] * min(abs(exponent), 64), _entry(1))


def _unknown(name: Any, arguments: Sequence[Entry]) -> Entry:
    """The value of an unspecified function: it is as hard to tell apart as its arguments."""
    drawn = digest(name, *((x.p, x.q) for x in arguments))
    exponents: Exponents | None = _ONE
    degree = 1
    for x in arguments:
        above, more = x._over(x.factors)
        below, less = Entry(0, 0)._over(x.factors)
        exponents = union(exponents, union(above, below))
        degree = max(degree, more, less)
    return Entry(drawn % P, drawn // P % Q, exponents, degree)


def terms(left: Sequence[Array], right: Sequence[Array]) -> tuple[int | None, int]:
    """The exponents and the degree of the difference of results; (None, …) for many.

    0 exponents say that no exponential takes part. The worst entry counts.
    """
    most, degree = 0, 1
    for x, y in zip(left, right, strict=True):
        if bool in (x.dtype, y.dtype):
            continue
        for a, b in zip(x.flat, y.flat, strict=True):
            one, other = _entry(a), _entry(b)
            difference = one + other
            degree = max(degree, difference.degree)
            exponents = difference.exponents
            if exponents is None:
                return None, degree
            if exponents != _ONE:
                most = max(most, len(exponents))
    return most, degree
