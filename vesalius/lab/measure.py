"""What a machine does in a second, what a diagram should take on it, and what its module takes.

The prediction is the simplest that can be wrong in an instructive way: each box costs a call, each
product, each value of a function and each byte moved costs its share, and nothing overlaps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from vesalius.diagrams.cost import CostNumbers
from vesalius.diagrams.graph import Diagram

MOVES = frozenset(
    {"add", "compare", "negate", "abs", "sign", "relu", "leaky_relu", "floor", "where", "equal"}
    | {"less", "less_equal", "maximum", "minimum", "logical_and", "logical_or", "logical_not"}
)
"""Operations that take no longer than moving the numbers does."""


@dataclass(frozen=True)
class Machine:
    """How much a machine does in a second, on arrays that fit its caches; `call` is in seconds.

    `products` are multiplications and additions of contractions, `functions` are values of
    functions such as exp.
    """

    products: float
    functions: float
    bytes: float
    call: float
    threads: int

    def predict(self, cost: CostNumbers, boxes: int) -> float:
        """Seconds for a diagram of this cost and so many boxes."""
        products = cost.operations.get("multiply-add", 0)
        functions = sum(
            count
            for kind, count in cost.operations.items()
            if kind != "multiply-add" and kind not in MOVES
        )
        return (
            boxes * self.call
            + products / self.products
            + functions / self.functions
            + cost.bytes_moved / self.bytes
        )


def calibrate() -> Machine:
    """Measure this machine, in about a second."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(32, 64, 96, generator=generator)
    right = torch.randn(32, 96, 64, generator=generator)
    flat = torch.randn(1 << 18, generator=generator)
    one = torch.ones(1)
    return Machine(
        products=2 * 32 * 64 * 96 * 64 / seconds(lambda: torch.bmm(left, right)),
        functions=flat.numel() / seconds(lambda: torch.exp(flat)),
        bytes=12 * flat.numel() / seconds(lambda: torch.add(flat, flat)),
        call=seconds(lambda: torch.add(one, one)),
        threads=torch.get_num_threads(),
    )


@torch.no_grad()
def seconds(run: Callable[[], Any], budget: float = 0.2) -> float:
    """The median time of a call: warmed up, repeated for `budget` seconds and 5 times at least."""
    run()
    taken: list[float] = []
    end = time.perf_counter() + budget
    while len(taken) < 5 or (time.perf_counter() < end and len(taken) < 10_000):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return median(taken)


def difference(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference, divided by one plus the largest value of `other`.

    Infinite where the shapes differ or where either has an entry that is not finite.
    """
    one, other = one.double(), other.double()
    if one.shape != other.shape or not (one.isfinite().all() and other.isfinite().all()):
        return float("inf")
    if one.numel() == 0:
        return 0.0
    return float((one - other).abs().max() / (1 + other.abs().max()))


@dataclass(frozen=True)
class Agreement:
    """How far a compiled module is from the reference, in float64 and in float32."""

    double: float
    single: float

    MOST_DOUBLE = 1e-9
    MOST_SINGLE = 1e-4

    @property
    def holds(self) -> bool:
        """Whether both are within rounding."""
        return self.double <= self.MOST_DOUBLE and self.single <= self.MOST_SINGLE


@torch.no_grad()
def agreement(
    diagram: Diagram,
    double: torch.nn.Module,
    single: torch.nn.Module,
    inputs: Sequence[Tensor],
) -> Agreement:
    """Compare two modules of a diagram, with one set of weights, with its float64 reference."""
    weights = single.state_dict()
    double.load_state_dict(weights)
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    narrow = [x.float() if x.is_floating_point() else x for x in inputs]
    wanted = diagram.evaluate(*wide, parameters={k: v.double() for k, v in weights.items()})
    return Agreement(difference(double(*wide), wanted), difference(single(*narrow), wanted))
