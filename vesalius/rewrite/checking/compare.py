"""Are both sides equal at these values, over the reals?

Both are computed in balls: those that do not meet are two numbers, so neither rounding nor
overflow is mistaken for a difference, nor a small difference for rounding. Where there are no
balls (a function that only torch knows, too many entries) both are computed in float64, and the
difference is measured against what a change of the inputs in the last place makes of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from vesalius.diagrams.errors import Outside
from vesalius.rewrite.checking.balls import BITS, BallAlgebra, Undecided, compared
from vesalius.rewrite.checking.pair import Array, Pair, Values

POINTS = 4000  # entries of the largest array that is taken to many digits
DEEP = 2048  # bits of balls where fewer do not decide

Finding = Literal["equal", "unknown", "undefined", "different"]
SEVERITY: list[Finding] = ["equal", "unknown", "undefined", "different"]


def compare(pair: Pair, values: Values, seed: int = 0, *, bits: int = BITS) -> Finding:
    """Whether both sides are equal at these values.

    `undefined` says that one side has a value where the other has none, `unknown` that the
    digits do not tell.
    """
    try:
        return _in_balls(pair, values, seed, bits)
    except Outside:
        left, right = (in_float64(pair, side, values, seed) for side in (pair.left, pair.right))
        if all(map(_close, left, right)):
            return "equal"
        return _against_perturbation(pair, values, seed, left, right)


def in_float64(pair: Pair, side: Any, values: Values, seed: int = 0) -> list[Array]:
    """The outputs of a side in float64."""
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    return [np.asarray(y.detach().cpu()) for y in pair.run(side, values, TorchAlgebra(), seed)]


def _close(x: Array, y: Array) -> bool:
    if x.dtype.kind in "bi" and y.dtype.kind in "bi":
        return bool((x == y).all())
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return False
    return bool((np.abs(x - y) <= 1e-10 * np.maximum(np.abs(x), np.abs(y))).all())


def _in_balls(pair: Pair, values: Values, seed: int, bits: int) -> Finding:
    """The answer of balls, of more bits where few leave it open. Raises `Outside`."""
    largest = max((_points(t, values) for s in (pair.left, pair.right) for t in s.types), default=0)
    if largest > POINTS:
        raise Outside("too many entries for many digits")
    finding: Finding = "unknown"
    for precision in dict.fromkeys((bits, DEEP)):
        algebra = BallAlgebra(precision)
        try:
            left, right = (pair.run(s, values, algebra, seed) for s in (pair.left, pair.right))
        except Undecided:
            continue
        found: list[Any] = [compared(x, y) for x, y in zip(left, right, strict=True)]
        finding = max(found, key=SEVERITY.index, default="equal")
        if finding != "unknown":
            break
    return finding


def _points(type_: Any, values: Values) -> int:
    total = 1
    for length in type_.sizes:
        total *= length.at(values.sizes) if length.variables <= set(values.sizes) else 1
    return total


def _against_perturbation(
    pair: Pair, values: Values, seed: int, left: Sequence[Array], right: Sequence[Array]
) -> Finding:
    """Whether the sides differ by more than a change of the inputs in the last place makes."""
    rng = np.random.default_rng([seed, 3])
    spread = [np.zeros(x.shape) for x in left]
    for _ in range(3):
        moved = Values(
            values.sizes,
            tuple(_nudged(x, rng) for x in values.inputs),
            {name: _nudged(x, rng) for name, x in values.sources.items()},
        )
        for side, known in ((pair.left, left), (pair.right, right)):
            again = in_float64(pair, side, moved, seed)
            for k, (x, y) in enumerate(zip(known, again, strict=True)):
                if x.dtype.kind == "f":
                    with np.errstate(invalid="ignore"):  # ∞ − ∞ says nothing
                        spread[k] = np.fmax(spread[k], np.abs(x - y))
    finding: Finding = "equal"
    for x, y, width in zip(left, right, spread, strict=True):
        if x.dtype.kind in "bi":
            if (x != y).any():
                return "different"
            continue
        both = np.isfinite(x) & np.isfinite(y)
        room = 1e3 * width + 1e-12 * np.maximum(np.abs(x), np.abs(y))
        if (np.abs(x[both] - y[both]) > room[both]).any():
            return "different"
        if not both.all():
            finding = "unknown"
    return finding


def _nudged(x: Array, rng: np.random.Generator) -> Array:
    if x.dtype.kind != "f":
        return x
    return np.asarray(x * (1 + 4e-16 * rng.standard_normal(x.shape)))
