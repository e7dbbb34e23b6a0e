"""The mechanisms that a tour shows: built, compiled, checked, costed, timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vesalius.anatomy import CATALOGUE, Mechanism
from vesalius.compile.module import DiagramModule, to_torch
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size
from vesalius.inspect.machine import calls
from vesalius.lab import measure

# Mechanisms that come in a causal form and are used in it are shown in both.
CHOSEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bahdanau", {}),
    ("luong_dot", {}),
    ("luong_general", {}),
    ("scaled_dot_product", {}),
    ("multihead", {}),
    ("multihead", {"causal": True}),
    ("multihead_cross", {}),
    ("linear", {}),
    ("linear", {"causal": True}),
    ("block", {"norm": "post"}),
    ("block", {"causal": True}),
    ("encoder", {"layers": 2}),
)
ROWS = 8
"""How many passages are read at once when a mechanism is checked and timed."""


@dataclass
class Exhibit:
    """A mechanism with its options, in symbols and at the sizes of the tour, and its modules."""

    mechanism: Mechanism
    options: Mapping[str, Any]
    symbolic: Diagram
    diagram: Diagram
    single: DiagramModule
    double: DiagramModule
    checks: dict[str, measure.Agreement] = field(default_factory=dict)
    seconds: float = 0.0
    predicted: float = 0.0

    @property
    def label(self) -> str:
        """The name and the options that differ from the defaults."""
        return " ".join([self.mechanism.name, *written(self.options)])

    @property
    def boxes(self) -> int:
        """How many boxes compute something, with all named boxes open."""
        return calls(self.diagram, {})

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.single.parameters())

    @property
    def flops(self) -> Size:
        """Floating-point operations for one passage, in the sizes of the mechanism."""
        return self.symbolic.cost().flops

    @property
    def leading(self) -> Size:
        """The terms of `flops` that grow fastest with the number of positions, keys as queries.

        Of those, the ones of highest degree: the products, not what goes with them.
        """
        grown = self.flops.substitute({"m": "n"}).leading("n")
        degrees = [sum(power for _, power in monomial) for monomial, _ in grown.terms]
        terms = zip(grown.terms, degrees, strict=True)
        return Size(dict(term for term, degree in terms if degree == max(degrees)))

    def time(self, inputs: Sequence[Tensor], machine: measure.Machine) -> None:
        """Measure the module in float32 on these inputs, and predict what it should take."""
        self.seconds = measure.seconds(lambda: self.single(*inputs))
        ports = zip(self.diagram.input_types.values(), inputs, strict=True)
        sizes = {
            size.variable: length
            for type_, x in ports
            for size, length in zip(type_.axes.values(), x.shape, strict=True)
            if size.variable is not None
        }
        self.predicted = machine.predict(
            self.diagram.cost().at(**sizes), calls(self.diagram, sizes)
        )

    def check(self, on: str, inputs: Sequence[Tensor]) -> measure.Agreement:
        """Compare the modules with the reference on these inputs, and remember it as `on`."""
        found = measure.agreement(self.diagram, self.double, self.single, inputs)
        self.checks[on] = found
        return found


def written(options: Mapping[str, Any]) -> list[str]:
    """Options as they are written after `--with`.

    >>> written({"causal": True, "layers": 2})
    ['causal', 'layers=2']
    """
    return [name if value is True else f"{name}={value}" for name, value in options.items()]


def exhibit(name: str, options: Mapping[str, Any], sizes: Mapping[str, int], seed: int) -> Exhibit:
    """Build and compile a mechanism, in a tube of passages `b`."""
    mechanism = CATALOGUE[name]
    symbolic = mechanism(**options)
    diagram = mechanism(**options, **sizes).over("b")
    return Exhibit(
        mechanism,
        options,
        symbolic,
        diagram,
        single=to_torch(diagram, dtype=torch.float32, seed=seed),
        double=to_torch(diagram, dtype=torch.float64, seed=seed),
    )


def sizes_for(name: str, options: Mapping[str, Any], width: int, heads: int) -> dict[str, int]:
    """The channels: all of one width, or what heads make of it."""
    variables = CATALOGUE[name](**options).size_variables
    if "h" in variables:
        return {"d": width, "h": heads}
    return {axis: width for axis in ("a", "c", "d", "e") if axis in variables}


class Activations:
    """What attention reads in the first block of a language model: normalised embeddings.

    `rows` are passages of the text, shape [passages, n]. Half of them play the queries, half the
    memory. Where a mechanism has one input, it reads the first half.
    """

    def __init__(self, weights: Mapping[str, Tensor], rows: Tensor) -> None:
        n = rows.shape[1]
        x = weights["token"][rows] + weights["position"][:n]
        gain, shift = weights["block.norm.gain"], weights["block.norm.shift"]
        self.queries, self.memory = F.layer_norm(x, x.shape[-1:], gain, shift).chunk(2)

    def inputs(self, diagram: Diagram) -> list[Tensor]:
        """An input for each port: the queries along `n`, the memory along `m`."""
        return [
            self.memory if "m" in type_.axes else self.queries
            for type_ in diagram.input_types.values()
        ]
