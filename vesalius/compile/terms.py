"""Diagrams read and written by labels: the two halves of every rewriting in the compiler.

A *use* is a wire with a label for each of its slots. Opening a use gives the box behind it and the
uses that the box reads, all in the labels of the reader: what is bound inside gets labels of its
own. So a diagram reads as a formula, whatever its axes are called and however often a wire is
read along other axes. Writing goes the other way: uses go in, a box is added (or found), and a
use comes out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vesalius.diagrams.box import Box, Kind, Parameter, WireType
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, POINTWISE
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.boxes.shape import CONCAT, EXPAND, MERGE, SPLIT
from vesalius.diagrams.boxes.sources import CONSTANT, IOTA
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import ONE, Size, product
from vesalius.diagrams.verbs.common import element_type


class Axis:
    """A label of an axis: itself and no other. `name` is what a person would call it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Opened(NamedTuple):
    """The box behind a use: what it reads, what it binds and what it makes, in labels."""

    node: Node
    uses: tuple[Use, ...]
    bound: tuple[Label, ...]
    new: tuple[Label, ...]

    @property
    def box(self) -> Box:
        """The box itself."""
        return self.node.box


class Reading(ABC):
    """What is common to a diagram and one under construction: wires, types, and boxes behind."""

    types: Sequence[WireType]
    hints: Sequence[tuple[str, ...]]

    @abstractmethod
    def node_of(self, wire: int) -> Node:
        """The node that owns a wire."""

    @abstractmethod
    def single(self, wire: int) -> bool:
        """Whether one box alone reads this wire."""

    def size(self, use: Use, label: Label) -> Size:
        """The size of an axis of a use."""
        return self.types[use[0]].sizes[use[1].index(label)]

    def sizes(self, uses: Iterable[Use]) -> dict[Label, Size]:
        """The sizes of all labels of some uses, in the order of their occurrence."""
        found: dict[Label, Size] = {}
        for wire, labels in uses:
            for label, size in zip(labels, self.types[wire].sizes, strict=True):
                found.setdefault(label, size)
        return found

    def dtype(self, use: Use) -> str:
        """The element type of a use."""
        return self.types[use[0]].dtype

    def open(self, use: Use) -> Opened:
        """The box behind a use; a use of an input opens to a box that reads nothing."""
        wire, labels = use
        node = self.node_of(wire)
        box = node.box
        known: dict[int, Label] = dict(zip(box.outs[wire - node.first], labels, strict=True))
        uses = []
        for source, row in zip(node.src, box.maps, strict=True):
            for axis, name in zip(row, self.hints[source], strict=True):
                if axis not in known:
                    known[axis] = Axis(name or "a")
            uses.append((source, tuple([known[axis] for axis in row])))
        for axis in range(box.inner, box.rank):
            known.setdefault(axis, Axis("a"))
        bound = tuple([known[axis] for axis in box.bound])
        return Opened(node, tuple(uses), bound, tuple(known[a] for a in range(box.inner, box.rank)))

    def applied(self, use: Use, function: str) -> tuple[Use, ...] | None:
        """What a pointwise function is applied to here, if this use is its result."""
        box = self.node_of(use[0]).box
        if box.kind is POINTWISE and box["function"].name == function:
            return self.open(use).uses
        return None

    def kind(self, use: Use) -> Kind:
        """The kind of the box behind a use."""
        return self.node_of(use[0]).box.kind

    def value(self, use: Use) -> Any:
        """The number or size that a constant is, else None."""
        box = self.node_of(use[0]).box
        return box["value"] if box.kind is CONSTANT and not box.new else None

    def is_number(self, use: Use) -> bool:
        """Whether a use is a scalar that follows from constants and sizes alone."""
        wire, labels = use
        if labels:
            return False
        node = self.node_of(wire)
        if node.box.kind is CONSTANT:
            return True
        if node.box.kind not in (POINTWISE, CONTRACT, ADD):
            return False
        return all(self.is_number((source, ())) if not self.types[source].sizes else False
                   for source in node.src)  # fmt: skip


