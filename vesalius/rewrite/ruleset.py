"""Many rules at once: compiled into one table, so that each box meets only rules for its like.

    rules = RuleSet(*RULES.values())
    for match in rules.matches(diagram): ...

A box that no rule begins with costs one look-up. Where rules do, what stands below it is asked
first: a rule whose left side needs a softmax there is not tried where there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from vesalius.diagrams.box import Box
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.assign import fits
from vesalius.rewrite.match import Matcher, matches_of_schema
from vesalius.rewrite.matched import Match
from vesalius.rewrite.pattern import Head, head
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema


class _Entry(NamedTuple):
    """A rule that may begin at a box, with what must stand below it."""

    rule: Rule | Schema
    anchor: int
    needs: frozenset[Head]


class RuleSet:
    """Rules and schemas, in the order in which they are preferred at one box."""

    def __init__(self, *rules: Rule | Schema) -> None:
        self.rules = rules
        self._by_head: dict[Head, list[tuple[int, _Entry]]] = {}
        self._schemas: list[tuple[int, Schema]] = []
        self._loose: list[Rule] = []
        for number, rule in enumerate(rules):
            if isinstance(rule, Schema):
                self._schemas.append((number, rule))
            elif not rule.pattern.roots:
                self._loose.append(rule)
            else:
                anchor = rule.pattern.roots[0]
                entry = _Entry(rule, anchor, rule.pattern.needs[anchor])
                self._by_head.setdefault(rule.pattern.head(anchor), []).append((number, entry))

    def matches(self, host: Diagram, within: Collection[int] | None = None) -> Iterator[Match]:
        """All matches of all rules: box by box, at each box in the order of the rules.

        Those of rules whose left side has no box come last.
        """
        matchers: dict[Rule, Matcher] = {}
        table: dict[Box, tuple[_Entry, ...]] = {}
        nodes, owner = host.nodes, host.owner
        for k, node in enumerate(nodes):
            box = node.box
            entries = table.get(box)
            if entries is None:
                entries = table[box] = self._entries(box)
            if not entries:
                continue
            below = set()
            for wire in node.src:
                found = head(nodes[owner[wire]].box)
                below.add(found)
                below.add((found[0], None))
            for rule, anchor, needs in entries:
                if isinstance(rule, Schema):
                    yield from matches_of_schema(rule, host, k, within)
                elif needs <= below and fits(rule.pattern, anchor, box):
                    matcher = matchers.get(rule)
                    if matcher is None:
                        matcher = matchers[rule] = Matcher(rule, host, within)
                    yield from matcher.at(k, anchor)
        for rule in self._loose:
            yield from Matcher(rule, host, within).all()

    def _entries(self, box: Box) -> tuple[_Entry, ...]:
        """The rules that may begin at a box."""
        kind, function = head(box)
        found = list(self._by_head.get((kind, None), ()))
        if function is not None:
            found += self._by_head.get((kind, function), ())
        found += [
            (number, _Entry(schema, 0, frozenset()))
            for number, schema in self._schemas
            if schema.at is None or kind in schema.at
        ]
        return tuple(entry for _, entry in sorted(found, key=lambda item: item[0]))

    def __len__(self) -> int:
        return len(self.rules)

    def __repr__(self) -> str:
        return f"<{len(self.rules)} rules>"
