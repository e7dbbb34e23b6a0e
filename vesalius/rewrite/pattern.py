"""The left side of a rule, prepared for matching.

A pattern ends in *variables*: its inputs, and its parameters and random sources. Its boxes are
looked for from an anchor: downwards through what a matched box reads, upwards through what
reads a wire that is known, and, where two parts of a pattern share nothing, among all boxes.
"""

from __future__ import annotations

from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

from vesalius.diagrams.box import Box, Kind, Token
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as, same_tokens, start
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.spread import spread

Head = tuple[Kind, Any]


class Variable(NamedTuple):
    """Where a pattern ends: an input, or a source (then `token` says which).

    `many` stands for any number of operands of one box, at least `least`.
    """

    name: str
    wire: int
    many: bool
    least: int
    token: Token | None


class Walk(NamedTuple):
    """How to go through a rigid pattern; places are counted along the way, from 0.

    `steps` lead from (place, port) to output `offset` of the next node; `again` to a place where
    the walk has been. `ends` are the places (place, port) of each variable, by its wire.
    """

    nodes: tuple[int, ...]
    steps: list[tuple[int, int, int, int]]
    again: list[tuple[int, int, int, int]]
    ends: list[tuple[int, list[tuple[int, int]]]]


def head(box: Box) -> Head:
    """What tells most boxes apart at a glance: the kind, and which function is applied."""
    return (box.kind, box.attrs[0] if box.kind is POINTWISE else None)


