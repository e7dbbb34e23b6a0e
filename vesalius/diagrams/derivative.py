"""The derivative: reverse-mode differentiation, from a diagram to a diagram.

    vs.grad(loss)                   # from inputs to the gradients of a scalar
    vs.grad(attention)              # cotangents of the outputs come in, of the inputs go out

The boxes of the diagram are copied, then each is met again from the outputs back, and its
*pullback* (declared with its kind) turns the cotangents of its outputs into those of its inputs. An
axis that an input lacks is summed over, and one that a cotangent lacks is repeated: broadcasting is
dual to summing. What is not needed is not there, and what forward and backward share is one box, so
the result is drawn, costed, rewritten, compiled and differentiated like any other diagram.
"""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.diagrams.box import Axes, Box, Parameter
from vesalius.diagrams.boxes.linear import ADD
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import IOTA, PARAMETER
from vesalius.diagrams.builder import Builder, Made, Use
from vesalius.diagrams.errors import StructureError, TypeClash
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.interface import same_tokens, start
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import is_axis_name
from vesalius.diagrams.wire import Wire

Names = str | Sequence[str] | None


class Pull:
    """What a pullback is given: a box where it stands, with a name for each of its local axes.

    `inputs`, `outputs` and `cotangents` are wires in these names; a cotangent is None where it is
    zero. `bound` and `new` name the axes that the box binds and creates, `sizes` has the size of
    each. A pullback returns a wire for each input: axes that the input lacks are summed over.
    """

    def __init__(self, builder: Builder, node: Node, wanted: Sequence[bool]) -> None:
        self.builder = builder
        self.box: Box = node.box
        self.wanted = wanted
        self.names = self._local_names(node)
        self.sizes: dict[str, Size] = {}
        for wire, row in self._rows(node):
            sizes = builder.types[wire].sizes
            self.sizes.update(zip(self.named(row), sizes, strict=True))
        self.inputs: list[Wire] = [
            Wire(builder, wire, self.named(row))
            for wire, row in zip(node.src, node.box.maps, strict=True)
        ]
        self.outputs: list[Wire] = [
            Wire(builder, wire, self.named(row))
            for wire, row in zip(node.wires, node.box.outs, strict=True)
        ]
        self.cotangents: list[Wire | None] = [None] * len(self.outputs)
        self.bound = self.named(node.box.bound)
        self.new = self.named(range(node.box.inner, node.box.rank))

    @staticmethod
    def _rows(node: Node) -> list[tuple[int, Sequence[int]]]:
        return [
            *zip(node.src, node.box.maps, strict=True),
            *zip(node.wires, node.box.outs, strict=True),
        ]

    def _local_names(self, node: Node) -> dict[int, str]:
        names: dict[int, str] = {}
        for wire, row in self._rows(node):
            for axis, hint in zip(row, self.builder.hints[wire], strict=True):
                if axis not in names:
                    plain = hint if is_axis_name(hint) else "a"
                    names[axis] = fresh_name(plain, names.values())
        return names

    def named(self, axes: Sequence[int]) -> tuple[str, ...]:
        """The names of local axes."""
        return tuple([self.names[a] for a in axes])

    @property
    def cotangent(self) -> Wire:
        """The cotangent of the only output."""
        (only,) = self.cotangents
        assert only is not None
        return only

    def bound_at(self, port: int) -> list[str]:
        """The bound axes that the input at a port has, in the order of the box."""
        row = self.box.maps[port]
        return [self.names[a] for a in self.box.bound if a in row]

    def zeros(self, axes: dict[str, Size]) -> Wire:
        """A wire of zeros with these axes."""
        return _zeros(self.builder, axes)

    def handle(self, made: Made) -> Wire:
        """The wire of a box that was made with these names as labels."""
        return Wire(self.builder, made.wires.start, tuple(map(str, made.labels[0])))

    def positions(self, axis: str) -> Wire:
        """The positions along one of the box's axes."""
        return self.handle(self.builder.add(IOTA, (), (), (), [(axis, self.sizes[axis])]))

    def onto(self, port: int, *factors: Wire) -> Wire:
        """The product of these wires, summed over the axes that the input at a port lacks."""
        from vesalius.diagrams import verbs

        one = _one(self.builder).id
        others = tuple(wire for wire in factors if wire.id != one)
        if any(wire.dtype == "float" for wire in others):
            factors = others
        have = dict.fromkeys(name for wire in factors for name in wire.names)
        return verbs.contract(
            *factors, over=[name for name in have if name not in self.inputs[port].names]
        )


