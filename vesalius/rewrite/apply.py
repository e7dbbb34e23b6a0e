"""Applying a rule at matches: the right side takes the place of the left side's outputs.

The host is copied in order; the readers of each matched output get the right side, grafted on
the wires at the boundary of the match. Each output is replaced by itself: in a category with
copying and deleting it is a function of the inputs alone, so several outputs need no common
place. Boxes of the left side that others still read stay, those that nobody reads go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.compose import finish_as, same_tokens, start
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graft import Graft, Replacement
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.rewrite.match import Match
from vesalius.rewrite.refusals import sources
from vesalius.rewrite.rule import Rule


class Overlap(StructureError):
    """Two matches want to replace one wire, or one reads what another takes away."""


class Image(NamedTuple):
    """Where the right side of a match landed in the result.

    `body` is the right side as it was put in: as many operands, and the functions, that the
    host has. `wires` sends its wires to wires of the result; a wire that nothing needs is not
    there. `names` sends parameters, random sources and learners of the right side to those of
    the result, `sizes` the size variables of the rule to sizes of the result.
    """

    match: Match
    body: Diagram
    wires: dict[int, int]
    names: dict[str, str]
    sizes: Mapping[str, Size]


class Applied(NamedTuple):
    """The result of a rewriting, and what became of everything.

    `images` are those of the matches, in order. `wires` sends each wire of the host that is
    still needed to the wire of the result that stands for it.
    """

    diagram: Diagram
    images: tuple[Image, ...]
    wires: dict[int, int]


def apply(host: Diagram, *found: Match) -> Diagram:
    """The host with each of these matches rewritten; they must not overlap.

    The host is left as it is. Raises `Overlap` when two matches share a box.
    """
    return rewrite(host, *found).diagram


def rewrite(host: Diagram, *found: Match) -> Applied:
    """As `apply`, and says where everything landed. Raises `Overlap`."""
    replacing: dict[int, Replacement] = {}
    taken: set[int] = set()
    bodies: list[tuple[Match, Replacement]] = []
    for match in found:
        boxes = set(match.nodes.values())
        if not taken.isdisjoint(boxes):
            raise Overlap(f"two matches of {match.rule.name} share a box")
        taken |= boxes
        first = _replacement(match)
        bodies.append((match, first))
        for j, (wire, labels) in enumerate(match.outputs):
            replacing[wire] = first._replace(labels=labels, output=j)
    builder, inputs = start(host.name, host.doc, list(host.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in host.tokens)
    own: list[Use] = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    graft = Graft(builder, host, {}, {}, same_tokens(host), "", {}, None)
    graft.replacing = replacing
    graft.run(own)
    result = finish_as(builder, host, [graft.output(port) for port in host.outputs], ())
    moved = builder.moved
    wires = {old: here for old, (here, _) in enumerate(graft.seen)}
    if moved is not None:
        wires = {old: moved[here] for old, here in wires.items() if here in moved}
    images = []
    for match, made in bodies:
        landed = made.made
        if moved is not None:
            landed = {wire: moved[here] for wire, here in landed.items() if here in moved}
        names = {token.name: made.tokens[token].name for token, _ in made.body.tokens}
        images.append(Image(match, made.body, landed, names, made.sizes))
    return Applied(result, tuple(images), wires)


def replacements(match: Match) -> dict[int, Replacement]:
    """For each wire of the host that a match replaces, what stands there instead."""
    first = _replacement(match)
    return {
        wire: first._replace(labels=labels, output=j)
        for j, (wire, labels) in enumerate(match.outputs)
    }


def _replacement(match: Match) -> Replacement:
    """What stands for each output of a match; the fields of an output are filled in later."""
    body, uses = instance(match)
    rule, host = match.rule, match.host
    kept = sources(rule.right)
    sizes = dict(match.sizes)
    taken = set(host.size_variables)
    for name in sorted(rule.free - sizes.keys()):
        sizes[name] = size(fresh_name(name, taken))
        taken.add(name)
    given = {name: use for name, use in match.sources.items() if name in kept}
    tubes: dict[str, tuple[tuple[Label, Size], ...]] = {}
    for name, old in rule.replaces.items():
        own: dict[Label, Size] = {}
        for wire, labels in (match.sources[other] for other in old):
            for label, length in zip(labels, host.types[wire].sizes, strict=True):
                if not isinstance(label, int):
                    own.setdefault(label, length)
        tubes[name] = tuple(own.items())
    tokens = dict(match.tokens)
    return Replacement(body, uses, (), 0, sizes, given, tubes, tokens, _prefix(match), {})


def _prefix(match: Match) -> str:
    """The path that all identities of a match have in common, for the names of new ones."""
    paths = {token.name.rpartition(".")[0] for token in match.tokens.values()}
    path = paths.pop() if len(paths) == 1 else ""
    return f"{path}." if path else ""


def instance(match: Match) -> tuple[Diagram, tuple[Use, ...]]:
    """The right side for a match: as many operands, and the functions, that the host has."""
    counts = tuple(len(uses) for uses in match.inputs)
    functions = tuple(sorted(match.functions.items(), key=lambda item: item[0]))
    body = _instance(match.rule, counts, functions)
    return body, tuple(use for uses in match.inputs for use in uses)


@lru_cache(maxsize=4096)
def _instance(rule: Rule, counts: tuple[int, ...], functions: tuple[Any, ...]) -> Diagram:
    right = rule.right
    if not rule.many and not functions:
        return right
    return _Instance(rule, counts, dict(functions)).build()


def _axis(row: Axes, label: Label) -> int:
    """The slot of an output that a local axis is; a right side has no other labels."""
    assert isinstance(label, int)
    return row.index(label)


class _Spread(NamedTuple):
    """What a wire of the rule is in an instance: one use, or the operands of a `many`."""

    uses: tuple[tuple[int, Axes], ...]


class _Instance:
    """Builds a right side with each `many` spelled out and each stand-in replaced."""

    def __init__(self, rule: Rule, counts: Sequence[int], functions: dict[str, Any]) -> None:
        self.right = rule.right
        self.functions = {
            id(stand_in): functions[name] for name, stand_in in rule.functions.items()
        }
        ports: list[tuple[str, ArrayType]] = []
        for port, count in zip(self.right.inputs, counts, strict=True):
            type_ = self.right.port_type(port)
            several = port.name in rule.many
            names = [f"{port.name}_{i}" for i in range(count)] if several else [port.name]
            ports += [(name, type_) for name in names]
        self.builder, wires = start(self.right.name, "", ports)
        self.builder.pattern = True
        self.seen: list[_Spread] = []
        at = 0
        for count in counts:
            group = wires[at : at + count]
            at += count
            self.seen.append(_Spread(tuple((w.id, tuple(range(len(w.names)))) for w in group)))

    def build(self) -> Diagram:
        right = self.right
        for node in right.nodes[len(right.inputs) :]:
            self._place(node)
        outputs = []
        for port in right.outputs:
            spread = self.seen[port.wire].uses
            if len(spread) != 1:
                raise StructureError(f"{right.name}: a `many` stands alone on the right side")
            wire, labels = spread[0]
            names = {slot: name for name, slot in zip(port.axes, port.slots, strict=True)}
            outputs.append((wire, tuple(names[x] for x in labels)))
        return finish_as(self.builder, right, outputs, ())

    def _place(self, node: Node) -> None:
        box = node.box
        uses: list[tuple[int, Axes]] = []
        for wire, row in zip(node.src, box.maps, strict=True):
            for here, labels in self.seen[wire].uses:
                uses.append((here, tuple(row[x] for x in labels)))
        if box.kind in (CONTRACT, ADD) and len(uses) == 1 and not box.bound:
            (only,) = uses
            labels = only[1]
            slots = tuple(box.outs[0].index(x) for x in labels)
            self.seen.append(_Spread(((only[0], slots),)))
            return
        attrs = box.attrs
        if box.kind is POINTWISE and id(box["function"]) in self.functions:
            attrs = self.functions[id(box["function"])]
        if not uses and node.src:
            raise StructureError(f"{self.right.name}: {box.kind.name} of no operands at this match")
        new: list[tuple[Label, Any]] = [(box.inner + k, size) for k, size in enumerate(box.new)]
        made = self.builder.add(box.kind, attrs, uses, box.bound, new)
        for out, row, named in zip(made.wires, box.outs, made.labels, strict=True):
            self.seen.append(_Spread(((out, tuple(_axis(row, x) for x in named)),)))
