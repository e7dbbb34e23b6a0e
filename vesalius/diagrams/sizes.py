"""Sizes: polynomials in named variables, in a normal form that is equality.

    n,  h*c,  2*d + 1,  d/h (exact),  n//2 (floor),  ceil(n/2)

A size is a sum of multiples of monomials, and stands for an integer. Its coefficients are
integers, and its powers positive, until an exact quotient makes them rational and negative: so
`(d/h)*h` is `d`, and a quotient that does not come out even is an error where it gets its
value. Floors, ceilings and quotients by a sum are *opaque*: atoms, kept whole unless the
division comes out even, so `(n//2)*2` is never mistaken for `n`. Two sizes are equal exactly
when they are the same polynomial in their atoms. SymPy is a thousand times slower and stays
at the edge (`Size.sympy`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache, wraps
from typing import Any, NamedTuple, Union

from vesalius.diagrams.errors import FormatError, SizeError

MAX_EXPONENT = 64
_MAX_PRODUCTS = 1 << 16  # terms of one factor times terms of the other


class Quotient(NamedTuple):
    """An opaque quotient: `how` is `floor`, `ceil`, or `exact` with the numerator 1."""

    how: str
    numerator: Size
    denominator: Size


Atom = str | Quotient
Monomial = tuple[tuple[Atom, int], ...]
Coefficient = int | Fraction
SizeLike = Union["Size", int, str]


def _atom_key(atom: Atom) -> tuple[int, str]:
    if isinstance(atom, str):
        return (0, atom)
    from vesalius.diagrams.formulas import quotient_text

    return (1, quotient_text(atom))


def _factor_key(factor: tuple[Atom, int]) -> tuple[int, str]:
    return _atom_key(factor[0])


def monomial_key(monomial: Monomial) -> tuple[Any, ...]:
    """Graded lexicographic: the order in which terms are written and divided."""
    degree = sum(power for _, power in monomial)
    return (-degree, tuple((_atom_key(atom), -power) for atom, power in monomial))


def _term_key(term: tuple[Monomial, Coefficient]) -> tuple[Any, ...]:
    return monomial_key(term[0])


def _operator(operate: Callable[[Size, Size], Size]) -> Callable[[Size, SizeLike], Size]:
    """An operator that reads its other side, where that is no wire, which takes sizes itself."""

    @wraps(operate)
    def apply(self: Size, other: SizeLike) -> Any:
        if hasattr(type(other), "__torch_function__") and not hasattr(type(other), "__index__"):
            return NotImplemented
        return operate(self, size(other))

    return apply


class Size:
    """A polynomial in size variables that stands for an integer; immutable and hashable."""

    __slots__ = ("_hash", "terms")
    _hash: int
    terms: tuple[tuple[Monomial, Coefficient], ...]

    def __init__(self, terms: Mapping[Monomial, Coefficient]) -> None:
        kept = [(m, c if type(c) is int else reduced(c)) for m, c in terms.items() if c]
        if len(kept) > 1:
            kept.sort(key=_term_key)
        found = tuple(kept)
        object.__setattr__(self, "terms", found)
        if found and (len(found) > 1 or found[0][0]):
            object.__setattr__(self, "_hash", hash(found))
        else:  # an integer, and equal to it
            object.__setattr__(self, "_hash", hash(found[0][1] if found else 0))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Size is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return Size, (dict(self.terms),)

    # -- equality -----------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, int):
            return self.constant == other
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        """False for the size 0 alone."""
        return bool(self.terms)

    @property
    def constant(self) -> int | None:
        """The integer that this size is, or None when it depends on a variable."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            value = self.terms[0][1]
            return value if type(value) is int else None
        return None

    @property
    def variable(self) -> str | None:
        """The variable that this size is, or None."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            atom, power = self.terms[0][0][0]
            if power == 1 and isinstance(atom, str):
                return atom
        return None

    @property
    def variables(self) -> frozenset[str]:
        """All variables, those inside opaque quotients included."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom, _power in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    found |= atom.numerator.variables | atom.denominator.variables
        return frozenset(found)

    # -- arithmetic ---------------------------------------------------------------------

    @_operator
    def __add__(self, other: Size) -> Size:
        return _combine(self, other, 1)

    @_operator
    def __sub__(self, other: Size) -> Size:
        return _combine(self, other, -1)

    @_operator
    def __mul__(self, other: Size) -> Size:
        return _multiply(self, other)

    def __neg__(self) -> Size:
        return Size({m: -c for m, c in self.terms})

    def __pow__(self, exponent: int) -> Size:
        if not isinstance(exponent, int) or not 0 <= exponent <= MAX_EXPONENT:
            raise SizeError(f"a size is raised to an integer from 0 to {MAX_EXPONENT}")
        result = ONE
        for _ in range(exponent):
            result = result * self
        return result

    @_operator
    def __truediv__(self, other: Size) -> Size:
        return _quotient("exact", self, other)

    @_operator
    def __floordiv__(self, other: Size) -> Size:
        return _quotient("floor", self, other)

    def ceil_div(self, other: SizeLike) -> Size:
        """The least integer that is at least `self / other`."""
        return _quotient("ceil", self, size(other))

    __radd__ = __add__
    __rmul__ = __mul__

    @_operator
    def __rsub__(self, other: Size) -> Size:
        return other - self

    @_operator
    def __rtruediv__(self, other: Size) -> Size:
        return other / self

    @_operator
    def __rfloordiv__(self, other: Size) -> Size:
        return other // self

    # -- reading ------------------------------------------------------------------------

    def at(self, values: Mapping[str, int]) -> int:
        """The value of this size; every variable needs one.

        Raises `SizeError` for a missing variable, a division by zero, or an exact quotient
        that does not come out even.
        """
        total: Coefficient = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for atom, power in monomial:
                value = _atom_value(atom, values)
                if power < 0:
                    product = product / Fraction(_nonzero(value, self)) ** -power
                else:
                    product *= value**power
            total += product
        if type(total) is int:
            return total
        if Fraction(total).denominator != 1:
            given = ", ".join(f"{name}={values[name]}" for name in sorted(self.variables))
            raise SizeError(f"the size {self} is {total}, no integer, for {given}")
        return int(total)

    def substitute(self, values: Mapping[str, SizeLike]) -> Size:
        """This size with variables replaced, all at once, by sizes."""
        if not values or self.variables.isdisjoint(values):
            return self
        from vesalius.diagrams.quotients import exact

        wanted = {name: size(value) for name, value in values.items()}
        out: dict[Monomial, Coefficient] = {}
        for monomial, coefficient in self.terms:
            ratio = Fraction(coefficient)
            above, below = _integer(ratio.numerator), _integer(ratio.denominator)
            for atom, power in monomial:
                base = _atom_substituted(atom, wanted)
                if power < 0:
                    below = below * base**-power
                else:
                    above = above * base**power
            for one, times in exact(above, below).terms:
                out[one] = out.get(one, 0) + times
        return _integral(Size(out))

    def degree(self, variable: str) -> int:
        """The highest power of `variable`; -1 for zero.

        An opaque quotient counts as the power of its numerator less that of its denominator,
        as it grows.
        """
        return max((_power_of(m, variable) for m, _ in self.terms), default=-1)

    def leading(self, variable: str) -> Size:
        """The terms of highest power in `variable`."""
        top = self.degree(variable)
        return Size({m: c for m, c in self.terms if _power_of(m, variable) == top})

    def sympy(self) -> Any:
        """This size as a SymPy expression in positive integer symbols."""
        import sympy

        total = sympy.Integer(0)
        for monomial, coefficient in self.terms:
            ratio = Fraction(coefficient)
            product = sympy.Rational(ratio.numerator, ratio.denominator)
            for atom, power in monomial:
                product *= _atom_sympy(atom) ** power
            total += product
        return total

    def __repr__(self) -> str:
        return f"Size({str(self)!r})"

    def __str__(self) -> str:
        from vesalius.diagrams.formulas import write

        return write(self)


