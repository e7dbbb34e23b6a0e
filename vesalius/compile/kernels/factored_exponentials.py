"""Softmax weights whose scores split: two products instead of an array with all axes.

Σ_m softmax_m(w[n, m] + k[m, c])·v[m, c] has an array of n × m × c entries as it is written. Since
exp(w + k) = exp(w)·exp(k), numerator and denominator are matrix products (an attention free
transformer, arXiv 2105.14103). Each exponential is brought to its own largest entry along the keys,
which cancels: nothing overflows. Where the two meet nowhere near their largest, a sum may be too
small for its float; what is larger is right, and for the queries and channels of all others the
scores are made after all, some queries at a time. A traced program takes either for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.layout import Order
from vesalius.compile.roofline import WIDTHS, Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.scores import Summand, read_mix, read_scores
from vesalius.compile.text import Term, apply
from vesalius.compile.views import permuted
from vesalius.diagrams.box import Box
from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.graph import Diagram

NAME = "factored_exponentials"


def define(variant: str) -> Diagram:
    """Σ_m softmax_m(w + k)·v, where k and v have tubes that w has not; there are no variants."""
    builder = Builder(NAME)
    w, k, v = builder.input("w", "n m"), builder.input("k", "m"), builder.input("v", "m")
    with builder:
        return builder.diagram(mixed=vs.contract(vs.softmax(w + k, "m"), v, over="m"))


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


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`factored_exponentials(w, k, v)`: queries and the last of the channels are last."""
    out = here.out()
    order = _order(here.box, out)
    terms = [
        here.aligned(here.operand(port, "float"), axes)
        for port, axes in enumerate(_arguments(here.box, order))
    ]
    program = here.scope.program
    for name in ("seen", "score_means"):
        program.helper(name)
    term = apply(program.helper(NAME), *terms, heavy=True)
    return [permuted(term, order, out)]


def _order(box: Box, axes: Sequence[int]) -> Order:
    """All axes of the result: last the queries, and a tube that the table of the queries lacks."""
    tubes = [a for a in axes if a < box.inner]
    own = [a for a in tubes if a not in box.maps[0]]
    assert own, "what both factors have is no array of all axes"
    return (*(a for a in tubes if a != own[-1]), box.inner, own[-1])


def _arguments(box: Box, order: Order) -> list[Order]:
    """The axes of the table, the keys and the values, as the result has them."""
    *lead, _, channel = order
    query, *keys = box.bound
    return [(*lead, query, keys[0]), *((*lead, key, channel) for key in keys[1:])]


def _gives(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    tubes = dict.fromkeys(a for order in have for a in order if a not in box.bound)
    late = [a for a in have[2] if a in tubes]
    return [_order(box, [*(a for a in tubes if a not in late), *late])]


def _asks(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    wanted = _arguments(box, _order(box, target[0]))
    return [tuple(a for a in axes if a in row) for axes, row in zip(wanted, box.maps, strict=True)]


def work(call: Call) -> list[Work]:
    """Exponentials of the table and of the keys, two products, and a quotient."""
    rows, length = call.lengths(0)
    table, keys = (prod(call.local[a] for a in call.box.maps[port]) for port in (0, 1))
    width = WIDTHS.get(call.target.dtype, 4)
    made, results = table + keys, call.tubes * rows
    return [
        Work(simple=2 * made, exponentials=made, moved=8 * width * made, calls=12),
        Work(products=4 * results * length, moved=call.moved, fresh=call.fresh, calls=2),
        Work(simple=6 * results, moved=6 * width * results, calls=8),
    ]


FACTORED = kernel(
    Kernel(
        name=NAME,
        summary="softmax of scores that split, as two products",
        define=define,
        root="contract",
        find=find,
        emit=emit,
        layout=(_gives, _asks),
        work=work,
    )
)
