"""The laws that `normalise` applies: each an equality over the reals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vesalius.compile.normalise import Parts, law
from vesalius.compile.terms import Writing
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.builder import Label, Use

# -- softmax, spelled out -----------------------------------------------------------------------


@law("contract")
def softmax_from_its_definition(w: Writing, parts: Parts) -> Use | None:
    """exp(s) / Σ_m exp(s) = softmax_m(s), wherever in a product the two factors stand.

    So also Σ_m exp(s)·v / Σ_m exp(s) = Σ_m softmax_m(s)·v: both factors are looked for inside the
    contractions that this product reads.
    """
    product = _Product(w, parts.uses, parts.bound)
    for place, k, use in product.factors():
        total = w.applied(use, "reciprocal")
        if total is None or w.kind(total[0]) is not CONTRACT:
            continue
        below = w.open(total[0])
        if len(below.uses) != 1 or w.applied(below.uses[0], "exp") is None:
            continue
        over = set(below.bound)
        for other, j, one in product.factors():
            own = _same_but(one, below.uses[0], over)
            if own is not None:
                (inside,) = w.applied(one, "exp") or ()
                other.uses[j] = w.softmax(inside, own)
                del place.uses[k]
                return product.written(w)
    return None


class _Product:
    """A contraction, with those that only it reads opened: a tree of factors."""

    def __init__(self, w: Writing, uses: Sequence[Use], bound: Sequence[Label]) -> None:
        self.uses: list[Use | _Product] = []
        self.bound = bound
        for use in uses:
            if w.kind(use) is CONTRACT and w.single(use[0]):
                opened = w.open(use)
                self.uses.append(_Product(w, opened.uses, opened.bound))
            else:
                self.uses.append(use)

    def factors(self) -> Iterator[tuple[_Product, int, Use]]:
        """Each factor, with the product and the place in which it stands."""
        for k, use in enumerate(self.uses):
            if isinstance(use, _Product):
                yield from use.factors()
            else:
                yield self, k, use

    def written(self, w: Writing) -> Use:
        """The contraction with its factors as they are now."""
        uses = [use.written(w) if isinstance(use, _Product) else use for use in self.uses]
        carried = {x for use in uses for x in use[1]}
        return w.contract(uses, [x for x in self.bound if x in carried])


@law("exp")
def softmax_from_its_logarithm(w: Writing, parts: Parts) -> Use | None:
    """exp(s − log Σ_m exp(s)) = softmax_m(s)"""
    if w.kind(parts.uses[0]) is not ADD:
        return None
    opened = w.open(parts.uses[0])
    for k, use in enumerate(opened.uses):
        negated = w.applied(use, "negate")
        logarithm = w.applied(negated[0], "log") if negated else None
        if logarithm is None or w.kind(logarithm[0]) is not CONTRACT:
            continue
        below = w.open(logarithm[0])
        inside = w.applied(below.uses[0], "exp") if len(below.uses) == 1 else None
        if inside is None:
            continue
        rest = w.add([*opened.uses[:k], *opened.uses[k + 1 :]])
        own = _same_but(rest, inside[0], set(below.bound))
        if own is not None:
            return w.softmax(rest, own)
    return None


def _same_but(one: Use, other: Use, over: set[Label]) -> list[Label] | None:
    """The labels of `one` where `other` has one of `over`, if they are one use otherwise."""
    if one[0] != other[0]:
        return None
    pairs = list(zip(one[1], other[1], strict=True))
    if all(x == y or y in over for x, y in pairs):
        return [x for x, y in pairs if y in over]
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


@law("where")
def mask_inside_exponential(w: Writing, parts: Parts) -> Use | None:
    """where(c, exp(s), 0) = exp(where(c, s, −∞))"""
    condition, shown, hidden = parts.uses
    for keep, drop, turned in ((shown, hidden, False), (hidden, shown, True)):
        inside = w.applied(keep, "exp")
        value = w.value(drop)
        if inside is None or value is None or isinstance(value, bool) or value != 0:
            continue
        nothing = w.number(-math.inf)
        branches = (nothing, inside[0]) if turned else (inside[0], nothing)
        return w.apply("exp", w.apply("where", condition, *branches))
    return None


@law("contract")
def indicator_inside_exponential(w: Writing, parts: Parts) -> Use | None:
    """[c]·exp(s) = exp(where(c, s, −∞)) for a truth value c"""
    if parts.bound or len(parts.uses) != 2:
        return None
    for one, other in (parts.uses, parts.uses[::-1]):
        condition, inside = w.applied(one, "to_float"), w.applied(other, "exp")
        if condition is not None and inside is not None and w.dtype(condition[0]) == "bool":
            hidden = w.apply("where", condition[0], inside[0], w.number(-math.inf))
            return w.apply("exp", hidden)
    return None


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
