"""Trained weights travel: parameters carried along a derivation through the witnesses of its steps.

    state = derivation.transport(module.state_dict())
    vs.to_torch(derivation.end).load_state_dict(state)

Where a step is `equal`, parameters stay what they are. Where it is not, its witness says what the
parameters of one side are, given those of the other. A rule is applied under the tubes of a
parameter (its heads, say) one by one. A step without a witness in the direction of travel
is refused: nothing says what its new parameters are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Parameter
from vesalius.diagrams.builder import Label
from vesalius.diagrams.equality import identified
from vesalius.diagrams.errors import SizeError, StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.evaluate import infer_sizes
from vesalius.rewrite.apply import Image
from vesalius.rewrite.derivation import Derivation, Step
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.interfaces import Prepare, Tie
from vesalius.rewrite.moves import Fill, Rewrite

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]


class NoWitness(StructureError):
    """Nothing says what the parameters of the other side are."""


def transport(
    derivation: Derivation, state: State, *, sizes: Mapping[str, int] | None = None
) -> dict[str, torch.Tensor]:
    """The parameters of the end for which it computes what the start does with `state`.

    That is so through every step that is `equal`, `reparametrised` or `generalises`; through a
    limit or an approximation outputs change as the step says. Backwards, take
    `derivation.inverse()`. `state` names tensors as `derivation.start.parameters` does;
    further entries are the parameters of what a step fills in. `sizes` gives size variables that
    no parameter determines.

    Raises `NoWitness` where a step does not say what its new parameters are, `StructureError` for
    a parameter that is missing, `SizeError` for one of another shape.
    """
    known = dict(state)
    for name in derivation.start.parameters:
        if name not in known:
            raise StructureError(f"transport: the parameter {name!r} is missing")
    here = derivation.start
    lengths = dict(sizes or {})
    for number, step in enumerate(derivation.steps, 1):
        known = _renamed(known, here, step.before)
        _measure(step.before, known, lengths)
        try:
            known = _carried(step, known, lengths)
        except NoWitness as problem:
            reason = str(problem).split("\n")[0]
            raise NoWitness(f"step {number}, {step.name} ({step.grade}): {reason}") from None
        here = step.after
    known = _renamed(known, here, derivation.end)
    _measure(derivation.end, known, lengths)
    return {name: known[name] for name in derivation.end.parameters}


def _measure(diagram: Diagram, state: State, lengths: dict[str, int]) -> None:
    """Learn sizes from the shapes of parameters; raises `SizeError` where they do not fit."""
    shapes = [
        (name, tuple(type_.axes.values()), tuple(state[name].shape))
        for name, type_ in diagram.parameters.items()
        if name in state
    ]
    infer_sizes(diagram.name, shapes, lengths)


def _renamed(state: State, here: Diagram, there: Diagram) -> dict[str, torch.Tensor]:
    """The state by the names of an equal diagram, where those differ."""
    if here is there or here.parameters.keys() == there.parameters.keys():
        return dict(state)
    pairing = identified(here, there)
    assert pairing is not None, "the diagrams between steps are equal"
    names = {old.name: new.name for new, old in pairing.items()}
    return {names.get(name, name): value for name, value in state.items()}


def _carried(step: Step, state: State, lengths: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """The state after a step; what no diagram needs any more stays in it."""
    known = dict(state)
    if isinstance(step.move, Rewrite):
        source, result = (step.before, step.after)[:: -1 if step.backwards else 1]
        applied = step.move.applied(source)
        exchange = _Exchange(applied.images[0], applied.diagram)
        if step.backwards:
            known = exchange.to_left(_renamed(state, result, applied.diagram), lengths)
        else:
            known = _renamed(exchange.to_right(state, lengths), applied.diagram, result)
    if isinstance(step.move, Prepare):
        fixed = step.move.fixed(step.after if step.backwards else step.before)
        if fixed and not step.backwards:
            names = ", ".join(repr(name) for name in fixed)
            raise NoWitness(f"nothing says that {names} has the value at which it is fixed")
        types = (step.after if step.backwards else step.before).parameters
        for name, body in fixed.items():
            known[name] = _value(body, list(types[name]), known, lengths)
    if isinstance(step.move, Tie):
        if not step.backwards:
            names = ", ".join(f"{one!r} and {kept!r}" for one, kept in step.move.names.items())
            raise NoWitness(f"nothing says that {names} are equal")
        known |= {one: known[kept] for one, kept in step.move.names.items()}
    missing = [name for name in step.after.parameters if name not in known]
    if missing and isinstance(step.move, Fill | Finish) and not step.backwards:
        names = ", ".join(repr(name) for name in missing)
        raise NoWitness(f"nothing says what the parameters of the body are; hand in {names}")
    for name in missing:
        known[name] = _zeros(step.after, name, known, lengths)
    return known


def _value(
    body: Diagram, axes: Sequence[str], state: State, lengths: Mapping[str, int]
) -> torch.Tensor:
    """What a diagram without inputs is, at these sizes and parameters, its axes in this order."""
    import torch

    sizes = {name: lengths[name] for name in body.size_variables}
    own = {name: state[name] for name in body.parameters}
    value = torch.as_tensor(body.evaluate(sizes=sizes, parameters=own))
    value = value.permute([body.outputs[0].axes.index(axis) for axis in axes])
    like = next(iter(state.values()), None)
    return value if like is None else value.to(like.dtype)


def _zeros(diagram: Diagram, name: str, state: State, lengths: Mapping[str, int]) -> torch.Tensor:
    """The value of a parameter that a step brings and on which, as it promises, nothing depends."""
    import torch

    shape = [length.at(dict(lengths)) for length in diagram.parameters[name].axes.values()]
    like = next(iter(state.values()), None)
    return torch.zeros(shape, dtype=None if like is None else like.dtype)


class _Exchange:
    """The parameters of both sides of a match, by their names in the rule.

    A parameter that the right side names in a `like` alone, for its axes, is gone in the result.
    """

    def __init__(self, image: Image, result: Diagram) -> None:
        self.image = image
        self.rule = image.match.rule
        match = image.match
        self.left = {
            name: (match.parameters[name], match.sources[name][1]) for name in match.parameters
        }
        self.right: dict[str, tuple[str, Sequence[Label]]] = {}
        for token, node in self.rule.right.tokens:
            if isinstance(token, Parameter) and image.names[token.name] in result.parameters:
                name = token.name
                labels = self.left[name][1] if name in self.left else self._new(name, node.box.new)
                self.right[name] = image.names[name], labels

    def _new(self, name: str, own: Sequence[Any]) -> Sequence[Label]:
        """The axes of a new parameter: the tubes of those that it replaces, then its own."""
        tubes: dict[Label, None] = {}
        for old in self.rule.replaces.get(name, ()):
            tubes.update(
                {x: None for x in self.image.match.sources[old][1] if not isinstance(x, int)}
            )
        return (*tubes, *range(len(own)))

    def to_right(self, state: State, lengths: Mapping[str, int]) -> dict[str, torch.Tensor]:
        """The state after the match is rewritten."""
        new = [name for name in self.right if name not in self.left]
        witness = self.rule.witness
        mapping = None if witness is None else witness.to_right
        return self._mapped(state, lengths, self.left, self.right, new, mapping)

    def to_left(self, state: State, lengths: Mapping[str, int]) -> dict[str, torch.Tensor]:
        """The state before the match was rewritten."""
        gone = [name for name in self.left if name not in self.right]
        if self.rule.grade.same:
            return dict(state)  # what is gone is arbitrary
        witness = self.rule.witness
        mapping = None if witness is None else witness.to_left
        return self._mapped(state, lengths, self.right, self.left, gone, mapping)

    def _mapped(
        self,
        state: State,
        lengths: Mapping[str, int],
        given: Mapping[str, tuple[str, Sequence[Label]]],
        wanted: Mapping[str, tuple[str, Sequence[Label]]],
        new: Sequence[str],
        mapping: Any,
    ) -> dict[str, torch.Tensor]:
        import torch

        found = dict(state)
        if mapping is None:
            if new:
                names = ", ".join(repr(name) for name in new)
                raise NoWitness(f"no witness of {self.rule.name} says what {names} are")
            return found
        read = {name: (state[host].double(), labels) for name, (host, labels) in given.items()}
        spans: dict[Label, int] = {}
        for tensor, labels in read.values():
            for label, length in zip(labels, tensor.shape, strict=True):
                if not isinstance(label, int):
                    spans[label] = length
        made: dict[str, torch.Tensor] = {}
        for place in product(*map(range, spans.values())):
            at = dict(zip(spans, place, strict=True))
            here = {name: _fibre(tensor, labels, at) for name, (tensor, labels) in read.items()}
            for name, value in self._call(mapping, here, lengths).items():
                self._put(made, name, value, wanted[name][1], at, spans)
        for name in new:
            if name not in made:
                raise NoWitness(f"the witness of {self.rule.name} says nothing of {name!r}")
        dtype = next((state[host].dtype for host, _ in given.values()), None)
        for name, value in made.items():
            host = wanted[name][0]
            tied = host in self.image.match.shared and host in state
            if tied and not torch.allclose(state[host].double(), value):
                raise NoWitness(f"{host!r} would have to change, and is used elsewhere too")
            found[host] = value.to(dtype) if dtype is not None else value
        return found

    def _call(self, mapping: Any, read: State, lengths: Mapping[str, int]) -> Mapping[str, Any]:
        witness = self.rule.witness
        assert witness is not None
        sizes = {}
        for name, length in self.image.sizes.items():
            if length.variables <= lengths.keys():
                sizes[name] = length.at(dict(lengths))
        options = {}
        if witness.scales:
            width = sizes.get(witness.width) if witness.width else None
            options = {"scale": witness.scales[-1] if width is None else width}
        try:
            made: Mapping[str, Any] = mapping(read, sizes, **options)
        except KeyError as missing:
            raise NoWitness(
                f"the witness of {self.rule.name} reads {missing}, which no parameter determines"
            ) from None
        return made

    def _put(
        self,
        made: dict[str, torch.Tensor],
        name: str,
        value: torch.Tensor,
        labels: Sequence[Label],
        at: Mapping[Label, int],
        spans: Mapping[Label, int],
    ) -> None:
        """Put what a witness made under one place of the tubes where it belongs."""
        import torch

        own = [label for label in labels if isinstance(label, int)]
        if len(own) != value.dim():
            raise SizeError(
                f"the witness of {self.rule.name} makes {name!r} with {value.dim()} dimensions; "
                f"it has {len(own)}"
            )
        first = name not in made
        if first:
            shape = [value.shape[x] if isinstance(x, int) else spans[x] for x in labels]
            made[name] = torch.empty(shape, dtype=value.dtype)
        fibre = _fibre(made[name], labels, at)
        tubes = [label for label in labels if not isinstance(label, int)]
        if len(tubes) < len(spans) and any(at[x] for x in spans if x not in tubes):
            if not torch.allclose(fibre, value):
                raise NoWitness(f"the witness gives another {name!r} at each place of a tube")
            return
        fibre.copy_(value)


def _fibre(tensor: torch.Tensor, labels: Sequence[Label], at: Mapping[Label, int]) -> torch.Tensor:
    """A parameter at one place of its tubes, as the rule reads it: a view."""
    for dim in reversed(range(len(labels))):
        if not isinstance(labels[dim], int):
            tensor = tensor.select(dim, at[labels[dim]])
    own = [label for label in labels if isinstance(label, int)]
    return tensor.permute([own.index(k) for k in range(len(own))])
