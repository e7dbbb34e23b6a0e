"""The body of a region at any number of rows and columns, as it is run on some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vesalius.compile.kernels.kernel import kernel_of
from vesalius.compile.kernels.relative_shift import SHIFT
from vesalius.compile.rebuild import Rebuild
from vesalius.compile.terms import Use
from vesalius.compile.tiles.body import COLUMNS, DISTANCES, ROWS
from vesalius.compile.tiles.traces import Traces
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.shape import EXPAND, PAD
from vesalius.diagrams.builder import Label
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, variable
from vesalius.diagrams.types import ArrayType


def free_lengths(body: Diagram) -> Diagram:
    """The body at any number of rows and columns: their sizes are variables of their own."""
    sizes = {name: variable(fresh_name(name, body.size_variables)) for name in (ROWS, COLUMNS)}
    sizes[DISTANCES] = sizes[ROWS] + sizes[COLUMNS] - 1
    return _Free(body, sizes).run()


class _Free(Rebuild):
    """A body in which what is as long as the columns, or longer by something, follows them."""

    def __init__(self, body: Diagram, sizes: Mapping[str, Size]) -> None:
        types = {name: _freed(type_, sizes) for name, type_ in body.input_types.items()}
        super().__init__(body, types)
        self.rows, self.traces = sizes[ROWS], Traces(body)

    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        box = node.box
        here = [self.here(use) for use in uses]
        attrs, sizes = box.attrs, list(box.new)
        if kernel_of(box) == (SHIFT, ""):
            (n, d), made = (labels[a] for a in box.bound), labels[box.inner :]
            return [SHIFT.box(self.writing, [(here[0], {"n": n, "d": d})],
                              dict(zip("nm", made, strict=True)))]  # fmt: skip
        if box.kind is EXPAND:
            slots = enumerate(box.outs[0])
            sizes = [self._expanded(node, slot, box.new[a - box.inner])
                     for slot, a in slots if a >= box.inner]  # fmt: skip
        if box.kind is PAD:
            sizes = [box["before"] + self._length(here[0], labels[box.bound[0]]) + box["after"]]
        elif box.kind is SCAN and box["elements"]:
            first = box["states"]
            time = [axis for axis in box.bound if axis in box.maps[first]][-1]  # after its own
            length, at = self._length(here[first], labels[time]), 0
            for j, port in enumerate(box["body"].outputs):
                if j >= first:  # collected along the time, which comes before its own axes
                    sizes[at] = length
                at += len(port.axes) + (j >= first)
            fields = [name for name, _ in box.kind.fields]
            attrs = tuple([length if name == "length" else box[name] for name in fields])
        new = [(labels[box.inner + k], size) for k, size in enumerate(sizes)]
        return self.writing.box(box.kind, attrs, here, [labels[axis] for axis in box.bound], new)

    def _expanded(self, node: Node, slot: int, size: Size) -> Size:
        """The size of an axis that is repeated: for a table by distance, these are the rows."""
        return self.rows if self.traces.find((node.first, slot)) == self.traces.rows else size

    def _length(self, use: Use, label: Label) -> Size:
        wire, slots = use
        return self.writing.builder.types[wire].sizes[slots.index(label)]


def _freed(type_: ArrayType, sizes: Mapping[str, Size]) -> ArrayType:
    return ArrayType({a: sizes.get(a, length) for a, length in type_.axes.items()}, type_.dtype)
