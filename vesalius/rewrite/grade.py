"""Grades: what a rewriting step promises, kept apart from what it looks like.

A grade is a pair. The *relation* says how the functions of the two sides compare: equal (`=`),
those of the right among those of the left (`⊒`), the other way round (`⊑`), or unknown (`?`).
The *precision* says in what sense: exact, in the limit of a growing width, or within a bound.
Underneath `=`, two strengths: the same function of the same parameters (`equal`), or the same
set of functions once parameters are mapped (`reparametrised`).

Grades compose along a derivation: `=` changes nothing, `⊒` after `⊒` is `⊒`, up and then down
makes siblings (`?`), and the precision is the worst of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from vesalius.diagrams.errors import FormatError


class Relation(Enum):
    """How the functions of the left side compare with those of the right."""

    EQUAL = "="
    CONTAINS = "⊒"
    CONTAINED = "⊑"
    UNKNOWN = "?"


class Precision(IntEnum):
    """In what sense the relation holds; a larger value promises less."""

    EXACT = 0
    LIMIT = 1
    BOUND = 2


@dataclass(frozen=True)
class Grade:
    """A relation, a precision, and whether parameters stay what they are (`same`).

    `error` bounds the largest difference of outputs where the precision is `BOUND`; None says
    that no bound is known. `lipschitz` is a constant of the right side in its inputs, without
    which the error of an earlier step cannot be carried through this one.
    """

    relation: Relation
    precision: Precision = Precision.EXACT
    same: bool = False
    error: float | None = None
    lipschitz: float | None = None

    @property
    def name(self) -> str:
        """The name of this grade, as a rule declares it."""
        if self.relation is Relation.UNKNOWN:
            return "variant"
        if self.precision is Precision.BOUND:
            return "approximates"
        if self.precision is Precision.LIMIT:
            return "limit"
        if self.relation is Relation.EQUAL:
            return "equal" if self.same else "reparametrised"
        return "reduces" if self.relation is Relation.CONTAINS else "generalises"

    def inverse(self) -> Grade:
        """The grade of the step read backwards."""
        turned = {
            Relation.CONTAINS: Relation.CONTAINED,
            Relation.CONTAINED: Relation.CONTAINS,
        }.get(self.relation, self.relation)
        return Grade(turned, self.precision, self.same, self.error, None)

    def then(self, after: Grade) -> Grade:
        """The grade of this step followed by another."""
        relation = _compose(self.relation, after.relation)
        precision = Precision(max(self.precision, after.precision))
        error = None
        if precision is Precision.BOUND and relation is not Relation.UNKNOWN:
            error = _carried(self, after)
        lipschitz = None
        if self.lipschitz is not None and after.lipschitz is not None:
            lipschitz = self.lipschitz * after.lipschitz
        return Grade(relation, precision, self.same and after.same, error, lipschitz)

    def __str__(self) -> str:
        return self.name


def _compose(first: Relation, second: Relation) -> Relation:
    if first is Relation.EQUAL:
        return second
    if second is Relation.EQUAL or first is second:
        return first
    return Relation.UNKNOWN


def _carried(first: Grade, second: Grade) -> float | None:
    """Bounds add only through a stated Lipschitz constant."""
    own = second.error if second.precision is Precision.BOUND else 0.0
    if first.precision is not Precision.BOUND:
        return own
    if first.error is None or own is None:
        return None
    if second.same and second.precision is Precision.EXACT:
        return first.error
    if second.lipschitz is None:
        return None
    return first.error * second.lipschitz + own


EQUAL = Grade(Relation.EQUAL, same=True)
GRADES = {
    "equal": EQUAL,
    "reparametrised": Grade(Relation.EQUAL),
    "limit": Grade(Relation.EQUAL, Precision.LIMIT),
    "reduces": Grade(Relation.CONTAINS),
    "generalises": Grade(Relation.CONTAINED),
    "approximates": Grade(Relation.EQUAL, Precision.BOUND),
    "variant": Grade(Relation.UNKNOWN),
}


def grade(name: str | Grade) -> Grade:
    """The grade that a rule declares by name. Raises `FormatError` for an unknown one."""
    if isinstance(name, Grade):
        return name
    if name not in GRADES:
        raise FormatError(f"a grade is one of {', '.join(GRADES)}, not {name!r}")
    return GRADES[name]
