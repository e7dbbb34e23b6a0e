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

from collections.abc import Callable, Mapping, Sequence
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
from vesalius.diagrams.errors import AxisError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graft import Graft, Opens, Puts
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
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
        # In a rule: `like` stays a box, since tubes are not known yet; the wires `several` stand
        # for any number of operands; and a name is one of the `identities`, wherever it stands.
        self.pattern = False
        self.several: set[int] = set()
        self.identities: dict[str, tuple[Token, Any]] = {}
        self.table: dict[tuple[Box, tuple[int, ...]], Node] = {}
        self.symmetries: dict[int, tuple[Axes, ...]] = {}
        self.expanded: dict[int, tuple[int, Axes]] = {}
        self.moved: dict[int, int] | None = None  # by `finish`: its wires, where they move
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
            for name in names:
                if name in outputs:
                    raise StructureError(f"two outputs are called {name!r}")
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
        elif kind.broadcasts and self.expanded and len(uses) > 1:
            uses = self._without_redundant_expands(uses)
        commutes = len(uses) > 1 and kind.commutes(attrs)
        if commutes:
            uses = sorted(uses, key=lambda use: use[0])
        turns, is_set = self.symmetries, kind.bound_is_set
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
        node = self.table.get(key)
        if node is None:
            node = self.table[key] = Node(made, src, len(self.types))
            self.types.append(self.types[wire])
            self.hints.append(names)
            self.nodes.append(node)
        return Wire(self, node.first, names)

    def _node(self, made: Box, src: tuple[int, ...]) -> tuple[Node, bool]:
        key = (made, src)
        found = self.table.get(key)
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
        self.table[key] = node
        return node, True

    # -- canonical forms ----------------------------------------------------------------------

    def _remember(self, node: Node, spelling: Spelling) -> None:
        """Note which slots of each output may be exchanged, and what an expanded wire repeats."""
        box_ = node.box
        names = [*spelling.names, *[_New(a) for a in range(box_.inner, box_.rank)]]
        symmetries = list(spelling.symmetries)
        if box_.kind is EXPAND:
            self.expanded[node.first] = (node.src[0], box_.maps[0])
            for k, (one, other) in enumerate(pairwise(box_.new), box_.inner):
                if one == other:
                    symmetries.append({_New(k): _New(k + 1), _New(k + 1): _New(k)})
        for wire, slots in zip(node.wires, box_.outs, strict=True):
            turns = closure(output_turns([names[a] for a in slots], symmetries))
            if turns:
                self.symmetries[wire] = turns

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
        if wire not in self.expanded:
            return use
        source, kept = self.expanded[wire]
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
                if made.fresh:
                    names = dict(zip(use[1], self.hints[use[0]], strict=True))
                    self.hints[made.wires.start] = tuple([names[x] for x in made.labels[0]])
        return slim

    # -- all or nothing -----------------------------------------------------------------------

    def mark(self) -> tuple[int, int, int]:
        """The state of this builder, to go back to with `undo`."""
        return len(self.nodes), len(self.types), len(self.token_names)

    def undo(self, mark: tuple[int, int, int]) -> None:
        """Forget all boxes and names of identities made since the mark."""
        nodes, types, names = mark
        while len(self.token_names) > names:
            self.identities.pop(self.token_names.popitem()[0], None)
        for node in self.nodes[nodes:]:
            del self.table[(node.box, node.src)]
        for wire in range(types, len(self.types)):
            self.symmetries.pop(wire, None)
            self.expanded.pop(wire, None)
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

    def identity(self, name: str, make: Callable[[str], Token], shape: Any) -> Token:
        """A fresh identity, called `name` or like it.

        In a rule a name is one identity: on both sides it is kept, twice on one side it is
        shared. `shape` is what all its occurrences must have in common.
        """
        if not self.pattern:
            return make(self.free_name(name))
        if name not in self.identities:
            self.identities[name] = make(self.free_name(name)), shape
        token, first = self.identities[name]
        if shape != first:
            raise TypeClash(
                f"{self.name}: {name!r} stands for two things, or has its axes in two orders; in "
                f"a rule a name is one parameter or learner, call the new one otherwise"
            )
        return token

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
        self.moved = None
        if all(needed):
            return Diagram(
                self.name,
                nodes[:],
                types[:],
                hints[:],
                tuple(self.inputs),
                tuple(outputs),
                self.doc,
                dict(self.symmetries),
                dict(self.expanded),
            )
        moved = self.moved = {}
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
            {moved[w]: turns for w, turns in self.symmetries.items() if w in moved},
            {moved[w]: (moved[s], at) for w, (s, at) in self.expanded.items() if w in moved},
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
        builder.table = {(node.box, node.src): node for node in diagram.nodes}
        builder.symmetries = dict(diagram.symmetries)
        builder.expanded = dict(diagram.expanded)
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
        tubes: Mapping[str, tuple[tuple[Label, Size], ...]] | None = None,
        opens: Opens | None = None,
        replacing: Mapping[int, Puts] | None = None,
    ) -> list[Use]:
        """Copy the boxes of `diagram` here and return a use for each of its outputs.

        `arguments[i]` is the wire for input i with, for each slot of that wire, the slot of
        the input that it is (an int) or the label of a tube (a string). `given` does the same
        for parameters and random sources by name. Every identity is made fresh, called
        `prefix + name`, unless `replace` names its stand-in. `tubes` gives sources new axes.
        `opens` is asked of each node for a diagram to put in its place; `replacing` names
        wires whose readers get the output of another diagram instead.
        """
        graft = Graft(self, diagram, sizes or {}, given or {}, replace, prefix, tubes or {}, opens)
        graft.replacing = replacing or {}
        graft.run(arguments)
        return [graft.output(port) for port in diagram.outputs]


class _New(NamedTuple):
    """Stands for a new axis of a box among the labels of its other axes."""

    axis: int


class SizeMismatch(SizeError):
    """Two uses give one axis two sizes; caught where the axis has a name."""

    def __init__(self, box: Box, axis: int, one: Size, other: Size) -> None:
        self.axis, self.one, self.other = axis, one, other
        super().__init__(f"{box.kind.name} gets an axis of size {one} and of size {other}")
