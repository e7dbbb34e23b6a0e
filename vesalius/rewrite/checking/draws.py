"""Random sizes and random values at which two diagrams are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType
from vesalius.rewrite.checking.corners import lengths, thresholds
from vesalius.rewrite.checking.pair import Array, Pair, Values

EXPONENTIALS = {"exp", "tanh", "sigmoid", "silu"}  # those that the finite field knows
ATTEMPTS = 200
LONG = 12  # assignments of sizes with a long axis
ENTRIES = 1 << 13  # of the largest array with a long axis

Shape = Literal["normal", "integers", "sparse", "constant", "wide", "near"]


@dataclass(frozen=True)
class Style:
    """How entries are drawn: their size, and whether ties, zeros and repetitions are wanted.

    `wide` entries are of all magnitudes at once, `near` ones lie at the magnitude, a little off
    it, and at simple multiples. `generic` draws hit a given set of measure zero with probability
    zero.
    """

    magnitude: float
    shape: Shape = "normal"

    @property
    def generic(self) -> bool:
        return self.shape in ("normal", "wide")


# Both signs in each; magnitudes from 1e-16 to 1e16; ties, zeros and equal rows.
STYLES = (
    Style(1.0),
    Style(1.0, "integers"),
    Style(30.0),
    Style(1.0, "sparse"),
    Style(1.0, "wide"),
    Style(1e4),
    Style(1e-4),
    Style(1.0, "constant"),
    Style(1e3),
    Style(1.0, "wide"),
    Style(1e4, "integers"),
    Style(1e2),
)


def corner_styles(pair: Pair) -> list[Style]:
    """Styles for the constants of both sides: their magnitude, its reciprocal, and close by."""
    found = []
    for x in thresholds(pair):
        found += [Style(x, "near"), Style(2 * x), Style(1 / x)]
    return found


# -- sizes ----------------------------------------------------------------------------------------


def fits(pair: Pair, sizes: Mapping[str, int]) -> bool:
    """Whether every axis of both sides has a length that is a natural number."""
    try:
        return all(length.at(sizes) >= 0 for length in pair.lengths)
    except SizeError:
        return False


def different_sizes(pair: Pair, rng: np.random.Generator) -> Iterator[dict[str, int]]:
    """Sizes of at least 2, different for every variable, that fit; each assignment once.

    Axes along which exponentials are summed come first, so that they are the shortest: the
    number of exponential terms grows with their length.
    """
    summed = exponential_sums(pair)
    narrow = [v for v in pair.variables if v in summed]
    wide = [v for v in pair.variables if v not in summed]
    seen = set()
    for attempt in range(ATTEMPTS):
        short = _shuffled(range(2, 3 + len(narrow) + attempt // 20), rng if attempt else None)
        values = dict(zip(narrow, short, strict=False))
        reach = 4 + len(pair.variables) + attempt // 10
        left = [k for k in range(2, reach) if k not in values.values()]
        values.update(zip(wide, _shuffled(left, rng if attempt else None), strict=False))
        key = tuple(sorted(values.items()))
        if key not in seen and fits(pair, values):
            seen.add(key)
            yield values


def _shuffled(values: Sequence[int], rng: np.random.Generator | None) -> list[int]:
    return list(values) if rng is None else [int(k) for k in rng.permutation(values)]


def any_sizes(pair: Pair, rng: np.random.Generator, top: int) -> dict[str, int] | None:
    """Sizes from 0 to `top` that fit, small ones and 1 more often; None when none is found."""
    for _ in range(ATTEMPTS):
        sizes = {v: int(rng.integers(0, top + 1)) for v in pair.variables}
        for v in sizes:
            if sizes[v] == 0 and rng.random() < 0.7:
                sizes[v] = 1
        if fits(pair, sizes):
            return sizes
        top = min(top + 1, 12)
    return None


def long_sizes(pair: Pair, rng: np.random.Generator) -> Iterator[dict[str, int]]:
    """Sizes that fit with one long axis: beyond the integers of both sides, and anyhow."""
    short = next(different_sizes(pair, rng), None)
    if short is None:
        return
    count = 0
    for length in (*lengths(pair), int(rng.integers(9, 18))):
        for name in pair.variables:
            sizes = {**short, name: length}
            if count < LONG and fits(pair, sizes) and largest(pair, sizes) <= ENTRIES:
                count += 1
                yield sizes


def largest(pair: Pair, sizes: Mapping[str, int]) -> int:
    """The entries of the largest array of both sides."""
    arrays = (type_.sizes for side in (pair.left, pair.right) for type_ in side.types)
    return max((math.prod(length.at(sizes) for length in row) for row in arrays), default=1)


def small_sizes(pair: Pair, top: int = 3, least: int = 1) -> Iterator[dict[str, int]]:
    """Sizes that fit, from `least` to `top`, smallest sum first."""
    count = len(pair.variables)
    grids: list[tuple[int, ...]] = [()]
    for _ in range(min(count, 6)):  # further variables share the value of the last
        grids = [(*grid, k) for grid in grids for k in range(least, top + 1)]
    for grid in sorted(grids, key=lambda grid: (sum(grid), grid)):
        full = (*grid, *grid[-1:] * (count - len(grid)))
        sizes = dict(zip(pair.variables, full, strict=True))
        if fits(pair, sizes):
            yield sizes


def exponential_sums(pair: Pair) -> set[str]:
    """The size variables of axes along which something behind an exponential is summed."""
    return _exponential_sums(pair.left) | _exponential_sums(pair.right)


def _exponential_sums(diagram: Diagram) -> set[str]:
    behind: list[bool] = []
    found: set[str] = set()
    for node in diagram.nodes:
        box = node.box
        below = any(behind[wire] for wire in node.src)
        if box.kind is SOFTMAX or (box.kind is CONTRACT and below):
            for length in diagram.site(node).bound_sizes:
                found |= length.variables
        if box.kind in (NAMED, SCAN):
            found |= _exponential_sums(box["body"])
            below = below or _has_exponential(box["body"])
        here = box.kind is SOFTMAX or (
            box.kind is POINTWISE and box["function"].name in EXPONENTIALS
        )
        behind += [below or here] * len(box.outs)
    return found


def _has_exponential(diagram: Diagram) -> bool:
    return any(
        node.box.kind is SOFTMAX
        or (node.box.kind is POINTWISE and node.box["function"].name in EXPONENTIALS)
        or (node.box.kind in (NAMED, SCAN) and _has_exponential(node.box["body"]))
        for node in diagram.nodes
    )


# -- values ---------------------------------------------------------------------------------------


def floats(shape: Sequence[int], style: Style, rng: np.random.Generator) -> Array:
    """Floats of both signs in a style."""
    size = tuple(shape)
    if style.shape == "integers":
        return np.asarray(np.round(style.magnitude * rng.integers(-3, 4, size))).astype(float)
    if style.shape == "constant":
        return np.full(size, style.magnitude * float(rng.integers(-2, 3)))
    if style.shape == "wide":
        signs = rng.choice([-1.0, 1.0], size)
        return np.asarray(style.magnitude * signs * 10 ** rng.uniform(-16, 16, size))
    if style.shape == "near":
        return np.asarray(style.magnitude * rng.choice(_NEAR, size) + rng.choice(_BESIDE, size))
    drawn = np.asarray(style.magnitude * rng.standard_normal(size))
    if style.shape == "sparse":
        drawn = np.where(rng.random(size) < 0.5, 0.0, drawn)
    return drawn


_NEAR = np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1 + 1e-6, 1 - 1e-6, 2.0, -2.0, 0.5, 0.0])
_BESIDE = np.array([0.0, 0.0, 0.0, 1.0, -1.0])


def fractions(shape: Sequence[int], style: Style, rng: np.random.Generator) -> Array:
    """The same as fractions, short ones where that does not make them zero."""
    return _exact(floats(shape, style, rng))


def _exact(entries: Array) -> Array:
    exact = np.empty(entries.shape, dtype=object)
    for place in np.ndindex(entries.shape):
        entry = float(entries[place])
        exact[place] = Fraction(round(entry * 64), 64) if abs(entry) > 1 / 64 else Fraction(entry)
    return exact


def draw(
    pair: Pair,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    real: Any,
) -> Values:
    """Values for all inputs and sources. `real(name, shape)` draws floats.

    Integers are places where something is read, if the sides read at computed places at all.
    """
    places = [length.at(sizes) for length in pair.indexed]
    far = [int(x) for x in thresholds(pair) if x < 1e6] if rng.random() < 0.3 else []
    reach = max([4, *far])
    low, high = (0, max(min(places), 1)) if places else (-reach, reach + 2)

    def one(name: str, type_: ArrayType) -> Array:
        shape = tuple(length.at(sizes) for length in type_.axes.values())
        if type_.dtype == "bool":
            return np.asarray(rng.random(shape) < 0.5)
        if type_.dtype == "int":
            return np.asarray(rng.integers(low, high, shape))
        found: Array = real(name, shape)
        return found

    inputs = tuple(one(name, type_) for name, type_ in pair.left.input_types.items())
    sources = {name: one(name, type_) for name, type_ in pair.sources.items()}
    return Values(dict(sizes), inputs, sources)


def draw_floats(
    pair: Pair, sizes: Mapping[str, int], rng: np.random.Generator, style: Style
) -> Values:
    """Floats in a style; uniform draws lie in [0, 1), whatever the style."""

    def real(name: str, shape: tuple[int, ...]) -> Array:
        return rng.random(shape) if name in pair.uniform else floats(shape, style, rng)

    return draw(pair, sizes, rng, real)


def draw_fractions(
    pair: Pair, sizes: Mapping[str, int], rng: np.random.Generator, style: Style
) -> Values:
    """Exact rationals in a style."""

    def real(name: str, shape: tuple[int, ...]) -> Array:
        if name not in pair.uniform:
            return fractions(shape, style, rng)
        return _exact(np.asarray(rng.integers(0, 64, shape) / 64))

    return draw(pair, sizes, rng, real)
