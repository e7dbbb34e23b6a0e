"""How sizes are divided, and the normal form of what does not come out even.

An exact quotient by a product is a product with negative powers; one by a sum divides the
polynomials or becomes a factor 1/sum of its own. A floor or a ceiling gives up its whole terms
and its common factors, and keeps the rest as an opaque atom.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.sizes import (
    ONE,
    ZERO,
    Atom,
    Coefficient,
    Monomial,
    Quotient,
    Size,
    monomial_key,
    monomial_of,
    reduced,
    times,
)

_MAX_DIVISION = 1 << 12  # terms looked at before a quotient by a sum is left opaque


def quotient(how: str, top: Size, bottom: Size) -> Size:
    """`top / bottom`, exactly or rounded (`floor`, `ceil`); a constant may be a fraction still."""
    if not bottom.terms:
        raise SizeError(f"the size {top} is divided by zero")
    if bottom == ONE or not top.terms:
        return top  # a size stands for an integer
    return exact(top, bottom) if how == "exact" else _rounded(how, top, bottom)


def exact(top: Size, bottom: Size) -> Size:
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
    return Size({times(m, tuple(plain), -1): Fraction(c) / content for m, c in top.terms})


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
            whole[times(one, monomial, -1)] = many
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
        return _Primitive(reduced(content), monomial, ONE)
    rest = Size({times(m, monomial, -1): Fraction(c) / content for m, c in value.terms})
    return _Primitive(reduced(content), monomial, rest)


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
    return monomial_of(powers or {})


def _cleared(top: Size, bottom: Size) -> tuple[Size, Size]:
    """The same ratio with integer coefficients, positive powers, and no common factor."""
    for atom in _inverses(top) | _inverses(bottom):
        most = max(dict(m).get(atom, 0) for m, _ in (*top.terms, *bottom.terms))
        top, bottom = _times_inverse(top, atom, most), _times_inverse(bottom, atom, most)
    above, below = _primitive(top), _primitive(bottom)
    ratio = Fraction(above.content) / Fraction(below.content)
    monomial = times(above.monomial, below.monomial, -1)
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
    found: dict[Monomial, Coefficient] = {}
    work = 0
    while rest:
        work += len(rest) + len(bottom.terms)
        if work > _MAX_DIVISION:
            return None
        monomial = min(rest, key=monomial_key)
        if not _divides(lead, monomial):
            return None
        factor = times(monomial, lead, -1)
        coefficient = reduced(Fraction(rest[monomial]) / leading_coefficient)
        found[factor] = coefficient
        for one, many in bottom.terms:
            place = times(one, factor)
            left = rest.get(place, 0) - coefficient * many
            if left:
                rest[place] = left
            else:
                del rest[place]
    return Size(found)
