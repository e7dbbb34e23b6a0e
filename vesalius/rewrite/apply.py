"""Applying a rule at matches: the right side takes the place of the left side's outputs.

The host is copied in order; the readers of each matched output get the right side, put in on
the wires at the boundary of the match. Each output is replaced by itself: in a category with
copying and deleting it is a function of the inputs alone, so several outputs need no common
place. Boxes of the left side that others still read stay, those that nobody reads go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from vesalius.diagrams.box import Token
from vesalius.diagrams.builder import Label
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graft import GONE, Graft, Replacement, Seen
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as, same_tokens, start
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.rewrite.instance import instance
from vesalius.rewrite.matched import Match
from vesalius.rewrite.order import reordered
from vesalius.rewrite.refusals import sources
from vesalius.rewrite.template import Template, template


class Overlap(StructureError):
    """Two matches share a box, or replace one wire."""


# -- what comes out -------------------------------------------------------------------------------


class Image:
    """Where the right side of a match landed in the result.

    `body` is the right side as it was put in: as many operands, and the functions, that the
    host has.
    """

    def __init__(self, match: Match, right: RightSide, applied: Applied) -> None:
        self.match = match
        self.body = right.body
        self._right = right
        self._applied = applied

    @property
    def sizes(self) -> Mapping[str, Size]:
        """The sizes of the result that the size variables of the rule stand for."""
        return self._right.sizes

    @cached_property
    def wires(self) -> dict[int, int]:
        """For each wire of the body, the wire of the result; those that nothing needs are gone."""
        return self._applied.moved(self._right.made)

    @property
    def names(self) -> dict[str, str]:
        """The names in the result of the parameters, draws and learners of the right side."""
        tokens = self._right.tokens
        return {token.name: tokens[token].name for token, _ in self.body.tokens if token in tokens}

    @property
    def nodes(self) -> dict[int, int]:
        """For each box of the body that the result needs, the node of the result."""
        owner, inputs = self._applied.diagram.owner, len(self.body.inputs)
        return {
            k: owner[self.wires[node.first]]
            for k, node in enumerate(self.body.nodes)
            if k >= inputs and node.first in self.wires
        }


class Applied:
    """The result of a rewriting, and what became of everything."""

    def __init__(
        self,
        host: Diagram,
        diagram: Diagram,
        rights: Sequence[RightSide],
        seen: Sequence[Seen],
        moved: Mapping[int, int] | None,
    ) -> None:
        self.host = host
        self.diagram = diagram
        self._rights = rights
        self._seen = seen
        self._moved = moved

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Where the right side of each match landed, in order."""
        return tuple([Image(right.match, right, self) for right in self._rights])

    def moved(self, wires: Mapping[int, int]) -> dict[int, int]:
        """Wires as they were while building, as wires of the result."""
        moved = self._moved
        if moved is None:
            return {old: here for old, here in wires.items() if here >= 0}
        return {old: moved[here] for old, here in wires.items() if here in moved}

    @cached_property
    def wires(self) -> dict[int, int]:
        """For each wire of the host that is still needed, the wire that stands for it now."""
        return self.moved({old: seen[0] for old, seen in enumerate(self._seen) if seen is not GONE})

    @property
    def gone(self) -> list[int]:
        """The boxes of the host that are in the result no more."""
        kept = set()
        for k, node in enumerate(self.host.nodes):
            for wire in node.wires:
                new = self.wires.get(wire)
                if new is not None and self.diagram.nodes[self.diagram.owner[new]].box == node.box:
                    kept.add(k)
        inputs = len(self.host.inputs)
        return [k for k in range(inputs, len(self.host.nodes)) if k not in kept]


# -- right sides ----------------------------------------------------------------------------------


