"""Lengths to compare costs by, where nobody says how long an axis is.

What a size is for can be read off a diagram: lengths of parameters do not grow with the input,
channels stand last in all inputs, and batch and heads only run along: no box sums over them, makes
positions of them, or meets them in one of its factors alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.shape import EXPAND, LIKE
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

POSITIONS, CHANNELS, OUTER = 1024, 64, 8
LONGER = 4  # a device other than a CPU is used for longer inputs


def nominal(diagram: Diagram, device: str = "cpu") -> dict[str, int]:
    """A length for each size variable of a normalised diagram."""
    positions = POSITIONS if device == "cpu" else LONGER * POSITIONS
    lengths = dict.fromkeys(diagram.size_variables, positions)
    lengths.update(dict.fromkeys(outer(diagram), OUTER))
    lengths.update(dict.fromkeys(channels(diagram), CHANNELS))
    return lengths


def of_parameters(diagram: Diagram) -> frozenset[str]:
    """The size variables of the parameters of a diagram."""
    return _variables(size for type_ in diagram.parameters.values() for size in type_.axes.values())


def channels(diagram: Diagram) -> frozenset[str]:
    """The size variables that stand last in all inputs that have them."""
    axes = [list(diagram.port_type(port).axes.values()) for port in diagram.inputs]
    last = _variables(size for sizes in axes for size in sizes[-1:])
    return last - _variables(size for sizes in axes for size in sizes[:-1])


def outer(diagram: Diagram) -> frozenset[str]:
    """The size variables of axes that only run along."""
    inputs = [diagram.types[n.first].sizes for n in diagram.nodes if n.box.kind is INPUT]
    found = _variables(size for sizes in inputs for size in sizes)
    given = [False] * len(diagram.types)  # whether a wire hangs on an input
    for node in diagram.nodes:
        sizes = diagram.site(node).sizes
        given_here = node.box.kind is INPUT or any(given[wire] for wire in node.src)
        for wire in node.wires:
            given[wire] = given_here
        own = set(node.box.bound)
        if node.box.kind not in (INPUT, PARAMETER, EXPAND, LIKE):
            own.update(range(node.box.inner, node.box.rank))
        if node.box.kind is CONTRACT:
            rows = zip(node.src, node.box.maps, strict=True)
            factors = [row for wire, row in rows if given[wire] and row]
            if len(factors) > 1:
                met = [axis for row in factors for axis in row]
                own.update(axis for axis in met if met.count(axis) == 1)
        found -= _variables(sizes[axis] for axis in own)
    return found


def _variables(sizes: Iterable[Size]) -> frozenset[str]:
    return frozenset(name for size in sizes for name in size.variables)
