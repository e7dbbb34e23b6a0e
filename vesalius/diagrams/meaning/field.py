"""The finite-field pair: exact arithmetic with one exponential on a path.

A real number is represented by its residues modulo two primes, p = 2q + 1 and q. Sums,
products and quotients are those of residues. The exponential takes x mod q to ω^x mod p, where
ω has order q modulo p; so exp(a)·exp(b) = exp(a + b) holds exactly, and the result has no
residue mod q: a second exponential on a path is refused. (Wu and others, *Mirage: A
Multi-Level Superoptimizer for Tensor Programs*, arXiv 2405.05751, section 5.)

Two diagrams that compute the same function give the same residues. Two that do not differ
with probability near 1 at arbitrary inputs: see `acceptance` and `trials`. (A constant that is
a multiple of p, or of q in an exponent, is taken for 0; none is by accident.)

Which numbers have exact residues:

- integers, Fractions and Python floats (as the binary fractions that they are);
- square roots of *constants*. Both primes are -1 modulo 8·3·5·7·11·13·17·19·23, so each prime
  up to 23 is a square in both, and so is every size up to 28. The root taken is the one that is
  itself a square, x^((p+1)/4); it is multiplicative, so √4 = 2, √6 = √2·√3 and √d·√d = d hold
  together. The root of any other number is unspecified (below): were it a root of residues,
  √(x²) = x would pass by chance, which is false for negative x;
- minus infinity, which survives sums, and whose exponential is 0.

*Unspecified* functions (log, erf, gelu, a user's own) are keyed hashes of the residue mod p,
different in each run: equal arguments give equal results, and nothing else is assumed. What is
equal then is equal for every such function; what differs need not differ for the one meant.
`FieldAlgebra.unspecified` names those that a run has used. tanh, sigmoid and silu are rational
in the exponential, so their residue mod p is exact; their residue mod q, which only a further
exponential sees, is unspecified but odd as tanh is.

There is no order: maxima, comparisons of floats, relu and the like are outside. A maximum that
only stabilises an exponential may be replaced by any number, a fresh input for one, before a
diagram comes here. Integers and truth values are ordinary, with their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.arrays import (
    Array,
    ArrayAlgebra,
    Real,
    boxed,
    digest,
    elementwise,
    exact_number,
    exactly,
)
from vesalius.diagrams.meaning.residues import (
    ABSENT,
    DIGIT,
    FIELD,
    P,
    Q,
    Residue,
    Residues,
    mix,
    no_order,
    pairs,
    refuse_infinity,
    residues,
    root,
    spread,
    tables,
)

_ORDERED = {"abs", "sign", "relu", "floor", "leaky_relu", "maximum", "minimum"}


class ZeroDenominator(Outside):
    """A denominator is 0 modulo a prime: draw again, with another seed."""


def acceptance(terms: int, degree: int) -> float:
    """The probability, at most, with which one trial accepts a false identity.

    `terms` counts the exponential terms over the common denominator (it grows with the size of
    softmax's axis), `degree` is the total degree of the polynomials. Without exponentials
    (`terms` 0) this is the bound of Schwartz and Zippel, else theorem 2 of arXiv 2405.05751.
    """
    if terms == 0:
        return min(1.0, degree / P)
    return min(1.0, 8 * degree * terms**4 / Q + math.exp(-math.log(Q) / terms**2))


def trials(terms: int, error: float) -> int:
    """How many independent trials bring the probability of a false acceptance down to `error`.

    Theorem 3 of arXiv 2405.05751; `terms` as in `acceptance`.
    """
    return max(1, math.ceil(terms**2 / math.log(Q) * math.log(1 / error)))


class FieldAlgebra(ArrayAlgebra):
    """Floats are arrays of pairs of residues (`FIELD`). Each run draws ω, the hashes and the
    parameters without a value from its seed.
    """

    name = "field"
    dtype = FIELD

    def begin(self, sizes: Mapping[str, int], values: Mapping[str, Any], seed: int) -> None:
        super().begin(sizes, values, seed)
        self.unspecified: set[str] = set()
        self._powers: list[Residues] | None = None

    # -- numbers ------------------------------------------------------------------------------

    def floats(self, x: Array) -> Array:
        if x.dtype == FIELD:
            return x
        entries = [residues(entry) for entry in x.flat]
        return np.array(entries, dtype=FIELD).reshape(x.shape)

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        """Pairs drawn uniformly, residues mod p and mod q apart."""
        key = _word(self.seed if seed is None else seed, "draw", name)
        return spread(np.arange(math.prod(shape), dtype=np.uint64) + key).reshape(tuple(shape))

    def same(self, x: Array, y: Array) -> bool:
        """Equal modulo p everywhere, and modulo q wherever both know that residue."""
        if FIELD not in (x.dtype, y.dtype):
            return super().same(x, y)
        if x.shape != y.shape or bool in (x.dtype, y.dtype):
            return False
        x, y = self.floats(x), self.floats(y)
        known = (x["q"] >= 0) & (y["q"] >= 0)
        apart = (x["p"] != y["p"]) | known & (x["q"] != y["q"])
        return not apart.any()

    # -- arithmetic ---------------------------------------------------------------------------

    def plus(self, x: Array, y: Array) -> Array:
        if x.dtype != FIELD:
            return super().plus(x, y)
        p, q = (x["p"] + y["p"]) % P, (x["q"] + y["q"]) % Q
        absent = (x["q"] < 0) | (y["q"] < 0)
        if absent.any():
            p = np.where((x["p"] < 0) | (y["p"] < 0), ABSENT, p)
            q = np.where(absent, ABSENT, q)
        return pairs(p, q)

    def times(self, x: Array, y: Array) -> Array:
        if x.dtype != FIELD:
            return super().times(x, y)
        p, q = x["p"] * y["p"] % P, x["q"] * y["q"] % Q
        absent = (x["q"] < 0) | (y["q"] < 0)
        if absent.any():
            refuse_infinity("a product", x, y)
            q = np.where(absent, ABSENT, q)
        return pairs(p, q)

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        if x.dtype != FIELD:
            return super().total(x, dims)
        axis = tuple(dims)
        p = x["p"].sum(axis=axis, keepdims=True) % P  # residues are reduced: no sum overflows
        q = x["q"].sum(axis=axis, keepdims=True) % Q
        absent = x["q"] < 0
        if absent.any():
            p = np.where((x["p"] < 0).any(axis=axis, keepdims=True), ABSENT, p)
            q = np.where(absent.any(axis=axis, keepdims=True), ABSENT, q)
        return pairs(p, q)

    def inverse(self, x: Array) -> Array:
        """1/x. Raises `ZeroDenominator` where a known residue is 0."""
        refuse_infinity("a quotient", x)
        if (x["p"] == 0).any() or (x["q"] == 0).any():
            raise ZeroDenominator(
                "a denominator is 0 in the finite field: by chance, then draw again with another "
                "seed, or because it is 0"
            )
        p = [pow(entry, -1, P) for entry in x["p"].ravel().tolist()]
        q = [pow(entry, -1, Q) if entry > 0 else ABSENT for entry in x["q"].ravel().tolist()]
        return pairs(np.array(p, np.int64), np.array(q, np.int64)).reshape(x.shape)

    def exp(self, x: Array) -> Array:
        """ω^x. Raises `Outside` where another exponential stands on the path."""
        bottom = x["p"] < 0
        if ((x["q"] < 0) & ~bottom).any():
            raise Outside(
                "a second exponential on one path: the finite field contains at most one between "
                "an input and an output"
            )
        p = self._exponential(np.where(bottom, 0, x["q"]))
        # exp(-inf) is exactly 0, whose residue mod q is known.
        return pairs(np.where(bottom, 0, p), np.where(bottom, 0, ABSENT))

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        x, axis = self.floats(x), tuple(dims)
        if any(x.shape[d] == 0 for d in axis):
            return x
        e = self.exp(x)
        masked = (x["p"] < 0).all(axis=axis, keepdims=True)
        total = self.total(e, axis)
        if masked.any():  # zeros over anything but 0 are zeros
            total = np.where(masked, self.floats(boxed(1)), total)
        return self.times(e, self.inverse(total))

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        if x.dtype == FIELD:
            no_order(how)
        return super().extreme(how, x, dim)

    def topk(self, x: Array, k: int, largest: bool) -> tuple[Array, Array]:
        if x.dtype == FIELD:
            no_order("topk")
        return super().topk(x, k, largest)

    # -- functions ----------------------------------------------------------------------------

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        name = function.name
        if not any(x.dtype == FIELD for x in inputs):
            result = exactly(function, numbers, inputs)
            if gives == "bool":
                return result.astype(bool)
            return self.floats(result) if gives == "float" else result
        if name in _ORDERED or gives != "float":
            no_order(name)
        inputs = [self.embed(x, "bool") if x.dtype == bool else self.floats(x) for x in inputs]
        if name in _KNOWN:
            found: Array = _KNOWN[name](self, *inputs, *numbers)
            return found
        if function.field == "rational" and function.exact is not None:
            exact, fixed = function.exact, [exact_number(x) for x in numbers]

            def form(*arrays: Array) -> Array:
                return elementwise(lambda *entries: exact(*entries, *fixed), *arrays)

            return self.floats(self.call(form, inputs))
        return self.hashed(name, numbers, inputs)

    def hashed(self, name: str, numbers: Sequence[Real], inputs: Sequence[Array]) -> Array:
        """An unspecified function: a keyed hash of the residues mod p, all that a number is
        known by on either side of an exponential."""
        refuse_infinity(name, *inputs)
        self.unspecified.add(name)
        state = np.array(_word(self.seed, "function", name, *map(exact_number, numbers)))
        for x in inputs:
            state = mix(state ^ x["p"].astype(np.uint64))
        return spread(state)

    def negate(self, x: Array) -> Array:
        """-x."""
        return self.times(x, self.floats(boxed(-1)))

    def power(self, x: Array, exponent: Real) -> Array:
        """x to a constant: exact for an integer; for half of one, as far as the root is."""
        exact = exact_number(exponent)
        if not isinstance(exact, Fraction) or exact.denominator > 2:
            return self.hashed("power", (exact,), [x])
        if exact.denominator == 2:
            x, exact = self.sqrt(x), 2 * exact
        refuse_infinity("power", x)
        if exact < 0:
            x, exact = self.inverse(x), -exact
        result = np.broadcast_to(self.floats(boxed(1)), x.shape)
        count = int(exact)
        while count:
            if count & 1:
                result = self.times(result, x)
            x, count = self.times(x, x), count >> 1
        return result

    def sqrt(self, x: Array) -> Array:
        """Roots of constants; an unspecified function of anything else."""
        roots = [root(p, q) for p, q in x.ravel().tolist()]
        if None not in roots:
            return np.array(roots, dtype=FIELD).reshape(x.shape)
        result = self.hashed("sqrt", (), [x]).ravel()
        for place, known in enumerate(roots):
            if known is not None:
                result[place] = known
        return result.reshape(x.shape)

    def tanh(self, x: Array) -> Array:
        """Exact mod p where x mod q is known; unspecified and odd mod q, and elsewhere."""
        # Odd: the hash of the smaller of x and -x, with the sign of x, and 0 at 0.
        negative = x["p"] > P // 2
        positive = pairs(np.where(negative, P - x["p"], x["p"]), np.where(negative, ABSENT, x["q"]))
        hashed = self.hashed("tanh", (), [positive])
        sign = np.where(x["p"] == 0, 0, np.where(negative, -1, 1))
        p, q = hashed["p"] * sign % P, hashed["q"] * sign % Q
        known = x["q"] >= 0
        if known.any():  # (e - 1)/(e + 1) with e = exp(2x); -1 is no power of ω
            e = self._exponential(np.where(known, 2 * x["q"] % Q, 0))
            inverse = self.inverse(pairs((e + 1) % P, np.full(e.shape, ABSENT)))["p"]
            p = np.where(known, (e - 1) * inverse % P, p)
        return pairs(p, q)

    def sigmoid(self, x: Array) -> Array:
        """σ(x) = (1 + tanh(x/2))/2, so known as far as tanh is."""
        half = self.floats(boxed(Fraction(1, 2)))
        return self.times(half, self.plus(self.floats(boxed(1)), self.tanh(self.times(half, x))))

    def silu(self, x: Array) -> Array:
        """x·σ(x)."""
        return self.times(x, self.sigmoid(x))

    # -- the powers of ω ----------------------------------------------------------------------

    def _exponential(self, exponents: Residues) -> Residues:
        """ω^k mod p for exponents in [0, q), by a table for each digit of k."""
        if self._powers is None:
            self._powers = tables(self._omega())
        result = self._powers[0][exponents & (1 << DIGIT) - 1]
        for place, table in enumerate(self._powers[1:], start=1):
            digits = exponents >> DIGIT * place & (1 << DIGIT) - 1
            result = result * table[digits] % P
        return np.asarray(result)

    def _omega(self) -> int:
        """An element of order q: a square other than 0 and 1."""
        drawn = 2 + digest(self.seed, "omega") % (P - 3)  # neither 0, 1 nor -1
        return drawn * drawn % P

    # -- exact forms of a user's own ----------------------------------------------------------

    def call(self, function: Callable[..., Any], inputs: Sequence[Array]) -> Any:
        return super().call(function, [self._objects(x) for x in inputs])

    def returned(self, x: Any) -> Array:
        return self._back(super().returned(x))

    def _objects(self, x: Array) -> Array:
        """Floats as numbers with operators, which any function on arrays can compute with."""
        if x.dtype != FIELD:
            return x
        objects = np.empty(x.shape, dtype=object)
        for place in np.ndindex(x.shape):
            objects[place] = Residue(x[place], self)
        return objects

    def _back(self, x: Array) -> Array:
        if any(isinstance(entry, (Residue, float, Fraction)) for entry in x.flat):
            return self.floats(x)
        return x


def _word(*words: object) -> np.uint64:
    return np.uint64(digest(*words) & 0xFFFF_FFFF_FFFF_FFFF)


_KNOWN: dict[str, Callable[..., Array]] = {
    "exp": FieldAlgebra.exp,
    "reciprocal": FieldAlgebra.inverse,
    "negate": FieldAlgebra.negate,
    "power": FieldAlgebra.power,
    "sqrt": FieldAlgebra.sqrt,
    "tanh": FieldAlgebra.tanh,
    "sigmoid": FieldAlgebra.sigmoid,
    "silu": FieldAlgebra.silu,
}
