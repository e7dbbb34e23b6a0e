"""The exact tier: both sides in the finite field, with fresh seeds, until chance is ruled out.

What the finite field does not contain is taken for an *unspecified function*: a maximum, a
comparison, a second exponential on a path, a function without an exact form. Sides that are
equal then are equal whatever these functions are, in particular for those meant. Sides that
differ then may still be equal, and the tier says `outside`.

Sizes are at least 2 and pairwise different, so that nothing passes because it is true at
size 1, or because two axes happen to have one length. Then each axis in turn is long, and longer
than the integers of both sides. Constants that the field does not tell apart are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside, SizeError, StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.arrays import Array, Real
from vesalius.diagrams.meaning.field import FieldAlgebra, ZeroDenominator, acceptance
from vesalius.diagrams.meaning.residues import FIELD, P, Q, mix, spread
from vesalius.rewrite.checking.corners import constants
from vesalius.rewrite.checking.draws import different_sizes, draw, fits, long_sizes
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.checking.terms import TermAlgebra, terms
from vesalius.rewrite.verdict import Tier

ERROR = 1e-9
LEAST, MOST = 3, 64  # trials
SHAPES = 3  # assignments of sizes
REDRAWS = 16
ENTRIES = 1 << 14  # the largest array that is evaluated entry by entry


class OpenField(FieldAlgebra):
    """The finite field with everything outside it an unspecified function."""

    name = "open field"

    def exp(self, x: Array) -> Array:
        known = (x["q"] >= 0) | (x["p"] < 0)
        if known.all():
            return super().exp(x)
        result: Array = self.hashed("exp", (), [x])
        if known.any():  # entry by entry: an exponential is one wherever it can be
            result[known] = super().exp(x[known])
        return result

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        if x.dtype != FIELD:
            return super().extreme(how, x, dim)
        rows = np.sort(np.moveaxis(x, dim, -1)["p"], axis=-1)  # whatever the order of entries
        self.unspecified.add(how)
        state = np.array(self.key(how))
        for k in range(rows.shape[-1]):
            state = mix(state ^ rows[..., k].astype(np.uint64))
        return spread(np.broadcast_to(state, rows.shape[:-1]))

    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        try:
            return super().apply(function, numbers, inputs, gives)
        except ZeroDenominator:
            raise
        except Outside:
            inputs = [self.embed(x, "bool") if x.dtype == bool else self.floats(x) for x in inputs]
            if function.commutative:
                inputs = _sorted(inputs)
            result = self.hashed(function.name, numbers, inputs)
            if gives == "float":
                return result
            truth: Array = result["p"] % 2 == 1
            return truth if gives == "bool" else truth.astype(int).astype(object)

    def key(self, name: str) -> np.uint64:
        """A word that a run draws for a name."""
        drawn = self.arbitrary(f"function {name}", ())
        return np.uint64(drawn["p"] << 31 | drawn["q"])


def _sorted(inputs: Sequence[Array]) -> list[Array]:
    """Two arrays with the smaller residue first, entry by entry."""
    x, y = np.broadcast_arrays(*inputs)
    swap = x["p"] > y["p"]
    return [np.where(swap, y, x), np.where(swap, x, y)]


@dataclass(frozen=True)
class Difference:
    """Where a trial found the sides different: the sizes and the seed."""

    sizes: dict[str, int]
    seed: int
    values: Values


def exact(
    pair: Pair,
    *,
    seed: int = 0,
    error: float | None = ERROR,
    shapes: int = SHAPES,
    stand_ins: Iterable[str] = (),
) -> tuple[Tier, Difference | None]:
    """Compare both sides in the finite field.

    `stand_ins` are functions that are unspecified on purpose, so that a difference counts. The
    first assignment of sizes gets as many trials as bring the probability of a false
    acceptance below `error`, the others a few; so do all when `error` is None.
    """
    rng = np.random.default_rng([seed, 1])
    confused = _confused(pair)
    if confused:
        return Tier("finite field", "outside", 0, confused), None
    done, bound, sized = 0, None, 0
    refused = ""
    apart = islice(different_sizes(pair, rng), 4 * shapes)
    for long, sizes in (*((False, s) for s in apart), *((True, s) for s in long_sizes(pair, rng))):
        if sized == shapes and not long:
            continue
        needed = 1 if long else LEAST
        try:
            if not sized and error is not None:
                needed, bound = _needed(pair, sizes, seed, error)
            for k in range(needed):
                found, opened = _trial(pair, sizes, seed + 1000 * sized + k)
                done += 1
                if found is None:
                    continue
                unsure = sorted(opened - set(stand_ins))
                if unsure:
                    names = ", ".join(unsure)
                    reason = f"the finite field does not decide what depends on {names}"
                    return Tier("finite field", "outside", done, reason), None
                where = f"the values differ{_shown(sizes)}"
                return Tier("finite field", "different", done, where), found
        except SizeError as problem:
            refused = str(problem)
            continue
        except (Outside, StructureError) as problem:
            return Tier("finite field", "outside", done, _first_line(problem)), None
        sized += not long
    if not sized:
        return Tier("finite field", "outside", 0, refused or "no sizes fit"), None
    reason = f"at {sized} assignments of sizes"
    if error is not None and bound is None:
        reason += "; too many exponentials for a bound on the error"
    return Tier("finite field", "equal", done, reason, bound), None


def _confused(pair: Pair) -> str:
    """Which constants are different and yet have one residue, if there are such."""
    for modulus in (P, Q):
        seen: dict[int, Fraction] = {}
        for x in (Fraction(0), Fraction(1), Fraction(-1), *constants(pair)):
            if x.denominator % modulus == 0:
                return f"the denominator of the constant {x} is 0 in the finite field"
            residue = x.numerator * pow(x.denominator, -1, modulus) % modulus
            if seen.setdefault(residue, x) != x:
                return f"the constants {x} and {seen[residue]} are one in the finite field"
    return ""


def _shown(sizes: dict[str, int]) -> str:
    shown = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    return f" at {shown}" if shown else ""


def _first_line(problem: Exception) -> str:
    return str(problem).split("\n")[0]


def _trial(pair: Pair, sizes: dict[str, int], seed: int) -> tuple[Difference | None, set[str]]:
    """One trial, drawn again while a denominator is zero; and the functions left open."""
    for again in range(REDRAWS):
        fresh = seed + 7919 * again
        algebra = OpenField()
        algebra.begin({}, {}, fresh)
        rng = np.random.default_rng([fresh, 2])
        values = draw(pair, sizes, rng, algebra.arbitrary)
        opened: set[str] = set()
        try:
            results = []
            for side in (pair.left, pair.right):
                results.append(pair.run(side, values, algebra, fresh))
                opened |= algebra.unspecified
        except ZeroDenominator:
            continue
        if all(algebra.same(x, y) for x, y in zip(*results, strict=True)):
            return None, opened
        return Difference(sizes, fresh, values), opened
    raise Outside("a denominator is 0 whatever the inputs")


def _needed(pair: Pair, sizes: dict[str, int], seed: int, error: float) -> tuple[int, float | None]:
    """How many trials reach the error wanted, and the error that so many reach."""
    count, degree = complexity(pair, sizes, seed)
    once = 1.0 if count is None else acceptance(count, degree)
    if once >= 1:
        return LEAST * 4, None
    wanted = math.ceil(math.log(error) / math.log(once)) if once else 1
    done = min(max(wanted, LEAST), MOST)
    return done, once**done


def complexity(pair: Pair, sizes: dict[str, int], seed: int = 0) -> tuple[int | None, int]:
    """Exponential terms and degree of the difference of both sides; None for too many.

    Neither depends on the length of a tube.
    """
    acted = _acted_on(pair.left) | _acted_on(pair.right)
    slim = {name: value if name in acted else 1 for name, value in sizes.items()}
    sizes = slim if fits(pair, slim) else sizes
    if any(math.prod(s.at(sizes) for s in t.sizes) > ENTRIES for t in pair.left.types):
        return None, 1
    algebra = TermAlgebra()
    algebra.begin({}, {}, seed)
    values = draw(pair, sizes, np.random.default_rng([seed, 2]), algebra.arbitrary)
    results: list[list[Any]] = []
    try:
        for side in (pair.left, pair.right):
            results.append(pair.run(side, values, algebra, seed))
    except Outside:  # a user's own exact form, which cannot be counted
        return None, 1
    return terms(*results)


def _acted_on(diagram: Diagram) -> set[str]:
    """The size variables of the axes that some box binds or makes."""
    found: set[str] = set()
    for node in diagram.boxes:
        site = diagram.site(node)
        for length in (*site.bound_sizes, *site.new_sizes):
            found |= length.variables
    return found
