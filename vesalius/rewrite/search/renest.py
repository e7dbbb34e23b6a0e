"""Nesting a contraction otherwise, as steps: flatten what stands there, group it as is wanted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping

from vesalius.diagrams.box import Kind
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rules.nesting import flatten_nested, group_operands
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.standing import Edge, Standing


class Renesting(Standing):
    """What stands, and how its contractions come to be nested otherwise."""

    _parts: Collection[ENode] = frozenset()  # the e-nodes of contractions that were taken apart

    @abstractmethod
    def selected(self, group: int) -> ENode | None:
        """The e-node that makes a class in the end."""

    @abstractmethod
    def advanced(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> bool:
        """Take at least one step on a way from an e-node to another one, if there is one.

        `within` are classes that are on the way already.
        """

    def regroup(self, node: ENode, goal: ENode, within: tuple[int, ...]) -> bool:
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
        node = self.selected(group)
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
                return self.advanced(other, inner, within) or reader is not node
            if not self.step(Edge(flatten_nested, reader, (inner,), after, False)):
                return reader is not node
        for below, wanted in tree.items():
            for other in self.here.made.get(below, ()):
                if other is not wanted:
                    return self.advanced(other, wanted, within) or bool(way)
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
        nested = self.changed({group: goal, **tree})
        if nested is None:
            return False
        chain: list[tuple[Diagram, ENode | None]] = [(nested, None)]
        node = goal
        while chain[-1][0] != self.here.diagram:
            port = _port(graph, node, tree)
            if port is None:
                return False
            below = tree[graph.find(node.src[port])[0]]
            here = self.placed(chain[-1][0])
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
                self.go(Rewrite(group_operands, place), self.placed(before))
                return
        self.accept(self.derivation.back(flatten_nested, before), self.placed(before))


def _port(graph: EGraph, node: ENode, inner: Mapping[int, ENode]) -> int | None:
    """The first port of an e-node at which one of these classes comes in."""
    return next((p for p, group in enumerate(node.src) if graph.find(group)[0] in inner), None)
