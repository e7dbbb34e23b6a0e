"""Building a diagram anew, box by box, with something to say about each: what many steps share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.compile.terms import Axis, Use, Writing
from vesalius.diagrams.box import Box
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graft import Replacement
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interface import finish_as, same_tokens, start
from vesalius.diagrams.types import ArrayType


class Rebuild:
    """One building anew. `seen[w]` is what wire w of the old diagram became, in terms of its slots.

    Override `place` to write a box otherwise; the labels of what it returns are those given.
    Override `attrs` to put something else into a box. `types` gives some inputs other types, and
    one of them may come `first`.
    """

    def __init__(
        self, old: Diagram, types: Mapping[str, ArrayType] | None = None, first: str = ""
    ) -> None:
        self.old = old
        builder = Builder(old.name, old.doc)
        ports = sorted(old.inputs, key=lambda port: port.name != first)
        for port in ports:
            builder.input(port.name, (types or {}).get(port.name, old.port_type(port)))
        builder.token_names = dict.fromkeys(token.name for token, _ in old.tokens)
        self.writing = Writing(builder)
        self.seen: dict[int, Use] = {
            port.wire: (k, tuple(range(len(port.axes)))) for k, port in enumerate(ports)
        }

    def run(self) -> Diagram:
        """The new diagram."""
        for node in self.old.boxes:
            self.write(node)
        ends: list[Use] = []
        for port in self.old.outputs:
            here, slots = self.seen[port.wire]
            names: dict[Any, Label] = dict(zip(port.slots, port.axes, strict=True))
            ends.append((here, tuple([names[s] for s in slots])))
        return finish_as(self.writing.builder, self.old, ends, ())

    def write(self, node: Node) -> None:
        """Write a box, and note what its wires became."""
        labels = self.labels(node)
        uses = [
            (wire, tuple([labels[a] for a in row]))
            for wire, row in zip(node.src, node.box.maps, strict=True)
        ]
        made = self.place(node, uses, labels)
        for wire, row, (found, names) in zip(node.wires, node.box.outs, made, strict=True):
            place = {labels[axis]: slot for slot, axis in enumerate(row)}
            self.seen[wire] = (found, tuple([place[x] for x in names]))

    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        """Write a box whose inputs are these uses of wires of the old diagram."""
        box = node.box
        new = [(labels[box.inner + k], size) for k, size in enumerate(box.new)]
        bound = [labels[axis] for axis in box.bound]
        here = [self.here(use) for use in uses]
        return self.writing.box(box.kind, self.attrs(box), here, bound, new)

    def attrs(self, box: Box) -> tuple[Any, ...]:
        """What a box holds beside its wires."""
        return box.attrs

    def here(self, use: Use) -> Use:
        """A use of a wire of the old diagram as a use of what it became."""
        wire, labels = use
        found, slots = self.seen[wire]
        return found, tuple([labels[s] for s in slots if isinstance(s, int)])

    def labels(self, node: Node) -> list[Label]:
        """A label for each local axis of a box, named as on its wires."""
        box = node.box
        labels: list[Label] = [Axis("a") for _ in range(box.rank)]
        rows = [*zip(node.wires, box.outs, strict=True), *zip(node.src, box.maps, strict=True)]
        for wire, row in reversed(rows):
            for axis, name in zip(row, self.old.hints[wire], strict=True):
                labels[axis] = Axis(name or "a")
        return labels


def replaced(diagram: Diagram, replacing: Mapping[int, Replacement]) -> Diagram:
    """The diagram with each of these wires computed as its replacement says."""
    if not replacing:
        return diagram
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in diagram.tokens)
    own: list[Use] = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    outputs = builder.graft(diagram, own, replace=same_tokens(diagram), replacing=replacing)
    return finish_as(builder, diagram, outputs, ())
