"""Reductions that are not linear, and softmax: primitive for the eye, with a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import (
    Box,
    Kind,
    Look,
    Site,
    declare,
    floats,
    numeric,
    tubes_and_bound,
    tubes_only,
)
from vesalius.diagrams.errors import TypeClash
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


def _compare_cost(site: Site) -> Mapping[str, Size]:
    return {"compare": product(site.sizes)}


def _reduce(how: str) -> Callable[[Any, Site, list[Any]], list[Any]]:
    def meaning(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
        return [algebra.reduce(how, inputs[0], site.box.bound)]

    return meaning


def _truth(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    if dtypes != ("bool",):
        raise TypeClash(f"{box.kind.name} takes truth values, not {dtypes[0]}: compare first")
    return ("bool",)


def _extreme_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    (x,), (y,) = pull.inputs, pull.outputs
    ties = verbs.to_float(verbs.equal(x, y))
    return [pull.cotangent / verbs.sum(ties, pull.bound) * ties]


MAX = declare(
    Kind(
        name="max",
        summary="the largest value along the bound axes",
        formula="y = max_c x",
        meaning=_reduce("max"),
        outs=tubes_only,
        dtypes=numeric,
        cost=_compare_cost,
        look=Look("box", "max"),
        derivative="∂x = ∂y at the largest entry (shared equally among ties)",
        pullback=_extreme_pullback,
        bound_is_set=True,
        refusals={"field": "a finite field has no order"},
    )
)

MIN = declare(
    Kind(
        name="min",
        summary="the smallest value along the bound axes",
        formula="y = min_c x",
        meaning=_reduce("min"),
        outs=tubes_only,
        dtypes=numeric,
        cost=_compare_cost,
        look=Look("box", "min"),
        derivative="∂x = ∂y at the smallest entry (shared equally among ties)",
        pullback=_extreme_pullback,
        bound_is_set=True,
        refusals={"field": "a finite field has no order"},
    )
)

ALL = declare(
    Kind(
        name="all",
        summary="whether every value along the bound axes is true",
        formula="y = ∀_c x",
        meaning=_reduce("all"),
        outs=tubes_only,
        dtypes=_truth,
        cost=_compare_cost,
        look=Look("box", "∀"),
        derivative="none: truth values have no tangent",
        bound_is_set=True,
    )
)

ANY = declare(
    Kind(
        name="any",
        summary="whether some value along the bound axes is true",
        formula="y = ∃_c x",
        meaning=_reduce("any"),
        outs=tubes_only,
        dtypes=_truth,
        cost=_compare_cost,
        look=Look("box", "∃"),
        derivative="none: truth values have no tangent",
        bound_is_set=True,
    )
)


def _softmax_cost(site: Site) -> Mapping[str, Size]:
    points = product(site.sizes)
    return {"exp": points, "add": points, "multiply-add": points, "compare": points}


def _softmax_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    (y,), dy = pull.outputs, pull.cotangent
    return [y * (dy - verbs.contract(y, dy, over=pull.bound))]


SOFTMAX = declare(
    Kind(
        name="softmax",
        summary="exponentials divided by their sum along the bound axes; zeros where all are −∞",
        formula="y = exp(x) / Σ_m exp(x)",
        meaning=lambda algebra, site, inputs: [algebra.softmax(inputs[0], site.box.bound)],
        outs=tubes_and_bound,
        dtypes=floats,
        cost=_softmax_cost,
        look=Look("box", "softmax"),
        derivative="∂x = y·(∂y − Σ_m y·∂y)",
        pullback=_softmax_pullback,
        bound_is_set=True,
        refusals={"rational": "an exponential of a rational is not rational"},
    )
)
