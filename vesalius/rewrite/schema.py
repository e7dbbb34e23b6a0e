"""Schemas: rules over all boxes or bodies, made on demand for a place in a host.

    @vs.schema("equal", at=[EXPAND])
    def expand_late(f: Part) -> Iterator[Opened]:
        \"\"\"φ(x) repeated = φ(x repeated), for a pointwise φ\"\"\"
        phi = f.below(0)
        if phi.kind is POINTWISE and len(phi.node.src) == 1:

            def right(side: Side) -> Wire:
                (x,) = side[phi]
                return side.call(phi, *side.call(f, x))

            yield f.open(0).rule(right)

A schema is a function from an anchor, a node of the host as a `Part`, to rules. It looks at the
box, its axes and what stands below; it *opens* the ports whose boxes belong to the left side, and
says how the right side is built from the same inputs. The left side is read off the host, without
the axes that none of its boxes binds or makes: they are tubes. Each rule that comes out is a
rule like any other, refused for the same reasons, checked in the same ways, and kept: the right
side must depend on nothing but what is opened. An output that depends on fewer inputs on the right
side is repeated along their tubes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vesalius.diagrams.box import Axes, Box, Kind, Site
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.diagrams.verbs.common import place
from vesalius.diagrams.verbs.nested import output_wire
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import Grade, grade
from vesalius.rewrite.refusals import reads
from vesalius.rewrite.rule import Rule, checked, source_of
from vesalius.rewrite.witness import Witness

Path = tuple[int, ...]


class Part:
    """A node of the host as a schema sees it, reached from its anchor through `path`.

    Axes are the local axes of the box, as integers.
    """

    def __init__(self, host: Diagram, index: int, path: Path = ()) -> None:
        self.host = host
        self.index = index
        self.path = path
        self.node: Node = host.nodes[index]

    @property
    def box(self) -> Box:
        """The box that stands here."""
        return self.node.box

    @property
    def kind(self) -> Kind:
        """The kind of the box."""
        return self.node.box.kind

    def __getitem__(self, attribute: str) -> Any:
        return self.node.box[attribute]

    @cached_property
    def site(self) -> Site:
        """The box with the sizes of its axes and the element types of its inputs."""
        return self.host.site(self.node)

    @cached_property
    def tubes(self) -> dict[int, Axes]:
        """The tubes of the box, each with the ports that carry it."""
        box = self.box
        return {
            axis: tuple(p for p, row in enumerate(box.maps) if axis in row) for axis in box.tubes
        }

    def below(self, port: int) -> Part:
        """The node that makes what comes in at a port."""
        return Part(self.host, self.host.owner[self.node.src[port]], (*self.path, port))

    def output(self, port: int) -> int:
        """Which output of the node below comes in at a port."""
        wire = self.node.src[port]
        return wire - self.host.nodes[self.host.owner[wire]].first

    def origin(self, port: int, axis: int) -> int:
        """The axis of the node below that an axis of this box is, at a port that carries it."""
        slot = self.box.maps[port].index(axis)
        return self.below(port).box.outs[self.output(port)][slot]

    def makes(self, axis: int) -> bool:
        """Whether the box creates this axis."""
        return axis >= self.box.inner

    def open(self, *ports: int) -> Opened:
        """This node as the left side of a rule, with the nodes below these ports."""
        return Opened(self, (self.path, *((*self.path, port) for port in ports)))

    def __repr__(self) -> str:
        return f"Part({self.kind.name}, {self.index})"


class Opened:
    """The left side of an instance: an anchor and the nodes below it that belong to it.

    Axes that meet along the wires inside have one name; axes that no box of it binds or makes
    have none, and are tubes.
    """

    def __init__(self, anchor: Part, paths: tuple[Path, ...]) -> None:
        self.anchor = anchor
        self.paths = paths
        self.read: Axes = tuple(range(len(anchor.box.outs)))
        self.parts: dict[Path, Part] = {anchor.path: anchor}
        for path in paths[1:]:
            below = self.parts[path] = self.parts[path[:-1]].below(path[-1])
            if below.kind is INPUT:
                raise StructureError(f"{below.node!r} is an input of the diagram: not to be opened")
        self._root: dict[tuple[Path, int], tuple[Path, int]] = {}
        for path in paths[1:]:
            above, below = self.parts[path[:-1]], self.parts[path]
            outs = below.box.outs[above.output(path[-1])]
            for axis, origin in zip(above.box.maps[path[-1]], outs, strict=True):
                self._join((above.path, axis), (path, origin))
        self.names = self._names()

    def open(self, part: Part, *ports: int) -> Opened:
        """This left side with the nodes below these ports of one of its parts as well."""
        return Opened(self.anchor, (*self.paths, *((*part.path, port) for port in ports)))

    def _find(self, axis: tuple[Path, int]) -> tuple[Path, int]:
        while axis in self._root:
            axis = self._root[axis]
        return axis

    def _join(self, one: tuple[Path, int], other: tuple[Path, int]) -> None:
        a, b = self._find(one), self._find(other)
        if a != b:
            self._root[max(a, b)] = min(a, b)

    def _names(self) -> dict[tuple[Path, int], str]:
        """Names for the axes that some part binds or makes."""
        roots: dict[tuple[Path, int], None] = {}
        for path, part in self.parts.items():
            for axis in (*part.box.bound, *range(part.box.inner, part.box.rank)):
                roots[self._find((path, axis))] = None
        hints: dict[tuple[Path, int], str] = {}
        for path, part in self.parts.items():
            host = part.host
            for wire, row in (
                *zip(part.node.src, part.box.maps, strict=True),
                *zip(part.node.wires, part.box.outs, strict=True),
            ):
                for axis, hint in zip(row, host.hints[wire], strict=True):
                    hints.setdefault(self._find((path, axis)), hint)
        names: dict[tuple[Path, int], str] = {}
        taken: set[str] = set()
        for root in roots:
            hint = hints.get(root, "")
            names[root] = fresh_name(hint if is_axis_name(hint) else "a", taken)
            taken.add(names[root])
        return names

    def name(self, part: Part, axis: int) -> str:
        """The name of an axis of a part; empty for a tube of the whole left side."""
        return self.names.get(self._find((part.path, axis)), "")

    def size(self, part: Part, axis: int) -> Size:
        """The size of an axis of a part."""
        length: Size = part.site.sizes[axis]
        return length

    @cached_property
    def leaves(self) -> dict[tuple[Path, int], int]:
        """For each port that is not opened, its place among the inputs of the rule."""
        found: dict[Any, int] = {}
        places: dict[tuple[Path, int], int] = {}
        for path, part in self.parts.items():
            for port, wire in enumerate(part.node.src):
                if (*path, port) not in self.parts:
                    row = part.box.maps[port]
                    use = wire, tuple(self._find((path, axis)) for axis in row)
                    places[path, port] = found.setdefault(use, len(found))
        return places

    def leaf_type(self, part: Part, port: int) -> ArrayType:
        """The type of the input of the rule that stands at a port: its axes that have names."""
        sizes, dtype = part.host.types[part.node.src[port]]
        named = [self.name(part, axis) for axis in part.box.maps[port]]
        return ArrayType({n: s for n, s in zip(named, sizes, strict=True) if n}, dtype)

    def outputs(self, *which: int) -> Opened:
        """This left side with some of the anchor's outputs only; all of them by default."""
        self.read = which
        return self

    def rule(self, right: Callable[[Side], Any], witness: Witness | None = None) -> Opened:
        """Say how the right side is built, from a `Side` in which the left side is at hand."""
        self._right, self._witness = right, witness
        return self

    def key(self) -> Any:
        """What the left side depends on; the right side must not depend on more."""
        rows = []
        for path, part in self.parts.items():
            sites = tuple(part.site.sizes), part.site.dtypes
            outputs = tuple(part.output(port) for port in range(len(part.node.src)))
            rows.append((path, part.box, sites, outputs))
        return tuple(rows), tuple(self.leaves.items()), self.read

    def build(self, schema: Schema) -> Rule:
        """The instance: a rule, with everything that is refused refused. See `vs.rule`."""
        builder = Builder(schema.name, schema.doc)
        builder.pattern = True
        inputs: dict[int, Wire] = {}
        for (path, port), k in self.leaves.items():
            if k not in inputs:
                inputs[k] = builder.input(f"x{k}", self.leaf_type(self.parts[path], port))
        with builder:
            side = Side(self, builder, inputs)
            left = tuple(side.outputs[k] for k in self.read)
            right = self._right(side)
            right = right if isinstance(right, tuple) else (right,)
            if len(right) != len(left):
                raise StructureError(f"{schema.name}: the right side returns {len(left)} wires")
            right = _like(builder, left, right)
        ports = [
            [
                output_port(builder, name, one.type, wire)
                for name, one, wire in zip(_output_names(len(left)), left, wires, strict=True)
            ]
            for wires in (left, right)
        ]
        left_side, right_side = (builder.finish(row) for row in ports)
        return checked(
            Rule(
                schema.name,
                schema.grade,
                left_side,
                right_side,
                {},
                {},
                (),
                schema.doc,
                schema.source,
                self._witness,
                # The sizes are those of the host.
                fixed={name: size(name) for name in left_side.size_variables},
            )
        )


