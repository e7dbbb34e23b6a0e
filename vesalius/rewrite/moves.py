"""Moves: the ways in which a step of a derivation changes a diagram.

Most steps apply a rule at a place (`Rewrite`). The others change what the rules do not reach:
`Fill` puts a diagram into a learner, `Restrict` reads one input in the place of another,
`Choose` sets sizes, `Unfold` opens named boxes; `interfaces` has three more, `finish` and
`lemma` one each. A move is a value: it is applied again whenever its step is checked, and it names
no wire.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from vesalius.diagrams.errors import AxisError, FormatError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as, same_tokens, start
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.diagrams.types import ArrayType
from vesalius.rewrite.apply import Applied, apply, rewrite
from vesalius.rewrite.context import surroundings
from vesalius.rewrite.grade import EQUAL, GRADES, VARIANT, Grade
from vesalius.rewrite.match import matches
from vesalius.rewrite.matched import Match
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema


class NoMatch(StructureError):
    """The rule does not stand where it should be applied."""


def written_at() -> str:
    """The file and line of the code that makes a move."""
    frame = sys._getframe(1)
    inside = (
        __name__,
        "vesalius.rewrite.interfaces",
        "vesalius.rewrite.finish",
        "vesalius.rewrite.lemma",
        None,
    )
    while frame.f_globals.get("__name__") in inside and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"


class Move(ABC):
    """One way to change a diagram.

    `doc` says in symbols what it does, `source` is the file and line where that is written.
    """

    doc: str
    source: str

    @property
    @abstractmethod
    def name(self) -> str:
        """What the step is called."""

    @property
    def name_backwards(self) -> str:
        """What the step is called when it is read backwards."""
        return f"{self.name}, backwards"

    @abstractmethod
    def apply(self, before: Diagram) -> Diagram:
        """The diagram after the step. Raises `NoMatch` or another `VesaliusError`."""

    @abstractmethod
    def grade(self, before: Diagram) -> Grade:
        """What the step promises there, for the whole diagram."""

    def grade_backwards(self, before: Diagram) -> Grade:
        """What the step promises when it is read from its result to `before`."""
        return self.grade(before).inverse()


@dataclass(frozen=True)
class Rewrite(Move):
    """A rule at its match number `place`, in the order in which matching finds them.

    `sizes` are those that the right side brings, where they are chosen. `lipschitz` states by how
    much the boxes between the place and the outputs may enlarge a difference; it is needed only
    to carry the bound of a rule that approximates.
    """

    rule: Rule | Schema
    place: int = 0
    sizes: Mapping[str, Size] = field(default_factory=dict)
    lipschitz: float | None = None

    def __post_init__(self) -> None:
        _read_sizes(self)
        if self.place < 0:
            raise FormatError(f"the place of {self.rule.name} counts from 0, not {self.place}")
        if self.lipschitz is not None and not self.lipschitz >= 0:
            raise FormatError(f"a Lipschitz constant is at least 0, not {self.lipschitz}")

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name

    @property
    def doc(self) -> str:  # type: ignore[override]
        """The rule in symbols."""
        return self.rule.doc

    @property
    def source(self) -> str:  # type: ignore[override]
        """Where the rule is defined."""
        return self.rule.source

    def match(self, before: Diagram) -> Match:
        """The match that this move is about. Raises `NoMatch`."""
        found = next(islice(matches(self.rule, before), self.place, None), None)
        if found is None:
            raise NoMatch(f"{self.rule.name} has no match number {self.place} in {before.name}")
        return found.choose(**self.sizes)

    def applied(self, before: Diagram) -> Applied:
        """The diagram with the match rewritten, and what became of everything."""
        return rewrite(before, self.match(before))

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with the match rewritten."""
        return self.applied(before).diagram

    def grade(self, before: Diagram) -> Grade:
        """What the rule promises, in the context where it stands."""
        if self.rule.grade == EQUAL:
            return EQUAL
        return self.rule.grade.within(surroundings(self.match(before), self.lipschitz))


