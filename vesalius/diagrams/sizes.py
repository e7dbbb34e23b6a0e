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
from functools import lru_cache
from math import gcd, lcm
from typing import Any, NamedTuple, Union

from vesalius.diagrams.errors import FormatError, SizeError

MAX_EXPONENT = 64
_MAX_PRODUCTS = 1 << 16  # terms of one factor times terms of the other
_MAX_DIVISION = 1 << 12  # terms looked at before a quotient by a sum is left opaque


class Quotient(NamedTuple):
    """An opaque quotient: `how` is `floor`, `ceil`, or `exact` with the numerator 1."""

    how: str
    numerator: Size
    denominator: Size


Atom = Union[str, Quotient]
Monomial = tuple[tuple[Atom, int], ...]
Coefficient = Union[int, Fraction]
SizeLike = Union["Size", int, str]


def _atom_key(atom: Atom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, _opaque_text(atom))


def _factor_key(factor: tuple[Atom, int]) -> tuple[int, str]:
    return _atom_key(factor[0])


def _monomial_key(monomial: Monomial) -> tuple[Any, ...]:
    """Graded lexicographic: the order in which terms are written and divided."""
    degree = sum(power for _, power in monomial)
    return (-degree, tuple((_atom_key(atom), -power) for atom, power in monomial))


def _term_key(term: tuple[Monomial, Coefficient]) -> tuple[Any, ...]:
    return _monomial_key(term[0])


class Size:
    """A polynomial in size variables that stands for an integer; immutable and hashable."""

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, Coefficient], ...]

    def __init__(self, terms: Mapping[Monomial, Coefficient]) -> None:
        kept = [(m, c if type(c) is int else _reduced(c)) for m, c in terms.items() if c]
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
        return self._hash  # type: ignore[no-any-return]

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

    def __add__(self, other: SizeLike) -> Size:
        return _combine(self, size(other), 1)

    def __sub__(self, other: SizeLike) -> Size:
        return _combine(self, size(other), -1)

    def __mul__(self, other: SizeLike) -> Size:
        return _multiply(self, size(other))

    def __neg__(self) -> Size:
        return Size({m: -c for m, c in self.terms})

    def __pow__(self, exponent: int) -> Size:
        if not isinstance(exponent, int) or not 0 <= exponent <= MAX_EXPONENT:
            raise SizeError(f"a size is raised to an integer from 0 to {MAX_EXPONENT}")
        result = ONE
        for _ in range(exponent):
            result = result * self
        return result

    def __truediv__(self, other: SizeLike) -> Size:
        return _quotient("exact", self, size(other))

    def __floordiv__(self, other: SizeLike) -> Size:
        return _quotient("floor", self, size(other))

    def ceil_div(self, other: SizeLike) -> Size:
        """The least integer that is at least `self / other`."""
        return _quotient("ceil", self, size(other))

    def __radd__(self, other: SizeLike) -> Size:
        return self + other

    def __rmul__(self, other: SizeLike) -> Size:
        return self * other

    def __rsub__(self, other: SizeLike) -> Size:
        return size(other) - self

    def __rtruediv__(self, other: SizeLike) -> Size:
        return size(other) / self

    def __rfloordiv__(self, other: SizeLike) -> Size:
        return size(other) // self

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
            for one, times in _exact(above, below).terms:
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
        return _text(self)


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
    if isinstance(value, (int, float, Fraction)):
        return value
    raise FormatError(f"a constant is a number, not {value!r}")


# -- sums and products ----------------------------------------------------------------------


def _reduced(coefficient: Coefficient) -> Coefficient:
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
            monomial = _times(one, other)
            out[monomial] = out.get(monomial, 0) + a * b
    return _integral(Size(out))


def _times(left: Monomial, right: Monomial, sign: int = 1) -> Monomial:
    """`left * right`, or `left / right` with the sign -1."""
    if not right:
        return left
    if not left and sign == 1:
        return right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + sign * power
    return tuple(sorted((item for item in powers.items() if item[1]), key=_factor_key))


def _integral(value: Size) -> Size:
    """Refuses a constant that is no integer: nothing can have that size."""
    if len(value.terms) == 1 and not value.terms[0][0] and type(value.terms[0][1]) is not int:
        raise SizeError(f"the exact quotient {value.terms[0][1]} leaves a rest")
    return value


# -- quotients ------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def _quotient(how: str, top: Size, bottom: Size) -> Size:
    if not bottom.terms:
        raise SizeError(f"the size {top} is divided by zero")
    if bottom == ONE or not top.terms:
        return top  # a size stands for an integer
    return _integral(_exact(top, bottom)) if how == "exact" else _rounded(how, top, bottom)


