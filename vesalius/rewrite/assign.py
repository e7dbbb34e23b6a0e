"""The first half of matching: which boxes of the host a pattern's boxes stand for.

An assignment sends every box of the pattern to a box of the host of the same kind with the same
attributes, ports to ports and bound axes to bound axes, so that wires go to wires. Two boxes of
the pattern may stand for one box of the host: what is equal is shared there, and sharing never
changes whether a rule matches. Different parameters and learners stand for different ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from types import MappingProxyType
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Draw, Token
from vesalius.diagrams.boxes.learner import LEARNER
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size, size
from vesalius.rewrite.operands import Ports, arrangements
from vesalius.rewrite.pattern import Pattern
from vesalius.rewrite.spread import Place, edges, spread
from vesalius.rewrite.unify import Sizes, bind_size

WAYS = 24  # how many arrangements of operands are remembered for a box
KEPT = 4096  # how many boxes, and how many shapes of matches, are remembered for a pattern


Way = tuple[Ports, dict[int, int]]  # host ports for each port, images of bound and new axes


class Binding(NamedTuple):
    """What sizes, functions and identities of a pattern stand for."""

    sizes: Sizes
    functions: Mapping[str, Any]
    tokens: Mapping[Token, Token]


class Assignment(NamedTuple):
    """Where boxes go; never changed in place.

    `nodes` sends pattern nodes to host nodes, `ports` a port of a pattern node to host ports,
    `axes` bound and new axes to host axes, `wires` pattern wires to host wires.
    """

    nodes: Mapping[int, int]
    ports: Mapping[Place, Axes]
    axes: Mapping[Place, int]
    wires: Mapping[int, int]
    binding: Binding


NO_WIRES: Mapping[int, int] = MappingProxyType({})
NOTHING = Assignment({}, {}, {}, {}, Binding({}, {}, {}))


class Assigner:
    """Assigns the boxes of a pattern to those of a host, from an anchor on.

    `wires` says for some wires of the pattern which wires of the host they are. `missed` hears of
    every failure: how many boxes were assigned, and why it went no further.
    """

    def __init__(
        self,
        pattern: Pattern,
        host: Diagram,
        within: frozenset[int] | None,
        wires: Mapping[int, int] = NO_WIRES,
    ) -> None:
        self.pattern = pattern
        self.left = pattern.left
        self.host = host
        self.within = within
        fixed = Binding(pattern.rule.fixed, {}, {})
        self.start = NOTHING._replace(binding=fixed, wires=wires)

    def missed(self, state: Assignment, node: int, host: int, why: str, *what: Any) -> None:
        """Called where a pattern node cannot stand for a host node; overridden to explain."""

    def from_anchor(self, node: int, host: int) -> Iterator[Assignment]:
        """All assignments that send a pattern node to a host node."""
        if self._plausible(node, host):
            for state in self._node(self.start, node, host, []):
                yield from self._others(state)

    def _plausible(self, node: int, host: int) -> bool:
        """Whether something that fits stands below a host box for each box below a pattern's."""
        pattern, nodes, owner = self.pattern, self.host.nodes, self.host.owner
        below = [nodes[owner[wire]].box for wire in nodes[host].src]
        for k in pattern.below[node]:
            if not any(fits(pattern, k, box) for box in below):
                self.missed(self.start, node, host, "below", k)
                return False
        return True

    # -- from box to box ----------------------------------------------------------------------

    def _others(self, state: Assignment) -> Iterator[Assignment]:
        """Assign what is left of the pattern: what reads a known wire, then anything."""
        left, host = self.left, self.host
        missing = [k for k in self.pattern.boxes if k not in state.nodes]
        if not missing:
            yield state
            return
        for k in missing:
            known = [w for w in left.nodes[k].src if w in state.wires]
            if known:
                readers = dict.fromkeys(r for r, _ in host.consumers[state.wires[known[0]]])
                break
        else:
            k = next(root for root in self.pattern.roots if root in missing)
            readers = dict.fromkeys(range(len(host.nodes)))
        for reader in readers:
            for found in self._node(state, k, reader, []):
                yield from self._others(found)

    def _node(
        self, state: Assignment, node: int, host: int, todo: list[Place]
    ) -> Iterator[Assignment]:
        """Send a node to a host node, then those in `todo`."""
        known = state.nodes.get(node)
        if known is not None:
            if known == host:
                yield from self._next(state, todo)
            else:
                self.missed(state, node, host, "two ways lead to different boxes")
            return
        ours, theirs = self.left.nodes[node], self.host.nodes[host]
        if not fits(self.pattern, node, theirs.box):
            self.missed(state, node, host, "box")
            return
        binding = binds(self.pattern, state.binding, ours.box, theirs.box)
        if binding is None:
            self.missed(state, node, host, "box")
            return
        if self.within is not None and host not in self.within:
            self.missed(state, node, host, "it lies outside the region")
            return
        wires = dict(state.wires)
        for mine, its in zip(ours.wires, theirs.wires, strict=True):
            if wires.setdefault(mine, its) != its:
                self.missed(state, node, host, "its output is another wire")
                return
        nodes = {**state.nodes, node: host}
        here = Assignment(nodes, state.ports, state.axes, wires, binding)
        found = False
        for ports, images in self._arranged(here, node, ours, theirs):
            found = True
            axes = {**state.axes, **{(node, a): b for a, b in images.items()}}
            yield from self._wired(here._replace(axes=axes), node, ours, theirs, ports, todo)
        if not found:
            self.missed(here, node, host, "operands")

    def _next(self, state: Assignment, todo: list[Place]) -> Iterator[Assignment]:
        if not todo:
            yield state
        else:
            (node, host), rest = todo[0], todo[1:]
            yield from self._node(state, node, host, rest)

    def _wired(
        self,
        state: Assignment,
        node: int,
        ours: Node,
        theirs: Node,
        ports: Sequence[Axes],
        todo: list[Place],
    ) -> Iterator[Assignment]:
        """Send the wires that a node reads to those that its image reads."""
        known, wires, binding = dict(state.ports), dict(state.wires), state.binding
        more: list[Place] = []
        for p, (wire, chosen) in enumerate(zip(ours.src, ports, strict=True)):
            known[node, p] = chosen
            if self.pattern.many(wire):
                continue
            other = theirs.src[chosen[0]]
            if wires.setdefault(wire, other) != other:
                self.missed(state, node, state.nodes[node], "wires", wire, other)
                return
            if wire in self.pattern.ends:
                tokens = self.ends(binding.tokens, wire, other)
                if tokens is None:
                    self.missed(state, node, state.nodes[node], "source", wire, other)
                    return
                binding = binding._replace(tokens=tokens)
            else:
                more.append((self.left.owner[wire], self.host.owner[other]))
        full = state._replace(ports=known, wires=wires, binding=binding)
        yield from self._next(full, more + todo)

    # -- operands -----------------------------------------------------------------------------

    def _arranged(
        self, state: Assignment, node: int, ours: Node, theirs: Node
    ) -> Iterator[tuple[Ports, dict[int, int]]]:
        """The host ports for each port of the pattern, and images of bound and of new axes."""
        ways = arranged(self.pattern, node, theirs.box)
        if ways is not None and (len(state.nodes) == 1 or len(ways) == 1):
            # What a box allows by itself is known; which operands stand where is to be asked.
            for ports, images in ways:
                if all(
                    self._may_stand(state, wire, theirs.src[q])
                    for wire, chosen in zip(ours.src, ports, strict=True)
                    for q in chosen
                ):
                    yield ports, images
            return
        several = [p for p, wire in enumerate(ours.src) if self.pattern.many(wire)]
        known: dict[int, int] = {}
        free = several or len(ours.src) > 1 or len(ours.box.bound) > 1
        if free and len(state.nodes) > 1 and not self.host.symmetries:
            spread_ = spread(edges(self.pattern, self.host, state, None), state.axes)
            if spread_ is None:
                return
            known = {axis: image for (k, axis), image in spread_.items() if k == node}

        def may_stand(p: int, q: int) -> bool:
            return self._may_stand(state, ours.src[p], theirs.src[q])

        ways_ = arrangements(ours.box, theirs.box, several, known, may_stand, theirs.src)
        for ports, bound in ways_:
            if any(len(ports[p]) < self.pattern.least(ours.src[p]) for p in several):
                continue
            for new in _new_choices(ours.box, theirs.box):
                yield ports, bound | new

    def _may_stand(self, state: Assignment, wire: int, other: int) -> bool:
        """Whether a wire of the host may stand for one of the pattern, at first sight."""
        if self.left.types[wire].dtype != self.host.types[other].dtype:
            return False
        if self.pattern.many(wire):
            return True
        if state.wires.get(wire, other) != other:
            return False
        if wire in self.pattern.ends:
            return True
        below, its = self.left.owner[wire], self.host.owner[other]
        mine, node = self.left.nodes[below], self.host.nodes[its]
        if wire - mine.first != other - node.first or state.nodes.get(below, its) != its:
            return False
        return fits(self.pattern, below, node.box)

    def ends(
        self, tokens: Mapping[Token, Token], wire: int, other: int
    ) -> Mapping[Token, Token] | None:
        """Let a variable stand for a wire of the host; None where it may not."""
        mine = self.pattern.variables[self.pattern.ends[wire]].token
        if mine is None:
            return tokens
        ours = self.left.nodes[self.left.owner[wire]].box
        theirs = self.host.nodes[self.host.owner[other]].box
        if ours.kind is not theirs.kind:
            return None
        its = theirs["token"]
        if isinstance(mine, Draw):
            if mine.describe() != its.describe():
                return None
        elif mine.trainable != its.trainable and not (  # type: ignore[attr-defined]
            mine.trainable and self.pattern.rule.grade.same  # type: ignore[attr-defined]
        ):
            return None  # a frozen array is no parameter that a witness may set
        return _paired(tokens, mine, its)


