"""Filling learners: a diagram takes the place of a hole, wherever the hole stands.

Named boxes that hold the learner are opened first. The body of a scan stays a body: the scan
gets another one, and what the filling brings comes in beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vesalius.diagrams.box import Axes, Hole
from vesalius.diagrams.boxes.learner import LEARNER
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import SizeError, StructureError, TypeClash
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graft import Opening
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interface import same_tokens, substitute
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.nesting import opens_named, reopen
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType


def fill(diagram: Diagram, fillings: Mapping[str, Diagram]) -> Diagram:
    """Put diagrams into learners: by full name, or by the last part of it.

    A filling declares, for each input of the learner, the axes that the learner binds there,
    and returns the axes that it makes. Its parameters are fresh for each learner it fills; a
    learner that stands at several places is one, and filled alike at all of them.
    Raises `StructureError` for an unknown learner and `TypeClash` for a wrong type.
    """
    while any(node.box.kind is NAMED and node.box["token"] for node in diagram.nodes):
        diagram = reopen(diagram, _opens_holding)
    wanted: dict[str, Diagram] = {}
    for key, filling in fillings.items():
        a_diagram(f"fill({key}=...)", filling)
        names = [n for n in diagram.learners if key in (n, n.split(".")[-1])]
        if not names:
            raise StructureError(
                f"fill: {diagram.name} has no learner {key!r}; it has {list(diagram.learners)}"
            )
        wanted.update(dict.fromkeys(names, filling))
    fitted: dict[Any, Diagram] = {}

    def opens(host: Diagram, node: Node) -> Opening | None:
        if node.box.kind is LEARNER and node.box["token"].name in wanted:
            return _filling(host, node, wanted[node.box["token"].name], fitted)
        if node.box.kind is SCAN and node.box["token"] is not None:
            path = f"{node.box['token'].name}."
            inner = {n.removeprefix(path): f for n, f in wanted.items() if n.startswith(path)}
            return _scan(host, node, fill(node.box["body"], inner)) if inner else None
        return None

    kept = same_tokens(diagram)
    gone = {t.name for t in kept if t.name in wanted}
    gone |= {t.name for t in kept if any(name.startswith(f"{t.name}.") for name in wanted)}
    return reopen(diagram, opens, gone)


def _opens_holding(diagram: Diagram, node: Node) -> Opening | None:
    if node.box.kind is NAMED and node.box["token"] is not None:
        return opens_named(None)(diagram, node)
    return None


def _filling(host: Diagram, node: Node, filling: Diagram, fitted: dict[Any, Diagram]) -> Opening:
    token: Hole = node.box["token"]
    what = f"fill: the learner {token.name!r}"
    if len(filling.inputs) != len(token.ports) or len(filling.outputs) != 1:
        raise TypeClash(f"{what} has {len(token.ports)} inputs and 1 output, {filling!r} has not")
    sizes: dict[str, Size] = {}
    actual = host.site(node).sizes
    slots: list[Axes] = []
    checks: list[tuple[str, Size, Size]] = []
    reads = host.site(node).dtypes
    for port, names, row, dtype in zip(
        filling.inputs, token.ports, node.box.maps, reads, strict=True
    ):
        wanted = filling.port_type(port)
        if wanted.dtype != dtype:
            raise TypeClash(f"{what} reads {dtype} at input {port.name!r}, not {wanted.dtype}")
        if set(port.axes) != set(names):
            raise TypeClash(f"{what} binds {names} at input {port.name!r}, not {port.axes}")
        slots.append(tuple(port.axes.index(name) for name in names))
        own = [a for a in node.box.bound if a in row]
        for name, axis in zip(names, own, strict=True):
            checks.append((name, wanted.axes[name], actual[axis]))
    out = filling.outputs[0]
    if set(out.axes) != set(token.into):
        raise TypeClash(f"{what} makes {token.into}, {filling.name} makes {out.axes}")
    if filling.port_type(out).dtype != "float":
        raise TypeClash(f"{what} makes float, {filling.name} makes {filling.port_type(out).dtype}")
    declared = filling.port_type(out).axes
    for name, length in zip(token.into, node.box.new, strict=True):
        checks.append((name, declared[name], length))
    for _name, length, real in checks:
        if length.variable is not None and length.variable not in sizes:
            sizes[length.variable] = real
    for name, length, real in checks:
        if length.substitute(sizes) != real:
            raise SizeError(f"{what} has {name!r} of size {real}, {filling.name} of size {length}")
    if token not in fitted:
        fitted[token] = substitute(filling, {n: s for n, s in sizes.items() if s.variable != n})
    return Opening(
        fitted[token],
        tuple(slots),
        (tuple(out.axes.index(name) for name in token.into),),
        f"{token.name}.",
    )


def _scan(host: Diagram, node: Node, body: Diagram) -> Opening:
    """The scan with another body, as a diagram of one box that reads what the scan reads."""
    from vesalius.diagrams.verbs.nested import scan

    box = node.box
    states, elements = box["states"], box["elements"]
    declared = {axis for port in (*body.inputs, *body.outputs) for axis in port.axes}
    time = fresh_name(_time(host, node), declared)
    builder = Builder(body.name)
    given = []
    for k, port in enumerate(body.inputs):
        type_ = body.port_type(port)
        axes = dict(type_.axes)
        if states <= k < states + elements:
            axes[time] = box["length"]
        given.append(builder.input(port.name, ArrayType(axes, type_.dtype)))
    groups = given[:states], given[states : states + elements], given[states + elements :]
    results = scan(
        body,
        over=time,
        states=groups[0],
        sequences=groups[1],
        captured=groups[2],
        length=box["length"],
        reverse=box["reverse"],
    )
    ports = []
    for j, (port, wire) in enumerate(zip(body.outputs, results, strict=True)):
        type_ = body.port_type(port)
        axes = {time: box["length"], **type_.axes} if j >= states else type_.axes
        ports.append(output_port(builder, port.name, ArrayType(axes, type_.dtype), wire))
    return Opening(
        builder.finish(ports),
        tuple(
            tuple(range(len(port.axes) + (states <= k < states + elements)))
            for k, port in enumerate(body.inputs)
        ),
        tuple(tuple(range(len(port.axes) + (j >= states))) for j, port in enumerate(body.outputs)),
        "",
    )


def _time(host: Diagram, node: Node) -> str:
    """What the axis along which a scan runs is called where it comes out, or goes in."""
    box = node.box
    for j in range(box["states"], len(box.outs)):
        slot = len(box.outs[j]) - len(box["body"].outputs[j].axes) - 1
        return host.hints[node.first + j][slot]
    for p in range(box["states"], box["states"] + box["elements"]):
        bound = [a for a in box.bound if a in box.maps[p]]
        return host.hints[node.src[p]][box.maps[p].index(bound[-1])]
    return "t"
