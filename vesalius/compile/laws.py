"""The laws that `normalise` applies: each an equality over the reals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vesalius.compile.normalise import Parts, law
from vesalius.compile.terms import Writing
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.builder import Label, Use

# -- softmax, spelled out -----------------------------------------------------------------------


@law("contract")
def softmax_from_its_definition(w: Writing, parts: Parts) -> Use | None:
    """exp(s) / Σ_m exp(s) = softmax_m(s), wherever in a product the two factors stand.

    So also Σ_m exp(s)·v / Σ_m exp(s) = Σ_m softmax_m(s)·v: the exponential is looked for inside
    the contractions that this product reads.
    """
    for k, use in enumerate(parts.uses):
        total = w.applied(use, "reciprocal")
        if total is None or w.kind(total[0]) is not CONTRACT:
            continue
        below = w.open(total[0])
        if len(below.uses) != 1 or w.applied(below.uses[0], "exp") is None:
            continue
        wire, labels = below.uses[0]
        rest = [*parts.uses[:k], *parts.uses[k + 1 :]]
        found = _replaced(w, rest, wire, labels, set(below.bound))
        if found is not None:
            return w.contract(found, parts.bound)
    return None


def _replaced(
    w: Writing, uses: Sequence[Use], wire: int, labels: Sequence[Label], over: set[Label]
) -> list[Use] | None:
    """The uses with one exponential among the factors replaced by its softmax."""
    for k, use in enumerate(uses):
        new: Use | None = None
        if use[0] == wire:
            own = [x for x, y in zip(use[1], labels, strict=True) if y in over]
            same = all(x == y or y in over for x, y in zip(use[1], labels, strict=True))
            if same:
                (inside,) = w.applied(use, "exp") or ()
                new = w.softmax(inside, own)
        elif w.kind(use) is CONTRACT and w.single(use[0]):
            opened = w.open(use)
            found = _replaced(w, opened.uses, wire, labels, over)
            if found is not None:
                new = w.contract(found, opened.bound)
        if new is not None:
            return [*uses[:k], new, *uses[k + 1 :]]
    return None


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
