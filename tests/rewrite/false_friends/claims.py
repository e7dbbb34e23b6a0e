"""Where a wrong claim is put down: a rule, or the two sides of one."""

from collections.abc import Callable
from typing import Any

from vesalius.rewrite.rule import Rule, rule

WRONG: dict[str, Callable[[], Any]] = {}


def wrong(thing: Callable[[], Any]) -> Callable[[], Any]:
    WRONG[thing.__name__] = thing
    return thing


def equal(function: Callable[..., Any]) -> Rule:
    return rule("equal")(function)
