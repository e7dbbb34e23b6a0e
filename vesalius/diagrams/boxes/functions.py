"""The pointwise functions of the library: on torch, exactly, in SymPy, in a finite field."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from vesalius.diagrams.boxes.pointwise import Function, define
from vesalius.diagrams.boxes.pullbacks import PULLBACKS
from vesalius.diagrams.errors import Outside

LARGEST_POWER = 10_000  # of an exact rational


def _exact_sqrt(x: Any) -> Any:
    if x < 0:
        raise Outside("the square root of a negative rational")
    x = Fraction(x)
    top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
    if top * top != x.numerator or bottom * bottom != x.denominator:
        raise Outside(f"the square root of {x} is not rational")
    return Fraction(top, bottom)


def _exact_power(x: Any, exponent: Any) -> Any:
    if Fraction(exponent).denominator != 1:
        raise Outside(f"a rational to the power {exponent} need not be rational")
    if abs(exponent) > LARGEST_POWER:
        raise Outside(f"a rational to the power {exponent} has too many digits")
    return Fraction(x) ** int(exponent)


def _reciprocal(x: Any) -> Any:
    if x == 0:
        raise Outside("the reciprocal of zero")
    return 1 / Fraction(x)


def _by_a_number(quotient: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Division of integers, where there is one."""

    def divide(x: int, y: int) -> int:
        if y == 0:
            raise Outside("an integer divided by zero")
        return quotient(x, y)

    return divide


def _sympy(name: str) -> Callable[..., Any]:
    def apply(*arguments: Any) -> Any:
        import sympy

        return getattr(sympy, name)(*arguments)

    return apply


def _sigmoid(x: Any) -> Any:
    import sympy

    return 1 / (1 + sympy.exp(-x))


def _gelu(x: Any) -> Any:
    import sympy

    return x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2


def _elu(x: Any) -> Any:
    import sympy

    return sympy.Piecewise((x, x > 0), (sympy.exp(x) - 1, True))


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _symbolic_choose(condition: Any, a: Any, b: Any) -> Any:
    import sympy

    return sympy.Piecewise((a, condition), (b, True))


def _declare(function: Function) -> Function:
    """One of the library's own, with its derivative from the table."""
    return define(replace(function, pullback=PULLBACKS.get(function.name)))


def _declare_binary(
    name: str, torch: str, exact: Callable[..., Any], symbolic: str, symbol: str, **rest: Any
) -> None:
    """A function of two arguments, which SymPy calls `symbolic`."""
    written = _sympy(symbolic)
    _declare(Function(name, 2, torch=torch, exact=exact, sympy=written, symbol=symbol, **rest))


_DECLARED = [
    # name, arity, torch template, exact, sympy, field, symbol, derivative
    ("exp", 1, "torch.exp({0})", None, _sympy("exp"), "exp", "exp", "exp(x)"),
    ("log", 1, "torch.log({0})", None, _sympy("log"), "", "log", "1/x"),
    ("sqrt", 1, "torch.sqrt({0})", _exact_sqrt, _sympy("sqrt"), "root", "√", "1/(2·√x)"),
    ("tanh", 1, "torch.tanh({0})", None, _sympy("tanh"), "", "tanh", "1 − tanh(x)²"),
    ("sigmoid", 1, "torch.sigmoid({0})", None, _sigmoid, "", "σ", "σ(x)·(1 − σ(x))"),
    ("sin", 1, "torch.sin({0})", None, _sympy("sin"), "", "sin", "cos(x)"),
    ("cos", 1, "torch.cos({0})", None, _sympy("cos"), "", "cos", "−sin(x)"),
    ("erf", 1, "torch.erf({0})", None, _sympy("erf"), "", "erf", "2·exp(−x²)/√π"),
    ("gelu", 1, "F.gelu({0})", None, _gelu, "", "gelu", "Φ(x) + x·φ(x)"),
    ("silu", 1, "F.silu({0})", None, lambda x: x * _sigmoid(x), "", "silu", "σ + x·σ·(1 − σ)"),
    ("softplus", 1, "F.softplus({0}, threshold=50)", None, None, "", "softplus", "σ(x)"),
    ("elu", 1, "F.elu({0})", None, _elu, "", "elu", "1 where x > 0, exp(x) elsewhere"),
]


for _name, _arity, _torch, _exact, _symbolic, _field, _symbol, _derivative in _DECLARED:
    _declare(
        Function(
            _name,
            _arity,
            torch=_torch,
            exact=_exact,
            sympy=_symbolic,
            field=_field,
            symbol=_symbol,
            derivative=_derivative,
        )
    )

