"""A typed e-graph with slots: classes of equal wires, and the boxes that make them.

After Schneider et al., *Slotted E-Graphs* (PLDI 2025). A *class* stands for wires that are known
to be equal. Like a wire it has slots without names, each with a size, and an element type. An
*e-node* is a box that reads classes; a use of a class is the class with a label for each of its
slots, exactly as a use of a wire is (`vesalius.diagrams.builder`), and the box is in the same
canonical form. So alpha-variants are one e-node, operands have no order, and a class may have
*symmetries*: permutations of its slots that change nothing (a Gram matrix equals its transpose).

Types are exact: a merge asserts that both classes have the same slots and the same element
type, so a slot is never redundant, and there is no type to overwrite.

`union` records; `rebuild` restores congruence: boxes that read equal classes alike are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Kind, Site, WireType, box
from vesalius.diagrams.boxes.shape import EXPAND, LIKE
from vesalius.diagrams.canonical import (
    Label,
    Relabelling,
    Spelling,
    Use,
    canonical,
    closure,
    output_turns,
    plain,
    tied,
)
from vesalius.diagrams.errors import SizeError, TypeClash
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import substitute as of_diagram
from vesalius.diagrams.sizes import Size


class Seat(NamedTuple):
    """Where an output of an e-node is: its class, and for each slot of the box the class's slot."""

    group: int
    slots: Axes


class ENode:
    """A box that reads classes. `seats[o]` says which class output o is in, and how.

    `turns[o]` are the symmetries that the box gives to the slots of output o. Once a congruent
    e-node takes its place, `same` is that one. `number` counts e-nodes in the order in which
    they were made.
    """

    __slots__ = ("box", "number", "same", "seats", "src", "turns")

    def __init__(self, number: int, box: Box, src: tuple[int, ...], seats: list[Seat]) -> None:
        self.number = number
        self.box = box
        self.src = src
        self.seats = seats
        self.turns: list[tuple[Axes, ...]] = [()] * len(box.outs)
        self.same: ENode | None = None

    def __repr__(self) -> str:
        return f"ENode({self.number}: {self.box!r}, {self.src})"


class _Spelled(NamedTuple):
    """The canonical form of an e-node: `names[a]` is the label of its local axis a."""

    box: Box
    src: tuple[int, ...]
    names: list[Label]
    symmetries: Sequence[Relabelling]


