"""Initial values that are computed: a diagram without inputs says how a parameter starts.

It reads positions along the axes of the parameter, sizes, and random draws: ramps over the
channels, signs that alternate, step sizes whose logarithms are uniform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vesalius.diagrams.box import Draw
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.errors import AxisError, FormatError, TypeClash
from vesalius.diagrams.expressions import expression
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

Rule = Callable[..., "Wire | float"]


def start(name: str, declared: ArrayType, rule: Rule) -> Diagram:
    """What `rule` makes of the positions along each axis, repeated along those it lacks.

    Raises `FormatError`, `AxisError` or `TypeClash` where that is no array of this type.
    """
    from vesalius.diagrams import verbs as vs
    from vesalius.diagrams.verbs.common import constant_wire

    rule_name = getattr(rule, "__name__", "start")
    title = rule_name if rule_name.isidentifier() else "start"
    with Builder(title) as builder:
        made = rule(*(vs.iota(word) for word in declared.words()))
        wire = made if isinstance(made, Wire) else constant_wire(builder, made)
        if wire.dtype == "bool":
            raise TypeClash(f"parameter {name!r}: initial values are numbers, not truth values")
        wire = vs.to_float(wire) if wire.dtype == "int" else wire
        for axis, size in wire.axes.items():
            if declared.axes.get(axis) != size:
                raise AxisError(
                    f"parameter {name!r}: its initial values have the type {wire.type}, "
                    f"the parameter has {declared}"
                )
        missing = {axis: size for axis, size in declared.axes.items() if axis not in wire.axes}
        if missing:
            wire = vs.expand(wire, " ".join(ArrayType(missing).words()))
        slots = tuple(wire.names.index(axis) for axis in declared)
        return checked(name, builder.finish([Port("out", wire.id, tuple(declared), slots)]))


def checked(name: str, diagram: Diagram) -> Diagram:
    """The diagram, if it can say how a parameter starts; raises `FormatError` otherwise."""
    if diagram.inputs or len(diagram.outputs) != 1:
        raise FormatError(f"parameter {name!r}: initial values have no inputs, and one output")
    for token, _ in diagram.tokens:
        if not isinstance(token, Draw):
            raise FormatError(f"parameter {name!r}: initial values depend on {token.name!r}")
    if diagram.port_type(diagram.outputs[0]).dtype != "float":
        raise FormatError(f"parameter {name!r}: initial values are floats")
    return diagram


def widened(diagram: Diagram, tubes: Sequence[tuple[Label, Size]]) -> Diagram:
    """The same values along further axes in front; random draws are other ones at each place."""
    known = diagram.port_type(diagram.outputs[0])
    new: dict[str, Size] = {}
    for name, size in tubes:
        new[fresh_name(str(name), {*known, *new})] = size
    wide = diagram.over(ArrayType(new).words())
    return start(diagram.name, ArrayType({**new, **known.axes}), lambda *places: wide())


def formula(diagram: Diagram) -> str:
    """The values in one line: positions are called as their axes, their number is |axis|."""
    port = diagram.outputs[0]
    called = {slot: axis for axis, slot in zip(port.axes, port.slots, strict=True)}
    names = [called[slot] for slot in range(len(called))]
    return expression(diagram, port.wire, names, most=200, depth=50) or "computed"
