"""How far a compiled module is from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vesalius.diagrams.graph import Diagram
from vesalius.inspect.machine import Machine, calibrate, seconds

__all__ = ["Agreement", "Machine", "agreement", "calibrate", "difference", "seconds"]


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
