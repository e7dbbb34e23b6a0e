"""Boxes without inputs: the interface, parameters, random draws, constants, positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Site, declare
from vesalius.diagrams.sizes import Size


def _new_axes(box: Box) -> tuple[Axes, ...]:
    return (tuple(range(len(box.new))),)


def _dtype_field(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    return (box["dtype"],)


def _float(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    return ("float",)


def _given(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    raise AssertionError("inputs are handed to the evaluator, not computed")


INPUT = declare(
    Kind(
        name="input",
        summary="an input of the diagram",
        formula="x",
        meaning=_given,
        outs=_new_axes,
        dtypes=_dtype_field,
        fields=(("index", "int"), ("dtype", "dtype")),
        look=Look("port"),
        derivative="the gradient's own output",
    )
)

PARAMETER = declare(
    Kind(
        name="parameter",
        summary="a learned array of the diagram's own",
        formula="W",
        meaning=lambda algebra, site, inputs: [algebra.parameter(site.box["token"], site)],
        outs=_new_axes,
        dtypes=_float,
        fields=(("token", "token"),),
        look=Look("triangle", label=lambda box: box["token"].name),
        derivative="the gradient's own output",
    )
)


def _draw_dtype(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    return ("bool" if box["token"].distribution == "bernoulli" else "float",)


def _draw_cost(site: Site) -> Mapping[str, Size]:
    from vesalius.diagrams.sizes import product

    return {"random": product(site.sizes)}


RANDOM = declare(
    Kind(
        name="random",
        summary="a random draw with declared axes, never merged, never duplicated",
        formula="ξ ~ D",
        meaning=lambda algebra, site, inputs: [algebra.draw(site.box["token"], site)],
        outs=_new_axes,
        dtypes=_draw_dtype,
        fields=(("token", "token"),),
        cost=_draw_cost,
        look=Look("triangle", label=lambda box: f"{box['token'].distribution}"),
        derivative="none: a draw depends on nothing",
    )
)


def _constant_label(box: Box) -> str:
    value = box["value"]
    if isinstance(value, tuple):
        return "table"
    if isinstance(value, float):
        return "−∞" if value == float("-inf") else f"{value:g}"
    return str(value)


CONSTANT = declare(
    Kind(
        name="constant",
        summary="a number, a size, or a small table of numbers",
        formula="a",
        meaning=lambda algebra, site, inputs: [algebra.constant(site.box["value"], site.sizes)],
        outs=_new_axes,
        dtypes=_dtype_field,
        fields=(("value", "value"), ("dtype", "dtype")),
        look=Look("triangle", label=_constant_label),
        derivative="none: a constant depends on nothing",
    )
)

IOTA = declare(
    Kind(
        name="iota",
        summary="the positions 0, 1, … along a new axis",
        formula="y[n] = n",
        meaning=lambda algebra, site, inputs: [algebra.positions(site.sizes[0])],
        outs=_new_axes,
        dtypes=lambda box, dtypes: ("int",),
        look=Look("triangle", "ι"),
        derivative="none: positions depend on nothing",
    )
)
