"""Why a rule does not match: the nearest miss, the box, and the condition that failed there.

    >>> import vesalius as vs
    >>> @vs.rule("equal")
    ... def pull_out(w: "", x: "j") -> "":
    ...     return vs.contract(w, x, over="j"), w * vs.sum(x, "j")
    >>> @vs.diagram
    ... def host(a: "n j", b: "j") -> "n":
    ...     return vs.contract(a, b, over="j")
    >>> print(pull_out.explain(host))
    pull_out does not stand at contract {n} float: `w` carries the axis `j`

Reasons are looked for here alone: a search that fails does not pay for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice, permutations
from typing import Any

from vesalius.diagrams.box import Box
from vesalius.diagrams.graph import Diagram, Node
from vesalius.rewrite.assign import Assigner, Assignment, binds
from vesalius.rewrite.axes import shapes
from vesalius.rewrite.match import Matcher
from vesalius.rewrite.matched import Match
from vesalius.rewrite.pattern import Pattern
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.spread import edges, spread

TRIED = 720  # how many orders of operands are compared at the place of the miss


def explain(rule: Rule, host: Diagram, within: Collection[int] | None = None) -> str:
    """Where and why the nearest miss of a rule fails; where it stands, if it does."""
    found = next(Matcher(rule, host, within).all(), None)
    if found is not None:
        return f"{rule.name} stands at {_place(host, _root(rule.pattern, found.nodes))}"
    search = _Misses(rule, host, None if within is None else frozenset(within))
    return search.nearest()


def _root(pattern: Pattern, nodes: Mapping[int, int]) -> int:
    return nodes[pattern.roots[0]] if pattern.roots else 0


def _place(host: Diagram, k: int) -> str:
    node = host.nodes[k]
    return f"{_label(node.box)} {host.wire_type(node.first)}"


def _label(box: Box) -> str:
    name = box.kind.name
    return box["function"].name if name == "pointwise" else name


class _Misses(Assigner):
    """An assigner that keeps the miss with most of the pattern found."""

    def __init__(self, rule: Rule, host: Diagram, within: frozenset[int] | None) -> None:
        super().__init__(rule.pattern, host, within)
        self.rule = rule
        self.best = (-1.0, "")

    def nearest(self) -> str:
        """The sentence about the nearest miss."""
        pattern, host = self.pattern, self.host
        if not pattern.roots:
            return f"{self.rule.name} stands nowhere: no wire has the type that it asks for"
        anchor = pattern.roots[0]
        for k in range(len(host.nodes)):
            for state in self.from_anchor(anchor, k):
                self._complete(state)
        if self.best[0] < 0.5:
            kind = _label(pattern.left.nodes[anchor].box)
            return f"{self.rule.name} stands nowhere: {host.name} has no {kind} to begin with"
        return f"{self.rule.name} does not stand at {self.best[1]}"

    def _plausible(self, node: int, host: int) -> bool:
        return True

    def missed(self, state: Assignment, node: int, host: int, why: str, *what: Any) -> None:
        """Keep the reason if more was assigned before it than before any other."""
        ours, theirs = self.pattern.left.nodes[node], self.host.nodes[host]
        same = ours.box.kind is theirs.box.kind
        score = len(state.nodes) - (node in state.nodes) + 0.5 * same
        if score < self.best[0]:  # of equal ones, the last: most of the host lies below it
            return
        if why in ("box", "operands"):
            reason = self._box(state, ours, theirs)
        elif why == "wires":
            reason = f"{self._wire(what[0])} stands at two places, and they read different wires"
        elif why == "source":
            reason = self._source(what[0], what[1])
        else:
            reason = why
        self.best = score, f"{_place(self.host, host)}: {reason}"

    # -- one box ------------------------------------------------------------------------------

    def _box(self, state: Assignment, ours: Node, theirs: Node) -> str:
        """Why a box of the host does not stand for one of the pattern."""
        wanted, box = ours.box, theirs.box
        if _label(wanted) != _label(box) and not self._stand_in(wanted):
            return f"the rule has {_label(wanted)} there"
        for what, mine, its in (
            ("binds", wanted.bound, box.bound),
            ("makes", wanted.new, box.new),
        ):
            if len(mine) != len(its):
                return f"it {what} {_count(len(its), 'axis', 'axes')}, in the rule {len(mine)}"
        if binds(self.pattern, state.binding, wanted, box) is None:
            return self._attributes(wanted, box)
        several = [p for p, wire in enumerate(ours.src) if self.pattern.many(wire)]
        if len(ours.src) - len(several) > len(box.maps) or (
            not several and len(ours.src) != len(box.maps)
        ):
            have = _count(len(box.maps), "operand", "operands")
            return f"it has {have}, in the rule {len(ours.src)}"
        none: list[str] = []
        reasons = min(self._arrangements(ours, theirs), key=lambda found: len(found), default=none)
        return reasons[0] if reasons else "its axes do not go together with those around it"

    def _stand_in(self, box: Box) -> bool:
        return bool(box.attrs) and id(box.attrs[0]) in self.pattern.stand_ins

    def _attributes(self, wanted: Box, box: Box) -> str:
        if wanted.kind is not box.kind:
            return f"the rule has {_label(wanted)} there"
        for (name, _), mine, its in zip(wanted.kind.fields, wanted.attrs, box.attrs, strict=True):
            if mine != its:
                return f"its {name} is {its}, in the rule {mine}"
        return "its attributes are others"

    def _arrangements(self, ours: Node, theirs: Node) -> Iterator[list[str]]:
        """For each order of operands and of bound axes, what does not fit."""
        none: list[str] = []
        have = range(len(theirs.src))
        commutes = ours.box.kind.commutes(ours.box.attrs)
        several = [p for p, wire in enumerate(ours.src) if self.pattern.many(wire)]
        single = [p for p in range(len(ours.src)) if p not in several]
        orders = permutations(have, len(single)) if commutes else [tuple(have)[: len(single)]]
        turns = permutations(theirs.box.bound) if ours.box.kind.bound_is_set else [theirs.box.bound]
        images = [dict(zip(ours.box.bound, turn, strict=True)) for turn in islice(turns, 24)]
        for order in islice(orders, TRIED):
            rest = [q for q in have if q not in order]
            for image in images:
                found = [
                    reason
                    for p, q in zip(single, order, strict=True)
                    for reason in self._operand(ours, theirs, p, q, image)
                ]
                for q in rest:
                    options = [list(self._operand(ours, theirs, p, q, image)) for p in several]
                    fewest: list[str] = min(options, key=len, default=none)
                    found += fewest
                yield found

    def _operand(
        self, ours: Node, theirs: Node, p: int, q: int, image: Mapping[int, int]
    ) -> Iterator[str]:
        """What keeps an operand of the host from standing for one of the pattern."""
        left, host = self.pattern.left, self.host
        wire, other = ours.src[p], theirs.src[q]
        name = self._wire(wire)
        if left.types[wire].dtype != host.types[other].dtype:
            yield f"{name} is {host.types[other].dtype}, in the rule {left.types[wire].dtype}"
        if wire not in self.pattern.ends:
            mine, its = left.nodes[left.owner[wire]], host.nodes[host.owner[other]]
            if _label(mine.box) != _label(its.box) and not self._stand_in(mine.box):
                yield f"it reads {_label(its.box)} where the rule has {_label(mine.box)}"
                return
        row, there = ours.box.maps[p], theirs.box.maps[q]
        for axis, b in image.items():
            if (axis in row) != (b in there):
                verb = "carries" if b in there else "lacks"
                yield f"{name} {verb} the axis `{self._axis(theirs, b)}`"

    def _axis(self, node: Node, axis: int) -> str:
        for wire, row in zip(node.src, node.box.maps, strict=True):
            if axis in row:
                return self.host.hints[wire][row.index(axis)]
        return "?"

    def _wire(self, wire: int) -> str:
        end = self.pattern.ends.get(wire)
        if end is not None:
            return f"`{self.pattern.variables[end].name}`"
        left = self.pattern.left
        return f"what {_label(left.nodes[left.owner[wire]].box)} makes"

    def _source(self, wire: int, other: int) -> str:
        name = self._wire(wire)
        ours = self.pattern.left.nodes[self.pattern.left.owner[wire]].box
        theirs = self.host.nodes[self.host.owner[other]].box
        if ours.kind is not theirs.kind:
            return f"{name} is {_label(theirs)}, in the rule a {_label(ours)}"
        if getattr(theirs["token"], "trainable", True) is False:
            return f"{name} is {theirs['token'].name!r}, which is not trained"
        return f"{name} would be {theirs['token'].name!r}, which stands for another one"

    # -- all boxes ----------------------------------------------------------------------------

    def _complete(self, state: Assignment) -> None:
        """All boxes fit; what is wrong is where axes go, a size, or a condition."""
        score = len(self.pattern.boxes) + 1.0
        root = _root(self.pattern, state.nodes)
        solved = shapes(self.pattern, self.host, state)
        if not solved:
            reason = self._exactness(state)
        else:
            reason = "sizes that are one in the rule are two here"
            for match in self._matches(state, solved[0]):
                score += 1.0
                said = [c(match) for c in self.rule.conditions]
                reason = next((r for r in said if r is not None), "it would need itself: a cycle")
        if score > self.best[0]:
            self.best = score, f"{_place(self.host, root)}: {reason}"

    def _matches(self, state: Assignment, shape: Any) -> Iterator[Match]:
        matcher = Matcher(self.rule, self.host, self.within)
        binding = matcher._sized(state.nodes, shape, state.binding)
        if binding is not None:
            yield Match(self.rule, self.host, state.nodes, shape, binding)

    def _exactness(self, state: Assignment) -> str:
        """The operand that carries a declared axis too many, or one too few."""
        axes = spread(edges(self.pattern, self.host, state, None), state.axes)
        if axes is None:
            return "axes that are one along a wire of the rule are two here"
        for (node, p), chosen in state.ports.items():
            ours, theirs = self.pattern.left.nodes[node], self.host.nodes[state.nodes[node]]
            row = ours.box.maps[p]
            image = {a: axes[node, a] for a in range(ours.box.inner) if (node, a) in axes}
            for q in chosen:
                there = theirs.box.maps[q]
                for axis, b in image.items():
                    if (axis in row) != (b in there):
                        verb = "carries" if b in there else "lacks"
                        name = self._wire(ours.src[p])
                        return f"{name} {verb} the axis `{self._axis(theirs, b)}`"
        return "a wire that stands at two places is read along different axes"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
