"""Matching: where the left side of a rule stands in a diagram, modulo tubes, names and order.

A match is found in two halves: which boxes stand for those of the pattern
(`vesalius.rewrite.assign`), and where the axes go (`vesalius.rewrite.axes`). With respect to
declared axes it is exact; every other axis of the host is a tube. The names of axes and the
order of operands do not exist for it. Boxes of the pattern that others read too stay where they
are (interior wires may escape), and a wire of the pattern's boundary may stand at several places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice, permutations, product
from typing import Any

from vesalius.diagrams.box import Token
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.assign import KEPT, NO_WIRES, Assigner, Assignment, Binding, binds, fits
from vesalius.rewrite.axes import TURNS, End, Shape, shapes
from vesalius.rewrite.convex import convex
from vesalius.rewrite.matched import Match
from vesalius.rewrite.pattern import head
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.unify import bind_axes, bind_size


class Matcher:
    """Finds one rule in one host."""

    def __init__(
        self,
        rule: Rule,
        host: Diagram,
        within: Collection[int] | None = None,
        wires: Mapping[int, int] = NO_WIRES,
    ) -> None:
        self.rule = rule
        self.host = host
        self.pattern = rule.pattern
        self.within = None if within is None else frozenset(within)
        self.assigner = Assigner(self.pattern, host, self.within, wires)
        self._rigid = self.pattern.rigid and not host.symmetries
        self._shapes: dict[Any, list[Shape]] = self.pattern.shapes
        if len(self._shapes) > KEPT:
            self._shapes.clear()
        self._dtypes = rule.left.types
        self._plain = not rule.conditions and not self.pattern.tangled

    def all(self) -> Iterator[Match]:
        """All matches, in the order of their anchor in the host."""
        if not self.pattern.roots:
            yield from self._distinct(self._loose(self.assigner.start))
            return
        anchor = self.anchor()
        known = self.pattern.known[anchor]
        for k, node in enumerate(self.host.nodes):
            box = node.box
            if not (known[box] != () if box in known else fits(self.pattern, anchor, box)):
                continue
            if self._rigid:
                found = self._walk(k)
                if found is not None:
                    yield found
            else:
                yield from self.at(k, anchor)

    def anchor(self) -> int:
        """The root of the pattern with the fewest boxes like it in the host."""
        roots = self.pattern.roots
        if len(roots) == 1:
            return roots[0]
        count: Counter[Any] = Counter()
        for box, number in Counter(node.box for node in self.host.nodes).items():
            count[box.kind, None] += number
            if head(box)[1] is not None:
                count[head(box)] += number
        return min(roots, key=lambda root: count[self.pattern.head(root)])

    def at(self, host: int, anchor: int | None = None) -> Iterator[Match]:
        """All matches that send an anchor, by default the first root, to a host node."""
        if self._rigid:
            box = self.host.nodes[host].box
            found = self._walk(host) if fits(self.pattern, self.pattern.roots[0], box) else None
            if found is not None:
                yield found
            return
        node = self.pattern.roots[0] if anchor is None else anchor
        yield from self._distinct(
            match
            for state in self.assigner.from_anchor(node, host)
            for match in self._solved(state)
        )

    def _distinct(self, found: Iterator[Match]) -> Iterator[Match]:
        """Matches that differ in more than what both sides of the rule treat alike."""
        first: Match | None = None
        seen: set[Any] = set()
        for match in found:
            if first is None:
                first = match
                yield match
                continue
            if not seen:
                seen.add(self._key(first))
            key = self._key(match)
            if key not in seen:
                seen.add(key)
                yield match

    def _key(self, match: Match) -> Any:
        """What tells two rewritings apart: tubes count by where they come out, not by name."""
        bound = frozenset(match.tokens.items()), frozenset(match.functions.items())
        return min(
            (self._read(match, ends) for ends in self._turned(match.outputs)), key=repr
        ), bound

    def _turned(self, ends: Sequence[Use]) -> Iterator[list[Use]]:
        """Outputs, those that are symmetric wires read in every way."""
        readings = [[(wire, row) for row in self._turns(wire, labels)] for wire, labels in ends]
        return map(list, islice(product(*readings), TURNS))

    def _turns(self, wire: int, labels: tuple[Label, ...]) -> list[tuple[Label, ...]]:
        turns = self.host.symmetries.get(wire, ())
        return [labels, *(tuple([labels[i] for i in turn]) for turn in turns)]

    def _read(self, match: Match, ends: Sequence[Use]) -> Any:
        """What is read and replaced, with the outputs in one reading."""
        places: dict[Label, Label] = {}
        for j, (_, labels) in enumerate(ends):
            for slot, label in enumerate(labels):
                places.setdefault(label, label if isinstance(label, int) else (j, slot))

        def named(labels: tuple[Label, ...]) -> tuple[Label, ...]:
            return tuple([places.get(x, x) for x in labels])

        rows: list[Any] = []
        for variable, uses in zip(self.pattern.variables, match.ends, strict=True):
            row = [
                (wire, min((named(turned) for turned in self._turns(wire, labels)), key=repr))
                for wire, labels in uses
            ]
            rows.append(tuple(sorted(row, key=repr) if variable.many else row))
        for group in self.pattern.alike:
            together = tuple(sorted((rows[k] for k in group), key=repr))
            for k in group:
                rows[k] = together
        return tuple(rows), tuple((wire, named(labels)) for wire, labels in ends)

    # -- without choice -----------------------------------------------------------------------

    def _walk(self, root: int) -> Match | None:
        """The only match at a host node, for a pattern that leaves nothing to choose."""
        pattern, host = self.pattern, self.host
        walk = pattern.walk
        nodes, owner, types = host.nodes, host.owner, host.types
        places, images = [nodes[root]], [root]
        for place, port, offset, below in walk.steps:
            wire = places[place].src[port]
            k = owner[wire]
            here = nodes[k]
            box, known = here.box, pattern.known[below]
            if (
                not (known[box] if box in known else fits(pattern, below, box))
                or wire - here.first != offset
            ):
                return None
            places.append(here)
            images.append(k)
        for place, port, offset, to in walk.again:
            if places[place].src[port] != places[to].first + offset:
                return None
        tokens: Mapping[Token, Token] = {}
        reads = []
        for wire, ends in walk.ends:
            first, port = ends[0]
            other = places[first].src[port]
            if types[other].dtype != self._dtypes[wire].dtype:
                return None
            reads.append(other)
            for place, port in ends[1:]:
                if places[place].src[port] != other:
                    return None
            if wire >= len(self.rule.left.inputs):
                paired = self.assigner.ends(tokens, wire, other)
                if paired is None:
                    return None
                tokens = paired
        if self.within is not None and not self.within.issuperset(images):
            return None
        key = tuple([here.box for here in places])
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = self._rigid_shapes(images)
        if not found:
            return None
        shape = found[0]
        sent = dict(zip(walk.nodes, images, strict=True))
        settled: Any = ()
        if pattern.sized:
            settled = tuple([types[wire] for wire in reads])
        binding = None if pattern.named else shape.kept.get(settled)
        if binding is None:
            binding = self._binding(sent, tokens)
            if binding is not None and pattern.sized:
                binding = self._sized(sent, shape, binding)
            if binding is None:
                return None
            shape.kept[settled] = binding
        match = Match(self.rule, host, sent, shape, binding)
        match.__dict__["reads"] = reads if len(reads) < 2 else list(dict.fromkeys(reads))
        return match if self._plain or self._serves(match) else None

    def _binding(self, sent: Mapping[int, int], tokens: Mapping[Token, Token]) -> Binding | None:
        binding: Binding | None = self.assigner.start.binding._replace(tokens=tokens)
        for node, k in sent.items():
            if binding is None:
                return None
            ours, theirs = self.rule.left.nodes[node].box, self.host.nodes[k].box
            binding = binds(self.pattern, binding, ours, theirs)
        return binding

    def _rigid_shapes(self, images: list[int]) -> list[Shape]:
        sent = dict(zip(self.pattern.walk.nodes, images, strict=True))
        ports, axes = {}, {}
        for node, k in sent.items():
            ours, theirs = self.rule.left.nodes[node].box, self.host.nodes[k].box
            for p in range(len(ours.maps)):
                ports[node, p] = (p,)
            for a, b in zip(ours.bound, theirs.bound, strict=True):
                axes[node, a] = b
            for place in range(len(ours.new)):
                axes[node, ours.inner + place] = theirs.inner + place
        state = Assignment(sent, ports, axes, {}, self.assigner.start.binding)
        return shapes(self.pattern, self.host, state)

    # -- with choices -------------------------------------------------------------------------

    def _solved(self, state: Assignment) -> Iterator[Match]:
        """The matches that send boxes as an assignment does."""
        host = self.host
        wires = [
            host.nodes[state.nodes[node]].src[q]
            for (node, _), chosen in state.ports.items()
            for q in chosen
        ]
        first = {wire: k for k, wire in reversed(list(enumerate(wires)))}
        key = (
            tuple([(node, host.nodes[k].box) for node, k in state.nodes.items()]),
            tuple(state.ports.items()),
            tuple(state.axes.items()),
            tuple([(first[wire], host.symmetries.get(wire)) for wire in wires]),
        )
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = shapes(self.pattern, host, state)
        for shape in found:
            binding: Binding | None = state.binding
            if self.pattern.sized:
                binding = self._sized(state.nodes, shape, state.binding)
            if binding is not None:
                full = state._replace(binding=binding)
                yield from self._loose(full, shape)

    def _sized(self, nodes: Mapping[int, int], shape: Shape, binding: Binding) -> Binding | None:
        """What the sizes of axes say of size variables; None where they disagree."""
        sizes = bind_axes(self.pattern, self.host, nodes, shape.axes, binding.sizes)
        return None if sizes is None else binding._replace(sizes=sizes)

    def _loose(self, state: Assignment, shape: Shape | None = None) -> Iterator[Match]:
        """Matches with wires for the outputs that are variables which no box reads: any wires."""
        pattern, host = self.pattern, self.host
        if shape is None:
            outputs = tuple(
                End(-1 - pattern.ends[port.wire], 0, port.slots) for port in pattern.left.outputs
            )
            shape = Shape({}, tuple(() for _ in pattern.variables), outputs)
        todo = [w for w in pattern.loose if not shape.ends[pattern.ends[w]]]
        if not todo:
            match = Match(self.rule, host, state.nodes, shape, state.binding)
            if self._serves(match):
                yield match
            return
        wire, end = todo[0], pattern.ends[todo[0]]
        ours = pattern.left.types[wire]
        for other, theirs in enumerate(host.types):
            if theirs.dtype != ours.dtype:
                continue
            tokens = self.assigner.ends(state.binding.tokens, wire, other)
            if tokens is None:
                continue
            for slots in permutations(range(len(theirs.sizes)), len(ours.sizes)):
                sizes: Mapping[str, Size] | None = state.binding.sizes
                for wanted, slot in zip(ours.sizes, slots, strict=True):
                    sizes = None if sizes is None else bind_size(sizes, wanted, theirs.sizes[slot])
                if sizes is None:
                    continue
                labels = tuple(
                    slots.index(slot) if slot in slots else (-1 - wire, slot)
                    for slot in range(len(theirs.sizes))
                )
                ends = (*shape.ends[:end], (End(-1, other, labels),), *shape.ends[end + 1 :])
                binding = state.binding._replace(sizes=sizes, tokens=tokens)
                grown = Shape(shape.axes, ends, shape.outputs)
                yield from self._loose(state._replace(binding=binding), grown)

    # -- conditions ---------------------------------------------------------------------------

    def _serves(self, match: Match) -> bool:
        """Whether conditions hold and no output would be computed from itself."""
        if self.rule.conditions and any(c(match) is not None for c in self.rule.conditions):
            return False
        return not self.pattern.tangled or convex(match)


def matches(
    rule: Rule | Schema, host: Diagram, within: Collection[int] | None = None
) -> Iterator[Match]:
    """All matches of a rule's left side in a diagram, in a deterministic order.

    `within` are the nodes of the diagram among which a match must lie. Those of a schema are
    matches of its instances, anchor by anchor.
    """
    if isinstance(rule, Rule):
        yield from Matcher(rule, host, within).all()
        return
    for k in range(len(host.nodes)):
        yield from matches_of_schema(rule, host, k, within)


def matches_of_schema(
    rule: Schema, host: Diagram, anchor: int, within: Collection[int] | None = None
) -> Iterator[Match]:
    """The matches of a schema's instances at one node, each where it was read off."""
    for instance, wires in rule.instances(host, anchor):
        yield from islice(Matcher(instance, host, within, wires).at(anchor), 1)
