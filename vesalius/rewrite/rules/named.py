"""Named boxes are what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.schema import Opened, Part, Side, schema


@schema("equal", at=[NAMED])
def unfold_named(f: Part) -> Iterator[Opened]:
    """a named box = the diagram that it holds; its learners would be others, so it has none"""
    if f["token"] is None:
        yield f.open().rule(lambda side: _unfolded(side, f))


def _unfolded(side: Side, f: Part) -> tuple[Wire, ...]:
    body: Diagram = f["body"]
    taken, names = set(side.opened.names.values()), {}
    for axis in dict.fromkeys(a for p in (*body.inputs, *body.outputs) for a in p.axes):
        names[axis] = fresh_name(axis, taken)
        taken.add(names[axis])
    read = []
    for k, (wire, port) in enumerate(zip(side[f], body.inputs, strict=True)):
        own = [side.name(f, a) for a in f.box.bound if a in f.box.maps[k]]
        read.append(wire.rename(**{n: names[a] for n, a in zip(own, port.axes, strict=True)}))
    results = body.rename(**names)(*read)
    found = []
    for row, port, wire in zip(
        f.box.outs, body.outputs, results if isinstance(results, tuple) else (results,), strict=True
    ):
        made = [side.name(f, a) for a in row if f.makes(a)]
        found.append(wire.rename(**{names[a]: n for a, n in zip(port.axes, made, strict=True)}))
    return tuple(found)
