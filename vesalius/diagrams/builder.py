"""The one mutable thing: a builder that shares every box it has seen before.

`Builder.add` takes uses of wires with *labels* for their slots (names, for people; anything
hashable, for machines), gives equal labels one local axis, puts the box into its canonical
form and looks it up. So equal computations become one node whatever their axes are called,
and the order of commutative operands does not matter.

Canonical form. Local axes are numbered by first occurrence. Operands of a commutative box
are sorted by wire; where one wire stands twice, or where a wire is symmetric (a Gram matrix
equals its transpose), the smallest spelling wins, and the symmetries of the result are
remembered on its wires (`vesalius.diagrams.canonical`). Expanding an expanded wire expands what
that repeats, and an expanded axis is dropped where another operand brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextvars import ContextVar
from contextvars import Token as Token_
from itertools import pairwise
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Kind, Site, Token, WireType, box
from vesalius.diagrams.boxes.shape import EXPAND, LIKE
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.canonical import Label as Label
from vesalius.diagrams.canonical import (
    Spelling,
    canonical,
    closure,
    output_turns,
    plain,
    tied,
)
from vesalius.diagrams.canonical import Use as Use
from vesalius.diagrams.errors import AxisError, SizeError, StructureError
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType, TypeLike
from vesalius.diagrams.wire import Wire

# The builder that verbs without operands (constants, parameters, positions) belong to.
CURRENT: ContextVar[Builder | None] = ContextVar("vesalius_builder", default=None)


class Made(NamedTuple):
    """What `add` returns: the wires of the node, and the labels of the slots of each."""

    wires: range
    labels: tuple[tuple[Label, ...], ...]
    fresh: bool


class Builder:
    """Builds one diagram. Wires that it returns can be used in this builder only.

    Entered with `with`, it is the one that constants and parameters belong to.

    >>> b = Builder("double")
    >>> x = b.input("x", "n c")
    >>> print(b.diagram(y=x + x).output_types["y"])
    {n, c} float
    """

    def __init__(self, name: str = "diagram", doc: str = "") -> None:
        self.name = name
        self.doc = doc
        self.nodes: list[Node] = []
        self.types: list[WireType] = []
        self.hints: list[tuple[str, ...]] = []
        self.inputs: list[Port] = []
        self.token_names: dict[str, None] = {}
        # In a rule: `like` stays a box, since tubes are not known yet, and the wires `several`
        # stand for any number of operands.
        self.pattern = False
        self.several: set[int] = set()
        self._table: dict[tuple[Box, tuple[int, ...]], Node] = {}
        self._symmetries: dict[int, tuple[Axes, ...]] = {}
        self._expanded: dict[int, tuple[int, Axes]] = {}
        self._entered: list[Token_[Builder | None]] = []

    def __enter__(self) -> Builder:
        self._entered.append(CURRENT.set(self))
        return self

    def __exit__(self, *exception: object) -> None:
        CURRENT.reset(self._entered.pop())

    # -- what a user calls ------------------------------------------------------------------

    def input(self, name: str, type: TypeLike) -> Wire:
        """A new input of the diagram; inputs come before all boxes.

        Raises `StructureError` when a box exists already or the name is taken.
        """
        if len(self.nodes) > len(self.inputs):
            raise StructureError(f"the input {name!r} comes after the first box; declare it before")
        if any(port.name == name for port in self.inputs):
            raise StructureError(f"two inputs are called {name!r}")
        named = ArrayType.parse(type)
        axes = tuple(named)
        made = self.add(
            INPUT,
            (len(self.inputs), named.dtype),
            (),
            new=tuple(zip(axes, named.axes.values(), strict=True)),
        )
        wire = made.wires.start
        self.inputs.append(Port(name, wire, axes, tuple(range(len(axes)))))
        return Wire(self, wire, axes)

    def diagram(self, *results: Wire, **outputs: Wire) -> Diagram:
        """The diagram with these outputs; their axes are read in the order of the wires.

        A single positional result is called `out`; several are called `out0`, `out1`, …
        """
        if results:
            names = ["out"] if len(results) == 1 else [f"out{i}" for i in range(len(results))]
            outputs = {**dict(zip(names, results, strict=True)), **outputs}
        ports = []
        for name, wire in outputs.items():
            if not isinstance(wire, Wire) or wire.builder is not self:
                raise StructureError(f"the output {name!r} is not a wire of this diagram")
            ports.append(Port(name, wire.id, wire.names, tuple(range(len(wire.names)))))
        return self.finish(ports)

    # -- the core ---------------------------------------------------------------------------

    def add(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label] = (),
        new: Sequence[tuple[Label, Size]] = (),
    ) -> Made:
        """Add a box, or find it. Labels of bound axes must not be labels of tubes elsewhere.

        Raises `SizeError` when two axes with one label differ in size.
        """
        if kind is LIKE and not self.pattern:
            return self._add_like(uses)
        if kind is EXPAND:
            uses, new = self._flat_expand(uses[0], new)
        elif kind.broadcasts and self._expanded and len(uses) > 1:
            uses = self._without_redundant_expands(uses)
        commutes = len(uses) > 1 and kind.commutes(attrs)
        if commutes:
            uses = sorted(uses, key=lambda use: use[0])
        turns, is_set = self._symmetries, kind.bound_is_set
        try:
            if (commutes and tied(uses)) or (turns and any(use[0] in turns for use in uses)):
                spelling = canonical(uses, commutes, turns, bound, is_set)
            else:
                spelling = plain(uses, bound, is_set)
        except KeyError as error:
            raise AxisError(f"{kind.name} binds {error.args[0]!r}, no input has it") from None
        sizes = tuple([size for _, size in new])
        made = box(kind, attrs, spelling.maps, spelling.bound, sizes)
        node, fresh = self._node(made, tuple([wire for wire, _ in spelling.uses]))
        names = [*spelling.names, *[label for label, _ in new]]
        labels = tuple([tuple([names[a] for a in slots]) for slots in made.outs])
        if fresh:
            self._name(node, labels)
            if spelling.symmetries or kind is EXPAND:
                self._remember(node, spelling)
        return Made(node.wires, labels, fresh)

    def _add_like(self, uses: Sequence[Use]) -> Made:
        """`like` once axes are known: the first operand, expanded to the axes of the second."""
        (wire, labels), (model, axes) = uses
        sizes = zip(axes, self.types[model].sizes, strict=True)
        missing = [(label, size) for label, size in sizes if label not in labels]
        if not missing:
            return Made(range(wire, wire + 1), (labels,), False)
        return self.add(EXPAND, (), [(wire, labels)], (), missing)

    def unary(self, made: Box, wire: int, names: tuple[str, ...]) -> Wire:
        """Add a box of one input whose output has the type of that input: the fast path."""
        src = (wire,)
        key = (made, src)
        node = self._table.get(key)
        if node is None:
            node = self._table[key] = Node(made, src, len(self.types))
            self.types.append(self.types[wire])
            self.hints.append(names)
            self.nodes.append(node)
        return Wire(self, node.first, names)

    def _node(self, made: Box, src: tuple[int, ...]) -> tuple[Node, bool]:
        key = (made, src)
        found = self._table.get(key)
        if found is not None:
            return found, False
        sizes: list[Any] = [None] * made.inner
        sizes.extend(made.new)
        types = self.types
        for wire, row in zip(src, made.maps, strict=True):
            for size, axis in zip(types[wire].sizes, row, strict=True):
                known = sizes[axis]
                if known is None:
                    sizes[axis] = size
                elif known is not size and known != size:
                    raise SizeMismatch(made, axis, known, size)
        site = Site(made, sizes, tuple(types[wire].dtype for wire in src))
        made.kind.check(site)
        dtypes = made.kind.dtypes(made, site.dtypes)
        node = Node(made, src, len(types))
        for slots, dtype in zip(made.outs, dtypes, strict=True):
            types.append(WireType(tuple([sizes[a] for a in slots]), dtype))
            self.hints.append(())
        self.nodes.append(node)
        self._table[key] = node
        return node, True

    # -- canonical forms ----------------------------------------------------------------------

    def _remember(self, node: Node, spelling: Spelling) -> None:
        """Note which slots of each output may be exchanged, and what an expanded wire repeats."""
        box_ = node.box
        names = [*spelling.names, *[_New(a) for a in range(box_.inner, box_.rank)]]
        symmetries = list(spelling.symmetries)
        if box_.kind is EXPAND:
            self._expanded[node.first] = (node.src[0], box_.maps[0])
            for k, (one, other) in enumerate(pairwise(box_.new), box_.inner):
                if one == other:
                    symmetries.append({_New(k): _New(k + 1), _New(k + 1): _New(k)})
        for wire, slots in zip(node.wires, box_.outs, strict=True):
            turns = closure(output_turns([names[a] for a in slots], symmetries))
            if turns:
                self._symmetries[wire] = turns

    def _flat_expand(
        self, use: Use, new: Sequence[tuple[Label, Size]]
    ) -> tuple[Sequence[Use], Sequence[tuple[Label, Size]]]:
        """Expand what an expanded wire repeats, along all axes at once, in one order."""
        root = self._root(use)
        if root is not use:
            named = zip(use[1], self.types[use[0]].sizes, strict=True)
            new = [*[item for item in named if item[0] not in root[1]], *new]
        return (root,), sorted(new, key=lambda item: str(item[1]))

    def _root(self, use: Use) -> Use:
        """The use of what an expanded wire repeats; the use itself for other wires."""
        wire, labels = use
        if wire not in self._expanded:
            return use
        source, kept = self._expanded[wire]
        return source, tuple([labels[slot] for slot in kept])

    def _without_redundant_expands(self, uses: Sequence[Use]) -> list[Use]:
        """Drop an expanded axis from an operand when another operand brings that axis.

        An axis that all operands only repeat stays on all of them, so that their order does
        not matter. An axis of another size stays, to be refused.
        """
        roots = [self._root(use) for use in uses]
        brought: dict[Label, Size] = {}
        for wire, labels in roots:
            brought.update(zip(labels, self.types[wire].sizes, strict=True))
        slim: list[Use] = []
        for use, root in zip(uses, roots, strict=True):
            named = zip(use[1], self.types[use[0]].sizes, strict=True)
            repeated = [item for item in named if item[0] not in root[1]]
            left = [(label, size) for label, size in repeated if brought.get(label) != size]
            if len(left) == len(repeated):
                slim.append(use)
            elif not left:
                slim.append(root)
            else:
                made = self.add(EXPAND, (), [root], (), left)
                slim.append((made.wires.start, made.labels[0]))
        return slim

    # -- all or nothing -----------------------------------------------------------------------

    def mark(self) -> tuple[int, int, int]:
        """The state of this builder, to go back to with `undo`."""
        return len(self.nodes), len(self.types), len(self.token_names)

    def undo(self, mark: tuple[int, int, int]) -> None:
        """Forget all boxes and names of identities made since the mark."""
        nodes, types, names = mark
        while len(self.token_names) > names:
            self.token_names.popitem()
        for node in self.nodes[nodes:]:
            del self._table[(node.box, node.src)]
        for wire in range(types, len(self.types)):
            self._symmetries.pop(wire, None)
            self._expanded.pop(wire, None)
        del self.nodes[nodes:], self.types[types:], self.hints[types:]

    # -- names and identities -----------------------------------------------------------------

    def _name(self, node: Node, labels: tuple[tuple[Label, ...], ...]) -> None:
        for wire, row in zip(node.wires, labels, strict=True):
            self.hints[wire] = tuple(x if isinstance(x, str) else "" for x in row)

    def free_name(self, name: str) -> str:
        """`name`, or `name_1`, `name_2`, … when it is taken by another identity."""
        name = fresh_name(name, self.token_names)
        self.token_names[name] = None
        return name

    # -- finishing ------------------------------------------------------------------------------

    def finish(self, outputs: Sequence[Port]) -> Diagram:
        """The diagram with these outputs, without the boxes that none of them needs."""
        names = [port.name for port in outputs]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise StructureError(f"two outputs are called {twice!r}")
        nodes, types, hints = self.nodes, self.types, self.hints
        owner = [k for k, node in enumerate(nodes) for _ in node.box.outs]
        needed = bytearray(len(nodes))
        for port in outputs:
            needed[owner[port.wire]] = 1
        for k in range(len(nodes) - 1, -1, -1):
            if needed[k]:
                for wire in nodes[k].src:
                    needed[owner[wire]] = 1
        for k in range(len(self.inputs)):
            needed[k] = 1
        if all(needed):
            return Diagram(
                self.name,
                nodes[:],
                types[:],
                hints[:],
                tuple(self.inputs),
                tuple(outputs),
                self.doc,
                dict(self._symmetries),
                dict(self._expanded),
            )
        moved: dict[int, int] = {}
        kept: list[Node] = []
        for k, node in enumerate(nodes):
            if needed[k]:
                first = len(moved)
                for wire in node.wires:
                    moved[wire] = len(moved)
                kept.append(Node(node.box, tuple([moved[wire] for wire in node.src]), first))
        return Diagram(
            self.name,
            kept,
            [types[wire] for wire in moved],
            [hints[wire] for wire in moved],
            tuple(port._replace(wire=moved[port.wire]) for port in self.inputs),
            tuple(port._replace(wire=moved[port.wire]) for port in outputs),
            self.doc,
            {moved[w]: turns for w, turns in self._symmetries.items() if w in moved},
            {moved[w]: (moved[s], at) for w, (s, at) in self._expanded.items() if w in moved},
        )

    @classmethod
    def resume(cls, diagram: Diagram) -> Builder:
        """A builder that holds all of `diagram` already, its identities included."""
        builder = cls(diagram.name, diagram.doc)
        builder.nodes = diagram.nodes[:]
        builder.types = diagram.types[:]
        builder.hints = diagram.hints[:]
        builder.inputs = list(diagram.inputs)
        builder.token_names = dict.fromkeys(token.name for token, _ in diagram.tokens)
        builder._table = {(node.box, node.src): node for node in diagram.nodes}
        builder._symmetries = dict(diagram.symmetries)
        builder._expanded = dict(diagram.expanded)
        return builder

    # -- grafting: a diagram inside this builder ------------------------------------------------

    def graft(
        self,
        diagram: Diagram,
        arguments: Sequence[Use],
        *,
        sizes: Mapping[str, Size] | None = None,
        given: Mapping[str, Use] | None = None,
        replace: Mapping[Token, Token] | None = None,
        prefix: str = "",
        tubes: Mapping[str, tuple[tuple[str, Size], ...]] | None = None,
        opens: Opens | None = None,
        replacing: Mapping[int, Replacement] | None = None,
    ) -> list[Use]:
        """Copy the boxes of `diagram` here and return a use for each of its outputs.

        `arguments[i]` is the wire for input i with, for each slot of that wire, the slot of
        the input that it is (an int) or the label of a tube (a string). `given` does the same
        for parameters and random sources by name. Every identity is made fresh, called
        `prefix + name`, unless `replace` names its stand-in. `tubes` gives sources new axes.
        `opens` is asked of each node for a diagram to put in its place; `replacing` names
        wires whose readers get the output of another diagram instead.
        """
        graft = _Graft(self, diagram, sizes or {}, given or {}, replace, prefix, tubes or {}, opens)
        graft.replacing = replacing or {}
        graft.run(arguments)
        return [graft.output(port) for port in diagram.outputs]


class _New(NamedTuple):
    """Stands for a new axis of a box among the labels of its other axes."""

    axis: int


class _Tube(NamedTuple):
    """The label of a tube of a box that is opened: its local axis there, and a name for it."""

    axis: int
    name: str


class SizeMismatch(SizeError):
    """Two uses give one axis two sizes; caught where the axis has a name."""

    def __init__(self, box: Box, axis: int, one: Size, other: Size) -> None:
        self.axis, self.one, self.other = axis, one, other
        super().__init__(f"{box.kind.name} gets an axis of size {one} and of size {other}")


def fresh_name(name: str, taken: Container[str]) -> str:
    """`name` when it is free, else its stem with the smallest number that is."""
    if name not in taken:
        return name
    head, _, tail = name.rpartition("_")
    stem = head if head and tail.isdigit() else name
    k = 1
    while f"{stem}_{k}" in taken:
        k += 1
    return f"{stem}_{k}"


def _hints(own: Sequence[str], labels: Sequence[Label]) -> tuple[str, ...]:
    """Names for slots: `own[k]` for label k; a tube's own name, which wins where both agree."""
    names = [getattr(x, "name", x) for x in labels]
    taken = {x for x in names if isinstance(x, str)}
    for k, x in enumerate(names):
        if isinstance(x, int):
            names[k] = fresh_name(own[x], taken)
            taken.add(names[k])
    return tuple([str(name) for name in names])


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


