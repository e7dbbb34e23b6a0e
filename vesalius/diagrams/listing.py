"""A readable listing: one line a box, wires with their axes."""

from __future__ import annotations

from vesalius.diagrams.box import Box, Token
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size


def signature(diagram: Diagram) -> str:
    """`name(x: {n, c} float) -> {n, e} float`."""
    inputs = ", ".join(f"{name}: {type_}" for name, type_ in diagram.input_types.items())
    outputs = list(diagram.output_types.items())
    if len(outputs) == 1:
        return f"{diagram.name}({inputs}) -> {outputs[0][1]}"
    results = ", ".join(f"{name}: {type_}" for name, type_ in outputs)
    return f"{diagram.name}({inputs}) -> ({results})"


def local_names(diagram: Diagram, node: Node) -> list[str]:
    """A name for each local axis of a box: as on its outputs, else as on its inputs."""
    box = node.box
    names = [""] * box.rank
    for wire, row in zip(node.wires, box.outs, strict=True):
        for axis, name in zip(row, diagram.hints[wire], strict=True):
            names[axis] = names[axis] or name
    unsure: set[int] = set()
    given = set(names)  # a name that no other axis has says more: `m`, where `n` is a tube
    for wire, row in zip(node.src, box.maps, strict=True):
        for axis, name in zip(row, diagram.hints[wire], strict=True):
            if not names[axis] or (names[axis] in given and axis in unsure):
                names[axis] = name
                unsure.add(axis)
    taken: set[str] = set()
    for k, name in enumerate(names):
        plain = name or "a"
        while plain in taken:
            plain += "'"
        taken.add(plain)
        names[k] = plain
    return names


def listing(diagram: Diagram) -> str:
    """The signature, then each box: result, what it is, what it reads, the result's type."""
    lines = [signature(diagram)]
    called = _wire_names(diagram)
    for node in diagram.boxes:
        names = local_names(diagram, node)
        left = ", ".join(called[wire] for wire in node.wires)
        right = _call(diagram, node, names, called)
        types = ", ".join(str(diagram.wire_type(wire)) for wire in node.wires)
        lines.append(f"  {left} = {right}  : {types}")
    ends = ", ".join(f"{port.name} = {called[port.wire]}" for port in diagram.outputs)
    lines.append(f"  return {ends}")
    return "\n".join(lines)


def _wire_names(diagram: Diagram) -> list[str]:
    inputs = [port.name for port in diagram.inputs]
    taken = set(inputs)
    names, count = list(inputs), 0
    for _ in range(len(inputs), len(diagram.types)):
        count += 1
        while f"w{count}" in taken:
            count += 1
        names.append(f"w{count}")
    return names


def _call(diagram: Diagram, node: Node, names: list[str], called: list[str]) -> str:
    box = node.box
    if box.kind.name in ("named", "scan"):
        # Every port binds axes of its own: to call them apart would say nothing.
        reads = [f"{called[wire]}[{', '.join(diagram.hints[wire])}]" for wire in node.src]
        return f"{box_name(box)}({', '.join(reads)})"
    words = []
    for wire, row in zip(node.src, box.maps, strict=True):
        axes = ", ".join(
            hint if hint == names[a] else f"{hint}→{names[a]}"
            for hint, a in zip(diagram.hints[wire], row, strict=True)
        )
        words.append(f"{called[wire]}[{axes}]")
    if box.bound:
        words.append("over " + " ".join(names[a] for a in box.bound))
    if box.new and node.src:
        words.append("into " + " ".join(names[a] for a in range(box.inner, box.rank)))
    return f"{box_name(box)}({', '.join(words)})"


def box_name(box: Box) -> str:
    """The kind of a box with its attributes, as a listing shows it."""
    if box.kind.name == "pointwise":
        numbers = ", ".join(str(x) for x in box["numbers"])
        name: str = box["function"].name
        return f"{name}[{numbers}]" if numbers else name
    if box.kind.name == "named":
        return str(box["name"])
    shown = []
    for (field, _codec), value in zip(box.kind.fields, box.attrs, strict=True):
        if isinstance(value, (Token, Diagram)):
            shown.append(value.name)
        elif isinstance(value, tuple):
            shown.append("table")
        elif isinstance(value, (Size, int, float, str)) and field != "dtype":
            shown.append(str(value))
    return box.kind.name + (f"[{', '.join(shown)}]" if shown else "")
