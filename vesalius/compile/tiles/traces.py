"""Which axes of a body are one: followed from its inputs through the boxes mapped over them."""

from __future__ import annotations

from collections.abc import Iterable

from vesalius.compile.kernels.kernel import kernel_of
from vesalius.compile.kernels.relative_shift import SHIFT
from vesalius.compile.tiles.body import COLUMNS, ROWS
from vesalius.diagrams.graph import Diagram, Port

Place = tuple[int, int]  # a wire and a slot


class Traces:
    """Classes of axes. `rows` and `columns` are classes, `outer` the tubes of the whole body.

    An axis is traced through every box that has it as a tube, and rows through a shift. A class is
    a tube of the whole body when no box binds or makes it, some array with rows and columns has it,
    and all outputs have it.
    """

    def __init__(self, body: Diagram) -> None:
        self.body = body
        self.parent: dict[Place, Place] = {}
        acted_on: list[Place] = []
        for node in body.nodes:
            box = node.box
            at: dict[int, list[Place]] = {}
            for wire, row in [
                *zip(node.src, box.maps, strict=True),
                *zip(node.wires, box.outs, strict=True),
            ]:
                for slot, axis in enumerate(row):
                    at.setdefault(axis, []).append((wire, slot))
            for axis, places in at.items():
                for place in places[1:]:
                    self._join(places[0], place)
                if axis in box.bound or (axis >= box.inner and node.src):
                    acted_on += places
            if kernel_of(box) == (SHIFT, ""):  # what is a row before is one behind
                rows = box.bound[0], box.inner
                (before,), (behind,) = (at[axis] for axis in rows)
                self._join(before, behind)
        acted = {self.find(place) for place in acted_on}
        self.rows = self._named(ROWS)
        self.columns = self._named(COLUMNS)
        both = {
            self.find((wire, slot))
            for wire, type_ in enumerate(body.types)
            for slot in range(len(type_.sizes))
            if {self.rows, self.columns} <= {self.find((wire, s)) for s in range(len(type_.sizes))}
        }
        first, *others = (
            [self.find((port.wire, slot)) for slot in port.slots] for port in body.outputs
        )
        self.outer = [
            x
            for x in first
            if x in both
            and x not in {*acted, self.rows, self.columns}
            and all(x in other for other in others)
        ]

    def find(self, place: Place) -> Place:
        """The representative of the class of a place."""
        while self.parent.get(place, place) != place:
            place = self.parent[place]
        return place

    def _join(self, one: Place, other: Place) -> None:
        a, b = self.find(one), self.find(other)
        if a != b:
            self.parent[max(a, b)] = min(a, b)

    def _named(self, name: str) -> Place | None:
        found = None
        for port in self.body.inputs:
            for axis, slot in zip(port.axes, port.slots, strict=True):
                if axis == name:
                    place = (port.wire, slot)
                    if found is not None:
                        self._join(found, place)
                    found = found or place
        return None if found is None else self.find(found)

    def dims(self, kind: Place | None) -> tuple[int | None, ...]:
        """For each input, the dimension that belongs to a class."""
        return self._dims(self.body.inputs, kind)

    def dims_out(self, kind: Place | None) -> tuple[int | None, ...]:
        """The same for each output."""
        return self._dims(self.body.outputs, kind)

    def _dims(self, ports: Iterable[Port], kind: Place | None) -> tuple[int | None, ...]:
        found = []
        for port in ports:
            here = [self.find((port.wire, slot)) for slot in port.slots]
            found.append(here.index(kind) if kind in here else None)
        return tuple(found)

    def has(self, wire: int, kind: Place | None) -> bool:
        """Whether a wire has an axis of a class."""
        return any(
            self.find((wire, slot)) == kind for slot in range(len(self.body.types[wire].sizes))
        )
