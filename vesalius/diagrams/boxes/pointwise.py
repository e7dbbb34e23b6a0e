"""Pointwise functions: applied entry by entry, so every axis is a tube.

A `Function` is declared once: what it is on floats (torch, as a template of code that is also
what the compiler writes), on exact numbers, on symbols, and in a finite field. A user adds
one with `vs.function`. A function without an exact or symbolic form is opaque there: the
finite field takes a keyed hash of it, which keeps congruence and assumes nothing else, SymPy
an unspecified function; the rationals refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Box, Kind, Look, Site, declare, tubes_only
from vesalius.diagrams.boxes.pullbacks import FunctionPullback
from vesalius.diagrams.errors import FormatError, TypeClash
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


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
