"""SymPy expressions as entries: results that a person can read, on small sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from vesalius.diagrams.box import Draw, Site
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside, TypeClash
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.arrays import (
    Array,
    ArrayAlgebra,
    Real,
    digest,
    elementwise,
    given,
    is_real,
    python,
)
from vesalius.diagrams.types import ArrayType

LARGEST = 400  # operations in a difference that SymPy is asked to simplify
PLACES = 3  # how many points a difference is evaluated at
DIGITS = 30


def symbols(diagram: Diagram, sizes: Mapping[str, int]) -> tuple[list[Array], dict[str, Array]]:
    """Arrays of symbols for the inputs, in order, and for the parameters by name.

    `sizes` gives an integer for every size variable. Entry (0, 1) of `q` is the symbol
    `q[0, 1]`: real for floats, an integer for integers, a proposition for truth values.

    >>> import vesalius as vs
    >>> @vs.diagram
    ... def dot(x: "c", y: "c") -> "":
    ...     return vs.contract(x, y, over="c")
    >>> inputs, parameters = symbols(dot, {"c": 2})
    >>> dot.evaluate(*inputs, algebra="sympy", parameters=parameters).item()
    x[0]*y[0] + x[1]*y[1]
    """
    inputs = [symbol_array(n, t, sizes) for n, t in diagram.input_types.items()]
    parameters = {n: symbol_array(n, t, sizes) for n, t in diagram.parameters.items()}
    return inputs, parameters


def symbol_array(name: str, type_: ArrayType, sizes: Mapping[str, int]) -> Array:
    """An array of symbols of a type."""
    return _symbols(name, [size.at(sizes) for size in type_.axes.values()], type_.dtype)


class SymbolicAlgebra(ArrayAlgebra):
    """Floats and integers are SymPy expressions, truth values its propositions.

    A function without a form in SymPy becomes an unspecified `sympy.Function` of its name.
    """

    name = "sympy"

    # -- numbers ------------------------------------------------------------------------------

    def array(self, value: Any, dtype: str) -> Array:
        entries = given(value)
        check = {"float": _is_real, "int": _is_integer, "bool": _is_truth}[dtype]
        for entry in entries.flat:
            if not check(entry):
                raise TypeClash(f"an input of {dtype} entries does not hold {entry!r}")
        return self.floats(entries)

    def floats(self, x: Array) -> Array:
        return elementwise(_expression, x)

    def constant(self, value: Any, shape: Sequence[int]) -> Array:
        return self.floats(super().constant(value, shape))

    def positions(self, size: int) -> Array:
        return self.floats(super().positions(size))

    def draw(self, token: Draw, site: Site) -> Array:
        return self.floats(super().draw(token, site))

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        """A symbol for each entry, whatever the seed."""
        return _symbols(name, shape, "float")

    def places(self, index: Array) -> npt.NDArray[np.int64]:
        for entry in index.flat:
            if not entry.is_Integer:
                raise Outside(f"gather: the index {entry} is not known; give an integer")
        return index.astype(np.int64)

    def pad(self, x: Array, dim: int, before: int, after: int, value: Any, dtype: str) -> Array:
        value = bool(value) if dtype == "bool" else value
        return super().pad(x, dim, before, after, value, "float")

    # -- arithmetic ---------------------------------------------------------------------------

    def plus(self, x: Array, y: Array) -> Array:
        return elementwise(_sum, x, y)

    def times(self, x: Array, y: Array) -> Array:
        return elementwise(_product, x, y)

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        return self._folded(lambda *entries: reduce(_sum, entries, sympy.S.Zero), x, dims)

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        found = self._folded(sympy.Max if how == "max" else sympy.Min, x, [dim])
        return found.reshape([length for d, length in enumerate(x.shape) if d != dim])

    def truth(self, how: str, x: Array, dims: Sequence[int]) -> Array:
        found = self._folded(sympy.And if how == "all" else sympy.Or, x, dims)
        return found.reshape([length for d, length in enumerate(x.shape) if d not in dims])

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        e = elementwise(sympy.exp, self.floats(x))
        return elementwise(_share, e, self.total(e, dims))

    def turn(self, step: int, size: int) -> tuple[Any, Any]:
        angle = 2 * sympy.pi * sympy.Rational(step, size)
        return sympy.cos(angle), sympy.sin(angle)

    def _folded(self, fold: Callable[..., Any], x: Array, dims: Sequence[int]) -> Array:
        """All entries along dimensions, which stay with length 1, in one expression."""
        shape = [1 if d in dims else length for d, length in enumerate(x.shape)]
        rest = [d for d in range(x.ndim) if d not in dims]
        lengths = [x.shape[d] for d in rest]
        rows = x.transpose((*rest, *dims)).reshape(*lengths, -1) if x.size else None
        found = np.empty(lengths, dtype=object)
        for place in np.ndindex(*lengths):
            found[place] = fold(*(rows[place] if rows is not None else ()))
        return found.reshape(shape)

    # -- functions ----------------------------------------------------------------------------

    def embed(self, x: Array, dtype: str) -> Array:
        return elementwise(_indicator, x) if dtype == "bool" else x

    def choose(self, condition: Array, x: Array, y: Array, dtype: str) -> Array:
        return elementwise(sympy.ITE if dtype == "bool" else _choose, condition, x, y)

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        form = function.sympy or sympy.Function(function.name)
        fixed = [_expression(x) for x in numbers]

        def one(*arguments: Any) -> Any:
            shown = f"{function.name}({', '.join(map(str, (*arguments, *fixed)))})"
            try:
                value = sympy.sympify(form(*arguments, *fixed))
            except (ArithmeticError, TypeError, ValueError) as error:
                raise Outside(f"SymPy has no form for {shown}: {error}") from error
            return _defined(value, shown)

        return elementwise(one, *inputs)

    def returned(self, x: Any) -> Array:
        return self.floats(super().returned(x))

    # -- comparison ---------------------------------------------------------------------------

    def same(self, x: Array, y: Array) -> bool:
        """Whether all entries are equal for all values of the symbols.

        Different is what differs at some point where it can be evaluated. Raises `Outside`
        where SymPy decides neither within bounds; it is never guessed.
        """
        pairs = zip(x.flat, y.flat, strict=True)
        return x.shape == y.shape and all(_equal(a, b) for a, b in pairs)


# -- entries --------------------------------------------------------------------------------------


def _symbols(name: str, shape: Sequence[int], dtype: str) -> Array:
    assumed = {"float": {"real": True}, "int": {"integer": True}, "bool": {}}[dtype]
    found = np.empty(tuple(shape), dtype=object)
    for place in np.ndindex(*found.shape):
        label = f"{name}[{', '.join(map(str, place))}]" if place else name
        found[place] = sympy.Symbol(label, **assumed)
    return found


def _is_real(entry: Any) -> bool:
    return isinstance(entry, sympy.Expr) or is_real(entry)


def _is_integer(entry: Any) -> bool:
    if isinstance(entry, sympy.Expr):
        return bool(entry.is_integer)
    return isinstance(entry, int) and not isinstance(entry, bool)


def _is_truth(entry: Any) -> bool:
    return isinstance(entry, (bool, np.bool_, sympy.logic.boolalg.Boolean))


def _expression(entry: Any) -> Any:
    """A Python number as the SymPy number that it is exactly; expressions as they are."""
    if isinstance(entry, sympy.Basic):
        return entry
    entry = python(entry)
    if isinstance(entry, bool):
        return sympy.true if entry else sympy.false
    if isinstance(entry, int):
        return sympy.Integer(entry)
    if isinstance(entry, Fraction):
        return sympy.Rational(entry.numerator, entry.denominator)
    if entry in (float("inf"), -float("inf")):
        return sympy.oo if entry > 0 else -sympy.oo
    if entry != entry:
        raise Outside("nan is not a number")
    return sympy.Rational(*entry.as_integer_ratio())


def _infinite(x: Any) -> bool:
    return x is sympy.S.Infinity or x is sympy.S.NegativeInfinity


def _sum(x: Any, y: Any) -> Any:
    if _infinite(x) or _infinite(y):  # an infinity swallows any symbol, which is finite
        if _infinite(x) and _infinite(y) and x is not y:
            raise Outside("infinities of both signs have no sum")
        return x if _infinite(x) else y
    return x + y


def _product(x: Any, y: Any) -> Any:
    if _infinite(x) or _infinite(y):
        raise Outside(f"{x} and {y} have no product")
    return x * y


def _share(x: Any, total: Any) -> Any:
    return sympy.S.Zero if total.is_zero else x / total


def _indicator(condition: Any) -> Any:
    return sympy.Piecewise((1, condition), (0, True))


def _choose(condition: Any, x: Any, y: Any) -> Any:
    return sympy.Piecewise((x, condition), (y, True))


def _defined(value: Any, what: str) -> Any:
    if value in (sympy.nan, sympy.zoo):
        raise Outside(f"{what} has no value")
    return value


# -- equality -------------------------------------------------------------------------------------


def _equal(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if not (isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr)):
        return _equivalent(a, b)
    if _infinite(a) or _infinite(b) or _differ_somewhere(a, b):
        return False
    difference = a - b
    if difference.count_ops() <= LARGEST:
        ratio = sympy.cancel(sympy.together(sympy.expand(difference)))
        if ratio == 0 or sympy.simplify(ratio) == 0:
            return True
    raise Outside(f"SymPy does not decide whether {_shown(a)} equals {_shown(b)}")


def _equivalent(a: Any, b: Any) -> bool:
    """Whether two propositions are true together."""
    different = sympy.Xor(a, b)
    if not different.atoms(sympy.core.relational.Relational):
        return sympy.satisfiable(different) is False
    if any(different.subs(point) == sympy.true for point in _points(different)):
        return False
    simple = sympy.simplify(different)
    if simple not in (sympy.true, sympy.false):
        raise Outside(f"SymPy does not decide whether {_shown(a)} is {_shown(b)}")
    return simple is sympy.false


def _differ_somewhere(a: Any, b: Any) -> bool:
    """Whether two expressions differ at one of a few points, beyond rounding."""
    if a.has(sympy.core.function.AppliedUndef) or b.has(sympy.core.function.AppliedUndef):
        return False  # an unspecified function has no values
    for point in _points(a, b):
        x, y = (_number(expression, point) for expression in (a, b))
        rounding = sympy.Float(10) ** (-DIGITS // 2)
        if None not in (x, y) and abs(x - y) > (1 + abs(x)) * rounding:
            return True
    return False


def _points(*expressions: Any) -> list[dict[Any, Any]]:
    """A few values of all symbols, always the same."""
    unknown: set[Any] = set().union(*(x.free_symbols for x in expressions))
    truths: set[Any] = set().union(*map(_propositions, expressions))
    symbols = sorted(unknown, key=str)
    return [
        {symbol: _value(symbol, symbol in truths, turn) for symbol in symbols}
        for turn in range(PLACES)
    ]


def _propositions(expression: Any) -> set[Any]:
    """The symbols that stand where a truth value does."""
    found: set[Any] = set()
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, sympy.logic.boolalg.BooleanFunction):
            found.update(part.args)
        elif isinstance(part, sympy.functions.elementary.piecewise.ExprCondPair):
            found.add(part.cond)
    return {part for part in found if part.is_Symbol}


def _value(symbol: Any, truth: bool, turn: int) -> Any:
    drawn = digest(turn, symbol)
    if truth:
        return sympy.true if drawn & 1 else sympy.false
    if symbol.is_integer:
        return sympy.Integer(drawn % 7 - 3)
    return sympy.Rational(drawn % 401 - 200, 97)


def _number(expression: Any, point: Mapping[Any, Any]) -> Any:
    """The real value of an expression at a point; None where it has none."""
    try:
        value = expression.subs(point).evalf(DIGITS)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return value if value.is_Float or value.is_Rational else None


def _shown(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 60 else f"{text[:57]}..."
