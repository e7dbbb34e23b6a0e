"""Derivations drawn: a strip of pictures, or a page that steps through them."""

from __future__ import annotations

from typing import Any

from vesalius.diagrams.drawing.strips import Change, Strip, strip
from vesalius.rewrite.derivation import Derivation, Step
from vesalius.rewrite.grade import Grade, Relation

ARROWS = {
    Relation.EQUAL: "=",
    Relation.CONTAINS: "⊒",
    Relation.CONTAINED: "⊑",
    Relation.UNKNOWN: "≠",
}


def film(derivation: Derivation, **options: Any) -> Strip:
    """The diagrams of a derivation with what each step says: rule, grade, law and source line.

    The options are those of `vs.draw`, and `width` in pixels, where a new row begins.
    """
    captions = [derivation.start.name or "start"]
    captions += [caption(number, step) for number, step in enumerate(derivation.steps, 1)]
    changes = [change(step) for step in derivation.steps]
    made = strip(derivation.diagrams, captions, changes, **options)
    made.name = derivation.name or made.name
    return made


def caption(number: int, step: Step) -> str:
    """What stands under the picture after a step: its number and its law in symbols."""
    law = first_line(step.move.doc)
    return f"{number}. {law or step.name}"


def change(step: Step) -> Change:
    """What stands between the pictures before and after a step."""
    return Change(
        sign=sign(step.grade),
        rule=step.name.replace("_", " "),
        grade=str(step.grade),
        law=step.move.doc,
        source=step.move.source,
    )


def sign(grade: Grade) -> str:
    """The sign of a relation: `=` for the same function, `≅` once parameters are mapped."""
    if grade.name == "reparametrised":
        return "≅"
    if grade.name in ("limit", "approximates") and grade.relation is Relation.EQUAL:
        return "≈"
    return ARROWS[grade.relation]


def first_line(text: str) -> str:
    """The first line of a docstring."""
    return text.strip().split("\n")[0]
