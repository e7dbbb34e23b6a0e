"""`module.tap("weights")`: further wires as outputs, by the names that a person would give them."""

from __future__ import annotations

from collections.abc import Iterable

from vesalius.compile.layout import layout
from vesalius.compile.names import base_names, fresh
from vesalius.compile.normalise import normalise
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name

_UNSPOKEN = ("parameter", "constant", "random")


def wires(diagram: Diagram) -> dict[str, int]:
    """The wires of an opened diagram by name: `scores`, `weights`, `weights_2`, …"""
    found: dict[str, int] = {}
    for wire, name in enumerate(base_names(diagram, {})):
        kind = diagram.nodes[diagram.owner[wire]].box.kind.name
        if wire >= len(diagram.inputs) and kind not in _UNSPOKEN:
            found[fresh(name, found)] = wire
    return found


def tapped(diagram: Diagram, names: Iterable[str]) -> Diagram:
    """The diagram, opened, with further outputs behind its own: the wires of these names.

    It is read in normal form, so that weights are there however a softmax was spelled. Raises
    `StructureError` for a name that no wire has.
    """
    opened = normalise(diagram.unfold())
    known = wires(opened)
    ports = list(opened.outputs)
    sides = ([p.slots for p in opened.inputs], [p.slots for p in opened.outputs])
    orders = layout(opened, *sides)
    for name in names:
        if name not in known:
            raise StructureError(
                f"tap({name!r}): {diagram.name} has no wire of that name; it has {', '.join(known)}"
            )
        wire = known[name]
        axes: list[str] = []
        for hint in opened.hints[wire]:
            axes.append(fresh_name(hint or "a", axes))
        slots = orders[wire]  # axes as the text has them that makes the array
        taken = [port.name for port in ports]
        order = tuple([axes[slot] for slot in slots])
        ports.append(Port(fresh_name(name, taken), wire, order, slots))
    return Diagram(
        opened.name,
        opened.nodes,
        opened.types,
        opened.hints,
        opened.inputs,
        tuple(ports),
        opened.doc,
        opened.symmetries,
        opened.expanded,
    )
