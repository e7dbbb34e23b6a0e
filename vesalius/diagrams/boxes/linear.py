"""The two linear boxes: `contract` (multiply and sum) and `add`; both n-ary, both commutative.

`contract` covers product, outer product, dot product, matrix product and sum; so neither
commutativity nor transposition needs a rule. Nesting stays as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Box, Kind, Look, Site, always, declare, numeric, tubes_only
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


def _contract_cost(site: Site) -> Mapping[str, Size]:
    """A product per operand beyond the first, and an addition per point of the summed axes.

    A contraction of several factors is counted as one nest of loops; the order of
    evaluation is a later decision.
    """
    points = product(site.sizes)
    count = len(site.box.maps) - 1 + bool(site.box.bound)
    return {"multiply-add": points * count}


def _contract_look(box: Box) -> str:
    return "·" if not box.bound else ("Σ" if len(box.maps) == 1 else "·")


def _contract_pullback(pull: Pull) -> list[Wire | None]:
    found: list[Wire | None] = []
    for k, wanted in enumerate(pull.wanted):
        others = [x for j, x in enumerate(pull.inputs) if j != k]
        found.append(pull.onto(k, pull.cotangent, *others) if wanted else None)
    return found


CONTRACT = declare(
    Kind(
        name="contract",
        summary="multiply all inputs and sum over the bound axes",
        formula="y = Σ_c x₁·x₂·…",
        meaning=lambda algebra, site, inputs: [algebra.contract(site, inputs)],
        outs=tubes_only,
        dtypes=numeric,
        cost=_contract_cost,
        look=Look("dot", label=_contract_look),
        derivative="∂xₖ = Σ over the axes that xₖ lacks of ∂y · the other inputs",
        pullback=_contract_pullback,
        commutes=always,
        bound_is_set=True,
        broadcasts=True,
    )
)


def _add_cost(site: Site) -> Mapping[str, Size]:
    return {"add": product(site.sizes) * (len(site.box.maps) - 1)}


def _add_meaning(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    return [algebra.add(site, inputs)]


def _add_pullback(pull: Pull) -> list[Wire]:
    return [pull.cotangent] * len(pull.inputs)


ADD = declare(
    Kind(
        name="add",
        summary="add all inputs",
        formula="y = x₁ + x₂ + …",
        meaning=_add_meaning,
        outs=tubes_only,
        dtypes=numeric,
        cost=_add_cost,
        look=Look("dot", "+"),
        derivative="∂xₖ = Σ over the axes that xₖ lacks of ∂y",
        pullback=_add_pullback,
        commutes=always,
        bound_is_set=True,
        broadcasts=True,
    )
)
