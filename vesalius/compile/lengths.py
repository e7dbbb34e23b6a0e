"""Sizes in emitted text, and where a function finds the value of a size variable.

Shapes are dynamic: a function reads `n, c = q.shape` where it begins, and computes every other
size from these. A size variable that only multiplies an axis of an input (`c:2*d`) is solved for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from vesalius.compile.text import ATOM, POWER, PRODUCT, SIGN, SUM, Term
from vesalius.diagrams.sizes import Quotient, Size


def size_term(size: Size, names: Mapping[str, str]) -> Term:
    """A size as Python; `names[v]` is what the variable v is called."""
    if not size.terms:
        return Term("0")
    parts: list[tuple[bool, Term]] = []
    for monomial, coefficient in size.terms:
        factors = [_power(atom, power, names) for atom, power in monomial]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, Term(str(abs(coefficient))))
        if len(factors) == 1:
            product = factors[0]
        else:
            # A quotient keeps its brackets: h * (d // h) is not h * d // h.
            product = Term(" * ".join(f.at(POWER) for f in factors), PRODUCT)
        parts.append((coefficient < 0, product))
    parts.sort(key=lambda part: part[0])
    negative, first = parts[0]
    text = f"-{first.at(SIGN)}" if negative else first.at(SUM)
    for negative, product in parts[1:]:
        text += f" {'-' if negative else '+'} {product.at(PRODUCT)}"
    if len(parts) > 1:
        return Term(text, SUM)
    return Term(text, SIGN) if parts[0][0] else first


def _power(atom: str | Quotient, power: int, names: Mapping[str, str]) -> Term:
    if isinstance(atom, str):
        base = Term(names[atom])
    else:
        top = size_term(atom.numerator, names)
        bottom = size_term(atom.denominator, names)
        if atom.how == "ceil":
            base = Term(f"-(-{top.at(ATOM)} // {bottom.at(ATOM)})", SIGN)
        else:  # an exact quotient leaves no rest: the module checks it
            base = Term(f"{top.at(PRODUCT)} // {bottom.at(SIGN)}", PRODUCT)
    return base if power == 1 else Term(f"{base.at(ATOM)}**{power}", POWER)


class Solution(NamedTuple):
    """A variable read off an axis of size `factor * variable + offset`."""

    variable: str
    factor: int
    offset: int

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
        coefficient > 0
        and all(
            isinstance(atom, str) or non_negative(atom.numerator) and non_negative(atom.denominator)
            for atom, _ in monomial
        )
        for monomial, coefficient in size.terms
    )
