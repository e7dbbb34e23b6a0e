"""Which exponentials overflow: those of something that is not known to be at most 0.

Equal over the reals is not equal in floats. exp(w + k) = exp(w)·exp(k) holds, and in float32 the
right side is infinite where a w passes 88, whatever k is. So a search takes an exponential
that the diagram did not have only where its argument is, by its form, at most 0: a wire less its
maximum, the negative of what is never negative, or a sum of such things.
"""

from __future__ import annotations

from vesalius.diagrams.boxes.linear import ADD
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import MAX
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.search.egraph import EGraph, ENode

NEVER_NEGATIVE = frozenset({"relu", "abs", "exp", "sigmoid", "softplus", "sqrt"})
DEPTH = 4


def overflows(graph: EGraph, node: ENode) -> bool:
    """Whether an e-node is an exponential that may overflow."""
    box = node.box
    if box.kind is not POINTWISE or box["function"].name != "exp":
        return False
    return not _at_most_zero(graph, node.src[0], DEPTH)


def has_exponential(diagram: Diagram) -> bool:
    """Whether a diagram has an exponential in the body of a scan or of a named box."""
    bodies = [v for node in diagram.boxes for v in node.box.attrs if isinstance(v, Diagram)]
    return any(
        has_exponential(body)
        or any(
            node.box.kind is POINTWISE and node.box["function"].name == "exp" for node in body.boxes
        )
        for body in bodies
    )


def _at_most_zero(graph: EGraph, group: int, depth: int) -> bool:
    if not depth:
        return False
    for node, _ in graph.members(group):
        name = _name(node)
        if name == "negate" and _never_negative(graph, node.src[0]):
            return True
        if node.box.kind is ADD and _pairs_off(graph, node, depth):
            return True
    return False


def _never_negative(graph: EGraph, group: int) -> bool:
    for node, _ in graph.members(group):
        name = _name(node)
        if name in NEVER_NEGATIVE:
            return True
        if name == "power" and node.box["numbers"] and node.box["numbers"][0] % 2 == 0:
            return True
    return False


def _pairs_off(graph: EGraph, node: ENode, depth: int) -> bool:
    """Whether the terms of a sum are at most 0 one by one, or in pairs of x and −max x."""
    left: list[Use] = list(zip(node.src, node.box.maps, strict=True))
    for use in list(left):
        partner = next((top for top in left if _is_negated_maximum(graph, top, use)), None)
        if partner is not None and use in left:
            left.remove(use)
            left.remove(partner)
    return all(_at_most_zero(graph, group, depth - 1) for group, _ in left)


def _is_negated_maximum(graph: EGraph, top: Use, of: Use) -> bool:
    """Whether one use is −max x, and the other one x."""
    group, labels = graph.use(of)
    for negated in _below(graph, top, "negate"):
        for node, _ in graph.members(negated[0]):
            if node.box.kind is not MAX or graph.find(node.src[0])[0] != group:
                continue
            at = dict(zip(node.box.outs[0], _labels(graph, node, negated), strict=True))
            row = node.box.maps[0]
            if all(at.get(axis, label) == label for axis, label in zip(row, labels, strict=True)):
                return True
    return False


def _below(graph: EGraph, use: Use, name: str) -> list[Use]:
    """What stands below the e-nodes of a class that apply a function of one argument."""
    found = []
    for node, _ in graph.members(use[0]):
        if _name(node) == name:
            at = dict(zip(node.box.outs[0], _labels(graph, node, use), strict=True))
            found.append(graph.use((node.src[0], tuple([at[a] for a in node.box.maps[0]]))))
    return found


def _labels(graph: EGraph, node: ENode, use: Use) -> list[Label]:
    """The labels of the axes of an e-node's output, where its class is used so."""
    _, labels = graph.use(use)
    return [labels[slot] for slot in graph.seat(node).slots]


def _name(node: ENode) -> str:
    return node.box["function"].name if node.box.kind is POINTWISE else ""
