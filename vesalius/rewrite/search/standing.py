"""Where a derivation that is being recovered stands: a diagram, placed in the e-graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.builder import Use
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.erase import erase
from vesalius.rewrite.search.realise import realise
from vesalius.rewrite.search.saturate import Saturation, named


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


class Standing:
    """A derivation that grows, and the diagram that it has reached."""

    def __init__(self, saturation: Saturation, check: Callable[[], None] = lambda: None) -> None:
        self.saturation = saturation
        self.graph: EGraph = saturation.graph
        self.check = check
        self.derivation = Derivation(saturation.diagram)
        self._roots = [
            named(use, port)
            for use, port in zip(saturation.roots, saturation.diagram.outputs, strict=True)
        ]
        self.here = self.placed(saturation.diagram)
        self.taken: Counter[Edge] = Counter()
        self._seen = {hash(saturation.diagram): [saturation.diagram]}

    def placed(self, diagram: Diagram) -> Here:
        """The diagram in the e-graph."""
        graph = self.graph
        seen, nodes = graph.insert(diagram)
        for root, port in zip(self._roots, diagram.outputs, strict=True):
            graph.union(root, named(seen[port.wire], port))
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

    def step(self, edge: Edge) -> bool:
        """Apply the edge's rule where its e-nodes stand."""
        assert edge.rule is not None
        try:
            wanted = {self.here.nodes[node] for node in (edge.left, *edge.needs)}
        except KeyError:
            return False
        for place, match in enumerate(matches(edge.rule, self.here.diagram)):
            if set(match.nodes.values()) == wanted:
                after = apply(self.here.diagram, match)
                if self.is_new(after):
                    placed = self.placed(after)
                    if self._has_led(edge, placed):
                        self.taken[edge] += 1
                        self.go(Rewrite(edge.rule, place), placed)
                        return True
        return False

    def _has_led(self, edge: Edge, placed: Here) -> bool:
        """Whether an edge has led where it should: an expansion may have been erased at once."""
        if edge.right is None or self.graph.node(edge.right) in placed.nodes:
            return True
        return edge.right.box.kind is EXPAND and self.graph.node(edge.left) not in placed.nodes

    def step_back(self, edge: Edge) -> bool:
        """Put the edge's left side where its right side stands, by the rule read backwards."""
        assert edge.rule is not None
        graph = self.graph
        changed = {graph.seat(n).group: n for n in (edge.left, *edge.needs)}
        before = self.changed(changed)
        if before is None or not self.is_new(before):
            return False
        try:
            longer = self.derivation.back(edge.rule, before)
        except VesaliusError:
            return False
        self.taken[edge] += 1
        self.accept(longer, self.placed(before))
        return True

    def changed(self, changed: Mapping[int, ENode]) -> Diagram | None:
        """The diagram with other e-nodes for some classes; None where that reads itself."""
        graph = self.graph
        chosen = {group: nodes[0] for group, nodes in self.here.made.items()}
        chosen |= {graph.find(group)[0]: graph.node(node) for group, node in changed.items()}
        try:
            return realise(graph, chosen, self.saturation.roots, self.saturation.diagram)
        except (KeyError, RecursionError):
            return None

    def is_new(self, diagram: Diagram) -> bool:
        """Whether the derivation has not been at this diagram before."""
        return all(diagram != other for other in self._seen.get(hash(diagram), ()))

    def go(self, move: Rewrite, placed: Here) -> None:
        self.accept(self.derivation.extended(move, placed.diagram), placed)

    def accept(self, longer: Derivation, placed: Here) -> None:
        self.derivation, self.here = longer, placed
        self._seen.setdefault(hash(placed.diagram), []).append(placed.diagram)