# -- single boxes ---------------------------------------------------------------------------------


def fits(pattern: Pattern, node: int, box: Box) -> bool:
    """Whether a box may stand for a box of the pattern, whatever else does; found once."""
    known = pattern.known[node]
    if box not in known:
        if len(known) > KEPT:
            known.clear()
        known[box] = _fits(pattern, node, box)
    return bool(known[box] != ())


def arranged(pattern: Pattern, node: int, box: Box) -> tuple[Way, ...] | None:
    """The ways in which a box that fits may stand for one of the pattern; None if they are many."""
    found: tuple[Way, ...] | None = pattern.known[node][box]
    return found


def _fits(pattern: Pattern, node: int, box: Box) -> tuple[Way, ...] | None:
    ours = pattern.left.nodes[node]
    if binds(pattern, Binding(pattern.rule.fixed, {}, {}), ours.box, box) is None:
        return ()
    several = [p for p, wire in enumerate(ours.src) if pattern.many(wire)]
    if not several and len(ours.src) != len(box.maps):
        return ()
    found: list[Way] = []
    for ports, bound in arrangements(ours.box, box, several, {}, lambda p, q: True):
        if all(len(ports[p]) >= pattern.least(ours.src[p]) for p in several):
            found += [(ports, bound | new) for new in _new_choices(ours.box, box)]
            if len(found) > WAYS:
                return None
    return tuple(found)


