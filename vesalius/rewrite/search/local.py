"""Matching in the e-graph: choose an e-node for each class that a pattern looks into, and match.

A *neighbourhood* is a small diagram out of the e-graph: an e-node, and one e-node for each
class that a rule's left side looks into below it; all other classes are its inputs. The ordinary
matcher finds the rule there and the ordinary `apply` rewrites it, so that tubes, rests, orders
of operands, conditions and right sides mean here what they mean everywhere. What a rule does to
a neighbourhood depends on its boxes and types alone, and is found once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice, product
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Kind
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.sources import CONSTANT, INPUT, IOTA, PARAMETER, RANDOM
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.cost import FLOPS_PER_OPERATION, operations
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.pattern import head
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.search.egraph import EGraph, ENode

UNKNOWN = 64  # what a size without a value counts as
PATIENCE = 40  # how many neighbourhoods of the same kinds are looked at in vain
VIEWS = 64  # how many sets of e-nodes a schema looks at below one anchor
SIGHT = (CONSTANT, IOTA)  # sources that a neighbourhood shows wherever it ends
NAMED = (PARAMETER, RANDOM)  # sources that it shows to rules that speak of them


class Choice(NamedTuple):
    """The e-node that stands for a class in a neighbourhood, and how its slots are turned."""

    node: ENode
    output: int
    turn: Axes


Chosen = dict[int, Choice]


class Below(NamedTuple):
    """A box of a pattern that another one reads, at a port of that one."""

    port: int
    pattern: int
    output: int


class Looks:
    """What a rule's left side looks at: the kinds of its boxes, and which stands below which."""

    def __init__(self, rule: Rule) -> None:
        left = rule.left
        self.rule = rule
        self.nodes = left.nodes
        several = {k for k, port in enumerate(left.inputs) if port.name in rule.many}
        stand_ins = {id(function) for function in rule.functions.values()}
        self.heads: list[Any] = []
        self.below: list[list[Below]] = []
        self.open: list[bool] = []  # whether a box takes any number of operands
        for node in left.nodes:
            box = node.box
            known = box.kind is POINTWISE and id(box["function"]) not in stand_ins
            self.heads.append((box.kind, box["function"] if known else None))
            self.open.append(any(wire in several for wire in node.src))
            self.below.append(
                [
                    Below(p, left.owner[wire], wire - left.nodes[left.owner[wire]].first)
                    for p, wire in enumerate(node.src)
                    if wire >= len(left.inputs)
                ]
            )
        self.roots = tuple(dict.fromkeys(left.owner[port.wire] for port in left.outputs))
        self.named = any(node.box.kind in NAMED for node in left.nodes)
        self._fitting: dict[tuple[int, Box], bool] = {}

    def anchors(self, kind: Kind) -> bool:
        """Whether an e-node of this kind may be the root of a match."""
        return self.heads[self.roots[0]][0] is kind

    @cached_property
    def depth(self) -> int:
        """How many boxes stand on the longest path of the left side."""
        depths: list[int] = []
        for below, node in zip(self.below, self.nodes, strict=True):
            inner = max((depths[one.pattern] for one in below), default=0)
            depths.append(inner + (node.box.kind is not INPUT))
        return max(depths)

    def fits(self, pattern: int, node: ENode) -> bool:
        """Whether an e-node may stand for a box of the pattern, at first sight."""
        box = node.box
        known = self._fitting.get((pattern, box))
        if known is None:
            known = self._fitting[pattern, box] = self._fits(pattern, box)
        return known

    def _fits(self, pattern: int, box: Box) -> bool:
        kind, function = self.heads[pattern]
        own = self.nodes[pattern].box
        if box.kind is not kind or (function is not None and box["function"] is not function):
            return False
        if (len(box.bound), len(box.new)) != (len(own.bound), len(own.new)):
            return False
        if (
            box.kind is CONSTANT
            and not isinstance(own["value"], Size)
            and own["value"] != box["value"]
        ):
            return False
        have, wanted = len(box.maps), len(own.maps)
        return have == wanted or (self.open[pattern] and have >= wanted - 1)

    def choices(self, graph: EGraph, root: ENode) -> Iterator[Chosen]:
        """The e-nodes that the pattern may look at below a root, each set of them once."""
        pattern = self.roots[0]
        if not self.fits(pattern, root):
            return
        seen = set()
        for chosen in self._under(graph, pattern, root, {}):
            key = frozenset((g, c.node.number, c.turn) for g, c in chosen.items())
            if key not in seen:
                seen.add(key)
                yield chosen

    def _under(self, graph: EGraph, pattern: int, node: ENode, chosen: Chosen) -> Iterator[Chosen]:
        """Choose for all boxes below one that is settled."""
        return self._each(graph, node, self.below[pattern], (), chosen)

    def _each(
        self,
        graph: EGraph,
        node: ENode,
        below: list[Below],
        taken: tuple[int, ...],
        chosen: Chosen,
    ) -> Iterator[Chosen]:
        if not below:
            yield chosen
            return
        one, rest = below[0], below[1:]
        free = node.box.kind.commutes(node.box.attrs)
        ports = range(len(node.src)) if free else (one.port,)
        for port in ports:
            if port in taken:
                continue
            group = node.src[port]
            for choice in self._options(graph, one, group, chosen):
                grown = chosen if group in chosen else {**chosen, group: choice}
                for deeper in self._under(graph, one.pattern, choice.node, grown):
                    yield from self._each(graph, node, rest, (*taken, port), deeper)

    def _options(self, graph: EGraph, one: Below, group: int, chosen: Chosen) -> Iterator[Choice]:
        known = chosen.get(group)
        if known is not None:
            if self.fits(one.pattern, known.node) and known.output == one.output:
                yield known
            return
        for node, output in graph.members(group):
            if output == one.output and self.fits(one.pattern, node):
                for turn in graph.ways(node, output):
                    yield Choice(node, output, turn)


