"""Loops along an axis: what does not need one, and what moves into one.

A scan is opened by calling its body with the axis of time as a tube.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vesalius.diagrams.boxes.nested import SCAN, dependence
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.schema import Opened, Part, Side, schema


class Loop:
    """A scan as the left side of a schema, its wires called as its body calls them.

    `time` is the axis along which it runs, `body` its body, with names that meet no others.
    """

    def __init__(self, side: Side, part: Part) -> None:
        self.side, self.part = side, part
        body: Diagram = part["body"]
        self.states: int = part["states"]
        self.elements: int = part["elements"]
        taken = set(side.opened.names.values())
        names: dict[str, str] = {}
        for axis in (a for port in (*body.inputs, *body.outputs) for a in port.axes):
            if axis not in names:
                names[axis] = fresh_name(axis, taken)
                taken.add(names[axis])
        box, first = part.box, self.states
        if part["elements"]:
            timed = [a for a in box.bound if a in box.maps[first]][-1:]
        else:
            timed = [self._made(j)[0] for j in range(first, len(body.outputs))][:1]
        self.time = side.name(part, timed[0]) if timed else fresh_name("t", taken)
        self.body = body.rename(**names)
        self.wires = [self._read(port, wire) for port, wire in enumerate(side[part])]

    def _own(self, port: int) -> list[str]:
        timed = self.states <= port < self.states + self.elements
        return [*self.body.inputs[port].axes, *([self.time] if timed else [])]

    def _read(self, port: int, wire: Wire) -> Wire:
        box = self.part.box
        bound = [a for a in box.bound if a in box.maps[port]]
        names = {
            self.side.name(self.part, a): n for a, n in zip(bound, self._own(port), strict=True)
        }
        return wire.rename(**names) if names else wire

    def _made(self, output: int) -> list[int]:
        """The axes that the scan makes for an output: time, where it is collected, then its own."""
        own = len(self.part["body"].outputs[output].axes) + (output >= self.states)
        row = self.part.box.outs[output]
        return list(row[len(row) - own :])

    def written(self, output: int, wire: Wire) -> Wire:
        """An output of the body, with time, as the scan calls it."""
        timed = [self.time] if output >= self.states else []
        own = [*timed, *self.body.outputs[output].axes]
        made = self._made(output)
        names = {n: self.side.name(self.part, a) for n, a in zip(own, made, strict=True)}
        return wire.rename(**names) if names else wire


@schema("equal", at=[SCAN])
def scan_without_state(f: Part) -> Iterator[Opened]:
    """scan_t f(s, x_t) = f(x_t) for every t at once, where f does not read the state"""
    states = (1 << f["states"]) - 1
    collected = dependence(f["body"])[f["states"] :]
    if collected and not any(mask & states for mask in collected):
        yield f.open().rule(partial(_at_once, f=f))


def _at_once(side: Side, f: Part) -> tuple[Wire, ...]:
    loop = Loop(side, f)
    results = loop.body(*loop.wires)
    results = results if isinstance(results, tuple) else (results,)
    final = side.outputs[: loop.states]
    rest = [loop.written(j, results[j]) for j in range(loop.states, len(results))]
    return (*final, *rest)
