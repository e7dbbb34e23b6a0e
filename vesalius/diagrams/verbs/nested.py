"""Verbs for boxes that hold, or will hold, a diagram; and for boxes of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.diagrams.box import Hole, Parameter, Token
from vesalius.diagrams.boxes.learner import LEARNER
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.own import OwnBox
from vesalius.diagrams.boxes.sources import PARAMETER, RANDOM
from vesalius.diagrams.builder import Builder, Label, Made
from vesalius.diagrams.errors import AxisError, SizeError, StructureError, TypeClash
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.diagrams.types import ArrayType, axis_names
from vesalius.diagrams.verbs.common import atomic, builder_of, handle, place, require_axis, wires
from vesalius.diagrams.wire import Operand, Wire


@atomic
def learner(name: str, *inputs: Operand, binds: str = "", into: str = "") -> Wire:
    """A learner: a hole for any function that binds these axes and makes those.

    `learner("score", q, k, binds="c", into="r")` binds `c` in each input that has it. Each
    call is another learner, but in a rule a name is one learner. Fill it with
    `diagram.fill(score=...)`.
    """
    given = wires("learner", *inputs)
    bound_names = axis_names(binds)
    for axis in bound_names:
        if not any(axis in wire.names for wire in given):
            raise AxisError(f"learner {name!r}: no input has the axis {axis!r}")
    new = ArrayType.parse(into)
    tubes = {axis for wire in given for axis in wire.names if axis not in bound_names}
    for axis in new:
        if axis in tubes:
            raise AxisError(f"learner {name!r}: an input already has the new axis {axis!r}")
    uses, bound, ports = [], [], []
    for k, wire in enumerate(given):
        own = [axis for axis in bound_names if axis in wire.names]
        ports.append(tuple(own))
        bound += [(k, axis) for axis in own]
        uses.append((wire.id, tuple((k, n) if n in own else n for n in wire.names)))
    builder = given[0].builder

    def fresh(name: str) -> Token:
        return Hole(name, tuple(ports), tuple(new))

    token = builder.identity(name, fresh, (LEARNER, tuple(ports), tuple(new.axes.items())))
    made = place(f"learner {name!r}", LEARNER, (token,), given, uses, bound, list(new.axes.items()))
    return handle(builder, made)


@atomic
def scan(
    body: Diagram,
    *,
    over: str,
    states: Mapping[str, Operand] | Sequence[Operand] = (),
    sequences: Mapping[str, Operand] | Sequence[Operand] = (),
    captured: Mapping[str, Operand] | Sequence[Operand] = (),
    length: SizeLike | None = None,
    reverse: bool = False,
) -> tuple[Wire, ...]:
    """Run `body` along the axis `over`, carrying states.

    The body's inputs are the states, then one entry of each sequence, then captured values
    that stay the same at each position; its outputs are the next states, then what is
    collected. Returns the final states, then the collected outputs with the axis `over`.
    Arguments may be given by the names of the body's inputs. The body's own parameters are
    shared by all positions. `length` is needed only when there is no sequence.
    """
    from vesalius.diagrams.call import promoted, unify
    from vesalius.diagrams.interface import closed

    a_diagram("scan", body)
    values = _scan_arguments(body, [states, sequences, captured])
    builder = builder_of(values)
    in_time = range(len(states), len(states) + len(sequences))
    given = promoted(body, wires("scan", *values))
    time = _scan_length([given[k] for k in in_time], over, length)
    # Sizes are matched before parameters are lifted out, which get them from the body.
    body = unify("scan", body, given, dict.fromkeys(in_time, over))
    _check_states(body, len(states))
    body, lifted = closed(body)
    given += lifted_wires(builder, body, lifted, len(given), f"{body.name}.")
    uses, bound = [], []
    for k, (wire, port) in enumerate(zip(given, body.inputs, strict=True)):
        own = set(port.axes)
        labels: list[Label] = []
        for name in wire.names:
            if name in own:
                labels.append((k, name))
            elif k in in_time and name == over:
                labels.append((k, "time"))
            else:
                labels.append(name)
        uses.append((wire.id, tuple(labels)))
        bound += [(k, axis) for axis in port.axes]
        if k in in_time:
            bound.append((k, "time"))
    new: list[tuple[Any, Size]] = []
    for j, port in enumerate(body.outputs):
        if j >= len(states):
            new.append(((j, over), time))
        new += [((j, axis), length_) for axis, length_ in body.port_type(port).axes.items()]
    token = Hole(builder.free_name(body.name)) if body.learners else None
    attrs = (body, len(states), len(sequences), time, bool(reverse), token)
    made = place("scan", SCAN, attrs, given, uses, bound, new)
    return tuple(output_wire("scan", builder, made, j) for j in range(len(body.outputs)))


def _scan_arguments(
    body: Diagram, groups: Sequence[Mapping[str, Operand] | Sequence[Operand]]
) -> list[Operand]:
    """The arguments in the order of the body's inputs, however each group was given."""
    names = [port.name for port in body.inputs]
    values: list[Operand] = []
    for group in groups:
        if isinstance(group, Mapping):
            want = names[len(values) : len(values) + len(group)]
            if set(group) != set(want):
                raise StructureError(f"scan: the body's inputs here are {want}, not {list(group)}")
            values += [group[name] for name in want]
        else:
            values += list(group)
    if len(values) != len(names):
        raise StructureError(
            f"scan: the body has {len(names)} inputs, {len(values)} arguments were given"
        )
    return values


