"""Another topological order of a diagram, where a match needs one.

Outputs of a match that share a box of the right side need all that it reads, which in the
host may come later. The host is then copied in an order in which everything comes in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram, Node


def reordered(host: Diagram, first: Mapping[int, Iterable[int]]) -> tuple[Diagram, list[int]]:
    """The diagram with nodes in an order in which `first[k]` come before node k.

    Returns it with the place of each old node. Otherwise the order is kept where it can be.
    """
    needs = [{host.owner[wire] for wire in node.src} for node in host.nodes]
    for k, others in first.items():
        needs[k] |= set(others) - {k}
    inputs = len(host.inputs)
    readers: list[list[int]] = [[] for _ in needs]
    for k, others in enumerate(needs):
        for other in others:
            readers[other].append(k)
    count = [len(others) for others in needs]
    ready = [k for k, number in enumerate(count) if not number and k >= inputs]
    heapify(ready)
    order = list(range(inputs))
    for k in range(inputs):
        _release(k, readers, count, ready)
    while ready:
        k = heappop(ready)
        order.append(k)
        _release(k, readers, count, ready)
    if len(order) < len(needs):
        raise StructureError("these matches would make a cycle: they are not convex together")
    return _permuted(host, order)


def _release(k: int, readers: list[list[int]], count: list[int], ready: list[int]) -> None:
    for other in readers[k]:
        count[other] -= 1
        if not count[other]:
            heappush(ready, other)


def _permuted(host: Diagram, order: list[int]) -> tuple[Diagram, list[int]]:
    place = [0] * len(order)
    moved: dict[int, int] = {}
    for new, k in enumerate(order):
        place[k] = new
        for wire in host.nodes[k].wires:
            moved[wire] = len(moved)
    nodes = [
        Node(
            host.nodes[k].box,
            tuple(moved[wire] for wire in host.nodes[k].src),
            moved[host.nodes[k].first] if host.nodes[k].box.outs else 0,
        )
        for k in order
    ]
    made = Diagram(
        host.name,
        nodes,
        [host.types[wire] for wire in moved],
        [host.hints[wire] for wire in moved],
        host.inputs,
        tuple(port._replace(wire=moved[port.wire]) for port in host.outputs),
        host.doc,
        {moved[wire]: turns for wire, turns in host.symmetries.items()},
        {moved[w]: (moved[s], at) for w, (s, at) in host.expanded.items()},
    )
    return made, place