@dataclass(frozen=True)
class Fill(Move):
    """Put diagrams into learners, by name: a network may be any function, so also this one.

    A learner is a hole for all functions of its type, so the functions that remain are among
    those before: the step reduces, whatever the diagrams. Read backwards it abstracts parts of
    a diagram into learners, and generalises. Nothing follows for networks of a fixed size.
    """

    bodies: Mapping[str, Diagram]
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    def __post_init__(self) -> None:
        if not self.bodies:
            raise FormatError("fill: no learner is given")

    @property
    def name(self) -> str:
        """`fill` and the learners."""
        return f"fill {', '.join(self.bodies)}"

    @property
    def name_backwards(self) -> str:
        """`abstract` and the learners."""
        return f"abstract {', '.join(self.bodies)}"

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with the learners filled."""
        return before.fill(**self.bodies)

    def grade(self, before: Diagram) -> Grade:
        """`reduces`: a learner is filled at all its places at once."""
        return GRADES["reduces"]


@dataclass(frozen=True)
class Restrict(Move):
    """Read one input in the place of another: `Restrict("y", "x", {"m": "n"})` sets y[m] := x[n].

    The diagram after has one input less. Its functions are those of the diagram before at equal
    arguments, so the step reduces on the inputs that remain; parameters stay what they are.
    """

    input: str
    by: str
    axes: Mapping[str, str] = field(default_factory=dict)
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    @property
    def name(self) -> str:
        """The substitution in symbols."""
        return f"{self.input} := {self.by}"

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with `by` read where `input` was."""
        sized = before.substitute(**self._sizes(before))
        types = {name: t for name, t in sized.input_types.items() if name != self.input}
        builder, inputs = start(sized.name, sized.doc, types.items())
        own = dict(zip(types, inputs, strict=True))
        uses = []
        for port in sized.inputs:
            wire = own[self.by if port.name == self.input else port.name]
            names = wire.names
            if port.name == self.input:
                back = {new: old for old, new in self._renamed(port.axes).items()}
                names = tuple(back[name] for name in names)
            uses.append((wire.id, tuple(port.axes.index(name) for name in names)))
        return finish_as(builder, sized, builder.graft(sized, uses, replace=same_tokens(sized)), ())

    def grade(self, before: Diagram) -> Grade:
        """`reduces`, on the inputs that remain."""
        return GRADES["reduces"]

    def _renamed(self, axes: tuple[str, ...]) -> dict[str, str]:
        for name in self.axes:
            if name not in axes:
                raise AxisError(f"{self.name}: {self.input!r} has no axis {name!r}, it has {axes}")
        return {axis: self.axes.get(axis, axis) for axis in axes}

    def _sizes(self, before: Diagram) -> dict[str, Size]:
        """The sizes for which both inputs have one type."""
        known = before.input_types
        for name in (self.input, self.by):
            if name not in known:
                raise StructureError(f"{before.name} has no input {name!r}, it has {list(known)}")
        if self.input == self.by:
            raise StructureError(f"{self.name} replaces an input by itself")
        gone, kept = known[self.input], known[self.by]
        names = self._renamed(tuple(gone))
        renamed = ArrayType({names[a]: length for a, length in gone.axes.items()}, gone.dtype)
        if set(renamed) != set(kept) or gone.dtype != kept.dtype or len(renamed) < len(gone):
            raise TypeClash(
                f"{self.name}: {self.by} is {kept}, {self.input} is {gone}; say which axis is which"
            )
        sizes = {
            length.variable: kept.axes[axis]
            for axis, length in renamed.axes.items()
            if length.variable is not None and length != kept.axes[axis]
        }
        for axis, length in renamed.axes.items():
            if length.substitute(sizes) != kept.axes[axis].substitute(sizes):
                raise SizeError(
                    f"{self.name}: {axis!r} has size {length} in {self.input} and "
                    f"{kept.axes[axis]} in {self.by}"
                )
        return sizes


@dataclass(frozen=True)
class Choose(Move):
    """Choose sizes: `Choose({"r": "2*c"})`. What held for all sizes holds for these."""

    sizes: Mapping[str, SizeLike]
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    def __post_init__(self) -> None:
        _read_sizes(self)
        if not self.sizes:
            raise FormatError("choose: no size is given")

    @property
    def name(self) -> str:
        """The sizes, as `r = c`."""
        return ", ".join(f"{name} = {value}" for name, value in self.sizes.items())

    def apply(self, before: Diagram) -> Diagram:
        """The diagram at these sizes."""
        return before.substitute(**self.sizes)

    def grade(self, before: Diagram) -> Grade:
        """`equal`: the same diagram, at these sizes."""
        return EQUAL

    def grade_backwards(self, before: Diagram) -> Grade:
        """`variant`: what holds at these sizes need not hold at others."""
        return VARIANT


@dataclass(frozen=True)
class Unfold(Move):
    """Open the named boxes called `box`, or all of them; read backwards it folds."""

    box: str = ""
    doc: str = ""
    source: str = field(default_factory=written_at, compare=False)

    @property
    def name(self) -> str:
        """`unfold` and the name of the box."""
        return f"unfold {self.box}".rstrip()

    @property
    def name_backwards(self) -> str:
        """`fold` and the name of the box."""
        return f"fold {self.box}".rstrip()

    def apply(self, before: Diagram) -> Diagram:
        """The diagram with the boxes open."""
        after = before.unfold(self.box or None)
        if after is before:
            raise NoMatch(f"{before.name} has no named box {self.box!r}".replace(" ''", ""))
        return after

    def grade(self, before: Diagram) -> Grade:
        """`equal`: a named box is what it holds."""
        return EQUAL


def _read_sizes(move: Rewrite | Choose) -> None:
    read = {name: size(value) for name, value in move.sizes.items()}
    object.__setattr__(move, "sizes", read)


def places(
    rule: Rule | Schema, before: Diagram, sizes: Mapping[str, SizeLike] | None = None
) -> Iterator[tuple[Rewrite, Diagram]]:
    """The moves that a rule allows, each with its result."""
    chosen = {name: size(value) for name, value in (sizes or {}).items()}
    for k, match in enumerate(matches(rule, before)):
        yield Rewrite(rule, k, chosen), apply(before, match.choose(**chosen))