class RightSide:
    """What stands for the outputs of one match, while the host is copied."""

    def __init__(self, match: Match) -> None:
        self.match = match
        rule = match.rule
        if rule.many or match.functions:
            counts = tuple([len(row) for row in match.shape.ends[: len(rule.left.inputs)]])
            self.body = instance(rule, counts, tuple(sorted(match.functions.items())))
        else:
            self.body = rule.right
        self.reads = match.reads
        self.tokens: dict[Token, Token] = {}
        self._made: dict[int, int] = {}
        self._template: Template | None = None
        self._wires: list[int] = []

    @property
    def made(self) -> Mapping[int, int]:
        """What the wires of the body became."""
        if self._template is not None:
            return {wire: self._wires[at] for wire, at in enumerate(self._template.landed)}
        return self._made

    @cached_property
    def sizes(self) -> Mapping[str, Size]:
        """The sizes of the rule; those that it brings and that nobody chose stay variables."""
        match = self.match
        sizes = dict(match.sizes)
        missing = match.rule.free - sizes.keys()
        taken = set(match.host.size_variables) if missing else set()
        for name in sorted(missing):
            sizes[name] = size(fresh_name(name, taken))
            taken.add(name)
        return sizes

    def put(self, graft: Graft) -> Seen:
        """Put in the right side of a rule with one output: what readers of the wire get."""
        made = self._repeated(graft)
        return self.replacement(0).put(graft) if made is None else made

    def _repeated(self, graft: Graft) -> Seen | None:
        """The quick way: as for another match of this shape. None where that does not serve."""
        match, builder = self.match, graft.builder
        rule = match.rule
        if rule.right.tokens or rule.free:
            return None
        seen = graft.seen
        boundary = {}
        for wire in self.reads:
            here, slots = seen[wire]
            if slots is not None or here in builder.symmetries or here in builder.expanded:
                return None
            boundary[wire] = here
        if len(boundary) > 1:
            boundary = dict(sorted(boundary.items(), key=lambda item: item[1]))
            if len(set(boundary.values())) < len(boundary):
                return None
        types = match.host.types
        order = tuple([self.reads.index(wire) for wire in boundary])
        key = ("right", order, tuple([types[wire] for wire in boundary]))
        kept = match.shape.kept
        if key not in kept:
            kept[key] = template(
                self.body,
                [use for row in match.inputs for use in row],
                match.outputs[0][1],
                self.sizes,
                {wire: types[wire] for wire in boundary},
            )
        found: Template | None = kept[key]
        wires = None if found is None else found.repeat(builder, list(boundary.values()))
        if found is None or wires is None:
            return None
        self._template, self._wires = found, wires
        return wires[found.output], found.slots

    def replacement(self, output: int) -> Replacement:
        """The right side as a replacement of the wire of one output."""
        match, rule = self.match, self.match.rule
        kept = sources(rule.right)
        given = {name: use for name, use in match.sources.items() if name in kept}
        if not self.tokens:
            self.tokens.update(match.tokens)
        return Replacement(
            self.body,
            tuple([use for row in match.inputs for use in row]),
            match.outputs[output][1],
            output,
            self.sizes,
            given,
            {name: self._tubes(old) for name, old in rule.replaces.items()},
            self.tokens,
            self._prefix(),
            self._made,
        )

    def _tubes(self, replaced: Sequence[str]) -> tuple[tuple[Label, Size], ...]:
        """The tubes of a new source: those of the sources that it replaces."""
        found: dict[Label, Size] = {}
        for wire, labels in (self.match.sources[name] for name in replaced):
            for label, length in zip(labels, self.match.host.types[wire].sizes, strict=True):
                if not isinstance(label, int):
                    found.setdefault(label, length)
        return tuple(found.items())

    def _prefix(self) -> str:
        """The path that all identities of the match have in common, for the names of new ones."""
        paths = {token.name.rpartition(".")[0] for token in self.match.tokens.values()}
        path = paths.pop() if len(paths) == 1 else ""
        return f"{path}." if path else ""