class Pattern:
    """A left side with what matching asks of it again and again."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.left = left = rule.left
        self.variables = [
            Variable(
                port.name, port.wire, port.name in rule.many, rule.many.get(port.name, 0), None
            )
            for port in left.inputs
        ]
        self.variables += [
            Variable(token.name, node.first, False, 0, token)
            for token, node in left.tokens
            if not node.src
        ]
        self.ends = {variable.wire: k for k, variable in enumerate(self.variables)}
        self.boxes = [k for k, node in enumerate(left.nodes) if node.first not in self.ends]
        self.named = bool(left.tokens)
        # What matching has found out already: which boxes fit, how the axes of matches go.
        self.known: dict[int, dict[Box, Any]] = {k: {} for k in self.boxes}
        self.shapes: dict[Any, Any] = {}
        self.stand_ins = {id(f): name for name, f in rule.functions.items()}
        owners = [left.owner[port.wire] for port in left.outputs]
        self.roots = tuple(dict.fromkeys(k for k in owners if left.nodes[k].first not in self.ends))
        # An output that is a variable which no box reads stands for any wire.
        read = {wire for k in self.boxes for wire in left.nodes[k].src}
        self.loose = tuple(
            dict.fromkeys(
                p.wire for p in left.outputs if p.wire in self.ends and p.wire not in read
            )
        )

    def many(self, wire: int) -> bool:
        """Whether a wire of the pattern stands for several operands."""
        end = self.ends.get(wire)
        return end is not None and self.variables[end].many

    def least(self, wire: int) -> int:
        """How many operands a wire of the pattern stands for at least."""
        return self.variables[self.ends[wire]].least

    def head(self, node: int) -> Head:
        """What a host box must have to be worth a look; no function where a stand-in stands."""
        kind, function = head(self.left.nodes[node].box)
        return (kind, None if id(function) in self.stand_ins else function)

    @cached_property
    def needs(self) -> dict[int, frozenset[Head]]:
        """For each box of the pattern, what must stand below a host box that it stands for."""
        left = self.left
        return {
            k: frozenset(
                self.head(left.owner[wire]) for wire in left.nodes[k].src if wire not in self.ends
            )
            for k in self.boxes
        }

    @cached_property
    def below(self) -> dict[int, tuple[int, ...]]:
        """For each box of the pattern, the boxes below it."""
        owner, ends = self.left.owner, self.ends
        return {
            k: tuple(dict.fromkeys(owner[w] for w in self.left.nodes[k].src if w not in ends))
            for k in self.boxes
        }

    @cached_property
    def rigid(self) -> bool:
        """Whether a match is settled by its anchor: no operand and no axis to choose."""
        if len(self.roots) != 1 or self.loose or any(v.many for v in self.variables):
            return False
        below = set(self.roots)
        for k in reversed(self.boxes):
            node = self.left.nodes[k]
            box, kind = node.box, node.box.kind
            if k not in below or (len(node.src) > 1 and kind.commutes(box.attrs)):
                return False
            if len(box.bound) > 1 and (kind.bound_is_set or kind.name == "learner"):
                return False
            if len(box.new) > 1 and kind.name in ("expand", "learner"):
                return False
            below.update(self.left.owner[wire] for wire in node.src)
        return self._settled()

    def _settled(self) -> bool:
        """Whether every axis follows from those that boxes bind and make."""
        nodes = [self.left.nodes[k] for k in self.boxes]
        known = {
            (k, axis): axis
            for k, node in zip(self.boxes, nodes, strict=True)
            for axis in (*node.box.bound, *range(node.box.inner, node.box.rank))
        }
        along = [
            (wire, row, k, row)
            for k, node in zip(self.boxes, nodes, strict=True)
            for wire, row in (
                *zip(node.src, node.box.maps, strict=True),
                *zip(node.wires, node.box.outs, strict=True),
            )
        ]
        found = spread(along, known)
        return found is not None and len(found) == sum(node.box.rank for node in nodes)

    @cached_property
    def walk(self) -> Walk:
        """The way through a rigid pattern, from its anchor down."""
        left = self.left
        at = {self.roots[0]: 0}
        steps: list[tuple[int, int, int, int]] = []
        again: list[tuple[int, int, int, int]] = []
        ends: dict[int, list[tuple[int, int]]] = {}
        todo = [self.roots[0]]
        for k in todo:  # which grows meanwhile
            for p, wire in enumerate(left.nodes[k].src):
                if wire in self.ends:
                    ends.setdefault(wire, []).append((at[k], p))
                    continue
                below = left.owner[wire]
                offset = wire - left.nodes[below].first
                if below in at:
                    again.append((at[k], p, offset, at[below]))
                else:
                    at[below] = len(at)
                    todo.append(below)
                    steps.append((at[k], p, offset, below))
        return Walk(tuple(at), steps, again, list(ends.items()))

    @cached_property
    def sizes(self) -> dict[int, list[Size]]:
        """The sizes of the local axes of each box."""
        return {k: list(self.left.site(self.left.nodes[k]).sizes) for k in self.boxes}

    @cached_property
    def late(self) -> list[int]:
        """Boxes with attributes that can be compared only when all sizes are known."""
        found = []
        for k in self.boxes:
            for value in self.left.nodes[k].box.attrs:
                formula = isinstance(value, Size) and value.variable is None and value.variables
                if formula or (isinstance(value, Diagram) and value.size_variables):
                    found.append(k)
        return found

    @cached_property
    def sized(self) -> bool:
        """Whether axes or attributes of the pattern say anything about sizes."""
        boxes = [self.left.nodes[k].box for k in self.boxes]
        return bool(self.late) or any(box.rank for box in boxes)

    @cached_property
    def alike(self) -> list[list[int]]:
        """Inputs that both sides treat alike, so that exchanging them gives the same rewriting."""
        rule = self.rule
        groups: list[list[int]] = []
        if rule.left.tokens or rule.right.tokens or rule.functions or rule.conditions:
            return groups
        for i, j in combinations(range(len(rule.left.inputs)), 2):
            one, other = self.variables[i], self.variables[j]
            if (one.many, one.least) != (other.many, other.least):
                continue
            if _same_type(rule.left, i, j) and all(
                _exchanged(side, i, j) == side for side in (rule.left, rule.right)
            ):
                group = next((g for g in groups if i in g or j in g), None)
                if group is None:
                    groups.append([i, j])
                else:
                    group += [k for k in (i, j) if k not in group]
        return groups

    @cached_property
    def tangled(self) -> bool:
        """Whether a box of the right side makes one output and reads what another one needs.

        Then a match is refused where that would make a cycle: the match must be convex.
        """
        if len(self.rule.left.outputs) < 2:
            return False
        wanted = zip(_cones(self.rule.left), self.cones, strict=True)
        return any(right & ~left for left, right in wanted)

    @cached_property
    def cones(self) -> list[int]:
        """For each output, the inputs from which boxes of the right side lead to it: a mask."""
        return _cones(self.rule.right)


def _same_type(side: Diagram, i: int, j: int) -> bool:
    one, other = side.inputs[i], side.inputs[j]
    return one.axes == other.axes and side.port_type(one) == side.port_type(other)


def _exchanged(side: Diagram, i: int, j: int) -> Diagram:
    """A side with two of its inputs exchanged."""
    builder, wires = start(side.name, side.doc, list(side.input_types.items()))
    builder.pattern = True
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in wires]
    uses[i], uses[j] = uses[j], uses[i]
    outputs = builder.graft(side, uses, replace=same_tokens(side))
    return finish_as(builder, side, outputs, ())


def _cones(side: Diagram) -> list[int]:
    """For each output, the inputs from which boxes lead to it, as a bit mask."""
    masks: list[int] = []
    for k, node in enumerate(side.nodes):
        mask = 1 << k if k < len(side.inputs) else 0
        for wire in node.src:
            mask |= masks[wire]
        masks += [mask] * len(node.box.outs)
    return [masks[port.wire] for port in side.outputs]
