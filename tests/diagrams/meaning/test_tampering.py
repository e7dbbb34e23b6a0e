"""Whatever box of a diagram is tampered with, the field and float64 give one verdict."""

from collections.abc import Callable
from typing import Any

import torch
from identities import PROPER, TRUE, build, drawn

from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.field import FieldAlgebra
from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra
from vesalius.diagrams.names import sizes_of


def tampered(base: type, place: int, change: Callable[[Any, Any], Any]) -> Any:
    """An algebra in which one operation, the `place`-th of a run, gives a changed result."""

    class Tampered(base):  # type: ignore[misc]
        def begin(self, *arguments: Any) -> None:
            super().begin(*arguments)
            self.count = -1

        def _made(self, result: Any) -> Any:
            self.count += 1
            return change(self, result) if self.count == place else result

        def add(self, *arguments: Any) -> Any:
            return self._made(super().add(*arguments))

        def contract(self, *arguments: Any) -> Any:
            return self._made(super().contract(*arguments))

        def softmax(self, *arguments: Any) -> Any:
            return self._made(super().softmax(*arguments))

        def pointwise(self, *arguments: Any) -> Any:
            return self._made(super().pointwise(*arguments))

    return Tampered()


def _number(algebra: Any, value: int) -> Any:
    if isinstance(algebra, TorchAlgebra):
        return torch.tensor(float(value), dtype=torch.float64)
    return algebra.array(value, "float")


def _plus(algebra: Any, x: Any, value: Any) -> Any:
    return x + value if isinstance(algebra, TorchAlgebra) else algebra.plus(x, value)


def _times(algebra: Any, x: Any, value: Any) -> Any:
    return x * value if isinstance(algebra, TorchAlgebra) else algebra.times(x, value)


CHANGES = {
    "tripled": lambda a, x: _times(a, x, _number(a, 3)),
    "negated": lambda a, x: _times(a, x, _number(a, -1)),
    "shifted": lambda a, x: _plus(a, x, _number(a, 1)),
    "squared": lambda a, x: _times(a, x, x),
}
# What the field decides about these holds for the functions themselves: none is unspecified.
SPECIFIED = [
    "linear attention reassociates",
    "a scale moves into q",
    "softmax ignores a bias of keys",
    "query and key weights merge",
    "normalisation is delayed",
    "split attention merges",
    "a value bias leaves a stochastic mix",
    "an additive score without tanh forgets its query",
    "a quotient of exponentials",
    "the sigmoid is rational in exp",
    "heads are cut and joined",
]


def operations(diagram: Diagram, inputs: list[Any], sizes: dict[str, int]) -> int:
    """How many operations of a run could be tampered with."""
    algebra = tampered(TorchAlgebra, -2, lambda a, x: x)
    diagram.evaluate(*inputs, algebra=algebra, sizes=sizes_of(diagram, sizes))
    return algebra.count + 1


def close(x: torch.Tensor, y: torch.Tensor) -> bool:
    return torch.allclose(x, y, rtol=1e-7, atol=1e-9)


def test_field_and_float64_give_one_verdict_on_tampered_diagrams():
    sizes = PROPER[0]
    generator = torch.Generator().manual_seed(0)
    accepted = rejected = 0
    for name in SPECIFIED:
        signature, *sides = TRUE[name]
        left, right = (build(signature, side) for side in sides)
        shapes = [
            [size.at(sizes) for size in type_.axes.values()] for type_ in left.input_types.values()
        ]
        real = [0.3 + torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes]
        ours, theirs = sizes_of(left, sizes), sizes_of(right, sizes)
        expected = left.evaluate(*real, sizes=ours)
        assert close(expected, right.evaluate(*real, sizes=theirs))
        for change in CHANGES.values():
            for place in range(operations(right, real, sizes)):
                wrong = tampered(TorchAlgebra, place, change)
                answer = right.evaluate(*real, algebra=wrong, sizes=theirs)
                algebra = tampered(FieldAlgebra, place, change)
                inputs = drawn(left, sizes, seed=place)
                reference = left.evaluate(*inputs, algebra="field", sizes=ours, seed=place)
                result = right.evaluate(*inputs, algebra=algebra, sizes=theirs, seed=place)
                same = algebra.same(result, reference)
                assert same == close(answer, expected), (name, place)
                accepted, rejected = accepted + same, rejected + (not same)
    assert rejected > 150
    assert accepted > 5  # such as a shift of the scores, which softmax ignores
