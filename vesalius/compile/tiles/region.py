"""Regions: the part of a diagram whose arrays carry a query and a key axis at once.

A softmax attention writes an array of queries × keys, and so does every other mechanism with a
score for each pair. A *region* holds the boxes that make and use such arrays, so that they stay
inside: what enters and leaves it is linear in both lengths. Every box of a region is mapped over
the *rows* (the queries): the rows are a tube of the region, so it may run on a few at a time.

    from a contraction over the *columns* (the keys) of an array that has both
    through all arrays that have both, up to their operands and down to their readers
    to the boxes between these, which belong to it too

Where something acts along the queries (they compete for each key), queries and keys change roles:
the keys are the rows, and what leaves are sums over them, which add up over any few at a time.

A region is refused, with the reason, where an array with both is an output or is made by a box
that binds the rows and is no such sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.sources import RANDOM
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size


class Entry(NamedTuple):
    """A wire that enters a region: which of its slots are rows and columns, if any."""

    wire: int
    row: int | None
    column: int | None


class Exit(NamedTuple):
    """A wire that leaves a region; the slots that are its rows and columns.

    It has rows and no columns, or it is a sum over rows.
    """

    wire: int
    row: int | None
    column: int | None = None


@dataclass(frozen=True)
class Region:
    """Nodes of a diagram (in order), what enters and what leaves.

    `rows[k]` and `columns[k]` are the local axes of node k that are rows and columns. There is one
    exit that has rows, or all exits are sums over rows.
    """

    nodes: tuple[int, ...]
    rows: dict[int, int | None]
    columns: dict[int, int | None]
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]

    @property
    def added(self) -> bool:
        """Whether what leaves are sums over rows."""
        return self.exits[0].row is None


class Refused(Exception):
    """Why a part of a diagram is no region."""


class AlongRows(Refused):
    """A box acts along the rows."""


class Seed(NamedTuple):
    """A contraction over the columns: node, the operand with both, its slots."""

    node: int
    wire: int
    row: int
    column: int


def seeds(diagram: Diagram, fixed: Collection[str]) -> Iterator[Seed]:
    """Where regions may begin: products summed over an axis of an array that has another.

    An axis whose length hangs on `fixed` variables alone is none: what is linear in the width of
    the model need not be kept small.
    """
    fixed = set(fixed)
    inputs = len(diagram.inputs)
    for k, node in enumerate(diagram.nodes):
        box = node.box
        if box.kind is not CONTRACT or not box.bound or len(node.src) < 2:
            continue
        for wire, row in zip(node.src, box.maps, strict=True):
            if diagram.owner[wire] < inputs or not diagram.nodes[diagram.owner[wire]].src:
                continue
            sizes = diagram.types[wire].sizes
            long = [s for s, size in enumerate(sizes) if not size.variables <= fixed]
            others = [
                set(r) for w, r in zip(node.src, box.maps, strict=True) if (w, r) != (wire, row)
            ]
            for column in long:
                if row[column] not in box.bound:
                    continue
                partners = [other for other in others if row[column] in other]
                for slot in reversed(long):
                    axis = row[slot]
                    if axis in box.bound or not partners:
                        continue
                    if all(axis not in other for other in partners):
                        yield Seed(k, wire, slot, column)


def grow(diagram: Diagram, seed: Seed) -> Region:
    """The region around a seed. Raises `Refused` with the reason."""
    try:
        return _Growth(diagram, seed).region()
    except AlongRows as reason:
        other = seed._replace(row=seed.column, column=seed.row)
        try:
            return _Growth(diagram, other, summed=True).region()
        except Refused:
            raise reason from None


class _Growth:
    def __init__(self, diagram: Diagram, seed: Seed, summed: bool = False) -> None:
        self.diagram = diagram
        self.seed = seed
        hints = diagram.hints[seed.wire]
        self.row, self.column = hints[seed.row] or "rows", hints[seed.column] or "columns"
        self.summed = summed  # whether what leaves are sums over rows
        self.outputs = {port.wire for port in diagram.outputs}
        self.rows: dict[int, int | None] = {}  # node → its local axis
        self.columns: dict[int, int | None] = {}
        self.both: dict[int, tuple[int, int]] = {}  # wires with both, and their slots
        self.large: set[int] = set()  # wires with both that a region's node owns

    def region(self) -> Region:
        self._spread()
        if not self.rows:
            raise Refused(f"no array of {self.row} and {self.column} is made here")
        self._close()
        exits = self._sums() if self.summed else self._exits()
        while len(exits) > 1 and not self.summed:
            self._join(exits)
            exits = self._exits()
        nodes = tuple(sorted(self.rows))
        entries: dict[Entry, None] = {}
        for k in nodes:
            node = self.diagram.nodes[k]
            for wire, row in zip(node.src, node.box.maps, strict=True):
                if self.diagram.owner[wire] not in self.rows:
                    entries[self._entry(k, wire, row)] = None
        region = Region(nodes, self.rows, self.columns, tuple(entries), tuple(exits))
        self._check_gain(region)
        return region

    def _exits(self) -> list[Exit]:
        exits = []
        for k in sorted(self.rows):
            node = self.diagram.nodes[k]
            for wire, slots in zip(node.wires, node.box.outs, strict=True):
                readers = {reader for reader, _ in self.diagram.consumers[wire]}
                if wire in self.outputs or readers - set(self.rows):
                    if wire in self.large:
                        raise Refused(f"an array of {self.row} and {self.column} is read elsewhere")
                    axis = self.rows[k]
                    if axis not in slots:
                        raise Refused(f"{node.box.kind.name} leaves {self.row} behind")
                    exits.append(Exit(wire, slots.index(axis)))
        return exits

    def _sums(self) -> list[Exit]:
        """The sums over rows, if they are all that leaves; no box inside reads them."""
        exits = []
        for k in sorted(self.rows):
            node = self.diagram.nodes[k]
            added = self.rows[k] in node.box.bound
            for wire, slots in zip(node.wires, node.box.outs, strict=True):
                readers = {reader for reader, _ in self.diagram.consumers[wire]}
                if not added:
                    if wire in self.outputs or readers - set(self.rows):
                        raise Refused(f"what is made of some {self.row} is read elsewhere")
                    continue
                if readers & set(self.rows):
                    raise Refused(f"a sum over {self.row} is read by what makes another")
                column = self.columns[k]
                exits.append(Exit(wire, None, slots.index(column) if column in slots else None))
        return exits

    def _join(self, exits: list[Exit]) -> None:
        """Take in the first reader of what leaves in several places: a numerator, a denominator."""
        if any(exit_.wire in self.outputs for exit_ in exits):
            raise Refused("what it makes is read in several places")
        readers = [{k for k, _ in self.diagram.consumers[e.wire]} - set(self.rows) for e in exits]
        first = min(set().union(*readers))
        self._between(first, self.diagram.nodes[first])
        self._close()
        if len(self.rows) > 2 * len(self.both) + 16:
            raise Refused("what it makes is read in several places")

    def _check_gain(self, region: Region) -> None:
        """What stays inside is larger than what enters and what leaves; no draw is large."""

        def factors(wire: int) -> Counter[Size]:
            return Counter(self.diagram.types[wire].sizes)

        for entry in region.entries:
            made = self.diagram.nodes[self.diagram.owner[entry.wire]].box.kind
            if made is RANDOM and None not in (entry.row, entry.column):
                raise Refused("it draws random numbers for each pair")
        inside = [factors(wire) for wire in self.large]
        ends = (*(e.wire for e in region.entries), *(e.wire for e in region.exits))
        outside = [factors(wire) for wire in ends]
        if not any(all(not one <= other for other in outside) for one in inside):
            raise Refused("no array inside is larger than those that enter or leave")

    def _entry(self, k: int, wire: int, row: tuple[int, ...]) -> Entry:
        def slot(axis: int | None) -> int | None:
            return row.index(axis) if axis is not None and axis in row else None

        return Entry(wire, slot(self.rows[k]), slot(self.columns[k]))

    # -- arrays with both ---------------------------------------------------------------------

    def _spread(self) -> None:
        """Follow arrays with both, to who makes them and to who reads them."""
        todo = [(self.seed.wire, self.seed.row, self.seed.column)]
        while todo:
            wire, row, column = todo.pop()
            known = self.both.get(wire)
            if known is not None:
                if known != (row, column):
                    raise Refused(f"what is {self.row} in one place is {self.column} in another")
                continue
            self.both[wire] = (row, column)
            owner = self.diagram.owner[wire]
            maker = self.diagram.nodes[owner]
            slots = maker.box.outs[wire - maker.first]
            if maker.src and self._takes(owner, maker, slots[row], slots[column], todo):
                self.large.add(wire)
                for k, port in self.diagram.consumers[wire]:
                    reader = self.diagram.nodes[k]
                    axes = reader.box.maps[port]
                    self._check_rows(reader, axes[row])
                    self._takes(k, reader, axes[row], axes[column], todo)

    def _takes(
        self, k: int, node: Node, row: int, column: int, todo: list[tuple[int, int, int]]
    ) -> bool:
        """Make a node part of the region, and look at its wires that have both."""
        box = node.box
        if row >= box.inner:
            return False  # it makes the rows: what it makes enters
        self._check_rows(node, row)
        if column >= box.inner:
            held = [a for a in box.bound if any(a in r and row in r for r in box.maps)]
            if len(held) != 1:
                return False
            column_in = held[0]
        else:
            column_in = column
        if self.rows.setdefault(k, row) != row:
            raise Refused(f"{box.kind.name} reads {self.row} along two axes")
        if self.columns.setdefault(k, column_in) != column_in:
            raise Refused(f"{box.kind.name} reads {self.column} along two axes")
        for wire, axes in zip(node.src, box.maps, strict=True):
            if row in axes and column_in in axes:
                todo.append((wire, axes.index(row), axes.index(column_in)))
        for wire, axes in zip(node.wires, box.outs, strict=True):
            if row in axes and column in axes:
                todo.append((wire, axes.index(row), axes.index(column)))
        return True

    def _check_rows(self, node: Node, row: int) -> None:
        """A box maps over the rows, or it is a sum over them that leaves."""
        if row in node.box.bound and not (self.summed and node.box.kind is CONTRACT):
            raise AlongRows(
                f"{node.box.kind.name} acts along {self.row}, of which some are taken at a time"
            )

    # -- what stands between ------------------------------------------------------------------

    def _close(self) -> None:
        """Take in the boxes between those of the region: they read and feed it."""
        nodes, owner = self.diagram.nodes, self.diagram.owner
        first, last = min(self.rows), max(self.rows)
        below: set[int] = set()
        for k in range(first, last + 1):
            if k in self.rows or any(owner[w] in below for w in nodes[k].src):
                below.add(k)
        above: set[int] = set()
        for k in range(last, first - 1, -1):
            readers = (r for w in nodes[k].wires for r, _ in self.diagram.consumers[w])
            if k in self.rows or any(r in above for r in readers):
                above.add(k)
        for k in sorted((below & above) - set(self.rows)):
            self._between(k, nodes[k])

    def _between(self, k: int, node: Node) -> None:
        """A box between: it carries the rows of what it reads, as a tube."""
        axes = set()
        for wire, row in zip(node.src, node.box.maps, strict=True):
            owner = self.diagram.owner[wire]
            axis = self.rows.get(owner)
            if axis is not None:
                maker = self.diagram.nodes[owner]
                slots = maker.box.outs[wire - maker.first]
                axes.add(row[slots.index(axis)] if axis in slots else -1)
        if len(axes) != 1 or -1 in axes or axes & set(node.box.bound):
            raise Refused(f"{node.box.kind.name} stands between and is not mapped over {self.row}")
        (self.rows[k],) = axes
        self.columns[k] = None
