"""How diagrams are put together: calls, `>>`, `@`, tubes, folding, filling, exposing.

All of it is grafting: copying a diagram into a builder, where equal computations meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from vesalius.diagrams.box import Draw, Hole, Parameter, Token
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.builder import CURRENT, Builder, Label, Use
from vesalius.diagrams.errors import AxisError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graft import Opening, Opens
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.diagrams.verbs.common import atomic, builder_of, place, wires
from vesalius.diagrams.wire import Wire

# -- calling ----------------------------------------------------------------------------------


@atomic
def call(
    diagram: Diagram,
    args: Sequence[Any],
    named: Mapping[str, Any],
    parameters: Mapping[str, Any],
    boxed: bool = False,
) -> Any:
    """Use a diagram inside another: its inputs by position or by name.

    Each argument carries the axes that the input declares, by name; other axes are tubes.
    Sizes are matched. Every call makes fresh parameters, random sources and learners, unless
    `parameters={"wq": wire}` hands one over. Returns a wire, or a tuple for several outputs.
    """
    verb = diagram.name
    values = [*_bind(diagram, args, named), *parameters.values()]
    if CURRENT.get() is None and any(hasattr(value, "shape") for value in values):
        raise StructureError(
            f"{verb}(...) puts a diagram into another one; to compute with arrays write "
            f"{verb}.evaluate(...), or vs.to_torch({verb}) for a module"
        )
    given = wires(verb, *values) if values else []
    builder = builder_of(given)
    arguments = given[: len(diagram.inputs)]
    shared = dict(zip(parameters, given[len(diagram.inputs) :], strict=True))
    if shared:
        unknown = set(shared) - set(diagram.parameters) - set(diagram.randoms)
        if unknown:
            raise StructureError(f"{verb} has no parameter {sorted(unknown)[0]!r}")
        diagram = expose(diagram, tuple(shared))
        arguments = [*arguments, *shared.values()]
    arguments = promoted(diagram, arguments)
    diagram = unify(verb, diagram, arguments, {})
    if boxed:
        return _place_named(builder, diagram, arguments)
    uses = [
        (wire.id, _slots(wire, port.axes))
        for wire, port in zip(arguments, diagram.inputs, strict=True)
    ]
    outputs = builder.graft(diagram, uses, prefix=_prefix(builder, diagram))
    results = tuple(Wire(builder, wire, tuple(map(str, labels))) for wire, labels in outputs)
    return results[0] if len(results) == 1 else results


def _prefix(builder: Builder, diagram: Diagram) -> str:
    """`name.` for the identities of this call; `name_1.` when the builder has one already."""
    if not diagram.tokens:
        return ""
    heads = {name.partition(".")[0] for name in builder.token_names}
    return fresh_name(diagram.name, heads) + "."


def _bind(diagram: Diagram, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    names = [port.name for port in diagram.inputs]
    if len(args) > len(names):
        raise StructureError(f"{diagram.name} has {len(names)} inputs, {len(args)} were given")
    bound = dict(zip(names, args, strict=False))
    for name, value in named.items():
        if name not in names:
            raise StructureError(f"{diagram.name} has no input {name!r}; it has {names}")
        if name in bound:
            raise StructureError(f"{diagram.name}: the input {name!r} is given twice")
        bound[name] = value
    missing = [name for name in names if name not in bound]
    if missing:
        raise StructureError(f"{diagram.name}: the input {missing[0]!r} is missing")
    return [bound[name] for name in names]


def _slots(wire: Wire, axes: Sequence[str]) -> tuple[Label, ...]:
    return tuple(axes.index(name) if name in axes else name for name in wire.names)


def promoted(diagram: Diagram, arguments: Sequence[Wire]) -> list[Wire]:
    """The arguments, integers made floats where the diagram takes floats."""
    from vesalius.diagrams import verbs

    wanted = [diagram.types[port.wire].dtype for port in diagram.inputs]
    return [
        verbs.to_float(wire) if (wire.dtype, dtype) == ("int", "float") else wire
        for wire, dtype in zip(arguments, wanted, strict=True)
    ]


def unify(
    verb: str, diagram: Diagram, arguments: Sequence[Wire], also: Mapping[int, str]
) -> Diagram:
    """Match the declared types of a diagram with the types of its arguments.

    Returns the diagram with its size variables replaced by what they are here. `also[k]` is a
    further axis that argument k may carry.
    """
    declared = {axis for port in (*diagram.inputs, *diagram.outputs) for axis in port.axes}
    sizes: dict[str, Size] = {}
    tubes: dict[str, tuple[Size, Port]] = {}
    pairs: list[tuple[str, str, Size, Size]] = []
    for k, (wire, port) in enumerate(zip(arguments, diagram.inputs, strict=True)):
        wanted = diagram.port_type(port)
        if wire.dtype != wanted.dtype:
            raise TypeClash(
                f"{verb}: the input {port.name!r} is {wanted}, it was given {wire.type}"
            )
        have = wire.axes
        for axis, length in wanted.axes.items():
            if axis not in have:
                raise AxisError(
                    f"{verb}: the input {port.name!r} of type {wanted} needs the axis {axis!r}, "
                    f"it was given {wire.type}; rename one: x.rename(old={axis!r})"
                )
            pairs.append((port.name, axis, length, have[axis]))
            if length.variable is not None:
                sizes.setdefault(length.variable, have[axis])
        for axis in have:
            if axis in declared and axis not in wanted.axes and axis != also.get(k):
                raise AxisError(
                    f"{verb}: the argument {port.name!r} of type {wire.type} carries {axis!r} as "
                    f"a tube, but {verb} declares an axis of that name elsewhere; rename one"
                )
            if axis not in wanted.axes:
                known, other = tubes.setdefault(axis, (have[axis], port))
                if known != have[axis]:
                    raise SizeError(
                        f"{verb}: the tube {axis!r} has size {known} in the input {other.name!r} "
                        f"and size {have[axis]} in {port.name!r}"
                    )
    sizes = {name: value for name, value in sizes.items() if value.variable != name}
    for name, axis, length, actual in pairs:
        if length.substitute(sizes) != actual:
            raise SizeError(
                f"{verb}: the axis {axis!r} of the input {name!r} has size {actual}, "
                f"where {length.substitute(sizes)} is needed"
            )
    return diagram.substitute(**sizes) if sizes else diagram


def _place_named(builder: Builder, diagram: Diagram, arguments: Sequence[Wire]) -> Any:
    """Put a diagram as one named box; its parameters become sources beside it."""
    from vesalius.diagrams.verbs.nested import lifted_wires, output_wire

    body, lifted = closed(diagram)
    prefix = _prefix(builder, diagram)
    token = Hole(builder.free_name(prefix[:-1])) if body.learners else None
    given = [*arguments, *lifted_wires(builder, body, lifted, len(arguments), prefix)]
    uses: list[Use] = []
    bound: list[Label] = []
    for k, (wire, port) in enumerate(zip(given, body.inputs, strict=True)):
        uses.append((wire.id, tuple((k, n) if n in port.axes else n for n in wire.names)))
        bound += [(k, axis) for axis in port.axes]
    new: list[tuple[Label, Size]] = [
        ((j, axis), length)
        for j, port in enumerate(body.outputs)
        for axis, length in body.port_type(port).axes.items()
    ]
    if not given:
        raise StructureError(f"{diagram.name}: a diagram without inputs cannot be a box yet")
    made = place(diagram.name, NAMED, (diagram.name, body, token), given, uses, bound, new)
    results = tuple(output_wire(diagram.name, builder, made, j) for j in range(len(body.outputs)))
    return results[0] if len(results) == 1 else results


# -- rebuilding: the interface changes, the boxes follow --------------------------------------


def start(
    name: str, doc: str, ports: Iterable[tuple[str, ArrayType]]
) -> tuple[Builder, list[Wire]]:
    """A builder with these inputs, and their wires."""
    builder = Builder(name, doc)
    return builder, [builder.input(port, type_) for port, type_ in ports]


def finish_as(
    builder: Builder, diagram: Diagram, uses: Sequence[Use], first: Sequence[str]
) -> Diagram:
    """The diagram whose outputs are these uses: the axes `first`, then those declared, in order."""
    ports = []
    for old, (wire, labels) in zip(diagram.outputs, uses, strict=True):
        names = [str(label) for label in labels]
        head = [axis for axis in first if axis in names]
        rest = [axis for axis in old.axes if axis in names]
        order = [*head, *rest, *(axis for axis in names if axis not in head and axis not in rest)]
        ports.append(Port(old.name, wire, tuple(order), tuple(names.index(a) for a in order)))
    return builder.finish(ports)


def same_tokens(diagram: Diagram) -> dict[Token, Token]:
    """Every identity of a diagram as its own stand-in."""
    return {token: token for token, _ in diagram.tokens}


def substitute(diagram: Diagram, sizes: Mapping[str, SizeLike]) -> Diagram:
    """The diagram with size variables replaced, all at once."""
    wanted = {name: size(value) for name, value in sizes.items()}
    if not wanted or not set(diagram.size_variables) & set(wanted):
        return diagram
    types = [
        (port.name, ArrayType({a: s.substitute(wanted) for a, s in t.axes.items()}, t.dtype))
        for port, t in ((port, diagram.port_type(port)) for port in diagram.inputs)
    ]
    builder, inputs = start(diagram.name, diagram.doc, types)
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    return finish_as(builder, diagram, builder.graft(diagram, uses, sizes=wanted), ())


def rename(diagram: Diagram, names: Mapping[str, str]) -> Diagram:
    """The diagram with other names for the axes of its interface."""
    known = {axis for port in (*diagram.inputs, *diagram.outputs) for axis in port.axes}
    for old, new in names.items():
        if old not in known:
            raise AxisError(f"rename: the interface of {diagram.name} has no axis {old!r}")
        if not is_axis_name(new):
            raise AxisError(f"rename: an axis name is an identifier, not {new!r}")

    def renamed(port: Port) -> Port:
        axes = tuple(names.get(axis, axis) for axis in port.axes)
        if len(set(axes)) != len(axes):
            raise AxisError(f"rename: {port.name!r} would have two axes of one name: {axes}")
        return port._replace(axes=axes)

    inputs = tuple(renamed(port) for port in diagram.inputs)
    hints = [port.axes for port in inputs] + diagram.hints[len(inputs) :]
    return Diagram(
        diagram.name,
        diagram.nodes,
        diagram.types,
        hints,
        inputs,
        tuple(renamed(port) for port in diagram.outputs),
        diagram.doc,
        diagram.symmetries,
        diagram.expanded,
    )


def over(
    diagram: Diagram,
    axes: str | Sequence[str],
    *,
    inputs: bool | Iterable[str] = True,
    parameters: bool | Iterable[str] = False,
    random: bool | Iterable[str] = True,
) -> Diagram:
    """The diagram in a tube: mapped over new axes, which come first in every interface order.

    `inputs`, `parameters` and `random` say which inputs, parameters and random sources gain
    the axes: all (True), none (False) or those named. A parameter without the axes is shared
    along them; a parameter with them is separate for each position.
    """
    new = ArrayType.parse(axes if isinstance(axes, str) else " ".join(axes))
    which_inputs = _selection(inputs, [port.name for port in diagram.inputs], "input")
    chosen = {
        *_selection(parameters, list(diagram.parameters), "parameter"),
        *_selection(random, list(diagram.randoms), "random source"),
    }
    types = []
    for port in diagram.inputs:
        known = diagram.port_type(port)
        if port.name in which_inputs:
            for axis in new:
                if axis in known:
                    raise AxisError(f"over: the input {port.name!r} has the axis {axis!r} already")
            known = ArrayType({**new.axes, **known.axes}, known.dtype)
        types.append((port.name, known))
    builder, wires_ = start(diagram.name, diagram.doc, types)
    uses = [
        (wire.id, _slots(wire, port.axes))
        for wire, port in zip(wires_, diagram.inputs, strict=True)
    ]
    tubes = {name: tuple(new.axes.items()) for name in chosen}
    return finish_as(builder, diagram, _graft_tubes(builder, diagram, uses, tubes), tuple(new))


def _graft_tubes(
    builder: Builder,
    diagram: Diagram,
    uses: list[Use],
    tubes: Mapping[str, tuple[tuple[str, Size], ...]],
) -> list[Use]:
    outputs = builder.graft(diagram, uses, tubes=tubes)
    for port, (_, labels) in zip(diagram.outputs, outputs, strict=True):
        if len(set(labels)) != len(labels):
            raise AxisError(f"over: the output {port.name!r} has one of the new axes already")
    return outputs


def _selection(choice: bool | Iterable[str], names: Sequence[str], what: str) -> list[str]:
    if choice is True:
        return list(names)
    if choice is False:
        return []
    wanted = choice.split() if isinstance(choice, str) else list(choice)
    for name in wanted:
        if name not in names:
            raise StructureError(f"over: no {what} is called {name!r}; there are {list(names)}")
    return wanted


def with_tubes(diagram: Diagram, tubes: Sequence[Sequence[str]]) -> Diagram:
    """The diagram with tubes of its own for each input; they come last in interface orders."""
    types = [
        (port.name, ArrayType({**known.axes, **{t: size(t) for t in row}}, known.dtype))
        for port, known, row in zip(
            diagram.inputs, diagram.input_types.values(), tubes, strict=True
        )
    ]
    builder, wires_ = start(diagram.name, diagram.doc, types)
    uses = [
        (wire.id, _slots(wire, port.axes))
        for wire, port in zip(wires_, diagram.inputs, strict=True)
    ]
    outputs = builder.graft(diagram, uses)
    ports = []
    for old, (wire, labels) in zip(diagram.outputs, outputs, strict=True):
        names = [str(label) for label in labels]
        extra = sorted((a for a in names if a not in old.axes), key=lambda a: int(a[1:]))
        order = [*old.axes, *extra]
        ports.append(Port(old.name, wire, tuple(order), tuple(names.index(a) for a in order)))
    return builder.finish(ports)


# -- composition by hand ----------------------------------------------------------------------


def sequential(first: Diagram, second: Diagram) -> Diagram:
    """`first >> second`: the outputs of one are the inputs of the other, in order.

    Their types must agree: axes by name, sizes, element types. Raises `TypeClash`.
    """
    if len(first.outputs) != len(second.inputs):
        raise TypeClash(
            f"{first.name} >> {second.name}: {len(first.outputs)} outputs meet "
            f"{len(second.inputs)} inputs"
        )
    for out, into in zip(first.outputs, second.inputs, strict=True):
        given, wanted = first.port_type(out), second.port_type(into)
        if given != wanted:
            raise TypeClash(
                f"{first.name} >> {second.name}: the output {out.name!r} is {given}, "
                f"the input {into.name!r} is {wanted}"
            )
    name = f"{first.name}_{second.name}"
    joined = _end_to_end(name, first, second)
    if joined is not None:
        return joined
    builder = Builder.resume(first)
    builder.name, builder.doc = name, ""
    uses: list[Use] = []
    for out, into in zip(first.outputs, second.inputs, strict=True):
        place_ = {
            slot: into.axes.index(axis) for axis, slot in zip(out.axes, out.slots, strict=True)
        }
        uses.append((out.wire, tuple(place_[slot] for slot in range(len(place_)))))
    return finish_as(builder, second, builder.graft(second, uses), ())


def _end_to_end(name: str, first: Diagram, second: Diagram) -> Diagram | None:
    """`first >> second` by renumbering alone, where no two boxes can turn out to be one.

    A box of the second half can equal one of the first only when both read the same wires. So
    this serves when no output of the first is read inside it, when the second has no sources
    and no identities to make fresh, when the seam keeps the order of wires and of axes (else
    canonical forms would change), and when every wire at the seam is used. None where it does
    not serve.
    """
    seam = [port.wire for port in first.outputs]
    count = len(second.inputs)
    if (
        any(a >= b for a, b in pairwise(seam))
        or any(port.slots != tuple(range(len(port.slots))) for port in first.outputs)
        or any(o.axes != i.axes for o, i in zip(first.outputs, second.inputs, strict=True))
        or first.symmetries
        or first.expanded
        or second.tokens
    ):
        return None
    read_before = {wire for node in first.nodes for wire in node.src}
    read_after = {wire for node in second.nodes for wire in node.src}
    read_after.update(port.wire for port in second.outputs)
    if not read_before.isdisjoint(seam) or not read_after.issuperset(range(count)):
        return None
    shift = len(first.types) - count
    moved = [*seam, *range(len(first.types), len(second.types) + shift)]
    nodes = first.nodes[:]
    for node in second.nodes[count:]:
        src = node.src
        if len(src) == 1:
            src = (moved[src[0]],)
        elif src:
            src = tuple([moved[wire] for wire in src])
        else:
            return None
        nodes.append(Node(node.box, src, node.first + shift))
    return Diagram(
        name,
        nodes,
        first.types + second.types[count:],
        first.hints + second.hints[count:],
        first.inputs,
        tuple([port._replace(wire=moved[port.wire]) for port in second.outputs]),
        "",
        {moved[wire]: turns for wire, turns in second.symmetries.items()},
        {moved[w]: (moved[source], at) for w, (source, at) in second.expanded.items()},
    )


def parallel(left: Diagram, right: Diagram) -> Diagram:
    """`left @ right`: side by side; names of the right side that are taken get a number."""
    taken: set[str] = set()
    types = []
    for diagram in (left, right):
        for port in diagram.inputs:
            name = fresh_name(port.name, taken)
            taken.add(name)
            types.append((name, diagram.port_type(port)))
    builder, wires_ = start(f"{left.name}_{right.name}", "", types)
    ports: list[Port] = []
    names: set[str] = set()
    at = 0
    for diagram in (left, right):
        own = wires_[at : at + len(diagram.inputs)]
        at += len(own)
        uses = [(wire.id, tuple(range(len(wire.names)))) for wire in own]
        for old, (wire, labels) in zip(diagram.outputs, builder.graft(diagram, uses), strict=True):
            name = fresh_name(old.name, names)
            names.add(name)
            slots = tuple(labels.index(axis) for axis in old.axes)
            ports.append(Port(name, wire, old.axes, slots))
    return builder.finish(ports)


def identity(*types: Any, **named: Any) -> Diagram:
    """The diagram that returns its inputs: `identity("n c")` or `identity(x="n c", y="m")`."""
    ports = {f"x{k}" if len(types) > 1 else "x": t for k, t in enumerate(types)} | named
    builder, wires_ = start(
        "identity", "", [(name, ArrayType.parse(type_)) for name, type_ in ports.items()]
    )
    return builder.diagram(**dict(zip(ports, wires_, strict=True)))


# -- folding and unfolding --------------------------------------------------------------------


def closed(diagram: Diagram) -> tuple[Diagram, list[Token]]:
    """The diagram with its parameters and random sources as inputs, and what those were."""
    tokens: list[Token] = [t for t, _ in diagram.tokens if isinstance(t, (Parameter, Draw))]
    if not tokens:
        return diagram, []
    return expose(diagram, tuple(token.name for token in tokens)), tokens


def expose(diagram: Diagram, names: Sequence[str]) -> Diagram:
    """Turn parameters or random sources into inputs; all parameters when none is named."""
    names = names or tuple(diagram.parameters)
    sources = {**diagram.parameters, **diagram.randoms}
    for name in names:
        if name not in sources:
            raise StructureError(f"{diagram.name} has no parameter or random source {name!r}")
    taken = {port.name for port in diagram.inputs}
    types = [(port.name, diagram.port_type(port)) for port in diagram.inputs]
    for name in names:
        plain = fresh_name(re.sub(r"\W", "_", name), taken)
        taken.add(plain)
        types.append((plain, sources[name]))
    builder, wires_ = start(diagram.name, diagram.doc, types)
    count = len(diagram.inputs)
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in wires_]
    given = dict(zip(names, uses[count:], strict=True))
    return finish_as(builder, diagram, builder.graft(diagram, uses[:count], given=given), ())


def fold(diagram: Diagram, name: str | None = None) -> Diagram:
    """A diagram of one named box, whose body is this diagram.

    Parameters and random sources become inputs of the box, by name and in order: so two equal
    diagrams whose parameters have other names fold into two boxes.
    """
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    inner = diagram
    if name is not None:
        inner = Diagram(
            name,
            diagram.nodes,
            diagram.types,
            diagram.hints,
            diagram.inputs,
            diagram.outputs,
            diagram.doc,
            diagram.symmetries,
            diagram.expanded,
        )
    results = _place_named(builder, inner, inputs)
    results = results if isinstance(results, tuple) else (results,)
    uses = [(wire.id, wire.names) for wire in results]
    return finish_as(builder, diagram, uses, ())


def unfold(diagram: Diagram, name: str | None = None, depth: int | None = None) -> Diagram:
    """Open the named boxes called `name` (all by default), `depth` levels (all by default)."""
    level = 0
    while depth is None or level < depth:
        if not any(opens_named(name)(diagram, node) for node in diagram.nodes):
            break
        diagram = reopen(diagram, opens_named(name))
        level += 1
    return diagram


def opens_named(name: str | None) -> Opens:
    """What opens the named boxes called `name`, or all of them."""

    def opens(diagram: Diagram, node: Node) -> Opening | None:
        if node.box.kind is not NAMED or (name is not None and node.box["name"] != name):
            return None
        body: Diagram = node.box["body"]
        return Opening(
            body,
            tuple(tuple(range(len(port.axes))) for port in body.inputs),
            tuple(tuple(range(len(port.axes))) for port in body.outputs),
            f"{node.box['token'].name}." if body.learners else "",
        )

    return opens


def reopen(diagram: Diagram, opens: Opens, free: Iterable[str] = ()) -> Diagram:
    """One level of openings; what is opened is not looked into again.

    What comes may take the names `free` of identities that go.
    """
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    kept = same_tokens(diagram)
    builder.token_names = dict.fromkeys(t.name for t in kept if t.name not in free)
    outputs = builder.graft(diagram, uses, replace=kept, opens=opens)
    return finish_as(builder, diagram, outputs, ())
