"""Balls: real numbers in intervals that surely hold them, to as many digits as are asked for.

What float64 cannot say, because two results differ by rounding or overflow, balls can. An entry is
a ball of `flint` (Arb): a midpoint with many digits and a bound on how far off it is. Two balls
that do not meet are two different numbers, whatever was rounded on the way; two that do meet are
one number, as far as they are small.

An entry that has no value (the logarithm of a negative number, the reciprocal of zero) is
`UNDEFINED`. One of which nothing is known (the root of a ball around zero) is not a number of
`flint`, and meets everything. Where balls do not say which of two numbers is larger, `Undecided`
is raised: ask again with more bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cmp_to_key, reduce
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.arrays import (
    Array,
    ArrayAlgebra,
    Real,
    boxed,
    elementwise,
    exactly,
    python,
)

BITS = 256


class Undecided(Outside):
    """The balls are too large to say which of two numbers is larger."""


class Undefined:
    """The value of what has none; so has all that is computed from it."""

    def _same(self, *others: Any) -> Undefined:
        return self

    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = _same
    __neg__ = __truediv__ = __rtruediv__ = __pow__ = _same

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


class BallAlgebra(ArrayAlgebra):
    """Floats are balls of `bits` binary digits."""

    name = "balls"

    def __init__(self, bits: int = BITS) -> None:
        self.bits = bits
        super().__init__()

    def begin(self, sizes: Any, values: Any, seed: int) -> None:
        super().begin(sizes, values, seed)
        ctx.prec = self.bits  # how flint is told

    def floats(self, x: Array) -> Array:
        ctx.prec = self.bits
        return elementwise(ball, x)

    def array(self, value: Any, dtype: str) -> Array:
        if dtype != "float":
            return super().array(value, dtype)
        return self.floats(boxed(np.asarray(value, dtype=object)))

    def same(self, x: Array, y: Array) -> bool:
        """Whether no entry is known to differ."""
        return compared(x, y) not in ("different", "undefined")

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        return self.floats(self.generator(name, seed).standard_normal(tuple(shape)).astype(object))

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        return boxed(np.frompyfunc(_KNOWN[f"{how}imum"], 2, 1).reduce(x, axis=dim))

    def topk(self, x: Array, k: int, largest: bool) -> tuple[Array, Array]:
        rows = elementwise(cmp_to_key(_order), x)
        _, places = super().topk(rows, k, largest)
        return np.take_along_axis(x, places.astype(np.int64), axis=-1), places

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        if any(x.shape[d] == 0 for d in dims):
            return x
        x = self.floats(x)
        top = x
        for d in dims:
            top = np.expand_dims(self.extreme("max", top, d), d)
        # Any number may be subtracted: the middle of the largest ball has no width to add.
        e = elementwise(_exp, x - elementwise(_middle, top))
        return elementwise(_share, e, self.total(e, dims))

    def turn(self, step: int, size: int) -> tuple[Any, Any]:
        angle = fmpq(2 * step, size)
        return arb.cos_pi_fmpq(angle), arb.sin_pi_fmpq(angle)

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        ctx.prec = self.bits
        if not any(isinstance(entry, (arb, Undefined)) for x in inputs for entry in x.flat):
            result = exactly(function, numbers, inputs)
        else:
            inputs = [x if x.dtype == bool else self.floats(x) for x in inputs]
            result = elementwise(self._form(function, [ball(x) for x in numbers]), *inputs)
        if gives == "bool":
            return result.astype(bool)
        return self.floats(result) if gives == "float" else result

    def _form(self, function: Function, numbers: Sequence[Any]) -> Callable[..., Any]:
        """The function on entries, by the best form that it has."""
        known = _KNOWN.get(function.name)
        if known is not None:
            form: Callable[..., Any] = known
        elif function.exact is not None:
            form = _exact_form(function.exact)
        elif function.sympy is not None:
            form = self._symbolic_form(function.sympy)
        else:
            raise Outside(f"{function.name} is known to torch alone")

        def applied(*arguments: Any) -> Any:
            if any(x is UNDEFINED for x in arguments):
                return UNDEFINED if function.gives != "bool" else False
            return form(*arguments, *numbers)

        return applied

    def _symbolic_form(self, form: Callable[..., Any]) -> Callable[..., Any]:
        """What SymPy makes of the middles, trusted to half of the digits."""
        import sympy

        digits = int(self.bits * 0.301)

        def applied(*arguments: Any) -> Any:
            given = [sympy.Float(x.mid().str(digits, radius=False), digits) for x in arguments]
            value = sympy.N(form(*given), digits)
            if not value.is_Float and not value.is_Rational:
                return UNDEFINED
            found = arb(str(value))
            return found * arb(1, 10.0 ** (-digits // 2))

        return applied

    # -- functions of a user's own ------------------------------------------------------------

    def call(self, function: Callable[..., Any], inputs: Sequence[Array]) -> Any:
        return super().call(function, [elementwise(_wrapped, x) for x in inputs])

    def returned(self, x: Any) -> Array:
        return elementwise(_unwrapped, np.asarray(x, dtype=object))


def ball(entry: Any) -> Any:
    """A number as a ball; what is exact stays exact as far as it has room."""
    if isinstance(entry, (arb, Undefined)):
        return entry
    entry = python(entry)
    if isinstance(entry, Fraction):
        return arb(fmpq(entry.numerator, entry.denominator))
    if isinstance(entry, float) and entry in (float("inf"), -float("inf")):
        return arb.pos_inf() if entry > 0 else arb.neg_inf()
    return arb(entry)


# -- comparison -----------------------------------------------------------------------------------


def compared(x: Array, y: Array) -> str:
    """`different` where entries surely differ, `undefined` where only one has a value, `unknown`
    where balls meet and are large, else `equal`."""
    finding = "equal"
    sizes = [abs(e.mid()) for z in (x, y) for e in z.flat if isinstance(e, arb) and e.is_finite()]
    largest = reduce(arb.max, sizes, arb(0))
    for a, b in zip(x.flat, y.flat, strict=True):
        found = _entry(a, b, largest)
        if found == "different":
            return found
        finding = found if finding == "equal" or found == "undefined" else finding
    return finding


def _entry(a: Any, b: Any, largest: Any) -> str:
    if not isinstance(a, (arb, Undefined)) or not isinstance(b, (arb, Undefined)):
        return "different" if bool(a != b) else "equal"
    if isinstance(a, Undefined) or isinstance(b, Undefined):
        known = [x for x in (a, b) if isinstance(x, arb)]
        return "equal" if not known else "unknown" if known[0].is_nan() else "undefined"
    if a.is_nan() or b.is_nan():
        return "unknown"
    if not a.overlaps(b):
        return "different"
    return "equal" if _narrow(a, b, largest) else "unknown"


def _narrow(a: Any, b: Any, largest: Any) -> bool:
    """Whether balls that meet say much: to 30 digits of themselves or of the largest entry."""
    if not (a.is_finite() and b.is_finite()):
        return bool(a == b)  # both are the same infinity
    room = arb.max(abs(a.mid()), largest) * arb(2) ** -100
    return bool(a.rad() <= room and b.rad() <= room)


def _order(a: Any, b: Any) -> int:
    """-1, 0 or 1. Raises `Undecided`."""
    if a < b:
        return -1
    if b < a:
        return 1
    if a.is_exact() and b.is_exact():
        return 0
    raise Undecided("which of two numbers is larger is not known to so many digits")


# -- functions by name ----------------------------------------------------------------------------


def _infinite(x: Any) -> bool:
    return not x.is_finite() and x.is_exact()


def _exp(x: Any) -> Any:
    return UNDEFINED if x is UNDEFINED else x.exp()


def _middle(x: Any) -> Any:
    """A number to shift a row by; none for a row of minus infinities."""
    return UNDEFINED if x is UNDEFINED else x.mid() if x.is_finite() else arb(0)


def _share(e: Any, total: Any) -> Any:
    """Of a row without weight every share is 0."""
    if e is UNDEFINED or total is UNDEFINED:
        return UNDEFINED
    return e if total.is_zero() else e / total


def _log(x: Any) -> Any:
    if x > 0:
        return x.log() if x.is_finite() else x
    return UNDEFINED if x < 0 else arb.neg_inf() if x.is_zero() else arb.nan()


def _sqrt(x: Any) -> Any:
    if x >= 0:
        return x.sqrt() if x.is_finite() else x
    return UNDEFINED if x < 0 else arb.nan()


def _reciprocal(x: Any) -> Any:
    if x.is_zero():
        return UNDEFINED
    return arb(0) if _infinite(x) else 1 / x


def _power(x: Any, exponent: Any) -> Any:
    if exponent.is_integer():
        whole = int(exponent.unique_fmpz())
        return x**whole if whole >= 0 else _power_of(_reciprocal(x), -whole)
    if x > 0:
        return x**exponent
    if x.is_zero():
        return arb(0) if exponent > 0 else UNDEFINED
    return UNDEFINED if x < 0 else arb.nan()


def _power_of(x: Any, whole: int) -> Any:
    return x if x is UNDEFINED else x**whole


def _sigmoid(x: Any) -> Any:
    if _infinite(x):
        return arb(1) if x > 0 else arb(0)
    if x > 0:
        return 1 / (1 + (-x).exp())
    e = x.exp()
    return e / (1 + e)


def _tanh(x: Any) -> Any:
    return x.sgn() if _infinite(x) else x.tanh()


def _gelu(x: Any) -> Any:
    return x * (-x / arb(2).sqrt()).erfc() / 2


def _elu(x: Any) -> Any:
    return _branch(x, lambda x: x, lambda x: x.expm1())


def _branch(x: Any, above: Callable[..., Any], below: Callable[..., Any]) -> Any:
    """One function above zero, another below; both where that is not known."""
    if x > 0:
        return above(x)
    return below(x) if x <= 0 else above(x).union(below(x))


def _maximum(x: Any, y: Any) -> Any:
    return _extreme(x, y, 1)


def _minimum(x: Any, y: Any) -> Any:
    return _extreme(x, y, -1)


def _extreme(x: Any, y: Any, sign: int) -> Any:
    if x is UNDEFINED or y is UNDEFINED:
        return UNDEFINED
    if not isinstance(x, arb) or not isinstance(y, arb):
        return max(x, y) if sign > 0 else min(x, y)  # integers
    if _infinite(x) or _infinite(y):
        return x if (x > y) == (sign > 0) else y
    return x.max(y) if sign > 0 else x.min(y)


def _equal(x: Any, y: Any) -> bool:
    return bool(x.overlaps(y)) and _order(x, y) == 0


def _to_int(x: Any) -> int:
    whole = (abs(x)).floor().unique_fmpz()
    if whole is None:
        raise Undecided("which integer is next is not known to so many digits")
    return int(whole) if x >= 0 else -int(whole)


_KNOWN: dict[str, Callable[..., Any]] = {
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "erf": lambda x: x.erf(),
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: x.exp().log1p(),
    "elu": _elu,
    "reciprocal": _reciprocal,
    "negate": lambda x: -x,
    "power": _power,
    "abs": abs,
    "sign": lambda x: x.sgn(),
    "relu": lambda x: _maximum(x, arb(0)),
    "floor": lambda x: x.floor(),
    "leaky_relu": lambda x, slope: _branch(x, lambda x: x, lambda x: x * slope),
    "less": lambda x, y: _order(x, y) < 0,
    "less_equal": lambda x, y: _order(x, y) <= 0,
    "equal": _equal,
    "maximum": _maximum,
    "minimum": _minimum,
    "to_int": _to_int,
}


# -- exact forms of a user's own ------------------------------------------------------------------


def _exact_form(exact: Callable[..., Any]) -> Callable[..., Any]:
    def applied(*arguments: Any) -> Any:
        try:
            return _unwrapped(exact(*map(_wrapped, arguments)))
        except Undecided:
            raise
        except (ArithmeticError, ValueError, TypeError, Outside):
            return UNDEFINED

    return applied


class Number:
    """A ball that refuses a comparison which it does not decide."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def _with(self, other: Any, operation: str) -> Any:
        if not isinstance(other, (Number, int, float, Fraction)):
            return NotImplemented
        found = getattr(self.value, operation)(ball(_unwrapped(other)))
        return Number(found)

    def __add__(self, other: Any) -> Any:
        return self._with(other, "__add__")

    def __mul__(self, other: Any) -> Any:
        return self._with(other, "__mul__")

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Number:
        return Number(-self.value)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, "__sub__")

    def __rsub__(self, other: Any) -> Any:
        return -(self - other)

    def __truediv__(self, other: Any) -> Any:
        return self * Number(_reciprocal(ball(_unwrapped(other))))

    def __rtruediv__(self, other: Any) -> Any:
        return Number(_reciprocal(self.value)) * other

    def __pow__(self, exponent: Any) -> Number:
        return Number(_power(self.value, ball(_unwrapped(exponent))))

    def __abs__(self) -> Number:
        return Number(abs(self.value))

    def exp(self) -> Number:
        """The exponential; numpy's `exp` calls it on arrays of objects."""
        return Number(_exp(self.value))

    def _compared(self, other: Any) -> int:
        return _order(self.value, ball(_unwrapped(other)))

    def __lt__(self, other: Any) -> bool:
        return self._compared(other) < 0

    def __le__(self, other: Any) -> bool:
        return self._compared(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self._compared(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self._compared(other) >= 0

    def __eq__(self, other: object) -> bool:
        return _equal(self.value, ball(_unwrapped(other)))

    __hash__ = None  # type: ignore[assignment]

    def __floor__(self) -> int:
        return _to_int(self.value.floor())


def _wrapped(entry: Any) -> Any:
    return Number(entry) if isinstance(entry, arb) else entry


def _unwrapped(entry: Any) -> Any:
    return entry.value if isinstance(entry, Number) else entry
