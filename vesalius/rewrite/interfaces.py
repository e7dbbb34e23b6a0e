"""Moves on the interface: other names for what is read, other arrays in its place, fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import FormatError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interface import expose, finish_as, same_tokens, start
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import EQUAL, GRADES, Grade
from vesalius.rewrite.moves import Move, written_at


@dataclass(frozen=True)
class Rename(Move):
    """Other names: `Rename({"s": "q"}, {"e": "c"})` for inputs, and for axes with their sizes.

    Names are for people. The move is read backwards as well as forwards, so no two sizes and no
    two inputs become one.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    doc: str = "names are for people"
    source: str = field(default_factory=written_at, compare=False)

    def __post_init__(self) -> None:
        if not self.inputs and not self.axes:
            raise FormatError("rename: no name is given")

    @property
    def name(self) -> str:
        """The names, old and new."""
        pairs = {**self.inputs, **self.axes}
        return f"rename {', '.join(f'{old} to {new}' for old, new in pairs.items())}"

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with these names."""
        known = list(before.input_types)
        for name in self.inputs:
            if name not in known:
                raise StructureError(f"{before.name} has no input {name!r}, it has {known}")
        names = [self.inputs.get(name, name) for name in known]
        if len(set(names)) < len(names):
            raise StructureError(f"{self.name}: two inputs of {before.name} would have one name")
        sizes = {old: new for old, new in self.axes.items() if old in before.size_variables}
        left = [sizes.get(name, name) for name in before.size_variables]
        if len(set(left)) < len(left):
            raise SizeError(f"{self.name}: two sizes of {before.name} would have one name")
        found = before.rename(**self.axes)
        found = found.substitute(**sizes) if sizes else found
        ports = (port._replace(name=name) for port, name in zip(found.inputs, names, strict=True))
        return Diagram(
            found.name,
            found.nodes,
            found.types,
            found.hints,
            tuple(ports),
            found.outputs,
            found.doc,
            found.symmetries,
            found.expanded,
        )

    def inverse(self) -> Rename:
        """The move that gives the old names back."""
        inputs = {new: old for old, new in self.inputs.items()}
        return Rename(inputs, {new: old for old, new in self.axes.items()}, self.doc, self.source)

    def grade(self, before: Diagram) -> Grade:
        """`equal`: the same function, called otherwise."""
        return EQUAL


@dataclass(frozen=True)
class Prepare(Move):
    """Hand inputs and parameters what other diagrams make: `Prepare({"q": rotated, "gain": one})`.

    The diagrams' own inputs take the place of the inputs that they make; inputs of one name are
    one. What stands for a parameter has no inputs: the parameter is fixed, or made from others. The
    functions after are those before, at arguments that were prepared and at some of the values
    that parameters have, so the step reduces on the inputs that remain.
    """

    bodies: Mapping[str, Diagram]
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    def __post_init__(self) -> None:
        if not self.bodies:
            raise FormatError("prepare: no input and no parameter is given")

    @property
    def name(self) -> str:
        """`prepare` and the inputs, or `fix` where none has inputs itself."""
        verb = "prepare" if any(body.inputs for body in self.bodies.values()) else "fix"
        return f"{verb} {', '.join(self.bodies)}"

    def fixed(self, before: Diagram) -> dict[str, Diagram]:
        """What stands for parameters. Raises `StructureError` for an unknown name."""
        found = {name: body for name, body in self.bodies.items() if name in before.parameters}
        known = before.input_types
        for name in self.bodies:
            if name not in known and name not in found:
                raise StructureError(
                    f"{before.name} has no input and no parameter {name!r}, it has {list(known)} "
                    f"and {list(before.parameters)}"
                )
        for name, body in found.items():
            if body.inputs:
                raise StructureError(f"{self.name}: the parameter {name!r} is made from no input")
        return found

    def apply(self, before: Diagram) -> Diagram:
        """The diagram on prepared inputs, with fixed parameters."""
        fixed = self.fixed(before)
        opened = expose(before, tuple(fixed)) if fixed else before
        names = [*before.input_types, *fixed]
        wanted: dict[str, ArrayType] = {}
        for name, own in zip(names, opened.input_types.values(), strict=True):
            body = self.bodies.get(name)
            for read, type_ in ({name: own} if body is None else body.input_types).items():
                if wanted.setdefault(read, type_) != type_:
                    raise StructureError(
                        f"{self.name}: the input {read!r} is read as {wanted[read]} and as {type_}"
                    )
        builder, inputs = start(before.name, before.doc, wanted.items())
        for token, _ in opened.tokens:
            builder.free_name(token.name)  # what bodies bring is other than what stays
        wires = dict(zip(wanted, inputs, strict=True))
        uses = [
            self._use(builder, wires, opened, port, self.bodies.get(name))
            for name, port in zip(names, opened.inputs, strict=True)
        ]
        return finish_as(
            builder, opened, builder.graft(opened, uses, replace=same_tokens(opened)), ()
        )

    def _use(
        self,
        builder: Builder,
        wires: Mapping[str, Wire],
        opened: Diagram,
        port: Port,
        body: Diagram | None,
    ) -> tuple[int, tuple[int, ...]]:
        """What is read at an input: the slots of it that the wire's slots are."""
        if body is None:
            made = wires[port.name]
        else:
            own = [(wires[p.name], p) for p in body.inputs]
            given = [(w.id, tuple(p.axes.index(n) for n in w.names)) for w, p in own]
            (out,) = body.outputs
            wire, labels = builder.graft(body, given)[0]
            made = Wire(builder, wire, tuple(str(label) for label in labels))
            if body.port_type(out) != opened.port_type(port):
                raise TypeClash(
                    f"{self.name}: {port.name!r} is {opened.port_type(port)}, "
                    f"{body.name} makes {body.port_type(out)}"
                )
        return made.id, tuple(port.axes.index(name) for name in made.names)

    def grade(self, before: Diagram) -> Grade:
        """`reduces`, on the inputs that remain."""
        return GRADES["reduces"]


@dataclass(frozen=True)
class Tie(Move):
    """Let parameters be others: `Tie({"keys_gain": "gain"})` makes both gains one, called `gain`.

    The functions after are those before at equal parameters, so the step reduces. Read backwards
    it lets one parameter become several.
    """

    names: Mapping[str, str]
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    def __post_init__(self) -> None:
        if not self.names:
            raise FormatError("tie: no parameter is given")

    @property
    def name(self) -> str:
        """`tie` and the parameters."""
        return f"tie {', '.join(f'{one} to {kept}' for one, kept in self.names.items())}"

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with fewer parameters."""
        known = before.parameters
        for one, kept in self.names.items():
            for name in (one, kept):
                if name not in known:
                    raise StructureError(
                        f"{before.name} has no parameter {name!r}, it has {list(known)}"
                    )
            if kept in self.names:
                raise StructureError(f"{self.name}: {kept!r} is tied to another itself")
            if known[one] != known[kept]:
                raise TypeClash(f"{self.name}: {one!r} is {known[one]}, {kept!r} is {known[kept]}")
        tokens = {token.name: token for token, _ in before.tokens}
        stands = {tokens[one]: tokens[kept] for one, kept in self.names.items()}
        builder, inputs = start(before.name, before.doc, before.input_types.items())
        uses = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
        found = builder.graft(before, uses, replace={**same_tokens(before), **stands})
        return finish_as(builder, before, found, ())

    def grade(self, before: Diagram) -> Grade:
        """`reduces`: parameters that were free are equal."""
        return GRADES["reduces"]
