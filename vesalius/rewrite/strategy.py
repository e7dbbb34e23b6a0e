"""Strategies: how rules are applied again and again; all of them bounded.

    plan = in_order(repeat(unfold_softmax), first(normalise_late, reassociate))
    ended = plan(attention)
    ended.derivation, ended.normal, ended.reason

A strategy is called with a diagram, or with a derivation to go on from, and returns a derivation
and where it stopped. A rule stands for applying it once, at its first match. Rules that are not
known to come to an end are repeated at most `limit` times; without a limit there must be a
measure that every step lowers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import places
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema

Measure = Callable[[Diagram], int]


class Stopped(NamedTuple):
    """The derivation of a strategy, and where it stopped.

    `normal`: nothing that the strategy tries would go on from here. `reason` says it in words.
    """

    derivation: Derivation
    normal: bool
    reason: str


@dataclass(frozen=True)
class Strategy:
    """A way to go on from a derivation; called with a diagram, it starts there."""

    name: str
    go_on: Callable[[Derivation], Stopped]

    def __call__(self, start: Diagram | Derivation) -> Stopped:
        """What comes of it, from here on."""
        return self.go_on(Derivation(start) if isinstance(start, Diagram) else start)


Step = Rule | Schema | Strategy


def once(rule: Rule | Schema) -> Strategy:
    """The rule at its first match, if it has one."""

    def go_on(derivation: Derivation) -> Stopped:
        found = next(places(rule, derivation.end), None)
        if found is None:
            return Stopped(derivation, True, f"{rule.name} matches nowhere")
        return Stopped(derivation.extended(*found), False, f"{rule.name} was applied once")

    return Strategy(rule.name, go_on)


def first(*steps: Step) -> Strategy:
    """The first of these that takes a step, and none of the others."""
    tried = [_strategy(step) for step in steps]
    name = f"first({', '.join(each.name for each in tried)})"

    def go_on(derivation: Derivation) -> Stopped:
        reasons = []
        for each in tried:
            ended = each(derivation)
            if len(ended.derivation) > len(derivation):
                return ended
            reasons.append(ended.reason)
        return Stopped(derivation, True, "; ".join(reasons) or "there is nothing to try")

    return Strategy(name, go_on)


def in_order(*steps: Step) -> Strategy:
    """All of these, one after the other; what takes no step is passed over."""
    planned = [_strategy(step) for step in steps]
    name = f"in_order({', '.join(each.name for each in planned)})"

    def go_on(derivation: Derivation) -> Stopped:
        found, reasons = derivation, []
        for each in planned:
            ended = each(found)
            found = ended.derivation
            reasons.append(ended.reason)
        unmoved = len(found) == len(derivation)
        return Stopped(found, unmoved, "; ".join(reasons) or "there is nothing to do")

    return Strategy(name, go_on)


def repeat(*steps: Step, limit: int = 256) -> Strategy:
    """The first of these that takes a step, again and again, at most `limit` times.

    Raises `FormatError` for a limit below 1.
    """
    if limit < 1:
        raise FormatError(f"repeat: the limit is at least 1, not {limit}")
    body = first(*steps)
    name = f"repeat({', '.join(_strategy(step).name for step in steps)})"

    def go_on(derivation: Derivation) -> Stopped:
        found = derivation
        for _ in range(limit):
            ended = body(found)
            if ended.normal:
                return Stopped(found, True, ended.reason)
            found = ended.derivation
        ended = body(found)
        if ended.normal:
            return Stopped(found, True, ended.reason)
        return Stopped(found, False, f"{name} reached its limit of {limit}")

    return Strategy(name, go_on)


def normalise(*rules: Rule | Schema, measure: Measure) -> Strategy:
    """Apply rules as long as they lower a measure, which is what bounds it.

    A match whose result has no lower measure is passed over. Raises `FormatError` for a
    measure below 0, since one that may fall forever bounds nothing.
    """

    def measured(diagram: Diagram) -> int:
        value = measure(diagram)
        if value < 0:
            raise FormatError(f"normalise: a measure is 0 or more, not {value}")
        return value

    def lower(derivation: Derivation) -> Derivation | None:
        now = measured(derivation.end)
        for rule in rules:
            for move, result in places(rule, derivation.end):
                if measured(result) < now:
                    return derivation.extended(move, result)
        return None

    def go_on(derivation: Derivation) -> Stopped:
        found = derivation
        while (following := lower(found)) is not None:
            found = following
        left = measured(found.end)
        return Stopped(found, True, f"no rule lowers the measure, which is {left}")

    return Strategy(f"normalise({', '.join(rule.name for rule in rules)})", go_on)


def everywhere(diagram: Diagram, rule: Rule | Schema) -> tuple[Diagram, int]:
    """All matches that do not overlap, from the first on, in one pass; and how many.

    What a rewriting makes is not looked at again. This is for diagrams of very many boxes and
    keeps no derivation: `repeat` does.
    """
    taken: set[int] = set()
    chosen = []
    for match in matches(rule, diagram):
        boxes = set(match.nodes.values())
        if taken.isdisjoint(boxes):
            taken |= boxes
            chosen.append(match)
    return (apply(diagram, *chosen) if chosen else diagram), len(chosen)


def _strategy(step: Step) -> Strategy:
    return step if isinstance(step, Strategy) else once(step)
