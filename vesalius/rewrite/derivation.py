"""Derivations: chains of rewriting steps as values.

A derivation holds the diagram it starts from and its steps; a step holds the rule, where it
was applied (the number of the match, in the order in which matching finds them), and the
diagram that came out. So it replays, inverts where its rules do, composes, and says its grade
and the step that made it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vesalius.diagrams.errors import StructureError, TypeClash
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.grade import EQUAL, Grade
from vesalius.rewrite.match import matches
from vesalius.rewrite.rule import Rule


class Step(NamedTuple):
    """One rewriting: `rule` at its match number `place` gave `result`."""

    rule: Rule
    place: int
    result: Diagram

    @property
    def grade(self) -> Grade:
        """What this step promises."""
        return self.rule.grade


class NoMatch(StructureError):
    """The rule does not stand where it should be applied."""


@dataclass(frozen=True)
class Derivation:
    """A diagram and the steps that lead from it; immutable, extended by `then`."""

    start: Diagram
    steps: tuple[Step, ...] = ()

    @property
    def end(self) -> Diagram:
        """The diagram after the last step."""
        return self.steps[-1].result if self.steps else self.start

    @property
    def grade(self) -> Grade:
        """The composite of the grades of the steps."""
        total = EQUAL
        for step in self.steps:
            total = total.then(step.grade)
        return total

    @property
    def weakest(self) -> Step | None:
        """The first step after which the composite grade is what it is in the end."""
        total, found = EQUAL, None
        for step in self.steps:
            after = total.then(step.grade)
            if after != total:
                total, found = after, step
        return found

    def then(self, rule: Rule, place: int = 0) -> Derivation:
        """One more step: the rule at its match number `place`. Raises `NoMatch`."""
        for k, match in enumerate(matches(rule, self.end)):
            if k == place:
                step = Step(rule, place, apply(self.end, match))
                return Derivation(self.start, (*self.steps, step))
        raise NoMatch(f"{rule.name} has no match number {place} in {self.end.name}")

    def __rshift__(self, other: Derivation) -> Derivation:
        """This derivation followed by one that starts where it ends. Raises `TypeClash`."""
        if self.end != other.start:
            raise TypeClash("the second derivation does not start where the first one ends")
        return Derivation(self.start, (*self.steps, *other.steps))

    def inverse(self) -> Derivation:
        """The derivation read backwards. Raises `NoMatch` where a step cannot be undone."""
        diagrams = [self.start, *(step.result for step in self.steps)]
        back = Derivation(self.end)
        for step, before in zip(reversed(self.steps), reversed(diagrams[:-1]), strict=True):
            back = back.reach(step.rule.inverse(), before)
        return back

    def reach(self, rule: Rule, target: Diagram) -> Derivation:
        """One more step by a rule, at the match that gives `target`. Raises `NoMatch`."""
        for k, match in enumerate(matches(rule, self.end)):
            result = apply(self.end, match)
            if result == target:
                return Derivation(self.start, (*self.steps, Step(rule, k, result)))
        raise NoMatch(f"no match of {rule.name} in {self.end.name} gives the diagram wanted")

    def replay(self) -> Derivation:
        """Apply every step anew, and compare. Raises `NoMatch` when a step comes out otherwise."""
        again = Derivation(self.start)
        for step in self.steps:
            again = again.then(step.rule, step.place)
            if again.end != step.result:
                raise NoMatch(f"{step.rule.name} at {step.place} gives another diagram now")
        return again

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        lines = [f"{self.start.name}: {len(self.steps)} steps, {self.grade}"]
        lines += [f"  {k}. {s.rule.name} ({s.grade})" for k, s in enumerate(self.steps, 1)]
        return "\n".join(lines)


def derive(start: Diagram, *rules: Rule) -> Derivation:
    """Apply rules in order, each at its first match. Raises `NoMatch`."""
    derivation = Derivation(start)
    for rule in rules:
        derivation = derivation.then(rule)
    return derivation
