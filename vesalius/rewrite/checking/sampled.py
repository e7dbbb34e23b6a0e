"""The sampled tiers: random floats, with balls as arbiter, and exact rationals.

Sizes from 0 on, magnitudes from 1e-16 to 1e16, ties, zeros, both signs, and the constants of both
sides: see `draws` and `corners`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vesalius.diagrams.errors import Outside, SizeError, StructureError, VesaliusError
from vesalius.diagrams.meaning.rational import RationalAlgebra
from vesalius.rewrite.checking.balls import BITS
from vesalius.rewrite.checking.compare import DEEP, Finding, compare
from vesalius.rewrite.checking.draws import (
    STYLES,
    Style,
    any_sizes,
    corner_styles,
    different_sizes,
    draw_floats,
    draw_fractions,
    fits,
    long_sizes,
)
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.verdict import Tier

DRAWS = 30


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


# -- random floats --------------------------------------------------------------------------------


def draws_of(pair: Pair, rng: np.random.Generator, draws: int) -> Iterator[tuple[Any, Style]]:
    """Sizes (None where none fit) and styles of as many draws, then those for constants."""
    ones = dict.fromkeys(pair.variables, 1)
    apart = next(different_sizes(pair, rng), None)
    for k in range(draws if pair.variables else 2 * draws):  # scalars: one number a draw
        style = STYLES[k % len(STYLES)]
        if k == 1 and fits(pair, ones):
            yield ones, style
        elif k % 3 == 0 and apart is not None:
            yield apart, style
        else:
            yield any_sizes(pair, rng, top=4), style
    for style in corner_styles(pair):
        for _ in range(2):
            yield apart, style
    for k, sizes in enumerate(long_sizes(pair, rng)):
        yield sizes, STYLES[k % 2]


def sampled(pair: Pair, *, seed: int = 0, draws: int = DRAWS) -> Sample:
    """Compare at random floats.

    A difference on an empty axis, or a value that only one side has at a special point (a
    zero, a tie), becomes a note; at an ordinary point it refutes.
    """
    rng = np.random.default_rng([seed, 4])
    sample = Sample()
    for k, (sizes, style) in enumerate(draws_of(pair, rng, draws)):
        if sizes is None:
            sample.refused = "no sizes fit"
            continue
        values = draw_floats(pair, sizes, rng, style)
        try:
            finding = compare(pair, values, seed + k, bits=DEEP if k % 7 == 2 else BITS)
        except SizeError as problem:
            sample.refused = str(problem).split("\n")[0]
            continue
        except (StructureError, Outside) as problem:
            sample.refused = str(problem).split("\n")[0]
            return sample
        if finding == "unknown":
            sample.refused = "no number of digits decides"
            continue
        sample.trials += 1
        _judge(sample, finding, values, style)
        if sample.refutation is not None:
            break
    return sample


def _judge(sample: Sample, finding: Finding, values: Values, style: Style) -> None:
    if finding == "equal":
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
    return Tier("floats", "equal", sample.trials, "magnitudes 1e-16 to 1e16")


# -- exact rationals ------------------------------------------------------------------------------


def rational(
    pair: Pair, *, seed: int = 0, draws: int = DRAWS
) -> tuple[Tier, Refutation | None, list[str]]:
    """Compare at exact rationals, ties and both signs among them."""
    rng = np.random.default_rng([seed, 5])
    done, refused = 0, "no sizes fit"
    notes: dict[str, None] = {}
    for k, (sizes, style) in enumerate(draws_of(pair, rng, draws)):
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


def _all_same(pair: Pair, values: Values, algebra: RationalAlgebra, seed: int) -> bool:
    left, right = (pair.run(side, values, algebra, seed) for side in (pair.left, pair.right))
    return all(algebra.same(x, y) for x, y in zip(left, right, strict=True))
