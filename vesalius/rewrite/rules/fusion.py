"""Loops along one axis become one loop: what they read and what reads them moves inside.

What is computed for every position at once is then never held for all of them: of the scores of
n queries and m keys, only those of the moment exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.verbs.common import builder_of, handle
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.scans import Loop, renamed
from vesalius.rewrite.schema import Opened, Part, Side, schema


class Given(NamedTuple):
    """What a body reads: a wire, and which of its axes the body declares. Others are tubes.

    It is a `state`, or `read` one by one along time, or `kept` the same.
    """

    wire: Wire
    axes: tuple[str, ...]
    role: str
    name: str


def _given(wire: Wire, inside: set[str], time: str) -> Given:
    """What a box reads that moves into a body: of its axes, those that meet something there.

    They stand in the order of their names: the order in a wire may hang on how it was made.
    """
    role = "read" if time in wire.names else "kept"
    return Given(wire, tuple(sorted((set(wire.names) & inside) - {time})), role, "x")


def _inputs(loop: Loop, inside: set[str]) -> list[Given]:
    """What the body of a loop reads, some tubes of it declared: those that meet something inside.

    A state has from the beginning the tubes that it gets in the end.
    """
    final = loop.side.made(loop.part)
    found = []
    for k, (wire, port) in enumerate(zip(loop.wires, loop.body.inputs, strict=True)):
        role = "state" if k < loop.states else "read" if loop.timed(k) else "kept"
        if role == "state":
            missing = {a: s for a, s in final[k].axes.items() if a in inside - set(wire.names)}
            words = [f"{a}:{str(length).replace(' ', '')}" for a, length in missing.items()]
            wire = vs.expand(wire, " ".join(words)) if words else wire
        more = sorted((set(wire.names) & inside) - {*port.axes, loop.time})
        found.append(Given(wire, (*port.axes, *more), role, port.name))
    return found


def _constants(f: Part, ports: Sequence[int]) -> list[int]:
    """Those of the ports of a box at which a number stands: it goes along."""
    return [p for p in ports if f.below(p).kind is CONSTANT and not f.below(p).box.rank]


def _number(part: Part) -> Wire:
    """A number, in the body that is being built."""
    builder = builder_of(())
    return handle(builder, builder.add(CONSTANT, part.box.attrs, (), (), ()))


def _run(
    like: Part, time: str, given: Sequence[Given], step: Callable[[list[Wire]], Sequence[Wire]]
) -> tuple[Wire, ...]:
    """A scan of the same length and direction as another.

    Its body is what `step` makes of the wires given, in their order, as a body reads them.
    """
    order = [k for role in ("state", "read", "kept") for k, g in enumerate(given) if g.role == role]
    inner = Builder(like["body"].name)
    wires: dict[int, Wire] = {}
    taken: set[str] = set()
    for k in order:
        wire, axes, _, name = given[k]
        name = fresh_name(name, taken)
        taken.add(name)
        wires[k] = inner.input(name, ArrayType({a: wire.axes[a] for a in axes}, wire.dtype))
    with inner:
        results = step([wires[k] for k in range(len(given))])
    states = [g for g in given if g.role == "state"]
    ports = []
    for j, wire in enumerate(results):
        axes = states[j].axes if j < len(states) else wire.names
        type_ = ArrayType({a: wire.axes[a] for a in axes}, wire.dtype)
        ports.append(output_port(inner, f"y{j}", type_, wire))
    return vs.scan(
        inner.finish(ports),
        over=time,
        states=[g.wire for g in states],
        sequences=[g.wire for g in given if g.role == "read"],
        captured=[g.wire for g in given if g.role == "kept"],
        length=like["length"],
        reverse=like["reverse"],
    )


# -- what a loop reads ----------------------------------------------------------------------------


@schema("equal", at=[SCAN])
def compute_in_the_loop(f: Part) -> Iterator[Opened]:
    """scan_t step(s, f(x)_t) = scan_t step(s, f(x_t)): what a loop reads is computed as it comes"""
    for port in range(f["states"], f["states"] + f["elements"]):
        below = f.below(port)
        if not below.node.src or below.kind is SCAN or len(below.box.outs) != 1:
            continue
        time = [a for a in f.box.bound if a in f.box.maps[port]][-1]
        if f.origin(port, time) in below.box.tubes:
            numbers = _constants(below, range(len(below.node.src)))
            opened = f.open(port).open(below, *numbers)
            yield opened.rule(partial(_computed_within, f=f, port=port, numbers=numbers))


def _computed_within(side: Side, f: Part, port: int, numbers: Sequence[int]) -> tuple[Wire, ...]:
    loop, below = Loop(side, f), f.below(port)
    bound = [side.name(f, a) for a in f.box.bound if a in f.box.maps[port]]
    names = dict(zip(bound, (*loop.body.inputs[port].axes, loop.time), strict=True))
    inside = {side.name(below, a) for a in below.box.bound} | set(bound[:-1])
    timed = [renamed(wire, {bound[-1]: loop.time}) for wire in side[below]]
    operands = {
        p: _given(wire, inside, loop.time) for p, wire in enumerate(timed) if p not in numbers
    }
    # What the box makes, and the body does not declare, is a tube of the body from now on.
    new = {side.name(below, a) for a in range(below.box.inner, below.box.rank)} - set(bound)
    rest = [g for k, g in enumerate(_inputs(loop, new)) if k != port]

    def step(wires: list[Wire]) -> list[Wire]:
        olds, mine = wires[: len(rest)], dict(zip(operands, wires[len(rest) :], strict=True))
        mine |= {p: _number(below.below(p)) for p in numbers}
        (made,) = side.call(below, *(mine[p] for p in range(len(timed))))
        return loop.run([*olds[:port], renamed(made, names), *olds[port:]])

    results = _run(f, loop.time, [*rest, *operands.values()], step)
    return tuple(loop.written(j, wire) for j, wire in enumerate(results))


# -- what reads a loop ----------------------------------------------------------------------------


@schema("equal", below=[SCAN])
def read_in_the_loop(f: Part) -> Iterator[Opened]:
    """f(scan_t step(s, x_t), y_t) = scan_t f(step(s, x_t), y_t): what comes is used at once

    Where f reads several loops along one axis, they become one.
    """
    if f.kind is SCAN:
        return
    for time, ports in f.tubes.items():
        loops = [p for p in ports if _collected_along(f, p, time)]
        alike = {(f.below(p)["length"], f.below(p)["reverse"]) for p in loops}
        if loops and len(alike) == 1:
            numbers = _constants(f, [p for p in range(len(f.node.src)) if p not in loops])
            opened = f.open(*loops, *numbers)
            yield opened.rule(partial(_read_within, f=f, time=time, ports=loops, numbers=numbers))


def _collected_along(f: Part, port: int, time: int) -> bool:
    """Whether a port reads what a scan collects, along this axis of the box."""
    scan, output = f.below(port), f.output(port)
    if scan.kind is not SCAN or output < scan["states"]:
        return False
    row = scan.box.outs[output]
    own = len(scan["body"].outputs[output].axes) + 1
    made: bool = f.origin(port, time) == row[len(row) - own]
    return made


def _read_within(
    side: Side, f: Part, time: int, ports: Sequence[int], numbers: Sequence[int]
) -> tuple[Wire, ...]:
    loops: dict[int, Loop] = {}  # by the scan's node
    for port in ports:
        scan, first = f.below(port), next(iter(loops.values()), None)
        if scan.index not in loops:
            loops[scan.index] = Loop(side, scan, first.time if first else "")
    moment = next(iter(loops.values())).time
    inside = {side.name(f, a) for a in f.box.bound}
    for port in ports:
        loop = loops[f.below(port).index]
        inside |= {side.name(loop.part, a) for a in loop.made(f.output(port))[1:]}
    now = {side.name(f, time): moment}
    others = {
        p: _given(renamed(wire, now), inside, moment)
        for p, wire in enumerate(side[f])
        if p not in (*ports, *numbers)
    }
    given = {index: _inputs(loop, inside) for index, loop in loops.items()}

    def step(wires: list[Wire]) -> list[Wire]:
        at = 0
        states: list[Wire] = []
        made: dict[int, list[Wire]] = {}
        for index, loop in loops.items():
            results = loop.run(wires[at : at + len(loop.wires)])
            at += len(loop.wires)
            states += results[: loop.states]
            made[index] = [loop.written(j, wire) for j, wire in enumerate(results)]
        operands = dict(zip(others, wires[at:], strict=True))
        operands |= {p: _number(f.below(p)) for p in numbers}
        for port in ports:
            operands[port] = made[f.below(port).index][f.output(port)]
        return [*states, *side.call(f, *(operands[p] for p in range(len(f.node.src))))]

    inputs = [g for row in given.values() for g in row]
    like = next(iter(loops.values())).part
    results = _run(like, moment, [*inputs, *others.values()], step)
    count = sum(loop.states for loop in loops.values())
    return tuple(renamed(wire, {moment: side.name(f, time)}) for wire in results[count:])
