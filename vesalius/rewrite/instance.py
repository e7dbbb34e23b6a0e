"""The right side of a rule for a match: as many operands, and the functions, that the host has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Label
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interface import finish_as, start
from vesalius.diagrams.types import ArrayType
from vesalius.rewrite.rule import Rule


@lru_cache(maxsize=4096)
def instance(
    rule: Rule, counts: tuple[int, ...], functions: tuple[tuple[str, Any], ...] = ()
) -> Diagram:
    """The right side for so many operands of each input, with these functions for stand-ins.

    Raises `StructureError` where it has no meaning: a product of nothing.
    """
    if not rule.many and not functions:
        return rule.right
    return Spelling(rule, counts, dict(functions)).build()


def _axis(row: Axes, label: Label) -> int:
    """The slot of an output that a local axis is; a right side has no other labels."""
    assert isinstance(label, int)
    return row.index(label)


class _Spread(NamedTuple):
    """What a wire of the rule is in an instance: one use, or the operands of a `many`."""

    uses: tuple[tuple[int, Axes], ...]


class Spelling:
    """Builds a right side with each `many` spelled out and each stand-in replaced."""

    def __init__(self, rule: Rule, counts: Sequence[int], functions: dict[str, Any]) -> None:
        self.right = rule.right
        self.functions = {
            id(stand_in): functions[name] for name, stand_in in rule.functions.items()
        }
        ports: list[tuple[str, ArrayType]] = []
        for port, count in zip(self.right.inputs, counts, strict=True):
            type_ = self.right.port_type(port)
            several = port.name in rule.many
            names = [f"{port.name}_{i}" for i in range(count)] if several else [port.name]
            ports += [(name, type_) for name in names]
        self.builder, wires = start(self.right.name, "", ports)
        self.builder.pattern = True
        self.seen: list[_Spread] = []
        at = 0
        for count in counts:
            group = wires[at : at + count]
            at += count
            self.seen.append(_Spread(tuple((w.id, tuple(range(len(w.names)))) for w in group)))

    def build(self) -> Diagram:
        right = self.right
        for node in right.nodes[len(right.inputs) :]:
            self._place(node)
        outputs = []
        for port in right.outputs:
            spread = self.seen[port.wire].uses
            if len(spread) != 1:
                raise StructureError(f"{right.name}: a `many` stands alone on the right side")
            wire, labels = spread[0]
            names = {slot: name for name, slot in zip(port.axes, port.slots, strict=True)}
            outputs.append((wire, tuple(names[x] for x in labels)))
        return finish_as(self.builder, right, outputs, ())

    def _place(self, node: Node) -> None:
        box = node.box
        uses: list[tuple[int, Axes]] = []
        for wire, row in zip(node.src, box.maps, strict=True):
            for here, labels in self.seen[wire].uses:
                uses.append((here, tuple(row[x] for x in labels)))
        if box.kind in (CONTRACT, ADD) and len(uses) == 1 and not box.bound:
            (only,) = uses
            labels = only[1]
            slots = tuple(box.outs[0].index(x) for x in labels)
            self.seen.append(_Spread(((only[0], slots),)))
            return
        attrs = box.attrs
        if box.kind is POINTWISE and id(box["function"]) in self.functions:
            attrs = self.functions[id(box["function"])]
        if not uses and node.src:
            raise StructureError(f"{self.right.name}: {box.kind.name} of no operands at this match")
        new: list[tuple[Label, Any]] = [(box.inner + k, size) for k, size in enumerate(box.new)]
        made = self.builder.add(box.kind, attrs, uses, box.bound, new)
        for out, row, named in zip(made.wires, box.outs, made.labels, strict=True):
            self.seen.append(_Spread(((out, tuple(_axis(row, x) for x in named)),)))
