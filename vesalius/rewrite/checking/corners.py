"""Where a wrong claim may hide: the numbers that its own diagrams speak of.

A side that clips at 100 differs beyond 100, one that counts to 9 on longer axes, one that asks
whether an entry is 0.5 at 0.5. So values and sizes are drawn around the constants of both sides
too, and at their reciprocals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import Token
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.checking.pair import Pair

MOST = 4  # constants that are tried
LONGEST = 48  # axis that is tried for a constant


def constants(pair: Pair) -> list[Fraction]:
    """The numbers in both sides but −1, 0 and 1, each once, in the order of the boxes."""
    found: dict[Fraction, None] = {}
    for side in (pair.left, pair.right):
        found.update(dict.fromkeys(_numbers(side)))
    return [x for x in found if abs(x) != 1 and x != 0]


def thresholds(pair: Pair) -> list[float]:
    """The sizes of the constants of both sides that floats can have."""
    found = [abs(x) for x in constants(pair)]
    fitting = [float(x) for x in found if Fraction(10) ** -200 < x < 10**200]
    return list(dict.fromkeys(fitting))[:MOST]


def lengths(pair: Pair) -> list[int]:
    """Lengths of axes that are worth a look: just beyond, at and below each integer."""
    whole = [abs(int(x)) for x in constants(pair) if x.denominator == 1]
    found = [n + step for n in whole if 3 < n < LONGEST for step in (1, 0, -1)]
    return list(dict.fromkeys(found))[: 3 * MOST]


def _numbers(diagram: Diagram) -> Iterator[Fraction]:
    for node in diagram.nodes[len(diagram.inputs) :]:
        for (field, codec), value in zip(node.box.kind.fields, node.box.attrs, strict=True):
            if codec == "diagram":
                yield from _numbers(value)
            elif codec in ("value", "numbers") or field == "step":
                yield from _flat(value)
            elif isinstance(value, Token):
                yield from _flat(getattr(value, "p", 0))


def _flat(value: Any) -> Iterator[Fraction]:
    if isinstance(value, tuple):
        for entry in value:
            yield from _flat(entry)
    elif _finite(value):
        yield Fraction(value)


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        return False
    return not isinstance(value, float) or math.isfinite(value)
