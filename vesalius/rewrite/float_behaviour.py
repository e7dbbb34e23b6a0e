"""How the two sides of an equal rule behave in floats: what rounding and overflow make of each.

Sides that are equal over the reals need not be equally good in floats. For each element type
and magnitude, inputs are drawn and rounded to the type, both sides are computed in it, and
compared with the result to many digits. Two numbers a side: the *error*, the largest
difference relative to the largest result, and the entries *lost*, those that are not finite
though the type has room for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vesalius.diagrams.errors import Outside, StructureError
from vesalius.rewrite.checking.balls import BallAlgebra, Undefined
from vesalius.rewrite.checking.compare import in_float64
from vesalius.rewrite.checking.draws import Style, different_sizes, draw_floats, fits
from vesalius.rewrite.checking.instances import Instance, legal_counts, pair_of, samples
from vesalius.rewrite.checking.masks import masked
from vesalius.rewrite.checking.pair import Array, Pair, Values
from vesalius.rewrite.rule import Rule

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16")
MAGNITUDES = (1.0, 10.0, 100.0, 1e3, 1e4)
LENGTH = 8  # of axes, where they may be so long
DRAWS = 3


@dataclass(frozen=True)
class Row:
    """One element type and magnitude; errors are relative, lost entries are shares of all."""

    dtype: str
    magnitude: float
    left: float
    right: float
    left_lost: float
    right_lost: float


@dataclass(frozen=True)
class FloatBehaviour:
    """A table with a row for each element type and magnitude; `print` it.

    `notes` say where −∞, which a mask puts into scores, makes a difference.
    """

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def row(self, dtype: str, magnitude: float) -> Row:
        """The row of an element type and a magnitude. Raises `LookupError` when there is none."""
        for row in self.rows:
            if (row.dtype, row.magnitude) == (dtype, magnitude):
                return row
        raise LookupError(f"{self.name}: no row for {dtype} at {magnitude:g}")

    @property
    def safe(self) -> bool:
        """Whether the right side loses no entry that the left side keeps."""
        return all(row.right_lost <= row.left_lost for row in self.rows)

    def __str__(self) -> str:
        head = f"{'':10}{'magnitude':>10}{'left':>12}{'right':>12}"
        lines = [self.name, head]
        for row in self.rows:
            cells = (_cell(row.left, row.left_lost), _cell(row.right, row.right_lost))
            lines.append(f"{row.dtype:10}{row.magnitude:>10g}{cells[0]:>12}{cells[1]:>12}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def _cell(error: float, lost: float) -> str:
    if lost:
        return f"lost {lost:.0%}"
    return f"{error:.1e}" if error > 1e-20 else "0"  # what is less underflows


def float_behaviour(thing: Rule | tuple[Any, Any], *, seed: int = 0) -> FloatBehaviour:
    """Measure both sides of a rule, or two diagrams, in float32 and bfloat16.

    Raises `StructureError` for a rule whose sides cannot be evaluated (learners are holes).
    """
    if isinstance(thing, Rule):
        name, pair = thing.name, _typical(thing)
    else:
        left, right = thing
        name, pair = f"{left.name} = {right.name}", Pair(left, right)
    if pair.left.learners or pair.right.learners:
        raise StructureError(f"{name}: a learner is a hole and has no float behaviour")
    sizes = _sizes(pair, seed)
    rows = [
        _measure(pair, sizes, dtype, magnitude, seed)
        for dtype in DTYPES
        for magnitude in MAGNITUDES
    ]
    return FloatBehaviour(name, tuple(rows), tuple(masked(pair, sizes, seed)))


def _typical(rule: Rule) -> Pair:
    """Two operands for each `many`, if so many are legal, and a tube that all share."""
    several = [port.name in rule.many for port in rule.left.inputs]
    wanted = tuple(2 if many else 1 for many in several)
    counts = list(legal_counts(rule, samples(rule)))
    if not counts:
        raise StructureError(f"{rule.name}: no number of operands gives both sides a meaning")
    chosen = wanted if wanted in counts else counts[0]
    return pair_of(rule, Instance(chosen, (("t",),) * sum(chosen)))


def _sizes(pair: Pair, seed: int) -> dict[str, int]:
    same = dict.fromkeys(pair.variables, LENGTH)
    if fits(pair, same):
        return same
    found = next(different_sizes(pair, np.random.default_rng([seed, 30])), None)
    if found is None:
        raise StructureError(f"{pair.left.name}: no sizes fit")
    return found


def _measure(pair: Pair, sizes: dict[str, int], dtype: str, magnitude: float, seed: int) -> Row:
    import torch

    kind = getattr(torch, dtype)
    errors, lost, count = [0.0, 0.0], [0, 0], 0
    for k in range(DRAWS):
        rng = np.random.default_rng([seed, 31, k])
        values = _rounded(draw_floats(pair, sizes, rng, Style(magnitude)), kind)
        wanted = _reference(pair, values, seed)
        for j, side in enumerate((pair.left, pair.right)):
            results = _in_dtype(pair, side, values, kind, seed)
            for y, reference in zip(results, wanted, strict=True):
                room = np.abs(reference) <= float(torch.finfo(kind).max)
                bad = room & ~np.isfinite(y)
                lost[j] += int(bad.sum())
                count += y.size if j == 0 else 0
                good = room & np.isfinite(y)
                scale = np.abs(reference[room]).max(initial=0.0)
                if good.any() and scale:
                    gap = np.abs(y[good] - reference[good]).max()
                    errors[j] = max(errors[j], float(gap / scale))
    share = [n / max(count, 1) for n in lost]
    return Row(dtype, magnitude, errors[0], errors[1], share[0], share[1])


def _rounded(values: Values, dtype: torch.dtype) -> Values:
    import torch

    def one(x: Array) -> Array:
        if x.dtype.kind != "f":
            return x
        return np.asarray(torch.as_tensor(x).to(dtype).double())

    return Values(
        values.sizes,
        tuple(one(x) for x in values.inputs),
        {name: one(x) for name, x in values.sources.items()},
    )


def _in_dtype(pair: Pair, side: Any, values: Values, dtype: torch.dtype, seed: int) -> list[Array]:
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    results = pair.run(side, values, TorchAlgebra(dtype), seed)
    return [np.asarray(y.double()) for y in results]


def _reference(pair: Pair, values: Values, seed: int) -> list[Array]:
    """The left side to many digits, else in float64."""
    try:
        results = pair.run(pair.left, values, BallAlgebra(), seed)
        return [_as_floats(y) for y in results]
    except Outside:
        return in_float64(pair, pair.left, values, seed)


def _as_floats(x: Array) -> Array:
    found = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        entry = x[place]
        found[place] = np.nan if isinstance(entry, Undefined) else float(entry)
    return found
