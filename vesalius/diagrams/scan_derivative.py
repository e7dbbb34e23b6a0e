"""The derivative of a scan: a scan of the body's derivative, the other way round.

The scan is run once more, now keeping the states that each step started from. Then a second scan
goes back over the positions. It carries the cotangents of the states, and for each captured value
the sum so far of its cotangents; at each position it pulls back through the body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vesalius.diagrams.boxes.nested import port_tubes
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull


def scan_pullback(pull: Pull) -> Sequence[Wire | None]:
    """Cotangents for the initial states, the sequences and the captured values of a scan."""
    return _Back(pull).run()


@dataclass
class _Names:
    """How the axes of a scan's ports are called while the body is used: as the body calls them."""

    time: str
    tubes: dict[str, str]

    @classmethod
    def of(cls, pull: Pull, body: Diagram) -> _Names:
        taken = {axis for port in (*body.inputs, *body.outputs) for axis in port.axes}
        time = fresh_name("t", taken)
        taken.add(time)
        tubes: dict[str, str] = {}
        for name in (pull.names[a] for row in port_tubes(pull.box) for a in row):
            if name not in tubes:
                tubes[name] = fresh_name(name, taken)
                taken.add(tubes[name])
        return cls(time, tubes)


class _Back:
    def __init__(self, pull: Pull) -> None:
        box = pull.box
        self.pull = pull
        self.body: Diagram = box["body"]
        self.states, self.elements = box["states"], box["elements"]
        self.names = _Names.of(pull, self.body)
        self.inner = [self._inward(k, wire) for k, wire in enumerate(pull.inputs)]
        ports = self.body.inputs
        floats = [self.body.types[port.wire].dtype == "float" for port in ports]
        states, ends = self.states, self.states + self.elements
        self.carried = [k for k in range(states) if floats[k]]
        self.summed = [k for k in range(ends, len(ports)) if floats[k] and pull.wanted[k]]
        self.mapped = [k for k in range(states, ends) if floats[k] and pull.wanted[k]]
        # The stacked outputs that have a cotangent, by their number among the body's outputs.
        self.read = [
            j for j in range(states, len(self.body.outputs)) if pull.cotangents[j] is not None
        ]

    # -- names ------------------------------------------------------------------------------------

    def _map(self, port: int) -> dict[str, str]:
        """From the local names of the scan to those of the body, at an input port."""
        own = self.pull.bound_at(port)
        axes = (*self.body.inputs[port].axes, self.names.time)
        return {**self.names.tubes, **dict(zip(own, axes, strict=False))}

    def _inward(self, port: int, wire: Wire) -> Wire:
        names = self._map(port)
        return Wire(wire.builder, wire.id, tuple([names[name] for name in wire.names]))

    def _outward(self, port: int, wire: Wire) -> Wire:
        names = {inner: outer for outer, inner in self._map(port).items()}
        return Wire(wire.builder, wire.id, tuple([names[name] for name in wire.names]))

    def _cotangent(self, output: int) -> Wire | None:
        """The cotangent of an output of the scan, as the body calls its axes."""
        wire = self.pull.cotangents[output]
        if wire is None:
            return None
        axes = self.body.outputs[output].axes
        block = (self.names.time, *axes) if output >= self.states else axes
        whole = self.pull.outputs[output].names
        own = whole[len(whole) - len(block) :]
        names = {**self.names.tubes, **dict(zip(own, block, strict=True))}
        return Wire(wire.builder, wire.id, tuple([names[name] for name in wire.names]))

    # -- the two scans ----------------------------------------------------------------------------

    def run(self) -> Sequence[Wire | None]:
        from vesalius.diagrams import verbs

        box, states, ends = self.pull.box, self.states, self.states + self.elements
        time, sequences, captured = self.names.time, self.inner[states:ends], self.inner[ends:]
        length, reverse = box["length"], box["reverse"]
        traced = verbs.scan(
            _keeping_states(self.body, states),
            over=time,
            states=self.inner[:states],
            sequences=sequences,
            captured=captured,
            length=length,
            reverse=reverse,
        )
        begun = traced[len(self.body.outputs) :]
        body, count = self._backward_body(), len(self.carried)
        cotangents = [*map(self._begin, self.carried), *map(self._present, self.read)]

        def backwards() -> tuple[Wire, ...]:
            made: tuple[Wire, ...] = verbs.scan(
                body,
                over=time,
                states=[*cotangents[:count], *map(self._zero, self.summed)],
                sequences=[*begun, *sequences, *cotangents[count:]],
                captured=captured,
                length=length,
                reverse=not reverse,
            )
            return made

        back = backwards()
        tubes = {
            n: wire.axes[n] for wire in back for n in wire.names if n in self.names.tubes.values()
        }
        once = [_once(wire, tubes) for wire in cotangents]
        if once != cotangents:
            cotangents = once
            back = backwards()
        found: list[Wire | None] = [None] * len(self.inner)
        for port, wire in zip([*self.carried, *self.summed, *self.mapped], back, strict=True):
            found[port] = self._outward(port, wire)
        return found

    def _present(self, output: int) -> Wire:
        wire = self._cotangent(output)
        assert wire is not None
        return wire

    def _begin(self, state: int) -> Wire:
        given = self._cotangent(state)
        return self._zero(state) if given is None else given

    def _zero(self, port: int) -> Wire:
        """Zeros of the type that the body declares at an input port."""
        sizes = (self.pull.sizes[name] for name in self.pull.bound_at(port))
        return self.pull.zeros(dict(zip(self.body.inputs[port].axes, sizes, strict=False)))

    def _backward_body(self) -> Diagram:
        """One position backwards: from cotangents after the step to cotangents before it."""
        from vesalius.diagrams.derivative import pulled_back
        from vesalius.diagrams.trace import output_port

        body, ends = self.body, self.states + self.elements
        inputs, outputs = body.inputs, body.outputs
        builder = Builder(f"{body.name}_back")

        def given(letter: str, ports: Sequence[Port], chosen: Sequence[int]) -> list[Wire]:
            return [builder.input(f"{letter}{k}", body.port_type(ports[k])) for k in chosen]

        after, sums = given("c", outputs, self.carried), given("a", inputs, self.summed)
        begun = given("s", inputs, range(ends))
        stacked = given("g", outputs, self.read)
        captured = given("k", inputs, range(ends, len(inputs)))
        wrt = [*self.carried, *self.summed, *self.mapped]
        of = [outputs[j].name for j in (*self.carried, *self.read)]
        pulled = pulled_back(body, of, [inputs[k].name for k in wrt])
        with builder:
            found = pulled(*begun, *captured, *after, *stacked)
            found = list(found) if isinstance(found, tuple) else [found]
            first = len(self.carried)
            for i, total in enumerate(sums, first):
                found[i] = total + found[i]
        return builder.finish(
            [
                output_port(builder, f"d{k}", body.port_type(inputs[k]), wire)
                for k, wire in zip(wrt, found, strict=True)
            ]
        )


def _once(cotangent: Wire, tubes: Mapping[str, Size]) -> Wire:
    """A cotangent that is one for all of a tube, so that its sum over the tube is itself.

    Cotangents of other outputs may have tubes that one output lacks. What the scan pulls back
    is summed over them, and the one must not be counted once for each place.
    """
    from vesalius.diagrams import verbs

    for axis, length in tubes.items():
        if axis in cotangent.names:
            continue
        with cotangent.builder:
            place = verbs.iota(*ArrayType({axis: length}).words())
            cotangent = verbs.where(verbs.equal(place, 0), cotangent, 0.0)
    return cotangent


def _keeping_states(body: Diagram, states: int) -> Diagram:
    """The body, collecting the states that a step starts from as well."""
    taken = {port.name for port in body.outputs}
    kept = []
    for port in body.inputs[:states]:
        kept.append(port._replace(name=fresh_name(f"{port.name}_before", taken)))
        taken.add(kept[-1].name)
    return Diagram(
        body.name,
        body.nodes,
        body.types,
        body.hints,
        body.inputs,
        (*body.outputs, *kept),
        body.doc,
        body.symmetries,
        body.expanded,
    )
