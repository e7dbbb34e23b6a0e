"""The diagram: an immutable open hypergraph of boxes and typed wires.

Nodes stand in topological order. A wire is an integer; node k owns the wires
`first, first + 1, ...`, one for each of its outputs. A *use* of a wire is a wire and an
injective map from its slots to the local axes of the box (`Box.maps`): there are no
renamings, no transpositions, no copies and no deletions to store. Inputs are the first nodes.

A diagram is maximally shared: two nodes never compute the same thing, and every node but the
inputs is needed by an output. Names of axes are hints for people, kept beside the wires.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Draw, Hole, Kind, Parameter, Site, Token, WireType
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType

if TYPE_CHECKING:
    from vesalius.diagrams.cost import Cost
    from vesalius.diagrams.drawing.picture import Picture

SOURCES = ("input", "parameter", "random", "constant", "iota")


class Node:
    """A box applied to wires: `src[p]` is the wire at input port p."""

    __slots__ = ("box", "first", "src")

    def __init__(self, box: Box, src: tuple[int, ...], first: int) -> None:
        self.box = box
        self.src = src
        self.first = first

    @property
    def wires(self) -> range:
        """The wires that this node owns, one for each output."""
        return range(self.first, self.first + len(self.box.outs))

    def __repr__(self) -> str:
        return f"Node({self.box!r}, {self.src}, {self.first})"


class Port(NamedTuple):
    """A place on the interface: a name, a wire, and the order in which its axes are read.

    `slots[i]` is the slot of the wire that the i-th axis of the interface names.
    """

    name: str
    wire: int
    axes: tuple[str, ...]
    slots: tuple[int, ...]


class Diagram:
    """An immutable diagram. Make one with `vs.diagram`, `vs.Builder`, `>>`, `@` or JSON.

    `nodes` are in topological order, `types[w]` is the type of wire w without names,
    `hints[w]` names its slots for people. Two diagrams are equal when they are the same up to
    wires, bound axes, order of commutative operands, and the names of parameters.
    """

    def __init__(
        self,
        name: str,
        nodes: list[Node],
        types: list[WireType],
        hints: list[tuple[str, ...]],
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        doc: str = "",
        symmetries: dict[int, tuple[Axes, ...]] | None = None,
        expanded: dict[int, tuple[int, Axes]] | None = None,
    ) -> None:
        self.name = name
        self.nodes = nodes
        self.types = types
        self.hints = hints
        self.inputs = inputs
        self.outputs = outputs
        self.doc = doc
        # What the builder knew: which wires are symmetric, and which only repeat another.
        self.symmetries = symmetries or {}
        self.expanded = expanded or {}
        self._hash: int | None = None

    # -- the interface ----------------------------------------------------------------------

    def port_type(self, port: Port) -> ArrayType:
        """The named type of an input or output."""
        sizes, dtype = self.types[port.wire]
        named = zip(port.axes, port.slots, strict=True)
        return ArrayType({name: sizes[slot] for name, slot in named}, dtype)

    @property
    def input_types(self) -> dict[str, ArrayType]:
        """The inputs by name, in order."""
        return {port.name: self.port_type(port) for port in self.inputs}

    @property
    def output_types(self) -> dict[str, ArrayType]:
        """The outputs by name, in order."""
        return {port.name: self.port_type(port) for port in self.outputs}

    def wire_type(self, wire: int) -> ArrayType:
        """The type of a wire with the names that a person would use for its axes."""
        sizes, dtype = self.types[wire]
        return ArrayType(dict(zip(self.hints[wire], sizes, strict=True)), dtype)

    # -- the boxes --------------------------------------------------------------------------

    @property
    def boxes(self) -> list[Node]:
        """The nodes that are boxes: all but the inputs."""
        return self.nodes[len(self.inputs) :]

    def __len__(self) -> int:
        return len(self.nodes) - len(self.inputs)

    @cached_property
    def owner(self) -> list[int]:
        """For each wire, the index of the node that owns it."""
        return [k for k, node in enumerate(self.nodes) for _ in node.box.outs]

    @cached_property
    def consumers(self) -> list[list[tuple[int, int]]]:
        """For each wire, the (node, port) pairs that read it, in order."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.types]
        for k, node in enumerate(self.nodes):
            for p, wire in enumerate(node.src):
                found[wire].append((k, p))
        return found

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of the boxes, those inside boxes not included."""
        return frozenset(node.box.kind for node in self.nodes)

    def site(self, node: Node) -> Site:
        """The box of a node with its local sizes and the element types of its inputs."""
        box = node.box
        sizes: list[Any] = [None] * box.inner + list(box.new)
        for wire, row in zip(node.src, box.maps, strict=True):
            for size, axis in zip(self.types[wire].sizes, row, strict=True):
                sizes[axis] = size
        return Site(box, sizes, tuple(self.types[wire].dtype for wire in node.src))

    @cached_property
    def tokens(self) -> list[tuple[Token, Node]]:
        """The identities of this diagram (parameters, random sources, learners), in order."""
        return [
            (value, node)
            for node in self.nodes
            if node.box.kind.has_identity
            for value in node.box.attrs
            if isinstance(value, Token)
        ]

    def _named(self, kind: type) -> dict[str, Node]:
        return {token.name: node for token, node in self.tokens if isinstance(token, kind)}

    @cached_property
    def parameters(self) -> dict[str, ArrayType]:
        """The parameters by name, with their types."""
        return {name: self.wire_type(n.first) for name, n in self._named(Parameter).items()}

    @cached_property
    def learners(self) -> dict[str, Node]:
        """The learners that are still holes, by name; those inside boxes by their paths."""
        found: dict[str, Node] = {}
        for token, node in self.tokens:
            if isinstance(token, Hole):
                held = [v.learners for v in node.box.attrs if isinstance(v, Diagram)]
                paths = [f".{name}" for names in held for name in names] or [""]
                found.update({token.name + path: node for path in paths})
        return found

    @cached_property
    def randoms(self) -> dict[str, ArrayType]:
        """The random sources by name, with their types."""
        return {name: self.wire_type(n.first) for name, n in self._named(Draw).items()}

    @cached_property
    def size_variables(self) -> tuple[str, ...]:
        """All size variables: as they first occur on the wires, then those inside boxes only."""
        seen: dict[str, None] = {}
        for wire_type in {id(t): t for t in self.types}.values():
            for size in wire_type.sizes:
                seen.update(dict.fromkeys(sorted(size.variables)))
        for box in {id(node.box): node.box for node in self.nodes}.values():
            for value in box.attrs:
                if isinstance(value, Size):
                    seen.update(dict.fromkeys(sorted(value.variables)))
                elif isinstance(value, Diagram):
                    seen.update(dict.fromkeys(value.size_variables))
        return tuple(seen)

    @cached_property
    def nesting(self) -> int:
        """How deeply bodies of named boxes and scans hold bodies: 0 where there are none."""
        boxes = {id(node.box): node.box for node in self.nodes}.values()
        bodies = [value for box in boxes for value in box.attrs if isinstance(value, Diagram)]
        return max((1 + body.nesting for body in bodies), default=0)

    # -- equality ---------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Diagram):
            return NotImplemented
        from vesalius.diagrams.equality import equal

        return equal(self, other)

    def __hash__(self) -> int:
        if self._hash is None:
            from vesalius.diagrams.equality import invariant

            self._hash = invariant(self)
        return self._hash

    # -- verbs; each stands in a module of its own ------------------------------------------

    def __call__(
        self, *args: Any, parameters: Mapping[str, Any] | None = None, **named: Any
    ) -> Any:
        """Use this diagram inside another one; see `vesalius.diagrams.call.call`."""
        from vesalius.diagrams.call import call

        return call(self, args, named, parameters or {})

    def boxed(self, *args: Any, parameters: Mapping[str, Any] | None = None, **named: Any) -> Any:
        """Use this diagram inside another one as one named box, which unfolds again."""
        from vesalius.diagrams.call import call

        return call(self, args, named, parameters or {}, boxed=True)

    def __rshift__(self, other: Diagram) -> Diagram:
        from vesalius.diagrams.compose import sequential

        return sequential(self, other)

    def __matmul__(self, other: Diagram) -> Diagram:
        from vesalius.diagrams.compose import parallel

        return parallel(self, other)

    def over(
        self,
        axes: Any,
        *,
        inputs: Any = True,
        parameters: Any = False,
        random: Any = True,
    ) -> Diagram:
        """This diagram in a tube; see `vesalius.diagrams.interface.over`."""
        from vesalius.diagrams.interface import over

        return over(self, axes, inputs=inputs, parameters=parameters, random=random)

    def rename(self, **names: str) -> Diagram:
        """This diagram with other names for the axes of its interface, all at once."""
        from vesalius.diagrams.interface import rename

        return rename(self, names)

    def substitute(self, **sizes: Any) -> Diagram:
        """This diagram with size variables replaced by sizes: `d.substitute(m="n", c=64)`.

        Raises `SizeError` for a size variable that it does not have.
        """
        from vesalius.diagrams.interface import substitute
        from vesalius.diagrams.names import check_sizes

        check_sizes(self.name, sizes, self.size_variables)
        return substitute(self, sizes)

    def fold(self, name: str | None = None) -> Diagram:
        """This diagram as a single named box."""
        from vesalius.diagrams.nesting import fold

        return fold(self, name)

    def unfold(self, name: str | None = None, *, depth: int | None = None) -> Diagram:
        """Open named boxes: those called `name`, or all, down to `depth` levels."""
        from vesalius.diagrams.nesting import unfold

        return unfold(self, name, depth)

    def fill(self, **fillings: Diagram) -> Diagram:
        """Put diagrams into learners, by name."""
        from vesalius.diagrams.filling import fill

        return fill(self, fillings)

    def expose(self, *names: str) -> Diagram:
        """Turn parameters or random sources into inputs; all parameters when none is named."""
        from vesalius.diagrams.interface import expose

        return expose(self, names)

    def cost(self, **options: Any) -> Cost:
        """FLOPs, bytes moved, peak memory and parameters, as polynomials in the sizes."""
        from vesalius.diagrams.cost import cost

        return cost(self, **options)

    def evaluate(self, *args: Any, **options: Any) -> Any:
        """The meaning of this diagram in an algebra; see `vesalius.diagrams.meaning`."""
        from vesalius.diagrams.meaning import evaluate

        return evaluate(self, *args, **options)

    def to_json(self, **options: Any) -> str:
        """This diagram as a JSON text."""
        from vesalius.diagrams.serial import to_json

        return to_json(self, **options)

    @staticmethod
    def from_json(text: str) -> Diagram:
        """The diagram that a JSON text describes; executes nothing, refuses what it is not."""
        from vesalius.diagrams.serial import from_json

        return from_json(text)

    def to_networkx(self, **options: Any) -> Any:
        """This diagram as a `networkx.MultiDiGraph`; see `vesalius.diagrams.interchange`."""
        from vesalius.diagrams.interchange import to_networkx

        return to_networkx(self, **options)

    def draw(self, file: Any = None, **options: Any) -> Picture:
        """A picture; see `vesalius.diagrams.drawing.picture.draw` for the options."""
        from vesalius.diagrams.drawing.picture import draw

        return draw(self, file, **options)

    def svg(self, **options: Any) -> str:
        """This diagram drawn as one SVG document."""
        return self.draw(**options).svg()

    def html(self, **options: Any) -> str:
        """This diagram drawn as one interactive page, which needs no network."""
        return self.draw(**options).html()

    def tikz(self, *, standalone: bool = True, **options: Any) -> str:
        """This diagram drawn in TikZ: a LaTeX document, or the picture alone."""
        return self.draw(**options).tikz(standalone=standalone)

    def dot(self, **options: Any) -> str:
        """This diagram in the language of Graphviz."""
        return self.draw(**options).dot()

    def _repr_html_(self) -> str:
        return self.draw()._repr_html_()

    def __repr__(self) -> str:
        from vesalius.diagrams.listing import signature

        return signature(self)

    def __str__(self) -> str:
        from vesalius.diagrams.listing import listing

        return listing(self)

    def __reduce__(self) -> Any:
        return Diagram.from_json, (self.to_json(),)


def check_same_builder(*owners: object) -> None:
    """Wires meet only inside the diagram in which they were made."""
    if len({id(owner) for owner in owners}) > 1:
        raise StructureError(
            "these wires belong to different diagrams: hand a wire over as an input instead"
        )
