"""What surrounds a match in its host, as far as the promise of a rule depends on it.

A rule that is `equal` holds in every context. The other grades speak of sets of functions, as
parameters and learners take all values. Inside a host they hold only if those parameters and
learners are used nowhere else: sharing them with the context (weight tying across the cut) breaks
the inclusion. A limit or a bound needs more: the context must be continuous, which top-k,
comparisons and rounding are not. `Grade.within` says what is left of a promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vesalius.diagrams.box import Hole, Parameter, Token
from vesalius.diagrams.boxes.indexing import TOPK
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, POINTWISE, Function
from vesalius.diagrams.graph import Diagram, Node
from vesalius.rewrite.grade import Context

if TYPE_CHECKING:
    from vesalius.rewrite.matched import Match

# Functions that are continuous wherever they are defined; of a user's own nothing is known.
_CONTINUOUS = """
exp log sqrt tanh sigmoid sin cos erf gelu silu softplus elu reciprocal negate power abs relu
leaky_relu maximum minimum where to_float logical_and logical_or logical_not
"""
CONTINUOUS = frozenset(_CONTINUOUS.split())


def surroundings(match: Match, lipschitz: float | None = None) -> Context:
    """The context of a match. A constant of the way to the outputs is 1 where there is no way."""
    shared = used_elsewhere(match)
    kept = {token.name for token, _ in match.rule.right.tokens if isinstance(token, Parameter)}
    tied = {name for here, name in match.parameters.items() if here in kept}
    way = _after(match)
    if lipschitz is None and not way:
        lipschitz = 1.0
    return Context(
        tuple(name for name in shared if name not in tied),
        tuple(name for name in shared if name in tied),
        next((_label(node) for node in way if not _continuous(node)), ""),
        lipschitz,
    )


def used_elsewhere(match: Match) -> tuple[str, ...]:
    """Parameters and learners of a match that its host uses outside of it too, by name."""
    host, inside = match.host, set(match.nodes.values())
    replaced = {wire for wire, _ in match.outputs}
    read = {port.wire for port in host.outputs} - replaced
    read |= {wire for uses in match.inputs for wire, _ in uses}
    found: dict[str, None] = {}
    places: dict[Token, list[int]] = {}
    for token, node in host.tokens:
        places.setdefault(token, []).append(node.first)
    for token in match.tokens.values():
        if not isinstance(token, (Parameter, Hole)):
            continue
        outside = False
        for first in places[token]:
            k = host.owner[first]
            if host.nodes[k].src and k not in inside:
                outside = True
            outside = outside or _leaves(host, host.nodes[k], inside, replaced, read)
        if outside:
            found[token.name] = None
    return tuple(found)


def _leaves(
    host: Diagram, node: Node, inside: set[int], replaced: set[int], read: set[int]
) -> bool:
    """Whether what a node makes is read outside a match otherwise than through its outputs."""
    todo = [wire for wire in node.wires if wire not in replaced]
    seen: set[int] = set()
    while todo:
        wire = todo.pop()
        if wire in read:
            return True
        if wire in seen:
            continue
        seen.add(wire)
        for k, _ in host.consumers[wire]:
            if k not in inside:
                return True
            todo += [w for w in host.nodes[k].wires if w not in replaced]
    return False


def _after(match: Match) -> list[Node]:
    """What is computed from what a match replaces."""
    host = match.host
    below = bytearray(len(host.types))
    for wire, _ in match.outputs:
        below[wire] = 1
    found = []
    for node in host.nodes:
        if any(below[wire] for wire in node.src):
            found.append(node)
            for wire in node.wires:
                below[wire] = 1
    return found


def _label(node: Node) -> str:
    return node.box.kind.look(node.box)


def _continuous(node: Node) -> bool:
    box = node.box
    if box.kind is POINTWISE:
        function: Function = box["function"]
        return FUNCTIONS.get(function.name) is function and function.name in CONTINUOUS
    if box.kind is NAMED or box.kind is SCAN:
        return all(map(_continuous, box["body"].boxes))
    return box.kind is not TOPK and box.kind.name not in OWN
