"""The sampled tiers: random floats with many digits as arbiter, exact rationals, SymPy.

Floats are compared in float64 first. Where they do not agree, or where float64 overflows, the
same values are taken to many digits, and more digits again, so that neither rounding nor
overflow is mistaken for a difference, nor a small difference for rounding. Where many digits
are not to be had (a function that only torch knows) the difference is measured against what
the sides make of a change of their inputs in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vesalius.diagrams.errors import Outside, SizeError, StructureError, VesaliusError
from vesalius.diagrams.meaning.algebra import Algebra
from vesalius.diagrams.meaning.rational import RationalAlgebra
from vesalius.rewrite.checking.draws import (
    STYLES,
    Style,
    any_sizes,
    different_sizes,
    draw_floats,
    draw_fractions,
    fits,
)
from vesalius.rewrite.checking.pair import Array, Pair, Values
from vesalius.rewrite.verdict import Tier

DRAWS = 30
POINTS = 4000  # entries of the largest array that is taken to many digits
DIGITS = (50, 400)
AGREE = 1e-30  # relative difference at many digits that is rounding
SPARE = 12  # digits that the size of what is added to a small number may take
SYMBOLS = 24  # entries of all inputs that SymPy is given
OPERATIONS = 120  # in the largest entry that SymPy is asked about

Finding = Literal["equal", "different", "undefined", "unknown"]


@dataclass
class Refutation:
    """Values at which the sides differ, and how."""

    values: Values
    style: Style
    why: str = ""


@dataclass
class Sample:
    """What the float draws found."""

    trials: int = 0
    refutation: Refutation | None = None
    notes: dict[str, None] = field(default_factory=dict)
    refused: str = ""


# -- one comparison -------------------------------------------------------------------------------


def compare(pair: Pair, values: Values, seed: int = 0, *, careful: bool = False) -> Finding:
    """Whether both sides are equal at these values, over the reals.

    `undefined` says that one side has a value where the other has none. With `careful` the
    answer is to many digits even where float64 agrees.
    """
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    sides = (pair.left, pair.right)
    left, right = ([_numpy(y) for y in pair.run(s, values, TorchAlgebra(), seed)] for s in sides)
    if not careful and all(_close(x, y) for x, y in zip(left, right, strict=True)):
        return "equal"
    try:
        return _precisely(pair, values, seed)
    except Outside:
        return _against_perturbation(pair, values, seed, left, right)


def _numpy(x: Any) -> Array:
    return np.asarray(x.detach().cpu())


def _close(x: Array, y: Array) -> bool:
    if x.dtype.kind in "bi" and y.dtype.kind in "bi":
        return bool((x == y).all())
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return False
    return bool((np.abs(x - y) <= 1e-10 * np.maximum(np.abs(x), np.abs(y))).all())


def _precisely(pair: Pair, values: Values, seed: int) -> Finding:
    """The answer to many digits. Raises `Outside` where there are none."""
    from vesalius.rewrite.checking.precise import PreciseAlgebra

    largest = max((_points(t, values) for s in (pair.left, pair.right) for t in s.types), default=0)
    if largest > POINTS:
        raise Outside("too many entries for many digits")
    finding: Finding = "unknown"
    for digits in DIGITS:
        algebra = PreciseAlgebra(digits)
        left, right = (pair.run(side, values, algebra, seed) for side in (pair.left, pair.right))
        least = algebra.context.mpf(10) ** -(digits - SPARE)
        found = [_entries(x, y, least) for x, y in zip(left, right, strict=True)]
        finding = max(found, key=_SEVERITY.index, default="equal")
        if finding not in ("different", "unknown"):
            return finding
    return finding


_SEVERITY: list[Finding] = ["equal", "unknown", "undefined", "different"]


def _points(type_: Any, values: Values) -> int:
    total = 1
    for length in type_.sizes:
        total *= length.at(values.sizes) if length.variables <= set(values.sizes) else 1
    return total


def _entries(x: Array, y: Array, least: Any) -> Finding:
    """What all entries together say; below `least` a difference may be what a 1 swallowed."""
    finding: Finding = "equal"
    for a, b in zip(x.flat, y.flat, strict=True):
        if isinstance(a, (bool, np.bool_)) or isinstance(b, (bool, np.bool_)):
            if bool(a) != bool(b):
                return "different"
            continue
        if (a != a) or (b != b):
            if (a != a) != (b != b):
                finding = "undefined"
            continue
        if a != b and not abs(a - b) <= AGREE * max(abs(a), abs(b)):
            if not abs(a - b) < least:
                return "different"
            finding = max(finding, "unknown", key=_SEVERITY.index)
    return finding


def _against_perturbation(
    pair: Pair, values: Values, seed: int, left: Sequence[Array], right: Sequence[Array]
) -> Finding:
    """Whether the sides differ by more than a change of the inputs in the last place makes."""
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    rng = np.random.default_rng([seed, 3])
    spread = [np.zeros(x.shape) for x in left]
    for _ in range(3):
        moved = Values(
            values.sizes,
            tuple(_nudged(x, rng) for x in values.inputs),
            {name: _nudged(x, rng) for name, x in values.sources.items()},
        )
        for side, known in ((pair.left, left), (pair.right, right)):
            again = [_numpy(y) for y in pair.run(side, moved, TorchAlgebra(), seed)]
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


# -- random floats --------------------------------------------------------------------------------


def sampled(pair: Pair, *, seed: int = 0, draws: int = DRAWS) -> Sample:
    """Compare at random floats: sizes from 0 on, magnitudes from 1e-4 to 1e4, both signs.

    A difference on an empty axis, or a value that only one side has at a special point (a
    zero, a tie), becomes a note; at an ordinary point it refutes.
    """
    rng = np.random.default_rng([seed, 4])
    sample = Sample()
    draws = draws if pair.variables else 2 * draws  # scalars: one number a draw
    ones = dict.fromkeys(pair.variables, 1)
    apart = next(different_sizes(pair, rng), None)
    for k in range(draws):
        style = STYLES[k % len(STYLES)]
        sizes: dict[str, int] | None
        if k == 1 and fits(pair, ones):
            sizes = ones
        elif k % 3 == 0 and apart is not None:
            sizes = {name: min(value, 7) for name, value in apart.items()}
            sizes = sizes if fits(pair, sizes) else apart
        else:
            sizes = any_sizes(pair, rng, top=4)
        if sizes is None:
            sample.refused = "no sizes fit"
            return sample
        values = draw_floats(pair, sizes, rng, style)
        try:
            finding = compare(pair, values, seed + k, careful=k % 5 == 0)
        except SizeError as problem:
            sample.refused = str(problem).split("\n")[0]
            continue
        except (StructureError, Outside) as problem:
            sample.refused = str(problem).split("\n")[0]
            return sample
        sample.trials += 1
        _judge(sample, finding, values, style)
        if sample.refutation is not None:
            break
    return sample


def _judge(sample: Sample, finding: Finding, values: Values, style: Style) -> None:
    if finding in ("equal", "unknown"):
        return
    empty = [name for name, value in values.sizes.items() if value == 0]
    if empty:
        sample.notes[f"the sides differ where {' and '.join(empty)} is empty"] = None
    elif finding == "different":
        sample.refutation = Refutation(values, style, f"the values differ{_at(values)}")
    elif style.generic:
        sample.refutation = Refutation(values, style, f"only one side has a value{_at(values)}")
    else:
        sample.notes["only one side has a value at some special points (zeros, ties)"] = None


def _at(values: Values) -> str:
    shown = ", ".join(f"{name} = {value}" for name, value in values.sizes.items())
    return f" at {shown}" if shown else ""


def sampled_tier(sample: Sample) -> Tier:
    """What the draws amount to."""
    if sample.refutation is not None:
        return Tier("floats", "different", sample.trials, sample.refutation.why)
    if not sample.trials:
        return Tier("floats", "outside", 0, sample.refused)
    return Tier("floats", "equal", sample.trials, "magnitudes 1e-4 to 1e4")


# -- exact rationals ------------------------------------------------------------------------------


def rational(
    pair: Pair, *, seed: int = 0, draws: int = DRAWS
) -> tuple[Tier, Refutation | None, list[str]]:
    """Compare at exact rationals, ties and both signs among them."""
    rng = np.random.default_rng([seed, 5])
    done, refused = 0, "no sizes fit"
    notes: dict[str, None] = {}
    shapes = different_sizes(pair, rng)
    for k in range(draws if pair.variables else 2 * draws):
        style = STYLES[k % len(STYLES)]
        apart = next(shapes, None) if (k + k // len(STYLES)) % 2 == 0 else None
        sizes = apart or any_sizes(pair, rng, top=4)
        if sizes is None:
            continue
        values = draw_fractions(pair, sizes, rng, style)
        try:
            same = _all_same(pair, values, RationalAlgebra(), seed + k)
        except SizeError as problem:
            refused = str(problem).split("\n")[0]
            continue
        except VesaliusError as problem:
            refused = str(problem).split("\n")[0]
            if style.generic:
                return Tier("rationals", "outside", 0, refused), None, []
            continue
        done += 1
        if not same and 0 in values.sizes.values():
            empty = [name for name, value in values.sizes.items() if value == 0]
            notes[f"the sides differ where {' and '.join(empty)} is empty"] = None
        elif not same:
            reason = f"the values differ{_at(values)}"
            tier = Tier("rationals", "different", done, reason)
            return tier, Refutation(values, style, reason), list(notes)
    if not done:
        return Tier("rationals", "outside", 0, refused), None, []
    return Tier("rationals", "equal", done), None, list(notes)


def _all_same(pair: Pair, values: Values, algebra: Algebra, seed: int) -> bool:
    left, right = (pair.run(side, values, algebra, seed) for side in (pair.left, pair.right))
    same: Callable[[Any, Any], bool] = algebra.same  # type: ignore[attr-defined]
    return all(same(x, y) for x, y in zip(left, right, strict=True))


# -- SymPy ----------------------------------------------------------------------------------------


def symbolic(pair: Pair) -> Tier:
    """Ask SymPy for a proof at small sizes, where the expressions are small enough."""
    from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra, symbol_array

    rng = np.random.default_rng(6)
    sizes = next(different_sizes(pair, rng), None)
    if sizes is None:
        return Tier("SymPy", "outside", 0, "no sizes fit")
    algebra = SymbolicAlgebra()
    for shape in (sizes, {name: min(value, 2) for name, value in sizes.items()}):
        if not fits(pair, shape):
            continue
        arrays = {name: symbol_array(name, t, shape) for name, t in pair.types.items()}
        if sum(x.size for x in arrays.values()) > SYMBOLS:
            continue
        inputs = tuple(arrays[name] for name in pair.left.input_types)
        values = Values(shape, inputs, {name: arrays[name] for name in pair.sources})
        try:
            left, right = (pair.run(side, values, algebra, 0) for side in (pair.left, pair.right))
            if _operations([*left, *right]) > OPERATIONS:
                continue
            same = all(algebra.same(x, y) for x, y in zip(left, right, strict=True))
        except VesaliusError as problem:
            return Tier("SymPy", "outside", 0, str(problem).split("\n")[0])
        where = ", ".join(f"{name} = {value}" for name, value in shape.items())
        if same:
            return Tier("SymPy", "equal", 1, f"at {where}" if where else "", 0.0)
        return Tier("SymPy", "different", 1, where)
    return Tier("SymPy", "outside", 0, "the expressions are too large")


def _operations(results: Sequence[Any]) -> int:
    return max(
        (entry.count_ops() for x in results for entry in x.flat if hasattr(entry, "count_ops")),
        default=0,
    )
