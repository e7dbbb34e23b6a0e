"""Contraction, sums, quotients, reductions, softmax."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from fractions import Fraction

from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.reductions import ALL, ANY, MAX, MIN, SOFTMAX
from vesalius.diagrams.errors import AxisError, SizeError, TypeClash
from vesalius.diagrams.sizes import product
from vesalius.diagrams.types import axis_names
from vesalius.diagrams.verbs.common import (
    atomic,
    builder_of,
    constant_wire,
    explained,
    handle,
    named_use,
    place,
    require_axis,
    wires,
)
from vesalius.diagrams.verbs.functions import negate, reciprocal
from vesalius.diagrams.wire import Operand, Wire

Axes = str | Sequence[str]


@atomic
def add(*operands: Operand) -> Wire:
    """Add wires and numbers; axes that an operand lacks are broadcast.

    The sum has the axes of all. Raises `TypeClash` for truth values, `SizeError` for axes of one
    name and two sizes.
    """
    given = wires("add", *operands)
    if len(given) == 1 and given[0].id not in given[0].builder.several:
        return given[0]
    made = place("add", ADD, (), given, [named_use(wire) for wire in given])
    return handle(given[0].builder, made)


@atomic
def contract(*operands: Operand, over: Axes = ()) -> Wire:
    """Multiply all operands and sum over the axes `over`; n-ary, in any order.

    The result has the axes of all operands but those. Raises `AxisError` when no operand has one
    of the axes, `TypeClash` for truth values, `SizeError` for axes of one name and two sizes.
    """
    given = wires("contract", *operands)
    axes = axis_names(over)
    for axis in axes:
        if not builtins.any(axis in wire.names for wire in given):
            types = "; ".join(str(wire.type) for wire in given)
            raise AxisError(f"contract: no input has the axis {axis!r}; the inputs are {types}")
    if len(given) == 1 and not axes and given[0].id not in given[0].builder.several:
        return given[0]
    made = place("contract", CONTRACT, (), given, [named_use(w) for w in given], axes)
    return handle(given[0].builder, made)


@atomic
def subtract(left: Operand, right: Operand) -> Wire:
    """`left - right`: the sum with the negative, so that subtraction needs no rules.

    Raises what `add` raises.
    """
    builder = builder_of((left, right))
    taken = right if isinstance(right, Wire) else constant_wire(builder, right, "subtract")
    return add(left, negate(taken))


@atomic
def divide(top: Operand, bottom: Operand) -> Wire:
    """`top / bottom`: the product with a reciprocal, so that division needs no rules.

    Raises `SizeError` for a division by the number 0, and what `contract` raises.
    """
    builder = builder_of((top, bottom))
    if not isinstance(bottom, Wire) and bottom == 0:
        raise SizeError(f"divide: {top!r} is divided by zero")
    if not isinstance(bottom, Wire) and isinstance(bottom, (int, Fraction)):
        return contract(top, Fraction(1) / bottom)
    below = bottom if isinstance(bottom, Wire) else constant_wire(builder, bottom, "divide")
    inverse = reciprocal(below)
    if not isinstance(top, Wire) and top == 1:
        return inverse
    return contract(top, inverse)


@explained
def sum(x: Wire, over: Axes) -> Wire:
    """The sum over axes, which the result lacks: a contraction with a single input.

    Raises `AxisError` for an axis that `x` lacks.
    """
    return contract(x, over=over)


@atomic
def mean(x: Wire, over: Axes) -> Wire:
    """The mean over axes, which the result lacks. Raises `AxisError` for one that `x` lacks."""
    sizes = [require_axis("mean", x, axis) for axis in axis_names(over)]
    return divide(sum(x, over), product(sizes))


def _reduction(kind: Kind) -> Callable[..., Wire]:
    def verb(x: Wire, over: Axes) -> Wire:
        if isinstance(over, Wire) and kind in (MAX, MIN):
            raise TypeClash(
                f"{kind.name} acts along an axis, as {kind.name}(x, over='n'); of two wires, entry "
                f"by entry, take vs.{kind.name}imum(x, y)"
            )
        axes = axis_names(over)
        if not axes:
            raise AxisError(f"{kind.name}: name an axis to act on")
        for axis in axes:
            require_axis(kind.name, x, axis)
        made = place(kind.name, kind, (), [x], [named_use(x)], axes)
        return handle(x.builder, made)

    verb.__name__ = verb.__qualname__ = kind.name
    kept = "the same axes" if kind is SOFTMAX else "its other axes"
    verb.__doc__ = (
        f"{kind.summary[0].upper()}{kind.summary[1:]}.\n\n"
        f"The result has {kept}. Raises `AxisError` without an axis, and for one that `x` lacks; "
        f"`TypeClash` for another element type."
    )
    return explained(verb)


max = _reduction(MAX)
min = _reduction(MIN)
all = _reduction(ALL)
any = _reduction(ANY)
softmax = _reduction(SOFTMAX)
