"""Saturation: all rules at all places, round after round, until nothing is new or a bound is met.

A round first finds, then merges. Only what stands near a class that has changed since the last
round is looked at again. What was done is kept, for the derivation: an `Application` says which
e-nodes a rule read and which e-node it made equal to the first of them.

A rule that finds more than its share in one round is left out of the next ones, each time
for longer, so that one prolific rule does not use up the bound (the back-off of Willsey et
al., *egg*, POPL 2021). Rules that change nothing but the nesting of contractions are left to
`vesalius.rewrite.search.regroup`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from vesalius.diagrams.builder import Use
from vesalius.diagrams.graph import Diagram, Port
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.erase import Erased, erase
from vesalius.rewrite.search.local import Chosen, Cyclic, Neighbourhood, Reader
from vesalius.rewrite.search.regroup import Regrouping

SATURATED = "saturated"
SHARE = 500  # how many places a rule may find in a round before it is left out for a while


DETOUR = 1  # how many rules on the way to an e-node may make what they rewrite dearer
NEAR = 1  # how many rules may lead to an e-node that is taken apart in all orders
DEARER = 24  # how often one rule may do so


class Application(NamedTuple):
    """A rule at a place: `left[0]` is the e-node rewritten, the others are what stands below it.

    `right` is the e-node that the right side ends in; None where it ends in one of its inputs.
    """

    rule: Rule | Schema
    left: tuple[ENode, ...]
    right: ENode | None


class Stop(Exception):
    """A bound is met; says which."""


@dataclass
class Watch:
    """The bounds of a search. `check` raises `Stop` when one is met."""

    nodes: int
    seconds: float
    interrupted: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def goes_on(self) -> bool:
        """Whether no bound of time is met."""
        return self.spent <= self.seconds and not self.interrupted()

    def check(self, size: int = 0) -> None:
        """Raise `Stop` when a bound is met, or the user has interrupted."""
        if self.interrupted():
            raise Stop("interrupted")
        if self.spent > self.seconds:
            raise Stop(f"{self.seconds:g} seconds are over")
        if size > self.nodes:
            raise Stop(f"{self.nodes} e-nodes are made")


@dataclass
class _Turn:
    """When a rule takes part again, how often it was left out, and what it has missed."""

    until: int = 0
    times: int = 0
    missed: set[int] = field(default_factory=set)


class Saturation:
    """An e-graph that grows by rules from one diagram.

    `log`, `erased` and `regrouping` say what is equal and why.
    """

    def __init__(
        self,
        diagram: Diagram,
        rules: Iterable[Rule | Schema],
        at: Mapping[str, int] | None = None,
        depth: int = 2,
    ) -> None:
        self.graph = EGraph()
        self.diagram = diagram
        seen, nodes = self.graph.insert(diagram)
        self._roots = [seen[port.wire] for port in diagram.outputs]
        self._first = [node for node in nodes if node is not None]
        self.regrouping = Regrouping(self.graph, at, self._is_near)
        hosts: dict[Any, Any] = {}
        self.readers = [Reader(rule, at or {}, hosts) for rule in rules if not regroups(rule)]
        # How many rules led to an e-node, and how many of them made what they rewrote dearer.
        self._lineage: dict[ENode, tuple[int, int]] = {}
        self.depth = depth
        self.limited = False
        self.log: list[Application] = []
        self.erased: list[Erased] = []
        self.found: Counter[str] = Counter()
        self.rounds = 0
        self._done: set[Any] = set()
        self._turns = [_Turn() for _ in self.readers]
        self._makers: dict[ENode, set[int]] = {}

    @property
    def roots(self) -> list[Use]:
        """The uses of the diagram's outputs, labelled by the slots of their wires."""
        return [self.graph.use(use) for use in self._roots]

    @property
    def first(self) -> set[ENode]:
        """The e-nodes of the diagram that it started from."""
        return {self.graph.node(node) for node in self._first}

    def run(self, watch: Watch) -> str:
        """Saturate; returns why it ended: it is saturated, or a bound was met."""
        try:
            while self.round(watch):
                pass
        except Stop as stop:
            self.graph.rebuild()
            return str(stop)
        return SATURATED if not self.limited else f"{SATURATED} within {self.depth} rules"

    def round(self, watch: Watch) -> bool:
        """One round; says whether another one may find more."""
        graph = self.graph
        self._settle(watch)
        self.rounds += 1
        touched, graph.touched = graph.touched, set()
        depth = max((reader.looks.depth for reader in self.readers), default=1)
        near = _near(graph, touched, depth)
        found: list[tuple[Reader, Neighbourhood]] = []
        for reader, turn in zip(self.readers, self._turns, strict=True):
            if turn.until > self.rounds:
                turn.missed |= touched
                continue
            own = reader.looks.depth
            roots = _near(graph, turn.missed | touched, own)[-1] if turn.missed else near[own - 1]
            places = self._places(reader, roots, watch, SHARE << turn.times)
            if places is None:
                turn.times += 1
                turn.until = self.rounds + (1 << turn.times)
                turn.missed |= touched
            else:
                turn.missed = set()
                found += [(reader, place) for place in places]
        for reader, place in found:
            self._apply(reader, place)
            watch.check(len(graph))
        graph.rebuild()
        return bool(graph.touched) or any(turn.missed for turn in self._turns)

    def _is_near(self, node: ENode) -> bool:
        """Whether an e-node is so near to the diagram that all orders of it are worth a look."""
        depth, dearer = self._led_to(node)
        return not dearer and depth <= NEAR

    def _lineage_of(self, root: ENode, chosen: Chosen) -> tuple[int, int]:
        """The most that led to an e-node of a place."""
        depth, dearer = self._led_to(root)
        for choice in chosen.values():
            deep, dear = self._led_to(choice.node)
            depth, dearer = max(depth, deep), max(dearer, dear)
        return depth, dearer

    def _led_to(self, node: ENode) -> tuple[int, int]:
        """How many rules led to an e-node, and how many of them made things dearer."""
        origin = self.regrouping.origin
        while node in origin:
            node = origin[node]
        return self._lineage.get(node, (0, 0))

    def _settle(self, watch: Watch) -> None:
        """Add what holds whatever the rules are: other nestings, expansions that are erased."""
        graph = self.graph
        while True:
            graph.rebuild()
            before = len(graph.made)
            near = _near(graph, graph.touched, 2)[1]
            self.regrouping.run(near, lambda: watch.check(len(graph)))
            graph.rebuild()
            self.erased += erase(graph, sorted(graph.touched))
            graph.rebuild()
            watch.check(len(graph))
            if len(graph.made) == before:
                return

    def _places(
        self, reader: Reader, roots: Iterable[ENode], watch: Watch, share: int
    ) -> list[Neighbourhood] | None:
        """Where the rule applies and has not been applied; None when these are too many."""
        graph = self.graph
        found: dict[Any, Neighbourhood] = {}
        looks = reader.looks
        for root in roots:
            if not looks.anchors(root.box.kind):
                continue
            watch.check()
            for chosen in reader.looks.choices(graph, root):
                key = (
                    id(reader),
                    root.number,
                    tuple(sorted((c.node.number, c.output, c.turn) for c in chosen.values())),
                )
                if key in self._done:
                    continue
                depth, dearer = self._lineage_of(root, chosen)
                if depth >= self.depth:
                    self.limited = True
                    continue
                if not reader.pays and (dearer >= DETOUR or reader.dearer >= DEARER):
                    continue
                try:
                    place = Neighbourhood(graph, root, chosen, reader.looks.named)
                except Cyclic:
                    continue
                if not reader.rewritten(place):
                    self._done.add(key)
                    continue
                found[key] = place
                if len(found) > share:
                    return None
        self._done.update(found)
        return list(found.values())

    def _apply(self, reader: Reader, place: Neighbourhood) -> None:
        graph = self.graph
        left = (place.root, *(choice.node for choice in place.chosen.values()))
        depth, dearer = self._lineage_of(place.root, place.chosen)
        results = [
            one
            for one in reader.rewritten(place)
            if not one.dearer or (dearer < DETOUR and reader.dearer < DEARER)
        ]
        # What a rule has made is taken up by the same rule in one way only: a sum of twenty is
        # split into twenty parts one after the other, and not into all sets of them.
        if any(id(reader) in self._makers.get(node, ()) for node in left):
            results = results[:1]
        for result in results:
            before = len(graph.made)
            right = self._merge(place, result.diagram)
            for node in graph.made[before:]:
                self._lineage[node] = depth + 1, dearer + result.dearer
                self._makers.setdefault(node, set()).add(id(reader))
            reader.dearer += result.dearer
            self.log.append(Application(reader.rule, left, right))
            self.found[reader.rule.name] += 1

    def _merge(self, place: Neighbourhood, result: Diagram) -> ENode | None:
        """Add what a neighbourhood became, and merge its outputs with those of its root."""
        graph = self.graph
        ends = [(g, tuple(range(len(graph.types[g].sizes)))) for g in place.ends]
        seen, nodes = graph.insert(result, ends)
        for output, port in enumerate(result.outputs):
            seat = place.seats[output]
            names = tuple([f"s{slot}" for slot in range(len(seat.slots))])
            graph.union((seat.group, names), named(seen[port.wire], port))
        return nodes[result.owner[result.outputs[0].wire]]


