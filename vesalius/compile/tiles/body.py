"""The body of a region: what it does to some rows and some columns, as a diagram of its own.

On the interface of a body, the axes that are rows and columns are called so, whatever they were
called outside; that is how a body is read again. So are the distances of rows from columns, which
are as many as both together, less one: tables along them come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vesalius.compile.kernels.kernel import Right
from vesalius.compile.names import base_names
from vesalius.compile.terms import Reading, Use, Writing
from vesalius.compile.tiles.region import Entry, Exit, Region
from vesalius.diagrams.box import Axes, Parameter
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.interface import finish_as, labels_of, start
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.diagrams.wire import Wire

ROWS, COLUMNS, DISTANCES = "rows", "columns", "distances"
RESERVED = (ROWS, COLUMNS, DISTANCES)


@dataclass(frozen=True)
class Body:
    """A body with what is handed to its inputs: the entries, in order. Its outputs are the exits.

    `exit_axes[k][s]` is the place among the axes of output k of slot s of the wire that leaves;
    `made` are the wires of the body, by those of the diagram that they are. `tables` are handed to
    the inputs after those: uses on the right side, whose axes are those of the input.
    """

    diagram: Diagram
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    exit_axes: tuple[tuple[int, ...], ...]
    made: Mapping[int, int]
    tables: tuple[Use, ...] = ()
    right: Right | None = None


def body_of(diagram: Diagram, reading: Reading, region: Region) -> Body:
    """The body of a region of a diagram, with its rows and columns of their actual sizes."""
    return Extraction(diagram, reading, region).run()


def in_tubes(body: Diagram, tubes: Sequence[Sequence[str]]) -> Diagram:
    """A body with tubes, which come first: for each input, the names of those that it has."""
    types = [
        (port.name, ArrayType({**{t: size(t) for t in row}, **known.axes}, known.dtype))
        for port, known, row in zip(body.inputs, body.input_types.values(), tubes, strict=True)
    ]
    builder, wires = start(body.name, body.doc, types)
    uses = [
        (wire.id, labels_of(wire, port.axes)) for wire, port in zip(wires, body.inputs, strict=True)
    ]
    first = list(dict.fromkeys(tube for row in tubes for tube in row))
    return finish_as(builder, body, builder.graft(body, uses), first)


class Extraction:
    """Writes the body of a region."""

    def __init__(self, diagram: Diagram, reading: Reading, region: Region) -> None:
        self.diagram, self.region = diagram, region
        inside = [
            e
            for e in region.entries
            if not diagram.types[e.wire].sizes and reading.is_number((e.wire, ()))
        ]
        varying = {
            name
            for entry in region.entries
            for slot in (entry.row, entry.column)
            if slot is not None
            for name in diagram.types[entry.wire].sizes[slot].variables
        }
        outside = [entry for entry in region.entries if entry not in inside]
        known = {
            name
            for entry in outside
            for slot, length in enumerate(diagram.types[entry.wire].sizes)
            if slot not in (entry.row, entry.column)
            for name in length.variables
        }
        # A number that hangs on how many rows or columns there are in all is not the tile's own.
        self.numbers = [e for e in inside if self._sizes(e.wire) <= known - varying]
        self.entries = (*outside, *(e for e in inside if e not in self.numbers))

    def _sizes(self, wire: int) -> set[str]:
        node = self.diagram.nodes[self.diagram.owner[wire]]
        value = node.box["value"] if node.box.kind is CONSTANT else None
        own = set(value.variables) if isinstance(value, Size) else set()
        return own.union(*(self._sizes(source) for source in node.src))

    def run(self) -> Body:
        """The body."""
        builder = Builder("tile", "What happens to some rows.")
        self.writing = Writing(builder)
        self.seen: dict[Entry, Use] = {}
        self.made: dict[int, Use] = {}
        self.taken: set[str] = set()
        self.declare()
        for entry in self.numbers:
            self.seen[entry] = self._number(entry.wire)
        for k in self.region.nodes:
            self.place(k, self.diagram.nodes[k])
        exits = self.region.exits
        ports = [self._out(f"out{k}" if k else "out", one) for k, one in enumerate(exits)]
        orders = [
            tuple([port.axes.index(name) for name in self._axes(*one)])
            for port, one in zip(ports, exits, strict=True)
        ]
        diagram, moved = builder.finish(ports), builder.moved
        made = {
            wire: here if moved is None else moved[here]
            for wire, (here, _) in self.made.items()
            if moved is None or here in moved
        }
        return Body(diagram, self.entries, exits, tuple(orders), made)

    def declare(self) -> None:
        """The inputs of the body."""
        for entry in self.entries:
            wire = self.input(self._name(entry.wire), self._type(entry))
            self.seen[entry] = (wire.id, tuple(range(len(wire.names))))

    def input(self, name: str, type_: ArrayType) -> Wire:
        """An input of the body, called so or nearly so."""
        name = fresh_name(name, self.taken)
        self.taken.add(name)
        return self.writing.builder.input(name, type_)

    def _name(self, wire: int) -> str:
        """What a person would call an array: as the text around the tile does."""
        known: list[str] | None = self.diagram.__dict__.get("_called")
        if known is None:
            parameters = {
                node.first: token.name.rpartition(".")[2]
                for token, node in self.diagram.tokens
                if isinstance(token, Parameter)
            }
            known = self.diagram.__dict__["_called"] = base_names(self.diagram, parameters)
        return known[wire]

    def _axes(self, wire: int, row: int | None, column: int | None) -> tuple[str, ...]:
        """Names for the slots of a wire, rows and columns called so."""
        names: dict[int, str] = {}
        if row is not None:
            names[row] = ROWS
        if column is not None:
            names[column] = COLUMNS
        for slot, hint in enumerate(self.diagram.hints[wire]):
            if slot not in names:
                plain = hint if is_axis_name(hint) and hint not in RESERVED else "a"
                names[slot] = fresh_name(plain, names.values())
        return tuple([names[slot] for slot in range(len(names))])

    def _type(self, entry: Entry) -> ArrayType:
        sizes, dtype = self.diagram.types[entry.wire]
        names = self._axes(*entry)
        return ArrayType(dict(zip(names, sizes, strict=True)), dtype)

    def _number(self, wire: int) -> Use:
        node = self.diagram.nodes[self.diagram.owner[wire]]
        uses = [self._number(source) for source in node.src]
        return self.writing.box(node.box.kind, node.box.attrs, uses)[0]

    def place(self, k: int, node: Node) -> None:
        """Write a box of the region."""
        box = node.box
        uses: list[Use] = []
        for wire, row in zip(node.src, box.maps, strict=True):
            here, slots = self.made.get(wire) or self.seen[self._entry(k, wire, row)]
            uses.append((here, tuple([row[s] for s in slots if isinstance(s, int)])))
        new: list[tuple[Label, Size]] = [(box.inner + j, size) for j, size in enumerate(box.new)]
        made = self.writing.box(box.kind, box.attrs, uses, box.bound, new)
        for wire, row, (here, labels) in zip(node.wires, box.outs, made, strict=True):
            order: list[int] = [row.index(x) for x in labels if isinstance(x, int)]
            self.made[wire] = (here, tuple(order))
            names = self._axes(*self._entry(k, wire, row))
            self.writing.builder.hints[here] = tuple([names[slot] for slot in order])

    @staticmethod
    def _slot(axis: int | None, row: Axes) -> int | None:
        return row.index(axis) if axis is not None and axis in row else None

    def _entry(self, k: int, wire: int, row: Axes) -> Entry:
        rows, columns = self.region.rows[k], self.region.columns[k]
        return Entry(wire, self._slot(rows, row), self._slot(columns, row))

    def _out(self, name: str, leaving: Exit) -> Port:
        """An output: tubes that all arrays share first, then the rows or columns, then the rest."""
        here, slots = self.made[leaving.wire]
        names = self._axes(*leaving)
        inputs = [set(self._axes(*entry)) for entry in self.entries]
        long = [s for s in leaving[1:] if s is not None]
        others = [s for s in range(len(names)) if s not in long]
        order = sorted(others, key=lambda s: not self._shared(names[s], inputs))
        count = sum(self._shared(names[s], inputs) for s in others)
        order[count:count] = long
        return Port(
            name, here, tuple([names[s] for s in order]), tuple([slots.index(s) for s in order])
        )

    def _shared(self, name: str, inputs: Sequence[set[str]]) -> bool:
        """Whether inputs with rows and inputs with columns have an axis of this name."""
        return any(name in one and ROWS in one for one in inputs) and any(
            name in one and COLUMNS in one for one in inputs
        )