class Glances:
    """What a schema looks at: an anchor and the boxes right below it."""

    depth = 2
    named = False

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def anchors(self, kind: Kind) -> bool:
        """Whether an e-node of this kind may be an anchor."""
        return self.schema.at is None or kind in self.schema.at

    def choices(self, graph: EGraph, root: ENode) -> Iterator[Chosen]:
        """The e-nodes that the schema may look at below a root, each set of them once."""
        schema, kind = self.schema, root.box.kind
        if not root.src or (schema.at is not None and kind not in schema.at):
            return
        groups = list(dict.fromkeys(graph.find(group)[0] for group in root.src))
        options: list[list[Choice | None]] = []
        for group in groups:
            seen = [
                Choice(node, output, turn)
                for node, output in graph.members(group)
                if node.src and (schema.below is None or node.box.kind in schema.below)
                for turn in graph.ways(node, output)
            ]
            options.append([None, *seen])
        for picked in islice(product(*options), VIEWS):
            chosen = {g: c for g, c in zip(groups, picked, strict=True) if c is not None}
            if chosen or schema.below is None:
                yield chosen


class Neighbourhood:
    """A root and what was chosen below it, as a diagram whose inputs are the other classes.

    `ends[k]` is the class that input k stands for; `key` says all that matters to matching.
    Raises `Cyclic` when a class was chosen below itself.
    """

    def __init__(self, graph: EGraph, root: ENode, chosen: Chosen, named: bool) -> None:
        self.graph = graph
        self.root = root
        self.chosen = chosen
        self.ends: list[int] = []
        self.order: list[int] = []  # chosen classes, each after what it reads
        self._sources: dict[int, ENode] = {}
        self._named = named
        # As they are now: classes may be merged, and their slots turned, before this is used.
        self.seats = [graph.seat(root, output) for output in range(len(root.seats))]
        self._visit()
        place = {group: k for k, group in enumerate((*self.ends, *self._sources, *self.order))}
        self.key = (
            tuple((graph.types[group], graph.turns.get(group, ())) for group in self.ends),
            tuple((node.box, graph.seat(node).slots) for node in self._sources.values()),
            tuple(
                (
                    choice.node.box,
                    choice.output,
                    choice.turn,
                    tuple([place[g] for g in choice.node.src]),
                    graph.seat(choice.node, choice.output).slots,
                )
                for choice in (chosen[group] for group in self.order)
            ),
            (root.box, tuple([place[g] for g in root.src])),
            tuple(seat.slots for seat in self.seats),
        )

    def kinds(self) -> Any:
        """What kinds of boxes stand here: the root, and which stand below it."""
        below = frozenset(head(self.chosen[group].node.box) for group in self.order)
        return head(self.root.box), below

    def _visit(self) -> None:
        """Put the classes in order, from the root down."""
        state: dict[int, int] = {}
        stack: list[tuple[int, bool]] = [(group, False) for group in reversed(self.root.src)]
        while stack:
            group, done = stack.pop()
            if done:
                state[group] = 2
                self.order.append(group)
                continue
            if group in state:
                if state[group] == 1:
                    raise Cyclic
                continue
            choice = self.chosen.get(group)
            if choice is None:
                state[group] = 2
                source = self._source(group)
                if source is None:
                    self.ends.append(group)
                else:
                    self._sources[group] = source
                continue
            state[group] = 1
            stack.append((group, True))
            stack.extend((below, False) for below in reversed(choice.node.src))

    def _source(self, group: int) -> ENode | None:
        """The constant, or another source, that a class is."""
        kinds = SIGHT + NAMED if self._named else SIGHT
        return next((n for n, _ in self.graph.members(group) if n.box.kind in kinds), None)

    def diagram(self) -> Diagram | None:
        """The neighbourhood; None where a box of it would not stand in a diagram as it is."""
        graph = self.graph
        builder = Builder("neighbourhood")
        wires: dict[int, tuple[int, Axes]] = {}  # of each class: a wire, and the class's slots
        for k, group in enumerate(self.ends):
            sizes, dtype = graph.types[group]
            slots = tuple(range(len(sizes)))
            made = builder.add(INPUT, (k, dtype), (), new=tuple(zip(slots, sizes, strict=True)))
            builder.inputs.append(Port(f"x{k}", made.wires[0], _names(slots), slots))
            wires[group] = made.wires[0], slots
            turns = graph.turns.get(group)
            if turns:
                builder.symmetries[made.wires[0]] = turns
        choices = {group: Choice(node, 0, ()) for group, node in self._sources.items()}
        choices |= {group: self.chosen[group] for group in self.order}
        for group, choice in choices.items():
            wire, slots = self._add(builder, choice.node, wires)[choice.output]
            wires[group] = wire, tuple([choice.turn[s] for s in slots]) if choice.turn else slots
        ports = []
        for output, (wire, slots) in enumerate(self._add(builder, self.root, wires)):
            ports.append(Port(f"y{output}", wire, _names(slots), tuple(range(len(slots)))))
        found = builder.finish(ports)
        whole = len(self.ends) + len({choice.node for choice in choices.values()}) + 1
        return found if len(found.nodes) == whole else None

    def _add(
        self, builder: Builder, node: ENode, wires: dict[int, tuple[int, Axes]]
    ) -> list[tuple[int, Axes]]:
        """Add an e-node to the diagram: for each output a wire, and for its slots the class's."""
        box = node.box
        uses = []
        for group, row in zip(node.src, box.maps, strict=True):
            wire, slots = wires[group]
            uses.append((wire, tuple([row[slot] for slot in slots])))
        new = [(box.inner + k, size) for k, size in enumerate(box.new)]
        made = builder.add(box.kind, box.attrs, uses, box.bound, new)
        found = []
        for output, (wire, labels) in enumerate(zip(made.wires, made.labels, strict=True)):
            seat = self.graph.seat(node, output)
            slot_of: dict[Any, int] = dict(zip(box.outs[output], seat.slots, strict=True))
            found.append((wire, tuple([slot_of[axis] for axis in labels])))
        return found


