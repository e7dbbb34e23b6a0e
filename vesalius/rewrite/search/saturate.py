"""Saturation: all rules at all places, round after round, until nothing is new or a bound is met.

A round first finds, then merges. Only what stands near a class that has changed since the last
round is looked at again. What was done is kept, for the derivation: an `Application` says which
e-nodes a rule read and which e-node it made equal to the first of them.

A rule that finds more than its share in one round is left out of the next ones, each time
for longer, so that one prolific rule does not use up the bound (the back-off of Willsey et
al., *egg*, POPL 2021).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vesalius.diagrams.builder import Use
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.local import Cyclic, Neighbourhood, Reader

SHARE = 500  # how many places a rule may find in a round before it is left out for a while


class Application(NamedTuple):
    """A rule at a place: `left[0]` is the e-node rewritten, the others are what stands below it.

    `right` is the e-node that the right side ends in; None where it ends in one of its inputs.
    `rule` is None for what holds by the representation: an expansion that is erased.
    """

    rule: Rule | None
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

    def check(self, size: int = 0) -> None:
        """Raise `Stop` when a bound is met, or the user has interrupted."""
        if self.interrupted():
            raise Stop("interrupted")
        if self.spent > self.seconds:
            raise Stop(f"{self.seconds:g} seconds are over")
        if size > self.nodes:
            raise Stop(f"{self.nodes} e-nodes are made")


class Saturation:
    """An e-graph that grows by rules from one diagram."""

    def __init__(self, diagram: Diagram, rules: Iterable[Rule]) -> None:
        self.graph = EGraph()
        self.diagram = diagram
        self.readers = [Reader(rule) for rule in rules]
        seen, _ = self.graph.insert(diagram)
        self._roots = [seen[port.wire] for port in diagram.outputs]
        self.log: list[Application] = []
        self.found: dict[str, int] = {}
        self.rounds = 0
        self._done: set[object] = set()
        self._until: dict[int, int] = {}  # the round from which a rule takes part again
        self._times: dict[int, int] = {}
        self._missed: dict[int, set[int]] = {}

    @property
    def roots(self) -> list[Use]:
        """The uses of the diagram's outputs, labelled by the slots of their wires."""
        return [self.graph.use(use) for use in self._roots]

    def run(self, watch: Watch) -> str:
        """Saturate; returns why it ended: `saturated`, or the bound that was met."""
        try:
            while self.round(watch):
                pass
        except Stop as stop:
            self.graph.rebuild()
            return str(stop)
        return "saturated"

    def round(self, watch: Watch) -> bool:
        """One round; says whether another one may find more."""
        graph = self.graph
        self.rounds += 1
        touched, graph.touched = graph.touched, set()
        near = _near(graph, touched, max((r.looks.depth for r in self.readers), default=1))
        waiting = False
        all_places: list[tuple[Reader, Neighbourhood]] = []
        for k, reader in enumerate(self.readers):
            missed = self._missed.setdefault(k, set())
            if self._until.get(k, 0) > self.rounds:
                missed |= touched
                waiting = True
                continue
            roots = near[min(reader.looks.depth, len(near)) - 1]
            if missed:
                own = _near(graph, missed | touched, reader.looks.depth)
                roots, self._missed[k] = own[-1], set()
            places = self._places(reader, roots, watch, SHARE << self._times.get(k, 0))
            if places is None:
                self._times[k] = self._times.get(k, 0) + 1
                self._until[k] = self.rounds + (1 << self._times[k])
                self._missed[k] = missed | touched
                waiting = True
                continue
            all_places += [(reader, place) for place in places]
        for reader, place in all_places:
            self._apply(reader, place)
            watch.check(len(graph))
        graph.rebuild()
        self._erase()
        graph.rebuild()
        return waiting or bool(graph.touched)

    def _places(
        self, reader: Reader, roots: Sequence[ENode], watch: Watch, share: int
    ) -> list[Neighbourhood] | None:
        """Where the rule applies and has not been applied; None when these are too many."""
        graph, found = self.graph, []
        for root in roots:
            if root.same is not None:
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
                try:
                    place = Neighbourhood(graph, root, chosen, reader.looks.named)
                except Cyclic:
                    continue
                if reader.rewritten(place):
                    found.append(place)
                    if len(found) > share:
                        return None
                else:
                    self._done.add(key)
        for place in found:
            chosen = place.chosen
            self._done.add(
                (
                    id(reader),
                    place.root.number,
                    tuple(sorted((c.node.number, c.output, c.turn) for c in chosen.values())),
                )
            )
        return found

    def _apply(self, reader: Reader, place: Neighbourhood) -> None:
        left = (place.root, *(choice.node for choice in place.chosen.values()))
        for result in reader.rewritten(place):
            right = self._merge(place, result)
            self.log.append(Application(reader.rule, left, right))
            name = reader.rule.name
            self.found[name] = self.found.get(name, 0) + 1

    def _merge(self, place: Neighbourhood, result: Diagram) -> ENode | None:
        """Add what a neighbourhood became, and merge its outputs with those of its root."""
        graph = self.graph
        ends = [(g, tuple(range(len(graph.types[g].sizes)))) for g in place.ends]
        seen, nodes = graph.insert(result, ends)
        for output, port in enumerate(result.outputs):
            group, labels = seen[port.wire]
            axis = dict(zip(port.slots, port.axes, strict=True))
            own = tuple([axis[slot] for slot in labels if isinstance(slot, int)])
            seat = place.seats[output]
            names = tuple([f"s{slot}" for slot in range(len(seat.slots))])
            graph.union((seat.group, names), (group, own))
        return nodes[result.owner[result.outputs[0].wire]]

    def _erase(self) -> None:
        """Read through expansions whose axes other operands bring, as diagrams do."""


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
