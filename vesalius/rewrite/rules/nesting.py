"""Nesting: products of products and sums of sums, flattened and taken apart.

Every order of evaluation of a contraction is reached by these two: flatten it, then group two
operands at a time. Which order costs least is a question of sizes (opt_einsum's question), not
of rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.schema import Opened, Part, Side, schema


@schema("equal", at=[CONTRACT, ADD], below=[CONTRACT, ADD])
def flatten_nested(f: Part) -> Iterator[Opened]:
    """Σ_B x·(Σ_J y·z) = Σ_BJ x·y·z, where x does not depend on J; x + (y + z) = x + y + z"""
    for port in range(len(f.node.src)):
        if f.below(port).kind is f.kind:
            yield f.open(port).rule(partial(_flat, f=f, port=port))


def _flat(side: Side, f: Part, port: int) -> Wire:
    inner = f.below(port)
    rest = [wire for p, wire in enumerate(side[f]) if p != port]
    bound = [*_bound(side, f), *_bound(side, inner)]
    return _joined(f, [*rest, *side[inner]], bound)


@schema("equal", at=[CONTRACT, ADD])
def group_operands(f: Part) -> Iterator[Opened]:
    """Σ_BJ x·y·z = Σ_B x·(Σ_J y·z), where only y and z depend on J; x + y + z = x + (y + z)"""
    ports = range(len(f.node.src))
    if len(ports) > 2:
        for pair in combinations(ports, 2):
            yield f.open().rule(partial(_grouped, f=f, ports=pair))
    for port in ports:
        if len(ports) > 1 and _alone(f, (port,)):
            yield f.open().rule(partial(_grouped, f=f, ports=(port,)))


def _grouped(side: Side, f: Part, ports: Sequence[int]) -> Wire:
    wires = side[f]
    alone = [side.name(f, axis) for axis in _alone(f, ports)]
    rest = [axis for axis in _bound(side, f) if axis not in alone]
    first = _joined(f, [wires[p] for p in ports], alone)
    return _joined(f, [*(w for p, w in enumerate(wires) if p not in ports), first], rest)


def _alone(f: Part, ports: Sequence[int]) -> list[int]:
    """The axes that a box sums and that only these ports carry."""
    other = {axis for p, row in enumerate(f.box.maps) if p not in ports for axis in row}
    return [axis for axis in f.box.bound if axis not in other]


def _bound(side: Side, part: Part) -> list[str]:
    return [side.name(part, axis) for axis in part.box.bound]


def _joined(f: Part, wires: Sequence[Wire], bound: Sequence[str]) -> Wire:
    return vs.add(*wires) if f.kind is ADD else vs.contract(*wires, over=bound)
