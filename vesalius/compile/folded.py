"""Folds where they are spelled otherwise than `Fold.whole` writes them.

A place is written anew: of each causal sum the weights are read (`vesalius.compile.weights`), and
written as the fold writes its own. What else stands between them and the place is copied. Where
the definition of a kernel then stands, the kernel does; all else says why not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vesalius.compile.fold_terms import sought
from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.normalise import normalise
from vesalius.compile.rebuild import Rebuild, replaced
from vesalius.compile.terms import Written
from vesalius.compile.weights import Weighted, Weights, WeightsReader
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.graph import Diagram, Node
from vesalius.rewrite.apply import replacements
from vesalius.rewrite.grade import grade
from vesalius.rewrite.match import Matcher
from vesalius.rewrite.pattern import Head, head
from vesalius.rewrite.rule import Rule, checked

if TYPE_CHECKING:
    from vesalius.compile.folds import Fold

CROSS = "cross"  # of any number of keys, where the kernel has a way of its own for as many
NOT_SQUARE = "there are not as many keys as queries"
OTHER_RESULT = "what is made of the sums is not what the fold says"

Plan = Callable[[Right], Use]


def declared(fold: Fold, causal: bool) -> list[Kernel]:
    """The kernels of a fold, entered into the table of kernels."""
    spelling = Spelling(fold, causal)
    state = causal and fold.has_state

    def entered(
        word: str, runs: Callable[[str], Diagram], square: bool = False, cross: bool = False
    ) -> Kernel:
        name = f"{fold.name}_{word}"

        def define(variant: str) -> Diagram:
            return fold.whole(causal, square and variant != CROSS)

        return kernel(
            Kernel(
                name,
                f"{fold.name}, {word}",
                define,
                runs=runs,
                rules=(_rule(name, define(CROSS)),) if cross else (),
                otherwise=spelling.found,
            )
        )

    def recurrent(variant: str) -> Diagram:
        return fold.streaming(1, causal) if variant == CROSS else fold.recurrent(causal)

    made = [entered("chunked", lambda variant: fold.chunked(), square=state)] if causal else []
    return [
        *made,
        entered("streaming", lambda variant: fold.streaming(causal=causal)),
        entered("split", lambda variant: fold.split(causal=causal)),
        entered("recurrent", recurrent, square=state, cross=state),
    ]


def _rule(name: str, definition: Diagram) -> Rule:
    """Where a definition stands, the box of a variant does."""
    definition.name = f"{name}({CROSS})"
    right = definition.fold(definition.name)
    left = normalise(definition)
    return checked(Rule(name, grade("equal"), left, right, {}, {}, (), name, name))


class Spelling:
    """How a fold is found in any spelling."""

    def __init__(self, fold: Fold, causal: bool) -> None:
        self.fold = fold
        self.weights = fold.weights(causal)
        self.reader = WeightsReader(fold, causal)
        results = fold.results()
        self.results = sought(results)
        # What may stand between the place and the weights, or the levels.
        above = normalise(fold.whole(causal)) if fold.level == "score" else results
        self.heads: frozenset[Head] = frozenset(head(node.box) for node in above.boxes)
        self.depth = len(list(above.boxes))
        self._rules: dict[str, list[Rule]] = {}
        self._last: tuple[_Plan, list[tuple[Found, Diagram]]] | None = None

    def found(self, kernel: Kernel, place: Place) -> Found | str:
        """The rewriting of a place, or the reason why there is none."""
        if head(place.node.box) not in self.heads:
            return ""
        if self._last is None or self._last[0].place is not place:  # all its kernels ask
            self._last = self._anew(place)
        plan, spellings = self._last
        for found, body in spellings:
            made = self._taken(kernel, body, plan.is_sum and not plan.by_score)
            if made is not None:
                right = replace(found.replacement, body=made)
                return found._replace(replacement=right, note=kernel.summary)
        if plan.reason or not (plan.is_sum or self._projected(place)):
            return plan.reason
        as_many = _is_square(kernel.definition()) and not kernel.rules
        other = OTHER_RESULT if plan.is_sum else plan.inner
        return NOT_SQUARE if as_many and not plan.square else other

    def _projected(self, place: Place) -> bool:
        """Whether a place is what the fold makes of some weights, and more than a sum of them."""
        if self.depth == 1 or self.fold.level == "score":
            return False
        return any(True for _ in place.matcher(self.results).at(place.index))

    def _anew(self, place: Place) -> tuple[_Plan, list[tuple[Found, Diagram]]]:
        """The place written anew, with the factors of the values apart and as one."""
        plan = _Plan(self, place)
        write = plan.of(place.use, self.depth)
        made: list[tuple[Found, Diagram]] = []
        if plan.sums and not plan.reason:
            for plan.merged in (False, True):
                right = place.right(plan.reads)
                found = right.found(write(right))
                made.append((found, _Floats(found.replacement.body.unfold()).run()))
        return plan, made

    def _taken(self, kernel: Kernel, body: Diagram, inside: bool) -> Diagram | None:
        """A right side in which the kernel stands, at its end or, maybe, `inside`."""
        (end,) = (body.owner[port.wire] for port in body.outputs)
        if kernel.name not in self._rules:
            self._rules[kernel.name] = [
                replace(rule, left=_Floats(rule.left).run()) for rule in kernel.pairs
            ]
        for rule in self._rules[kernel.name]:
            matcher = Matcher(rule, body)
            for match in matcher.all() if inside else matcher.at(end):
                return replaced(body, replacements(match))
        return None


def _is_square(definition: Diagram) -> bool:
    types = definition.input_types
    return types["q"].axes["n"] == types["k"].axes["m"]


class _Floats(Rebuild):
    """Whole numbers beside floats as floats: 1 + x is 1.0 + x."""

    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        r = Written(self.old)
        if node.box.kind in (ADD, CONTRACT, POINTWISE) and r.types[node.first].dtype == "float":
            for k, use in enumerate(uses):
                if r.dtype(use) == "int" and isinstance(r.value(use), int):
                    own = (-1 - k, ())
                    self.seen[own[0]] = self.writing.number(float(r.value(use)))
                    uses = [*uses[:k], own, *uses[k + 1 :]]
        return super().place(node, uses, labels)


class _Plan:
    """How a place is written anew: what is read, and functions that write."""

    def __init__(self, spelling: Spelling, place: Place) -> None:
        self.spelling, self.place = spelling, place
        self.reads: list[Use] = []
        self.sums = 0
        self.is_sum = False  # whether the place itself is one
        self.square = True
        self.reason = ""  # why the place itself is no sum of the fold
        self.inner = ""  # why a sum that it is made of is none
        self.merged = False  # whether the factors of the values are one

    @property
    def by_score(self) -> bool:
        """Whether the score is the level."""
        return self.spelling.fold.level == "score"

    def of(self, use: Use, depth: int) -> Plan:
        """How a use is written."""
        place = self.place
        if place.is_number(use):
            return lambda right: right.copied(use)
        box = place.node_of(use[0]).box
        if box.kind is CONTRACT:
            found = self.spelling.reader.read(place, use)
            if isinstance(found, Weighted):
                return self._sum(found, use, depth)
            if use == place.use:
                self.reason = found
            self.inner = self.inner or found
        levels = self.spelling.reader.levels(place, use) if self.by_score else None
        if levels is not None:
            return self._levels(levels)
        if depth == 0 or head(box) not in self.spelling.heads:
            self.reads.append(use)
            return lambda right: right.read(use)
        opened = place.open(use)
        inner = [self.of(one, depth - 1) for one in opened.uses]
        sizes = [(x, place.size(use, x)) for x in opened.new]
        output = use[0] - opened.node.first
        return lambda right: right.box(
            box.kind, box.attrs, [write(right) for write in inner], opened.bound, sizes
        )[output]

    def _sum(self, found: Weighted, use: Use, depth: int) -> Plan:
        """A causal sum, with the weights as the fold writes them."""
        self.sums += 1
        self.is_sum = self.is_sum or use == self.place.use
        weights = found.weights
        self.square = self.square and weights.lengths[0] == weights.lengths[1]
        self.reads += [x for x in found.reads() if not self.place.is_number(x)]
        rest = [self.of(one, depth - 1) for one in found.rest]

        def write(right: Right) -> Use:
            values = [right.copied(one) for one in found.values]
            if self.merged and len(values) > 1:
                values = [right.contract(values)]
            own = self._weights(right, weights)
            total = right.contract([own] * found.times + values, [weights.key])
            more = [one(right) for one in rest]
            below = [one for one in more if right.applied(one, "reciprocal") is not None]
            more = [one for one in more if one not in below]
            return right.contract([right.contract([*below, total]), *more], found.bound)

        return write

    def _levels(self, found: Weights) -> Plan:
        """The levels of pairs, the lowest where the key comes later."""
        self.sums += 1
        self.is_sum = self.is_sum or found.key in self.place.open(self.place.use).bound
        self.square = self.square and found.lengths[0] == found.lengths[1]
        self.reads += [x for x in found.uses if not self.place.is_number(x)]

        def write(right: Right) -> Use:
            q, k, channel, other = self._operands(right, found)
            k = k[0], tuple(channel if x is other else x for x in k[1])
            places = [right.positions(x, size) for x, size in
                      zip((found.key, found.query), found.lengths[::-1], strict=True)]  # fmt: skip
            score = right.contract([q, k], [channel])
            lowest = right.number(self.spelling.fold.lowest)
            return right.apply("where", right.apply("less_equal", *places), score, lowest)

        return write

    def _operands(self, right: Right, weights: Weights) -> tuple[Use, Use, Label, Label]:
        q, channel, _ = right.as_one(weights.queries(right), weights.channels)
        k, other, _ = right.as_one(weights.keys(right), weights.channels)
        return q, k, channel, other

    def _weights(self, right: Right, weights: Weights) -> Use:
        query, key = weights.query, weights.key
        q, k, channel, other = self._operands(right, weights)
        arguments: list[tuple[Use, dict[str, Label]]] = [
            (q, {"n": query, "c": channel}),
            (k, {"m": key, "c": other}),
        ]
        if weights.levels is not None:
            level, reference = weights.levels
            arguments += [(level(right), {"m": key}), (reference(right), {"n": query})]
        return right.named(self.spelling.weights, arguments, [{"n": query, "m": key}])[0]
