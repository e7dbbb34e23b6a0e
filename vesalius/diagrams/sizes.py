"""Sizes: integer polynomials in named variables, in a normal form that is equality.

    n,  h*c,  2*d + 1,  n//2 (floor),  ceil(n/2),  n/2 (exact quotient)

A size is a sum of integer multiples of monomials. Its atoms are variables and *opaque*
quotients; a quotient is kept whole unless the polynomial division is exact, so `(h*c)/h`
is `c`, while `(n//2)*2` is never mistaken for `n`. Two sizes are equal exactly when their
normal forms are. SymPy is a thousand times slower and stays at the edge (`Size.sympy`).
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, Union

from vesalius.diagrams.errors import FormatError, SizeError

_MAX_EXPONENT = 64
_MAX_TEXT = 2000


class Quotient(NamedTuple):
    """An opaque quotient: `how` is `exact` (`a/b`), `floor` (`a//b`) or `ceil`."""

    how: str
    numerator: Size
    denominator: Size


Atom = Union[str, Quotient]
Monomial = tuple[tuple[Atom, int], ...]
SizeLike = Union["Size", int, str]


def _atom_key(atom: Atom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, _atom_text(atom))


def _monomial_key(monomial: Monomial) -> tuple[Any, ...]:
    degree = sum(power for _, power in monomial)
    return (-degree, tuple((_atom_key(atom), -power) for atom, power in monomial))


class Size:
    """An integer polynomial in size variables, immutable and hashable."""

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        kept = [(m, c) for m, c in terms.items() if c]
        if len(kept) > 1:
            kept.sort(key=lambda term: _monomial_key(term[0]))
        object.__setattr__(self, "terms", tuple(kept))
        object.__setattr__(self, "_hash", hash(self.terms))

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

    @property
    def constant(self) -> int | None:
        """The integer that this size is, or None when it depends on a variable."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
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
        out: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in size(other).terms:
                monomial = _times(left, right)
                out[monomial] = out.get(monomial, 0) + a * b
        return Size(out)

    def __neg__(self) -> Size:
        return Size({m: -c for m, c in self.terms})

    def __pow__(self, exponent: int) -> Size:
        if not isinstance(exponent, int) or not 0 <= exponent <= _MAX_EXPONENT:
            raise SizeError(f"a size is raised to an integer from 0 to {_MAX_EXPONENT}")
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

    def __radd__(self, other: int) -> Size:
        return self + other

    def __rmul__(self, other: int) -> Size:
        return self * other

    def __rsub__(self, other: int) -> Size:
        return size(other) - self

    # -- reading ------------------------------------------------------------------------

    def at(self, values: Mapping[str, int]) -> int:
        """The value of this size; every variable needs one.

        Raises `SizeError` for a missing variable or an exact quotient that leaves a rest.
        """
        total = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for atom, power in monomial:
                product *= _atom_value(atom, values) ** power
            total += product
        return total

    def substitute(self, values: Mapping[str, SizeLike]) -> Size:
        """This size with variables replaced, all at once, by sizes."""
        if not values or self.variables.isdisjoint(values):
            return self
        total = ZERO
        for monomial, coefficient in self.terms:
            product = size(coefficient)
            for atom, power in monomial:
                if isinstance(atom, str):
                    base = size(values.get(atom, atom))
                else:
                    base = _quotient(
                        atom.how,
                        atom.numerator.substitute(values),
                        atom.denominator.substitute(values),
                    )
                product = product * base**power
            total = total + product
        return total

    def degree(self, variable: str) -> int:
        """The highest power of `variable` outside opaque quotients; -1 for zero."""
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
            product = sympy.Integer(coefficient)
            for atom, power in monomial:
                product *= _atom_sympy(atom) ** power
            total += product
        return total

    def __repr__(self) -> str:
        return f"Size({str(self)!r})"

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        text = ""
        for monomial, coefficient in self.terms:
            factors = [_power_text(atom, power) for atom, power in monomial]
            magnitude = abs(coefficient)
            if magnitude != 1 or not factors:
                factors.insert(0, str(magnitude))
            sign = "-" if coefficient < 0 else "+"
            body = "*".join(factors)
            text += f" {sign} {body}" if text else (f"-{body}" if sign == "-" else body)
        return text


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
    if isinstance(value, bool):
        raise SizeError(f"a size is an integer, a name or a formula, not {value!r}")
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, str):
        return variable(value) if value.isidentifier() else parse(value)
    raise SizeError(f"a size is an integer, a name or a formula, not {value!r}")


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    result = ONE
    for one in sizes:
        result = result * one
    return result


# -- normal forms -------------------------------------------------------------------------


