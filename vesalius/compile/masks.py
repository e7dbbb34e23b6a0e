"""Which wires may hold minus infinity: only there does a softmax need care.

A row of scores that are all minus infinity has the weights zero. `torch.softmax` gives NaN there,
and a guard costs a pass over the scores, so it is written only where such a row can come from: a
constant, a logarithm, a division by zero written as such, or an input that is added to the scores
as a mask. Sums of products of inputs are taken to be finite.
"""

from __future__ import annotations

import math

from vesalius.diagrams.graph import Diagram, Node

NO, GIVEN, MADE = 0, 1, 2  # never; if an input holds it; by a box of the diagram itself

# Functions that are finite wherever they are defined, or never negative.
_BOUNDED = frozenset({"exp", "sqrt", "tanh", "sigmoid", "sin", "cos", "erf", "abs", "sign"})
_BELOW = frozenset({"relu", "softplus", "elu"})
_SMOOTH = frozenset({"gelu", "silu", "leaky_relu", "negate", "floor", "to_float", "where", "power",
                     "maximum", "minimum"})  # fmt: skip
_TRUTHS = frozenset({"less", "less_equal", "equal", "logical_and", "logical_or", "logical_not"})


def may_hide(diagram: Diagram) -> list[int]:
    """For each wire, whether it may hold minus infinity: `NO`, `GIVEN` or `MADE`."""
    found: list[int] = []
    for node in diagram.nodes:
        mark = _mark(diagram, node, [found[wire] for wire in node.src])
        for wire in node.wires:
            found.append(mark if diagram.types[wire].dtype == "float" else NO)
    return found


def _mark(diagram: Diagram, node: Node, below: list[int]) -> int:
    box, kind = node.box, node.box.kind.name
    most = max(below, default=NO)
    if kind == "input":
        return GIVEN
    if kind == "parameter":
        return NO if box["token"].trainable else GIVEN
    if kind == "constant":
        value = box["value"]
        entries = value if isinstance(value, tuple) else (value,)
        infinite = any(isinstance(x, float) and math.isinf(x) for x in entries)
        return MADE if infinite else NO
    if kind == "pad":
        return max(most, MADE if box["value"] in (math.inf, -math.inf) else NO)
    if kind == "pointwise":
        return _of_function(box["function"].name, most)
    if kind == "contract" and box.bound:
        return most if most == MADE else NO
    if kind in ("random", "iota", "softmax", "all", "any"):
        return NO
    if kind in ("named", "scan") or kind not in _PLAIN:
        return MADE
    return most


def _of_function(name: str, most: int) -> int:
    if name in _BOUNDED or name in _BELOW or name in _TRUTHS:
        return NO
    if name in _SMOOTH:
        return most
    return MADE if name == "log" else max(most, GIVEN)


_PLAIN = frozenset(
    """contract add max min expand split merge concat slice pad window diagonal gather topk
    fourier""".split()
)
