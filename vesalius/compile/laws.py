"""The laws that `normalise` applies: each an equality over the reals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vesalius.compile.normalise import Parts, law
from vesalius.compile.terms import Opened, Writing
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.builder import Label, Use

# -- softmax, spelled out -----------------------------------------------------------------------


@law("contract")
def softmax_from_its_definition(w: Writing, parts: Parts) -> Use | None:
    """exp(s) / Σ_m exp(s) = softmax_m(s), wherever in a product the factors stand.

    So also Σ_m exp(s)·v / Σ_m exp(s) = Σ_m softmax_m(s)·v: the factors are looked for inside the
    contractions that this product reads. There may be several on either side, as exponentials
    and truth values, or weights that were hidden after their softmax: what they are divided by
    does not depend on m, and cancels.
    """
    product = _Product(w, parts.uses, parts.bound)
    factors = list(product.factors())
    for place, k, use in factors:
        total = w.applied(use, "reciprocal")
        if total is None or w.kind(total[0]) is not CONTRACT:
            continue
        below = w.open(total[0])
        taken, own = _above(below, factors)
        weights = [one for _, _, one in taken]
        scores = _exponent(w, weights, set(own.values())) if weights else None
        if scores is None:
            continue
        place.uses[k] = None
        for other, j, _ in taken[1:]:
            other.uses[j] = None
        inner, j, _ = taken[0]
        inner.uses[j] = w.softmax(scores, list(own.values()))
        return product.written(w)
    return None


class _Product:
    """A contraction, with those that only it reads opened: a tree of factors."""

    def __init__(self, w: Writing, uses: Sequence[Use], bound: Sequence[Label]) -> None:
        self.uses: list[Use | _Product | None] = []
        self.bound = bound
        for use in uses:
            if w.kind(use) is CONTRACT and w.single(use[0]):
                opened = w.open(use)
                self.uses.append(_Product(w, opened.uses, opened.bound))
            else:
                self.uses.append(use)

    def factors(self) -> Iterator[_Factor]:
        """Each factor, with the product and the place in which it stands."""
        for k, use in enumerate(self.uses):
            if isinstance(use, _Product):
                yield from use.factors()
            elif use is not None:
                yield self, k, use

    def written(self, w: Writing) -> Use:
        """The contraction with its factors as they are now; those that are None are gone."""
        made = [use.written(w) if isinstance(use, _Product) else use for use in self.uses]
        uses = [use for use in made if use is not None]
        carried = {x for use in uses for x in use[1]}
        return w.contract(uses, [x for x in self.bound if x in carried])


_Factor = tuple[_Product, int, Use]


def _above(below: Opened, factors: Sequence[_Factor]) -> tuple[list[_Factor], dict[Label, Label]]:
    """The factors that a sum has, found in a product, and which axis each of the summed ones is.

    Nothing, where one is missing.
    """
    taken: list[_Factor] = []
    own: dict[Label, Label] = {}
    for use in below.uses:
        for factor in factors:
            axes = _same_but(factor[2], use, set(below.bound))
            if axes and factor not in taken and all(own.get(y, x) == x for y, x in axes.items()):
                taken.append(factor)
                own |= axes
                break
        else:
            return [], {}
    return taken, own


def _exponent(w: Writing, uses: Sequence[Use], over: set[Label]) -> Use | None:
    """s, where a product is exp(s) times what does not depend on the axes `over`.

    One of the exponents has to have all axes of the product: where none has, sums are smaller than
    the weights are, and a quotient of sums is what should stay.
    """
    exponents: list[Use] = []
    masks: list[tuple[Use, bool]] = []
    todo = list(uses)
    while todo:
        use = todo.pop(0)
        inside = w.applied(use, "exp")
        kept = _kept(w, use)
        if inside is not None:
            exponents.append(inside[0])
        elif w.kind(use) is SOFTMAX and over <= set(w.open(use).bound):
            exponents += w.open(use).uses
        elif kept is not None:
            rest, condition, truth = kept
            masks.append((condition, truth))
            todo += [] if rest is None else [rest]
        elif w.kind(use) is CONTRACT and not w.open(use).bound:
            todo += w.open(use).uses
        elif not w.value(use):  # any other number cancels
            return None
    axes = {x for use in uses for x in use[1]}
    if not any(axes == set(use[1]) for use in exponents):
        return None
    total = w.add(exponents)
    for condition, truth in masks:
        total = _hidden(w, condition, total, truth)
    return total


@law("exp")
def softmax_from_its_logarithm(w: Writing, parts: Parts) -> Use | None:
    """exp(s − log Σ_m exp(s)) = softmax_m(s)

    The sum may be nested: exp(s − (c + log Σ_m exp(s − c))), as one writes it with the maximum.
    """
    if w.kind(parts.uses[0]) is not ADD:
        return None
    terms = list(_terms(w, parts.uses[0]))
    for k, (use, negative) in enumerate(terms):
        logarithm = w.applied(use, "log") if negative else None
        if logarithm is None or w.kind(logarithm[0]) is not CONTRACT:
            continue
        below = w.open(logarithm[0])
        inside = w.applied(below.uses[0], "exp") if len(below.uses) == 1 else None
        if inside is None:
            continue
        rest = _sum(w, [*terms[:k], *terms[k + 1 :]])
        own = _same_but(rest, _sum(w, list(_terms(w, inside[0]))), set(below.bound))
        if own is not None:
            return w.softmax(rest, list(own.values()))
    return None


def _terms(w: Writing, use: Use, negative: bool = False) -> Iterator[tuple[Use, bool]]:
    """What is added up in a sum, through sums inside it, and whether it is subtracted."""
    inside = w.applied(use, "negate")
    if inside is not None:
        yield from _terms(w, inside[0], not negative)
    elif w.kind(use) is ADD:
        for one in w.open(use).uses:
            yield from _terms(w, one, negative)
    else:
        yield use, negative


def _sum(w: Writing, terms: Sequence[tuple[Use, bool]]) -> Use:
    return w.add([w.apply("negate", use) if negative else use for use, negative in terms])


def _same_but(one: Use, other: Use, over: set[Label]) -> dict[Label, Label] | None:
    """What `one` has for each of `over` in the other, if they are one use otherwise."""
    if one[0] != other[0]:
        return None
    pairs = list(zip(one[1], other[1], strict=True))
    if all(x == y or y in over for x, y in pairs):
        return {y: x for x, y in pairs if y in over}
    return None


# -- masks ----------------------------------------------------------------------------------------


@law("logical_and")
def equal_from_both_sides(w: Writing, parts: Parts) -> Use | None:
    """x ≤ y and y ≤ x: x = y"""
    one, other = (w.applied(use, "less_equal") for use in parts.uses)
    if one is None or other is None or one != other[::-1]:
        return None
    return w.apply("equal", *one)


# -- masks on exponentials ----------------------------------------------------------------------


def _kept(w: Writing, use: Use) -> tuple[Use | None, Use, bool] | None:
    """What `where(c, x, 0)` keeps, the condition, and what it has to be; x is None for [c]."""
    condition = w.applied(use, "to_float")
    if condition is not None and w.dtype(condition[0]) == "bool":
        return None, condition[0], True
    inside = w.applied(use, "where")
    if inside is None:
        return None
    for keep, drop, truth in ((1, 2, True), (2, 1, False)):
        if _is(w, inside[drop], 0):
            return (None if _is(w, inside[keep], 1) else inside[keep]), inside[0], truth
    return None


def _is(w: Writing, use: Use, number: int) -> bool:
    value = w.value(use)
    return value is not None and not isinstance(value, bool) and bool(value == number)


def _hidden(w: Writing, condition: Use, score: Use, truth: bool) -> Use:
    """The score where the condition has a truth value, −∞ elsewhere."""
    nothing = w.number(-math.inf)
    branches = (score, nothing) if truth else (nothing, score)
    return w.apply("where", condition, *branches)


@law("where")
def mask_inside_exponential(w: Writing, parts: Parts) -> Use | None:
    """where(c, exp(s), 0) = exp(where(c, s, −∞))"""
    condition, shown, hidden = parts.uses
    for keep, drop, truth in ((shown, hidden, True), (hidden, shown, False)):
        inside = w.applied(keep, "exp")
        if inside is not None and _is(w, drop, 0):
            return w.apply("exp", _hidden(w, condition, inside[0], truth))
    return None


@law("contract")
def indicator_inside_exponential(w: Writing, parts: Parts) -> Use | None:
    """[c]·exp(s) = exp(where(c, s, −∞)) for a truth value c"""
    if parts.bound or len(parts.uses) != 2:
        return None
    for one, other in (parts.uses, parts.uses[::-1]):
        kept, inside = _kept(w, one), w.applied(other, "exp")
        if kept is not None and kept[0] is None and inside is not None:
            return w.apply("exp", _hidden(w, kept[1], inside[0], kept[2]))
    return None


@law("log")
def logarithm_of_an_indicator(w: Writing, parts: Parts) -> Use | None:
    """log [c] = where(c, 0, −∞) for a truth value c"""
    kept = _kept(w, parts.uses[0])
    return None if kept is None or kept[0] else _hidden(w, kept[1], w.number(0.0), kept[2])


# -- what a softmax ignores ---------------------------------------------------------------------


@law("softmax")
def dead_shift(w: Writing, parts: Parts) -> Use | None:
    """softmax_m(s + c) = softmax_m(s), where c does not depend on m"""
    (scores,) = parts.uses
    over = set(parts.bound)
    if w.kind(scores) is not ADD:
        return None
    uses = w.open(scores).uses
    alive = [use for use in uses if not over.isdisjoint(use[1])]
    if len(alive) == len(uses) or not alive:
        return None
    rest = w.add(alive)
    sizes = w.sizes([scores])
    wide = w.expand(rest, {x: size for x, size in sizes.items() if x in over})
    made = w.box(SOFTMAX, (), [wide], parts.bound)[0]
    return w.expand(made, sizes)


# -- quotients ----------------------------------------------------------------------------------


@law("reciprocal")
def reciprocal_of_a_product(w: Writing, parts: Parts) -> Use | None:
    """1/(x·y) = 1/x · 1/y: each factor of a denominator goes where the factor belongs"""
    (below,) = parts.uses
    if w.kind(below) is not CONTRACT or not w.single(below[0]):
        return None
    opened = w.open(below)
    if opened.bound:
        return None
    return w.contract([w.apply("reciprocal", use) for use in opened.uses])


@law("contract")
def divide_late(w: Writing, parts: Parts) -> Use | None:
    """Σ_m (x/d)·y = (Σ_m x·y)/d, where d does not depend on m: there is less to divide"""
    over = set(parts.bound)
    if not over:
        return None
    inside: list[Use] = []
    divisors: list[Use] = []
    for use in parts.uses:
        product = w.kind(use) is CONTRACT and w.single(use[0]) and not w.open(use).bound
        factors = w.open(use).uses if product else (use,)
        late = [
            x for x in factors if over.isdisjoint(x[1]) and w.applied(x, "reciprocal") is not None
        ]
        divisors += late
        if late:
            inside += [x for x in factors if x not in late]
        else:
            inside.append(use)
    carried = {x for use in inside for x in use[1]}
    if not divisors or not over <= carried:
        return None
    return w.contract([*divisors, w.contract(inside, parts.bound)])


# -- sums ---------------------------------------------------------------------------------------


@law("contract")
def sum_of_a_product(w: Writing, parts: Parts) -> Use | None:
    """Σ_i (Σ_j x·y) = Σ_ij x·y: a sum of nothing but a product is one contraction"""
    if len(parts.uses) != 1:
        return None
    (inner,) = parts.uses
    if w.kind(inner) is not CONTRACT or not w.single(inner[0]):
        return None
    opened = w.open(inner)
    return w.contract(opened.uses, [*parts.bound, *opened.bound])