def _combine(left: Size, right: Size, sign: int) -> Size:
    out = dict(left.terms)
    for monomial, coefficient in right.terms:
        out[monomial] = out.get(monomial, 0) + sign * coefficient
    return Size(out)


def _times(left: Monomial, right: Monomial) -> Monomial:
    if not left:
        return right
    if not right:
        return left
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: _atom_key(item[0])))


def _divide_monomial(top: Monomial, bottom: Monomial) -> Monomial | None:
    powers = dict(top)
    for atom, power in bottom:
        left = powers.get(atom, 0) - power
        if left < 0:
            return None
        powers[atom] = left
    rest = [(atom, power) for atom, power in powers.items() if power]
    return tuple(sorted(rest, key=lambda item: _atom_key(item[0])))


def _exact_division(top: Size, bottom: Size) -> Size | None:
    """The polynomial `q` with `q * bottom == top`, or None; by leading terms."""
    quotient: dict[Monomial, int] = {}
    lead, leading_coefficient = bottom.terms[0]
    while top.terms:
        monomial, coefficient = top.terms[0]
        rest = _divide_monomial(monomial, lead)
        if rest is None or coefficient % leading_coefficient:
            return None
        factor = Size({rest: coefficient // leading_coefficient})
        quotient[rest] = quotient.get(rest, 0) + coefficient // leading_coefficient
        smaller = top - factor * bottom
        if smaller.terms and _monomial_key(smaller.terms[0][0]) <= _monomial_key(monomial):
            return None
        top = smaller
    return Size(quotient)


def _quotient(how: str, top: Size, bottom: Size) -> Size:
    if not bottom.terms:
        raise SizeError(f"the size {top} is divided by zero")
    exact = _exact_division(top, bottom)
    if exact is not None:
        return exact
    a, b = top.constant, bottom.constant
    if a is not None and b is not None:
        return _integer(_divide(how, a, b))
    return Size({((Quotient(how, top, bottom), 1),): 1})


def _divide(how: str, a: int, b: int) -> int:
    if b == 0:
        raise SizeError("a size is divided by zero")
    if how == "exact" and a % b:
        raise SizeError(f"the exact quotient {a}/{b} leaves a rest of {a % b}")
    return -(-a // b) if how == "ceil" else a // b


def _power_of(monomial: Monomial, variable: str) -> int:
    return next((power for atom, power in monomial if atom == variable), 0)


def _atom_value(atom: Atom, values: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        try:
            return values[atom]
        except KeyError:
            raise SizeError(f"the size variable {atom!r} has no value") from None
    return _divide(atom.how, atom.numerator.at(values), atom.denominator.at(values))


def _atom_sympy(atom: Atom) -> Any:
    import sympy

    if isinstance(atom, str):
        return sympy.Symbol(atom, integer=True, positive=True)
    ratio = atom.numerator.sympy() / atom.denominator.sympy()
    return {"exact": lambda x: x, "floor": sympy.floor, "ceil": sympy.ceiling}[atom.how](ratio)


# -- text ---------------------------------------------------------------------------------


def _operand_text(value: Size) -> str:
    text = str(value)
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def _atom_text(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    top, bottom = _operand_text(atom.numerator), _operand_text(atom.denominator)
    if atom.how == "ceil":
        return f"ceil({top}/{bottom})"
    return f"({top}{'//' if atom.how == 'floor' else '/'}{bottom})"


def _power_text(atom: Atom, power: int) -> str:
    return _atom_text(atom) if power == 1 else f"{_atom_text(atom)}**{power}"


_BINARY: dict[type, Callable[[Size, Size], Size]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def parse(text: str) -> Size:
    """Read a formula of integers, names, `+ - * / // **`, parentheses and `ceil(a/b)`."""
    if len(text) > _MAX_TEXT:
        raise FormatError(f"a size of {len(text)} characters is too long to be one")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormatError(f"{text!r} is not a size such as 'n', '2*d + 1' or 'n//2'") from None


def _read(tree: ast.expr) -> Size:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return _integer(tree.value)
    if isinstance(tree, ast.Name):
        return variable(tree.id)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_read(tree.operand)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Pow):
        exponent = _read(tree.right).constant
        if exponent is None:
            raise ValueError("the exponent of a size is an integer")
        return _read(tree.left) ** exponent
    if isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
        return _BINARY[type(tree.op)](_read(tree.left), _read(tree.right))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "ceil":
        (argument,) = tree.args
        if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Div):
            return _read(argument.left).ceil_div(_read(argument.right))
    raise ValueError("not a size")


def number(value: object) -> int | float | Fraction:
    """Check that a value is a real number that a constant may hold."""
    if isinstance(value, (int, float, Fraction)):
        return value
    raise FormatError(f"a constant is a number, not {value!r}")
