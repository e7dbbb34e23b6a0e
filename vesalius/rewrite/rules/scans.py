"""Loops along an axis: what does not need one, what is a sum, what is few steps.

A scan is opened by calling its body with the axis of time as a tube.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.linear import ADD
from vesalius.diagrams.boxes.nested import SCAN, dependence
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.refusals import reads
from vesalius.rewrite.schema import Opened, Part, Side, schema

STEPS = 16  # a scan of more positions than these is not written out


class Loop:
    """A scan as the left side of a schema, its wires called as its body calls them.

    `time` is the axis along which it runs, by a name given or its own; `body` is its body, with
    names that meet none of its tubes.
    """

    def __init__(self, side: Side, part: Part, time: str = "") -> None:
        self.side, self.part = side, part
        body: Diagram = part["body"]
        self.states: int = part["states"]
        self.elements: int = part["elements"]
        box, first = part.box, self.states
        if part["elements"]:
            timed = [a for a in box.bound if a in box.maps[first]][-1:]
        else:
            timed = [self.made(j)[0] for j in range(first, len(body.outputs))][:1]
        taken = {side.name(part, axis) for axis in part.tubes}
        self.time = time or (side.name(part, timed[0]) if timed else fresh_name("t", taken))
        taken.add(self.time)
        names: dict[str, str] = {}
        for axis in (a for port in (*body.inputs, *body.outputs) for a in port.axes):
            if axis not in names:
                names[axis] = fresh_name(axis, taken)
                taken.add(names[axis])
        self.body = body.rename(**names)
        self.wires = [self._read(port, wire) for port, wire in enumerate(side[part])]

    def _own(self, port: int) -> list[str]:
        return [*self.body.inputs[port].axes, *([self.time] if self.timed(port) else [])]

    def _read(self, port: int, wire: Wire) -> Wire:
        box = self.part.box
        bound = [a for a in box.bound if a in box.maps[port]]
        own = zip(bound, self._own(port), strict=True)
        return renamed(wire, {self.side.name(self.part, a): n for a, n in own})

    def made(self, output: int) -> list[int]:
        """The axes that the scan makes for an output: time, where it is collected, then its own."""
        own = len(self.part["body"].outputs[output].axes) + (output >= self.states)
        row = self.part.box.outs[output]
        return list(row[len(row) - own :])

    @property
    def names(self) -> set[str]:
        """The axes of the body."""
        return {a for port in (*self.body.inputs, *self.body.outputs) for a in port.axes}

    @property
    def length(self) -> str:
        """How many positions there are, as it is written in a type."""
        return str(self.part["length"]).replace(" ", "")

    def timed(self, port: int) -> bool:
        """Whether a sequence comes in at a port."""
        return self.states <= port < self.states + self.elements

    def rest(self) -> list[tuple[int, Wire]]:
        """All that comes in but the states, by port."""
        return list(enumerate(self.wires))[self.states :]

    def run(self, wires: list[Wire]) -> list[Wire]:
        """The body on wires, with time or without."""
        results = self.body(*wires)
        return list(results) if isinstance(results, tuple) else [results]

    def collected(self, wires: list[Wire]) -> list[Wire]:
        """What the scan collects, from what its body reads at every position at once."""
        found = []
        for j, wire in enumerate(self.run(wires)[self.states :], self.states):
            whole = (
                wire if self.time in wire.names else vs.expand(wire, f"{self.time}:{self.length}")
            )
            found.append(self.written(j, whole))
        return found

    def written(self, output: int, wire: Wire) -> Wire:
        """An output of the body, with time, as the scan calls it."""
        timed = [self.time] if output >= self.states else []
        own = [*timed, *self.body.outputs[output].axes]
        made = zip(own, self.made(output), strict=True)
        return renamed(wire, {n: self.side.name(self.part, a) for n, a in made})


def renamed(wire: Wire, names: Mapping[str, str]) -> Wire:
    """The wire with other names for those of its axes that are named."""
    own = {old: new for old, new in names.items() if old in wire.names and old != new}
    return wire.rename(**own) if own else wire


@schema("equal", at=[SCAN])
def scan_without_state(f: Part) -> Iterator[Opened]:
    """scan_t f(s, x_t) = f(x_t) for every t at once, where f does not read the state"""
    states = (1 << f["states"]) - 1
    collected = dependence(f["body"])[f["states"] :]
    if collected and not any(mask & states for mask in collected):
        yield f.open().rule(partial(_at_once, f=f))


def _at_once(side: Side, f: Part) -> tuple[Wire, ...]:
    loop = Loop(side, f)
    return (*side.outputs[: loop.states], *loop.collected(loop.wires))


# -- sums -----------------------------------------------------------------------------------------


@schema("equal", at=[SCAN])
def prefix_of_scan(f: Part) -> Iterator[Opened]:
    """scan_t of s ↦ s + u(x_t): before position i the state is s₀ + Σ_{t < i} u(x_t)"""
    states = range(f["states"])
    if states and all(_increment(f["body"], k, f["states"]) is not None for k in states):
        yield f.open().rule(partial(_prefix, f=f))


def _increment(body: Diagram, state: int, states: int) -> Diagram | None:
    """What is added to a state at each step, where that is all that happens to it.

    None where a step does something else to it, or adds what depends on a state.
    """
    port, before = body.outputs[state], body.inputs[state]
    node = body.nodes[body.owner[port.wire]]
    if node.box.kind is not ADD:
        return None
    masks = reads(body, {p.name: 1 << k for k, p in enumerate(body.inputs)})
    row = node.box.outs[0]
    place = dict(zip((row[s] for s in port.slots), port.axes, strict=True))
    operands = list(zip(node.src, node.box.maps, strict=True))
    kept = [(w, m) for w, m in operands if w != before.wire]
    own = [m for w, m in operands if w == before.wire]
    names = [tuple(place[axis] for axis in (m[s] for s in before.slots)) for m in own]
    if names != [before.axes] or any(masks[w] & ((1 << states) - 1) for w, _ in kept):
        return None
    builder = Builder.resume(body)
    wires = [Wire(builder, w, tuple(place[axis] for axis in m)) for w, m in kept]
    return builder.diagram(out=vs.add(*wires))


def _prefix(side: Side, f: Part) -> tuple[Wire, ...]:
    loop = Loop(side, f)
    time, reads_ = loop.time, list(loop.wires)
    other = fresh_name(time, {time, *side.opened.names.values(), *loop.names})
    i, j = (vs.iota(f"{name}:{loop.length}") for name in (time, other))
    before = vs.less(i, j) if f["reverse"] else vs.less(j, i)
    finals = []
    for k in range(loop.states):
        increment = _increment(loop.body, k, loop.states)
        assert increment is not None
        start, step = loop.wires[k], increment(*loop.wires)
        step = step if time in step.names else vs.expand(step, f"{time}:{loop.length}")
        mask = vs.to_int(before) if step.dtype == "int" else vs.to_float(before)
        reads_[k] = start + vs.contract(mask, step.rename(**{time: other}), over=other)
        finals.append(loop.written(k, start + vs.sum(step, time)))
    return (*finals, *loop.collected(reads_))


# -- steps ----------------------------------------------------------------------------------------


@schema("equal", at=[SCAN])
def unroll_scan(f: Part) -> Iterator[Opened]:
    """scan_t f over n positions = f n times, for a number n"""
    steps = f["length"].constant
    if steps is not None and 0 < steps <= STEPS:
        yield f.open().rule(partial(_steps, f=f, steps=steps))


def _steps(side: Side, f: Part, steps: int) -> tuple[Wire, ...]:
    loop = Loop(side, f)
    now = loop.wires[: loop.states]
    rows: list[list[Wire]] = [[] for _ in loop.body.outputs[loop.states :]]
    for t in reversed(range(steps)) if f["reverse"] else range(steps):
        here = [_entry(wire, loop.time, t) if loop.timed(k) else wire for k, wire in loop.rest()]
        results = loop.run([*now, *here])
        now = results[: loop.states]
        for row, wire in zip(rows, results[loop.states :], strict=True):
            row.append(vs.expand(wire, f"{loop.time}:1"))
    finals = [loop.written(k, wire) for k, wire in enumerate(now)]
    for k, row in enumerate(rows, loop.states):
        parts = row[::-1] if f["reverse"] else row
        whole = vs.concat(*parts, over=loop.time) if steps > 1 else parts[0]
        finals.append(loop.written(k, whole))
    return tuple(finals)


def _entry(wire: Wire, axis: str, place: int) -> Wire:
    """One entry along an axis."""
    one = vs.slice(wire, axis, place, length=1)
    return vs.any(one, axis) if wire.dtype == "bool" else vs.sum(one, axis)
