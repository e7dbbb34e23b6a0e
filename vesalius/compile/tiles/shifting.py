"""The body of a region in which arrays of pairs are read from tables by distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vesalius.compile.kernels.kernel import Place
from vesalius.compile.kernels.relative_shift import shift
from vesalius.compile.terms import Use
from vesalius.compile.tiles.body import DISTANCES, Body, Extraction
from vesalius.compile.tiles.distances import (
    Along,
    Applied,
    Offsets,
    Read,
    Shift,
    Table,
    Written,
    leaves,
)
from vesalius.compile.tiles.region import Entry, Region
from vesalius.diagrams.boxes.linear import ADD
from vesalius.diagrams.graph import Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType, is_axis_name


def shifted_body(place: Place, region: Region, shifts: Mapping[int, Shift]) -> Body:
    """The body of a region with these wires written by distance."""
    return _Shifted(place, region, shifts).run()


class _Shifted(Extraction):
    def __init__(self, place: Place, region: Region, shifts: Mapping[int, Shift]) -> None:
        self.host, self.shifts = place, shifts
        super().__init__(place.diagram, place, _without(place, region, shifts))
        tables = [leaf for one in shifts.values() for leaf in leaves(one.source)]
        self.leaves = [leaf for leaf in tables if isinstance(leaf, Table)]
        reads = [use for leaf in self.leaves for use in leaf.reads]
        entries = [(e.wire, ()) for e in self.entries]
        self.right = place.right([*(use for use in reads if not place.is_number(use)), *entries])
        one = next(iter(shifts.values()))
        self.offsets = Offsets(self.right, place.size(one.use, one.rows),
                               place.size(one.use, one.columns))  # fmt: skip
        self.tables: dict[int, tuple[Use, Use]] = {}  # by the leaf: on the right side, and here

    def run(self) -> Body:
        body = super().run()
        return replace(
            body, tables=tuple([use for use, _ in self.tables.values()]), right=self.right
        )

    def declare(self) -> None:
        super().declare()
        for leaf in self.leaves:
            use = leaf.write(self.offsets)
            sizes = self.right.sizes([use])
            names: dict[str, None] = {}
            for label in use[1]:
                plain = getattr(label, "name", "")
                plain = plain if is_axis_name(plain) else "a"
                name = DISTANCES if label is self.offsets.label else fresh_name(plain, names)
                names[name] = None
            type_ = ArrayType(dict(zip(names, sizes.values(), strict=True)), self.right.dtype(use))
            wire = self.input("table", type_)
            self.tables[id(leaf)] = use, (wire.id, use[1])

    def place(self, k: int, node: Node) -> None:
        if node.first not in self.shifts:
            super().place(k, node)
            return
        one, w = self.shifts[node.first], self.writing
        sizes = self.host.sizes([one.use])
        here, labels = w.expand(self._written(one.source, one), sizes)
        order = tuple([one.use[1].index(label) for label in labels])
        self.made[node.first] = here, order
        names = self._axes(*self._entry(k, node.first, node.box.outs[0]))
        w.builder.hints[here] = tuple([names[slot] for slot in order])

    def _written(self, source: Written, one: Shift) -> Use:
        w = self.writing
        if isinstance(source, Table):
            return self.tables[id(source)][1]
        if isinstance(source, Along):
            found, rows = self._written(source.source, one), self.host.size(one.use, one.rows)
            distances = self.offsets.label
            if distances not in found[1]:
                return found
            return shift(w, found, distances, one.rows, one.columns, rows)
        if isinstance(source, Applied):
            parts = [self._written(part, one) for part in source.parts]
            if source.kind is ADD:
                return w.add(parts)
            return w.box(source.kind, source.attrs, parts, source.bound)[0]
        wire, labels = source.use
        here, slots = self.made.get(wire) or self.seen[_entry_of(source, one)]
        return here, tuple([labels[slot] for slot in slots if isinstance(slot, int)])


def _entry_of(read: Read, one: Shift) -> Entry:
    wire, labels = read.use
    return Entry(wire, *[labels.index(x) if x in labels else None for x in (one.rows, one.columns)])


def _without(place: Place, region: Region, shifts: Mapping[int, Shift]) -> Region:
    """The region without what only makes the arrays that are written by distance."""
    diagram = place.diagram
    entries: dict[Entry, None] = {}
    todo, kept = [diagram.owner[one.wire] for one in region.exits], set[int]()
    while todo:
        k = todo.pop()
        if k in kept:
            continue
        kept.add(k)
        node = diagram.nodes[k]
        if node.first in shifts:
            one = shifts[node.first]
            for leaf in leaves(one.source):
                if isinstance(leaf, Read):
                    owner = diagram.owner[leaf.use[0]]
                    if owner in region.rows:
                        todo.append(owner)
                    else:
                        entries[_entry_of(leaf, one)] = None
            continue
        for wire, row in zip(node.src, node.box.maps, strict=True):
            if diagram.owner[wire] in region.rows:
                todo.append(diagram.owner[wire])
            else:
                slots = (region.rows[k], region.columns[k])
                entries[Entry(wire, *[row.index(a) if a in row else None for a in slots])] = None
    nodes = tuple([k for k in region.nodes if k in kept])
    return replace(region, nodes=nodes, entries=tuple(entries))
