"""Pieces of a diagram as diagrams of their own, and which of them run together when compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target
from vesalius.compile.names import base_names
from vesalius.compile.rebuild import Rebuild
from vesalius.compile.terms import Writing
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.sources import PARAMETER
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import SOURCES, Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType

LONGEST = 8  # how many boxes in a row may be served by one kernel
Choices = Counter[tuple[str, str]]  # kernels that were taken, with what went into them
Groups = list[tuple[int, ...]]


@dataclass(frozen=True)
class Piece:
    """Some boxes of a diagram; `reads` and `makes` are the wires at its inputs and outputs."""

    nodes: tuple[int, ...]
    diagram: Diagram
    reads: tuple[int, ...]
    makes: tuple[int, ...]


def boxes_of(diagram: Diagram) -> list[int]:
    """The nodes that compute something: all but inputs, parameters, constants and the like."""
    return [k for k, node in enumerate(diagram.nodes) if node.box.kind.name not in SOURCES]


def label(diagram: Diagram, k: int) -> str:
    """What a box is called: by its own name, or by what it does and makes."""
    node = diagram.nodes[k]
    if node.box.kind is NAMED:
        return str(node.box["name"])
    kind = node.box["function"].name if node.box.kind is POINTWISE else node.box.kind.name
    sources = [diagram.nodes[diagram.owner[wire]].box for wire in node.src]
    learned = [str(box["token"].name) for box in sources if box.kind is PARAMETER]
    learned = learned if node.box.kind in (ADD, CONTRACT) else []
    return f"{kind} {learned[0] if learned else '→ ' + base_names(diagram, {})[node.first]}"


def piece(diagram: Diagram, nodes: Sequence[int]) -> Piece:
    """These boxes as a diagram; they follow each other in the diagram's order.

    Sources that they read, such as parameters, are the piece's own, under the same names.
    """
    return _Extraction(diagram, nodes).piece()


class _Extraction(Rebuild):
    def __init__(self, diagram: Diagram, nodes: Sequence[int]) -> None:
        self.old, self.chosen = diagram, tuple(nodes)
        inside = set(nodes)
        self.own = {k for k, n in enumerate(diagram.nodes) if self._is_source(k)} | inside
        owner = diagram.owner
        reads = [w for k in nodes for w in diagram.nodes[k].src if owner[w] not in self.own]
        self.reads = tuple(dict.fromkeys(reads))
        ends = {port.wire for port in diagram.outputs}
        self.makes = tuple(
            wire
            for k in nodes
            for wire in diagram.nodes[k].wires
            if wire in ends or any(reader not in inside for reader, _ in diagram.consumers[wire])
        )
        self.names = base_names(diagram, {})
        builder = Builder("_".join(label(diagram, k).partition(" ")[0] for k in nodes)[:40])
        builder.token_names = dict.fromkeys(token.name for token, _ in diagram.tokens)
        self.writing = Writing(builder)
        self.seen = {}
        taken: list[str] = []
        for wire in self.reads:
            taken.append(fresh_name(self.names[wire], taken))
            axes, slots = self._order(wire)
            sizes, dtype = diagram.types[wire]
            named = dict(zip(axes, (sizes[s] for s in slots), strict=True))
            made = builder.input(taken[-1], ArrayType(named, dtype))
            self.seen[wire] = (made.id, slots)

    def _is_source(self, k: int) -> bool:
        return self.old.nodes[k].box.kind.name in SOURCES and k >= len(self.old.inputs)

    def _order(self, wire: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The axes of a wire as they stand on the interface, with their slots."""
        for port in (*self.old.inputs, *self.old.outputs):
            if port.wire == wire:
                return port.axes, port.slots
        names: list[str] = []
        for hint in self.old.hints[wire]:
            names.append(fresh_name(hint or "a", names))
        first = dict.fromkeys(axis for port in self.old.inputs for axis in port.axes)
        place = {axis: k for k, axis in enumerate(first)}
        slots = sorted(range(len(names)), key=lambda s: place.get(names[s], len(place)))
        return tuple(names[s] for s in slots), tuple(slots)

    def piece(self) -> Piece:
        """The piece, without what it does not read."""
        for k, node in enumerate(self.old.nodes):
            if k in self.own:
                self.write(node)
        ports: list[Port] = []
        for wire in self.makes:
            axes, slots = self._order(wire)
            here, found = self.seen[wire]
            name = fresh_name(self.names[wire], [port.name for port in ports])
            ports.append(Port(name, here, axes, tuple(found.index(s) for s in slots)))
        made = self.writing.builder.finish(ports)
        return Piece(self.chosen, made, self.reads, self.makes)


# -- what runs together ---------------------------------------------------------------------------


def taken(diagram: Diagram, target: Target) -> Choices:
    """The kernels that a diagram is compiled to."""
    choices = chosen(diagram, target).choices
    return Counter([(one.kernel, one.note) for one in choices if one.kernel])


def together(diagram: Diagram, target: Target) -> Groups:
    """The boxes in order, in the most groups that take the kernels which the whole takes.

    So the boxes of one group are served by one kernel, and a box that is served by none is alone.
    Where no groups take the kernels of the whole, all boxes are one group.
    """
    nodes = boxes_of(diagram)
    whole = taken(diagram, target)
    # For the first k boxes, the groups by the kernels that they took.
    best: list[dict[frozenset[Any], Groups]] = [{frozenset(): []}]
    for end in range(1, len(nodes) + 1):
        here: dict[frozenset[Any], Groups] = {}
        for start in range(max(0, end - LONGEST), end):
            group = tuple(nodes[start:end])
            kernels = taken(piece(diagram, group).diagram, target) if best[start] else Counter()
            if end - start > 1 and not kernels:
                continue
            for state, groups in best[start].items():
                total = Counter(dict(state)) + kernels
                key = frozenset(total.items())
                if total <= whole and len(here.get(key, ())) <= len(groups):
                    here[key] = [*groups, group]
        best.append(here)
    return best[-1].get(frozenset(whole.items()), [tuple(nodes)] if nodes else [])
