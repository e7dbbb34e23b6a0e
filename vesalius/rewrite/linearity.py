"""Which boxes and bodies are linear: f(x + y) = f(x) + f(y) and f(w·x) = w·f(x).

A box is linear in some of its inputs *together* when it is linear in all of them at once, the
others held: a contraction in each of its operands alone, an addition in all of its operands
together. Bodies are followed from their inputs to their outputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from functools import reduce

from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import (
    CONCAT,
    DIAGONAL,
    EXPAND,
    MERGE,
    PAD,
    SLICE,
    SPLIT,
    WINDOW,
)
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.graph import Diagram


class Way(Enum):
    """How a wire depends on the inputs that are looked at; zero is constant and linear at once."""

    ZERO = "zero"
    CONSTANT = "constant"
    LINEAR = "linear"
    OTHER = "other"


HELD = (Way.ZERO, Way.CONSTANT)
MOVES = (EXPAND, SPLIT, MERGE, SLICE, WINDOW, DIAGONAL)
SUMS = (ADD, CONCAT, FOURIER)


def linear_in(box: Box, ports: Collection[int], zeros: Collection[int] = ()) -> bool:
    """Whether all outputs of a box are linear in these inputs together.

    The inputs at `zeros` are zero, all others are held.
    """
    ways = [
        Way.LINEAR if p in ports else Way.ZERO if p in zeros else Way.CONSTANT
        for p in range(len(box.maps))
    ]
    return set(_outputs(box, ways)) == {Way.LINEAR}


def _joined(ways: Iterable[Way]) -> Way:
    """How a sum depends on what its terms depend on in these ways."""

    def join(one: Way, other: Way) -> Way:
        if one is other or other is Way.ZERO:
            return one
        return other if one is Way.ZERO else Way.OTHER

    return reduce(join, ways, Way.ZERO)


def _multiplied(ways: Sequence[Way]) -> Way:
    if Way.ZERO in ways:
        return Way.ZERO
    if Way.OTHER in ways or ways.count(Way.LINEAR) > 1:
        return Way.OTHER
    return Way.LINEAR if Way.LINEAR in ways else Way.CONSTANT


def _outputs(box: Box, ways: Sequence[Way]) -> list[Way]:
    if box.kind is NAMED:
        return _body(box["body"], ways)
    if box.kind is SCAN:
        return _scan(box, ways)
    return [_output(box, ways)] * len(box.outs)


def _output(box: Box, ways: Sequence[Way]) -> Way:
    kind = box.kind
    if kind is CONSTANT:
        return Way.ZERO if box["value"] == 0 else Way.CONSTANT
    if kind is CONTRACT:
        return _multiplied(ways)
    if kind in SUMS:
        return _joined(ways)
    if kind in MOVES or (kind is PAD and box["value"] == 0):
        return ways[0]
    if kind is GATHER and ways[1] in HELD:
        return ways[0]
    if kind is POINTWISE:
        name = box["function"].name
        if name in ("negate", "to_float"):
            return ways[0]
        if name == "where" and ways[0] in HELD:
            return _joined(ways[1:])
    return Way.CONSTANT if all(way in HELD for way in ways) else Way.OTHER


def _body(body: Diagram, ways: Sequence[Way]) -> list[Way]:
    known: list[Way] = []
    for k, node in enumerate(body.nodes):
        if k < len(ways):
            known.append(ways[k])
        else:
            known += _outputs(node.box, [known[wire] for wire in node.src])
    return [known[port.wire] for port in body.outputs]


def _scan(box: Box, ways: Sequence[Way]) -> list[Way]:
    """The states take the least way that a step keeps."""
    body, states = box["body"], list(ways[: box["states"]])
    while True:
        results = _body(body, [*states, *ways[len(states) :]])
        after = [_joined(pair) for pair in zip(states, results, strict=False)]
        if after == states:
            return [*states, *results[len(states) :]]
        states = after
