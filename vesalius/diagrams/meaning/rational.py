"""Exact rationals: order and division, and no exponential."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from vesalius.diagrams.box import Draw
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.arrays import (
    Array,
    ArrayAlgebra,
    Real,
    elementwise,
    exactly,
    finite,
    refuse_nan,
)

GRAIN = 64  # arbitrary values are multiples of 1/64, so that they are floats too


class RationalAlgebra(ArrayAlgebra):
    """Floats are Fractions: an input float is the binary fraction that it is.

    Infinities stand for themselves in sums, maxima, comparisons and choices, as a mask of
    minus infinity does; products, and functions that would lose them, refuse them.
    """

    name = "rational"

    def floats(self, x: Array) -> Array:
        return elementwise(_fraction, x)

    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        """Multiples of 1/64 in [-2, 2]."""
        drawn = self.generator(name, seed).integers(-2 * GRAIN, 2 * GRAIN + 1, tuple(shape))
        return elementwise(_grains, np.asarray(drawn, dtype=object))

    def sampled(self, token: Draw, shape: Sequence[int]) -> Array:
        """Multiples of 1/64: in [0, 1) for a uniform draw, as its law says."""
        if token.distribution != "uniform":
            return self.arbitrary(token.name, shape)
        drawn = self.generator(token.name).integers(0, GRAIN, tuple(shape))
        return elementwise(_grains, np.asarray(drawn, dtype=object))

    def plus(self, x: Array, y: Array) -> Array:
        with np.errstate(invalid="ignore"):  # nan is looked for right here
            return elementwise(_defined, super().plus(x, y))

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        with np.errstate(invalid="ignore"):
            return elementwise(_defined, super().total(x, dims))

    def times(self, x: Array, y: Array) -> Array:
        for entry in (*x.flat, *y.flat):
            if not finite(entry):
                raise Outside(f"the rationals have no product with the infinity {entry}")
        return super().times(x, y)

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        result = exactly(function, numbers, inputs)
        if gives == "bool":
            return result.astype(bool)
        return self.floats(result) if gives == "float" else result


def _fraction(entry: Any) -> Any:
    if isinstance(entry, Fraction):
        return entry
    if isinstance(entry, float) and not math.isfinite(entry):
        return refuse_nan(entry, "a constant")
    return Fraction(entry)


def _grains(count: int) -> Fraction:
    return Fraction(count, GRAIN)


def _defined(entry: Any) -> Any:
    return refuse_nan(entry, "add")
