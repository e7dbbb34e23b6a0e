"""Witnesses: maps of parameters that show what a grade other than `equal` promises.

    Witness(to_left=lambda p, sizes: {"wk": p["wk"].expand(sizes["h"], -1, -1)})

says that whatever the right side computes with its parameters, the left side computes with
those: the right side's functions are among the left side's (`reduces`). `generalises` needs
`to_right`, `reparametrised` both. For `limit` the map takes a third argument, `scale`, which
runs through `scales`, and the error must fall along them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vesalius.diagrams.graph import Diagram

ParameterMap = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Witness:
    """Maps between the parameters of two sides, by name.

    A map is called with the parameters of one side (tensors in float64, dimensions in the order
    of their types) and with `sizes`, by variable; it returns parameters of the other, which have
    to serve at all inputs. What it leaves out stays as it is. `fill` says what stands in
    learners. `width` names a size variable that takes the values of `scales`.
    """

    to_left: ParameterMap | None = None
    to_right: ParameterMap | None = None
    fill: Mapping[str, Diagram] = field(default_factory=dict)
    scales: tuple[float, ...] = ()
    width: str = ""

    def inverse(self) -> Witness:
        """The same maps for the sides exchanged."""
        return replace(self, to_left=self.to_right, to_right=self.to_left)


def zeros(*shape: int) -> torch.Tensor:
    """Zeros of the type in which witnesses compute."""
    import torch

    return torch.zeros(shape, dtype=torch.float64)


def identity(size: int) -> torch.Tensor:
    """An identity matrix of the type in which witnesses compute."""
    import torch

    return torch.eye(size, dtype=torch.float64)
