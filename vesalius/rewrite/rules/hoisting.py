"""Hoisting out of loops: what no step changes is computed once, before the loop.

Where a box is mapped over an axis that its inputs lack, nothing has to be hoisted: it is computed
once, as it has no such axis. A loop is different: its body is a diagram of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.refusals import reads
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.schema import Opened, Part, Side, schema


@schema("equal", at=[SCAN])
def hoist_out_of_scan(f: Part) -> Iterator[Opened]:
    """scan_t f(s, x_t, g(c)) = scan_t f(s, x_t, y), where y = g(c) is computed once"""
    body: Diagram = f["body"]
    fixed = _fixed(body, f["states"] + f["elements"])
    if fixed and not body.learners:
        yield f.open().rule(partial(_hoisted, f=f, fixed=fixed))


@diagram
def decaying(state: "c e", k: "c", v: "e", rate: "c") -> {"state": "c e", "sum": "e"}:  # type: ignore[misc]
    """One step of a memory whose decay is made from a learned rate."""
    state = state * vs.exp(-vs.softplus(rate)) + k * v
    return {"state": state, "sum": vs.sum(state, "c")}


@worked(hoist_out_of_scan)
def a_memory_that_decays(k: "n c", v: "n e", rate: "c") -> "n e":
    empty = vs.expand(0.0, "c e")
    return vs.scan(decaying, over="n", states=[empty], sequences=[k, v], captured=[rate])[1]


def _fixed(body: Diagram, first: int) -> list[int]:
    """Wires that depend on captured inputs alone and are read by something that does not.

    Captured inputs are those from number `first` on.
    """
    masks = reads(body, {port.name: 1 << k for k, port in enumerate(body.inputs)})
    changing = (1 << first) - 1
    fixed = {
        wire
        for node in body.boxes
        for wire in node.wires
        if masks[wire] and not masks[wire] & changing
    }
    wanted = {port.wire for port in body.outputs}
    for node in body.boxes:
        if not fixed.issuperset(node.wires):
            wanted.update(node.src)
    return sorted(fixed & wanted)


def _hoisted(side: Side, f: Part, fixed: Sequence[int]) -> tuple[Wire, ...]:
    first = f["states"] + f["elements"]
    axes = {a for port in (*f["body"].inputs, *f["body"].outputs) for a in port.axes}
    time = fresh_name("t", {*axes, *(a for w in fixed for a in f["body"].hints[w])})
    wires = [_as_read(side, f, port, wire, time) for port, wire in enumerate(side[f])]
    before, kept = _before(f["body"], first, fixed)
    made = before(*(wires[k] for k in kept))
    hoisted = list(made) if isinstance(made, tuple) else [made]
    body, kept = _after(f["body"], first, fixed)
    results = vs.scan(
        body,
        over=time,
        states=wires[: f["states"]],
        sequences=wires[f["states"] : first],
        captured=[*(wires[k] for k in kept), *hoisted],
        length=f["length"],
        reverse=f["reverse"],
    )
    return tuple(_as_made(side, f, output, wire, time) for output, wire in enumerate(results))


def _before(body: Diagram, first: int, fixed: Sequence[int]) -> tuple[Diagram, list[int]]:
    """What is computed once, and the captured inputs that it reads."""
    builder = Builder(f"before_{body.name}")
    kept = _read_by(body, fixed, first)
    seen = _inputs(builder, body, kept)
    _copy(builder, body, seen)
    ports = []
    for k, wire in enumerate(fixed):
        here, labels = seen[wire]
        names = tuple([body.hints[wire][slot] for slot in labels if isinstance(slot, int)])
        ports.append(Port(f"fixed{k}", here, names, tuple(range(len(names)))))
    return builder.finish(ports), kept


def _after(body: Diagram, first: int, fixed: Sequence[int]) -> tuple[Diagram, list[int]]:
    """The body that reads what was computed, and the captured inputs that it still reads."""
    ends = [port.wire for port in body.outputs]
    kept = _read_by(body, ends, first, frozenset(fixed))
    builder = Builder(body.name, body.doc)
    seen = _inputs(builder, body, [*range(first), *kept])
    taken = {body.inputs[k].name for k in (*range(first), *kept)}
    for wire in fixed:
        name = fresh_name("fixed", taken)
        taken.add(name)
        given = builder.input(name, body.wire_type(wire))
        seen[wire] = given.id, tuple(range(len(given.names)))
    _copy(builder, body, seen)
    ports = []
    for port in body.outputs:
        here, labels = seen[port.wire]
        slots = tuple([labels.index(slot) for slot in port.slots])
        ports.append(Port(port.name, here, port.axes, slots))
    return builder.finish(ports), kept


def _read_by(
    body: Diagram, ends: Sequence[int], first: int, given: frozenset[int] = frozenset()
) -> list[int]:
    """The captured inputs that some wires depend on, but for what is given."""
    needed, todo = set(given), [wire for wire in ends if wire not in given]
    while todo:
        wire = todo.pop()
        if wire not in needed:
            needed.add(wire)
            todo += body.nodes[body.owner[wire]].src
    return [k for k in range(first, len(body.inputs)) if body.inputs[k].wire in needed]


def _inputs(builder: Builder, body: Diagram, ports: Sequence[int]) -> dict[int, Use]:
    seen: dict[int, Use] = {}
    for k in ports:
        port = body.inputs[k]
        wire = builder.input(port.name, body.port_type(port))
        seen[port.wire] = wire.id, port.slots
    return seen


def _copy(builder: Builder, body: Diagram, seen: dict[int, Use]) -> None:
    """Copy the boxes of a body whose inputs are there; `seen` says what wires have become."""
    for node in body.boxes:
        if all(wire in seen for wire in node.wires) or any(w not in seen for w in node.src):
            continue
        box = node.box
        uses: list[Use] = []
        for wire, row in zip(node.src, box.maps, strict=True):
            here, labels = seen[wire]
            uses.append((here, tuple([row[x] for x in labels if isinstance(x, int)])))
        new: list[tuple[Label, Size]] = [(box.inner + k, size) for k, size in enumerate(box.new)]
        made = builder.add(box.kind, box.attrs, uses, box.bound, new)
        rows = zip(node.wires, made.wires, made.labels, box.outs, strict=True)
        for wire, here, axes, row in rows:
            slots = tuple([row.index(a) for a in axes if isinstance(a, int)])
            seen[wire] = here, slots
            if made.fresh:
                builder.hints[here] = tuple([body.hints[wire][slot] for slot in slots])


def _as_read(side: Side, f: Part, port: int, wire: Wire, time: str) -> Wire:
    """A wire that comes in, its axes called as the body calls them."""
    bound = [axis for axis in f.box.bound if axis in f.box.maps[port]]
    timed = f["states"] <= port < f["states"] + f["elements"]
    own = [*f["body"].inputs[port].axes, *([time] if timed else [])]
    return _renamed(wire, {side.name(f, a): n for a, n in zip(bound, own, strict=True)})


def _as_made(side: Side, f: Part, output: int, wire: Wire, time: str) -> Wire:
    """A wire that goes out, its axes called as the left side calls them."""
    own = [*([time] if output >= f["states"] else []), *f["body"].outputs[output].axes]
    row = f.box.outs[output]
    made = row[len(row) - len(own) :]
    return _renamed(wire, {n: side.name(f, a) for n, a in zip(own, made, strict=True)})


def _renamed(wire: Wire, names: Mapping[str, str]) -> Wire:
    changed = {old: new for old, new in names.items() if old != new}
    return wire.rename(**changed) if changed else wire
