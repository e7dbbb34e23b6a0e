"""Softmax weights whose scores split: two products instead of an array with all axes.

Σ_m softmax_m(w[n, m] + k[m, c])·v[m, c] has an array of n × m × c entries as it is written. Since
exp(w + k) = exp(w)·exp(k), numerator and denominator are matrix products (an attention free
transformer, arXiv 2105.14103). Each exponential is brought to its own largest entry along the keys,
which cancels: nothing overflows. A row whose largest weight is that of an entry more than some 85
below the largest of *both* factors underflows in float32, and is not a number: forbid this kernel
where tables and keys are that far apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.roofline import stepwise
from vesalius.compile.scores import Summand, read_mix, read_scores
from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.graph import Diagram

NAME = "factored_exponentials"


def define(variant: str) -> Diagram:
    """Σ_m softmax_m(w + k)·v, where k and v have tubes that w has not; there are no variants."""
    builder = Builder(NAME)
    w, k, v = builder.input("w", "n m"), builder.input("k", "m"), builder.input("v", "m")
    with builder:
        return builder.diagram(mixed=vs.contract(vs.softmax(w + k, "m"), v, over="m"))


def runs(variant: str) -> Diagram:
    """Both exponentials brought to their own largest, then two products and a quotient."""
    builder = Builder(NAME)
    w, k, v = builder.input("w", "n m"), builder.input("k", "m"), builder.input("v", "m")
    with builder:
        tops = vs.max(w, "m")
        hidden = vs.equal(tops, -math.inf)  # a row without keys is zero
        of_queries = vs.exp(w - vs.where(hidden, 0.0, tops))
        of_keys = vs.exp(k - vs.max(k, "m"))
        total = vs.contract(of_queries, of_keys, over="m")
        mixed = vs.contract(of_queries, of_keys * v, over="m")
        return builder.diagram(mixed=mixed / vs.where(hidden, 1.0, total))


def find(place: Place) -> Found | str:
    """The rewriting where the scores split so that less is left, or the reason why not."""
    mix = read_mix(place, place.use)
    if isinstance(mix, str) or len(mix.keys) != 1 or not place.single(mix.weights[0]):
        return ""
    (key,) = mix.keys
    carried = {x for use in mix.values for x in use[1]}
    queries = [x for x in mix.scores[1] if x not in carried and x != key]
    scores = read_scores(place, mix.scores, [key], queries)
    alive = [s for s in scores.summands if key in s.labels]
    wide = [s for s in alive if not set(queries).isdisjoint(s.labels)]
    narrow = [s for s in alive if s not in wide]
    of_queries = {x for s in wide for x in s.labels}
    of_queries |= {x for c in scores.conditions for x in c.use[1]}
    apart = {x for s in narrow for x in s.labels} - of_queries
    if len(queries) != 1 or not wide or not apart:
        return ""
    return _Rewriting(place).found(mix, wide, narrow, scores.conditions, queries[0])


class _Rewriting:
    def __init__(self, place: Place) -> None:
        self.place = place

    def found(self, mix, wide, narrow, conditions, query) -> Found:  # type: ignore[no-untyped-def]
        """The right side, with the kernel's box in it."""
        place, (key,) = self.place, mix.keys
        reads = [*mix.values, *mix.rest, *(c.use for c in conditions)]
        reads += [use for s in (*wide, *narrow) for f in s.factors for use in f.uses]
        right = self.right = place.right(use for use in reads if not place.is_number(use))
        w, k = self._sum(wide), self._sum(narrow)
        for condition in conditions:
            shown = right.copied(condition.use)
            shown = shown if condition.truth else right.apply("logical_not", shown)
            w = right.apply("where", shown, w, right.number(-math.inf))
        inner = {x for use in mix.values for x in use[1]} & set(mix.bound)
        later = {x for use in mix.rest for x in use[1]} | set(mix.scores[1])
        v = right.contract([right.copied(use) for use in mix.values], [
            x for x in mix.bound if x in inner and x not in later
        ])  # fmt: skip
        w = right.expand(w, {query: place.size(mix.scores, query)})
        arguments = [(w, {"n": query, "m": key}), (k, {"m": key}), (v, {"m": key})]
        result = FACTORED.box(right, arguments, {"n": query})
        rest = [right.copied(use) for use in mix.rest]
        over = [x for x in mix.bound if x in result[1] or any(x in f[1] for f in rest)]
        note = "exponentials of sums are products of exponentials"
        return right.found(right.contract([result, *rest], over), note)

    def _sum(self, summands: Sequence[Summand]) -> Use:
        right, terms = self.right, []
        for one in summands:
            factors = [
                right.contract([right.copied(use) for use in f.uses], f.bound) for f in one.factors
            ]
            factors += [right.copied(use) for use in one.numbers]
            factors += [right.number(-1.0)] if one.negative else []
            product = right.contract(factors, one.bound)
            float_ = right.dtype(product) != "int"
            terms.append(product if float_ else right.apply("to_float", product))
        return right.add(terms)


FACTORED = kernel(
    Kernel(
        name=NAME,
        summary="softmax of scores that split, as two products",
        define=define,
        root="contract",
        find=find,
        runs=runs,
        work=stepwise,
    )
)
