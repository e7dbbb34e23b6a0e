"""What two diagrams have in common: boxes that compute the same, or serve the same.

A rewriting step changes a few boxes in the middle. What comes before is the same computation
on both sides; what comes after reads something else but has the same way to the outputs. So a
box is common when it is matched from the inputs, or from the outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from vesalius.diagrams.box import Token
from vesalius.diagrams.graph import Diagram, Node


def changed(left: Diagram, right: Diagram) -> tuple[frozenset[int], frozenset[int]]:
    """The nodes of each diagram that have no counterpart in the other one."""
    intern: dict[Hashable, int] = {}
    ahead = _forward(left, intern), _forward(right, intern)
    behind = _backward(left, intern), _backward(right, intern)
    same_ahead = Counter(ahead[0]) & Counter(ahead[1])
    same_behind = Counter(behind[0]) & Counter(behind[1])
    found = []
    for side in (0, 1):
        spare_ahead, spare_behind = Counter(same_ahead), Counter(same_behind)
        odd = set()
        for k, keys in enumerate(zip(ahead[side], behind[side], strict=True)):
            common = False
            for key, spare in zip(keys, (spare_ahead, spare_behind), strict=True):
                if spare[key]:
                    spare[key] -= 1
                    common = True
            if not common:
                odd.add(k)
        found.append(frozenset(odd))
    return found[0], found[1]


def _own(diagram: Diagram, node: Node) -> tuple[Hashable, ...]:
    """What a box is, without what it reads; identities by their names, axes by their sizes."""
    attrs = tuple(v.name if isinstance(v, Token) else v for v in node.box.attrs)
    bound = sorted(str(size) for size in diagram.site(node).bound_sizes)
    made = [sorted(str(size) for size in diagram.types[wire].sizes) for wire in node.wires]
    return (node.box.kind.name, attrs, tuple(bound), tuple(map(tuple, made)))


def _forward(diagram: Diagram, intern: dict[Hashable, int]) -> list[int]:
    keys: list[int] = []
    owner = diagram.owner
    for node in diagram.nodes:
        reads = [(keys[owner[w]], w - diagram.nodes[owner[w]].first) for w in node.src]
        if node.box.kind.commutes(node.box.attrs):
            reads.sort()
        key: Hashable = (_own(diagram, node), tuple(reads))
        keys.append(intern.setdefault(("ahead", key), len(intern)))
    return keys


def _backward(diagram: Diagram, intern: dict[Hashable, int]) -> list[int]:
    uses: list[list[tuple[int, int, int]]] = [[] for _ in diagram.nodes]
    owner = diagram.owner
    for place, port in enumerate(diagram.outputs):
        k = owner[port.wire]
        uses[k].append((-1, port.wire - diagram.nodes[k].first, place))
    keys = [0] * len(diagram.nodes)
    for k in range(len(diagram.nodes) - 1, -1, -1):
        node = diagram.nodes[k]
        free = node.box.kind.commutes(node.box.attrs)
        key = (_own(diagram, node), tuple(sorted(uses[k])))
        keys[k] = intern.setdefault(("behind", key), len(intern))
        for p, wire in enumerate(node.src):
            below = owner[wire]
            out = wire - diagram.nodes[below].first
            uses[below].append((keys[k], out, 0 if free else p))
    return keys