def grad(diagram: Diagram, wrt: Names = None, of: Names = None, *, values: bool = False) -> Diagram:
    """The derivative of a diagram, in reverse mode, as a diagram.

    Its inputs are those of `diagram`, then `d_y` for each output y in `of`: the cotangent, of the
    type of y. A single output without axes needs none, as in `torch.autograd.backward`: its
    cotangent is 1. Its outputs are `d_x` for each input or parameter x in `wrt`, of the type of x;
    with `values`, the outputs of `diagram` come first. `of` is all outputs of floats unless said,
    `wrt` all inputs of floats and all trainable parameters, which stay the same parameters. Named
    boxes are opened first: a parameter of theirs that no output needs is gone then.

    At a kink the derivative is torch's: `relu` and `abs` have 0 at 0, ties share.

    Raises `StructureError` for an unknown name or a learner that is a hole, `TypeClash` for what
    has no tangent.

    >>> import vesalius as vs
    >>> @vs.diagram
    ... def square(x: "n") -> "":
    ...     return vs.contract(x, x, over="n")
    >>> vs.grad(square)
    grad_square(x: {n} float) -> {n} float
    """
    a_diagram("grad", diagram)
    opened = diagram.unfold() if any(n.box.kind is NAMED for n in diagram.nodes) else diagram
    if opened.learners:
        name = next(iter(opened.learners))
        raise StructureError(f"grad: fill the learner {name!r} of {diagram.name!r} first")
    outputs, sources = _chosen_outputs(opened, of), _chosen_sources(opened, wrt)
    types = opened.output_types
    seeded = len(types) == 1 and not types[outputs[0]].axes
    return _Reverse(opened, outputs, sources, seeded).run(values)


def pulled_back(diagram: Diagram, of: list[str], wrt: list[str]) -> Diagram:
    """The derivative with a cotangent for each output in `of`, also for a single number."""
    return _Reverse(diagram.unfold(), of, wrt, seeded=False).run(values=False)


def _words(names: str | Sequence[str]) -> list[str]:
    return names.replace(",", " ").split() if isinstance(names, str) else list(names)


def _chosen_outputs(diagram: Diagram, of: Names) -> list[str]:
    types = diagram.output_types
    floats = [name for name, type_ in types.items() if type_.dtype == "float"]
    chosen = floats if of is None else _words(of)
    for name in chosen:
        if name not in types:
            raise StructureError(f"grad: {diagram.name} has no output {name!r}")
        if name not in floats:
            raise TypeClash(
                f"grad: the output {name!r} is {types[name]}; only floats have tangents"
            )
    if not chosen:
        raise TypeClash(f"grad: no output of {diagram.name} is to be differentiated")
    return chosen


def _chosen_sources(diagram: Diagram, wrt: Names) -> list[str]:
    types = {**diagram.input_types, **diagram.parameters}
    if wrt is None:
        frozen = {t.name for t, _ in diagram.tokens if isinstance(t, Parameter) and not t.trainable}
        chosen = [name for name, t in types.items() if t.dtype == "float" and name not in frozen]
    else:
        chosen = _words(wrt)
    for name in chosen:
        if name not in types:
            raise StructureError(f"grad: {diagram.name} has no input or parameter {name!r}")
        if types[name].dtype != "float":
            raise TypeClash(f"grad: {name!r} is {types[name]}; only floats have tangents")
    clash = set(chosen) & set(diagram.input_types) & set(diagram.parameters)
    if clash:
        raise StructureError(f"grad: {min(clash)!r} is both an input and a parameter; rename one")
    return chosen


