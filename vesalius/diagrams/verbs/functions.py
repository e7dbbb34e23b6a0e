"""The verbs of the declared pointwise functions, entry by entry: all axes are tubes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vesalius.diagrams.box import Box
from vesalius.diagrams.box import box as make_box
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, POINTWISE, Function
from vesalius.diagrams.errors import StructureError, TypeClash
from vesalius.diagrams.sizes import number
from vesalius.diagrams.verbs.common import atomic, handle, named_use, place, wires
from vesalius.diagrams.wire import Operand, Wire


@atomic
def apply(function: Function, *operands: Operand, **parameters: float) -> Wire:
    """Apply a pointwise function to wires and numbers; all axes are tubes.

    The result has the axes of all. Raises `TypeClash` for another number of operands, other
    parameters, or element types that the function does not take.
    """
    if len(operands) != function.arity:
        raise TypeClash(f"{function.name} takes {function.arity} arguments, not {len(operands)}")
    if operands and isinstance(operands[0], bool):
        raise StructureError(
            f"{function.name} takes wires, not {operands[0]}; x == y asks whether two wires are "
            "one: write vs.equal(x, y)"
        )
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
        if builder.symmetries:
            return None
        key = (builder.types[wire.id].dtype, len(names))
        kept = known.get(key, missing)
        if kept is missing:
            made = make_box(POINTWISE, (function, ()), (tuple(range(len(names))),))
            keeps = POINTWISE.dtypes(made, key[:1]) == key[:1]
            kept = known[key] = made if keeps else None
        return builder.unary(kept, wire.id, names) if kept is not None else None  # type: ignore[arg-type]

    return fast


_NOUNS = {"int": "integer", "bool": "truth value", "any": "wire"}


def _doc(function: Function) -> str:
    """What the verb of a function says of itself."""
    noun = _NOUNS.get(function.takes, function.takes)
    takes = f"one {noun}" if function.arity == 1 else f"{function.arity} {noun}s"
    takes += "".join(f", and the number {name}" for name in function.parameters)
    given = _NOUNS.get(function.gives, function.gives)
    article = "an" if given[0] in "aei" else "a"
    gives = "of the same type" if given == "same" else f"{article} {given}"
    return (
        f"The pointwise function {function.symbol or function.name}, entry by entry.\n\n"
        f"It takes {takes}; the result is {gives} and has the axes of all. Derivative: "
        f"{function.derivative or 'not declared'}. Raises `TypeClash` for other element types and "
        f"another number of arguments."
    )


def verb(name: str) -> Callable[..., Wire]:
    """The verb of a declared function; parameters may be given in order after the wires."""
    function = FUNCTIONS[name]
    fast = unary(function) if function.arity == 1 and not function.parameters else None

    def place_it(*operands: Any, **parameters: float) -> Wire:
        if fast is not None and not parameters and len(operands) == 1 and type(operands[0]) is Wire:
            wire = fast(operands[0])
            if wire is not None:
                return wire
        extra = operands[function.arity :]
        if len(extra) > len(function.parameters):
            raise TypeClash(f"{name} takes {function.arity} arguments, not {len(operands)}")
        named = dict(zip(function.parameters, extra, strict=False))
        return apply(function, *operands[: function.arity], **{**named, **parameters})

    place_it.__name__ = place_it.__qualname__ = name
    place_it.__doc__ = _doc(function)
    return place_it


exp = verb("exp")
log = verb("log")
sqrt = verb("sqrt")
tanh = verb("tanh")
sigmoid = verb("sigmoid")
sin = verb("sin")
cos = verb("cos")
erf = verb("erf")
gelu = verb("gelu")
silu = verb("silu")
softplus = verb("softplus")
elu = verb("elu")
reciprocal = verb("reciprocal")
negate = verb("negate")
power = verb("power")
abs = verb("abs")
sign = verb("sign")
relu = verb("relu")
floor = verb("floor")
leaky_relu = verb("leaky_relu")
less = verb("less")
less_equal = verb("less_equal")
equal = verb("equal")
maximum = verb("maximum")
minimum = verb("minimum")
logical_and = verb("logical_and")
logical_or = verb("logical_or")
logical_not = verb("logical_not")
floor_divide = verb("floor_divide")
remainder = verb("remainder")
where = verb("where")
to_float = verb("to_float")
to_int = verb("to_int")
