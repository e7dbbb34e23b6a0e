"""Softmax attention as it is read from a diagram, whatever its spelling.

    out = Σ_m softmax_m(scores) · values · rest

The scores are a sum of products, hidden where a condition fails. They are read through nested
sums and products, through negations, integers made floats and `where(c, s, −∞)`, down to wires
that belong to the queries alone or to the keys alone: the operands of a kernel. What carries both
and is no sum or product stands as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vesalius.compile.terms import Reading
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import IOTA, RANDOM
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import ZERO, Size, size


class Factor(NamedTuple):
    """A product of uses, summed over some labels, as one factor of a term."""

    uses: tuple[Use, ...]
    bound: tuple[Label, ...] = ()

    @property
    def labels(self) -> dict[Label, None]:
        """The axes that it carries, in the order of their occurrence."""
        found = dict.fromkeys(x for _, labels in self.uses for x in labels)
        return {x: None for x in found if x not in self.bound}


class Summand(NamedTuple):
    """One product among the scores: `± numbers · factors`, summed over `bound`."""

    factors: tuple[Factor, ...]
    numbers: tuple[Use, ...] = ()
    bound: tuple[Label, ...] = ()
    negative: bool = False

    @property
    def labels(self) -> dict[Label, None]:
        """The axes of the product."""
        found = dict.fromkeys(x for factor in self.factors for x in factor.labels)
        return {x: None for x in found if x not in self.bound}


class Condition(NamedTuple):
    """A truth value and what it has to be for a score to count."""

    use: Use
    truth: bool


class Scores(NamedTuple):
    """The scores of a softmax: a sum of products where all conditions hold, −∞ elsewhere."""

    summands: tuple[Summand, ...]
    conditions: tuple[Condition, ...]


class Mix(NamedTuple):
    """Values mixed with the weights of a softmax: `Σ weights · values · rest`, over `bound`."""

    weights: Use
    scores: Use
    keys: tuple[Label, ...]  # the axes along which the weights are normalised and mixed
    values: tuple[Use, ...]  # the factors that carry an axis of the keys
    rest: tuple[Use, ...]
    bound: tuple[Label, ...]  # everything else that is summed over


# -- the mix ------------------------------------------------------------------------------------


def read_mix(r: Reading, use: Use) -> Mix | str:
    """The mix that a contraction computes, or the reason why it is none.

    The reason is empty where there is no softmax at all, or where another box sums its weights.
    """
    opened = r.open(use)
    found = _weights(r, opened.uses)
    if found is None:
        return DRAWN if any(_drawn(r, one) for one in opened.uses) else ""
    weights, others, inner = found
    scores = r.open(weights)
    keys = scores.bound
    bound = (*opened.bound, *inner)
    if not set(keys) <= set(opened.bound):
        return ""
    values = tuple(x for x in others if not set(keys).isdisjoint(x[1]))
    if not values:
        return "nothing but the weights is summed"
    rest = tuple(x for x in others if x not in values)
    left = tuple(x for x in bound if x not in keys)
    return Mix(weights, scores.uses[0], keys, values, rest, left)


DRAWN = "its weights are multiplied by random draws for each pair; what it returns can be, instead"


def _drawn(r: Reading, use: Use) -> bool:
    """Whether weights of a softmax go through random draws, entry by entry."""
    todo, kinds = [use], set[str]()
    while todo:
        one = todo.pop()
        kind = r.kind(one)
        kinds.add(kind.name)
        if kind in (POINTWISE, EXPAND) or (kind is CONTRACT and not r.node_of(one[0]).box.bound):
            todo += r.open(one).uses
    return {SOFTMAX.name, RANDOM.name} <= kinds


def _weights(
    r: Reading, uses: Sequence[Use]
) -> tuple[Use, tuple[Use, ...], tuple[Label, ...]] | None:
    """A softmax among the factors, or among those of a factor that is a product itself."""
    for k, use in enumerate(uses):
        others = (*uses[:k], *uses[k + 1 :])
        if r.kind(use) is SOFTMAX:
            return use, others, ()
        if r.kind(use) is CONTRACT and r.single(use[0]):
            opened = r.open(use)
            found = _weights(r, opened.uses)
            if found is not None:
                weights, inner, bound = found
                return weights, (*others, *inner), (*opened.bound, *bound)
    return None


# -- the scores ---------------------------------------------------------------------------------


def read_scores(
    r: Reading,
    use: Use,
    keys: Iterable[Label],
    queries: Iterable[Label],
    ordered: Sequence[tuple[Label, Label]] = (),
) -> Scores:
    """The scores as a sum of products; `queries` are axes that no key carries.

    `ordered` are pairs of axes such that only scores count where the position along the first is
    at least that along the second: the absolute value of their distance is the distance there.
    """
    reader = _ScoreReader(r, set(keys), set(queries), set(use[1]))
    reader.ordered = ordered
    reader.visit(use, (), (), (), False)
    return Scores(tuple(reader.summands), tuple(reader.conditions))


class _ScoreReader:
    def __init__(
        self, r: Reading, keys: set[Label], queries: set[Label], every: set[Label]
    ) -> None:
        self.r = r
        self.keys = keys
        self.queries = queries
        self.every = every
        self.ordered: Sequence[tuple[Label, Label]] = ()
        self.summands: list[Summand] = []
        self.conditions: list[Condition] = []

    def wide(self, use: Use) -> bool:
        """Whether a wire is one of scores, and no operand of them."""
        labels = set(use[1])
        if self.keys.isdisjoint(labels):
            return False
        return self.queries <= labels if self.queries else labels <= self.every

    def visit(
        self,
        use: Use,
        factors: tuple[Factor, ...],
        numbers: tuple[Use, ...],
        bound: tuple[Label, ...],
        negative: bool,
    ) -> None:
        """Read a use that is multiplied by factors and numbers and summed over `bound`."""
        r = self.r
        if r.is_number(use):
            self.summands.append(Summand(factors, (*numbers, use), bound, negative))
            return
        if not self.wide(use):
            self._leaf(use, factors, numbers, bound, negative)
            return
        inside = r.applied(use, "negate")
        if inside is not None:
            self.visit(inside[0], factors, numbers, bound, not negative)
            return
        inside = r.applied(use, "to_float")
        if inside is not None and r.dtype(inside[0]) == "int":
            self.visit(inside[0], factors, numbers, bound, negative)
            return
        sign = self._sign(use)
        if sign:
            self.visit(r.open(use).uses[0], factors, numbers, bound, negative != (sign < 0))
            return
        kind = r.kind(use)
        if kind is ADD:
            for one in r.open(use).uses:
                self.visit(one, factors, numbers, bound, negative)
        elif kind is CONTRACT:
            self._product(use, factors, numbers, bound, negative)
        elif not factors and self._hidden(use, numbers, negative):
            return
        else:
            self._leaf(use, factors, numbers, bound, negative)

    def _product(
        self,
        use: Use,
        factors: tuple[Factor, ...],
        numbers: tuple[Use, ...],
        bound: tuple[Label, ...],
        negative: bool,
    ) -> None:
        """A product: its factors join those around it; a sum among them is multiplied out."""
        opened = self.r.open(use)
        bound = (*bound, *opened.bound)
        todo, sums = list(opened.uses), list[Use]()
        while todo:
            one = todo.pop(0)
            if self.r.is_number(one):
                numbers = (*numbers, one)
            elif not self.wide(one):
                if self._plain(one):
                    todo = [*self.r.open(one).uses, *todo]
                    continue
                more, sign, factor = self._narrow(one)
                numbers, negative = (*numbers, *more), negative != sign
                factors = (*factors, factor)
            elif self.r.kind(one) is CONTRACT:
                inner = self.r.open(one)
                todo, bound = [*inner.uses, *todo], (*bound, *inner.bound)
            else:
                sums.append(one)
        if sums:
            first, *rest = sums
            factors = (*factors, *(Factor((one,)) for one in rest))
            self.visit(first, factors, numbers, bound, negative)
        else:
            self.summands.append(Summand(factors, numbers, bound, negative))

    def _plain(self, use: Use) -> bool:
        """Whether an operand is a product, entry by entry, that nothing else reads."""
        r = self.r
        return r.kind(use) is CONTRACT and r.single(use[0]) and not r.node_of(use[0]).box.bound

    def _leaf(
        self,
        use: Use,
        factors: tuple[Factor, ...],
        numbers: tuple[Use, ...],
        bound: tuple[Label, ...],
        negative: bool,
    ) -> None:
        more, sign, factor = self._narrow(use)
        self.summands.append(
            Summand((*factors, factor), (*numbers, *more), bound, negative != sign)
        )

    def _narrow(self, use: Use) -> tuple[tuple[Use, ...], bool, Factor]:
        """An operand without its scale: numbers, whether it is negated, and what is left."""
        inside = self.r.applied(use, "negate")
        if inside is not None:
            numbers, negative, factor = self._narrow(inside[0])
            return numbers, not negative, factor
        inside = self.r.applied(use, "to_float")
        if inside is not None and self.r.dtype(inside[0]) == "int":
            return self._narrow(inside[0])
        if self.r.kind(use) is CONTRACT:
            opened = self.r.open(use)
            numbers = tuple(x for x in opened.uses if self.r.is_number(x))
            left = tuple(x for x in opened.uses if x not in numbers)
            if numbers and len(left) == 1 and not opened.bound:
                more, negative, factor = self._narrow(left[0])
                return (*numbers, *more), negative, factor
            if numbers and left:
                return numbers, False, Factor(left, opened.bound)
        return (), False, Factor((use,))

    def _sign(self, use: Use) -> int:
        """The sign of what stands in an absolute value, where it is known; else 0."""
        inside = self.r.applied(use, "abs") if self.ordered else None
        line = read_line(self.r, inside[0]) if inside else None
        if line is None or line.constant != ZERO:
            return 0
        for query, key in self.ordered:
            for sign in (1, -1):
                if line.slopes == {query: sign, key: -sign}:
                    return sign
        return 0

    def _hidden(self, use: Use, numbers: tuple[Use, ...], negative: bool) -> bool:
        """Read `where(c, s, −∞)`; a scale around it is positive, so −∞ stays what it is."""
        inside = self.r.applied(use, "where")
        if inside is None or negative or not all(positive(self.r, x) for x in numbers):
            return False
        condition, shown, hidden = inside
        for score, other, truth in ((shown, hidden, True), (hidden, shown, False)):
            if self.r.value(other) == -math.inf:
                self.conditions += split_condition(self.r, condition, truth)
                self.visit(score, (), numbers, (), negative)
                return True
        return False


def positive(r: Reading, use: Use) -> bool:
    """Whether a number is known to be above zero, for sizes of at least one."""
    value = r.value(use)
    if isinstance(value, Size):
        return all(coefficient > 0 for _, coefficient in value.terms)
    if value is not None:
        return bool(value > 0)
    for function in ("sqrt", "reciprocal", "to_float"):
        inside = r.applied(use, function)
        if inside is not None:
            return positive(r, inside[0])
    if r.kind(use) in (CONTRACT, ADD):
        return all(positive(r, one) for one in r.open(use).uses)
    return False


# -- conditions ---------------------------------------------------------------------------------


def split_condition(r: Reading, use: Use, truth: bool) -> list[Condition]:
    """The conditions that have to hold together for `use` to be `truth`."""
    inside = r.applied(use, "logical_not")
    if inside is not None:
        return split_condition(r, inside[0], not truth)
    inside = r.applied(use, "logical_and" if truth else "logical_or")
    if inside is not None:
        return [one for part in inside for one in split_condition(r, part, truth)]
    return [Condition(use, truth)]


class Line(NamedTuple):
    """An integer that is linear in positions: `Σ coefficient · position + constant`."""

    slopes: dict[Label, int]
    constant: Size

    def times(self, by: int) -> Line:
        """The line, so many times."""
        return Line({x: slope * by for x, slope in self.slopes.items()}, self.constant * by)

    def plus(self, other: Line) -> Line:
        """The sum of two lines."""
        slopes = dict(self.slopes)
        for x, slope in other.slopes.items():
            slopes[x] = slopes.get(x, 0) + slope
        return Line({x: s for x, s in slopes.items() if s}, self.constant + other.constant)


def read_line(r: Reading, use: Use) -> Line | None:
    """The linear form of an integer in the positions along its axes, if it is one."""
    if r.kind(use) is IOTA:
        return Line({use[1][0]: 1}, ZERO)
    value = r.value(use)
    if value is not None:
        whole = isinstance(value, Size) or (value == int(value) if math.isfinite(value) else False)
        return Line({}, value if isinstance(value, Size) else size(int(value))) if whole else None
    inside = r.applied(use, "negate")
    if inside is not None:
        return _scaled(read_line(r, inside[0]), -1)
    inside = r.applied(use, "to_float")
    if inside is not None:
        return read_line(r, inside[0]) if r.dtype(inside[0]) == "int" else None
    if r.kind(use) is ADD:
        total: Line | None = Line({}, ZERO)
        for one in r.open(use).uses:
            total = _plus(total, read_line(r, one))
            if total is None:  # what else is added may be a long story
                return None
        return total
    if r.kind(use) is CONTRACT:
        opened = r.open(use)
        if opened.bound or len(opened.uses) != 2:
            return None
        lines = [read_line(r, one) for one in opened.uses]
        for number, line in (lines, lines[::-1]):
            if number is not None and not number.slopes and number.constant.constant is not None:
                return _scaled(line, number.constant.constant)
    return None


def _scaled(line: Line | None, by: int) -> Line | None:
    return None if line is None else line.times(by)


def _plus(one: Line | None, other: Line | None) -> Line | None:
    return None if one is None or other is None else one.plus(other)


def at_least_zero(r: Reading, condition: Condition) -> Line | None:
    """A comparison of integers as the one line that has to be at least zero."""
    for function, strict in (("less", 1), ("less_equal", 0)):
        inside = r.applied(condition.use, function)
        if inside is None:
            continue
        low, high = inside if condition.truth else inside[::-1]
        least = strict if condition.truth else 1 - strict
        difference = _plus(read_line(r, high), _scaled(read_line(r, low), -1))
        return _plus(difference, Line({}, size(-least)))
    return None


def is_causal(r: Reading, condition: Condition, query: Label, key: Label) -> bool:
    """Whether a condition says that the key stands no later than the query."""
    line = at_least_zero(r, condition)
    return line is not None and line.slopes == {query: 1, key: -1} and line.constant == ZERO
