"""Sizes in emitted text, and where a function finds the value of a size variable.

Shapes are dynamic: a function reads `n, c = q.shape` where it begins, and computes every other
size from these. A size variable that only multiplies an axis of an input (`c:2*d`) is solved for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from vesalius.compile.text import ATOM, POWER, PRODUCT, SIGN, SUM, Term
from vesalius.diagrams.sizes import Coefficient, Monomial, Quotient, Size


def size_term(size: Size, names: Mapping[str, str]) -> Term:
    """A size as Python; `names[v]` is what the variable v is called.

    Exact quotients are written with `//`: the module has checked that they come out even. Terms
    that need not be whole each on their own are brought under one division.
    """
    if (more := _up_to_multiple(size, names)) is not None:
        return more
    terms = [_split(monomial, coefficient) for monomial, coefficient in size.terms]
    broken = [term for term in terms if term.below]
    if len(broken) < 2:
        return _sum([(t.sign, _ratio(t.above, t.below, names)) for t in terms])
    common: dict[Factor, int] = {}
    for term in broken:
        for factor, power in term.below.items():
            if isinstance(factor, int):  # common[1] gathers integers
                common[1] = lcm(common.get(1, 1), factor**power)
            else:
                common[factor] = max(common.get(factor, 0), power)
    scaled = []
    for term in terms:
        rest = _cancelled({**term.above}, term.below, common)
        scaled.append((term.sign, _ratio(rest, {}, names)))
    below = {factor: power for factor, power in common.items() if factor != 1}
    if common.get(1, 1) != 1:
        below[common[1]] = 1
    top, bottom = _sum(scaled), _ratio(below, {}, names)
    return Term(f"{top.at(PRODUCT)} // {bottom.at(SIGN)}", PRODUCT)


def _up_to_multiple(size: Size, names: Mapping[str, str]) -> Term | None:
    """⌈n/k⌉·k − n as `-n % k`: what is missing to a multiple."""
    for monomial, _ in size.terms:
        for atom, power in monomial:
            if power != 1 or not isinstance(atom, Quotient) or atom.how != "ceil":
                continue
            n, k = atom.numerator, atom.denominator
            if size + n == n.ceil_div(k) * k:
                return Term(
                    f"-{size_term(n, names).at(SIGN)} % {size_term(k, names).at(SIGN)}", PRODUCT
                )
    return None


# An integer, a variable, a rounded quotient, or a sum that an exact quotient divides by.
Factor = int | str | Quotient | Size


class _Product(NamedTuple):
    sign: int
    above: dict[Factor, int]
    below: dict[Factor, int]


def _split(monomial: Monomial, coefficient: Coefficient) -> _Product:
    """The factors of a term above and below the division, with their powers."""
    ratio = Fraction(coefficient)
    above: dict[Factor, int] = {}
    below: dict[Factor, int] = {}
    if abs(ratio.numerator) != 1:
        above[abs(ratio.numerator)] = 1
    if ratio.denominator != 1:
        below[ratio.denominator] = 1
    for atom, power in monomial:
        factor: Factor = atom
        if isinstance(atom, Quotient) and atom.how == "exact":  # one over a sum
            factor, power = atom.denominator, -power
        (above if power > 0 else below)[factor] = abs(power)
    return _Product(1 if ratio > 0 else -1, above, below)


def _cancelled(
    above: dict[Factor, int], below: dict[Factor, int], common: dict[Factor, int]
) -> dict[Factor, int]:
    """What stands above, times the common denominator, over what stands below."""
    whole = common.get(1, 1)
    for factor, power in below.items():
        if isinstance(factor, int):
            whole //= factor**power
    for factor, power in common.items():
        left = power - below.get(factor, 0)
        if factor != 1 and left:
            above[factor] = above.get(factor, 0) + left
    integers = [factor for factor in above if isinstance(factor, int)]
    for factor in integers:
        whole *= factor ** above.pop(factor)
    return above if whole == 1 else {whole: 1, **above}


def _sum(terms: list[tuple[int, Term]]) -> Term:
    if not terms:
        return Term("0")
    terms.sort(key=lambda term: -term[0])
    sign, first = terms[0]
    if len(terms) == 1 and sign > 0:
        return first
    text = first.at(SUM) if sign > 0 else f"-{first.at(SIGN)}"
    for sign, term in terms[1:]:
        text += f" {'+' if sign > 0 else '-'} {term.at(PRODUCT)}"
    return Term(text, SUM if len(terms) > 1 else SIGN)


def _ratio(
    above: Mapping[Factor, int], below: Mapping[Factor, int], names: Mapping[str, str]
) -> Term:
    top = _product(above, names)
    if not below:
        return top
    return Term(f"{top.at(PRODUCT)} // {_product(below, names).at(SIGN)}", PRODUCT)


def _product(factors: Mapping[Factor, int], names: Mapping[str, str]) -> Term:
    terms = [_power(factor, power, names) for factor, power in factors.items()]
    if len(terms) < 2:
        return terms[0] if terms else Term("1")
    # A quotient keeps its brackets: h * (n // 2) is not h * n // 2.
    return Term(" * ".join(term.at(SIGN) for term in terms), PRODUCT)


def _power(factor: Factor, power: int, names: Mapping[str, str]) -> Term:
    if isinstance(factor, int):
        base = Term(str(factor))
    elif isinstance(factor, str):
        base = Term(names[factor])
    elif isinstance(factor, Size):
        base = size_term(factor, names)
    else:
        top = size_term(factor.numerator, names)
        bottom = size_term(factor.denominator, names)
        if factor.how == "ceil":
            base = Term(f"-(-{top.at(ATOM)} // {bottom.at(SIGN)})", SIGN)
        else:
            base = Term(f"{top.at(PRODUCT)} // {bottom.at(SIGN)}", PRODUCT)
    return base if power == 1 else Term(f"{base.at(ATOM)}**{power}", POWER)


class Solution(NamedTuple):
    """A variable read off an axis of size `factor * variable + offset`."""

    variable: str
    factor: int
    offset: int

    @property
    def plain(self) -> bool:
        """Whether the axis is as long as the variable says."""
        return self.factor == 1 and self.offset == 0

    def of(self, length: int) -> int | None:
        """The variable's value where the axis has this length; None when there is none."""
        value, rest = divmod(length - self.offset, self.factor)
        return None if rest or value < 0 else value

    def term(self, length: Term) -> Term:
        """The variable as Python, from the length of the axis."""
        if self.offset:
            sign = "-" if self.offset > 0 else "+"
            length = Term(f"{length.at(SUM)} {sign} {abs(self.offset)}", SUM)
        if self.factor == 1:
            return length
        return Term(f"{length.at(PRODUCT)} // {self.factor}", PRODUCT)


def solved(size: Size) -> Solution | None:
    """The variable that an axis of this size determines, if it is linear in exactly one."""
    variable, factor, offset = "", 0, 0
    for monomial, coefficient in size.terms:
        if not isinstance(coefficient, int):
            return None
        if not monomial:
            offset = coefficient
        elif len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], str):
            if variable or coefficient < 1:
                return None
            variable, factor = monomial[0][0], coefficient
        else:
            return None
    return Solution(variable, factor, offset) if variable else None


def non_negative(size: Size) -> bool:
    """Whether a size is known to be at least 0: nothing is subtracted anywhere in it."""
    return all(
        coefficient > 0 and all(isinstance(atom, str) or _positive(atom) for atom, _ in monomial)
        for monomial, coefficient in size.terms
    )


def _positive(atom: Quotient) -> bool:
    return non_negative(atom.numerator) and non_negative(atom.denominator)


def may_break(size: Size) -> bool:
    """Whether an exact quotient in a size may fail to come out even."""
    return any(
        not isinstance(coefficient, int)
        or any(power < 0 or (not isinstance(atom, str) and atom.how == "exact")
               for atom, power in monomial)
        for monomial, coefficient in size.terms
    )  # fmt: skip