def binds(pattern: Pattern, binding: Binding, ours: Box, theirs: Box) -> Binding | None:
    """What attributes say of sizes, functions and identities; None where they differ."""
    if (
        ours.kind is not theirs.kind
        or len(ours.bound) != len(theirs.bound)
        or len(ours.new) != len(theirs.new)
        or len(ours.outs) != len(theirs.outs)
    ):
        return None
    sizes, functions, tokens = binding
    stand_ins = pattern.stand_ins
    for (_, codec), mine, other in zip(ours.kind.fields, ours.attrs, theirs.attrs, strict=True):
        if codec == "function" and id(mine) in stand_ins:
            bound = (other, theirs["numbers"])
            name = stand_ins[id(mine)]
            if other.arity != mine.arity or functions.get(name, bound) != bound:
                return None
            functions = {**functions, name: bound}
        elif codec == "numbers" and id(ours.attrs[0]) in stand_ins:
            continue
        elif isinstance(mine, Size) and type(other) in (Size, int):
            grown = bind_size(sizes, mine, size(other))
            if grown is None:
                return None
            sizes = grown
        elif isinstance(mine, Token) and isinstance(other, Token):
            paired = _paired(tokens, mine, other)
            if paired is None:
                return None
            tokens = paired
        elif codec == "diagram" and mine.size_variables:
            continue  # compared when the sizes are known
        elif type(mine) is not type(other) or mine != other:
            return None
    return Binding(sizes, functions, tokens)


def _new_choices(ours: Box, theirs: Box) -> Iterator[dict[int, int]]:
    """The ways to send the new axes of a box to those of another one; mostly in order."""
    places = range(len(theirs.new))
    for turn in permutations(places) if ours.kind in (EXPAND, LEARNER) else (places,):
        yield {ours.inner + k: theirs.inner + place for k, place in enumerate(turn)}


def _paired(tokens: Mapping[Token, Token], mine: Token, its: Token) -> Mapping[Token, Token] | None:
    """Let an identity of the pattern stand for one of the host; different ones for different."""
    known = tokens.get(mine)
    if known is not None:
        return tokens if known is its else None
    return None if its in tokens.values() else {**tokens, mine: its}