def _like(builder: Builder, left: Sequence[Wire], right: Sequence[Wire]) -> list[Wire]:
    """The right side repeated along the tubes of inputs that the left side alone depends on."""
    from vesalius.diagrams import verbs

    bits = {port.name: 1 << k for k, port in enumerate(builder.inputs)}
    found = []
    for one, wire in zip(left, right, strict=True):
        masks = reads(builder, bits)
        lost = masks[one.id] & ~masks[wire.id]
        for k, port in enumerate(builder.inputs):
            if lost >> k & 1:
                model = Wire(builder, port.wire, port.axes)
                if model.names:
                    reduce = verbs.any if model.dtype == "bool" else verbs.sum
                    model = reduce(model, model.names)
                wire = verbs.like(wire, model)
        found.append(wire)
    return found


def _output_names(count: int) -> list[str]:
    return ["out"] if count == 1 else [f"out{k}" for k in range(count)]


class Side:
    """The left side under construction, and what the right side is built from.

    `side[part]` are the wires that come in at a part, and `side.call(part, *wires)` puts the
    box of a part on other wires. Axes are called as the left side names them; wires may have
    further axes, which are tubes.
    """

    def __init__(self, opened: Opened, builder: Builder, inputs: Mapping[int, Wire]) -> None:
        self.opened = opened
        self.builder = builder
        self._inputs = inputs
        self._placed: dict[Path, tuple[Wire, ...]] = {}
        self.outputs = self._place(opened.anchor)

    def _place(self, part: Part) -> tuple[Wire, ...]:
        if part.path not in self._placed:
            self._placed[part.path] = self.call(part, *self[part])
        return self._placed[part.path]

    def made(self, part: Part) -> tuple[Wire, ...]:
        """What a part of the left side makes."""
        return self._place(part)

    def __getitem__(self, part: Part) -> list[Wire]:
        opened = self.opened
        found = []
        for port in range(len(part.node.src)):
            path = (*part.path, port)
            if path in opened.parts:
                found.append(self._place(opened.parts[path])[part.output(port)])
            else:
                found.append(self._inputs[opened.leaves[part.path, port]])
        return found

    def name(self, part: Part, axis: int) -> str:
        """The name of an axis of a part."""
        return self.opened.name(part, axis)

    def call(self, part: Part, *wires: Wire) -> tuple[Wire, ...]:
        """The box of a part on other wires, one wire for each output."""
        box, opened = part.box, self.opened
        bound: list[Label] = [opened.name(part, axis) for axis in box.bound]
        new: list[tuple[Label, Size]] = [
            (("new", opened.name(part, axis)), opened.size(part, axis))
            for axis in range(box.inner, box.rank)
        ]
        uses = [(wire.id, wire.names) for wire in wires]
        made = place(part.kind.name, part.kind, box.attrs, wires, uses, bound, new)
        builder = wires[0].builder if wires else self.builder  # in a body it is another one
        return tuple(output_wire(part.kind.name, builder, made, j) for j in range(len(box.outs)))


