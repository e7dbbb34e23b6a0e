"""The same diagram, built another way."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from vesalius.diagrams.box import Hole, Token
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram, Node, Port


def alpha_variant(diagram: Diagram, seed: int = 0) -> Diagram:
    """The diagram built anew in another way that must not matter.

    Boxes are made in another order that respects what they read, operands of commutative
    boxes are permuted, symmetric wires are read with slots turned, axes and identities get
    other names, and boxes are added that nothing needs. The result equals the diagram, with
    an equal hash.
    """
    return _Rebuilt(diagram, random.Random(seed)).diagram


def alpha_variants(diagram: Diagram) -> st.SearchStrategy[Diagram]:
    """Ways to build a diagram anew; see `alpha_variant`."""
    return st.integers(0, 2**16).map(lambda seed: alpha_variant(diagram, seed))


class _Rebuilt:
    """One rebuilding; `here[w]` is what wire w became, with the old slot of each of its slots."""

    def __init__(self, diagram: Diagram, rng: random.Random) -> None:
        self.old = diagram
        self.rng = rng
        self.builder = Builder(diagram.name, diagram.doc)
        self.here: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.tokens: dict[Token, Token] = {}
        for port in diagram.inputs:
            wire = self.builder.input(port.name, diagram.port_type(port))
            self.here[port.wire] = wire.id, tuple(range(len(port.axes)))
        if rng.random() < 0.5 and diagram.inputs:
            self._clutter()
        for k in self._order():
            self._add(diagram.nodes[k])
        self.diagram = self.builder.finish([self._output(port) for port in diagram.outputs])

    def _order(self) -> list[int]:
        """The boxes, in a random order that respects what they read."""
        old, owner = self.old, self.old.owner
        first = len(old.inputs)
        needs = {
            k: {owner[wire] for wire in old.nodes[k].src if owner[wire] >= first}
            for k in range(first, len(old.nodes))
        }
        needed_by: dict[int, list[int]] = {k: [] for k in needs}
        for k, below in needs.items():
            for other in below:
                needed_by[other].append(k)
        ready = [k for k, below in needs.items() if not below]
        order = []
        while ready:
            k = ready.pop(self.rng.randrange(len(ready)))
            order.append(k)
            for other in needed_by[k]:
                needs[other].discard(k)
                if not needs[other]:
                    ready.append(other)
        return order

    def _clutter(self) -> None:
        """A box that nothing needs."""
        from vesalius.diagrams import verbs
        from vesalius.diagrams.wire import Wire

        port = self.builder.inputs[0]
        verbs.to_float(Wire(self.builder, port.wire, port.axes))

    def _add(self, node: Node) -> None:
        box = node.box
        labels: list[Label] = [f"axis{a}_{self.rng.randrange(10**6)}" for a in range(box.rank)]
        uses: list[Use] = []
        for wire, row in zip(node.src, box.maps, strict=True):
            turns = (tuple(range(len(row))), *self.old.symmetries.get(wire, ()))
            turn = self.rng.choice(turns)
            here, slots = self.here[wire]
            uses.append((here, tuple(labels[row[turn[slot]]] for slot in slots)))
        if box.kind.commutes(box.attrs):
            self.rng.shuffle(uses)
        attrs = tuple(self._attribute(value) for value in box.attrs)
        bound = [labels[a] for a in box.bound]
        if box.kind.bound_is_set:
            self.rng.shuffle(bound)
        new = [(labels[box.inner + k], length) for k, length in enumerate(box.new)]
        made = self.builder.add(box.kind, attrs, uses, bound, new)
        for wire, row, found in zip(node.wires, box.outs, made.labels, strict=True):
            at = {labels[axis]: slot for slot, axis in enumerate(row)}
            new_wire = made.wires[wire - node.first]
            self.here[wire] = new_wire, tuple(at[label] for label in found)
            self.builder.hints[new_wire] = tuple(str(label) for label in found)

    def _attribute(self, value: object) -> object:
        if not isinstance(value, Token):
            return value
        if value not in self.tokens:
            name = self.builder.free_name(f"token{self.rng.randrange(10**6)}")
            self.tokens[value] = value.fresh(name, {})
            assert isinstance(value, Hole) or self.tokens[value].describe() == value.describe()
        return self.tokens[value]

    def _output(self, port: Port) -> Port:
        wire, slots = self.here[port.wire]
        return port._replace(wire=wire, slots=tuple(slots.index(slot) for slot in port.slots))
