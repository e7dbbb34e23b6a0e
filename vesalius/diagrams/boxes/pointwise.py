"""Pointwise functions: applied entry by entry, so every axis is a tube.

A `Function` is declared once: what it is on floats (torch, as a template of code that is also
what the compiler writes), on exact numbers, on symbols, and in a finite field. A user adds
one with `vs.function`. A function without an exact or symbolic form is opaque there: the
finite field takes a keyed hash of it, which keeps congruence and assumes nothing else, SymPy
an unspecified function; the rationals refuse it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Box, Kind, Look, Site, declare, tubes_only
from vesalius.diagrams.boxes.pullbacks import PULLBACKS, FunctionPullback
from vesalius.diagrams.errors import FormatError, Outside, TypeClash
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


LARGEST_POWER = 10_000  # of an exact rational


@dataclass(frozen=True, eq=False)
class Function:
    """A pointwise function of `arity` arguments and some numbers (`parameters`).

    `torch` is a template of code in `{0}`, `{1}`, … and the parameters' names, or a callable.
    `exact(*arguments, *parameters)` works on Fractions, integers and truth values, or raises
    `Outside`. `sympy` works on SymPy expressions. `field` is `"exp"`, `"rational"` (the exact
    form uses + − × ÷ only, so it serves in a field), `"root"` (a square root of a size) or
    `""` (a keyed hash). `takes` is `"float"` (integers become floats), `"number"`, `"int"`,
    `"bool"` or `"any"`; `gives` is an element type or `"same"`. `derivative` says in words
    what `pullback` computes on wires (`vesalius.diagrams.boxes.pullbacks`).
    """

    name: str
    arity: int = 1
    parameters: tuple[str, ...] = ()
    torch: str | Callable[..., Any] = ""
    exact: Callable[..., Any] | None = None
    sympy: Callable[..., Any] | None = None
    field: str = ""
    takes: str = "float"
    gives: str = "same"
    symbol: str = ""
    derivative: str = ""
    pullback: FunctionPullback | None = None
    commutative: bool = False
    flops: int = 1

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise FormatError(f"a function's name is an identifier, not {self.name!r}")

    def __repr__(self) -> str:
        return f"Function({self.name!r})"

    def __call__(self, *args: Any, **parameters: float) -> Any:
        """Apply this function to wires: `softplus(x)`, `power(x, exponent=2)`."""
        from vesalius.diagrams.verbs import apply

        return apply(self, *args, **parameters)


FUNCTIONS: dict[str, Function] = {}


def define(function: Function) -> Function:
    """Enter a function into the table of functions; its name must be free."""
    if function.name in FUNCTIONS:
        raise FormatError(f"a function named {function.name!r} is declared already")
    FUNCTIONS[function.name] = function
    return function


def _declare(function: Function) -> Function:
    """One of the library's own, with its derivative from the table."""
    return define(replace(function, pullback=PULLBACKS.get(function.name)))


def function(
    name: str,
    torch: str | Callable[..., Any],
    *,
    arity: int = 1,
    exact: Callable[..., Any] | None = None,
    sympy: Callable[..., Any] | None = None,
    parameters: tuple[str, ...] = (),
    takes: str = "float",
    gives: str = "same",
    symbol: str = "",
    derivative: str = "",
    pullback: FunctionPullback | None = None,
) -> Function:
    """Declare a pointwise function of your own; it returns what you call on wires.

    `pullback(d, x, y)` gives `vs.grad` its derivative: from the cotangent d of the value, the
    argument x and the value y to a cotangent of each argument, as wires.

    >>> import vesalius as vs
    >>> from vesalius.diagrams.boxes.pointwise import FUNCTIONS
    >>> cube = FUNCTIONS.get("cube") or vs.function("cube", lambda x: x**3)
    >>> @vs.diagram
    ... def f(x: "n") -> "n":
    ...     return cube(x)
    """
    return define(
        Function(
            name,
            arity,
            parameters,
            torch,
            exact,
            sympy,
            takes=takes,
            gives=gives,
            symbol=symbol,
            derivative=derivative,
            pullback=pullback,
        )
    )


# -- the kind -------------------------------------------------------------------------------


