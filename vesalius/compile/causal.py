"""Causal sums as they are read from a diagram, whatever their spelling.

    out[n] = Σ_{m ≤ n} exp(level[m] − reference[n]) · Σ_c q[n, c]·k[m, c] · v[m, e] · rest

The factors are looked for inside products, also those that several boxes read, for an array of
queries × keys is what a state makes needless. A triangle may be written as a condition around any
of the factors or as a factor of zeros and ones; conditions on the keys alone are factors of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from vesalius.compile.scores import (
    Condition,
    Summand,
    is_causal,
    read_scores,
    split_condition,
)
from vesalius.compile.terms import Reading
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.compile.kernels.kernel import Right


OTHER_MASK = "a mask beside the triangle depends on the query"
NO_PRODUCT = "a factor of queries and keys is no product"
NO_SPLIT = "an exponent does not split between query and key"
BY_CHANNEL = "a decay differs from channel to channel"


class CausalSum(NamedTuple):
    """The factors of a causal sum, told apart; `channels` are summed between queries and keys."""

    query: Label
    key: Label
    lengths: tuple[Size, Size]  # of the queries and of the keys
    queries: tuple[Use, ...]
    keys: tuple[Use, ...]
    values: tuple[Use, ...]
    channels: tuple[Label, ...]
    levels: tuple[Summand, ...]  # exponents that belong to keys
    references: tuple[Summand, ...]  # and those that belong to queries
    conditions: tuple[Condition, ...]  # on keys alone
    mean: bool  # whether it is divided by the sum of all weights
    rest: tuple[Use, ...]
    bound: tuple[Label, ...]
    weights: tuple[int, ...]  # wires of queries × keys that it does without


def read_causal(r: Reading, use: Use) -> CausalSum | str:
    """The causal sum that a contraction computes, or the reason why it is none."""
    opened = r.open(use)
    reader = CausalReader(r)
    reader.bound += opened.bound
    for one in opened.uses:
        reader.visit(one)
    pair = reader.pair()
    if pair is None:
        return ""
    return reader.sorted(*pair)


class Leaf(NamedTuple):
    """A factor, and the products that it stands in: the wires of those that were taken apart."""

    use: Use
    inside: tuple[Use, ...]


class CausalReader:
    """Takes the factors of a product apart; read by those that put them where they belong."""

    def __init__(self, r: Reading) -> None:
        self.r = r
        self.leaves: list[Leaf] = []
        self.bound: list[Label] = []
        self.conditions: list[Condition] = []
        self.exponents: list[Use] = []
        self.opened: list[Use] = []  # products that were taken apart

    # -- products ---------------------------------------------------------------------------------

    def visit(self, use: Use, inside: tuple[Use, ...] = ()) -> None:
        """Take a factor apart as far as conditions reach, and products that nothing else reads."""
        shown = self.shown(use)
        if shown is not None:
            conditions, rest, exponents = shown
            self.conditions += conditions
            self.exponents += exponents
            if rest is not None:
                self.visit(rest, (*inside, use))
        elif self.r.kind(use) is CONTRACT and (self._plain(use) or self.hides(use)):
            self._open(use, inside)
        else:
            self.leaves.append(Leaf(use, inside))

    def _plain(self, use: Use) -> bool:
        """Whether a factor is a product, entry by entry, that nothing else reads."""
        return self.r.single(use[0]) and not self.sums(use)

    def sums(self, use: Use) -> bool:
        """Whether a product is summed over something."""
        return bool(self.r.node_of(use[0]).box.bound)

    def _open(self, use: Use, inside: tuple[Use, ...]) -> None:
        opened = self.r.open(use)
        self.opened.append(use)
        self.bound += opened.bound
        for one in opened.uses:
            self.visit(one, (*inside, use))

    def shown(self, use: Use) -> tuple[list[Condition], Use | None, list[Use]] | None:
        """Of a factor `where(c, x, 0)` or `[c]`: the conditions for it to count, and what is left.

        Of `exp(where(c, x, −∞))`, x is left as an exponent.
        """
        r = self.r
        inside = r.applied(use, "to_float")
        if inside is not None and r.dtype(inside[0]) == "bool":
            return split_condition(r, inside[0], True), None, []
        masked = r.applied(use, "exp")
        if masked is not None:
            found = self._hidden_exponent(masked[0])
            return None if found is None else (found[0], None, found[1])
        inside = r.applied(use, "where")
        if inside is None:
            return None
        condition, shown, hidden = inside
        for x, other, truth in ((shown, hidden, True), (hidden, shown, False)):
            value = r.value(other)
            if value is not None and not isinstance(value, bool) and value == 0:
                left = None if r.value(x) == 1 else x
                return split_condition(r, condition, truth), left, []
        return None

    def _hidden_exponent(self, use: Use) -> tuple[list[Condition], list[Use]] | None:
        """The conditions of an exponent that is −∞, or has such a summand, and what is left."""
        r = self.r
        if r.kind(use) is ADD:
            conditions: list[Condition] = []
            left: list[Use] = []
            for one in r.open(use).uses:
                found = self._hidden_exponent(one)
                if found is None:
                    left.append(one)
                else:
                    conditions += found[0]
                    left += found[1]
            return (conditions, left) if conditions else None
        inside = r.applied(use, "where")
        if inside is None:
            return None
        condition, shown, hidden = inside
        for x, other, truth in ((shown, hidden, True), (hidden, shown, False)):
            if r.value(other) == -math.inf:
                within = self._hidden_exponent(x)
                more, rest = within or ([], [x])
                return [*split_condition(r, condition, truth), *more], rest
        return None

    def hides(self, use: Use) -> bool:
        """Whether there is a condition somewhere among the factors of a product.

        One between what the product sums over and what is summed over already is that of another
        sum over the past, which was finished before.
        """
        opened = self.r.open(use)
        for one in opened.uses:
            shown = self.shown(one)
            if shown is not None:
                labels = [set(condition.use[1]) for condition in shown[0]]
                return not any(x & set(opened.bound) and x & set(self.bound) for x in labels)
            if self.r.kind(one) is CONTRACT and self.hides(one):
                return True
        return False

    def pair(self) -> tuple[Label, Label] | None:
        """The queries and the keys of the condition that hides later keys."""
        for condition in self.conditions:
            for key in self.bound:
                for query in condition.use[1]:
                    if query != key and is_causal(self.r, condition, query, key):
                        return query, key
        return None

    # -- sorting ----------------------------------------------------------------------------------

    def sorted(self, query: Label, key: Label) -> CausalSum | str:
        """Each factor put where it belongs."""
        r = self.r
        self.open_wide(query, key)
        products = [
            u for u in self.opened if {query, key} <= set(u[1]) and r.node_of(u[0]).box.bound
        ]
        if len(products) > 1:
            return "it holds several products of queries and keys"
        leaves, exponents = self.split(query, key)
        others = [c for c in self.conditions if not is_causal(r, c, query, key)]
        if any(query in c.use[1] for c in others):
            return OTHER_MASK
        for leaf in leaves:
            if {query, key} <= set(leaf.use[1]):
                return f"{NO_PRODUCT}: {self.name(leaf.use)}"
        if any({query, key} <= set(s.labels) for s in exponents):
            return NO_SPLIT
        if any(x in self.bound and x != key for s in exponents for x in s.labels):
            return BY_CHANNEL
        levels = tuple(s for s in exponents if key in s.labels)
        references = tuple(s for s in exponents if key not in s.labels)
        weights = self._divided(leaves, query, key)
        if weights is not None:
            leaves = [leaf for leaf in leaves if leaf.use != weights[1]]
        return self._parts(query, key, leaves, levels, references, others, weights)

    def split(self, query: Label, key: Label) -> tuple[list[Leaf], list[Summand]]:
        """The factors but for exponentials of queries and keys, and the summands of those.

        Only pairs count whose key stands no later: so far is |n − m| what n − m is.
        """
        r, leaves, found = self.r, list[Leaf](), list[Use](self.exponents)
        for leaf in self.leaves:
            wide = {query, key} <= set(leaf.use[1])
            inside = r.applied(leaf.use, "exp") if wide else None
            if inside is None:
                leaves.append(leaf)
            else:
                found.append(inside[0])
        summands: list[Summand] = []
        for use in found:
            scores = read_scores(r, use, [key], [query], [(query, key)])
            summands += scores.summands
            self.conditions += scores.conditions
        return leaves, summands

    def open_wide(self, query: Label, key: Label) -> None:
        """Open products of queries and keys, whoever else reads them."""
        while True:
            wide = [
                leaf
                for leaf in self.leaves
                if {query, key} <= set(leaf.use[1]) and self.r.kind(leaf.use) is CONTRACT
            ]
            if not wide:
                return
            for leaf in wide:
                self.leaves.remove(leaf)
                self._open(leaf.use, leaf.inside)

    def name(self, use: Use) -> str:
        """What a factor is, for people."""
        box = self.r.node_of(use[0]).box
        return str(box["function"].name if box.kind.name == "pointwise" else box.kind.name)

    def _divided(self, leaves: Sequence[Leaf], query: Label, key: Label) -> tuple[Use, Use] | None:
        """The weights and the factor 1/Σ weights, where this divides by the sum of its weights."""
        r = self.r
        wide = {use for leaf in self.leaves for use in leaf.inside if {query, key} <= set(use[1])}
        for leaf in leaves:
            below = r.applied(leaf.use, "reciprocal")
            if below is None or r.kind(below[0]) is not CONTRACT:
                continue
            total = r.open(below[0])
            if len(total.uses) != 1 or len(total.bound) != 1:
                continue
            ((wire, labels),) = total.uses
            weights = (wire, tuple(key if x == total.bound[0] else x for x in labels))
            # All that depends on query and key has to be among the weights.
            if weights in wide and all(
                weights in other.inside or not {query, key} <= set(other.use[1])
                for other in self.leaves
            ):
                return weights, leaf.use
        return None

    def _parts(
        self,
        query: Label,
        key: Label,
        leaves: Sequence[Leaf],
        levels: tuple[Summand, ...],
        references: tuple[Summand, ...],
        conditions: Sequence[Condition],
        weights: tuple[Use, Use] | None,
    ) -> CausalSum:
        bound = [x for x in dict.fromkeys(self.bound) if x != key]
        of_queries = [leaf.use for leaf in leaves if query in leaf.use[1]]
        carried = {x for use in of_queries for x in use[1]} & set(bound)
        channels = {x for leaf in leaves if key in leaf.use[1] for x in leaf.use[1]} & carried
        # What other factors carry as well is mapped over, and summed later.
        channels -= {x for use, _ in leaves if not {query, key} & set(use[1]) for x in use[1]}
        keys: list[Use] = []
        values: list[Use] = []
        queries: list[Use] = []
        rest: list[Use] = []
        for use, inside in leaves:
            # What is divided by the sum of all weights is among them, whatever it belongs to.
            weighs = weights is not None and weights[0] in inside
            if key in use[1]:
                own = weighs or not channels.isdisjoint(use[1])
                (keys if own else values).append(use)
            elif weighs or (query in use[1] and not channels.isdisjoint(use[1])):
                queries.append(use)
            else:
                rest.append(use)
        wide = tuple({u[0] for leaf in self.leaves for u in leaf.inside
                      if {query, key} <= set(u[1])})  # fmt: skip
        sizes = self.r.sizes([condition.use for condition in self.conditions])
        return CausalSum(
            query, key, (sizes[query], sizes[key]), tuple(queries), tuple(keys), tuple(values),
            tuple(x for x in bound if x in channels), levels, references, tuple(conditions),
            weights is not None, tuple(rest), tuple(x for x in bound if x not in channels), wide,
        )  # fmt: skip


def uses_of(found: CausalSum) -> Iterator[Use]:
    """All uses of a causal sum."""
    yield from (*found.queries, *found.keys, *found.values, *found.rest)
    yield from (condition.use for condition in found.conditions)
    for summand in (*found.levels, *found.references):
        for factor in summand.factors:
            yield from factor.uses


# -- writing --------------------------------------------------------------------------------------


def float_of(right: Right, use: Use) -> Use:
    """A factor as a float."""
    return right.apply("to_float", use) if right.dtype(use) == "int" else use


def shown_of(right: Right, condition: Condition) -> Use:
    """A condition as a factor of zeros and ones."""
    here = right.copied(condition.use)
    here = here if condition.truth else right.apply("logical_not", here)
    return right.apply("to_float", here)


def sum_of(right: Right, summands: Sequence[Summand], negated: bool, times: float = 1.0) -> Use:
    """A sum of exponents so many times, or its negative."""
    terms: list[Use] = []
    for one in summands:
        factors = [
            right.contract([right.copied(use) for use in f.uses], f.bound) for f in one.factors
        ]
        factors += [right.copied(use) for use in one.numbers]
        if one.negative != negated:
            factors.append(right.number(-1))
        if times != 1:
            factors.append(right.number(times))
        terms.append(float_of(right, right.contract(factors, one.bound)))
    return right.add(terms) if terms else right.number(0.0)