def _exact(top: Size, bottom: Size) -> Size:
    """`top / bottom`, declared to come out even; a constant may be a fraction still."""
    if not bottom.terms:
        raise SizeError(f"the size {top} is divided by zero")
    term = _primitive(bottom)
    if term.rest == ONE:
        return _over_term(top, term.monomial, term.content)
    divided = _polynomial_division(top, term.rest)
    if divided is None:
        inverse = Quotient("exact", ONE, term.rest)
        divided = top * Size({((inverse, 1),): 1})
    return _over_term(divided, term.monomial, term.content)


def _over_term(top: Size, monomial: Monomial, content: Coefficient) -> Size:
    above = ONE
    plain = []
    for atom, power in monomial:
        if isinstance(atom, Quotient) and atom.how == "exact":
            above = above * atom.denominator**power
        else:
            plain.append((atom, power))
    top = top * above
    return Size({_times(m, tuple(plain), -1): Fraction(c) / content for m, c in top.terms})


def _rounded(how: str, top: Size, bottom: Size) -> Size:
    """The floor or the ceiling of `top / bottom`; whole terms are taken out of it."""
    top, bottom = _cleared(top, bottom)
    content, monomial, rest = _primitive(bottom)
    if rest != ONE:
        divided = _polynomial_division(top, bottom)
        if divided is not None and all(type(c) is int for _, c in divided.terms):
            return divided
        return Size({((Quotient(how, top, bottom), 1),): 1})
    whole: dict[Monomial, Coefficient] = {}
    left: dict[Monomial, Coefficient] = {}
    by = int(content)
    for one, coefficient in top.terms:
        many, few = 0, int(coefficient)
        if _divides(monomial, one):
            many, few = divmod(few, by)
        if many:
            whole[_times(one, monomial, -1)] = many
        if few:
            left[one] = few
    if not left:
        return Size(whole)
    if not monomial:
        how, left, by, carry = _rounded_by_integer(how, left, by)
        whole[()] = whole.get((), 0) + carry
    if left:
        atom = Quotient(how, Size(left), Size({monomial: by}))
        whole[((atom, 1),)] = 1
    return Size(whole)


