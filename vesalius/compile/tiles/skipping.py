"""Which columns of a tile need not be computed: those that a condition hides from all its rows.

A condition hides a column if the result would be the same without it. That is decided by looking
at what each array holds where the condition is so: nothing known, 0, −∞, true or false. It is
hidden when every box that acts along the columns then finds the neutral element there: 0 in a
sum, −∞ in a softmax or a maximum; a result that has columns is then 0 there, which adds nothing to
a sum over rows. Other entries are taken to be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vesalius.compile.tiles.traces import Traces
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import MAX, SOFTMAX
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.graph import Diagram, Node

ZERO, MINUS, TRUE, FALSE = "0", "−∞", "true", "false"

# What a function of one argument makes of what is held; those in ODD have 0 at 0.
FUNCTIONS: dict[str, dict[str, str]] = {
    "exp": {MINUS: ZERO},
    "sigmoid": {MINUS: ZERO},
    "softplus": {MINUS: ZERO},
    "relu": {MINUS: ZERO, ZERO: ZERO},
    "logical_not": {TRUE: FALSE, FALSE: TRUE},
    "to_float": {FALSE: ZERO, ZERO: ZERO, MINUS: MINUS},
    "to_int": {FALSE: ZERO, ZERO: ZERO},
}

ODD = ("tanh", "sin", "erf", "gelu", "silu", "elu", "leaky_relu", "abs", "sign", "negate", "sqrt")
FUNCTIONS.update({name: {ZERO: ZERO} for name in ODD})


def hiding(body: Diagram, traces: Traces) -> list[tuple[int, bool]]:
    """The truth values that hide a column, from some row or all: a wire, and what it then is."""
    return [
        (wire, value == TRUE)
        for wire in _conditions(body, traces)
        for value in (FALSE, TRUE)
        if _hides(body, traces, wire, value)
    ]


def _conditions(body: Diagram, traces: Traces) -> Iterator[int]:
    """Truth values over columns; those that others are made of come after them."""
    for wire in range(len(body.types) - 1, -1, -1):
        if body.types[wire].dtype == "bool" and traces.has(wire, traces.columns):
            yield wire


def _hides(body: Diagram, traces: Traces, condition: int, value: str) -> bool:
    """Whether a column does not count for a row for which a condition has a value."""
    held: list[str | None] = []
    inputs = len(body.inputs)
    for k, node in enumerate(body.nodes):
        if k < inputs:
            found: list[str | None] = [None]
        else:
            below = [held[wire] for wire in node.src]
            if not _neutral(traces, node, below):
                return False
            found = [_holds(node, below)] * len(node.wires)
        for wire, here in zip(node.wires, found, strict=True):
            held.append(value if wire == condition else here)
    return all(
        held[port.wire] == ZERO for port in body.outputs if traces.has(port.wire, traces.columns)
    )


def _neutral(traces: Traces, node: Node, held: list[str | None]) -> bool:
    """Whether a box that acts along the columns does not see what is held there."""
    acts = [
        value
        for wire, row, value in zip(node.src, node.box.maps, held, strict=True)
        for slot, axis in enumerate(row)
        if axis in node.box.bound and traces.find((wire, slot)) == traces.columns
    ]
    if not acts:
        return True
    if node.box.kind is CONTRACT:
        return ZERO in held
    return node.box.kind in (SOFTMAX, MAX) and held == [MINUS]


def _holds(node: Node, held: list[str | None]) -> str | None:
    """What a box makes of what its inputs hold there."""
    kind = node.box.kind
    if kind is CONSTANT and not node.box.new:
        return _constant(node.box["value"])
    if kind is CONTRACT:
        return ZERO if ZERO in held else None
    if kind is ADD:
        return MINUS if MINUS in held else ZERO if set(held) == {ZERO} else None
    if kind is SOFTMAX:
        return ZERO if held == [MINUS] else None
    if kind is EXPAND:
        return held[0]
    if kind is POINTWISE:
        rule = SEVERAL.get(node.box["function"].name)
        if rule is not None:
            return rule(held)
        if node.box["function"].name == "power":
            return ZERO if held[0] == ZERO and node.box["numbers"][0] > 0 else None
        return FUNCTIONS.get(node.box["function"].name, {}).get(held[0] or "")
    return None


def _constant(value: object) -> str | None:
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return ZERO if value == 0 else MINUS if value == float("-inf") else None


def _where(held: list[str | None]) -> str | None:
    condition, yes, no = held
    if condition in (TRUE, FALSE):
        return yes if condition == TRUE else no
    return yes if yes == no else None


def _and(held: list[str | None]) -> str | None:
    return FALSE if FALSE in held else TRUE if held == [TRUE, TRUE] else None


def _or(held: list[str | None]) -> str | None:
    return TRUE if TRUE in held else FALSE if held == [FALSE, FALSE] else None


def _minimum(held: list[str | None]) -> str | None:
    return MINUS if MINUS in held else None


def _maximum(held: list[str | None]) -> str | None:
    one, other = held
    return other if one == MINUS else one if other == MINUS else None


SEVERAL: dict[str, Callable[[list[str | None]], str | None]] = {
    "where": _where,
    "logical_and": _and,
    "logical_or": _or,
    "minimum": _minimum,
    "maximum": _maximum,
}
