"""The discrete Fourier transform, on pairs of real arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Site, declare, floats
from vesalius.diagrams.sizes import Size, product


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
        refusals={"field": "a root of unity of the wanted order need not exist"},
    )
)