_declare(
    Function(
        "reciprocal",
        torch="torch.reciprocal({0})",
        exact=_reciprocal,
        sympy=lambda x: 1 / x,
        field="rational",
        symbol="1/x",
        derivative="−1/x²",
    )
)
_declare(
    Function(
        "negate",
        torch="-{0}",
        exact=operator.neg,
        sympy=operator.neg,
        field="rational",
        takes="number",
        symbol="−",
        derivative="−1",
    )
)
_declare(
    Function(
        "power",
        parameters=("exponent",),
        torch="{0} ** {exponent}",
        exact=_exact_power,
        sympy=lambda x, exponent: x**exponent,
        field="rational",
        symbol="xᵖ",
        derivative="p·xᵖ⁻¹",
    )
)
_declare(
    Function(
        "abs",
        torch="torch.abs({0})",
        exact=abs,
        sympy=_sympy("Abs"),
        takes="number",
        symbol="|x|",
        derivative="sign(x)",
    )
)
_declare(
    Function(
        "sign",
        torch="torch.sign({0})",
        exact=lambda x: (x > 0) - (x < 0),
        sympy=_sympy("sign"),
        takes="number",
        derivative="0",
    )
)
_declare(
    Function(
        "relu",
        torch="torch.relu({0})",
        exact=lambda x: max(x, type(x)(0)),
        sympy=lambda x: _sympy("Max")(x, 0),
        takes="number",
        symbol="relu",
        derivative="1 where x > 0",
    )
)
_declare(
    Function(
        "floor",
        torch="torch.floor({0})",
        exact=lambda x: Fraction(math.floor(x)),
        sympy=_sympy("floor"),
        symbol="⌊x⌋",
        derivative="0",
    )
)
_declare(
    Function(
        "leaky_relu",
        parameters=("slope",),
        torch="F.leaky_relu({0}, {slope})",
        exact=lambda x, slope: x if x > 0 else x * slope,
        sympy=lambda x, slope: _symbolic_choose(x > 0, x, slope * x),
        symbol="leaky",
        derivative="1 where x > 0, slope elsewhere",
    )
)

_TRUTH = "none: truth values have no tangent"
_compared = partial(
    _declare_binary, takes="number", gives="bool", derivative=_TRUTH, commutative=False
)
_compared("less", "{0} < {1}", operator.lt, "Lt", "<")
_compared("less_equal", "{0} <= {1}", operator.le, "Le", "≤")
_compared("equal", "{0} == {1}", operator.eq, "Eq", "=", commutative=True)

_WINS = "to the argument that wins, half to each on a tie"
_chosen = partial(_declare_binary, takes="number", derivative=_WINS, commutative=True)
_chosen("maximum", "torch.maximum({0}, {1})", max, "Max", "max")
_chosen("minimum", "torch.minimum({0}, {1})", min, "Min", "min")

_joined = partial(
    _declare_binary, takes="bool", field="rational", derivative=_TRUTH, commutative=True
)
_joined("logical_and", "{0} & {1}", operator.and_, "And", "∧")
_joined("logical_or", "{0} | {1}", operator.or_, "Or", "∨")

_declare(
    Function(
        "logical_not",
        torch="~{0}",
        exact=lambda x: not x,
        sympy=_sympy("Not"),
        takes="bool",
        symbol="¬",
        derivative=_TRUTH,
    )
)
_declare(
    Function(
        "floor_divide",
        2,
        torch="torch.div({0}, {1}, rounding_mode='floor')",
        exact=_by_a_number(operator.floordiv),
        sympy=operator.floordiv,
        takes="int",
        symbol="÷",
        derivative="none: integers have no tangent",
    )
)
_declare(
    Function(
        "remainder",
        2,
        torch="torch.remainder({0}, {1})",
        exact=_by_a_number(operator.mod),
        sympy=operator.mod,
        takes="int",
        symbol="mod",
        derivative="none: integers have no tangent",
    )
)
_declare(
    Function(
        "where",
        3,
        torch="torch.where({0}, {1}, {2})",
        exact=_choose,
        sympy=_symbolic_choose,
        takes="any",
        symbol="where",
        derivative="to the argument that is chosen",
    )
)
_declare(
    Function(
        "to_float",
        torch="{0}.to({dtype})",
        exact=Fraction,
        sympy=lambda x: _sympy("Integer")(int(x)) if isinstance(x, (bool, int)) else x,
        field="rational",
        takes="any",
        gives="float",
        symbol="float",
        derivative="1",
        flops=0,
    )
)
_declare(
    Function(
        "to_int",
        torch="{0}.to(torch.int64)",
        exact=lambda x: int(x),
        sympy=lambda x: _sympy("Integer")(int(x)),
        takes="any",
        gives="int",
        symbol="int",
        derivative="none: integers have no tangent",
        flops=0,
    )
)
