"""What a verb was given in the place of a diagram, and how a diagram is had from it."""

from __future__ import annotations

import inspect
from typing import Any

from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram


def a_diagram(verb: str, value: Any) -> Diagram:
    """The value, when it is a diagram. Raises `StructureError`, with what would be one.

    A class of objects that hold a diagram says how to take it out in `diagram_hint`.
    """
    if isinstance(value, Diagram):
        return value
    what, hint = described(value)
    raise StructureError(f"{verb} takes a diagram, not {what}" + (f"; {hint}" if hint else ""))


def described(value: Any) -> tuple[str, str]:
    """What a value is, in few words, and how a diagram is had from it, where that is known."""
    kind = type(value).__name__
    hint = getattr(value, "diagram_hint", "")
    if hint:
        return f"{kind} {getattr(value, 'name', '')}".rstrip(), hint
    if isinstance(value, str):
        return f"the text {value!r}", f"a mechanism of the catalogue is vs.anatomy[{value!r}]()"
    if isinstance(getattr(value, "diagram", None), Diagram):
        return kind, "take its .diagram"
    if inspect.isroutine(value):
        return f"the function {value.__name__}", "@vs.diagram makes a diagram of it"
    return kind, ""
