"""Lemmas: that two whole diagrams are equal, as a step of its own.

Where a mechanism at some values of its parameters *is* another one, saying so may take many rules
that serve nowhere else. A lemma says it at once. It is believed no more than a rule: whoever checks
the derivation checks both sides, exactly where they lie in the fragment, else by samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.grade import EQUAL, Grade
from vesalius.rewrite.moves import Move, NoMatch, written_at


@dataclass(frozen=True)
class Lemma(Move):
    """One diagram is the same function as another, of the same inputs and parameters.

    Parameters of one name are one. The move applies to the left diagram and to no other.
    """

    left: Diagram
    right: Diagram
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    @property
    def name(self) -> str:
        """`is` and the diagram that it is."""
        return f"is {self.right.name}"

    @property
    def name_backwards(self) -> str:
        """`is` and the diagram on the left."""
        return f"is {self.left.name}"

    def apply(self, before: Diagram) -> Diagram:
        """The right diagram. Raises `NoMatch` for another diagram than the left one."""
        if before != self.left:
            raise NoMatch(f"the lemma is about {self.left.name}, and {before.name} is not that")
        return self.right

    def grade(self, before: Diagram) -> Grade:
        """`equal`: which is checked, not trusted."""
        return EQUAL
