"""Many digits: real arithmetic in which rounding and overflow do not decide.

What float64 cannot say, because two results differ by rounding or overflow, 50 digits and an
unbounded exponent can. Where a function has no value (the logarithm of a negative number, the
reciprocal of zero) the entry is `nan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.arrays import Array, ArrayAlgebra, Real, boxed, elementwise, python

LARGEST = 10**15  # arguments of an exponential beyond this are refused


class PreciseAlgebra(ArrayAlgebra):
    """Floats are numbers of `mpmath` with `digits` decimal digits."""

    name = "precise"

    def __init__(self, digits: int = 50) -> None:
        self.context = mpmath.mp.clone()
        self.context.dps = digits
        super().__init__()

    def floats(self, x: Array) -> Array:
        return elementwise(self._number, x)

    def _number(self, entry: Any) -> Any:
        return self.context.convert(python(entry))

    def array(self, value: Any, dtype: str) -> Array:
        if dtype != "float":
            return super().array(value, dtype)
        return self.floats(boxed(np.asarray(value, dtype=object)))

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        return self.floats(self.generator(name, seed).standard_normal(tuple(shape)).astype(object))

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        return self.floats(super().total(x, dims)) if not x.size else super().total(x, dims)

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        choose = self._maximum if how == "max" else self._minimum
        return boxed(np.frompyfunc(choose, 2, 1).reduce(x, axis=dim))

    def _maximum(self, x: Any, y: Any) -> Any:
        return x if x != x or x > y else y

    def _minimum(self, x: Any, y: Any) -> Any:
        return x if x != x or x < y else y

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        if any(x.shape[d] == 0 for d in dims):
            return x
        x = self.floats(x)
        top = x
        for d in dims:
            top = np.expand_dims(self.extreme("max", top, d), d)
        top = elementwise(lambda t: t if t > -self.context.inf else self._number(0), top)
        e = elementwise(self._exp, x - top)
        total = self.total(e, dims)
        return elementwise(lambda a, b: a if b == 0 else a / b, e, total)

    def turn(self, step: int, size: int) -> tuple[Any, Any]:
        angle = 2 * self.context.pi * step / size
        return self.context.cos(angle), self.context.sin(angle)

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        own: Callable[..., Any] | None = getattr(self, f"_{function.name}", None)
        fixed = [self._number(x) for x in numbers]
        if own is not None:
            result = elementwise(lambda *xs: own(*xs, *fixed), *inputs)
        elif function.exact is not None:
            result = elementwise(lambda *xs: self._tried(function.exact, xs, fixed), *inputs)
        elif function.sympy is not None:
            result = elementwise(lambda *xs: self._symbolic(function, xs, fixed), *inputs)
        else:
            raise Outside(f"{function.name} is known to torch alone")
        if gives == "bool":
            return result.astype(bool)
        return self.floats(result) if gives == "float" else result

    def _tried(self, exact: Any, arguments: Sequence[Any], fixed: Sequence[Any]) -> Any:
        try:
            return exact(*arguments, *fixed)
        except (ArithmeticError, ValueError, TypeError, Outside):
            return self.context.nan

    def _symbolic(self, function: Function, arguments: Sequence[Any], fixed: Sequence[Any]) -> Any:
        import sympy

        digits = self.context.dps + 5
        given = [sympy.Float(x, digits) for x in (*arguments, *fixed)]
        if function.sympy is None or any(x != x for x in arguments):
            return self.context.nan
        value = sympy.N(function.sympy(*given), digits)
        if not value.is_Float and not value.is_Rational:
            return self.context.nan
        return self.context.mpf(value._to_mpmath(self.context.prec) if value.is_Float else value)

    # -- functions by name ----------------------------------------------------------------------

    def _exp(self, x: Any) -> Any:
        if abs(x) > LARGEST and abs(x) < self.context.inf:
            raise Outside(f"the exponential of {self.context.nstr(x, 5)}")
        return self.context.exp(x)

    def _log(self, x: Any) -> Any:
        return self.context.log(x) if x > 0 else -self.context.inf if x == 0 else self.context.nan

    def _sqrt(self, x: Any) -> Any:
        return self.context.sqrt(x) if x >= 0 else self.context.nan

    def _reciprocal(self, x: Any) -> Any:
        return 1 / x if x != 0 else self.context.nan

    def _power(self, x: Any, exponent: Any) -> Any:
        if (x < 0 and exponent != int(exponent)) or (x == 0 and exponent < 0):
            return self.context.nan
        return x ** (int(exponent) if exponent == int(exponent) else exponent)

    def _tanh(self, x: Any) -> Any:
        return self.context.tanh(x)

    def _sigmoid(self, x: Any) -> Any:
        e = self._exp(-abs(x))
        return 1 / (1 + e) if x >= 0 else e / (1 + e)

    def _silu(self, x: Any) -> Any:
        return x * self._sigmoid(x)

    def _sin(self, x: Any) -> Any:
        return self.context.sin(x)

    def _cos(self, x: Any) -> Any:
        return self.context.cos(x)

    def _erf(self, x: Any) -> Any:
        return self.context.erf(x)

    def _gelu(self, x: Any) -> Any:
        return x * (1 + self.context.erf(x / self.context.sqrt(2))) / 2

    def _softplus(self, x: Any) -> Any:
        return (x if x > 0 else 0) + self.context.log1p(self._exp(-abs(x)))

    def _elu(self, x: Any) -> Any:
        return x if x > 0 else self.context.expm1(x)

    def _floor(self, x: Any) -> Any:
        return self.context.floor(x)
