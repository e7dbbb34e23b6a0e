"""Diagrams with another interface: other sizes, names, tubes, or parameters as inputs.

All of it is grafting: copying a diagram into a builder, where equal computations meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from vesalius.diagrams.box import Draw, Parameter, Token
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.errors import AxisError, StructureError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.diagrams.wire import Wire


def start(
    name: str, doc: str, ports: Iterable[tuple[str, ArrayType]]
) -> tuple[Builder, list[Wire]]:
    """A builder with these inputs, and their wires."""
    builder = Builder(name, doc)
    return builder, [builder.input(port, type_) for port, type_ in ports]


def labels_of(wire: Wire, axes: Sequence[str]) -> tuple[Label, ...]:
    """The labels of a wire that is read as an input with these axes; other axes are tubes."""
    return tuple(axes.index(name) if name in axes else name for name in wire.names)


def finish_as(
    builder: Builder, diagram: Diagram, uses: Sequence[Use], first: Sequence[str]
) -> Diagram:
    """The diagram whose outputs are these uses: the axes `first`, then those declared, in order."""
    ports = []
    for old, (wire, labels) in zip(diagram.outputs, uses, strict=True):
        names = [str(label) for label in labels]
        head = [axis for axis in first if axis in names]
        rest = [axis for axis in old.axes if axis in names]
        order = [*head, *rest, *(axis for axis in names if axis not in head and axis not in rest)]
        ports.append(Port(old.name, wire, tuple(order), tuple(names.index(a) for a in order)))
    return builder.finish(ports)


def same_tokens(diagram: Diagram) -> dict[Token, Token]:
    """Every identity of a diagram as its own stand-in."""
    return {token: token for token, _ in diagram.tokens}


def substitute(diagram: Diagram, sizes: Mapping[str, SizeLike]) -> Diagram:
    """The diagram with size variables replaced, all at once; it need not have all of them."""
    wanted = {name: size(value) for name, value in sizes.items()}
    if not wanted or not set(diagram.size_variables) & set(wanted):
        return diagram
    types = [
        (port.name, ArrayType({a: s.substitute(wanted) for a, s in t.axes.items()}, t.dtype))
        for port, t in ((port, diagram.port_type(port)) for port in diagram.inputs)
    ]
    builder, inputs = start(diagram.name, diagram.doc, types)
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    return finish_as(builder, diagram, builder.graft(diagram, uses, sizes=wanted), ())


def rename(diagram: Diagram, names: Mapping[str, str]) -> Diagram:
    """The diagram with other names for the axes of its interface."""
    known = {axis for port in (*diagram.inputs, *diagram.outputs) for axis in port.axes}
    for old, new in names.items():
        if old not in known:
            raise AxisError(f"rename: the interface of {diagram.name} has no axis {old!r}")
        if not is_axis_name(new):
            raise AxisError(f"rename: an axis name is an identifier, not {new!r}")

    def renamed(port: Port) -> Port:
        axes = tuple(names.get(axis, axis) for axis in port.axes)
        if len(set(axes)) != len(axes):
            raise AxisError(f"rename: {port.name!r} would have two axes of one name: {axes}")
        return port._replace(axes=axes)

    inputs = tuple(renamed(port) for port in diagram.inputs)
    hints = [port.axes for port in inputs] + diagram.hints[len(inputs) :]
    return Diagram(
        diagram.name,
        diagram.nodes,
        diagram.types,
        hints,
        inputs,
        tuple(renamed(port) for port in diagram.outputs),
        diagram.doc,
        diagram.symmetries,
        diagram.expanded,
    )


def over(
    diagram: Diagram,
    axes: str | Sequence[str],
    *,
    inputs: bool | Iterable[str] = True,
    parameters: bool | Iterable[str] = False,
    random: bool | Iterable[str] = True,
) -> Diagram:
    """The diagram in a tube: mapped over new axes, which come first in every interface order.

    `inputs`, `parameters` and `random` say which inputs, parameters and random sources gain
    the axes: all (True), none (False) or those named. A parameter without the axes is shared
    along them; a parameter with them is separate for each position.
    """
    new = ArrayType.parse(axes if isinstance(axes, str) else " ".join(axes))
    which_inputs = _selection(inputs, [port.name for port in diagram.inputs], "input")
    chosen = {
        *_selection(parameters, list(diagram.parameters), "parameter"),
        *_selection(random, list(diagram.randoms), "random source"),
    }
    types = []
    for port in diagram.inputs:
        known = diagram.port_type(port)
        if port.name in which_inputs:
            for axis in new:
                if axis in known:
                    raise AxisError(f"over: the input {port.name!r} has the axis {axis!r} already")
            known = ArrayType({**new.axes, **known.axes}, known.dtype)
        types.append((port.name, known))
    builder, wires_ = start(diagram.name, diagram.doc, types)
    uses = [
        (wire.id, labels_of(wire, port.axes))
        for wire, port in zip(wires_, diagram.inputs, strict=True)
    ]
    tubes = {name: tuple(new.axes.items()) for name in chosen}
    return finish_as(builder, diagram, _graft_tubes(builder, diagram, uses, tubes), tuple(new))


def _graft_tubes(
    builder: Builder,
    diagram: Diagram,
    uses: list[Use],
    tubes: Mapping[str, tuple[tuple[str, Size], ...]],
) -> list[Use]:
    outputs = builder.graft(diagram, uses, tubes=tubes)
    for port, (_, labels) in zip(diagram.outputs, outputs, strict=True):
        if len(set(labels)) != len(labels):
            raise AxisError(f"over: the output {port.name!r} has one of the new axes already")
    return outputs


def _selection(choice: bool | Iterable[str], names: Sequence[str], what: str) -> list[str]:
    if choice is True:
        return list(names)
    if choice is False:
        return []
    wanted = choice.split() if isinstance(choice, str) else list(choice)
    for name in wanted:
        if name not in names:
            raise StructureError(f"over: no {what} is called {name!r}; there are {list(names)}")
    return wanted


def with_tubes(diagram: Diagram, tubes: Sequence[Sequence[str]]) -> Diagram:
    """The diagram with tubes of its own for each input; they come last in interface orders."""
    types = [
        (port.name, ArrayType({**known.axes, **{t: size(t) for t in row}}, known.dtype))
        for port, known, row in zip(
            diagram.inputs, diagram.input_types.values(), tubes, strict=True
        )
    ]
    builder, wires_ = start(diagram.name, diagram.doc, types)
    uses = [
        (wire.id, labels_of(wire, port.axes))
        for wire, port in zip(wires_, diagram.inputs, strict=True)
    ]
    outputs = builder.graft(diagram, uses)
    ports = []
    for old, (wire, labels) in zip(diagram.outputs, outputs, strict=True):
        names = [str(label) for label in labels]
        extra = sorted((a for a in names if a not in old.axes), key=lambda a: int(a[1:]))
        order = [*old.axes, *extra]
        ports.append(Port(old.name, wire, tuple(order), tuple(names.index(a) for a in order)))
    return builder.finish(ports)


def closed(diagram: Diagram) -> tuple[Diagram, list[Token]]:
    """The diagram with its parameters and random sources as inputs, and what those were."""
    tokens: list[Token] = [t for t, _ in diagram.tokens if isinstance(t, (Parameter, Draw))]
    if not tokens:
        return diagram, []
    return expose(diagram, tuple(token.name for token in tokens)), tokens


def expose(diagram: Diagram, names: Sequence[str]) -> Diagram:
    """Turn parameters or random sources into inputs; all parameters when none is named."""
    names = names or tuple(diagram.parameters)
    sources = {**diagram.parameters, **diagram.randoms}
    for name in names:
        if name not in sources:
            raise StructureError(f"{diagram.name} has no parameter or random source {name!r}")
    taken = {port.name for port in diagram.inputs}
    types = [(port.name, diagram.port_type(port)) for port in diagram.inputs]
    for name in names:
        plain = fresh_name(re.sub(r"\W", "_", name), taken)
        taken.add(plain)
        types.append((plain, sources[name]))
    builder, wires_ = start(diagram.name, diagram.doc, types)
    count = len(diagram.inputs)
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in wires_]
    given = dict(zip(names, uses[count:], strict=True))
    return finish_as(builder, diagram, builder.graft(diagram, uses[:count], given=given), ())
