"""What softmax attention serves: what is prepared reads a token, and what is handed on, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning import evaluate
from vesalius.inspect.perturb import arrays_at
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.interfaces import Prepare

NEIGHBOURS = {"rwkv": 2}
"""Mechanisms whose preparation makes more than one token of one: maps of it and the one before."""


def _promised() -> Iterator[tuple[str, str, Diagram]]:
    """What is made of inputs on the chains that promise, by the mechanism and the input."""
    for name, chain in vs.taxonomy.reached().promised.items():
        for step in chain:
            if isinstance(step.move, Prepare):
                for made, body in step.move.bodies.items():
                    if body.inputs:
                        yield name, made, body


@pytest.mark.parametrize(
    ("name", "body"), [pytest.param(n, b, id=f"{n}-{made}") for n, made, b in _promised()]
)
def test_what_is_prepared_reads_one_token(name: str, body: Diagram) -> None:
    """Else a preparation could do all that attention does. A token changes its own place alone."""
    known = {"n": 6, "m": 6, "p": 8, "d": 8, "w": 3, "k": 3}
    sizes = {size: known.get(size, 4) for size in body.size_variables}
    parameters = arrays_at(body.parameters, sizes, 1)
    (made,) = body.output_types.values()
    tokens = [axis for axis in made.axes if axis in ("n", "m")]

    def at(values: list[torch.Tensor]) -> torch.Tensor:
        found = evaluate(body, *values, parameters=parameters, sizes=sizes)
        assert isinstance(found, torch.Tensor)
        own = body.outputs[0].axes
        along = [own.index(axis) for axis in tokens]
        rest = [k for k in range(found.dim()) if k not in along]
        return found.permute(*along, *rest).unsqueeze(-1).flatten(len(along)).double()

    read = arrays_at(body.input_types, sizes, 2)
    for one, type_ in body.input_types.items():
        for axis in (axis for axis in type_.axes if axis in ("n", "m")):
            dim = body.inputs[list(body.input_types).index(one)].axes.index(axis)
            for k in range(read[one].shape[dim]):
                other = {**read, one: read[one].clone()}
                part = other[one].select(dim, k)
                part.copy_(~part if part.dtype == torch.bool else part + 1)
                gap = at(list(read.values())).ne(at(list(other.values()))).any(-1)
                changed = gap.nonzero().T[tokens.index(axis) if len(tokens) > 1 else 0]
                assert changed.unique().numel() <= NEIGHBOURS.get(name, 1)


def test_what_is_handed_on_reads_one_token_and_no_axis_of_them() -> None:
    moves = [
        (name, step.move)
        for name, chain in vs.taxonomy.reached().promised.items()
        for step in chain
        if isinstance(step.move, Finish)
    ]
    assert len(moves) > 10
    for name, move in moves:
        types = [*move.body.input_types.values(), *move.body.output_types.values()]
        assert move.over == "n", name
        assert not {"n", "m"} & {axis for type_ in types for axis in type_.axes}, name
