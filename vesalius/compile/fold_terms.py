"""What a fold says, as it is recognised where it stands: its rescaling and weights of scores."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vesalius.compile.kernels.kernel import Place
from vesalius.compile.normalise import normalise
from vesalius.compile.scores import Condition, read_scores, split_condition
from vesalius.compile.terms import Reading, Use, Written
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import grade
from vesalius.rewrite.rule import Rule, checked

if TYPE_CHECKING:
    from vesalius.compile.folds import Fold


class FoldTerms:
    """What one fold says."""

    def __init__(self, fold: Fold) -> None:
        self.fold = fold

    @cached_property
    def rescaling(self) -> Diagram:
        """`rescale` of the levels of keys and the references of queries."""
        builder = Builder("rescale")
        level, reference = builder.input("level", "m"), builder.input("reference", "n")
        with builder:
            assert self.fold.rescale is not None
            made = self.fold.rescale(level, reference)
        return _finished(builder, made)

    @cached_property
    def rate(self) -> float | None:
        """c where `rescale(a, b)` is exp(c·(a − b))."""
        r = Written(self.rescaling)
        (out,) = self.rescaling.outputs
        key, query = object(), object()
        use = (out.wire, tuple(query if a == "n" else key for a in out.axes))
        inside = r.applied(use, "exp")
        if inside is None:
            return None
        rates = {0: 0.0, 1: 0.0}  # by the wire of the level, and of the reference
        for summand in read_scores(r, inside[0], [key], [query]).summands:
            wires = [use[0] for factor in summand.factors for use in factor.uses]
            values = [r.value(number) for number in summand.numbers]
            if len(wires) != 1 or wires[0] not in rates or not all(map(_is_real, values)):
                return None
            rates[wires[0]] += math.prod(values) * (-1 if summand.negative else 1)
        return rates[0] if rates[0] == -rates[1] != 0 else None

    @cached_property
    def is_quotient(self) -> bool:
        """Whether `rescale(a, b)` is a / b."""
        builder = Builder("quotient")
        level, reference = builder.input("level", "m"), builder.input("reference", "n")
        with builder:
            made = level / reference
        return _finished(builder, made) == self.rescaling

    @cached_property
    def rescales(self) -> Rule:
        """What finds `rescale`."""
        return sought(self.rescaling)

    @cached_property
    def weighs(self) -> Rule | None:
        """What finds the weight of a score, if that is not the score itself."""
        return None if self.fold.weigh is None else sought(self._weight("n m"))

    def _weight(self, axes: str) -> Diagram:
        builder = Builder("weigh")
        score = builder.input("score", axes)
        with builder:
            return _finished(builder, score if self.fold.weigh is None else self.fold.weigh(score))

    def score(self, r: Place, use: Use) -> Use | None:
        """The score that is weighed."""
        if self.weighs is None:
            return use
        found = bound_at(self.weighs, r, use)
        return None if found is None else found["score"]

    def hidden(self, value: Any) -> bool:
        """Whether a score weighs nothing."""
        return _is_real(value) and float(self._weight("").evaluate(float(value))) == 0

    def unmasked(self, r: Reading, score: Use) -> tuple[list[Condition], Use] | None:
        """The conditions around a score, where a hidden one weighs nothing, and what is left."""
        inside = r.applied(score, "where")
        if inside is None:
            return None
        condition, shown, hidden = inside
        for x, other, truth in ((shown, hidden, True), (hidden, shown, False)):
            if self.hidden(r.value(other)):
                return split_condition(r, condition, truth), x
        return None


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finished(builder: Builder, made: Wire) -> Diagram:
    names = tuple(x for x in ("n", "m") if x in made.names)
    port = Port("out", made.id, names, tuple(map(made.names.index, names)))
    return normalise(builder.finish([port]))


def sought(left: Diagram) -> Rule:
    """What finds a diagram."""
    right = left.fold(left.name)
    return checked(Rule(left.name, grade("equal"), left, right, {}, {}, (), left.name, left.name))


def bound_at(rule: Rule, place: Place, use: Use) -> dict[str, Use] | None:
    """What the inputs of a rule stand for where it stands at a use, in the labels of that."""
    index = place.diagram.owner[use[0]]
    if rule.pattern.head(rule.pattern.roots[0])[0] is not place.kind(use):
        return None
    for match in place.matcher(rule).at(index):
        (port,) = rule.left.outputs
        wire, labels = match.outputs[0]
        if wire != use[0]:
            continue
        names: dict[Any, Label] = dict(zip(labels, use[1], strict=True))
        declared = {port.axes[x]: label for x, label in names.items() if isinstance(x, int)}
        found: dict[str, Use] = {}
        for one, ((source, row),) in zip(rule.left.inputs, match.inputs, strict=True):
            own = dict(zip(one.slots, one.axes, strict=True))
            found[one.name] = (
                source,
                tuple(declared[own[x]] if isinstance(x, int) else names[x] for x in row),
            )
        return found
    return None
