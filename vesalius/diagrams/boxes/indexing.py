"""Boxes that read at places known only at run time: `gather` and `topk`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Site, declare, tubes_and_new
from vesalius.diagrams.errors import SizeError, TypeClash
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


def _gather_dtype(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    if dtypes[1] != "int":
        raise TypeClash(f"gather: an index is int, not {dtypes[1]}")
    return dtypes[:1]


def _gather(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    """Shared tubes are zipped; axes of the index alone, and of the table alone, stay free."""
    table, index = inputs
    here, there = site.box.maps
    (axis,) = site.box.bound
    shared = [a for a in there if a in here]
    of_table = [a for a in here if a not in there and a != axis]
    of_index = [a for a in there if a not in here]
    table = algebra.align(table, here, [*shared, axis, *of_table])
    index = algebra.align(index, there, [*shared, *of_index])
    sizes = [site.sizes[a] for a in shared]
    got = algebra.gather(table, index, sizes, len(of_index), site.sizes[axis])
    return [algebra.align(got, [*shared, *of_index, *of_table], site.box.outs[0])]


def added_up(pull: Pull, dy: Wire, places: Wire) -> Wire:
    """`dy` added up at the places along the bound axis that an integer wire names."""
    from vesalius.diagrams import verbs

    (axis,) = pull.bound
    here = verbs.equal(places, pull.positions(axis))
    return pull.onto(0, dy, verbs.to_float(here))


def _gather_pullback(pull: Pull) -> list[Wire | None]:
    return [added_up(pull, pull.cotangent, pull.inputs[1]), None]


GATHER = declare(
    Kind(
        name="gather",
        summary="read a table along one axis at the places that an index wire names",
        formula="y[t] = x[t, index[t]]",
        meaning=_gather,
        dtypes=_gather_dtype,
        look=Look("box", "gather"),
        derivative="∂x = ∂y added up at the places read; none for the index",
        pullback=_gather_pullback,
    )
)


def _topk_outs(box: Box) -> tuple[Axes, ...]:
    return tubes_and_new(box) * 2


def _topk_dtypes(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    if dtypes[0] == "bool":
        raise TypeClash("topk: truth values have no order")
    return (dtypes[0], "int")


def _topk_check(site: Site) -> None:
    room = (site.bound_sizes[0] - site.new_sizes[0]).constant
    if room is not None and room < 0:
        raise SizeError(f"topk: {site.new_sizes[0]} of {site.bound_sizes[0]} entries")


def _topk(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    tubes = list(site.box.tubes)
    x = algebra.align(inputs[0], site.box.maps[0], [*tubes, *site.box.bound])
    if site.new_sizes[0] > site.bound_sizes[0]:
        raise SizeError(f"topk: {site.new_sizes[0]} of {site.bound_sizes[0]} entries")
    return list(algebra.topk(x, site.new_sizes[0], site.box["largest"]))


def _topk_pullback(pull: Pull) -> list[Wire]:
    values, _ = pull.cotangents
    assert values is not None  # the places are integers, which have no cotangent
    return [added_up(pull, values, pull.outputs[1])]


def _topk_cost(site: Site) -> Mapping[str, Size]:
    return {"compare": product(site.sizes)}


TOPK = declare(
    Kind(
        name="topk",
        summary="the k largest (or smallest) entries in order, and their places; first wins ties",
        formula="y[k], p[k] = sorted x",
        meaning=_topk,
        outs=_topk_outs,
        dtypes=_topk_dtypes,
        fields=(("largest", "flag"),),
        check=_topk_check,
        cost=_topk_cost,
        look=Look("box", "top-k"),
        derivative="∂x = ∂y at the places chosen; none for the positions",
        pullback=_topk_pullback,
        refusals={"field": "a finite field has no order", "sympy": "symbols have no order"},
    )
)
