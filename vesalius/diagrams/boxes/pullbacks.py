"""The derivatives of the declared pointwise functions, as wires.

A pullback takes the cotangent of the value, the arguments, the value and the function's numbers,
and returns a cotangent for each argument, or None for zero. At a kink it is torch's choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from vesalius.diagrams.wire import Wire

FunctionPullback: TypeAlias = "Callable[..., Sequence[Wire | None]]"


def _of(name: str, *wires: Any) -> Any:
    from vesalius.diagrams import verbs

    return getattr(verbs, name)(*wires)


def _erf(d: Wire, x: Wire, y: Wire) -> list[Wire]:
    return [d * (_of("exp", -(x * x)) * (2 / math.sqrt(math.pi)))]


def _gelu(d: Wire, x: Wire, y: Wire) -> list[Wire]:
    """Φ(x) + x·φ(x): the distribution and the density of a standard normal."""
    below = (_of("erf", x * math.sqrt(0.5)) + 1) * 0.5
    density = _of("exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return [d * (below + x * density)]


def _silu(d: Wire, x: Wire, y: Wire) -> list[Wire]:
    s = _of("sigmoid", x)
    return [d * (s + y * (1 - s))]


def _power(d: Wire, x: Wire, y: Wire, exponent: Any) -> list[Wire | None]:
    if exponent == 0:
        return [None]
    rest = 1 if exponent == 1 else x if exponent == 2 else x ** (exponent - 1)
    return [d * (exponent * rest)]


def _leaky(d: Wire, x: Wire, y: Wire, slope: Any) -> list[Wire]:
    return [_of("where", x > 0, d, d * slope)]


def _winner(d: Wire, a: Wire, b: Wire, y: Wire) -> list[Wire]:
    """To the argument that is the value; half to each where both are."""
    share = _of("where", _of("equal", a, b), d * 0.5, d)
    return [_of("where", _of("equal", x, y), share, 0.0) for x in (a, b)]


def _where(d: Wire, condition: Wire, a: Wire, b: Wire, y: Wire) -> list[Wire | None]:
    return [None, _of("where", condition, d, 0.0), _of("where", condition, 0.0, d)]


def _nothing(d: Wire, x: Wire, y: Wire) -> list[None]:
    return [None]


PULLBACKS: Mapping[str, FunctionPullback] = {
    "exp": lambda d, x, y: [d * y],
    "log": lambda d, x, y: [d / x],
    "sqrt": lambda d, x, y: [d / (2 * y)],
    "tanh": lambda d, x, y: [d * (1 - y * y)],
    "sigmoid": lambda d, x, y: [d * y * (1 - y)],
    "sin": lambda d, x, y: [d * _of("cos", x)],
    "cos": lambda d, x, y: [-(d * _of("sin", x))],
    "erf": _erf,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": lambda d, x, y: [d * _of("sigmoid", x)],
    "elu": lambda d, x, y: [_of("where", x > 0, d, d * (y + 1))],
    "reciprocal": lambda d, x, y: [-(d * y * y)],
    "negate": lambda d, x, y: [-d],
    "power": _power,
    "abs": lambda d, x, y: [d * _of("sign", x)],
    "sign": _nothing,
    "floor": _nothing,
    "relu": lambda d, x, y: [_of("where", x > 0, d, 0.0)],
    "leaky_relu": _leaky,
    "maximum": _winner,
    "minimum": _winner,
    "where": _where,
    "to_float": lambda d, x, y: [d],
}
