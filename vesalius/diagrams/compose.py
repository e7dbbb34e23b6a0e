"""How diagrams are put together: `>>`, `@`, and the identity of both."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.errors import TypeClash
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.interface import finish_as, start
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType


def sequential(first: Diagram, second: Diagram) -> Diagram:
    """`first >> second`: the outputs of one are the inputs of the other, in order.

    Their types must agree: axes by name, sizes, element types. Raises `TypeClash`.
    """
    a_diagram(f"{first.name} >>", second)
    if len(first.outputs) != len(second.inputs):
        raise TypeClash(
            f"{first.name} >> {second.name}: {len(first.outputs)} outputs meet "
            f"{len(second.inputs)} inputs"
        )
    for out, into in zip(first.outputs, second.inputs, strict=True):
        given, wanted = first.port_type(out), second.port_type(into)
        if given != wanted:
            raise TypeClash(
                f"{first.name} >> {second.name}: the output {out.name!r} is {given}, "
                f"the input {into.name!r} is {wanted}"
            )
    name = f"{first.name}_{second.name}"
    joined = _end_to_end(name, first, second)
    if joined is not None:
        return joined
    builder = Builder.resume(first)
    builder.name, builder.doc = name, ""
    uses: list[Use] = []
    for out, into in zip(first.outputs, second.inputs, strict=True):
        place_ = {
            slot: into.axes.index(axis) for axis, slot in zip(out.axes, out.slots, strict=True)
        }
        uses.append((out.wire, tuple(place_[slot] for slot in range(len(place_)))))
    return finish_as(builder, second, builder.graft(second, uses), ())


def _end_to_end(name: str, first: Diagram, second: Diagram) -> Diagram | None:
    """`first >> second` by renumbering alone, where no two boxes can turn out to be one.

    A box of the second half can equal one of the first only when both read the same wires. So
    this serves when no output of the first is read inside it, when the second has no sources
    and no identities to make fresh, when the seam keeps the order of wires and of axes (else
    canonical forms would change), and when every wire at the seam is used. None where it does
    not serve.
    """
    seam = [port.wire for port in first.outputs]
    count = len(second.inputs)
    if (
        any(a >= b for a, b in pairwise(seam))
        or any(port.slots != tuple(range(len(port.slots))) for port in first.outputs)
        or any(o.axes != i.axes for o, i in zip(first.outputs, second.inputs, strict=True))
        or first.symmetries
        or first.expanded
        or second.tokens
    ):
        return None
    read_before = {wire for node in first.nodes for wire in node.src}
    read_after = {wire for node in second.nodes for wire in node.src}
    read_after.update(port.wire for port in second.outputs)
    if not read_before.isdisjoint(seam) or not read_after.issuperset(range(count)):
        return None
    shift = len(first.types) - count
    moved = [*seam, *range(len(first.types), len(second.types) + shift)]
    nodes = first.nodes[:]
    for node in second.nodes[count:]:
        src = node.src
        if len(src) == 1:
            src = (moved[src[0]],)
        elif src:
            src = tuple([moved[wire] for wire in src])
        else:
            return None
        nodes.append(Node(node.box, src, node.first + shift))
    return Diagram(
        name,
        nodes,
        first.types + second.types[count:],
        first.hints + second.hints[count:],
        first.inputs,
        tuple([port._replace(wire=moved[port.wire]) for port in second.outputs]),
        "",
        {moved[wire]: turns for wire, turns in second.symmetries.items()},
        {moved[w]: (moved[source], at) for w, (source, at) in second.expanded.items()},
    )


def parallel(left: Diagram, right: Diagram) -> Diagram:
    """`left @ right`: side by side; names of the right side that are taken get a number."""
    a_diagram(f"{left.name} @", right)
    taken: set[str] = set()
    types = []
    for diagram in (left, right):
        for port in diagram.inputs:
            name = fresh_name(port.name, taken)
            taken.add(name)
            types.append((name, diagram.port_type(port)))
    builder, wires_ = start(f"{left.name}_{right.name}", "", types)
    ports: list[Port] = []
    names: set[str] = set()
    at = 0
    for diagram in (left, right):
        own = wires_[at : at + len(diagram.inputs)]
        at += len(own)
        uses = [(wire.id, tuple(range(len(wire.names)))) for wire in own]
        for old, (wire, labels) in zip(diagram.outputs, builder.graft(diagram, uses), strict=True):
            name = fresh_name(old.name, names)
            names.add(name)
            slots = tuple(labels.index(axis) for axis in old.axes)
            ports.append(Port(name, wire, old.axes, slots))
    return builder.finish(ports)


def identity(*types: Any, **named: Any) -> Diagram:
    """The diagram that returns its inputs: `identity("n c")` or `identity(x="n c", y="m")`."""
    ports = {f"x{k}" if len(types) > 1 else "x": t for k, t in enumerate(types)} | named
    builder, wires_ = start(
        "identity", "", [(name, ArrayType.parse(type_)) for name, type_ in ports.items()]
    )
    return builder.diagram(**dict(zip(ports, wires_, strict=True)))
