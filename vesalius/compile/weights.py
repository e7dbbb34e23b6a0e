"""The weights of a fold as they are read from a diagram, whatever their spelling.

    Σ_m [m ≤ n] · Σ_c q[n, c]·k[m, c] · rescale(level[m], reference[n]) · values · rest

A sum over keys is taken apart into weights, what they weigh, and the rest. The triangle may be any
comparison that says so, around any factor, in an exponent, or a factor of zeros and ones. A decay
whose `rescale` is an exponential of a difference is read from exponents that split between query
and key, |n − m| included; any other stands as `rescale` writes it, or is a quotient, where it is
one. Weights that are a function of the score are that function of a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import TYPE_CHECKING, NamedTuple

from vesalius.compile.causal import (
    BY_CHANNEL,
    NO_PRODUCT,
    NO_SPLIT,
    OTHER_MASK,
    CausalReader,
    Leaf,
    float_of,
    shown_of,
    sum_of,
)
from vesalius.compile.fold_terms import FoldTerms, bound_at
from vesalius.compile.kernels.kernel import Place, Right
from vesalius.compile.scores import Condition, Summand, is_causal, split_condition
from vesalius.compile.terms import Opened, Use
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Label
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.compile.folds import Fold

NO_DECAY = "its weights do not decay"
NO_FORM = "its weights are not as the fold says"
NO_SCORE = "its scores are no product of queries and keys"
KEYS_MASK = "a mask on the keys would be weighed"

Writer = Callable[[Right], Use]
Decay = tuple["tuple[Writer, Writer] | None", list[Use]]  # levels and references, what they read


class Weights(NamedTuple):
    """Weights of queries and keys: how what they are made of is written, and what that reads."""

    query: Label
    key: Label
    lengths: tuple[Size, Size]  # of the queries and of the keys
    channels: tuple[Label, ...]
    queries: Writer
    keys: Writer
    levels: tuple[Writer, Writer] | None  # of the keys, and the references of the queries
    uses: tuple[Use, ...]


class Weighted(NamedTuple):
    """A sum over keys: `Σ_key weights^times · values`, times the rest and summed over `bound`."""

    weights: Weights
    times: int
    values: tuple[Use, ...]
    rest: tuple[Use, ...]
    bound: tuple[Label, ...]

    def reads(self) -> Iterator[Use]:
        """All that its writing reads, but the rest."""
        yield from self.weights.uses
        yield from self.values


class WeightsReader:
    """Reads the weights of one fold."""

    def __init__(self, fold: Fold, causal: bool) -> None:
        self.fold = fold
        self.causal = causal
        self.says = FoldTerms(fold)

    def read(self, r: Place, use: Use) -> Weighted | str:
        """The sum over keys that a contraction is, or the reason why it is none of this fold."""
        opened = r.open(use)
        if not opened.bound or self.fold.level == "score":
            return ""  # such weights are no factor: their largest level is taken first
        pair = self._hiding(r, opened) if self.causal else self._scored(r, opened)
        if isinstance(pair, str):
            return pair
        wide = [one for one in opened.uses if set(pair) <= set(one[1])]
        times = len(wide) if len(set(wide)) == 1 else 1
        narrow = [one for one in opened.uses if one not in wide]
        left = [x for x in opened.bound if x != pair[1]]
        found = _Sum(self.says, r, pair, wide if times == 1 else wide[:1], narrow, left)
        return found.state(times) if self.fold.has_state else found.weighed(times)

    def _hiding(self, r: Place, opened: Opened) -> tuple[Label, Label] | str:
        """The queries and the keys of a sum that hides later keys."""
        reader = CausalReader(r)
        reader.bound += opened.bound
        for one in opened.uses:
            reader.visit(one)
        if not self.fold.has_state:
            reader.conditions += self._masked(r, reader.leaves)
        pair = reader.pair()
        if pair is None or pair[1] not in opened.bound:
            return ""
        return pair

    def _scored(self, r: Place, opened: Opened) -> tuple[Label, Label] | str:
        """The queries and the keys of a sum with weights that are a function of a product."""
        if self.fold.weigh is None or self.fold.level == "given":
            return ""
        reason = ""
        for one in dict.fromkeys(opened.uses):
            score = self.says.score(r, one)
            keys = [x for x in opened.bound if score is not None and x in score[1]]
            if score is None or not keys:
                continue
            reason = NO_SCORE
            # Of several axes that belong to queries alone the longest is that of positions.
            queries = [x for x in score[1] if x not in opened.bound]
            queries.sort(key=lambda x: -r.length(score, x))
            for query, key in product(queries, keys):
                found = _Sum(self.says, r, (query, key), [score], [], []).scores(score)
                if isinstance(found, Weights) and found.channels:
                    return query, key
        return reason

    def levels(self, r: Place, use: Use) -> Weights | None:
        """The score of each pair as queries and keys, of a use that hides later keys."""
        inside = r.applied(use, "where") if self.causal else None
        if inside is None:
            return None
        condition, shown, hidden = inside
        for x, other, truth in ((shown, hidden, True), (hidden, shown, False)):
            conditions = split_condition(r, condition, truth)
            if len(conditions) != 1 or r.value(other) != self.fold.lowest:
                continue
            for pair in permutations(condition[1], 2):
                if is_causal(r, conditions[0], *pair):
                    found = _Sum(self.says, r, pair, [x], [], []).scores(x)
                    return None if isinstance(found, str) else found
        return None

    def _masked(self, r: Place, leaves: Sequence[Leaf]) -> list[Condition]:
        """The conditions of scores that weigh nothing where they are hidden."""
        found: list[Condition] = []
        for leaf in leaves:
            score = self.says.score(r, leaf.use)
            masked = None if score is None else self.says.unmasked(r, score)
            found += [] if masked is None else masked[0]
        return found


class _Sum:
    """One sum over keys while it is read: its factors of queries and keys, and the others."""

    def __init__(
        self,
        says: FoldTerms,
        r: Place,
        pair: tuple[Label, Label],
        wide: Sequence[Use],
        narrow: Sequence[Use],
        left: Sequence[Label],
    ) -> None:
        self.r, self.says = r, says
        self.query, self.key = pair
        self.wide, self.narrow = wide, narrow
        self.left = tuple(left)

    # -- weights that are linear in the keys ------------------------------------------------------

    def state(self, times: int) -> Weighted | str:
        """A sum whose weights are products, maybe with a decay."""
        r, query, key = self.r, self.query, self.key
        inner = CausalReader(r)
        for one in self.wide:
            inner.visit(one)
        # Where channels are summed here, the weights are spread over the factors.
        outer = CausalReader(r)
        flat = [x for x in self.left if any(x in one[1] for one in self.narrow)]
        if flat:
            for one in self.narrow:
                outer.visit(one)
        inner.open_wide(query, key)
        wide, exponents = inner.split(query, key)
        leaves = wide + outer.leaves
        inner.conditions += outer.conditions
        inner.exponents += outer.exponents
        bound = [*self.left, *inner.bound, *outer.bound]
        conditions = [c for c in inner.conditions if not is_causal(r, c, query, key)]
        if any(query in c.use[1] for c in conditions):
            return OTHER_MASK
        if any({query, key} <= set(s.labels) for s in exponents):
            return NO_SPLIT
        if any(x in bound for s in exponents for x in s.labels):
            return BY_CHANNEL
        both = [leaf.use for leaf in leaves if {query, key} <= set(leaf.use[1])]
        of_queries = [leaf.use for leaf in leaves if query in leaf.use[1] and leaf.use not in both]
        of_keys = [leaf.use for leaf in leaves if key in leaf.use[1] and leaf.use not in both]
        others = [leaf.use for leaf in leaves if not {query, key} & set(leaf.use[1])]
        asked = {x for one in of_queries for x in one[1]}
        channels = [x for x in bound if x in asked and any(x in one[1] for one in of_keys)]
        channels += [x for x in inner.bound if x not in channels]
        own = {leaf.use for leaf in wide}

        def weighs(one: Use) -> bool:
            """Whether a factor belongs to the weights."""
            if not set(channels).isdisjoint(one[1]):
                return True
            return one in own and set(one[1]) <= {key, *asked, *(x for u in both for x in u[1])}

        keys = [one for one in of_keys if weighs(one)]
        queries = [one for one in of_queries if weighs(one)]
        queries += [one for one in others if weighs(one)]
        spread = [one for one in (*of_queries, *of_keys, *others) if not weighs(one)]
        values = [one for one in spread if key in one[1]]
        rest = [one for one in spread if key not in one[1]]
        if not flat:
            values += [one for one in self.narrow if key in one[1]]
            rest += [one for one in self.narrow if key not in one[1]]
        decay = self._decay(both, exponents, queries, keys, channels)
        if isinstance(decay, str):
            return decay
        queries, keys, levels, more = decay
        uses = (*queries, *keys, *more, *(c.use for c in conditions))
        weights = self._weights(queries, keys, conditions, channels, levels, uses)
        left = tuple(x for x in (*self.left, *outer.bound) if x not in channels)
        return Weighted(weights, times, tuple(values), tuple(rest), left)

    def _decay(
        self,
        both: Sequence[Use],
        exponents: Sequence[Summand],
        queries: list[Use],
        keys: list[Use],
        channels: Sequence[Label],
    ) -> tuple[list[Use], list[Use], tuple[Writer, Writer] | None, list[Use]] | str:
        """Queries and keys without the levels among them, the levels, and what those read."""
        r, says = self.r, self.says
        if says.fold.level == "none":
            if exponents:
                return "its weights decay, and the fold does not"
            return self._other(both) or (queries, keys, None, [])
        if says.rate is not None:
            if both or not exponents:
                return self._other(both) or NO_DECAY
            rate = says.rate
            of_keys = [s for s in exponents if self.key in s.labels]
            of_queries = [s for s in exponents if self.key not in s.labels]
            more = [x for s in exponents for f in s.factors for x in f.uses]

            def level(right: Right) -> Use:
                made = sum_of(right, of_keys, False, 1 / rate)
                return right.expand(made, self._sizes([self.key]))

            def reference(right: Right) -> Use:
                made = sum_of(right, of_queries, True, 1 / rate)
                return right.expand(made, self._sizes([self.query]))

            return queries, keys, (level, reference), more
        if exponents:
            return f"{NO_FORM}: an exponential"
        if len(both) == 1:
            found = bound_at(says.rescales, r, both[0])
            if found is not None:
                levels = (_reads(found["level"]), _reads(found["reference"]))
                return queries, keys, levels, list(found.values())
        if both or not says.is_quotient:
            return self._other(both) or NO_DECAY
        above = [x for x in keys if set(channels).isdisjoint(x[1])]
        below = [x for x in queries if set(channels).isdisjoint(x[1]) and self.query in x[1]]
        divided = [x for x in below if r.applied(x, "reciprocal") is not None]
        below = divided or below
        if not above or not below:
            return NO_DECAY
        keys = [x for x in keys if x not in above]
        queries = [x for x in queries if x not in below]

        def product(right: Right) -> Use:
            made = right.contract([right.read(x) for x in above])
            return right.expand(made, self._sizes([self.key]))

        def divisor(right: Right) -> Use:
            made = []
            for one in below:
                inside = r.applied(one, "reciprocal")
                made.append(
                    right.apply("reciprocal", right.read(one))
                    if inside is None
                    else right.copied(inside[0])
                )
            return right.expand(right.contract(made), self._sizes([self.query]))

        inside = [x for one in below for x in r.applied(one, "reciprocal") or (one,)]
        return queries, keys, (product, divisor), [*above, *below, *inside]

    def _other(self, both: Sequence[Use]) -> str:
        """Why factors of queries and keys are no decay, if there are some."""
        return f"{NO_PRODUCT}: {CausalReader(self.r).name(both[0])}" if both else ""

    # -- weights that are a function of the score -------------------------------------------------

    def weighed(self, times: int) -> Weighted | str:
        """A sum whose weights are the fold's function of a product."""
        r, query, key = self.r, self.query, self.key
        conditions, inside = self._stripped(self.wide)
        decay: Decay = (None, [])
        if self.says.fold.level == "given":
            apart = self._apart(inside)
            if isinstance(apart, str):
                return apart
            inside, decay, more = apart
            conditions += more
        if len(set(inside)) != 1:
            return NO_FORM
        times = max(times, len(inside))
        score = self.says.score(r, inside[0])
        if score is None:
            return NO_FORM
        masked = self.says.unmasked(r, score)
        if masked is not None:
            conditions, score = [*conditions, *masked[0]], masked[1]
        others = [c for c in conditions if not is_causal(r, c, query, key)]
        if others:
            wide = any(query in c.use[1] for c in others)
            return OTHER_MASK if wide else KEYS_MASK
        weights = self.scores(score)
        if isinstance(weights, str):
            return weights
        weights = weights._replace(levels=decay[0], uses=(*weights.uses, *decay[1]))
        values = tuple(x for x in self.narrow if key in x[1])
        rest = tuple(x for x in self.narrow if key not in x[1])
        return Weighted(weights, times, values, rest, self.left)

    def scores(self, use: Use) -> Weights | str:
        """Scores that are a product of queries and keys."""
        inner = CausalReader(self.r)
        inner.leaves.append(Leaf(use, ()))
        inner.open_wide(self.query, self.key)
        uses = [leaf.use for leaf in inner.leaves]
        if any({self.query, self.key} <= set(x[1]) for x in uses):
            return NO_SCORE
        keys = [x for x in uses if self.key in x[1]]
        queries = [x for x in uses if self.key not in x[1]]
        return self._weights(queries, keys, [], inner.bound, None, tuple(uses))

    def _apart(self, uses: Sequence[Use]) -> tuple[list[Use], Decay, list[Condition]] | str:
        """Weights of scores that decay as well: the weights of scores, the decay, conditions."""
        inner = CausalReader(self.r)
        inner.leaves += [Leaf(use, ()) for use in uses]
        inner.open_wide(self.query, self.key)
        leaves, exponents = inner.split(self.query, self.key)
        if any({self.query, self.key} <= set(s.labels) for s in exponents):
            return NO_SPLIT
        every = [leaf.use for leaf in leaves]
        both = [use for use in every if {self.query, self.key} <= set(use[1])]
        scored = [use for use in both if self.says.score(self.r, use) is not None]
        queries = [use for use in every if use not in both and self.key not in use[1]]
        keys = [use for use in every if use not in both and self.key in use[1]]
        rest = [use for use in both if use not in scored]
        found = self._decay(rest, exponents, queries, keys, ())
        if isinstance(found, str):
            return found
        queries, keys, levels, more = found
        return NO_FORM if queries or keys else (scored, (levels, more), inner.conditions)

    def _stripped(self, uses: Sequence[Use]) -> tuple[list[Condition], list[Use]]:
        """The conditions for weights to count, and what is left of them."""
        reader, left, conditions = CausalReader(self.r), [], list[Condition]()
        todo = list(uses)
        while todo:
            one = todo.pop(0)
            found = reader.shown(one)
            if found is not None and not found[2]:
                conditions += found[0]
                todo += [] if found[1] is None else [found[1]]
            elif self.r.kind(one) is CONTRACT and reader.hides(one) and not reader.sums(one):
                todo += self.r.open(one).uses
            else:
                left.append(one)
        return conditions, left

    # -- writing ----------------------------------------------------------------------------------

    def _sizes(self, labels: Sequence[Label]) -> dict[Label, Size]:
        sizes = self.r.sizes([*self.wide, *self.narrow])
        return {x: sizes[x] for x in labels}

    def _weights(
        self,
        queries: Sequence[Use],
        keys: Sequence[Use],
        conditions: Sequence[Condition],
        channels: Sequence[Label],
        levels: tuple[Writer, Writer] | None,
        uses: tuple[Use, ...],
    ) -> Weights:
        lengths = self._sizes([self.query, self.key])
        sizes = self.r.sizes([*queries, *keys])
        along: Mapping[Label, Size] = {x: sizes[x] for x in channels}

        def written(
            right: Right, some: Sequence[Use], shown: Sequence[Condition], label: Label
        ) -> Use:
            factors = [right.copied(x) for x in some]
            factors += [shown_of(right, c) for c in shown]
            made = right.contract(factors) if factors else right.number(1.0)
            return right.expand(float_of(right, made), {label: lengths[label], **along})

        return Weights(
            self.query, self.key, (lengths[self.query], lengths[self.key]), tuple(channels),
            lambda right: written(right, queries, (), self.query),
            lambda right: written(right, keys, conditions, self.key),
            levels, uses,
        )  # fmt: skip


def _reads(use: Use) -> Writer:
    return lambda right: right.copied(use)
