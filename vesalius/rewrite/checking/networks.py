"""Stand-ins for learners: a hole has no meaning, and what holds of any function holds of these.

Each is a fixed function without parameters that depends on every entry that the learner reads
and on the place in what it makes. Learners of one name, whatever box they stand in, get one.
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.box import Hole
from vesalius.diagrams.boxes.learner import LEARNER
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType


def with_networks(*sides: Diagram) -> tuple[Diagram, ...]:
    """The diagrams with every learner filled."""
    return tuple(
        side.fill(**{path: _network(path, hole) for path, hole in _holes(side)})
        if side.learners
        else side
        for side in sides
    )


def _holes(diagram: Diagram) -> Iterator[tuple[str, Hole]]:
    """The learners of a diagram by their paths, those inside boxes included."""
    for token, node in diagram.tokens:
        if not isinstance(token, Hole):
            continue
        if node.box.kind is LEARNER:
            yield token.name, token
            continue
        for path, hole in _holes(node.box["body"]):
            yield f"{token.name}.{path}", hole


def _network(path: str, hole: Hole) -> Diagram:
    """tanh(Σ_p Σ_i w_p(i)·x_p[i] + u(j)), with weights that differ from place to place."""
    key = 1 + crc32(path.rpartition(".")[2].encode()) % 89
    builder = Builder("network")
    types = [
        {axis: f"{axis}:in{p}_{k}" for k, axis in enumerate(axes)}
        for p, axes in enumerate(hole.ports)
    ]
    with builder:
        inputs = [builder.input(f"x{p}", " ".join(own.values())) for p, own in enumerate(types)]
        terms = []
        for p, (x, own) in enumerate(zip(inputs, types, strict=True)):
            places = [vs.iota(word) * (k + 1) for k, word in enumerate(own.values())]
            weight = vs.add(key + 3 * p, *places) / 7
            terms.append(vs.contract(x, weight, over=tuple(own)))
        into = {axis: f"{axis}:out{k}" for k, axis in enumerate(hole.into)}
        marks = [vs.iota(word) * (k + 2) for k, word in enumerate(into.values())]
        y = vs.tanh(vs.add(*terms, *marks, vs.constant(key) / 11))
        made = ArrayType.parse(" ".join(into.values()))
        return builder.finish([output_port(builder, "out", made, y)])
