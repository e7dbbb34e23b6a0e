"""What all tiles of some rows share: what hangs on positions and masks alone, not on heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vesalius.compile.rebuild import Rebuild
from vesalius.compile.terms import Use
from vesalius.compile.tiles.traces import Traces
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType


class Split(NamedTuple):
    """`shared` makes arrays from the inputs of a body; `rest` has them as further inputs."""

    shared: Diagram | None
    rest: Diagram


def split(body: Diagram) -> Split:
    """Take out of a body what no input of floats and no outer tube has a part in."""
    traces = Traces(body)
    outer = set(traces.outer)
    free: list[bool] = []
    for k, node in enumerate(body.nodes):
        for wire in node.wires:
            slots = range(len(body.types[wire].sizes))
            alone = not any(traces.find((wire, slot)) in outer for slot in slots)
            if k < len(body.inputs):
                free.append(alone and body.types[wire].dtype != "float")
            else:
                pure = node.box.kind.name not in ("random", "parameter")
                free.append(alone and pure and all(free[source] for source in node.src))
    read = {port.wire for port in body.outputs}
    for node in body.nodes:
        if not all(free[wire] for wire in node.wires):
            read.update(node.src)
    taken = [
        wire
        for wire in sorted(read)
        if free[wire]
        and body.owner[wire] >= len(body.inputs)
        and traces.has(wire, traces.rows)
        and traces.has(wire, traces.columns)
    ]
    if not taken:
        return Split(None, body)
    whole = {wire: tuple(range(len(body.types[wire].sizes))) for wire in taken}
    return Split(only(body, taken), without(body, whole, "shared"))


def only(body: Diagram, wires: Sequence[int]) -> Diagram:
    """The diagram of some wires of a body, with all its inputs."""
    builder = Builder.resume(body)
    ports = []
    for k, wire in enumerate(wires):
        names = _names(body, wire)
        ports.append(Port(f"s{k}", wire, names, tuple(range(len(names)))))
    return builder.finish(ports)


def without(body: Diagram, wires: Mapping[int, Sequence[int]], name: str) -> Diagram:
    """The body with some wires as further inputs, called so and numbered; slots in this order."""
    return _Without(body, wires, name).run()


def _names(body: Diagram, wire: int) -> tuple[str, ...]:
    """A name of its own for each slot of a wire."""
    names: list[str] = []
    for hint in body.hints[wire]:
        names.append(fresh_name(hint or "a", names))
    return tuple(names)


class _Without(Rebuild):
    """The body with some wires as inputs."""

    def __init__(self, body: Diagram, wires: Mapping[int, Sequence[int]], name: str) -> None:
        super().__init__(body)
        self.given: dict[int, Use] = {}
        for k, (wire, slots) in enumerate(wires.items()):
            (sizes, dtype), names = body.types[wire], _names(body, wire)
            type_ = ArrayType({names[slot]: sizes[slot] for slot in slots}, dtype)
            made = self.writing.builder.input(f"{name}{k}", type_)
            self.given[wire] = (made.id, tuple(slots))

    def write(self, node: Node) -> None:
        if len(node.wires) == 1 and node.first in self.given:
            self.seen[node.first] = self.given[node.first]
        else:
            super().write(node)
