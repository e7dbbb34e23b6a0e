"""The learner: a hole that stands for any function of its type, to be filled by a diagram."""

from __future__ import annotations

from typing import Any

from vesalius.diagrams.box import Box, Kind, Look, Site, declare, tubes_and_new
from vesalius.diagrams.errors import StructureError


def _unfilled(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    name = site.box["token"].name
    raise StructureError(
        f"the learner {name!r} is a hole: fill it first, diagram.fill({name.split('.')[-1]}=...)"
    )


def _floats(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    return ("float",)


LEARNER = declare(
    Kind(
        name="learner",
        summary="a universal approximator of its type: a hole to be filled",
        formula="y = u(x₁, x₂, …)",
        meaning=_unfilled,
        outs=tubes_and_new,
        dtypes=_floats,
        fields=(("token", "token"),),
        look=Look("dark", label=lambda box: box["token"].name),
        derivative="none until it is filled",
        refusals=dict.fromkeys(
            ("torch", "rational", "field", "sympy"), "a hole has no meaning until it is filled"
        ),
    )
)
