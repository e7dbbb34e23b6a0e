"""Using a diagram inside another: its arguments, their sizes, and a box of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.diagrams.arguments import arranged
from vesalius.diagrams.box import Hole
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.builder import CURRENT, Builder, Label, Use
from vesalius.diagrams.errors import AxisError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interface import closed, expose, labels_of, substitute
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.verbs.common import atomic, builder_of, place, wires
from vesalius.diagrams.wire import Wire


@atomic
def call(
    diagram: Diagram,
    args: Sequence[Any],
    named: Mapping[str, Any],
    parameters: Mapping[str, Any],
    boxed: bool = False,
) -> Any:
    """Use a diagram inside another: its inputs by position or by name.

    Each argument carries the axes that the input declares, by name; other axes are tubes.
    Sizes are matched. Every call makes fresh parameters, random sources and learners, unless
    `parameters={"wq": wire}` hands one over. Returns a wire, or a tuple for several outputs.
    """
    verb = diagram.name
    names = [port.name for port in diagram.inputs]
    values = [*arranged(verb, names, args, named), *parameters.values()]
    if CURRENT.get() is None and any(hasattr(value, "shape") for value in values):
        raise StructureError(
            f"{verb}(...) puts a diagram into another one; to compute with arrays write "
            f"{verb}.evaluate(...), or vs.to_torch({verb}) for a module"
        )
    given = wires(verb, *values) if values else []
    builder = builder_of(given)
    arguments = given[: len(diagram.inputs)]
    shared = dict(zip(parameters, given[len(diagram.inputs) :], strict=True))
    if shared:
        unknown = set(shared) - set(diagram.parameters) - set(diagram.randoms)
        if unknown:
            raise StructureError(f"{verb} has no parameter {sorted(unknown)[0]!r}")
        diagram = expose(diagram, tuple(shared))
        arguments = [*arguments, *shared.values()]
    arguments = promoted(diagram, arguments)
    diagram = unify(verb, diagram, arguments, {})
    if boxed:
        return place_named(builder, diagram, arguments)
    uses = [
        (wire.id, labels_of(wire, port.axes))
        for wire, port in zip(arguments, diagram.inputs, strict=True)
    ]
    outputs = builder.graft(diagram, uses, prefix=_prefix(builder, diagram))
    results = tuple(Wire(builder, wire, tuple(map(str, labels))) for wire, labels in outputs)
    return results[0] if len(results) == 1 else results


def _prefix(builder: Builder, diagram: Diagram) -> str:
    """`name.` for the identities of this call; `name_1.` when the builder has one already."""
    if not diagram.tokens:
        return ""
    heads = {name.partition(".")[0] for name in builder.token_names}
    return fresh_name(diagram.name, heads) + "."


def promoted(diagram: Diagram, arguments: Sequence[Wire]) -> list[Wire]:
    """The arguments, integers made floats where the diagram takes floats."""
    from vesalius.diagrams import verbs

    wanted = [diagram.types[port.wire].dtype for port in diagram.inputs]
    return [
        verbs.to_float(wire) if (wire.dtype, dtype) == ("int", "float") else wire
        for wire, dtype in zip(arguments, wanted, strict=True)
    ]


def unify(
    verb: str, diagram: Diagram, arguments: Sequence[Wire], also: Mapping[int, str]
) -> Diagram:
    """Match the declared types of a diagram with the types of its arguments.

    Returns the diagram with its size variables replaced by what they are here. `also[k]` is a
    further axis that argument k may carry.
    """
    declared = {axis for port in (*diagram.inputs, *diagram.outputs) for axis in port.axes}
    sizes: dict[str, Size] = {}
    tubes: dict[str, tuple[Size, Port]] = {}
    pairs: list[tuple[str, str, Size, Size]] = []
    for k, (wire, port) in enumerate(zip(arguments, diagram.inputs, strict=True)):
        wanted = diagram.port_type(port)
        if wire.dtype != wanted.dtype:
            raise TypeClash(
                f"{verb}: the input {port.name!r} is {wanted}, it was given {wire.type}"
            )
        have = wire.axes
        for axis, length in wanted.axes.items():
            if axis not in have:
                raise AxisError(
                    f"{verb}: the input {port.name!r} of type {wanted} needs the axis {axis!r}, "
                    f"it was given {wire.type}; rename one: x.rename(old={axis!r})"
                )
            pairs.append((port.name, axis, length, have[axis]))
            if length.variable is not None:
                sizes.setdefault(length.variable, have[axis])
        for axis in have:
            if axis in declared and axis not in wanted.axes and axis != also.get(k):
                raise AxisError(
                    f"{verb}: the argument {port.name!r} of type {wire.type} carries {axis!r} as "
                    f"a tube, but {verb} declares an axis of that name elsewhere; rename one"
                )
            if axis not in wanted.axes:
                known, other = tubes.setdefault(axis, (have[axis], port))
                if known != have[axis]:
                    raise SizeError(
                        f"{verb}: the tube {axis!r} has size {known} in the input {other.name!r} "
                        f"and size {have[axis]} in {port.name!r}"
                    )
    sizes = {name: value for name, value in sizes.items() if value.variable != name}
    for name, axis, length, actual in pairs:
        if length.substitute(sizes) != actual:
            raise SizeError(
                f"{verb}: the axis {axis!r} of the input {name!r} has size {actual}, "
                f"where {length.substitute(sizes)} is needed"
            )
    return substitute(diagram, sizes)


def place_named(builder: Builder, diagram: Diagram, arguments: Sequence[Wire]) -> Any:
    """Put a diagram as one named box; its parameters become sources beside it."""
    from vesalius.diagrams.verbs.nested import lifted_wires, output_wire

    body, lifted = closed(diagram)
    prefix = _prefix(builder, diagram)
    token = Hole(builder.free_name(prefix[:-1])) if body.learners else None
    given = [*arguments, *lifted_wires(builder, body, lifted, len(arguments), prefix)]
    uses: list[Use] = []
    bound: list[Label] = []
    for k, (wire, port) in enumerate(zip(given, body.inputs, strict=True)):
        uses.append((wire.id, tuple((k, n) if n in port.axes else n for n in wire.names)))
        bound += [(k, axis) for axis in port.axes]
    new: list[tuple[Label, Size]] = [
        ((j, axis), length)
        for j, port in enumerate(body.outputs)
        for axis, length in body.port_type(port).axes.items()
    ]
    if not given:
        raise StructureError(f"{diagram.name}: a diagram without inputs cannot be a box yet")
    made = place(diagram.name, NAMED, (diagram.name, body, token), given, uses, bound, new)
    results = tuple(output_wire(diagram.name, builder, made, j) for j in range(len(body.outputs)))
    return results[0] if len(results) == 1 else results
