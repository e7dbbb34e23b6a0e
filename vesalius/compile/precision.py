"""Which floats are computed wider than a module's own type: those that follow from integers.

Positions are exact as integers, but bfloat16 does not tell 256 from 257, and an angle that is off
by one turns a rotary embedding into noise. What is computed from them alone, such as angles, waves
and distances, is therefore computed in float32 at least, and rounded where it meets other floats.
"""

from __future__ import annotations

from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.sources import INPUT, IOTA, PARAMETER, RANDOM
from vesalius.diagrams.graph import Diagram

_OPAQUE = frozenset({NAMED, SCAN, INPUT, PARAMETER, RANDOM})


def exact_floats(diagram: Diagram) -> frozenset[int]:
    """The wires of floats that follow from integers, with numbers, alone.

    Those are left out that are whole numbers still and that nothing else is computed from.
    """
    exact: set[int] = set()
    constant: set[int] = set()  # what follows from numbers that are written down
    for node in diagram.nodes:
        if node.box.kind in _OPAQUE:
            continue
        dtypes = {wire: diagram.types[wire].dtype for wire in (*node.src, *node.wires)}
        whole = any(dtypes[wire] == "int" and wire not in constant for wire in node.src)
        floats = [wire for wire in node.src if dtypes[wire] == "float"]
        if not all(wire in exact or wire in constant for wire in floats):
            continue
        if whole or any(wire in exact for wire in floats):
            exact.update(wire for wire in node.wires if dtypes[wire] == "float")
        elif all(wire in constant for wire in node.src) and node.box.kind is not IOTA:
            constant.update(node.wires)
    for node in diagram.nodes:
        if node.first in exact and node.box.kind is POINTWISE:
            users = {diagram.nodes[user].first for user, _ in diagram.consumers[node.first]}
            if node.box["function"].name == "to_float" and users.isdisjoint(exact):
                exact.discard(node.first)
    return frozenset(exact)