class EGraph:
    """Classes, e-nodes, and what is known of them; see the module."""

    def __init__(self) -> None:
        self.types: list[WireType] = []
        self.turns: dict[int, tuple[Axes, ...]] = {}
        self.table: dict[tuple[Box, tuple[int, ...]], ENode] = {}
        self.made: list[ENode] = []
        self.merged = 0  # how many e-nodes have become the same as others
        self.touched: set[int] = set()  # classes that have changed since somebody last looked
        self._above: list[tuple[int, Axes] | None] = []
        self._members: list[list[ENode]] = []
        self._readers: list[list[ENode]] = []
        self._generators: dict[int, list[Axes]] = {}
        self._stale: list[ENode] = []
        self._known: dict[int, list[tuple[ENode, int]]] = {}  # members, until they change

    # -- looking ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many e-nodes there are."""
        return len(self.table)

    def find(self, group: int) -> tuple[int, Axes]:
        """The class that stands for this one, and for each slot of this one the slot there."""
        step = self._above[group]
        if step is None:
            return group, tuple(range(len(self.types[group].sizes)))
        above, turn = step
        if self._above[above] is None:
            return above, turn
        path = [group]
        while (step := self._above[above]) is not None:
            path.append(above)
            above = step[0]
        turn = tuple(range(len(self.types[above].sizes)))
        for one in reversed(path):
            step = self._above[one]
            assert step is not None
            turn = tuple([turn[slot] for slot in step[1]])
            self._above[one] = (above, turn)
        return above, turn

    def use(self, use: Use) -> Use:
        """The same use, of the class that stands for its class."""
        group, labels = use
        if self._above[group] is None:
            return use
        above, turn = self.find(group)
        turned: list[Label] = [None] * len(labels)
        for label, slot in zip(labels, turn, strict=True):
            turned[slot] = label
        return above, tuple(turned)

    def node(self, node: ENode) -> ENode:
        """The e-node that stands for this one."""
        while node.same is not None:
            node = node.same
        return node

    def seat(self, node: ENode, output: int = 0) -> Seat:
        """The class of an output, and for each slot of the box there the slot of the class."""
        seat = node.seats[output]
        if self._above[seat.group] is not None:
            above, turn = self.find(seat.group)
            seat = node.seats[output] = Seat(above, tuple([turn[slot] for slot in seat.slots]))
        return seat

    def members(self, group: int) -> list[tuple[ENode, int]]:
        """The e-nodes of a class, each with the output that is in it, in the order of making."""
        group, _ = self.find(group)
        known = self._known.get(group)
        if known is None:
            alive = {node for node in self._members[group] if node.same is None}
            ordered = sorted(alive, key=lambda node: node.number)
            self._members[group] = ordered
            known = self._known[group] = [
                (node, output)
                for node in ordered
                for output in range(len(node.seats))
                if self.seat(node, output).group == group
            ]
        return known

    def ways(self, node: ENode, output: int) -> tuple[Axes, ...]:
        """The ways to read an output of an e-node as its class.

        They are the symmetries of the class, one for all that the e-node itself has.
        """
        group, slots = self.seat(node, output)
        identity = tuple(range(len(slots)))
        turns = self.turns.get(group)
        if turns is None:
            return (identity,)
        own = [identity, *(carried(turn, slots) for turn in node.turns[output])]
        seen: set[Axes] = set()
        found = []
        for turn in (identity, *turns):
            if turn not in seen:
                found.append(turn)
                seen.update(tuple([turn[k] for k in one]) for one in own)
        return tuple(found)

    def readers(self, group: int) -> list[ENode]:
        """The e-nodes that read a class."""
        group, _ = self.find(group)
        alive = list(dict.fromkeys(map(self.node, self._readers[group])))
        self._readers[group] = alive
        return alive

    def groups(self) -> Iterator[int]:
        """All classes."""
        return (group for group, above in enumerate(self._above) if above is None)

    def nodes(self) -> list[ENode]:
        """All e-nodes, in the order of making."""
        return sorted(self.table.values(), key=lambda node: node.number)

    def site(self, node: ENode) -> Site:
        """The box of an e-node with its local sizes and the element types of its inputs."""
        return self._site(node.box, node.src)

    def same(self, one: Use, other: Use) -> bool:
        """Whether two uses are known to be equal."""
        (a, labels), (b, others) = self.use(one), self.use(other)
        if a != b or labels == others:
            return a == b
        turns = self.turns.get(a, ())
        return any(tuple([labels[k] for k in turn]) == others for turn in turns)

    # -- adding -----------------------------------------------------------------------------------

    def add(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label] = (),
        new: Sequence[tuple[Label, Size]] = (),
    ) -> list[Use]:
        """Add a box, or find it; returns a use for each output, labelled as the inputs are."""
        return self.place(kind, attrs, uses, bound, new)[1]

    def place(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label] = (),
        new: Sequence[tuple[Label, Size]] = (),
    ) -> tuple[ENode | None, list[Use]]:
        """As `add`, with the e-node; None where nothing had to be repeated (`like`)."""
        if kind is LIKE:
            (group, labels), (model, axes) = uses
            sizes = zip(axes, self.types[model].sizes, strict=True)
            new = [(label, size) for label, size in sizes if label not in labels]
            if not new:
                return None, [self.use((group, labels))]
            kind, uses = EXPAND, uses[:1]
        spelled = self._spell(kind, attrs, uses, bound, new)
        node = self.table.get((spelled.box, spelled.src))
        if node is None:
            node = self._new(spelled)
        made = []
        for output, row in enumerate(spelled.box.outs):
            group, slots = self.seat(node, output)
            own: list[Label] = [None] * len(row)
            for axis, slot in zip(row, slots, strict=True):
                own[slot] = spelled.names[axis]
            made.append((group, tuple(own)))
        return node, made

    def _new(self, spelled: _Spelled) -> ENode:
        site = self._site(spelled.box, spelled.src)
        spelled.box.kind.check(site)
        dtypes = spelled.box.kind.dtypes(spelled.box, site.dtypes)
        node = ENode(len(self.made), spelled.box, spelled.src, [])
        self.made.append(node)
        self.table[spelled.box, spelled.src] = node
        for row, dtype in zip(spelled.box.outs, dtypes, strict=True):
            group = len(self.types)
            self.types.append(WireType(tuple([site.sizes[a] for a in row]), dtype))
            self._above.append(None)
            self._members.append([node])
            self._readers.append([])
            self.touched.add(group)
            node.seats.append(Seat(group, tuple(range(len(row)))))
        for group in spelled.src:
            self._readers[group].append(node)
        self._turn(node, spelled)
        return node

    def _site(self, box_: Box, src: tuple[int, ...]) -> Site:
        sizes: list[Any] = [None] * box_.inner + list(box_.new)
        for group, row in zip(src, box_.maps, strict=True):
            for size, axis in zip(self.types[group].sizes, row, strict=True):
                if sizes[axis] is not None and sizes[axis] != size:
                    raise SizeError(f"{box_.kind.name} gets an axis of size {sizes[axis]}, {size}")
                sizes[axis] = size
        return Site(box_, sizes, tuple(self.types[group].dtype for group in src))

    def _spell(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label],
        new: Sequence[tuple[Label, Size]],
    ) -> _Spelled:
        uses = [self.use(use) for use in uses]
        commutes = len(uses) > 1 and kind.commutes(attrs)
        if commutes:
            uses.sort(key=lambda use: use[0])
        if kind is EXPAND:
            new = sorted(new, key=lambda item: str(item[1]))
        turns, is_set = self.turns, kind.bound_is_set
        found: Spelling
        if (commutes and tied(uses)) or any(use[0] in turns for use in uses):
            found = canonical(uses, commutes, turns, bound, is_set)
        else:
            found = plain(uses, bound, is_set)
        made = box(kind, attrs, found.maps, found.bound, tuple([size for _, size in new]))
        names = [*found.names, *[label for label, _ in new]]
        symmetries = list(found.symmetries)
        if kind is EXPAND:  # which of two new axes of one size is which does not matter
            symmetries += [{a: b, b: a} for (a, x), (b, y) in pairwise(new) if x == y]
        return _Spelled(made, tuple([group for group, _ in found.uses]), names, symmetries)

    def _turn(self, node: ENode, spelled: _Spelled) -> None:
        """Give the classes of a node the symmetries that its box has."""
        for output, row in enumerate(spelled.box.outs):
            turns = output_turns([spelled.names[a] for a in row], spelled.symmetries)
            node.turns[output] = closure(turns)
            if turns:
                group, slots = self.seat(node, output)
                self._symmetric(group, [carried(turn, slots) for turn in turns])

    def _symmetric(self, group: int, turns: Sequence[Axes]) -> None:
        """Note symmetries of a class; what reads it is spelled anew where they are news."""
        generators = self._generators.setdefault(group, [])
        for turn in turns:
            if turn != tuple(range(len(turn))) and turn not in self.turns.get(group, ()):
                generators.append(turn)
                self.turns[group] = closure(generators)
                self.touched.add(group)
                self._stale.extend(self._readers[group])

    # -- merging ----------------------------------------------------------------------------------

    def union(self, one: Use, other: Use) -> bool:
        """Assert that two uses are equal; says whether that was news.

        Raises `TypeClash` when the labels, the sizes or the element types differ.
        """
        (a, labels), (b, others) = self.use(one), self.use(other)
        if len(labels) != len(others) or set(labels) != set(others):
            raise TypeClash(f"a merge of wires with axes {labels} and {others}")
        if a == b:
            turn = tuple([labels.index(label) for label in others])
            news = turn != tuple(range(len(turn))) and turn not in self.turns.get(a, ())
            if news:
                self._symmetric(a, [turn])
            return news
        if len(self._readers[a]) + len(self._members[a]) < (
            len(self._readers[b]) + len(self._members[b])
        ):
            (a, labels), (b, others) = (b, others), (a, labels)
        turn = tuple([labels.index(label) for label in others])
        self._check_types(a, b, turn)
        self._above[b] = (a, turn)
        self._stale.extend(self._readers[b])
        self._members[a] += self._members[b]
        self._readers[a] += self._readers[b]
        self._members[b], self._readers[b] = [], []
        self._known.pop(a, None)
        self._known.pop(b, None)
        self.touched.discard(b)
        self.touched.add(a)
        self.turns.pop(b, None)
        self._symmetric(a, [carried(one, turn) for one in self._generators.pop(b, ())])
        return True

    def _check_types(self, a: int, b: int, turn: Axes) -> None:
        left, right = self.types[a], self.types[b]
        sizes = tuple([left.sizes[slot] for slot in turn])
        if left.dtype != right.dtype or sizes != right.sizes:
            raise TypeClash(f"a merge of {left} with {right}: equal wires have equal types")

    def rebuild(self) -> None:
        """Spell anew what reads merged classes, and merge e-nodes that have become the same."""
        while self._stale:
            node = self._stale.pop()
            if node.same is None:
                self._respell(node)

    def _respell(self, node: ENode) -> None:
        old = node.box
        uses = list(zip(node.src, old.maps, strict=True))
        new = [(old.inner + k, size) for k, size in enumerate(old.new)]
        spelled = self._spell(old.kind, old.attrs, uses, old.bound, new)
        key = (spelled.box, spelled.src)
        if self.table.get((old, node.src)) is node:
            del self.table[old, node.src]
        seats = []
        for output, row in enumerate(spelled.box.outs):
            group, slots = self.seat(node, output)
            slot_of: dict[Label, int] = dict(zip(old.outs[output], slots, strict=True))
            seats.append(Seat(group, tuple([slot_of[spelled.names[a]] for a in row])))
        node.box, node.src, node.seats = spelled.box, spelled.src, seats
        other = self.table.get(key)
        if other is None:
            self.table[key] = node
            self._turn(node, spelled)
            return
        node.same = other
        self.merged += 1
        for seat in seats:
            self._known.pop(seat.group, None)
        for output in range(len(seats)):
            self.union(self.output(other, output), self.output(node, output))

    def output(self, node: ENode, output: int = 0) -> Use:
        """The use of an output whose labels are the local axes of the box."""
        group, slots = self.seat(node, output)
        labels: list[Label] = [None] * len(slots)
        for axis, slot in zip(node.box.outs[output], slots, strict=True):
            labels[slot] = axis
        return group, tuple(labels)

    # -- diagrams ---------------------------------------------------------------------------------

    def insert(
        self,
        diagram: Diagram,
        arguments: Sequence[Use] | None = None,
        sizes: Mapping[str, Size] | None = None,
    ) -> tuple[list[Use], list[ENode | None]]:
        """Add all boxes of a diagram: for each wire a use, and for each node its e-node.

        `arguments[k]` stands for input k, labelled by the slots of that input (ints) and by
        tubes (anything else); without them inputs are e-nodes themselves. Labels of the uses
        returned are slots of the wires, and tubes.
        """
        seen: list[Use] = list(arguments or ())
        nodes: list[ENode | None] = [None] * len(seen)
        for node in diagram.nodes[len(seen) :]:
            box_ = node.box
            uses = []
            for wire, row in zip(node.src, box_.maps, strict=True):
                group, labels = seen[wire]
                named = tuple([row[x] if isinstance(x, int) else x for x in labels])
                uses.append((group, named))
            attrs, new = box_.attrs, box_.new
            if sizes:
                attrs = substituted(box_, sizes)
                new = tuple([size.substitute(sizes) for size in new])
            labelled = [(box_.inner + k, size) for k, size in enumerate(new)]
            made, outputs = self.place(box_.kind, attrs, uses, box_.bound, labelled)
            nodes.append(made)
            for (group, labels), row in zip(outputs, box_.outs, strict=True):
                slots = [row.index(x) if isinstance(x, int) else x for x in labels]
                seen.append((group, tuple(slots)))
        return seen, nodes


def carried(turn: Axes, slots: Axes) -> Axes:
    """A permutation of slots 0, 1, … said of the slots that they became."""
    moved = [0] * len(slots)
    for k, slot in enumerate(slots):
        moved[slot] = slots[turn[k]]
    return tuple(moved)


def substituted(box_: Box, sizes: Mapping[str, Size]) -> tuple[Any, ...]:
    """The attributes of a box with size variables replaced."""
    found: list[Any] = []
    for (_, codec), value in zip(box_.kind.fields, box_.attrs, strict=True):
        if isinstance(value, Size):
            value = value.substitute(sizes)
            if codec == "value" and value.constant is not None:
                value = value.constant
        elif codec == "diagram":
            value = of_diagram(value, sizes)
        found.append(value)
    return tuple(found)
