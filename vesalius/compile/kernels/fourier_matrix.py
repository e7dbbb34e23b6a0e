"""Products with the matrix of a discrete Fourier transform, as transforms.

Σ_i cos(2π·i·j/n)·x[i] is the real part of the transform of x, and Σ_i sin(2π·i·j/n)·x[i] is the
negative of the imaginary part: n·log n operations and not n², and no matrix in memory (FNet, arXiv
2105.03824). The right side is made of what PyTorch has already, the box `fourier`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.terms import Reading
from vesalius.compile.toeplitz import flat_factors
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.sources import IOTA
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size

NAME = "fourier_matrix"
CLOSE = 1e-14  # how far a number may be from 2π, relatively: texts round it on the way


class Matrix(NamedTuple):
    """A factor cos or sin of 2π·i·j/n: summed over `place`, it leaves `frequency`."""

    use: Use
    place: Label
    frequency: Label
    sign: int  # 0 for a cosine


def find(place: Place) -> Found | str:
    """The rewriting to transforms, or the reason why there is none."""
    opened = place.open(place.use)
    factors = list(flat_factors(place, opened.uses))
    matrices = [m for use in factors if (m := _matrix(place, use, opened.bound)) is not None]
    others = [use for use in factors if all(use is not m.use for m in matrices)]
    summed, left = [m.place for m in matrices], [m.frequency for m in matrices]
    values = [use for use in others if not set(summed).isdisjoint(use[1])]
    if not matrices or len({*summed, *left}) < 2 * len(matrices):
        return ""
    if any(x in use[1] for use in values for x in left):
        return ""
    rest = [use for use in others if use not in values]
    right = place.right(use for use in others if not place.is_number(use))
    result = _transformed(right, place, matrices, values, [x for x in opened.bound if all(
        x not in use[1] for use in rest)])  # fmt: skip
    uses = [result, *(right.copied(use) for use in rest)]
    over = [x for x in opened.bound if any(x in labels for _, labels in uses)]
    return right.found(right.contract(uses, over), "a Fourier transform")


def _transformed(
    right: Right,
    place: Place,
    matrices: Sequence[Matrix],
    values: Sequence[Use],
    alone: Sequence[Label],
) -> Use:
    """The transforms of the values, one after the other, which are summed over what is theirs."""
    summed = [m.place for m in matrices]
    carried = {x for use in values for x in use[1]}
    x = right.contract(
        [right.copied(use) for use in values],
        [label for label in alone if label in carried and label not in summed],
    )
    x = x if right.dtype(x) == "float" else right.apply("to_float", x)
    for m in matrices:
        x = right.expand(x, {m.place: place.size(m.use, m.place)})
        wire, labels = right.box(FOURIER, (False,), [x, right.number(0.0)], [m.place])[m.sign != 0]
        x = wire, tuple([m.frequency if label == m.place else label for label in labels])
        x = right.apply("negate", x) if m.sign > 0 else x
    return x


# -- reading --------------------------------------------------------------------------------------


class _Phase(NamedTuple):
    """A product of a number, sizes with their powers, and positions."""

    number: float
    sizes: dict[Size, int]
    positions: list[Label]


def _matrix(place: Place, use: Use, bound: Sequence[Label]) -> Matrix | None:
    if len(use[1]) != 2:
        return None
    for name in ("cos", "sin"):
        inside = place.applied(use, name)
        phase = None if inside is None else _phase(place, inside[0])
        if phase is None or sorted(map(id, phase.positions)) != sorted(map(id, use[1])):
            continue
        length = place.size(use, use[1][0])
        if length != place.size(use, use[1][1]):
            continue
        sign = _turns_once(phase, length)
        inner = [x for x in use[1] if x in bound]
        if sign and len(inner) == 1:
            (outer,) = set(use[1]) - set(inner)
            return Matrix(use, inner[0], outer, sign if name == "sin" else 0)
    return None


def _turns_once(phase: _Phase, length: Size) -> int:
    """The sign of a phase ±2π/length, else 0."""
    number, sizes = phase.number, {s: power for s, power in phase.sizes.items() if power}
    if length.constant is not None:
        number *= length.constant
    elif sizes.pop(length, 0) != -1:
        return 0
    off = abs(abs(number) - 2 * math.pi) > CLOSE * 2 * math.pi
    return 0 if sizes or off else int(math.copysign(1, number))


def _phase(r: Reading, use: Use, power: int = 1) -> _Phase | None:
    """The product that a phase is; whole turns in between are left out."""
    value = r.value(use)
    if isinstance(value, Size) and value.constant is None:
        return _Phase(1.0, {value: power}, [])
    if value is not None and not isinstance(value, bool):
        number = float(value.constant if isinstance(value, Size) else value)  # type: ignore[arg-type]
        return _Phase(number**power, {}, []) if number else None
    if r.kind(use) is IOTA:
        return _Phase(1.0, {}, [use[1][0]]) if power == 1 else None
    for name, sign in (("to_float", 1), ("negate", -1), ("reciprocal", 1)):
        inside = r.applied(use, name)
        if inside is not None:
            below = _phase(r, inside[0], -power if name == "reciprocal" else power)
            return below and below._replace(number=sign * below.number)
    opened = r.open(use)
    if r.kind(use) is not CONTRACT or opened.bound:
        return None
    total = _Phase(1.0, {}, [])
    for one in opened.uses:
        part = _phase(r, one, power)
        if part is None:
            return None
        sizes = {s: total.sizes.get(s, 0) + part.sizes.get(s, 0)
                 for s in (*total.sizes, *part.sizes)}  # fmt: skip
        total = _Phase(total.number * part.number, sizes, [*total.positions, *part.positions])
    return total


FOURIER_MATRIX = kernel(
    Kernel(
        name=NAME,
        summary="products with cosines and sines of 2π·i·j/n, as Fourier transforms",
        define=None,
        root="contract",
        find=find,
    )
)
