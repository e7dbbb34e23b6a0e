"""Strategies: how rules are applied again and again; all of them bounded.

Each returns a derivation that says where it stopped. A rule set that is not known to
terminate is run at most `limit` steps; `Stopped` records whether a normal form was reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import places
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema

Measure = Callable[[Diagram], int]


class Stopped(NamedTuple):
    """The derivation of a strategy, and whether it ended because no rule matched any more."""

    derivation: Derivation
    normal: bool


def once(diagram: Diagram, *rules: Rule | Schema) -> Stopped:
    """The first rule that matches, at its first match."""
    found = _first(Derivation(diagram), rules)
    return Stopped(found or Derivation(diagram), found is None)


def repeat(diagram: Diagram, *rules: Rule | Schema, limit: int = 256) -> Stopped:
    """The first rule that matches, again and again, at most `limit` times."""
    derivation = Derivation(diagram)
    for _ in range(limit):
        following = _first(derivation, rules)
        if following is None:
            return Stopped(derivation, True)
        derivation = following
    return Stopped(derivation, _first(derivation, rules) is None)


def normalise(diagram: Diagram, *rules: Rule | Schema, measure: Measure) -> Stopped:
    """Apply rules as long as they lower a measure: ends without a limit, by the measure.

    A match whose result does not have a lower measure is passed over.
    """
    derivation = Derivation(diagram)
    while True:
        following = _lower(derivation, rules, measure)
        if following is None:
            return Stopped(derivation, True)
        derivation = following


def everywhere(diagram: Diagram, rule: Rule | Schema) -> tuple[Diagram, int]:
    """All matches that do not overlap, from the first on, in one pass; and how many.

    What a rewriting makes is not looked at again.
    """
    taken: set[int] = set()
    chosen = []
    for match in matches(rule, diagram):
        boxes = set(match.nodes.values())
        if taken.isdisjoint(boxes):
            taken |= boxes
            chosen.append(match)
    return (apply(diagram, *chosen) if chosen else diagram), len(chosen)


def _first(derivation: Derivation, rules: Sequence[Rule | Schema]) -> Derivation | None:
    for rule in rules:
        found = next(places(rule, derivation.end), None)
        if found is not None:
            return derivation.extended(*found)
    return None


def _lower(
    derivation: Derivation, rules: Sequence[Rule | Schema], measure: Measure
) -> Derivation | None:
    now = measure(derivation.end)
    for rule in rules:
        for move, result in places(rule, derivation.end):
            if measure(result) < now:
                return derivation.extended(move, result)
    return None
