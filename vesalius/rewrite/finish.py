"""Finish: what comes out is handed on to another diagram, one token at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.errors import StructureError, TypeClash
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import same_tokens, start
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import GRADES, Grade
from vesalius.rewrite.moves import Move, written_at


@dataclass(frozen=True)
class Finish(Move):
    """Hand on what comes out, the same for all along an axis: `Finish(joined, over="n")`.

    `body` has no axis `over`, and is mapped along it. Its first input is the only output of the
    diagram, at one place of that axis; the others are inputs of the diagram there, by name, or new
    ones. So what is made of one token reads no other. The functions after are those before,
    followed by one that is given: the step reduces, as with inputs that are prepared.
    """

    body: Diagram
    over: str = "n"
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    @property
    def name(self) -> str:
        """`finish` and the diagram that follows."""
        return f"finish: {self.body.name}"

    def apply(self, before: Diagram) -> Diagram:
        """The diagram, followed by the body. Raises `StructureError` or `TypeClash`."""
        made, read = self._types(before)
        wanted = {**before.input_types}
        for name, type_ in read.items():
            if wanted.setdefault(name, type_) != type_:
                raise TypeClash(
                    f"{self.name}: the input {name!r} is {wanted[name]}, it is read as {type_}"
                )
        builder, inputs = start(before.name, before.doc, wanted.items())
        wires = dict(zip(wanted, inputs, strict=True))
        for token, _ in before.tokens:
            builder.free_name(token.name)  # what the body brings is other than what is there
        uses = [
            (wires[port.name].id, tuple(port.axes.index(n) for n in wires[port.name].names))
            for port in before.inputs
        ]
        (found,) = builder.graft(before, uses, replace=same_tokens(before))
        given = [_made(builder, found), *(wires[name] for name in read)]
        (last,) = builder.graft(
            self.body,
            [
                (wire.id, _labels(wire, port.axes))
                for wire, port in zip(given, self.body.inputs, strict=True)
            ],
        )
        (out,) = self.body.outputs
        declared = self._along(self.body.port_type(out), made)
        return builder.finish(
            [output_port(builder, before.outputs[0].name, declared, _made(builder, last))]
        )

    def _types(self, before: Diagram) -> tuple[ArrayType, Mapping[str, ArrayType]]:
        """What comes out, and what else the body reads, by the names of inputs."""
        if len(before.outputs) != 1 or len(self.body.outputs) != 1 or not self.body.inputs:
            raise StructureError(f"{self.name}: one output is handed on, and one is made of it")
        for name, type_ in (*self.body.input_types.items(), *self.body.output_types.items()):
            if self.over in type_.axes:
                raise StructureError(f"{self.name}: {name!r} has the axis {self.over!r} itself")
        (made,) = before.output_types.values()
        if self.over not in made.axes:
            raise StructureError(f"{self.name}: {before.name} makes no axis {self.over!r}")
        first, *others = self.body.input_types
        wanted = self._along(self.body.input_types[first], made)
        if dict(wanted.axes) != dict(made.axes) or wanted.dtype != made.dtype:
            raise TypeClash(f"{self.name}: {before.name} makes {made}, it is read as {wanted}")
        return made, {n: self._along(self.body.input_types[n], made) for n in others}

    def _along(self, type_: ArrayType, made: ArrayType) -> ArrayType:
        return ArrayType({self.over: made.axes[self.over], **type_.axes}, type_.dtype)

    def grade(self, before: Diagram) -> Grade:
        """`reduces`: what follows is given."""
        return GRADES["reduces"]


def _made(builder: Builder, found: tuple[int, tuple[Label, ...]]) -> Wire:
    wire, labels = found
    return Wire(builder, wire, tuple(map(str, labels)))


def _labels(wire: Wire, axes: tuple[str, ...]) -> tuple[Label, ...]:
    return tuple(axes.index(name) if name in axes else name for name in wire.names)