def _dtypes(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    function = box["function"]
    if function.name == "where":
        if dtypes[0] != "bool" or ("bool" in dtypes[1:] and set(dtypes[1:]) != {"bool"}):
            raise TypeClash(f"where takes a truth value and two of one kind, not {dtypes}")
        return ("float" if "float" in dtypes[1:] else dtypes[1],)
    for dtype in dtypes:
        if not _admits(function.takes, dtype):
            raise TypeClash(f"{function.name} takes {function.takes}, not {dtype}")
    if function.gives != "same":
        return (function.gives,)
    return ("float" if "float" in dtypes or function.takes == "float" else dtypes[0],)


def _admits(takes: str, dtype: str) -> bool:
    return takes in ("any", dtype) or (takes in ("number", "float") and dtype != "bool")


def _cost(site: Site) -> Mapping[str, Size]:
    function = site.box["function"]
    if not function.flops:
        return {}
    return {function.name: product(site.sizes) * function.flops}


def _meaning(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    function, numbers = site.box["function"], site.box["numbers"]
    rank = list(range(site.box.inner))
    aligned = [algebra.align(x, row, rank) for x, row in zip(inputs, site.box.maps, strict=True)]
    return [algebra.pointwise(function, numbers, aligned, site.dtypes)]


def _label(box: Box) -> str:
    function, numbers = box["function"], box["numbers"]
    label: str = function.symbol or function.name
    return f"{label} {' '.join(f'{float(x):g}' for x in numbers)}" if numbers else label


def _pullback(pull: Pull) -> Sequence[Wire | None]:
    function = pull.box["function"]
    known = function.pullback
    if known is None:
        reason = function.derivative or "declare it with a pullback"
        raise TypeClash(f"grad: the function {function.name!r} cannot be differentiated: {reason}")
    numbers = dict(zip(function.parameters, pull.box["numbers"], strict=True))
    found: Sequence[Wire | None] = known(pull.cotangent, *pull.inputs, *pull.outputs, **numbers)
    return found


POINTWISE = declare(
    Kind(
        name="pointwise",
        summary="a function applied entry by entry",
        formula="y = f(x₁, x₂, …)",
        meaning=_meaning,
        outs=tubes_only,
        dtypes=_dtypes,
        fields=(("function", "function"), ("numbers", "numbers")),
        cost=_cost,
        look=Look("box", label=_label),
        derivative="∂xₖ = ∂y · ∂f/∂xₖ, as each function declares",
        pullback=_pullback,
        commutes=lambda attrs: attrs[0].commutative,
        broadcasts=True,
    )
)


# -- exact forms ------------------------------------------------------------------------------


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

for _name, _torch, _operator, _symbolic_name, _symbol in [
    ("less", "{0} < {1}", operator.lt, "Lt", "<"),
    ("less_equal", "{0} <= {1}", operator.le, "Le", "≤"),
    ("equal", "{0} == {1}", operator.eq, "Eq", "="),
]:
    _declare(
        Function(
            _name,
            2,
            torch=_torch,
            exact=_operator,
            sympy=_sympy(_symbolic_name),
            takes="number",
            gives="bool",
            symbol=_symbol,
            derivative="none: truth values have no tangent",
            commutative=_name == "equal",
        )
    )

for _name, _torch, _operator, _symbolic_name, _symbol in [
    ("maximum", "torch.maximum({0}, {1})", max, "Max", "max"),
    ("minimum", "torch.minimum({0}, {1})", min, "Min", "min"),
]:
    _declare(
        Function(
            _name,
            2,
            torch=_torch,
            exact=_operator,
            sympy=_sympy(_symbolic_name),
            takes="number",
            symbol=_symbol,
            derivative="to the argument that wins, half to each on a tie",
            commutative=True,
        )
    )

for _name, _torch, _operator, _symbolic_name, _symbol in [
    ("logical_and", "{0} & {1}", operator.and_, "And", "∧"),
    ("logical_or", "{0} | {1}", operator.or_, "Or", "∨"),
]:
    _declare(
        Function(
            _name,
            2,
            torch=_torch,
            exact=_operator,
            sympy=_sympy(_symbolic_name),
            field="rational",
            takes="bool",
            symbol=_symbol,
            derivative="none: truth values have no tangent",
            commutative=True,
        )
    )

_declare(
    Function(
        "logical_not",
        torch="~{0}",
        exact=lambda x: not x,
        sympy=_sympy("Not"),
        takes="bool",
        symbol="¬",
        derivative="none: truth values have no tangent",
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
