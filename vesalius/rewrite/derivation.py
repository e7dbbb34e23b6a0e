"""Derivations: chains of steps as values.

    d = vs.derive(attention, unfold_softmax, normalise_late)
    d.end, d.grade, d.decisive        # where it leads, what it promises, which step made it so
    d.inverse(), d >> other, d.replay(), d.check()

A derivation holds the diagram it starts from and its steps. A step holds a move (mostly a rule
and the number of the match where it was applied) and the diagrams before and after, so that
it can be applied again and compared. A step that is read backwards goes from the result of its
move to where the move starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.errors import StructureError, TypeClash, VesaliusError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import substitute
from vesalius.diagrams.sizes import SizeLike, size
from vesalius.rewrite.grade import EQUAL, Grade, Relation
from vesalius.rewrite.interfaces import Rename
from vesalius.rewrite.moves import Choose, Move, NoMatch, Restrict, Rewrite, places
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema

if TYPE_CHECKING:
    from vesalius.diagrams.drawing.strips import Strip

__all__ = ["Derivation", "NoMatch", "Step", "derive"]


@dataclass(frozen=True)
class Step:
    """One step: the move, the diagrams before and after it, and in which direction it is read.

    Read `backwards`, the move leads from `after` to `before`.
    """

    move: Move
    before: Diagram
    after: Diagram
    backwards: bool = False

    @property
    def name(self) -> str:
        """What the step is called."""
        return self.move.name_backwards if self.backwards else self.move.name

    @cached_property
    def grade(self) -> Grade:
        """What this step promises for the whole diagram."""
        if self.backwards:
            return self.move.grade_backwards(self.after)
        return self.move.grade(self.before)

    def inverse(self) -> Step:
        """The same step in the other direction."""
        return Step(self.move, self.after, self.before, not self.backwards)

    def replay(self) -> None:
        """Apply the move again. Raises `NoMatch` when it does not give what it gave."""
        source, wanted = (self.before, self.after)[:: -1 if self.backwards else 1]
        if self.move.apply(source) != wanted:
            raise NoMatch(f"{self.move.name} does not give what it gave, in {source.name}")


@dataclass(frozen=True)
class Derivation:
    """A diagram and the steps that lead from it; immutable, extended by `then`."""

    start: Diagram
    steps: tuple[Step, ...] = ()
    name: str = field(default="", compare=False)

    @property
    def diagram_hint(self) -> str:
        """How a diagram is had from a derivation."""
        return "take its .start or its .end"

    @property
    def end(self) -> Diagram:
        """The diagram after the last step."""
        return self.steps[-1].after if self.steps else self.start

    @property
    def diagrams(self) -> tuple[Diagram, ...]:
        """The diagrams from the start to the end, one more than there are steps."""
        return (self.start, *(step.after for step in self.steps))

    @property
    def seen(self) -> Diagram:
        """The start as the end speaks of it: at the sizes and on the inputs that were chosen."""
        seen = self.start
        for step in self.steps:
            if isinstance(step.move, Choose):
                seen = substitute(seen, step.move.sizes)
            elif isinstance(step.move, Restrict) and not step.backwards:
                seen = step.move.apply(seen)
            elif isinstance(step.move, Rename):
                names = step.move.inverse() if step.backwards else step.move
                seen = names.apply(seen)
        return seen

    @property
    def grade(self) -> Grade:
        """The composite of the grades of the steps."""
        total = EQUAL
        for step in self.steps:
            total = total.then(step.grade)
        return total

    @property
    def decisive(self) -> Step | None:
        """The step with which the composite grade becomes what it is in the end."""
        total, found = EQUAL, None
        for step in self.steps:
            after = total.then(step.grade)
            if after != total:
                total, found = after, step
        return found

    @property
    def siblings(self) -> bool:
        """Whether the ends have a generalisation or a reduction in common, and no more is said.

        No step is a `variant`, but they go up and then down, or the other way round.
        """
        return self.grade.relation is Relation.UNKNOWN and all(
            step.grade.relation is not Relation.UNKNOWN for step in self.steps
        )

    # -- growing ----------------------------------------------------------------------------

    def then(
        self,
        what: Rule | Schema | Move,
        place: int = 0,
        *,
        sizes: Mapping[str, SizeLike] | None = None,
        lipschitz: float | None = None,
    ) -> Derivation:
        """One more step: a move, or a rule at its match number `place`.

        `sizes` are those that the rule brings. `lipschitz` states by how much what follows the
        place enlarges a difference; the bound of a rule that approximates is carried through it.
        Raises `NoMatch`.
        """
        move = _move(what, place, sizes, lipschitz)
        return self.extended(move, move.apply(self.end))

    def reach(
        self,
        what: Rule | Schema | Move,
        target: Diagram,
        *,
        sizes: Mapping[str, SizeLike] | None = None,
    ) -> Derivation:
        """One more step that leads to `target`: a move, or a rule at whichever match does.

        Raises `NoMatch`.
        """
        if isinstance(what, (Rule, Schema)):
            for move, result in places(what, self.end, sizes):
                if result == target:
                    return self.extended(move, result)
            raise NoMatch(f"no match of {what.name} in {self.end.name} gives the diagram wanted")
        step = Step(what, self.end, target)
        step.replay()
        return self._and(step)

    def back(
        self,
        what: Rule | Schema | Move,
        target: Diagram,
        *,
        sizes: Mapping[str, SizeLike] | None = None,
    ) -> Derivation:
        """One more step read backwards: applied to `target`, the move gives where this ends.

        So a part is abstracted into a learner, or a part is folded into a box. Raises `NoMatch`.
        """
        return self >> Derivation(target).reach(what, self.end, sizes=sizes).inverse()

    def extended(self, move: Move, result: Diagram) -> Derivation:
        """One more step, by a move that is known to give `result`."""
        return self._and(Step(move, self.end, result))

    def _and(self, step: Step) -> Derivation:
        return Derivation(self.start, (*self.steps, step), self.name)

    def named(self, name: str) -> Derivation:
        """This derivation by another name."""
        return Derivation(self.start, self.steps, name)

    def __rshift__(self, other: Derivation) -> Derivation:
        """This derivation followed by one that starts where it ends. Raises `TypeClash`."""
        if self.end != other.start:
            raise TypeClash("the second derivation does not start where the first one ends")
        return Derivation(self.start, (*self.steps, *other.steps), self.name or other.name)

    def __getitem__(self, part: slice) -> Derivation:
        """Some consecutive steps: `d[2:]`."""
        first, last, stride = part.indices(len(self.steps))
        if stride != 1:
            raise StructureError("the steps of a part of a derivation are consecutive")
        return Derivation(self.diagrams[first], self.steps[first:last], self.name)

    def inverse(self) -> Derivation:
        """The derivation read backwards."""
        return Derivation(self.end, tuple(step.inverse() for step in reversed(self.steps)))

    def inside(self, context: Callable[[Diagram], Diagram]) -> Derivation:
        """The same steps inside a larger diagram: `context` puts a diagram where it belongs.

            derivation.inside(lambda attention: layer_of(attention).over("batch"))

        Every step is made again there, so it promises what it can in that context. A size that is
        chosen and that the context has chosen already is no step. Raises `NoMatch`.
        """
        found = Derivation(context(self.start), (), self.name)
        for step in self.steps:
            target, move = context(step.after), step.move
            if isinstance(move, Choose) and target == found.end:
                continue
            grow = found.back if step.backwards else found.reach
            if isinstance(move, Rewrite):
                found = grow(move.rule, target, sizes=move.sizes)
            else:
                found = grow(move, target)
        return found

    # -- checking ---------------------------------------------------------------------------

    def replay(self) -> Derivation:
        """Apply every step anew, and compare. Raises `NoMatch` when a step comes out otherwise."""
        before = self.start
        for number, step in enumerate(self.steps, 1):
            try:
                if step.before != before:
                    raise NoMatch("it does not start where the step before it ends")
                step.replay()
            except VesaliusError as problem:
                reason = str(problem).split("\n")[0]
                raise NoMatch(f"step {number}, {step.name}: {reason}") from None
            before = step.after
        return self

    def check(self, **options: Any) -> Any:
        """Check every step at the place that it rewrites: `vs.check(derivation)`, a verdict."""
        from vesalius.rewrite.check import check_derivation

        return check_derivation(self, **options)

    def to_json(self, indent: int | None = None) -> str:
        """This derivation as a JSON text; `indent` spreads it over lines."""
        from vesalius.rewrite.record import to_json

        return to_json(self, indent)

    @staticmethod
    def from_json(text: str, rules: Iterable[Rule | Schema] = ()) -> Derivation:
        """The derivation that a JSON text describes, every step applied anew.

        `rules` are those of your own that it names. Raises `FormatError` for anything else.
        """
        from vesalius.rewrite.record import from_json

        return from_json(text, rules)

    # -- drawing ----------------------------------------------------------------------------

    def film(self, **options: Any) -> Strip:
        """The steps as a strip of pictures; see `vesalius.rewrite.film`."""
        from vesalius.rewrite.film import film

        return film(self, **options)

    def svg(self, **options: Any) -> str:
        """The steps as one SVG document."""
        return self.film(**options).svg()

    def html(self, **options: Any) -> str:
        """A page that steps through the derivation and needs no network."""
        return self.film(**options).html()

    def _repr_html_(self) -> str:
        return self.film()._repr_html_()

    # -- parameters -------------------------------------------------------------------------

    def transport(self, state: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Carry parameters from the start to the end; see `vesalius.rewrite.transport`."""
        from vesalius.rewrite.transport import transport

        return transport(self, state, **options)

    # -- reading ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        title = self.name or f"{self.start.name} → {self.end.name}"
        promise, said = str(self.grade), "decides the grade"
        if self.siblings:
            promise, said = "siblings", "turns round, so that nothing is promised"
        lines = [f"{title}: {len(self.steps)} steps, {promise}"]
        decisive = self.decisive
        for number, step in enumerate(self.steps, 1):
            mark = f"  ← {said}" if step is decisive else ""
            lines.append(f"  {number}. {step.name} ({step.grade}){mark}")
        return "\n".join(lines)


def _move(
    what: Rule | Schema | Move,
    place: int = 0,
    sizes: Mapping[str, SizeLike] | None = None,
    lipschitz: float | None = None,
) -> Move:
    if isinstance(what, Move):
        return what
    if not isinstance(what, (Rule, Schema)):
        raise StructureError(
            f"a step is a rule, a schema, a move or a pair (rule, number of the match), not "
            f"{type(what).__name__}; several are given one by one: vs.derive(diagram, *rules)"
        )
    chosen = {name: size(value) for name, value in (sizes or {}).items()}
    return Rewrite(what, place, chosen, lipschitz)


def derive(
    start: Diagram, *moves: Rule | Schema | Move | tuple[Rule | Schema, int], name: str = ""
) -> Derivation:
    """The derivation that takes these steps from a diagram.

    A rule is applied at its first match, `(rule, k)` at match number k. Raises `NoMatch`.
    """
    derivation = Derivation(a_diagram("derive", start), (), name)
    for what in moves:
        if isinstance(what, tuple) and len(what) == 2 and isinstance(what[1], int):
            derivation = derivation.then(*what)
        else:
            derivation = derivation.then(what)
    return derivation
