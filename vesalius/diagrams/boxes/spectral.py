"""The discrete Fourier transform, on pairs of real arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Site, declare, floats
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


def _outs(box: Box) -> tuple[Axes, ...]:
    return (tuple(range(box.inner)),) * 2


def _fourier(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    box = site.box
    (axis,) = box.bound
    order = list(range(box.inner))
    shape = [site.sizes[a] for a in order]
    real, imaginary = (
        algebra.broadcast(algebra.align(x, row, order), shape)
        for x, row in zip(inputs, box.maps, strict=True)
    )
    return list(algebra.fourier(real, imaginary, axis, site.sizes[axis], box["inverse"]))


def _cost(site: Site) -> Mapping[str, Size]:
    """Counted as the sum that defines it: 4 multiply-adds a pair of positions."""
    return {"multiply-add": product(site.sizes) * site.bound_sizes[0] * 8}


def _pullback(pull: Pull) -> list[Wire]:
    """The adjoint: the transform the other way round, without or with its division by |n|."""
    from vesalius.diagrams import verbs

    (axis,) = pull.bound
    every = {name: pull.sizes[name] for name in pull.outputs[0].names}
    real, imaginary = (pull.zeros(every) if dy is None else dy for dy in pull.cotangents)
    back = not pull.box["inverse"]
    size = pull.sizes[axis]
    parts = verbs.fourier(real, imaginary, over=axis, inverse=back)
    return [part * size if back else part / size for part in parts]


FOURIER = declare(
    Kind(
        name="fourier",
        summary="the discrete Fourier transform along one axis: real and imaginary parts",
        formula="y[f] = Σ_n x[n]·exp(−2πi·f·n/|n|)",
        meaning=_fourier,
        outs=_outs,
        dtypes=lambda box, dtypes: floats(box, dtypes),
        fields=(("inverse", "flag"),),
        cost=_cost,
        look=Look("box", "DFT"),
        derivative="∂x = the conjugate transform of ∂y",
        pullback=_pullback,
        refusals={"field": "a root of unity of the wanted order need not exist"},
    )
)
