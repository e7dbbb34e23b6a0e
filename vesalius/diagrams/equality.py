"""When two diagrams are equal, and a hash that equal diagrams share.

Diagrams are maximally shared, so equality is this: copy one into a builder that holds the
other, with inputs and identities (parameters, draws, learners) identified; the two are equal
exactly when nothing new is made and the outputs land on the same wires. Which identity stands
for which is guessed by name, then searched among those that look alike, boundedly
(`vesalius.diagrams.pairing`).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from vesalius.diagrams.box import Token
from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.pairing import pairings

ASSIGNMENTS = 120  # how many ways to pair identities are tried before giving up


def equal(a: Diagram, b: Diagram) -> bool:
    """Whether two diagrams are the same up to wires, bound axes, operand order, token names."""
    if len(a.nodes) != len(b.nodes) or not _same_interface(a, b):
        return False
    if _same_as_written(a, b):
        return True
    return identified(a, b) is not None


def identified(a: Diagram, b: Diagram) -> dict[Token, Token] | None:
    """For each identity of `b` the one of `a` that it stands for; None for unequal diagrams."""
    if len(a.nodes) != len(b.nodes) or not _same_interface(a, b) or hash(a) != hash(b):
        return None
    return next((p for p in islice(pairings(a, b), ASSIGNMENTS) if _lands(a, b, p)), None)


def _same_interface(a: Diagram, b: Diagram) -> bool:
    def faces(d: Diagram) -> list[Any]:
        return [(p.name, p.axes, d.port_type(p)) for p in (*d.inputs, *d.outputs)]

    return (len(a.inputs), faces(a)) == (len(b.inputs), faces(b))


def _same_as_written(a: Diagram, b: Diagram) -> bool:
    """The fast path: node by node the same, identities paired as they come."""
    pairs: dict[Token, Token] = {}
    for x, y in zip(a.nodes, b.nodes, strict=True):
        if x.src != y.src:
            return False
        if x.box is not y.box and x.box != y.box and not _same_but_tokens(x, y, pairs):
            return False
    if len(set(pairs.values())) < len(pairs):
        return False
    ends = zip(a.outputs, b.outputs, strict=True)
    return all((p.wire, p.slots) == (q.wire, q.slots) for p, q in ends)


def _same_but_tokens(x: Node, y: Node, pairs: dict[Token, Token]) -> bool:
    one, two = x.box, y.box
    if (one.kind, one.maps, one.bound, one.new) != (two.kind, two.maps, two.bound, two.new):
        return False
    for s, t in zip(one.attrs, two.attrs, strict=True):
        if isinstance(s, Token) and isinstance(t, Token):
            if s.describe() != t.describe() or pairs.setdefault(s, t) is not t:
                return False
        elif s != t:
            return False
    return True


# -- hashes --------------------------------------------------------------------------------------


def _attribute(value: Any) -> Any:
    return value.describe() if isinstance(value, Token) else value


def _upward(diagram: Diagram) -> list[int]:
    """A hash of each wire from what it is computed from; blind to names, slots and order."""
    found: list[int] = []
    for k, node in enumerate(diagram.nodes):
        box = node.box
        below = [found[wire] for wire in node.src]
        if len(below) > 1 and box.kind.commutes(box.attrs):
            below.sort()
        attrs = tuple(_attribute(value) for value in box.attrs)
        base = hash((box.kind.name, attrs, box.inner, len(box.bound), box.new, tuple(below)))
        if k < len(diagram.inputs):
            base = hash((k, box.new))
        found.extend(hash((base, j)) for j in range(len(box.outs)))
    return found


def invariant(diagram: Diagram) -> int:
    """A hash that equal diagrams share; different diagrams may share it too."""
    up = _upward(diagram)
    ends = tuple((p.name, p.axes, up[p.wire]) for p in diagram.outputs)
    return hash((tuple((p.name, p.axes) for p in diagram.inputs), ends))


def _lands(a: Diagram, b: Diagram, pairing: dict[Token, Token]) -> bool:
    builder = Builder.resume(a)
    uses = [(port.wire, tuple(range(len(port.axes)))) for port in a.inputs]
    outputs = builder.graft(b, uses, replace=pairing)
    if len(builder.nodes) != len(a.nodes):
        return False
    return all(_same_use(a, port, use) for port, use in zip(a.outputs, outputs, strict=True))


def _same_use(diagram: Diagram, port: Port, use: Use) -> bool:
    wire, labels = use
    if wire != port.wire:
        return False
    names = dict(zip(port.slots, port.axes, strict=True))
    wanted = tuple(names[slot] for slot in range(len(names)))
    turns = diagram.symmetries.get(wire, ())
    return wanted == labels or any(tuple(labels[i] for i in turn) == wanted for turn in turns)