class Replacement(NamedTuple):
    """What the readers of a wire get instead: an output of `body`.

    `uses[k]` is for input k of the body a wire of the diagram with, for each of its slots, the
    slot of the input that it is or the label of a tube. `labels` says for each slot of the
    replaced wire which axis of the output's interface it is, or the label of its tube.
    """

    body: Diagram
    uses: tuple[Use, ...]
    labels: tuple[Label, ...]
    output: int
    sizes: Mapping[str, Size]


class _Graft:
    """One run of `Builder.graft`; `seen[w]` is what wire w of the diagram became here."""

    def __init__(
        self,
        builder: Builder,
        diagram: Diagram,
        sizes: Mapping[str, Size],
        given: Mapping[str, Use],
        replace: Mapping[Token, Token] | None,
        prefix: str,
        tubes: Mapping[str, tuple[tuple[str, Size], ...]],
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
        self.replacing: Mapping[int, Replacement] = {}
        # None stands for "the slots are those of the old wire, in order".
        self.seen: list[tuple[int, tuple[Label, ...] | None]] = []

    def run(self, arguments: Sequence[Use]) -> None:
        diagram, seen = self.diagram, self.seen
        inputs = len(diagram.inputs)
        for k in range(inputs):
            wire, labels = arguments[k]
            seen.append((wire, None if labels == tuple(range(len(labels))) else labels))
        if self.sizes or self.builder._expanded:
            rest = iter(diagram.nodes[inputs:])
        else:
            rest = self._run_plain(iter(diagram.nodes[inputs:]))
        for node in rest:
            uses = [seen[wire] for wire in node.src]
            opening = self.opens(diagram, node) if self.opens is not None else None
            if opening is not None:
                self._open(node, uses, opening)
            else:
                self._general(node, uses)
            for wire in node.wires:
                if wire in self.replacing:
                    seen[wire] = self._replaced(self.replacing[wire])

    def _replaced(self, other: Replacement) -> tuple[int, tuple[Label, ...] | None]:
        """Graft what stands for a wire, and read its slots as those of that wire."""
        arguments: list[Use] = []
        for wire, labels in other.uses:
            here, slots = self.seen[wire]
            order = range(len(labels)) if slots is None else slots
            arguments.append((here, tuple(labels[x] if isinstance(x, int) else x for x in order)))
        inner = _Graft(self.builder, other.body, other.sizes, {}, None, self.prefix, {}, None)
        inner.tokens = self.tokens  # identities that several outputs share are made once
        inner.run(arguments)
        port = other.body.outputs[other.output]
        wire, labels = inner.seen[port.wire]
        place = {label: slot for slot, label in enumerate(other.labels)}
        axis = {slot: i for i, slot in enumerate(port.slots)}
        order = range(len(port.slots)) if labels is None else labels
        slots = tuple(place[axis[x] if isinstance(x, int) else x] for x in order)
        return wire, None if slots == tuple(range(len(slots))) else slots

    def _run_plain(self, nodes: Iterator[Node]) -> Iterator[Node]:
        """The fast path: copy nodes about which nothing changes but the wires that they read.

        Their sizes are those of the diagram, so the types of its wires stand as they are.
        Yields the nodes for which this does not hold.
        """
        builder, diagram, seen = self.builder, self.diagram, self.seen
        table, symmetric = builder._table, builder._symmetries
        types, hints, old_types, old_hints = (
            builder.types,
            builder.hints,
            diagram.types,
            diagram.hints,
        )
        opens, replacing = self.opens is not None, self.replacing.keys()
        for node in nodes:
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
                or (opens and kind.fields)
                or (replacing and not replacing.isdisjoint(node.wires))
                or (len(src) > 1 and kind.commutes(box_.attrs) and not _increasing(src))
            ):
                yield node
                continue
            key = (box_, src)
            found = table.get(key)
            if found is None:
                first, old = len(types), len(seen)
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
        for source, row in zip(node.src, node.box.maps, strict=True):
            for axis, name in zip(row, hints[source], strict=True):
                tubes.setdefault(axis, _Tube(axis, name))
        arguments: list[Use] = []
        for (wire, labels), row, slots in zip(uses, node.box.maps, opening.slots, strict=True):
            own = [a for a in bound if a in row]
            turned = [row[x] if isinstance(x, int) else x for x in labels or range(len(row))]
            place = dict(zip(own, slots, strict=True))
            here = [place.get(a, tubes[a]) if isinstance(a, int) else a for a in turned]
            arguments.append((wire, tuple(here)))
        inner = _Graft(
            self.builder,
            opening.body,
            self.sizes,
            {},
            None,
            self.prefix + opening.prefix,
            {},
            None,  # what is opened is not looked into again
        )
        inner.run(arguments)
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
            return value.substitute(**self.sizes)
        if codec == "token" and value is not None:
            stand_in = self.tokens.get(value)
            if stand_in is None:
                name = self.builder.free_name(self.prefix + value.name)
                stand_in = self.tokens[value] = value.fresh(name, self.sizes)
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
