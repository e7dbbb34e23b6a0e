"""The edges of the taxonomy beside the derivations of the reference, each with its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vesalius.anatomy.derivations.registry import Registry
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.lemma import Lemma

Place = tuple[str, dict[str, Any]]
Build = Callable[[], Derivation]

EDGES = Registry()
"""Derivations between the catalogue's own diagrams, by name."""

ENDS: dict[str, tuple[Place, Place]] = {}
"""Of each edge, the mechanisms and the options at which it starts and ends."""


def at(mechanism: str, **options: Any) -> Place:
    """A mechanism at options and sizes."""
    return mechanism, options


def edge(start: str | Place, end: str | Place) -> Callable[[Build], Build]:
    """Enter the decorated function, which builds the derivation; its name is the edge's."""
    places = [(place, {}) if isinstance(place, str) else place for place in (start, end)]

    def put(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        ENDS[name] = (places[0], places[1])
        return EDGES.enter(name, f"{places[0][0]} to {places[1][0]}")(build)

    return put


def lemma(found: Derivation, end: Diagram, why: str) -> Derivation:
    """The derivation, led on to `end`, which is the same function; `why` says so in symbols."""
    left = found.end
    if list(left.input_types) != list(end.input_types):
        raise StructureError(f"{left.name} and {end.name} have other inputs")
    return found.then(Lemma(left, end, why))
