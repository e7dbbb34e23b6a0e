"""Convexity: no output of a match is computed, through the right side, from itself.

A rule of several outputs replaces each by itself, and its right side depends on no more inputs
than its left side does, so mostly nothing can go wrong. But a box of the right side that makes
several outputs reads everything that any of them needs. Where an input of the match is computed
from one of its outputs, the result would be a cycle; such a match is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vesalius.diagrams.graph import Diagram

if TYPE_CHECKING:
    from vesalius.rewrite.matched import Match


def convex(match: Match) -> bool:
    """Whether the outputs of a match can be computed one after the other."""
    after = [_computed_from(match.host, wire) for wire, _ in match.outputs]
    reads = [{wire for wire, _ in uses} for uses in match.inputs]
    waits: list[set[int]] = []  # for each output, the outputs from which what it needs is computed
    for cone in match.rule.pattern.cones:
        needed = set().union(*(row for k, row in enumerate(reads) if cone >> k & 1))
        waits.append({j for j, computed in enumerate(after) if needed & computed})
    done: set[int] = set()
    while len(done) < len(waits):
        ready = {i for i, others in enumerate(waits) if others <= done}
        if ready <= done:
            return False
        done |= ready
    return True


def _computed_from(host: Diagram, wire: int) -> set[int]:
    """A wire and all that is computed from it."""
    found, todo = {wire}, [wire]
    while todo:
        for k, _ in host.consumers[todo.pop()]:
            for other in host.nodes[k].wires:
                if other not in found:
                    found.add(other)
                    todo.append(other)
    return found
