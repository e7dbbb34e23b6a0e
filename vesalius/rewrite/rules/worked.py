"""Worked examples: for each rule a diagram from practice in which it is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema

EXAMPLES: dict[str, Diagram] = {}


def worked(rule: Rule | Schema) -> Callable[[Callable[..., Any]], Diagram]:
    """Make the decorated function the worked example of a rule or a schema."""

    def enter(function: Callable[..., Any]) -> Diagram:
        found = EXAMPLES[rule.name] = diagram(function)
        return found

    return enter