class Cyclic(Exception):
    """A class was chosen below itself, so the choice is no diagram."""


def _names(slots: Axes) -> tuple[str, ...]:
    return tuple([f"s{slot}" for slot in slots])


class Rewritten(NamedTuple):
    """A neighbourhood after a rule, its inputs the same.

    It is `dearer` where it costs more FLOPs, or has a loop more, which FLOPs do not tell.
    """

    diagram: Diagram
    dearer: bool


def work(diagram: Diagram, at: Mapping[str, int]) -> int:
    """FLOPs at some sizes; a size without a value counts as `UNKNOWN`."""
    total = 0
    for name, count in operations(diagram).items():
        values = {**dict.fromkeys(count.variables, UNKNOWN), **at}
        total += FLOPS_PER_OPERATION.get(name, 1) * count.at(values)
    return total


def loops(diagram: Diagram) -> int:
    """How many scans there are."""
    return sum(node.box.kind is SCAN for node in diagram.nodes)


class Reader:
    """What one rule does to neighbourhoods, each found once."""

    def __init__(
        self,
        rule: Rule | Schema,
        at: Mapping[str, int],
        hosts: dict[Any, tuple[Diagram, int] | None] | None = None,
    ) -> None:
        self.rule = rule
        self.looks: Looks | Glances = Looks(rule) if isinstance(rule, Rule) else Glances(rule)
        self.at = at
        self.hosts = {} if hosts is None else hosts  # shared: other rules look at the same
        self.dearer = 0  # how many rewritings that make things dearer were taken
        self.pays = False  # whether it has made something no dearer
        self._known: dict[Any, list[Rewritten]] = {}
        self._vain: dict[Any, int] = {}

    def rewritten(self, place: Neighbourhood) -> list[Rewritten]:
        """The neighbourhood after the rule, for each match that looks at all of it."""
        found = self._known.get(place.key)
        if found is None:
            # Boxes among which the rule has never been found will not be looked at for ever.
            kinds = place.kinds()
            if self._vain.get(kinds, 0) >= PATIENCE:
                return []
            found = self._known[place.key] = list(self._rewrite(place))
            self._vain[kinds] = 0 if found else self._vain.get(kinds, 0) + 1
        return found

    def _rewrite(self, place: Neighbourhood) -> Iterator[Rewritten]:
        if place.key not in self.hosts:
            made = place.diagram()
            self.hosts[place.key] = None if made is None else (made, work(made, self.at))
        known = self.hosts[place.key]
        if known is None:
            return
        host, before = known
        sources = len(place._sources)
        wanted = set(range(len(place.ends) + sources, len(host.nodes)))
        for match in matches(self.rule, host):
            if wanted <= set(match.nodes.values()):
                try:
                    after = apply(host, match)
                except StructureError:
                    continue  # a right side of no operands
                dearer = work(after, self.at) > before or loops(after) > loops(host)
                self.pays = self.pays or not dearer
                yield Rewritten(after, dearer)
