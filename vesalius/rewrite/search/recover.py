"""The derivation behind a selection: from the diagram to what was extracted, step by step.

The e-graph remembers which rule made which e-nodes equal. Within a class, its e-nodes and these
applications are a connected graph. So a class comes to be made by the e-node that was selected by
following a path there, and before each step the classes that the rule looks into are brought
to the e-nodes that it read, in the same way. Every step is applied to the diagram itself by the
ordinary engine; nothing is taken on trust.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.search.egraph import ENode
from vesalius.rewrite.search.extract import Selection
from vesalius.rewrite.search.renest import Renesting
from vesalius.rewrite.search.saturate import Saturation
from vesalius.rewrite.search.standing import Edge

OFTEN = 2  # how often one application is made use of
NESTING = 4  # about how many steps it takes to nest a contraction otherwise
STEPS = 400  # how many steps are taken before a derivation is given up


class Stuck(Exception):
    """No way leads on from here."""


class Recovery(Renesting):
    """Leads a derivation from the diagram of a saturation to a selection."""

    def __init__(
        self,
        saturation: Saturation,
        target: Selection,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(saturation, check)
        self.target = target
        self.obstacle: ENode | None = None  # what was selected and could not be reached
        self._barred: set[tuple[Diagram, Edge]] = set()
        self._known_at = -1
        self._renew()

    def _renew(self) -> None:
        """Say all that is known of e-nodes of those that stand for them now."""
        if self.graph.merged != self._known_at:
            self._known_at = self.graph.merged
            self._edges = self._all_edges()
            self._families = self._all_families()
            self._parts = {self.graph.node(n) for n in self.saturation.regrouping.made}
        target = self.target.items()
        self.target = {self.graph.find(g)[0]: self.graph.node(n) for g, n in target}

    def run(self) -> bool:
        """Go on until the end is what was selected; says whether it is."""
        for _ in range(STEPS):
            wrong = self._wrong()
            if wrong is None:
                return True
            self.check()
            try:
                self._advance(*wrong, ())
            except Stuck:
                self.obstacle = wrong[1]
                return False
        return False

    # -- where we are -----------------------------------------------------------------------------

    def selected(self, group: int) -> ENode | None:
        node = self.target.get(group)
        return None if node is None else self.graph.node(node)

    def _wrong(self) -> tuple[ENode, ENode] | None:
        """The first e-node of the diagram that is not the one selected, from the outputs down."""
        self._renew()
        graph = self.graph
        todo = [graph.find(group)[0] for group, _ in self.saturation.roots]
        seen: set[int] = set()
        while todo:
            group = todo.pop(0)
            if group in seen:
                continue
            seen.add(group)
            wanted = self.target[group]
            for node in self.here.made[group]:
                if node is not wanted:
                    return node, wanted
            todo += [graph.find(below)[0] for below in wanted.src]
        return None

    # -- edges ------------------------------------------------------------------------------------

    def _all_edges(self) -> dict[ENode, list[Edge]]:
        graph = self.graph
        found: dict[ENode, list[Edge]] = {}

        def enter(edge: Edge, start: ENode) -> None:
            found.setdefault(start, []).append(edge)

        for rule, left, right in self.saturation.log:
            first, *needs = (graph.node(node) for node in left)
            end = None if right is None else graph.node(right)
            if end is not None and self._reads_itself(end):
                continue
            enter(Edge(rule, first, tuple(needs), end, False), first)
            if end is not None:
                enter(Edge(rule, first, tuple(needs), end, True), end)
        for one in self.saturation.erased:
            first, expansion, end = (graph.node(node) for node in one)
            enter(Edge(None, first, (expansion,), end, False), first)
        return found

    def _reads_itself(self, node: ENode) -> bool:
        """Whether an e-node reads a class that it makes: then it brings nothing about."""
        graph = self.graph
        made = {graph.seat(node, output).group for output in range(len(node.seats))}
        return any(graph.find(group)[0] in made for group in node.src)

    def _nested_edges(self, node: ENode) -> Iterator[Edge]:
        """To the e-nodes of the same class that differ in nesting alone."""
        kind = node.box.kind
        if kind is CONTRACT or kind is ADD:
            family = self._family(node)
            for other, _ in self.graph.members(self.graph.seat(node).group):
                if other is not node and other.box.kind is kind:
                    there = self._family(other)
                    if family is None or there is None or family is there:
                        yield Edge(None, node, (), other, False)

    def _family(self, node: ENode) -> ENode | None:
        """One e-node for all that differ in nesting alone; None where nothing is known."""
        if node not in self._families:
            return None
        while self._families[node] is not node:
            node = self._families[node]
        return node

    def _all_families(self) -> dict[ENode, ENode]:
        graph, regrouping = self.graph, self.saturation.regrouping
        found: dict[ENode, ENode] = {}

        def top(node: ENode) -> ENode:
            node = graph.node(node)
            found.setdefault(node, node)
            while found[node] is not node:
                node = found[node]
            return node

        for reader, _, flat in regrouping.flattened:
            found[top(reader)] = top(flat)
        for flat, parts in regrouping.parts:
            for part, nodes in parts.nodes.items():
                alike = [node for _, _, node in nodes]
                if part == parts.full:
                    alike.append(flat)
                for node in alike[1:]:
                    found[top(node)] = top(alike[0])
        return found

    def _from(self, node: ENode) -> Iterator[Edge]:
        yield from self._edges.get(node, ())
        yield from self._nested_edges(node)

    # -- advancing --------------------------------------------------------------------------------

    def _advance(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> None:
        """Take at least one step on a way from an e-node of the diagram to another one."""
        self._renew()
        node, goal = self.graph.node(node), self.graph.node(goal)
        group = self._common(node, goal)
        if group in within:
            raise Stuck
        while True:
            edge = self._first_edge(node, goal)
            if edge is None:
                raise Stuck
            if self._take(edge, node, (*within, group)):
                return
            self._barred.add((self.here.diagram, edge))

    def _common(self, node: ENode, goal: ENode) -> int:
        groups = {self.graph.seat(goal, k).group for k in range(len(goal.seats))}
        for k in range(len(node.seats)):
            if self.graph.seat(node, k).group in groups:
                return self.graph.seat(node, k).group
        raise Stuck

    def _first_edge(self, node: ENode, goal: ENode) -> Edge | None:
        """The first edge on a cheapest path; what is missing below makes an edge dearer."""
        best: dict[ENode, int] = {node: 0}
        first: dict[ENode, Edge] = {}
        heap: list[tuple[int, int, ENode]] = [(0, node.number, node)]
        while heap:
            price, _, one = heapq.heappop(heap)
            if price > best[one]:
                continue
            if one is goal:
                return first[one]
            for edge in self._from(one):
                if one is node and (self.here.diagram, edge) in self._barred:
                    continue
                if self.taken[edge] >= OFTEN:
                    continue
                step = self._length(edge)
                for end in self._ends(edge, one):
                    total = price + step
                    if total < best.get(end, total + 1):
                        best[end] = total
                        first[end] = first[one] if one is not node else edge
                        heapq.heappush(heap, (total, end.number, end))
        return None

    def _length(self, edge: Edge) -> int:
        """About how many steps an edge takes, with what it needs below."""
        if edge.rule is None and not edge.needs:
            return NESTING
        missing = [need for need in edge.needs if need not in self.here.nodes]
        absent = sum(self.graph.seat(need).group not in self.here.made for need in missing)
        return 1 + edge.backwards + 2 * len(missing) + 2 * absent

    def _ends(self, edge: Edge, start: ENode) -> Iterable[ENode]:
        """Where an edge leads; the rule's input may be any e-node of the class."""
        if edge.backwards:
            return (edge.left,)
        if edge.right is not None:
            return (edge.right,)
        group = self.graph.seat(start).group
        return [node for node, _ in self.graph.members(group) if node is not start]

    def _take(self, edge: Edge, node: ENode, within: tuple[int, ...]) -> bool:
        """Follow an edge, or make one of its needs true; says whether anything was done."""
        graph = self.graph
        for need in edge.needs:
            for output in range(len(need.seats)):
                group = graph.seat(need, output).group
                for other in self.here.made.get(group, ()):
                    if other is not need:
                        return self.advanced(other, need, within)
        if edge.rule is None:
            if edge.needs or edge.right is None:
                return False  # an expansion is erased as soon as it stands there
            return self.regroup(node, edge.right, within)
        if edge.backwards:
            return self.step_back(edge)
        return self.step(edge)

    def advanced(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> bool:
        try:
            self._advance(node, goal, within)
        except Stuck:
            return False
        return True
