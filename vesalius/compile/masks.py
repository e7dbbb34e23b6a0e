"""Which wires may hold minus infinity: only there does a softmax need care.

A row of scores that are all minus infinity has the weights zero. `torch.softmax` gives NaN there,
and a guard costs a pass over the scores, so it is written only where such a row can come from: a
constant, a logarithm, a user's function, or an input that is added to the scores as a mask. Sums
of products of inputs are taken to be finite; overflow and division by zero are not counted.
"""

from __future__ import annotations

import math

from vesalius.diagrams.graph import Diagram, Node

NO, GIVEN, MADE = 0, 1, 2  # never; where an input holds it; by a box of the diagram itself

_BOUNDED = frozenset(
    """tanh sigmoid sin cos erf sign less less_equal equal logical_and logical_or logical_not
    floor_divide remainder to_int""".split()
)
_PASSING = frozenset(
    """exp sqrt reciprocal power gelu silu leaky_relu relu softplus elu negate abs floor to_float
    where maximum minimum""".split()
)
_PLAIN = frozenset(
    """contract add max min expand split merge concat slice pad window diagonal gather topk
    fourier""".split()
)


def may_hide(diagram: Diagram) -> list[int]:
    """For each wire, whether it may hold minus infinity: `NO`, `GIVEN` or `MADE`."""
    found: list[int] = []
    for node in diagram.nodes:
        mark = _mark(node, [found[wire] for wire in node.src])
        for wire in node.wires:
            found.append(mark if diagram.types[wire].dtype == "float" else NO)
    return found


def _mark(node: Node, below: list[int]) -> int:
    box, kind = node.box, node.box.kind.name
    most = max(below, default=NO)
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
    if kind == "pad" and _infinite(box["value"]):
        return MADE
    return most if kind in _PLAIN else MADE


def _infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)
