"""The derivation behind a selection: from the diagram to what was extracted, step by step.

The e-graph remembers which rule made which e-nodes equal. Within a class, its e-nodes and these
applications are a connected graph. So a class comes to be made by the e-node that was selected by
following a path there, and before each step the classes that the rule looks into are brought
to the e-nodes that it read, in the same way. Every step is applied to the diagram itself by the
ordinary engine; nothing is taken on trust.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.builder import Use
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules.nesting import flatten_nested, group_operands
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.erase import erase
from vesalius.rewrite.search.extract import Selection
from vesalius.rewrite.search.realise import realise
from vesalius.rewrite.search.saturate import Saturation

OFTEN = 2  # how often one application is made use of
NESTING = 4  # about how many steps it takes to nest a contraction otherwise
STEPS = 400  # how many steps are taken before a derivation is given up


class Edge(NamedTuple):
    """One e-node may take the place of another: by a rule, read backwards or not.

    `needs` are e-nodes that must stand below. `rule` is None where nesting alone differs.
    `right` is None where the right side is one of the rule's inputs.
    """

    rule: Rule | Schema | None
    left: ENode
    needs: tuple[ENode, ...]
    right: ENode | None
    backwards: bool


class Here(NamedTuple):
    """A diagram placed in the e-graph: its e-nodes, with their numbers there, and its classes."""

    diagram: Diagram
    uses: list[Use]
    nodes: dict[ENode, int]
    made: dict[int, list[ENode]]  # for each class, the e-nodes that make it there

    def only(self, group: int) -> ENode | None:
        """The e-node that makes a class, when there is one."""
        nodes = self.made.get(group, ())
        return nodes[0] if len(nodes) == 1 else None


class Stuck(Exception):
    """No way leads on from here."""


class Recovery:
    """Leads a derivation from the diagram of a saturation to a selection."""

    def __init__(
        self,
        saturation: Saturation,
        target: Selection,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.saturation = saturation
        self.graph: EGraph = saturation.graph
        self.target = target
        self.check = check
        self.obstacle: ENode | None = None  # what was selected and could not be reached
        self.derivation = Derivation(saturation.diagram)
        self.here = self._placed(saturation.diagram)
        self._seen = {hash(saturation.diagram): [saturation.diagram]}
        self._barred: set[tuple[Diagram, Edge]] = set()
        self._taken: Counter[Edge] = Counter()
        self._edges = self._all_edges()
        self._families = self._all_families()
        self._parts = {self.graph.node(node) for node in saturation.regrouping.made}

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

    def _placed(self, diagram: Diagram) -> Here:
        """The diagram in the e-graph."""
        graph = self.graph
        seen, nodes = graph.insert(diagram)
        for use, port in zip(self.saturation.roots, diagram.outputs, strict=True):
            group, labels = seen[port.wire]
            axes = dict(zip(port.slots, port.axes, strict=True))
            first = self.saturation.diagram.outputs[diagram.outputs.index(port)]
            wanted = dict(zip(first.slots, first.axes, strict=True))
            graph.union(
                (use[0], tuple([wanted[x] for x in use[1] if isinstance(x, int)])),
                (group, tuple([axes[x] for x in labels if isinstance(x, int)])),
            )
        graph.rebuild()
        erase(graph, sorted(graph.touched))
        graph.rebuild()
        own: dict[ENode, int] = {}
        made: dict[int, list[ENode]] = {}
        for k, node in enumerate(nodes):
            if node is not None:
                node = graph.node(node)
                own[node] = k
                for output in range(len(node.seats)):
                    row = made.setdefault(graph.seat(node, output).group, [])
                    if node not in row:
                        row.append(node)
        return Here(diagram, seen, own, made)

    def _selected(self, group: int) -> ENode | None:
        node = self.target.get(group)
        return None if node is None else self.graph.node(node)

    def _wrong(self) -> tuple[ENode, ENode] | None:
        """The first e-node of the diagram that is not the one selected, from the outputs down."""
        graph = self.graph
        self.target = {graph.find(g)[0]: graph.node(n) for g, n in self.target.items()}
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
                if self._taken[edge] >= OFTEN:
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
                        return self._advanced(other, need, within)
        if edge.rule is None:
            if edge.needs or edge.right is None:
                return False  # an expansion is erased as soon as it stands there
            return self._regroup(node, edge.right, within)
        if edge.backwards:
            return self._step_back(edge)
        return self._step(edge)

    def _step(self, edge: Edge) -> bool:
        """Apply the edge's rule where its e-nodes stand."""
        assert edge.rule is not None
        try:
            wanted = {self.here.nodes[node] for node in (edge.left, *edge.needs)}
        except KeyError:
            return False
        for place, match in enumerate(matches(edge.rule, self.here.diagram)):
            if set(match.nodes.values()) == wanted:
                after = apply(self.here.diagram, match)
                if self._is_new(after):
                    placed = self._placed(after)
                    if self._has_led(edge, placed):
                        self._taken[edge] += 1
                        self._go(Rewrite(edge.rule, place), placed)
                        return True
        return False

    def _has_led(self, edge: Edge, placed: Here) -> bool:
        """Whether an edge has led where it should: an expansion may have been erased at once."""
        if edge.right is None or self.graph.node(edge.right) in placed.nodes:
            return True
        return edge.right.box.kind is EXPAND and self.graph.node(edge.left) not in placed.nodes

    def _step_back(self, edge: Edge) -> bool:
        """Put the edge's left side where its right side stands, by the rule read backwards."""
        assert edge.rule is not None
        graph = self.graph
        changed = {graph.seat(n).group: n for n in (edge.left, *edge.needs)}
        before = self._changed(changed)
        if before is None or not self._is_new(before):
            return False
        try:
            longer = self.derivation.back(edge.rule, before)
        except VesaliusError:
            return False
        self._taken[edge] += 1
        self._accept(longer, self._placed(before))
        return True

    # -- nesting ----------------------------------------------------------------------------------

    def _regroup(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> bool:
        """Flatten the nested boxes below an e-node, and group them as the goal is nested."""
        return any(
            self._regroup_to(node, goal, self._tree(goal, option), within)
            for option in (self._part_selected, self._part, self._nested)
        )

    def _part_selected(self, group: int, kind: Kind) -> ENode | None:
        """What is selected for a class, if it is a part of a contraction that was taken apart."""
        node = self._nested(group, kind)
        return node if node in self._parts else None

    def _part(self, group: int, kind: Kind) -> ENode | None:
        """A part that a class is, whatever it is brought to later, unless it stands there."""
        if group in self.here.made:
            return self._part_selected(group, kind)
        made = (n for n, _ in self.graph.members(group) if n.box.kind is kind and n in self._parts)
        return self._part_selected(group, kind) or next(made, None)

    def _nested(self, group: int, kind: Kind) -> ENode | None:
        """What is selected for a class, if it is of a kind."""
        node = self._selected(group)
        return node if node is not None and node.box.kind is kind else None

    def _regroup_to(
        self, node: ENode, goal: ENode, tree: Mapping[int, ENode], within: tuple[int, ...]
    ) -> bool:
        graph = self.graph
        group = graph.seat(goal).group
        flat = goal
        while (port := _port(graph, flat, tree)) is not None:
            flat = self._inlined(flat, port, tree[graph.find(flat.src[port])[0]])
        leaves = {graph.find(below)[0] for below in flat.src}
        way = self._flattened(node, flat, leaves | {group}, leaves | tree.keys())
        if way is None:
            return False
        for reader, inner, after in way:
            other = self.here.only(graph.seat(inner).group)
            if other is None:
                return reader is not node
            if other is not inner:
                return self._advanced(other, inner, within) or reader is not node
            if not self._step(Edge(flatten_nested, reader, (inner,), after, False)):
                return reader is not node
        for below, wanted in tree.items():
            for other in self.here.made.get(below, ()):
                if other is not wanted:
                    return self._advanced(other, wanted, within) or bool(way)
        return self._group(group, goal, tree) or bool(way)

    def _flattened(
        self, node: ENode, flat: ENode, kept: Collection[int], known: Collection[int]
    ) -> list[tuple[ENode, ENode, ENode]] | None:
        """The flattenings that lead to a flat e-node: reader, what it reads, result; or None.

        Classes in `kept` are left. What is flattened is what stands there, or what reads
        nothing but classes that are `known`.
        """
        if node is flat:
            return []
        graph = self.graph
        for port, below in enumerate(graph.find(g)[0] for g in node.src):
            if below in kept or len(node.src) > len(flat.src):
                continue
            here = self.here.only(below)
            options = [here] if here is not None and here.box.kind is node.box.kind else []
            options += [
                n
                for n, _ in graph.members(below)
                if n.box.kind is node.box.kind
                and n is not here
                and all(graph.find(g)[0] in known for g in n.src)
            ]
            for inner in options:
                after = self._inlined(node, port, inner)
                rest = self._flattened(after, flat, kept, known) if after is not node else None
                if rest is not None:
                    return [(node, inner, after), *rest]
            return None
        return None

    def _inlined(self, node: ENode, port: int, below: ENode) -> ENode:
        flat = self.saturation.regrouping.inline(node, port, below)
        self.graph.rebuild()
        return self.graph.node(flat)

    def _advanced(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> bool:
        try:
            self._advance(node, goal, within)
        except Stuck:
            return False
        return True

    def _tree(self, goal: ENode, option: Callable[[int, Kind], ENode | None]) -> dict[int, ENode]:
        """The classes below a goal that belong to the same contraction, and what they are."""
        graph, found = self.graph, dict[int, ENode]()
        own = graph.seat(goal).group
        todo = list(goal.src)
        while todo:
            group, _ = graph.find(todo.pop())
            if group not in found and group != own:
                node = option(group, goal.box.kind)
                if node is not None:
                    found[group] = node
                    todo += node.src
        return found

    def _group(self, group: int, goal: ENode, tree: Mapping[int, ENode]) -> bool:
        """Group a flat box as the goal is nested: the flattening of the goal, read backwards."""
        graph = self.graph
        nested = self._changed({group: goal, **tree})
        if nested is None:
            return False
        chain: list[tuple[Diagram, ENode | None]] = [(nested, None)]
        node = goal
        while chain[-1][0] != self.here.diagram:
            port = _port(graph, node, tree)
            if port is None:
                return False
            below = tree[graph.find(node.src[port])[0]]
            here = self._placed(chain[-1][0])
            wanted = {here.nodes[graph.node(node)], here.nodes[below]}
            node = self._inlined(node, port, below)
            for match in matches(flatten_nested, here.diagram):
                if set(match.nodes.values()) == wanted:
                    chain.append((apply(here.diagram, match), below))
                    break
            else:
                return False
        for k in range(len(chain) - 1, 0, -1):
            part = chain[k][1]
            assert part is not None
            self._regrouped(chain[k - 1][0], part)
        return True

    def _regrouped(self, before: Diagram, part: ENode) -> None:
        """Take one step to a diagram in which a part stands that was flat."""
        graph, here = self.graph, self.here
        wanted = sorted(graph.find(group)[0] for group in part.src)
        for place, match in enumerate(matches(group_operands, here.diagram)):
            rule = match.rule
            root = rule.right.owner[rule.right.outputs[0].wire]
            inner = [n for k, n in enumerate(rule.right.boxes, len(rule.right.inputs)) if k != root]
            wires = [match.inputs[wire][0][0] for node in inner for wire in node.src]
            groups = sorted(graph.find(here.uses[wire][0])[0] for wire in wires)
            if groups == wanted and apply(here.diagram, match) == before:
                self._go(Rewrite(group_operands, place), self._placed(before))
                return
        self._accept(self.derivation.back(flatten_nested, before), self._placed(before))

    def _changed(self, changed: Mapping[int, ENode]) -> Diagram | None:
        """The diagram with other e-nodes for some classes; None where that reads itself."""
        graph = self.graph
        chosen = {group: nodes[0] for group, nodes in self.here.made.items()}
        chosen |= {graph.find(group)[0]: graph.node(node) for group, node in changed.items()}
        try:
            return realise(graph, chosen, self.saturation.roots, self.saturation.diagram)
        except (KeyError, RecursionError):
            return None

    def _is_new(self, diagram: Diagram) -> bool:
        """Whether the derivation has not been at this diagram before."""
        return all(diagram != other for other in self._seen.get(hash(diagram), ()))

    def _go(self, move: Rewrite, placed: Here) -> None:
        self._accept(self.derivation.extended(move, placed.diagram), placed)

    def _accept(self, longer: Derivation, placed: Here) -> None:
        self.derivation, self.here = longer, placed
        self._seen.setdefault(hash(placed.diagram), []).append(placed.diagram)


def _port(graph: EGraph, node: ENode, inner: Mapping[int, ENode]) -> int | None:
    """The first port of an e-node at which one of these classes comes in."""
    return next((p for p, group in enumerate(node.src) if graph.find(group)[0] in inner), None)
