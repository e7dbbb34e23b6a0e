"""A match: where the left side of a rule stands in a diagram, and what it promises there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from vesalius.diagrams.box import Hole, Parameter, Token
from vesalius.diagrams.builder import Use
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.rewrite.assign import Binding
from vesalius.rewrite.axes import End, Shape
from vesalius.rewrite.context import surroundings, used_elsewhere
from vesalius.rewrite.grade import Grade
from vesalius.rewrite.rule import Rule


class Tube(NamedTuple):
    """The label of a tube of a match: a place that it runs through. `name` is for people."""

    place: tuple[int, int]
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tube) and self.place == other.place

    def __hash__(self) -> int:
        return hash(self.place)

    def __str__(self) -> str:
        return self.name


class Match:
    """Where a rule's left side stands in `host`.

    `nodes` sends pattern nodes to host nodes. `sizes` are those that the size variables of the
    rule stand for, `functions` what stands for its stand-ins (a function with its numbers),
    `tokens` the host's parameters, random sources and learners for those of the left side.
    """

    def __init__(
        self,
        rule: Rule,
        host: Diagram,
        nodes: Mapping[int, int],
        shape: Shape,
        binding: Binding,
    ) -> None:
        self.rule = rule
        self.host = host
        self.nodes = nodes
        self.shape = shape
        self.binding = binding

    @property
    def sizes(self) -> Mapping[str, Size]:
        """The sizes that the size variables of the rule stand for."""
        return self.binding.sizes

    @property
    def functions(self) -> Mapping[str, Any]:
        """The function, with its numbers, for each stand-in."""
        return self.binding.functions

    @property
    def tokens(self) -> Mapping[Token, Token]:
        """The host's identities for those of the left side."""
        return self.binding.tokens

    # -- the boundary -------------------------------------------------------------------------

    @cached_property
    def ends(self) -> tuple[tuple[Use, ...], ...]:
        """The uses for each variable of the pattern: its inputs, then its sources."""
        return tuple([tuple([self._use(end) for end in row]) for row in self.shape.ends])

    @property
    def inputs(self) -> tuple[tuple[Use, ...], ...]:
        """The uses for each input: one, or any number for a `many`.

        A use is a host wire and a label for each of its slots: an int for a slot of the input's
        type, a `Tube` for a tube.
        """
        return self.ends[: len(self.rule.left.inputs)]

    @property
    def sources(self) -> dict[str, Use]:
        """The use for each parameter and random source of the left side, by name."""
        variables = self.rule.pattern.variables
        return {
            variable.name: uses[0]
            for variable, uses in zip(variables, self.ends, strict=True)
            if variable.token is not None
        }

    @cached_property
    def outputs(self) -> tuple[Use, ...]:
        """The host wire of each output; an int in its labels is a place among the axes there."""
        found = []
        for end, port in zip(self.shape.outputs, self.rule.left.outputs, strict=True):
            if end.node >= 0:
                found.append(self._use(end, self._wire(end)))
                continue
            ((wire, labels),) = self.ends[-1 - end.node]
            places = [port.slots.index(x) if isinstance(x, int) else x for x in labels]
            found.append((wire, tuple(places)))
        return tuple(found)

    def _wire(self, output: End) -> int:
        return self.host.nodes[self.nodes[output.node]].first + output.port

    def _use(self, end: End, wire: int | None = None) -> Use:
        if wire is None:
            wire = end.port if end.node < 0 else self.read(end)
        labels = end.labels
        if all(type(label) is int for label in labels):
            return wire, labels
        names = self.host.hints[wire]
        return wire, tuple(
            [x if isinstance(x, int) else Tube(x, n) for x, n in zip(labels, names, strict=True)]
        )

    @cached_property
    def reads(self) -> list[int]:
        """The host wires at the boundary, each once."""
        return list(dict.fromkeys([wire for row in self.ends for wire, _ in row]))

    def replaced(self) -> list[int]:
        """The host wires of the outputs."""
        return [
            self._wire(end) if end.node >= 0 else self.ends[-1 - end.node][0][0]
            for end in self.shape.outputs
        ]

    def read(self, end: End) -> int:
        """The host wire that is read at a place."""
        return self.host.nodes[self.nodes[end.node]].src[end.port]

    # -- what a rule may do with it -----------------------------------------------------------

    @property
    def parameters(self) -> dict[str, str]:
        """The host's parameter for each parameter of the left side, by name."""
        return self._named(Parameter)

    @property
    def learners(self) -> dict[str, str]:
        """The host's learner for each learner of the left side, by name."""
        return self._named(Hole)

    def _named(self, kind: type) -> dict[str, str]:
        return {a.name: b.name for a, b in self.tokens.items() if isinstance(a, kind)}

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the host's parameters and learners that are used outside this match too."""
        return used_elsewhere(self)

    @property
    def grade(self) -> Grade:
        """What the step promises here: see `vesalius.rewrite.context`."""
        return self.rule.grade.within(surroundings(self))

    def choose(self, **sizes: SizeLike) -> Match:
        """This match with values for sizes that the right side brings (`rule.free`)."""
        for name in sizes:
            if name not in self.rule.free:
                raise SizeError(f"{self.rule.name}: the size {name!r} is not to be chosen")
        chosen = {**self.sizes, **{n: size(v) for n, v in sizes.items()}}
        binding = self.binding._replace(sizes=chosen)
        return Match(self.rule, self.host, self.nodes, self.shape, binding)

    def __repr__(self) -> str:
        return f"<match of {self.rule.name} at {sorted(self.nodes.values())}>"
