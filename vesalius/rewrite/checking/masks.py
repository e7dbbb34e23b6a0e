"""What −∞ does, which a mask puts into scores.

It is no real number, so sides that are equal over the reals may still differ there: where a row
has nothing but −∞, or where a difference of infinities arises. That is said in notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.checking.compare import in_float64
from vesalius.rewrite.checking.draws import Style, draw_floats
from vesalius.rewrite.checking.pair import Array, Pair, Values, differs


def masked(pair: Pair, sizes: Mapping[str, int], seed: int = 0) -> Iterator[str]:
    """A note for each input where −∞ in some entries, or in all, makes the sides differ.

    Only inputs that a softmax, an exponential or a maximum reads are asked about.
    """
    scores = _scores(pair.left) | _scores(pair.right)
    values = draw_floats(pair, sizes, np.random.default_rng([seed, 32]), Style(1.0))
    for k, port in enumerate(pair.left.inputs):
        x = values.inputs[k]
        if port.name not in scores or x.dtype.kind != "f" or not x.size:
            continue
        for what, changed in _masks(x):
            inputs = tuple(changed if j == k else y for j, y in enumerate(values.inputs))
            note = _compared(pair, Values(values.sizes, inputs, values.sources), seed)
            if note:
                yield f"{note} where {port.name} {what} −∞"


def _scores(diagram: Diagram) -> set[str]:
    """The inputs that reach a box which takes −∞ for a mask."""
    below: list[frozenset[str]] = [frozenset([port.name]) for port in diagram.inputs]
    found: set[str] = set()
    for node in diagram.nodes[len(diagram.inputs) :]:
        here = frozenset().union(*(below[wire] for wire in node.src))
        box = node.box
        function = box["function"].name if box.kind is POINTWISE else ""
        if box.kind.name in ("softmax", "max", "min") or function in ("exp", "maximum", "minimum"):
            found |= here
        below += [here] * len(box.outs)
    return found


def _masks(x: Array) -> Iterator[tuple[str, Array]]:
    """With −∞ in every second place along each axis, and everywhere."""
    if all(length > 1 for length in x.shape) and x.ndim:
        odd = np.indices(x.shape).sum(axis=0) % 2 == 1
        yield "holds", np.where(odd, -np.inf, x)
    yield "is all", np.full(x.shape, -np.inf)


def _compared(pair: Pair, values: Values, seed: int) -> str:
    try:
        left, right = (in_float64(pair, side, values, seed) for side in (pair.left, pair.right))
    except VesaliusError:
        return ""
    lost = [any(bool(np.isnan(y).any()) for y in side) for side in (left, right)]
    if lost[0] != lost[1]:
        return f"the {'left' if lost[0] else 'right'} side is not a number"
    if any(_differ(x, y) for x, y in zip(left, right, strict=True)):
        return "the sides differ"
    return ""


def _differ(x: Array, y: Array) -> bool:
    """Whether entries that both sides have differ."""
    both = ~(np.isnan(x) | np.isnan(y)) if x.dtype.kind == "f" else np.ones(x.shape, bool)
    return differs(x[both], y[both])