class _Reverse:
    """One run: the boxes of `diagram` in a new builder, and cotangents of its wires."""

    def __init__(self, diagram: Diagram, of: list[str], wrt: list[str], seeded: bool) -> None:
        self.diagram, self.wrt = diagram, wrt
        types = diagram.output_types
        ports = list(diagram.input_types.items())
        taken = {name for name, _ in ports}
        if not seeded:
            for name in of:
                ports.append((fresh_name(f"d_{name}", taken), types[name]))
                taken.add(ports[-1][0])
        doc = f"The derivative of {diagram.name}."
        self.builder, wires = start(f"grad_{diagram.name}", doc, ports)
        count = len(diagram.inputs)
        own: list[Use] = [(wire.id, tuple(range(len(wire.names)))) for wire in wires[:count]]
        uses = self.builder.graft(diagram, own, replace=same_tokens(diagram))
        self.results = [Wire(self.builder, wire, tuple(map(str, labels))) for wire, labels in uses]
        # For each wire, what adds up to its cotangent: a wire, and for its slots those of this one.
        self.given: dict[int, list[tuple[int, Axes]]] = {}
        seeds = [_one(self.builder)] if seeded else wires[count:]
        for name, given in zip(of, seeds, strict=True):
            result = self.results[list(types).index(name)]
            self._give(result.id, result.names, given)

    def run(self, values: bool) -> Diagram:
        sources = self._sources()
        forward = self.builder.nodes[:]
        needed = self._needed(forward, {wire.id for wire in sources.values()})
        for node in reversed(forward):
            if (
                node.src
                and any(wire in self.given for wire in node.wires)
                and any(needed[wire] for wire in node.wires)
            ):
                self._pull(node, needed)
        outputs: list[Port] = []
        if values:
            for port, result in zip(self.diagram.outputs, self.results, strict=True):
                slots = tuple(result.names.index(axis) for axis in port.axes)
                outputs.append(Port(port.name, result.id, port.axes, slots))
        for name, source in sources.items():
            total = self._total(source.id, source.names)
            if total is None:
                total = _zeros(self.builder, source.axes)
            slots = tuple(total.names.index(axis) for axis in source.names)
            outputs.append(Port(f"d_{name}", total.id, source.names, slots))
        return self.builder.finish(outputs)

    def _sources(self) -> dict[str, Wire]:
        """The wires to differentiate by, with the names of their axes at the interface."""
        known = {
            port.name: Wire(self.builder, port.wire, port.axes) for port in self.builder.inputs
        }
        for node in self.builder.nodes:
            if node.box.kind is PARAMETER:
                name = node.box["token"].name
                axes = tuple(self.diagram.parameters[name])
                known[name] = Wire(self.builder, node.first, axes)
        return {name: known[name] for name in self.wrt}

    def _needed(self, forward: list[Node], sources: set[int]) -> list[bool]:
        """For each wire, whether it is a float that depends on what is differentiated by."""
        needed = [False] * len(self.builder.types)
        for node in forward:
            below = any(needed[wire] for wire in node.src)
            for wire in node.wires:
                float_ = self.builder.types[wire].dtype == "float"
                needed[wire] = float_ and (below or wire in sources)
        return needed

    def _pull(self, node: Node, needed: Sequence[bool]) -> None:
        kind = node.box.kind
        if kind.pullback is None:
            raise TypeClash(f"grad: {kind.name} cannot be differentiated: {kind.derivative}")
        pull = Pull(self.builder, node, [needed[wire] for wire in node.src])
        pull.cotangents = [self._total(wire.id, wire.names) for wire in pull.outputs]
        for wire, wanted, given in zip(pull.inputs, pull.wanted, kind.pullback(pull), strict=True):
            if wanted and given is not None:
                self._give(wire.id, wire.names, given)

    def _give(self, wire: int, names: tuple[str, ...], given: Wire) -> None:
        """Add to the cotangent of a wire: sum over axes that it lacks, repeat along its own."""
        from vesalius.diagrams import verbs

        extra = [name for name in given.names if name not in names]
        if extra:
            given = verbs.contract(given, over=extra)
        sizes = zip(names, self.builder.types[wire].sizes, strict=True)
        missing = [(name, size) for name, size in sizes if name not in given.names]
        given = _expanded(self.builder, given, missing)
        slots = tuple(names.index(name) for name in given.names)
        self.given.setdefault(wire, []).append((given.id, slots))

    def _total(self, wire: int, names: tuple[str, ...]) -> Wire | None:
        """The cotangent of a wire; None where it is zero."""
        uses = self.given.get(wire)
        if not uses:
            return None
        if len(uses) > 1:
            made = self.builder.add(ADD, (), uses)
            slots = tuple([slot for slot in made.labels[0] if isinstance(slot, int)])
            if made.fresh:
                self.builder.hints[made.wires.start] = tuple([names[slot] for slot in slots])
            uses = self.given[wire] = [(made.wires.start, slots)]
        ((found, slots),) = uses
        return Wire(self.builder, found, tuple([names[slot] for slot in slots]))


def _one(builder: Builder) -> Wire:
    from vesalius.diagrams.verbs.common import constant_wire

    return constant_wire(builder, 1.0)


def _zeros(builder: Builder, axes: dict[str, Size]) -> Wire:
    from vesalius.diagrams.verbs.common import constant_wire

    return _expanded(builder, constant_wire(builder, 0.0), list(axes.items()))


def _expanded(builder: Builder, wire: Wire, missing: Sequence[tuple[str, Size]]) -> Wire:
    if not missing:
        return wire
    made = builder.add(EXPAND, (), [(wire.id, wire.names)], (), missing)
    return Wire(builder, made.wires.start, tuple(map(str, made.labels[0])))