def repeated(side: Side, wire: Wire, part: Part, axes: Sequence[int]) -> Wire:
    """A wire repeated along those axes of a part that have names and that it lacks."""
    missing: list[tuple[Label, Size]] = [
        (name, side.opened.size(part, axis))
        for axis in axes
        if (name := side.name(part, axis)) and name not in wire.names
    ]
    if not missing:
        return wire
    made = place("expand", EXPAND, (), [wire], [(wire.id, wire.names)], (), missing)
    return Wire(side.builder, made.wires.start, tuple(map(str, made.labels[0])))


@dataclass(frozen=True, eq=False)
class Schema:
    """Rules over all boxes of some kinds, made on demand; see the module.

    `at` are the kinds of anchors, all when None; with `below`, a node of one of these kinds
    stands below an anchor.
    """

    name: str
    grade: Grade
    find: Callable[[Part], Iterable[Opened]]
    at: frozenset[Kind] | None
    below: frozenset[Kind] | None
    doc: str
    source: str
    _made: dict[Any, Rule] = field(default_factory=dict, repr=False)

    def serves(self, host: Diagram, index: int) -> bool:
        """Whether a node may be an anchor."""
        node = host.nodes[index]
        if self.at is not None and node.box.kind not in self.at:
            return False
        owner, nodes = host.owner, host.nodes
        return self.below is None or any(
            nodes[owner[wire]].box.kind in self.below for wire in node.src
        )

    def instances(self, host: Diagram, index: int) -> Iterator[tuple[Rule, dict[int, int]]]:
        """The rules that this schema makes for a node of a host.

        With each rule come the wires of the host that its inputs are there.
        """
        if not self.serves(host, index):
            return
        for number, opened in enumerate(self.find(Part(host, index))):
            key = (number, opened.key())
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = opened.build(self)
            read = opened.leaves.items()
            yield made, {k: opened.parts[path].node.src[port] for (path, port), k in read}

    def __repr__(self) -> str:
        law = self.doc.splitlines()[0] if self.doc else ""
        return f"<schema {self.name} ({self.grade}): {law}>"


def schema(
    grade_name: str | Grade,
    *,
    at: Sequence[Kind] | None = None,
    below: Sequence[Kind] | None = None,
) -> Callable[[Callable[[Part], Iterable[Opened]]], Schema]:
    """Make a schema of a function from an anchor to the rules that hold there.

    `at` says of which kinds an anchor is, `below` which kinds one of the nodes below it is; both
    only make it quick to see that nothing holds. The instances are refused as rules are.
    """
    promise = grade(grade_name)

    def make(function: Callable[[Part], Iterable[Opened]]) -> Schema:
        return Schema(
            function.__name__,
            promise,
            function,
            None if at is None else frozenset(at),
            None if below is None else frozenset(below),
            inspect.getdoc(function) or "",
            source_of(function),
        )

    return make
