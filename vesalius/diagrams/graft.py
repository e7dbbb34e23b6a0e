"""Grafting: copying a diagram into a builder, where equal computations meet.

Calls, `>>`, `@`, tubes, folding, unfolding, filling and rewriting are all of this kind. The
diagram's own slots are labelled by numbers, tubes by names, so a copy needs no renaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from vesalius.diagrams.box import Axes, Draw, Parameter, Token
from vesalius.diagrams.boxes.shape import EXPAND, LIKE
from vesalius.diagrams.canonical import Label, Use
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.diagrams.builder import Builder


class _Tube(NamedTuple):
    """The label of a tube of a box that is opened: its local axis there, and a name for it."""

    axis: int
    name: str


def _hints(own: Sequence[str], labels: Sequence[Label]) -> tuple[str, ...]:
    """Names for slots, all different: `own[k]` for label k, a tube's own name, which comes first.

    A name that is empty says nothing, and is replaced.
    """
    found = [""] * len(labels)
    taken: set[str] = set()
    for slot in sorted(range(len(labels)), key=lambda slot: isinstance(labels[slot], int)):
        x = labels[slot]
        name = own[x] if isinstance(x, int) else str(getattr(x, "name", x))
        found[slot] = fresh_name(name or "a", taken)
        taken.add(found[slot])
    return tuple(found)


def _increasing(src: tuple[int, ...]) -> bool:
    """Whether operands stand in canonical order without ties."""
    return all(a < b for a, b in pairwise(src))


class Opening(NamedTuple):
    """A diagram to put in the place of a node: what a named box or a learner opens to.

    `slots[p][k]` is the slot of input p that the k-th bound axis of port p is; `axes[j][k]`
    is the axis of output j of the interface that the k-th new axis of that output is.
    """

    body: Diagram
    slots: tuple[Axes, ...]
    axes: tuple[Axes, ...]
    prefix: str


Opens = Callable[[Diagram, Node], "Opening | None"]


Seen = tuple[int, "tuple[Label, ...] | None"]
GONE: Seen = (-1, None)


class Puts(Protocol):
    """What stands for a wire: it puts boxes where a graft is, and says what readers get."""

    def put(self, graft: Graft) -> Seen:
        """The wire there, with the slots of the old wire that its slots are (None: in order)."""


@dataclass(slots=True)
class Replacement:
    """What the readers of a wire get instead: an output of `body`.

    `uses[k]` is for input k of the body a wire of the diagram with, for each of its slots, the
    slot of the input that it is or the label of a tube. `labels` says for each slot of the
    replaced wire which axis of the output's interface it is, or the label of its tube. `given`
    does for sources of the body, by name, what `uses` does for its inputs, and `tubes` gives
    the others new axes. `tokens` are stand-ins for identities; those that it lacks are made
    fresh, called `prefix + name`, and noted there, so that several outputs share them. `made`
    notes what the wires of the body became.
    """

    body: Diagram
    uses: tuple[Use, ...]
    labels: tuple[Label, ...]
    output: int = 0
    sizes: Mapping[str, Size] = field(default_factory=dict)
    given: Mapping[str, Use] = field(default_factory=dict)
    tubes: Mapping[str, tuple[tuple[Label, Size], ...]] = field(default_factory=dict)
    tokens: dict[Token, Token] = field(default_factory=dict)
    prefix: str = ""
    made: dict[int, int] = field(default_factory=dict)

    def put(self, graft: Graft) -> Seen:
        """Copy what the output needs to where a graft is; read its slots as those of the wire."""
        given = {name: graft.here(use) for name, use in self.given.items()}
        inner = Graft(
            graft.builder, self.body, self.sizes, given, None, self.prefix, self.tubes, None
        )
        inner.tokens = self.tokens
        if len(self.body.outputs) > 1:
            inner.live = needed(self.body, self.output)
        inner.run(
            [
                graft.here(use) if inner.live is None or inner.live[k] else GONE_USE
                for k, use in enumerate(self.uses)
            ]
        )
        self.made.update(
            (wire, seen[0]) for wire, seen in enumerate(inner.seen) if seen is not GONE
        )
        port = self.body.outputs[self.output]
        wire, labelled = inner.seen[port.wire]
        place = {label: slot for slot, label in enumerate(self.labels)}
        axis = {slot: i for i, slot in enumerate(port.slots)}
        own: Sequence[Label] = range(len(port.slots)) if labelled is None else labelled
        slots = tuple(place[axis[x] if isinstance(x, int) else x] for x in own)
        return wire, None if slots == tuple(range(len(slots))) else slots


GONE_USE: Use = (-1, ())


def needed(body: Diagram, output: int) -> bytearray:
    """The nodes that an output needs, as a mask; found once for a body."""
    known: dict[int, bytearray] = body.__dict__.setdefault("_needed", {})
    if output not in known:
        found = known[output] = bytearray(len(body.nodes))
        found[body.owner[body.outputs[output].wire]] = 1
        for k in range(len(body.nodes) - 1, -1, -1):
            if found[k]:
                for wire in body.nodes[k].src:
                    found[body.owner[wire]] = 1
    return known[output]


def _substituted(body: Diagram, sizes: Mapping[str, Size]) -> Diagram:
    """A nested body with other sizes; the last one is kept, since one body may stand in many
    boxes, and each of its own bodies in many of its boxes."""
    own = tuple([(name, sizes[name]) for name in body.size_variables if name in sizes])
    if not own:
        return body
    known: tuple[Any, Diagram] | None = body.__dict__.get("_substituted")
    if known is None or known[0] != own:
        known = body.__dict__["_substituted"] = own, body.substitute(**dict(own))
    return known[1]


class Graft:
    """One run of `Builder.graft`; `seen[w]` is what wire w of the diagram became here."""

    def __init__(
        self,
        builder: Builder,
        diagram: Diagram,
        sizes: Mapping[str, Size],
        given: Mapping[str, Use],
        replace: Mapping[Token, Token] | None,
        prefix: str,
        tubes: Mapping[str, tuple[tuple[Label, Size], ...]],
        opens: Opens | None,
    ) -> None:
        self.builder = builder
        self.diagram = diagram
        self.sizes = sizes
        self.given = given
        self.tokens: dict[Token, Token] = dict(replace or {})
        self.prefix = prefix
        self.tubes = tubes
        self.opens = opens
        self.replacing: Mapping[int, Puts] = {}
        self.opened: dict[Token, dict[Token, Token]] = {}
        # The nodes to copy, as a mask; all when None.
        self.live: bytearray | None = None
        # None stands for "the slots are those of the old wire, in order".
        self.seen: list[Seen] = []

    def run(self, arguments: Sequence[Use]) -> None:
        diagram, seen, live, replacing = self.diagram, self.seen, self.live, self.replacing
        inputs = len(diagram.inputs)
        for k in range(inputs):
            wire, labels = arguments[k]
            seen.append((wire, None if labels == tuple(range(len(labels))) else labels))
        replaced = [(k, replacing[k].put(self)) for k in range(inputs) if k in replacing]
        for k, other in replaced:
            seen[k] = other
        rest: Iterator[tuple[int, Node]] = enumerate(islice(diagram.nodes, inputs, None), inputs)
        if not self.sizes and not self.builder.expanded:
            rest = self._run_plain(rest)
        for k, node in rest:
            if live is not None and not live[k]:
                seen.extend([GONE] * len(node.box.outs))
            else:
                uses = [seen[wire] for wire in node.src]
                opening = self.opens(diagram, node) if self.opens is not None else None
                if opening is not None:
                    self._open(node, uses, opening)
                else:
                    self._general(node, uses)
            if replacing:
                for wire in node.wires:
                    if wire in replacing:
                        seen[wire] = replacing[wire].put(self)

    def here(self, use: Use) -> Use:
        """A use of a wire of the diagram as a use of what it became."""
        wire, labels = use
        now, slots = self.seen[wire]
        order: Sequence[Label] = range(len(labels)) if slots is None else slots
        return now, tuple(labels[x] if isinstance(x, int) else x for x in order)

    def _run_plain(self, nodes: Iterator[tuple[int, Node]]) -> Iterator[tuple[int, Node]]:
        """The fast path: copy nodes about which nothing changes but the wires that they read.

        Their sizes are those of the diagram, so the types of its wires stand as they are.
        Yields the nodes for which this does not hold.
        """
        builder, diagram, seen, live = self.builder, self.diagram, self.seen, self.live
        table, symmetric, expanded = builder.table, builder.symmetries, builder.expanded
        types, hints, old_types, old_hints = (
            builder.types,
            builder.hints,
            diagram.types,
            diagram.hints,
        )
        opens, replacing = self.opens is not None, self.replacing.keys()
        for k, node in nodes:
            if live is not None and not live[k]:
                yield k, node
                continue
            box_ = node.box
            kind = box_.kind
            uses = [seen[wire] for wire in node.src]
            src = tuple([wire for wire, labels in uses if labels is None])
            if (
                not src
                or len(src) < len(uses)
                or kind.has_identity
                or kind is EXPAND
                or kind is LIKE
                or (symmetric and not symmetric.keys().isdisjoint(src))
                or (expanded and kind.broadcasts and not expanded.keys().isdisjoint(src))
                or (opens and kind.fields)
                or (replacing and not replacing.isdisjoint(node.wires))
                or (len(src) > 1 and kind.commutes(box_.attrs) and not _increasing(src))
            ):
                yield k, node
                continue
            key = (box_, src)
            found = table.get(key)
            if found is None:
                first, old = len(types), node.first
                found = table[key] = Node(box_, src, first)
                builder.nodes.append(found)
                for offset in range(len(box_.outs)):
                    types.append(old_types[old + offset])
                    hints.append(old_hints[old + offset])
            for offset in range(len(box_.outs)):
                seen.append((found.first + offset, None))

    def _general(self, node: Node, uses: Sequence[tuple[int, tuple[Label, ...] | None]]) -> None:
        box_ = node.box
        token = next((x for x in box_.attrs if isinstance(x, Token)), None)
        if token is not None and token.name in self.given and not node.src:
            wire, labels = self.given[token.name]
            self.seen.append((wire, labels))
            return
        attrs = tuple(
            self._attribute(codec, value)
            for (_, codec), value in zip(box_.kind.fields, box_.attrs, strict=True)
        )
        labelled: list[Use] = []
        for (wire, slots_), row in zip(uses, box_.maps, strict=True):
            if slots_ is None:
                labelled.append((wire, row))
            else:
                turned = tuple(row[x] if isinstance(x, int) else x for x in slots_)
                labelled.append((wire, turned))
        new: list[tuple[Label, Size]] = [
            (box_.inner + k, size.substitute(self.sizes)) for k, size in enumerate(box_.new)
        ]
        if token is not None and token.name in self.tubes and not node.src:
            new = [*self.tubes[token.name], *new]
        made = self.builder.add(box_.kind, attrs, labelled, box_.bound, new)
        for wire, row, labels in zip(made.wires, box_.outs, made.labels, strict=True):
            place = {axis: slot for slot, axis in enumerate(row)}
            slots = tuple(place[x] if isinstance(x, int) else x for x in labels)
            old = len(self.seen)
            if made.fresh:
                self.builder.hints[wire] = _hints(self.diagram.hints[old], slots)
            self.seen.append((wire, None if slots == tuple(range(len(slots))) else slots))

    def _open(
        self, node: Node, uses: Sequence[tuple[int, tuple[Label, ...] | None]], opening: Opening
    ) -> None:
        """Graft a diagram in the place of a node; its tubes are labelled by local axis.

        The node's type stands: where what it opens to does not depend on a tube, it is
        repeated along that tube.
        """
        bound = node.box.bound
        hints = self.diagram.hints
        tubes: dict[int, _Tube] = {}
        rows = [*zip(node.wires, node.box.outs, strict=True)]
        rows += zip(node.src, node.box.maps, strict=True)
        for named, row in rows:
            for axis, name in zip(row, hints[named], strict=True):
                tubes.setdefault(axis, _Tube(axis, name))
        arguments: list[Use] = []
        for (wire, labels), row, slots in zip(uses, node.box.maps, opening.slots, strict=True):
            own = [a for a in bound if a in row]
            turned = [row[x] if isinstance(x, int) else x for x in labels or range(len(row))]
            place = dict(zip(own, slots, strict=True))
            here = [place.get(a, tubes[a]) if isinstance(a, int) else a for a in turned]
            arguments.append((wire, tuple(here)))
        # One learner at several places is one function: what fills it is made once.
        token = next((x for x in node.box.attrs if isinstance(x, Token)), None)
        known = {} if token is None else self.opened.setdefault(token, {})
        inner = Graft(
            self.builder,
            opening.body,
            self.sizes,
            {},
            known,
            self.prefix + opening.prefix,
            {},
            None,  # what is opened is not looked into again
        )
        inner.run(arguments)
        known.update((t, made) for t, made in inner.tokens.items() if not isinstance(t, Draw))
        for port, row, axes in zip(opening.body.outputs, node.box.outs, opening.axes, strict=True):
            wire, labels = inner.seen[port.wire]
            new = row[len(row) - len(axes) :]
            slot_of = {port.slots[i]: row.index(a) for i, a in zip(axes, new, strict=True)}
            names: list[Label] = []
            for x in labels if labels is not None else range(len(port.slots)):
                if isinstance(x, int):
                    names.append(slot_of[x])
                elif isinstance(x, _Tube):
                    names.append(row.index(x.axis))
                else:
                    names.append(x)
            slots_ = tuple(names)
            old = self.diagram.types[len(self.seen)].sizes
            missing: list[tuple[Label, Size]] = [
                (slot, old[slot].substitute(self.sizes))
                for slot in range(len(row))
                if slot not in slots_
            ]
            if missing:
                made = self.builder.add(EXPAND, (), [(wire, slots_)], (), missing)
                wire, slots_ = made.wires.start, made.labels[0]
                if made.fresh:
                    self.builder.hints[wire] = _hints(hints[len(self.seen)], slots_)
            self.seen.append((wire, None if slots_ == tuple(range(len(names))) else slots_))

    def _attribute(self, codec: str, value: Any) -> Any:
        if codec == "size":
            return value.substitute(self.sizes)
        if codec == "value" and isinstance(value, Size):
            value = value.substitute(self.sizes)
            return value if value.constant is None else value.constant
        if codec == "diagram" and self.sizes:
            return _substituted(value, self.sizes)
        if codec == "token" and value is not None:
            stand_in = self.tokens.get(value)
            if stand_in is None:
                name = self.builder.free_name(self.prefix + value.name)
                stand_in = value.fresh(name, self.sizes)
                if isinstance(stand_in, Parameter) and value.name in self.tubes:
                    stand_in = _widened(stand_in, self.tubes[value.name])
                self.tokens[value] = stand_in
            return stand_in
        return value

    def output(self, port: Port) -> Use:
        """The use for an output of the grafted diagram, labelled with its axes' names."""
        wire, labels = self.seen[port.wire]
        names: dict[int, str] = {
            slot: name for name, slot in zip(port.axes, port.slots, strict=True)
        }
        slots: Sequence[Label] = range(len(port.axes)) if labels is None else labels
        return wire, tuple(names[x] if isinstance(x, int) else x for x in slots)


def _widened(token: Parameter, tubes: Sequence[tuple[Label, Size]]) -> Parameter:
    """The parameter with further axes in front, along which it starts likewise."""
    from vesalius.diagrams import starts

    if isinstance(token.init, str):
        return token
    init = starts.widened(token.init, tubes)
    return Parameter(token.name, init, token.scale, token.fan, token.trainable)
