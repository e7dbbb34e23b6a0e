"""Grades: what a rewriting step promises, kept apart from what it looks like.

A grade is a pair. The *relation* says how the functions of the two sides compare: equal (`=`),
those of the right among those of the left (`⊒`), the other way round (`⊑`), or unknown (`?`).
The *precision* says in what sense: exact, in the limit of a growing width, or within a bound.
Underneath `=`, two strengths: the same function of the same parameters (`equal`), or the same
set of functions once parameters are mapped (`reparametrised`).

Along a derivation grades compose: `=` changes nothing, `⊒` after `⊒` is `⊒`, up and then down
makes siblings (`?`), the precision is the worst of the parts, and errors of outputs add. Inside
a larger diagram a grade may promise less: see `Grade.within`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import NamedTuple

from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.names import among


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


class Context(NamedTuple):
    """What the rest of a diagram does to a promise that is kept inside it.

    `shared` names the parameters and learners that the step exchanges for others and that the
    rest uses too, `kept` those that stand on both sides of the step and are used by the rest.
    `breaks` is a box on the way to the outputs that is not continuous (empty if there is none).
    `lipschitz` bounds by how much the way to the outputs enlarges a difference, both measured
    by their largest entry; None says that no such bound is known.
    """

    shared: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    breaks: str = ""
    lipschitz: float | None = None


@dataclass(frozen=True)
class Grade:
    """A relation, a precision, and whether parameters stay what they are (`same`).

    `error` bounds the largest difference of outputs where the precision is `BOUND`; None says
    that no bound is known. What a grade could not use is dropped, so that grades that promise
    the same are equal: a `variant` promises nothing, in no sense.
    """

    relation: Relation
    precision: Precision = Precision.EXACT
    same: bool = False
    error: float | None = None

    def __post_init__(self) -> None:
        if self.relation is Relation.UNKNOWN:
            object.__setattr__(self, "precision", Precision.EXACT)
        if self.precision is not Precision.BOUND:
            object.__setattr__(self, "error", None)
        if self.relation is not Relation.EQUAL or self.precision is Precision.LIMIT:
            object.__setattr__(self, "same", False)
        if self.error is not None and not self.error >= 0:
            raise FormatError(f"a bound on an error is at least 0, not {self.error}")

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
        return replace(self, relation=_TURNED.get(self.relation, self.relation))

    def then(self, after: Grade) -> Grade:
        """The grade of this step followed by another, both between whole diagrams.

        Errors add, as distances do; where one of them is unknown, so is the sum.
        """
        errors = [g.error for g in (self, after) if g.precision is Precision.BOUND]
        known = [error for error in errors if error is not None]
        return Grade(
            _compose(self.relation, after.relation),
            Precision(max(self.precision, after.precision)),
            self.same and after.same,
            sum(known) if len(known) == len(errors) else None,
        )

    def implies(self, other: Grade) -> bool:
        """Whether this grade promises at least what the other one does."""
        if other.relation is Relation.UNKNOWN:
            return True
        if self.relation not in (other.relation, Relation.EQUAL) or other.same > self.same:
            return False
        if other.precision is not Precision.BOUND or other.error is None:
            return self.precision <= other.precision
        if self.precision is Precision.BOUND:
            return self.error is not None and self.error <= other.error
        return True

    def within(self, context: Context) -> Grade:
        """What a step of this grade promises for a diagram in which it happens somewhere.

        The same function in the same place is the same function: `equal` needs nothing. The
        others map parameters, and the rest may use those too. It can't follow a map of what is
        kept. What is exchanged it goes on using as it was: what the left side could do the right
        side can do with parameters of its own, but not the other way round, so `⊑` is all that
        remains. A limit or a bound passes through continuous boxes only, and an error grows by
        the Lipschitz constant of the way to the outputs.
        """
        relation, error = self.relation, self.error
        if self == EQUAL:
            return self
        if self.precision is not Precision.EXACT and context.breaks:
            return VARIANT
        if not self.same and context.kept:
            return VARIANT
        if not self.same and context.shared and relation is not Relation.UNKNOWN:
            relation = Relation.UNKNOWN if relation is Relation.CONTAINS else Relation.CONTAINED
        if error is not None:
            error = None if context.lipschitz is None else error * context.lipschitz
        return replace(self, relation=relation, error=error)

    def __str__(self) -> str:
        if self.precision is Precision.BOUND:
            bound = "no bound known" if self.error is None else f"within {self.error:.3g}"
            return f"{self.name}, {bound}"
        return self.name


_TURNED = {
    Relation.CONTAINS: Relation.CONTAINED,
    Relation.CONTAINED: Relation.CONTAINS,
}


def _compose(first: Relation, second: Relation) -> Relation:
    if first is Relation.EQUAL:
        return second
    if second is Relation.EQUAL or first is second:
        return first
    return Relation.UNKNOWN


EQUAL = Grade(Relation.EQUAL, same=True)
VARIANT = Grade(Relation.UNKNOWN)
GRADES = {
    "equal": EQUAL,
    "reparametrised": Grade(Relation.EQUAL),
    "limit": Grade(Relation.EQUAL, Precision.LIMIT),
    "reduces": Grade(Relation.CONTAINS),
    "generalises": Grade(Relation.CONTAINED),
    "approximates": Grade(Relation.EQUAL, Precision.BOUND, same=True),
    "variant": VARIANT,
}


def grade(name: str | Grade) -> Grade:
    """The grade that a rule declares by name. Raises `FormatError` for an unknown one."""
    if isinstance(name, Grade):
        return name
    if name not in GRADES:
        raise FormatError(among("a grade", GRADES, name))
    return GRADES[name]