def named(use: Use, port: Port) -> Use:
    """The use of an output, labelled by its axes instead of by the slots of its wire."""
    group, labels = use
    axis = dict(zip(port.slots, port.axes, strict=True))
    return group, tuple([axis[slot] for slot in labels if isinstance(slot, int)])


def _near(graph: EGraph, touched: set[int], depth: int) -> list[list[ENode]]:
    """For each depth, the e-nodes above which a changed class may make a pattern match anew."""
    groups = {graph.find(group)[0] for group in touched}
    nodes = {node for group in groups for node, _ in graph.members(group)}
    levels = [nodes]
    for _ in range(1, depth):
        above = {reader for group in groups for reader in graph.readers(group)}
        groups |= {graph.seat(n, o).group for n in above for o in range(len(n.seats))}
        levels.append(levels[-1] | above)
    return [sorted(level, key=lambda node: node.number) for level in levels]


@lru_cache(maxsize=1024)
def regroups(rule: Rule | Schema) -> bool:
    """Whether the two sides of a rule differ in the nesting of contractions and sums alone."""
    if isinstance(rule, Schema):
        return rule.name in ("flatten_nested", "group_operands")
    graph = EGraph()
    left, _ = graph.insert(rule.left)
    right, _ = graph.insert(rule.right, left[: len(rule.left.inputs)])
    for _ in range(2):
        Regrouping(graph).run(graph.nodes())
        graph.rebuild()
    return all(
        graph.same(named(left[one.wire], one), named(right[other.wire], other))
        for one, other in zip(rule.left.outputs, rule.right.outputs, strict=True)
    )