ZERO = Size({})
ONE = Size({(): 1})


@lru_cache(maxsize=4096)
def variable(name: str) -> Size:
    """The size variable `name`."""
    if not name.isidentifier():
        raise SizeError(f"a size variable is an identifier, not {name!r}")
    return Size({((name, 1),): 1})


@lru_cache(maxsize=4096)
def _integer(value: int) -> Size:
    return Size({(): value})


def size(value: SizeLike) -> Size:
    """Read a size: a `Size`, an integer, or a text such as `"2*d"` or `"n//2"`."""
    if isinstance(value, Size):
        return value
    if isinstance(value, str):
        return variable(value) if value.isidentifier() else parse(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        return _integer(operator.index(value))  # an integer of numpy
    raise SizeError(f"a size is an integer, a name or a formula, not {value!r}")


def parse(text: str) -> Size:
    """Read a formula of integers, names, `+ - * / // **`, parentheses and `ceil(a/b)`."""
    from vesalius.diagrams.formulas import parse as read

    return read(text)


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    result = ONE
    for one in sizes:
        result = result * one
    return result


def number(value: object) -> int | float | Fraction:
    """Check that a value is a real number that a constant may hold."""
    if isinstance(value, (int, float, Fraction)) and value == value:
        return value
    raise FormatError(f"a constant is a number, not {value!r}")


# -- sums and products ----------------------------------------------------------------------


def reduced(coefficient: Coefficient) -> Coefficient:
    """The coefficient as an int where it is whole."""
    ratio = Fraction(coefficient)
    return ratio.numerator if ratio.denominator == 1 else ratio


@lru_cache(maxsize=1 << 14)
def _combine(left: Size, right: Size, sign: int) -> Size:
    out = dict(left.terms)
    for monomial, coefficient in right.terms:
        out[monomial] = out.get(monomial, 0) + sign * coefficient
    return _integral(Size(out))


@lru_cache(maxsize=1 << 14)
def _multiply(left: Size, right: Size) -> Size:
    if len(left.terms) * len(right.terms) > _MAX_PRODUCTS:
        raise SizeError(f"a product of sizes has more than {_MAX_PRODUCTS} terms")
    out: dict[Monomial, Coefficient] = {}
    for one, a in left.terms:
        for other, b in right.terms:
            monomial = times(one, other)
            out[monomial] = out.get(monomial, 0) + a * b
    return _integral(Size(out))


def monomial_of(powers: Mapping[Atom, int]) -> Monomial:
    """The monomial with these powers."""
    return tuple(sorted((item for item in powers.items() if item[1]), key=_factor_key))


def times(left: Monomial, right: Monomial, sign: int = 1) -> Monomial:
    """`left * right`, or `left / right` with the sign -1."""
    if not right:
        return left
    if not left and sign == 1:
        return right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + sign * power
    return monomial_of(powers)


@lru_cache(maxsize=1 << 12)
def _quotient(how: str, top: Size, bottom: Size) -> Size:
    from vesalius.diagrams.quotients import quotient

    return _integral(quotient(how, top, bottom))


def _integral(value: Size) -> Size:
    """Refuses a constant that is no integer: nothing can have that size."""
    if len(value.terms) == 1 and not value.terms[0][0] and type(value.terms[0][1]) is not int:
        raise SizeError(f"the exact quotient {value.terms[0][1]} leaves a rest")
    return value


# -- atoms ----------------------------------------------------------------------------------


def _power_of(monomial: Monomial, variable: str) -> int:
    return sum(power * _atom_degree(atom, variable) for atom, power in monomial)


def _atom_degree(atom: Atom, variable: str) -> int:
    if isinstance(atom, str):
        return int(atom == variable)
    return atom.numerator.degree(variable) - atom.denominator.degree(variable)


def _nonzero(value: Coefficient, whole: Size) -> Coefficient:
    if not value:
        raise SizeError(f"the size {whole} divides by zero")
    return value


def _atom_value(atom: Atom, values: Mapping[str, int]) -> Coefficient:
    if isinstance(atom, str):
        try:
            return values[atom]
        except KeyError:
            raise SizeError(f"the size variable {atom!r} has no value") from None
    a, b = atom.numerator.at(values), atom.denominator.at(values)
    if b == 0:
        raise SizeError(f"the size {Size({((atom, 1),): 1})} divides by zero")
    if atom.how == "exact":
        return Fraction(a, b)
    return -(-a // b) if atom.how == "ceil" else a // b


def _atom_substituted(atom: Atom, values: Mapping[str, Size]) -> Size:
    if isinstance(atom, str):
        return values[atom] if atom in values else variable(atom)
    return _quotient(
        atom.how, atom.numerator.substitute(values), atom.denominator.substitute(values)
    )


def _atom_sympy(atom: Atom) -> Any:
    import sympy

    if isinstance(atom, str):
        return sympy.Symbol(atom, integer=True, positive=True)
    ratio = atom.numerator.sympy() / atom.denominator.sympy()
    rounding: dict[str, Callable[[Any], Any]] = {
        "exact": lambda x: x,
        "floor": sympy.floor,
        "ceil": sympy.ceiling,
    }
    return rounding[atom.how](ratio)