class Written(Reading):
    """A finished diagram to read."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.types = diagram.types
        self.hints = diagram.hints
        self.outputs = {port.wire for port in diagram.outputs}

    def node_of(self, wire: int) -> Node:
        return self.diagram.nodes[self.diagram.owner[wire]]

    def single(self, wire: int) -> bool:
        return len(self.diagram.consumers[wire]) + (wire in self.outputs) == 1

    def result(self, node: Node, output: int = 0) -> Use:
        """An output of a node with fresh labels, named as on its wire."""
        wire = node.first + output
        return wire, tuple(Axis(name or "a") for name in self.hints[wire])


class Writing(Reading):
    """A diagram under construction, to read and to write by labels."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.types = builder.types
        self.hints = builder.hints
        self.readers: dict[int, int] = {}  # how many boxes will read a wire, where that is known
        self._owner: list[Node] = []
        self._indexed = 0

    def node_of(self, wire: int) -> Node:
        nodes = self.builder.nodes
        while self._indexed < len(nodes):
            node = nodes[self._indexed]
            self._owner.extend([node] * len(node.box.outs))
            self._indexed += 1
        return self._owner[wire]

    def single(self, wire: int) -> bool:
        return self.readers.get(wire, 1) < 2

    # -- boxes ----------------------------------------------------------------------------------

    def box(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label] = (),
        new: Sequence[tuple[Label, Size]] = (),
    ) -> list[Use]:
        """Add a box, or find it; a use for each of its outputs."""
        made = self.builder.add(kind, attrs, uses, bound, new)
        if made.fresh:
            for wire, labels in zip(made.wires, made.labels, strict=True):
                taken: list[str] = []
                for label in labels:
                    taken.append(fresh_name(getattr(label, "name", None) or str(label), taken))
                self.builder.hints[wire] = tuple(taken)
        return list(zip(made.wires, made.labels, strict=True))

    def contract(self, uses: Sequence[Use], over: Sequence[Label] = ()) -> Use:
        """The product of the uses, summed over labels; of nothing, the number 1."""
        if not uses:
            return self.number(1)
        if len(uses) == 1 and not over:
            return uses[0]
        return self.box(CONTRACT, (), uses, over)[0]

    def add(self, uses: Sequence[Use]) -> Use:
        """The sum of the uses, of which there is at least one."""
        return uses[0] if len(uses) == 1 else self.box(ADD, (), uses)[0]

    def apply(self, function: str, *uses: Use, numbers: tuple[Any, ...] = ()) -> Use:
        """A pointwise function of the library."""
        return self.box(POINTWISE, (FUNCTIONS[function], numbers), uses)[0]

    def number(self, value: Any) -> Use:
        """A scalar constant: a number, a truth value or a size."""
        if isinstance(value, Size) and value.constant is not None:
            value = value.constant
        return self.box(CONSTANT, (value, element_type(value)), ())[0]

    def positions(self, label: Label, size: Size) -> Use:
        """0, 1, … along an axis."""
        return self.box(IOTA, (), (), (), [(label, size)])[0]

    def softmax(self, use: Use, over: Sequence[Label]) -> Use:
        """Softmax over labels."""
        return self.box(SOFTMAX, (), [use], over)[0]

    def expand(self, use: Use, sizes: Mapping[Label, Size]) -> Use:
        """Repeat a use along the labels that it lacks."""
        missing = [(label, size) for label, size in sizes.items() if label not in use[1]]
        return self.box(EXPAND, (), [use], (), missing)[0] if missing else use

    def concat(self, parts: Sequence[tuple[Use, Label]], label: Label) -> Use:
        """Join uses, each along a label of its own, along a new one."""
        total = Size({})
        for use, own in parts:
            total = total + self.size(use, own)
        bound = [own for _, own in parts]
        return self.box(CONCAT, (), [use for use, _ in parts], bound, [(label, total)])[0]

    def as_one(
        self, use: Use, labels: Sequence[Label]
    ) -> tuple[Use, Label, list[tuple[Label, Size]] | None]:
        """A use with some axes merged into one, that one, and what `apart` needs to undo it.

        Of no axis, an axis of length 1 is made.
        """
        if len(labels) == 1:
            return use, labels[0], None
        label = Axis("a")
        parts = [(x, self.size(use, x)) for x in labels]
        if not labels:
            return self.expand(use, {label: ONE}), label, parts
        whole = [(label, product(length for _, length in parts))]
        return self.box(MERGE, (), [use], labels, whole)[0], label, parts

    def apart(self, use: Use, label: Label, parts: list[tuple[Label, Size]] | None) -> Use:
        """A use with an axis that `as_one` has made read as what it was made from."""
        return use if parts is None else self.box(SPLIT, (), [use], [label], parts)[0]

    def named(
        self,
        definition: Diagram,
        arguments: Sequence[tuple[Use, Mapping[str, Label]]],
        made: Sequence[Mapping[str, Label]],
    ) -> list[Use]:
        """A diagram as one named box; `definition` has no parameters.

        Each argument says which of its labels the declared axes are; all others are tubes.
        `made[j]` gives the labels of the axes that output j declares.
        """
        sizes: dict[str, Size] = {}
        uses: list[Use] = []
        bound: list[Label] = []
        for k, ((use, axes), port) in enumerate(zip(arguments, definition.inputs, strict=True)):
            wire, labels = use
            names = {label: name for name, label in axes.items()}
            declared = definition.port_type(port).axes
            for label, size in zip(labels, self.types[wire].sizes, strict=True):
                if label in names:
                    variable = declared[names[label]].variable
                    assert variable is not None, "a definition declares its axes by variables"
                    sizes[variable] = size
            uses.append((wire, tuple((k, names[x]) if x in names else x for x in labels)))
            bound += [(k, axis) for axis in port.axes]
        body = instance(definition, sizes)
        new: list[tuple[Label, Size]] = [
            (axes[axis], length)
            for axes, port in zip(made, body.outputs, strict=True)
            for axis, length in body.port_type(port).axes.items()
        ]
        return self.box(NAMED, (definition.name, body, None), uses, bound, new)


def instance(definition: Diagram, sizes: Mapping[str, Size]) -> Diagram:
    """A definition at sizes; the same object for the same sizes."""
    cache = definition.__dict__.setdefault("_instances", {})
    key = tuple(sorted(((name, size) for name, size in sizes.items()), key=lambda item: item[0]))
    if key not in cache:
        changed = {name: size for name, size in sizes.items() if size.variable != name}
        cache[key] = definition.substitute(**changed) if changed else definition
    found: Diagram = cache[key]
    return found


__all__ = ["Axis", "Opened", "Parameter", "Reading", "Use", "Writing", "Written", "instance"]
