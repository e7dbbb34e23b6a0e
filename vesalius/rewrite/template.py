"""Right sides put in again and again: what one match has shown, others of its shape repeat.

Grafting a right side gives labels to axes, brings boxes into their canonical form, infers types
and checks sizes. For matches of one shape, whose boundary wires have the same types and come in
the same order, all that comes out the same but for the wires. So it is done once, in a builder
of its own, and the boxes are repeated on other wires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from vesalius.diagrams.box import Box, WireType
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graft import Graft, Seen
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size

# For each slot a name, or whose slot it is called after; a wire whose names serve as they are.
Hint = tuple[str | tuple[int, int], ...] | int


class Step(NamedTuple):
    """One box: which wires it reads, counted from the boundary on, and what it makes."""

    box: Box
    reads: tuple[int, ...]
    commutes: bool
    types: tuple[WireType, ...]
    hints: tuple[Hint, ...]


class _Slot(NamedTuple):
    """The label of a tube while a template is made: a slot of a wire at the boundary.

    A wire that is read twice may have two tubes in one slot; `number` tells them apart.
    """

    wire: int
    slot: int
    number: int

    @property
    def name(self) -> str:
        return f"\0{self.wire}\0{self.slot}\0{self.number}"


class Template:
    """The boxes of a right side, to be repeated on other wires.

    `landed` sends wires of the body to wires, counted as in `Step.reads`; `output` is the wire
    that comes out, with its slots as those of the wire that it replaces (None: in order).
    """

    def __init__(
        self, steps: list[Step], landed: list[int], output: int, slots: tuple[Label, ...] | None
    ) -> None:
        self.steps = steps
        self.landed = landed
        self.output = output
        self.slots = slots

    def repeat(self, builder: Builder, boundary: Sequence[int]) -> list[int] | None:
        """The wires of one more right side; None where operands would come in another order."""
        table, types, hints = builder.table, builder.types, builder.hints
        wires = list(boundary)
        for box, reads, commutes, made, named in self.steps:
            src = tuple([wires[place] for place in reads])
            if commutes and any(a >= b for a, b in pairwise(src)):
                return None
            key = (box, src)
            node = table.get(key)
            if node is None:
                node = table[key] = Node(box, src, len(types))
                builder.nodes.append(node)
                types.extend(made)
                hints.extend([_hint(one, hints, wires) for one in named])
            first = node.first
            wires.append(first)
            for offset in range(1, len(made)):
                wires.append(first + offset)
        return wires


def _hint(one: Hint, hints: Sequence[tuple[str, ...]], wires: Sequence[int]) -> tuple[str, ...]:
    if isinstance(one, int):
        return hints[wires[one]]
    names = [x if isinstance(x, str) else hints[wires[x[0]]][x[1]] for x in one]
    if len(set(names)) < len(names):
        taken: set[str] = set()
        for slot, name in enumerate(names):
            names[slot] = fresh_name(name, taken)
            taken.add(names[slot])
    return tuple(names)


def template(
    body: Diagram,
    uses: Sequence[Use],
    labels: tuple[Label, ...],
    sizes: Mapping[str, Size],
    boundary: Mapping[int, WireType],
) -> Template | None:
    """The template of a body on these wires, which come in this order; None where it has none.

    `labels` are those of the wire that the only output of the body replaces.
    """
    builder = Builder()
    place: dict[int, int] = {}
    tubes: dict[Label, Label] = {}
    for wire, type_ in boundary.items():
        new = [((wire, slot), length) for slot, length in enumerate(type_.sizes)]
        made = builder.add(INPUT, (len(place), type_.dtype), (), (), new)
        place[wire] = made.wires.start
        builder.hints[made.wires.start] = tuple(
            _Slot(len(place) - 1, slot, 0).name for slot in range(len(type_.sizes))
        )
    count = len(builder.nodes)
    for wire, row in uses:
        for slot, label in enumerate(row):
            if not isinstance(label, int):
                tubes.setdefault(label, _Slot(place[wire], slot, len(tubes)))
    graft = Graft(builder, body, sizes, {}, None, "", {}, None)
    graft.run([(place[wire], tuple(tubes.get(x, x) for x in row)) for wire, row in uses])
    if builder.symmetries or builder.expanded:
        return None
    output, slots = _output(body, graft.seen, [tubes.get(x, x) for x in labels])
    steps = [
        Step(
            node.box,
            node.src,
            len(node.src) > 1 and node.box.kind.commutes(node.box.attrs),
            tuple(builder.types[wire] for wire in node.wires),
            tuple(_read(builder, wire) for wire in node.wires),
        )
        for node in builder.nodes[count:]
    ]
    return Template(steps, [seen[0] for seen in graft.seen], output, slots)


def _read(builder: Builder, wire: int) -> Hint:
    found: list[str | tuple[int, int]] = []
    for name in builder.hints[wire]:
        _, *rest = name.split("\0")
        found.append((int(rest[0]), int(rest[1])) if rest else name)
    after = {x[0] for x in found if not isinstance(x, str)}
    if len(after) == 1:
        (only,) = after
        if found == [(only, slot) for slot in range(len(builder.types[only].sizes))]:
            return only
    return tuple(found)


def _output(body: Diagram, seen: Sequence[Seen], labels: Sequence[Label]) -> Seen:
    """The wire that comes out, its slots as those of the wire that it replaces."""
    (port,) = body.outputs
    wire, labelled = seen[port.wire]
    place = {label: slot for slot, label in enumerate(labels)}
    axis = {slot: i for i, slot in enumerate(port.slots)}
    own: Sequence[Label] = range(len(port.slots)) if labelled is None else labelled
    slots = tuple(place[axis[x] if isinstance(x, int) else x] for x in own)
    return wire, None if slots == tuple(range(len(slots))) else slots