class _Output(NamedTuple):
    """One of several outputs of a right side."""

    right: RightSide
    output: int

    @property
    def reads(self) -> Sequence[int]:
        return self.right.reads

    def put(self, graft: Graft) -> Seen:
        return self.right.replacement(self.output).put(graft)


# -- applying -------------------------------------------------------------------------------------


def apply(host: Diagram, *found: Match) -> Diagram:
    """The host with each of these matches rewritten; they must not overlap.

    The host is left as it is. Raises `Overlap` when two matches share a box.
    """
    return rewrite(host, *found).diagram


def rewrite(host: Diagram, *found: Match) -> Applied:
    """As `apply`, and says where everything landed. Raises `Overlap`."""
    original, place = host, None
    if any(match.rule.pattern.tangled for match in found):
        host, place, found = _in_time(host, found)
    rights = [RightSide(match) for match in found]
    replacing = _replacing(rights)
    builder, inputs = start(host.name, host.doc, list(host.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in host.tokens)
    graft = Graft(builder, host, {}, {}, same_tokens(host), "", {}, None)
    graft.replacing = replacing
    graft.live = _live(host, replacing)
    graft.run([(wire.id, tuple(range(len(wire.names)))) for wire in inputs])
    result = finish_as(builder, host, [graft.output(port) for port in host.outputs], ())
    seen: Sequence[Seen] = graft.seen
    if place is not None:
        seen = [
            graft.seen[host.nodes[k].first + offset]
            for k, node in zip(place, original.nodes, strict=True)
            for offset in range(len(node.box.outs))
        ]
    return Applied(original, result, rights, seen, builder.moved)


def _replacing(rights: Sequence[RightSide]) -> dict[int, RightSide | _Output]:
    """What stands for each wire that is replaced."""
    replacing: dict[int, RightSide | _Output] = {}
    taken: set[int] = set()
    for right in rights:
        match = right.match
        boxes = set(match.nodes.values())
        wires = match.replaced()
        if not taken.isdisjoint(boxes) or any(wire in replacing for wire in wires):
            raise Overlap(f"two matches of {match.rule.name} share a box")
        taken |= boxes
        if len(wires) == 1:
            replacing[wires[0]] = right
        else:
            for j, wire in enumerate(wires):
                replacing[wire] = _Output(right, j)
    return replacing


def _live(host: Diagram, replacing: Mapping[int, RightSide | _Output]) -> bytearray:
    """The boxes of the host that the result still needs, as a mask."""
    needed = bytearray(len(host.types))
    for port in host.outputs:
        needed[port.wire] = 1
    live = bytearray(len(host.nodes))
    for k in range(len(host.nodes) - 1, -1, -1):
        node = host.nodes[k]
        first = node.first
        for wire in range(first, first + len(node.box.outs)):
            if needed[wire] and wire in replacing:
                for other in replacing[wire].reads:
                    needed[other] |= 2 if other >= first else 1
        for wire in range(first, first + len(node.box.outs)):
            # 2: read by what replaces a wire of this very box, so as it was.
            if needed[wire] & 2 or (needed[wire] and wire not in replacing):
                live[k] = 1
        if live[k]:
            for wire in node.src:
                needed[wire] |= 1
    return live


def _in_time(host: Diagram, found: Sequence[Match]) -> tuple[Diagram, list[int], tuple[Match, ...]]:
    """The host in an order in which all that a right side reads comes before what it replaces."""
    first = {
        host.owner[wire]: [host.owner[other] for other in match.reads]
        for match in found
        if match.rule.pattern.tangled
        for wire in match.replaced()
    }
    turned, place = reordered(host, first)
    moved = tuple(
        Match(m.rule, turned, {p: place[k] for p, k in m.nodes.items()}, m.shape, m.binding)
        for m in found
    )
    return turned, place, moved


def replacements(match: Match) -> dict[int, Replacement]:
    """For each wire of the host that a match replaces, what stands there instead."""
    right = RightSide(match)
    return {wire: right.replacement(j) for j, wire in enumerate(match.replaced())}
