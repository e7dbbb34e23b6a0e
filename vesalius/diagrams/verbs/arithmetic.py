"""Pointwise functions, contraction, sums, reductions, softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import Box, Kind
from vesalius.diagrams.box import box as make_box
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, POINTWISE, Function
from vesalius.diagrams.boxes.reductions import ALL, ANY, MAX, MIN, SOFTMAX
from vesalius.diagrams.errors import AxisError, TypeClash
from vesalius.diagrams.sizes import number, product
from vesalius.diagrams.types import axis_names
from vesalius.diagrams.verbs.common import (
    builder_of,
    constant_wire,
    handle,
    named_use,
    place,
    require_axis,
    wires,
)
from vesalius.diagrams.wire import Operand, Wire

Axes = str | Sequence[str]


def apply(function: Function, *operands: Operand, **parameters: float) -> Wire:
    """Apply a pointwise function to wires and numbers; all axes are tubes."""
    if len(operands) != function.arity:
        raise TypeClash(f"{function.name} takes {function.arity} arguments, not {len(operands)}")
    if set(parameters) != set(function.parameters):
        wanted = ", ".join(function.parameters) or "no parameters"
        raise TypeClash(f"{function.name} takes {wanted}, not {', '.join(parameters) or 'none'}")
    numbers = tuple(number(parameters[name]) for name in function.parameters)
    given = wires(function.name, *operands)
    uses = [named_use(wire) for wire in given]
    made = place(function.name, POINTWISE, (function, numbers), given, uses)
    return handle(given[0].builder, made)


def unary(function: Function) -> Callable[[Wire], Wire | None]:
    """A fast path for a function of one argument that keeps the type of its input.

    The box depends on the rank of the input alone and is found by rank; None where the fast
    path does not serve.
    """
    known: dict[tuple[str, int], Box | None] = {}
    missing = object()

    def fast(wire: Wire) -> Wire | None:
        builder, names = wire.builder, wire.names
        if builder._symmetries:
            return None
        key = (builder.types[wire.id].dtype, len(names))
        kept = known.get(key, missing)
        if kept is missing:
            made = make_box(POINTWISE, (function, ()), (tuple(range(len(names))),))
            keeps = POINTWISE.dtypes(made, key[:1]) == key[:1]
            kept = known[key] = made if keeps else None
        return builder.unary(kept, wire.id, names) if kept is not None else None  # type: ignore

    return fast


def _verb(function: Function) -> Callable[..., Wire]:
    """The verb of a declared function; parameters may be given in order after the wires."""
    fast = unary(function) if function.arity == 1 and not function.parameters else None

    def verb(*operands: Any, **parameters: float) -> Wire:
        if fast is not None and len(operands) == 1 and type(operands[0]) is Wire:
            wire = fast(operands[0])
            if wire is not None:
                return wire
        extra = operands[function.arity :]
        named = dict(zip(function.parameters, extra, strict=False))
        return apply(function, *operands[: function.arity], **named, **parameters)

    verb.__name__ = verb.__qualname__ = function.name
    verb.__doc__ = f"The pointwise function {function.symbol or function.name}, entry by entry."
    return verb


FUNCTION_VERBS: dict[str, Callable[..., Wire]] = {
    name: _verb(function) for name, function in FUNCTIONS.items()
}


def add(*operands: Operand) -> Wire:
    """Add wires and numbers; axes that an operand lacks are broadcast."""
    given = wires("add", *operands)
    if len(given) == 1:
        return given[0]
    made = place("add", ADD, (), given, [named_use(wire) for wire in given])
    return handle(given[0].builder, made)


def contract(*operands: Operand, over: Axes = ()) -> Wire:
    """Multiply all operands and sum over the axes `over`; n-ary, in any order.

    Raises `AxisError` when no operand has one of the axes.
    """
    given = wires("contract", *operands)
    axes = axis_names(over)
    for axis in axes:
        if not any_has(given, axis):
            types = "; ".join(str(wire.type) for wire in given)
            raise AxisError(f"contract: no input has the axis {axis!r}; the inputs are {types}")
    if len(given) == 1 and not axes:
        return given[0]
    made = place("contract", CONTRACT, (), given, [named_use(w) for w in given], axes)
    return handle(given[0].builder, made)


def any_has(given: Sequence[Wire], axis: str) -> bool:
    """Whether one of the wires carries the axis."""
    for wire in given:
        if axis in wire.names:
            return True
    return False


def divide(top: Operand, bottom: Operand) -> Wire:
    """`top / bottom`: the product with a reciprocal, so that division needs no rules."""
    builder = builder_of((top, bottom))
    if not isinstance(bottom, Wire) and isinstance(bottom, (int, Fraction)):
        return contract(top, Fraction(1) / bottom)
    below = bottom if isinstance(bottom, Wire) else constant_wire(builder, bottom, "divide")
    inverse = apply(FUNCTIONS["reciprocal"], below)
    if not isinstance(top, Wire) and top == 1:
        return inverse
    return contract(top, inverse)


def sum(x: Wire, over: Axes) -> Wire:
    """The sum over axes: a contraction with a single input."""
    return contract(x, over=over)


def mean(x: Wire, over: Axes) -> Wire:
    """The mean over axes."""
    sizes = [require_axis("mean", x, axis) for axis in axis_names(over)]
    return divide(sum(x, over), product(sizes))


def _reduction(kind: Kind) -> Callable[[Wire, Axes], Wire]:
    def verb(x: Wire, over: Axes) -> Wire:
        axes = axis_names(over)
        for axis in axes:
            require_axis(kind.name, x, axis)
        made = place(kind.name, kind, (), [x], [named_use(x)], axes)
        return handle(x.builder, made)

    verb.__name__ = verb.__qualname__ = kind.name
    verb.__doc__ = f"{kind.summary[0].upper()}{kind.summary[1:]}."
    return verb


max = _reduction(MAX)
min = _reduction(MIN)
all = _reduction(ALL)
any = _reduction(ANY)
softmax = _reduction(SOFTMAX)
