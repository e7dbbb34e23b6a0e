"""Which identity of one diagram stands for which of another, when names do not tell.

Parameters, random sources and learners are coloured by what they are and by how they are used:
upwards from the inputs and downwards from the outputs, down to single axes, again and again
until no colour splits further. Identities of one colour are then told apart by choosing one
of them and colouring anew, so that a choice made for one head of an attention settles the
other parameters of that head. A colour never depends on names, wires or order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vesalius.diagrams.box import Box, Token
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.graph import Diagram, Node

Marks = dict[Token, int]
Pairing = dict[Token, Token]

_MASK = (1 << 61) - 1


def pairings(a: Diagram, b: Diagram) -> Iterator[Pairing]:
    """Ways to let the identities of `b` stand for those of `a`, the likeliest first."""
    by_name = {(token.name, token.describe()): token for token, _ in a.tokens}
    same_name = {token: by_name.get((token.name, token.describe())) for token, _ in b.tokens}
    if None not in same_name.values():
        yield {token: other for token, other in same_name.items() if other is not None}
    pending: list[tuple[Marks, Marks]] = [({}, {})]
    while pending:
        marks_a, marks_b = pending.pop()
        classes_a, classes_b = _classes(a, marks_a), _classes(b, marks_b)
        if {c: len(row) for c, row in classes_a.items()} != {
            c: len(row) for c, row in classes_b.items()
        }:
            continue
        loose = next((colour for colour, row in classes_a.items() if len(row) > 1), None)
        if loose is None:
            yield {classes_b[colour][0]: row[0] for colour, row in classes_a.items()}
            continue
        chosen = classes_a[loose][0]
        settled_a, settled_b = _settled(classes_a), _settled(classes_b)
        mark = hash(("chosen", len(marks_a)))
        # The last one pushed is looked at first: the one of the same name, else the first.
        others = classes_b[loose][::-1]
        others.sort(key=lambda token: token.name == chosen.name)
        pending += [({**settled_a, chosen: mark}, {**settled_b, other: mark}) for other in others]


def _settled(classes: dict[int, list[Token]]) -> Marks:
    return {token: colour for colour, row in classes.items() for token in row}


def _classes(diagram: Diagram, marks: Marks) -> dict[int, list[Token]]:
    """The identities by colour, refined until the colours settle."""
    count = len(set(marks.values()))
    while True:
        marks = _Colours(diagram, marks).of_tokens()
        if len(set(marks.values())) <= count:
            break
        count = len(set(marks.values()))
    classes: dict[int, list[Token]] = {}
    for token, mark in marks.items():
        classes.setdefault(mark, []).append(token)
    return classes


class _Colours:
    """Colours of wires and of their slots: `up` from the inputs, `down` from the outputs."""

    def __init__(self, diagram: Diagram, marks: Marks) -> None:
        self.diagram = diagram
        self.marks = marks
        self.up: list[int] = []
        self.slots_up: list[tuple[int, ...]] = []
        self.axes: list[list[int]] = []  # for each node, the colours of its local axes
        for k, node in enumerate(diagram.nodes):
            self._upward(k, node)
        self.down = [0] * len(diagram.types)
        self.slots_down = [[0] * len(row) for row in self.slots_up]
        for j, port in enumerate(diagram.outputs):
            self.down[port.wire] += hash(("output", j))
            for i, slot in enumerate(port.slots):
                self.slots_down[port.wire][slot] += hash(("output", j, i))
        for k in range(len(diagram.nodes) - 1, -1, -1):
            self._downward(k, diagram.nodes[k])

    def of_tokens(self) -> Marks:
        """A colour for each identity."""
        found: Marks = {}
        for token, node in self.diagram.tokens:
            parts = [
                (
                    self.up[wire],
                    self.down[wire],
                    tuple(sorted(zip(self.slots_up[wire], self.slots_down[wire], strict=True))),
                )
                for wire in node.wires
            ]
            found[token] = hash((self.marks.get(token, 0), tuple(parts)))
        return found

    def _tags(self, node: Node) -> list[int]:
        """What tells the ports of a node apart: their place, or what stands there."""
        if node.box.kind.commutes(node.box.attrs):
            return [self.up[wire] for wire in node.src]
        return list(range(len(node.src)))

    def _upward(self, k: int, node: Node) -> None:
        box = node.box
        tags = self._tags(node)
        met: list[list[int]] = [[] for _ in range(box.inner)]
        for tag, wire, row in zip(tags, node.src, box.maps, strict=True):
            for colour, axis in zip(self.slots_up[wire], row, strict=True):
                met[axis].append(hash((tag, colour)))
        bound = _bound(box)
        axes = [hash((tuple(sorted(met[a])), bound.get(a, -1))) for a in range(box.inner)]
        ports = []
        for tag, wire, row in zip(tags, node.src, box.maps, strict=True):
            pairs = zip(self.slots_up[wire], row, strict=True)
            ports.append(hash((tag, self.up[wire], tuple(sorted((c, axes[a]) for c, a in pairs)))))
        attrs = tuple(self._attribute(value) for value in box.attrs)
        base = hash((box.kind.name, attrs, box.new, tuple(sorted(ports))))
        if k < len(self.diagram.inputs):
            base = hash(("input", k))
        for place, size in enumerate(box.new):
            # Which of two new axes is which does not matter to a box that only repeats.
            axes.append(hash((size, -1 if box.kind is EXPAND else place)))
        self.axes.append(axes)
        for j, slots in enumerate(box.outs):
            self.up.append(hash((base, j)))
            self.slots_up.append(tuple([hash((base, axes[a])) for a in slots]))

    def _attribute(self, value: Any) -> Any:
        if isinstance(value, Token):
            return value.describe(), self.marks.get(value, 0)
        return value

    def _downward(self, k: int, node: Node) -> None:
        box = node.box
        if not node.src:
            return
        bound = _bound(box)
        met = [bound.get(a, -1) for a in range(box.inner)]
        for j, (wire, slots) in enumerate(zip(node.wires, box.outs, strict=True)):
            for i, axis in enumerate(slots):
                if axis < box.inner:
                    met[axis] += hash((j, self.slots_down[wire][i] & _MASK))
        below = tuple([self.down[wire] & _MASK for wire in node.wires])
        here = hash((tuple([self.up[wire] for wire in node.wires]), below))
        for tag, wire, row in zip(self._tags(node), node.src, box.maps, strict=True):
            fates = [hash((self.axes[k][axis], met[axis] & _MASK)) for axis in row]
            pairs = zip(self.slots_up[wire], fates, strict=True)
            whole = hash((here, tag, tuple(sorted(pairs))))
            self.down[wire] += whole
            for i, fate in enumerate(fates):
                self.slots_down[wire][i] += hash((whole, fate))


def _bound(box: Box) -> dict[int, int]:
    """For each bound axis its place, or 0 where their order does not matter."""
    return {a: 0 if box.kind.bound_is_set else place for place, a in enumerate(box.bound)}
