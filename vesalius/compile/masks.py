"""Which wires may hold minus infinity: only there does a softmax need care.

A row of scores that are all minus infinity has the weights zero. `torch.softmax` gives NaN there,
and a guard costs two passes over the scores, so it is written only where such a row can come from:
a constant, a logarithm, a user's function, or an input that is added to the scores as a mask. Sums
of products of inputs are taken to be finite; overflow and division by zero are not counted. A
causal mask leaves an entry in every row, the one on the diagonal, so it needs no guard.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from vesalius.compile.kernels.kernel import kernel_of
from vesalius.diagrams.box import Box
from vesalius.diagrams.graph import Diagram, Node

NO, GIVEN, MADE = 0, 1, 2  # never; where an input holds it; by a box of the diagram itself

# fmt: off
_BOUNDED = frozenset({
    "tanh", "sigmoid", "sin", "cos", "erf", "sign", "less", "less_equal", "equal", "logical_and",
    "logical_or", "logical_not", "floor_divide", "remainder", "to_int",
})
_PASSING = frozenset({
    "exp", "sqrt", "reciprocal", "power", "gelu", "silu", "leaky_relu", "relu", "softplus", "elu",
    "negate", "abs", "floor", "to_float", "where", "maximum", "minimum",
})
_PLAIN = frozenset({
    "contract", "add", "max", "min", "expand", "split", "merge", "concat", "slice", "pad",
    "window", "diagonal", "gather", "topk", "fourier",
})
# fmt: on


class Hidden(NamedTuple):
    """Where minus infinity may come from, and the slots along which no row is all of it."""

    level: int
    open: frozenset[int] = frozenset()


def may_hide(diagram: Diagram) -> list[Hidden]:
    """For each wire, whether it may hold minus infinity."""
    found: list[Hidden] = []
    for node in diagram.nodes:
        below = [found[wire] for wire in node.src]
        mark = _entrywise(diagram, node, below) or Hidden(_level(node, below))
        for wire in node.wires:
            found.append(mark if diagram.types[wire].dtype == "float" else Hidden(NO))
    return found


def _level(node: Node, below: list[Hidden]) -> int:
    box, kind = node.box, node.box.kind.name
    most = max((mark.level for mark in below), default=NO)
    if kind == "input":
        return GIVEN
    if kind == "parameter":
        return NO if box["token"].trainable else GIVEN
    if kind == "constant":
        value = box["value"]
        return MADE if any(map(_infinite, value if isinstance(value, tuple) else (value,))) else NO
    if kind in ("random", "iota", "softmax", "all", "any"):
        return NO
    if kind == "pointwise":
        name = box["function"].name
        return NO if name in _BOUNDED else most if name in _PASSING else MADE
    if kind == "contract" and box.bound:
        return MADE if most == MADE else NO
    if kind == "named" and kernel_of(box) is not None:
        return NO
    if kind == "pad" and _infinite(box["value"]):
        return MADE
    return most if kind in _PLAIN else MADE


def _infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


# -- masks that leave something in every row ----------------------------------------------------


def _entrywise(diagram: Diagram, node: Node, below: list[Hidden]) -> Hidden | None:
    """Boxes that keep entries where they are keep rows open, if one operand alone hides any."""
    box = node.box
    if box.bound or box.kind.name not in ("add", "contract", "pointwise"):
        return None
    hiding = [k for k, mark in enumerate(below) if mark.level != NO]
    if len(hiding) != 1 or _level(node, below) == NO:
        return None
    (k,) = hiding
    if box.kind.name == "pointwise" and box["function"].name == "where":
        axes = _left_open(diagram, node, k)
    else:
        axes = {box.maps[k][slot] for slot in below[k].open}
    slots = [slot for slot, axis in enumerate(box.outs[0]) if axis in axes]
    return Hidden(_level(node, below), frozenset(slots))


def _left_open(diagram: Diagram, node: Node, hiding: int) -> set[int]:
    """The axes along which `where(m <= n, scores, -inf)` hides no whole row."""
    condition = diagram.nodes[diagram.owner[node.src[0]]]
    name = _function(condition.box)
    if (name, hiding) not in (("less_equal", 2), ("equal", 2), ("less", 1)):
        return set()
    left, right = condition.src
    counted = diagram.nodes[diagram.owner[left]].box.kind.name == "iota"
    # One wire read along two axes: they are equally long, and equal on the diagonal.
    if left != right or not counted or condition.box.maps[0] == condition.box.maps[1]:
        return set()
    return set(node.box.maps[0])


def _function(box: Box) -> str:
    return str(box["function"].name) if box.kind.name == "pointwise" else ""
