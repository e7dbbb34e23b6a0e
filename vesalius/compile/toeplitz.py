"""Sums with weights that hang on the distance alone, as they are read from a diagram.

    out[n] = Σ_m w[n − m] · x[m] · rest

The weights are any array of queries × keys that is made from both positions through their distance:
a table read at it, a function of it, a condition on it, sums and products of these. So they are
known by their values at each distance, which are as many as there are positions; `write` makes
them, along one axis of distances. Integers count from what `vesalius.compile.scores` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from vesalius.compile.kernels.kernel import Place, Right
from vesalius.compile.scores import Line, at_least_zero, read_line, split_condition
from vesalius.compile.terms import Axis, Reading
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import IOTA
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size, size

COMPARISONS = ("less", "less_equal", "equal")
ALL, FORWARD, ROUND = "", "causal", "circular"  # distances; none below zero; modulo the length


class Distances:
    """The axis of distances on a right side: their label, and the distance at each place."""

    def __init__(self, right: Right, which: str, queries: Size, keys: Size) -> None:
        self.right, self.which, self.keys = right, which, keys
        self.label = Axis("distance")
        if which == ALL:
            self.length = queries + keys
            places = right.positions(self.label, self.length)
            # The first place stands for no distance; what is there is not read.
            least = right.number(-keys + 1)
            self.here = right.apply("maximum", right.add([places, right.number(-keys)]), least)
        else:
            self.length = keys
            self.here = right.positions(self.label, keys)

    def line(self, slope: int, constant: Size) -> Use:
        """`slope · distance + constant`."""
        right, terms = self.right, [self.here]
        if slope == -1:
            terms = [right.apply("negate", self.here)]
        elif slope != 1:
            terms = [right.contract([right.number(slope), self.here])]
        return right.add(terms if constant == 0 else [*terms, right.number(constant)])

    def within(self, comparison: str, slope: int, constant: Size) -> bool:
        """Whether 0 < line or 0 ≤ line holds at all distances that there are."""
        least = constant.constant
        if self.which == ALL or slope < 0 or least is None:
            return False
        return least > 0 or (comparison == "less_equal" and least == 0)

    def table(self, use: Use, axis: Label, at: Use) -> Use | None:
        """A table read at its own places in order is the table."""
        right = self.right
        if right.kind(at) is not IOTA or right.size(use, axis) != right.size(at, at[1][0]):
            return None
        return use[0], tuple([at[1][0] if x == axis else x for x in use[1]])


class Plan(NamedTuple):
    """How an array of weights is written along distances, and what of the diagram it reads.

    `turns` says whether it is the same after each length of the axis, `moves` whether it hangs on
    the distance, `reads_tables` whether it is known at distances that there are alone.
    """

    write: Callable[[Distances], Use]
    reads: tuple[Use, ...] = ()
    turns: bool = True
    moves: bool = False
    reads_tables: bool = False


class Toeplitz(NamedTuple):
    """A sum with weights by distance: `Σ_key weights · values · rest`, over `bound` too."""

    query: Label
    key: Label
    lengths: tuple[Size, Size]  # of the queries and of the keys
    weights: Plan
    which: str
    values: tuple[Use, ...]
    rest: tuple[Use, ...]
    bound: tuple[Label, ...]
    pairs: tuple[Use, ...]  # the factors of queries × keys that it does without


def read_toeplitz(place: Place, use: Use) -> Toeplitz | None:
    """The sum by distances that a contraction computes, if it is one."""
    if IOTA not in place.diagram.kinds:
        return None  # there are no positions, so there are no distances
    opened = place.open(use)
    plain = list(flat_factors(place, opened.uses))
    inner = list(opened.bound)
    deep = list(flat_factors(place, opened.uses, inner))
    nested = len(inner) > len(opened.bound)
    for factors, bound in ((plain, opened.bound), (deep, inner))[: 1 + nested]:
        for key in bound:
            for query in use[1]:
                found = _of_pair(place, factors, bound, query, key)
                if found is not None:
                    return found
    return None


def flat_factors(
    r: Reading, uses: Iterable[Use], bound: list[Label] | None = None
) -> Iterator[Use]:
    """Factors, also those of products entry by entry that nothing else reads.

    With a list for what they are summed over, also those of sums of products.
    """
    for use in uses:
        opened = r.open(use) if r.kind(use) is CONTRACT and r.single(use[0]) else None
        if opened is None or (opened.bound and bound is None):
            yield use
            continue
        if bound is not None:
            bound += opened.bound
        yield from flat_factors(r, opened.uses, bound)


def _of_pair(
    place: Place, factors: Sequence[Use], bound: Sequence[Label], query: Label, key: Label
) -> Toeplitz | None:
    wide = [use for use in factors if {query, key} <= set(use[1])]
    values = [use for use in factors if key in use[1] and use not in wide]
    if not wide:
        return None
    sizes = place.sizes(wide)
    lengths = sizes[query], sizes[key]
    planner = Planner(place, query, key, lengths)
    plan = planner.product(wide, ())
    if plan is None or not plan.moves:
        return None
    square = lengths[0] == lengths[1]
    if plan.reads_tables and not square:
        return None
    which = ALL
    if square and plan.turns:
        which = ROUND
    elif square and any(_hides_later(place, use, query, key) for use in wide):
        which = FORWARD
    rest = [use for use in factors if key not in use[1]]
    left = tuple([x for x in bound if x != key])
    of_rest = {x for use in rest for x in use[1]}
    if any(x in of_rest and x in use[1] for use in values for x in left):
        return None  # queries and keys are multiplied as well: that is no sum of distances alone
    return Toeplitz(query, key, lengths, plan, which, tuple(values), tuple(rest), left, tuple(wide))


class Planner:
    """Plans of arrays of queries × keys."""

    def __init__(self, place: Place, query: Label, key: Label, lengths: tuple[Size, Size]) -> None:
        self.place, self.query, self.key, self.lengths = place, query, key, lengths
        self.both = {query, key}
        self.known: dict[Use, Plan | None] = {}

    def of(self, use: Use) -> Plan | None:
        """The plan of a use, or None where it does not hang on the distance alone."""
        if use not in self.known:  # what is read in many places is looked at once
            self.known[use] = self._of(use)
        return self.known[use]

    def _of(self, use: Use) -> Plan | None:
        place = self.place
        if self.both.isdisjoint(use[1]):
            return Plan(lambda d: d.right.copied(use), () if place.is_number(use) else (use,))
        line = read_line(place, use)
        if line is not None:
            return self._line(line, place.dtype(use))
        kind = place.kind(use)
        if kind is POINTWISE:
            return self._pointwise(use)
        if kind is ADD:
            return self._sum(place.open(use).uses)
        if kind is CONTRACT:
            opened = place.open(use)
            return self.product(opened.uses, opened.bound)
        if kind is EXPAND:
            return self._expanded(use)
        return self._table(use) if kind is GATHER else None

    def _slope(self, line: Line) -> int | None:
        """By how much a line grows with the distance, if it hangs on nothing else."""
        slope = line.slopes.get(self.query, 0)
        return slope if line.slopes == {self.query: slope, self.key: -slope} else None

    def _line(self, line: Line, dtype: str) -> Plan | None:
        slope = self._slope(line)
        if slope is None:
            return None

        def write(d: Distances) -> Use:
            made = d.line(slope, line.constant)
            return d.right.apply("to_float", made) if dtype == "float" else made

        return Plan(write, turns=False, moves=True)

    def _together(self, uses: Sequence[Use]) -> list[Plan] | None:
        known: list[Plan] = []
        for use in uses:
            plan = self.of(use)
            if plan is None:
                return None
            known.append(plan)
        return known

    def product(self, uses: Sequence[Use], bound: Sequence[Label]) -> Plan | None:
        """The plan of a product."""
        parts = None if set(bound) & self.both else self._together(uses)
        if parts is None:
            return None
        return _joined(parts, lambda d: d.right.contract([p.write(d) for p in parts], bound))

    def _expanded(self, use: Use) -> Plan | None:
        opened = self.place.open(use)
        inner = self.of(opened.uses[0])
        if inner is None:
            return None
        sizes = {x: s for x, s in self.place.sizes([use]).items() if x not in self.both}
        return inner._replace(write=lambda d: d.right.expand(inner.write(d), sizes))

    def _table(self, use: Use) -> Plan | None:
        opened = self.place.open(use)
        table, at = opened.uses
        parts = self._together([table, at])
        if parts is None or not self.both.isdisjoint(table[1]):
            return None
        one, places = parts
        (axis,) = opened.bound

        def write(d: Distances) -> Use:
            read, here = one.write(d), places.write(d)
            whole = d.table(read, axis, here)
            return whole or d.right.box(GATHER, opened.box.attrs, [read, here], [axis])[0]

        return _joined(parts, write)._replace(reads_tables=True)

    def _pointwise(self, use: Use) -> Plan | None:
        place, opened = self.place, self.place.open(use)
        name = opened.box["function"].name
        if name == "remainder" and place.value(opened.uses[1]) == self.lengths[1]:
            turned = self._remainder(opened.uses)
            if turned is not None:
                return turned
        if name in COMPARISONS:
            compared = self._compared(name, opened.uses)
            if compared is not None:
                return compared
        parts = self._together(opened.uses)
        if parts is None:
            return None

        def write(d: Distances) -> Use:
            made = [part.write(d) for part in parts]
            if name == "where" and d.right.value(made[0]) is True:
                return made[1]
            if name == "logical_and" and True in (values := [d.right.value(x) for x in made]):
                return made[1 - values.index(True)]
            return d.right.box(POINTWISE, opened.box.attrs, made)[0]

        return _joined(parts, write)

    def _compared(self, name: str, uses: Sequence[Use]) -> Plan | None:
        """A comparison of positions as one of the distance with zero."""
        low, high = (read_line(self.place, use) for use in uses)
        line = None if low is None or high is None else high.plus(low.times(-1))
        slope = None if line is None else self._slope(line)
        if line is None or slope is None:
            return None

        def write(d: Distances) -> Use:
            if d.within(name, slope, line.constant):
                return d.right.number(True)
            return d.right.apply(name, d.right.number(0), d.line(slope, line.constant))

        return Plan(write, turns=False, moves=True)

    def _remainder(self, uses: Sequence[Use]) -> Plan | None:
        """A distance modulo the length."""
        line = read_line(self.place, uses[0])
        slope = None if line is None else self._slope(line)
        if line is None or slope is None:
            return None

        def write(d: Distances) -> Use:
            if (slope, line.constant) == (1, size(0)) and d.which != ALL:
                return d.here
            return d.right.apply("remainder", d.line(slope, line.constant), d.right.number(d.keys))

        return Plan(write, moves=True)

    def _sum(self, uses: Sequence[Use]) -> Plan | None:
        """A sum; terms that are positions times the same are distances together."""
        parts: list[Plan] = []
        lines: dict[frozenset[Use], Line] = {}
        for use in uses:
            plan, scaled = self.of(use), None
            if plan is not None:
                parts.append(plan)
            elif (scaled := self._scaled(use)) is None:
                return None
            else:
                others, line = scaled
                lines[others] = lines[others].plus(line) if others in lines else line
        for others, line in lines.items():
            own = self._line(line, "float")
            factors = self._together(sorted(others, key=lambda use: use[0]))
            if own is None or factors is None:
                return None
            parts.append(_product([own, *factors]))
        return _joined(parts, lambda d: d.right.add([p.write(d) for p in parts]))

    def _scaled(self, use: Use) -> tuple[frozenset[Use], Line] | None:
        """A position times something else."""
        place = self.place
        inside = place.applied(use, "negate")
        if inside is not None:
            found = self._scaled(inside[0])
            return None if found is None else (found[0], found[1].times(-1))
        line = read_line(place, use)
        if line is not None:
            return frozenset(), line
        if place.kind(use) is not CONTRACT or place.node_of(use[0]).box.bound:
            return None
        factors = list(flat_factors(place, place.open(use).uses))
        lines = [one for one in factors if not self.both.isdisjoint(one[1])]
        line = read_line(place, lines[0]) if len(lines) == 1 else None
        others = frozenset(one for one in factors if one not in lines)
        repeated = len(others) + 1 < len(factors)
        return None if line is None or repeated else (others, line)


def _product(parts: Sequence[Plan]) -> Plan:
    return _joined(parts, lambda d: d.right.contract([part.write(d) for part in parts]))


def _joined(parts: Sequence[Plan], write: Callable[[Distances], Use]) -> Plan:
    return Plan(
        write,
        tuple([use for part in parts for use in part.reads]),
        all(part.turns for part in parts),
        any(part.moves for part in parts),
        any(part.reads_tables for part in parts),
    )


# -- triangles ------------------------------------------------------------------------------------


def _hides_later(place: Place, use: Use, query: Label, key: Label) -> bool:
    """Whether weights are zero for keys that come later than the query."""

    def hides(use: Use, nothing: float) -> bool:
        inside = place.applied(use, "where")
        for x, other, truth in _branches(inside):
            if place.value(other) == nothing:
                return shows_past(inside[0], truth) or hides(x, nothing)  # type: ignore[index]
        if nothing:
            return False
        inside = place.applied(use, "exp")
        if inside is not None:
            return hides(inside[0], -math.inf)
        inside = place.applied(use, "to_float")
        if inside is not None and place.dtype(inside[0]) == "bool":
            return shows_past(inside[0], True)
        factors = place.open(use).uses if place.kind(use) is CONTRACT else ()
        return any(hides(one, 0) for one in factors)

    def shows_past(condition: Use, truth: bool) -> bool:
        for one in split_condition(place, condition, truth):
            line = at_least_zero(place, one)
            slope = 0 if line is None else line.slopes.get(query, 0)
            if line is None or slope <= 0 or line.slopes != {query: slope, key: -slope}:
                continue
            constant = line.constant.constant
            if constant is not None and constant <= 0:
                return True
        return False

    return hides(use, 0)


def _branches(inside: Sequence[Use] | None) -> list[tuple[Use, Use, bool]]:
    """What a `where` shows, what it shows else, and when it shows the first."""
    if inside is None:
        return []
    _, yes, no = inside
    return [(yes, no, True), (no, yes, False)]