def _rounded_by_integer(
    how: str, terms: dict[Monomial, Coefficient], by: int
) -> tuple[str, dict[Monomial, Coefficient], int, int]:
    """One spelling for each floor and ceiling by an integer, and an integer to add to it.

    The constant r satisfies 0 <= r < by. With a common factor g of the other terms and `by`,
    floor((g·x + r)/(g·b)) is floor((x + floor(r/g))/b). A ceiling has no constant, as
    ceil((x + r)/b) is floor((x + r - 1)/b) + 1; a floor has none of b - 1.
    """
    constant = int(terms.get((), 0))
    others = {m: int(c) for m, c in terms.items() if m}
    if not others:
        return how, {}, by, (constant // by if how == "floor" else -(-constant // by))
    common = gcd(by, *others.values())
    others = {m: c // common for m, c in others.items()}
    by //= common
    carry = 0
    if how == "ceil":
        constant = -(-constant // common) - 1
        how, carry = "floor", 1
        if constant < 0:
            return "ceil", dict(others), by, 0
    else:
        constant //= common
    if constant == by - 1:
        return "ceil", dict(others), by, carry
    return how, {**others, (): constant} if constant else dict(others), by, carry


class _Primitive(NamedTuple):
    """`content * monomial * rest`, where the rest has no common factor and begins with +."""

    content: Coefficient
    monomial: Monomial
    rest: Size


def _primitive(value: Size) -> _Primitive:
    ratios = [Fraction(c) for _, c in value.terms]
    below = lcm(*(r.denominator for r in ratios))
    content = Fraction(gcd(*(int(r * below) for r in ratios)), below)
    if ratios[0] < 0:
        content = -content
    monomial = _common(value.terms)
    if len(value.terms) == 1:
        return _Primitive(_reduced(content), monomial, ONE)
    rest = Size({_times(m, monomial, -1): Fraction(c) / content for m, c in value.terms})
    return _Primitive(_reduced(content), monomial, rest)


def _common(terms: Iterable[tuple[Monomial, Coefficient]]) -> Monomial:
    """The largest monomial that divides all terms."""
    powers: dict[Atom, int] | None = None
    for monomial, _ in terms:
        own = dict(monomial)
        if powers is None:
            powers = own
        else:
            atoms = powers.keys() | own.keys()
            powers = {a: min(powers.get(a, 0), own.get(a, 0)) for a in atoms}
    items = (item for item in (powers or {}).items() if item[1])
    return tuple(sorted(items, key=_factor_key))


def _cleared(top: Size, bottom: Size) -> tuple[Size, Size]:
    """The same ratio with integer coefficients, positive powers, and no common factor."""
    for atom in _inverses(top) | _inverses(bottom):
        most = max(dict(m).get(atom, 0) for m, _ in (*top.terms, *bottom.terms))
        top, bottom = _times_inverse(top, atom, most), _times_inverse(bottom, atom, most)
    above, below = _primitive(top), _primitive(bottom)
    ratio = Fraction(above.content) / Fraction(below.content)
    monomial = _times(above.monomial, below.monomial, -1)
    up = tuple((atom, power) for atom, power in monomial if power > 0)
    down = tuple((atom, -power) for atom, power in monomial if power < 0)
    return (
        above.rest * Size({up: ratio.numerator}),
        below.rest * Size({down: ratio.denominator}),
    )


def _inverses(value: Size) -> set[Quotient]:
    return {
        atom
        for monomial, _ in value.terms
        for atom, _power in monomial
        if isinstance(atom, Quotient) and atom.how == "exact"
    }


def _times_inverse(value: Size, atom: Quotient, most: int) -> Size:
    """The value times a power of the denominator of an inverse, so that the inverse goes away."""
    total = ZERO
    for monomial, coefficient in value.terms:
        power = dict(monomial).get(atom, 0)
        rest = tuple(item for item in monomial if item[0] != atom)
        total = total + Size({rest: coefficient}) * atom.denominator ** (most - power)
    return total


def _divides(small: Monomial, large: Monomial) -> bool:
    powers = dict(large)
    return all(powers.get(atom, 0) >= power for atom, power in small)


def _polynomial_division(top: Size, bottom: Size) -> Size | None:
    """The polynomial `q` with `q * bottom == top`, or None; by leading terms.

    Gives up after a bounded amount of work: the quotient is then left opaque.
    """
    lead, leading_coefficient = bottom.terms[0]
    rest = dict(top.terms)
    quotient: dict[Monomial, Coefficient] = {}
    work = 0
    while rest:
        work += len(rest) + len(bottom.terms)
        if work > _MAX_DIVISION:
            return None
        monomial = min(rest, key=_monomial_key)
        if not _divides(lead, monomial):
            return None
        factor = _times(monomial, lead, -1)
        coefficient = _reduced(Fraction(rest[monomial]) / leading_coefficient)
        quotient[factor] = coefficient
        for one, times in bottom.terms:
            place = _times(one, factor)
            left = rest.get(place, 0) - coefficient * times
            if left:
                rest[place] = left
            else:
                del rest[place]
    return Size(quotient)


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
        raise SizeError(f"the size {_opaque_text(atom)} divides by zero")
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


# -- text -----------------------------------------------------------------------------------


def _text(value: Size) -> str:
    if not value.terms:
        return "0"
    constant = dict(value.terms).get((), 0)
    if type(constant) is not int:  # half an integer is no formula: write one fraction
        scale = lcm(*(Fraction(c).denominator for _, c in value.terms))
        return f"({_text(Size({m: c * scale for m, c in value.terms}))})/{scale}"
    text = ""
    for monomial, coefficient in value.terms:
        sign = "-" if coefficient < 0 else "+"
        body = _term_text(monomial, abs(coefficient), bare=bool(text) or sign == "+")
        text += f" {sign} {body}" if text else (f"-{body}" if sign == "-" else body)
    return text


def _term_text(monomial: Monomial, coefficient: Coefficient, bare: bool) -> str:
    """`3*n/(4*h)`; a lone quotient goes without parentheses where it may (`bare`).

    A quotient by a sum is written as a division of its own, `x/y/(a + 1)`, to be read as one.
    """
    if bare and coefficient == 1 and len(monomial) == 1:
        atom, power = monomial[0]
        if power == 1 and isinstance(atom, Quotient):
            return _opaque_text(atom)
    ratio = Fraction(coefficient)
    above = [] if ratio.numerator == 1 else [str(ratio.numerator)]
    below = [] if ratio.denominator == 1 else [str(ratio.denominator)]
    sums = ""
    for atom, power in monomial:
        if isinstance(atom, Quotient) and atom.how == "exact":
            sums += f"/{_operand_text(atom.denominator)}" * power
        else:
            (above if power > 0 else below).append(_factor_text(atom, abs(power)))
    top = "*".join(above) or "1"
    if not below:
        return f"{top}{sums}"
    bottom = "*".join(below)
    closed = len(below) == 1 and (_is_word(bottom) or bottom.endswith(")"))
    return f"{top}/{bottom}{sums}" if closed else f"{top}/({bottom}){sums}"


def _is_word(text: str) -> bool:
    return text.isdecimal() or text.isidentifier()


def _factor_text(atom: Atom, power: int) -> str:
    if isinstance(atom, str):
        text = atom
    else:
        text = _opaque_text(atom)
        text = text if atom.how == "ceil" else f"({text})"
    return text if power == 1 else f"{text}**{power}"


def _operand_text(value: Size) -> str:
    text = _text(value)
    return text if _is_word(text) else f"({text})"


@lru_cache(maxsize=4096)
def _opaque_text(atom: Quotient) -> str:
    top, bottom = _operand_text(atom.numerator), _operand_text(atom.denominator)
    if atom.how == "ceil":
        return f"ceil({top}/{bottom})"
    return f"{top}{'//' if atom.how == 'floor' else '/'}{bottom}"