def _scan_length(sequences: Sequence[Wire], over: str, length: SizeLike | None) -> Size:
    """How many positions there are: as long as every sequence, or as was said."""
    time = None if length is None else size(length)
    for wire in sequences:
        have = require_axis("scan", wire, over)
        if time is not None and have != time:
            raise SizeError(f"scan: sequences of length {time} and {have} along {over!r}")
        time = have
    if time is None:
        raise SizeError("scan: without a sequence, say length=")
    return time


def _check_states(body: Diagram, states: int) -> None:
    for k in range(states):
        before, after = body.port_type(body.inputs[k]), body.port_type(body.outputs[k])
        if before != after or body.inputs[k].axes != body.outputs[k].axes:
            raise TypeClash(
                f"scan: the state {body.inputs[k].name!r} goes in as {before} and comes out "
                f"as {after}; both must be one type, axes in one order"
            )


def output_wire(verb: str, builder: Builder, made: Made, output: int) -> Wire:
    """The handle on an output whose new axes are labelled (output, name)."""
    labels = made.labels[output]
    names = tuple(x[1] if isinstance(x, tuple) else str(x) for x in labels)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AxisError(f"{verb}: a tube and an axis of the result are both called {twice!r}")
    if made.fresh:
        builder.hints[made.wires[output]] = names
    return Wire(builder, made.wires[output], names)


def lifted_wires(
    builder: Builder, body: Diagram, lifted: Sequence[Token], first: int, prefix: str
) -> list[Wire]:
    """Fresh parameters and draws for what a body lifted out, one wire each."""
    found = []
    for token, port in zip(lifted, body.inputs[first:], strict=True):
        kind = PARAMETER if isinstance(token, Parameter) else RANDOM
        fresh = token.fresh(builder.free_name(prefix + token.name), {})
        axes = list(body.port_type(port).axes.items())
        found.append(handle(builder, builder.add(kind, (fresh,), (), (), axes)))
    return found


def own_length(length: Size, lengths: Mapping[str, Size]) -> Size:
    """A declared size in terms of the wires' sizes; a bare axis is looked up, which is quick."""
    name = length.variable
    return lengths[name] if name is not None else length.substitute(lengths)


@atomic
def place_own(own: OwnBox, operands: Sequence[Operand], axes: Mapping[str, str]) -> Any:
    """Put a box of the user's on wires; see `OwnBox.__call__`."""
    name = own.kind.name
    given = wires(name, *operands)
    if len(given) != len(own.inputs):
        raise TypeClash(f"{name} takes {len(own.inputs)} inputs, not {len(given)}")
    declared = list(dict.fromkeys(axis for one in own.inputs for axis in one.axes))
    outgoing = [axis for one in own.outputs for axis in one.axes]
    for axis in axes:
        if axis not in declared and axis not in outgoing:
            raise AxisError(f"{name} declares no axis {axis!r}")
    host = {axis: axes.get(axis, axis) for axis in [*declared, *outgoing]}
    lengths: dict[str, Size] = {}
    uses = []
    for wire, one in zip(given, own.inputs, strict=True):
        if wire.dtype != one.dtype and not (one.dtype == "float" and wire.dtype == "int"):
            raise TypeClash(f"{name} takes {one.dtype}, not {wire.dtype}")
        own_names = {}
        for axis in one.axes:
            length = require_axis(name, wire, host[axis])
            if lengths.setdefault(axis, length) != length:
                raise SizeError(f"{name}: the axis {axis!r} has sizes {lengths[axis]}, {length}")
            own_names[host[axis]] = ("bound", axis)
        uses.append((wire.id, tuple(own_names.get(n, n) for n in wire.names)))
    new: list[tuple[Any, Size]] = []
    for j, one in enumerate(own.outputs):
        for axis, length in one.axes.items():
            new.append(((j, host[axis]), own_length(length, lengths)))
    bound = [("bound", axis) for axis in declared]
    made = place(name, own.kind, (), given, uses, bound, new)
    results = tuple(output_wire(name, given[0].builder, made, j) for j in range(len(own.outputs)))
    return results[0] if len(results) == 1 else results
