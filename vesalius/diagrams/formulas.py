"""Formulas: the text of a size, written, and read without running anything, within limits.

    sum     =  term  { (+ | -) term }
    term    =  factor  { (* | / | //) factor }
    factor  =  - factor  |  atom [ ** integer ]
    atom    =  integer  |  name  |  ceil( term / factor )  |  ( sum )

The operators bind as in Python. A formula may come from a file that somebody else wrote, so
its length, depth, degree, numbers and the work that it asks for are bounded.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import lcm

from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.sizes import (
    MAX_EXPONENT,
    ONE,
    Atom,
    Monomial,
    Quotient,
    Size,
    size,
    variable,
)

MAX_TEXT = 2000
_MAX_DEPTH = 50
_MAX_DEGREE = 256
_MAX_BITS = 1024
_MAX_WORK = 5000  # terms of one operand times terms of the other, added up

_TOKEN = re.compile(r"\s*(?:([0-9]+)(?!\w)|([^\W\d]\w*)|(\*\*|//|[-+*/()]))")


@lru_cache(maxsize=4096)
def parse(text: str) -> Size:
    """Read a formula such as `"2*d + 1"`, `"n//2"` or `"ceil(n/2)"`.

    Raises `FormatError` where the text is no formula or goes beyond the limits, `SizeError`
    where it is one without a value, as `1/0` or `5/2`.
    """
    if len(text) > MAX_TEXT:
        raise FormatError(f"a size of {len(text)} characters is too long to be one")
    return _Reader(text).read()


class _Reader:
    """One pass over the tokens; `None` stands after the last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str | None] = []
        self.at = 0
        self.depth = 0
        self.work = 0
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._error()
            self.tokens.append(found[found.lastindex or 0])
            place = found.end()
        self.tokens.append(None)

    def read(self) -> Size:
        value = self._sum()
        if self.tokens[self.at] is not None:
            raise self._error()
        return value

    def _sum(self) -> Size:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FormatError(f"{_short(self.text)} is nested too deeply to be a size")
        value = self._term()
        while (sign := self.tokens[self.at]) in ("+", "-"):
            self.at += 1
            right = self._term()
            value = self._within(value + right if sign == "+" else value - right)
        self.depth -= 1
        return value

    def _term(self) -> Size:
        return self._apply(*self._pending())

    def _pending(self) -> tuple[Size, str, Size]:
        """A term up to its last operation, which is left to be done."""
        left, operation, right = ONE, "*", self._factor()
        while (token := self.tokens[self.at]) in ("*", "/", "//"):
            assert token is not None
            self.at += 1
            left = self._apply(left, operation, right)
            operation, right = token, self._factor()
        return left, operation, right

    def _apply(self, left: Size, operation: str, right: Size) -> Size:
        self._spend(left, right)
        if operation == "*":
            return self._within(left * right)
        return self._within(left / right if operation == "/" else left // right)

    def _factor(self) -> Size:
        signs = 0
        while self.tokens[self.at] == "-":
            signs += 1
            self.at += 1
        value = self._atom()
        if self.tokens[self.at] == "**":
            self.at += 1
            token = self.tokens[self.at]
            if token is None or not token.isdecimal() or self._next() == "**":
                raise self._error()
            self.at += 1
            value = self._power(value, token)
        return -value if signs % 2 else value

    def _next(self) -> str | None:
        return self.tokens[self.at + 1]

    def _power(self, base: Size, digits: str) -> Size:
        if len(digits) > 4 or int(digits) > MAX_EXPONENT:
            raise SizeError(f"a size is raised to an integer from 0 to {MAX_EXPONENT}")
        value = ONE
        for _ in range(int(digits)):
            self._spend(value, base)
            value = self._within(value * base)
        return value

    def _atom(self) -> Size:
        token = self.tokens[self.at]
        self.at += 1
        if token is None:
            raise self._error()
        if token == "(":
            value = self._sum()
            self._expect(")")
            return value
        if token.isdecimal():
            return self._within(size(int(token)))
        if token == "ceil" and self.tokens[self.at] == "(":
            self.at += 1
            self.depth += 1
            top, operation, bottom = self._pending()
            self.depth -= 1
            self._expect(")")
            if operation != "/":
                raise self._error()
            self._spend(top, bottom)
            return self._within(top.ceil_div(bottom))
        if not token.isidentifier():
            raise self._error()
        return variable(token)

    def _expect(self, token: str) -> None:
        if self.tokens[self.at] != token:
            raise self._error()
        self.at += 1

    def _spend(self, left: Size, right: Size) -> None:
        self.work += len(left.terms) * len(right.terms)
        if self.work > _MAX_WORK:
            raise FormatError(f"{_short(self.text)} asks for too much work to be a size")

    def _within(self, value: Size) -> Size:
        for monomial, coefficient in value.terms:
            bits = max(coefficient.numerator.bit_length(), coefficient.denominator.bit_length())
            if bits > _MAX_BITS or sum(abs(power) for _, power in monomial) > _MAX_DEGREE:
                raise FormatError(f"{_short(self.text)} is too large to be a size")
        return value

    def _error(self) -> FormatError:
        return FormatError(f"{_short(self.text)} is not a size such as 'n', '2*d + 1' or 'n//2'")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


# -- writing ---------------------------------------------------------------------------------


def write(value: Size) -> str:
    """The formula of a size; `parse` reads it back."""
    if not value.terms:
        return "0"
    constant = dict(value.terms).get((), 0)
    if type(constant) is not int:  # half an integer is no formula: write one fraction
        scale = lcm(*(Fraction(c).denominator for _, c in value.terms))
        return f"({write(Size({m: c * scale for m, c in value.terms}))})/{scale}"
    text = ""
    for monomial, coefficient in value.terms:
        sign = "-" if coefficient < 0 else "+"
        body = _term_text(monomial, abs(Fraction(coefficient)), bool(text) or sign == "+")
        text += f" {sign} {body}" if text else (f"-{body}" if sign == "-" else body)
    return text


def _term_text(monomial: Monomial, ratio: Fraction, bare: bool) -> str:
    """`3*n/(4*h)`; a lone quotient goes without parentheses where it may (`bare`).

    A quotient by a sum is written as a division of its own, `x/y/(a + 1)`, to be read as one.
    """
    if bare and ratio == 1 and len(monomial) == 1:
        atom, power = monomial[0]
        if power == 1 and isinstance(atom, Quotient):
            return quotient_text(atom)
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
        text = quotient_text(atom)
        text = text if atom.how == "ceil" else f"({text})"
    return text if power == 1 else f"{text}**{power}"


def _operand_text(value: Size) -> str:
    text = write(value)
    return text if _is_word(text) else f"({text})"


@lru_cache(maxsize=4096)
def quotient_text(atom: Quotient) -> str:
    """An opaque quotient, without parentheses around it."""
    top, bottom = _operand_text(atom.numerator), _operand_text(atom.denominator)
    if atom.how == "ceil":
        return f"ceil({top}/{bottom})"
    return f"{top}{'//' if atom.how == 'floor' else '/'}{bottom}"
