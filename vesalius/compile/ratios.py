"""Means whose weights are exponentials, read from a quotient of two sums along the positions.

    Σ_{m ≤ n} exp(level[m])·v[m] / Σ_{m ≤ n} exp(level[m])

As they are written, both sums overflow where exponents are large, though their ratio is a mean. The
past may fade by a factor at each position, and then the present may count with a level of its own:
above and below a past that ends one position earlier plus what is there now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vesalius.compile.kernels.recurrence import RECURRENCE
from vesalius.compile.scores import Condition, is_causal, split_condition
from vesalius.compile.states import Fading, fading
from vesalius.compile.terms import Reading, Use
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.shape import EXPAND, PAD, SLICE
from vesalius.diagrams.builder import Label
from vesalius.diagrams.sizes import Size


class Weighted(NamedTuple):
    """A product of exponentials, counted where all conditions hold, and other factors."""

    exponents: tuple[Use, ...] = ()
    conditions: tuple[tuple[Use, bool], ...] = ()
    rest: tuple[Use, ...] = ()

    def at(self, key: Label, query: Label) -> Weighted:
        """The same at the position of the query."""
        names = {key: query}
        return Weighted(
            tuple(_renamed(one, names) for one in self.exponents),
            tuple((_renamed(one, names), truth) for one, truth in self.conditions),
            tuple(_renamed(one, names) for one in self.rest),
        )

    def over(self, other: Weighted) -> tuple[Use, ...] | None:
        """What this one has beside the other, which is exponentials alone; None if it has not."""
        same = Counter(self.exponents) == Counter(other.exponents)
        shown = set(self.conditions) == set(other.conditions)
        return self.rest if same and shown and other.exponents and not other.rest else None


class Past(NamedTuple):
    """A sum of all up to a position, what it fades by, and what is there `now` instead."""

    position: Label
    length: Size
    weighted: Weighted
    fades: tuple[Fading, ...] = ()
    now: Weighted | None = None


class Mean(NamedTuple):
    """The sum below, and the factors of what it is the mean of."""

    below: Past
    values: tuple[Use, ...]


def mean(r: Reading, above: Use, below: Use) -> Mean | None:
    """The mean that a quotient is, if it is one."""
    bottom = read_past(r, below)
    if bottom is None or not bottom.weighted.exponents:
        return None
    top = read_past(r, above)
    if top is None or top.position != bottom.position or top.fades != bottom.fades:
        return None
    values = top.weighted.over(bottom.weighted)
    if bottom.now is not None and top.now is not None:
        now = top.now.over(bottom.now)
        if now is None or values is None or Counter(now) != Counter(values):
            return None
    elif bottom.now is not top.now:
        return None
    return Mean(bottom, values) if values else None


def read_past(r: Reading, use: Use) -> Past | None:
    """A sum along the positions, alone or beside what is there now."""
    if r.kind(use) is not ADD:
        return _up_to(r, use)
    terms = r.open(use).uses
    if len(terms) != 2:
        return None
    for one, other in (terms, terms[::-1]):
        before = _before(r, one)
        past = None if before is None else _up_to(r, before)
        if past is not None and past.position in other[1]:
            return past._replace(now=weighted(r, other))
    return None


def _before(r: Reading, use: Use) -> Use | None:
    """What a use is one position earlier, and 0 at the first."""
    if r.kind(use) is not SLICE:
        return None
    cut = r.open(use)
    (padded,) = cut.uses
    if r.kind(padded) is not PAD:
        return None
    pad = r.open(padded)
    start, before, after = cut.box["start"], pad.box["before"], pad.box["after"]
    if pad.new != cut.bound or pad.box["value"] != 0 or cut.box["step"] != 1:
        return None
    if (start.constant, before.constant, after.constant) != (0, 1, 0):
        return None
    (inner,) = pad.uses
    if r.size(inner, pad.bound[0]) != r.size(use, cut.new[0]):
        return None
    return _renamed(inner, {pad.bound[0]: cut.new[0]})


def _up_to(r: Reading, use: Use) -> Past | None:
    """A sum of all that comes no later: a recurrence, or a causal sum that does not fade."""
    if r.kind(use) is NAMED:
        return _recurrence(r, use)
    if r.kind(use) is not CONTRACT:
        return None
    opened = r.open(use)
    sizes = r.sizes(opened.uses)
    whole = _together([weighted(r, one) for one in opened.uses])
    for k, (shown, truth) in enumerate(whole.conditions if len(opened.bound) == 1 else ()):
        (key,) = opened.bound
        for query in shown[1]:
            if query == key or not is_causal(r, Condition(shown, truth), query, key):
                continue
            others = whole.conditions[:k] + whole.conditions[k + 1 :]
            uses = [*whole.exponents, *whole.rest, *(one for one, _ in others)]
            if sizes[query] != sizes[key] or any(query in one[1] for one in uses):
                return None
            here = whole._replace(conditions=others).at(key, query)
            return Past(query, sizes[query], here)
    return None


def _recurrence(r: Reading, use: Use) -> Past | None:
    opened = r.open(use)
    if opened.box["name"] != RECURRENCE.name:
        return None
    (position,) = opened.new
    gate, added = (_renamed(one, dict.fromkeys(opened.bound, position)) for one in opened.uses)
    fades = [fading(r, one) for one in _factors(r, gate)]
    known = tuple(one for one in fades if one is not None)
    if len(known) < len(fades):
        return None
    return Past(position, r.size(use, position), weighted(r, added), known)


def _factors(r: Reading, use: Use) -> list[Use]:
    if r.kind(use) is EXPAND or (r.kind(use) is CONTRACT and not r.open(use).bound):
        return [factor for one in r.open(use).uses for factor in _factors(r, one)]
    return [use]


def weighted(r: Reading, use: Use) -> Weighted:
    """A product taken apart into exponentials, conditions and all else."""
    if r.kind(use) is EXPAND or (r.kind(use) is CONTRACT and not r.open(use).bound):
        whole = _together([weighted(r, one) for one in r.open(use).uses])
        return whole if whole.exponents or whole.conditions else Weighted((), (), (use,))
    inside = r.applied(use, "exp")
    if inside is not None:
        return _exponential(r, inside[0])
    inside = r.applied(use, "to_float")
    if inside is not None and r.dtype(inside[0]) == "bool":
        return Weighted((), _conditions(r, inside[0], True))
    shown = _where(r, use, 0)
    if shown is not None:
        return _together([weighted(r, shown[0]), Weighted((), shown[1])])
    return Weighted((), (), (use,))


def _exponential(r: Reading, use: Use) -> Weighted:
    shown = _where(r, use, float("-inf"))
    inside, conditions = (use, ()) if shown is None else shown
    return Weighted(tuple(_terms(r, inside)), conditions)


def _terms(r: Reading, use: Use) -> list[Use]:
    return [x for one in r.open(use).uses for x in _terms(r, one)] if r.kind(use) is ADD else [use]


def _where(r: Reading, use: Use, hidden: float) -> tuple[Use, tuple[tuple[Use, bool], ...]] | None:
    """What a use is where some conditions hold, if it is `hidden` elsewhere."""
    inside = r.applied(use, "where")
    if inside is None:
        return None
    condition, yes, no = inside
    for shown, other, truth in ((yes, no, True), (no, yes, False)):
        value = r.value(other)
        if value is not None and not isinstance(value, bool) and value == hidden:
            return shown, _conditions(r, condition, truth)
    return None


def _conditions(r: Reading, use: Use, truth: bool) -> tuple[tuple[Use, bool], ...]:
    return tuple((c.use, c.truth) for c in split_condition(r, use, truth))


def _together(parts: Sequence[Weighted]) -> Weighted:
    return Weighted(
        tuple(x for one in parts for x in one.exponents),
        tuple(x for one in parts for x in one.conditions),
        tuple(x for one in parts for x in one.rest),
    )


def _renamed(use: Use, names: Mapping[Label, Label]) -> Use:
    return use[0], tuple(names.get(x, x) for x in use[1])
