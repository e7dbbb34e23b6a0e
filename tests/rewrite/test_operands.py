"""Arrangements of operands against trying everything."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.rewrite.operands import Arrangement, arrangements


def rows(operands: int) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    row = st.sets(st.integers(0, 3), max_size=3).map(lambda axes: tuple(sorted(axes)))
    return st.lists(row, min_size=1, max_size=operands).map(tuple)


@st.composite
def boxes(draw: st.DrawFn, operands: int) -> Box:
    maps = draw(rows(operands))
    axes = sorted({axis for row in maps for axis in row})
    bound = draw(st.sets(st.sampled_from(axes), max_size=3)) if axes else set()
    return Box(CONTRACT, (), maps, tuple(sorted(bound)), ())


def exhaustive(ours: Box, theirs: Box, many: set[int], known: dict[int, int]) -> set[Any]:
    """Every deal and every bijection, kept where each axis is at a port as its image is."""
    found = set()
    if len(ours.bound) != len(theirs.bound):
        return found
    ports = range(len(ours.maps))
    for deal in product(ports, repeat=len(theirs.maps)):
        dealt = [tuple(q for q, p in enumerate(deal) if p == port) for port in ports]
        if any(len(dealt[p]) != 1 for p in ports if p not in many):
            continue
        for images in permutations(theirs.bound):
            bound = dict(zip(ours.bound, images, strict=True))
            axes = {**known, **bound}
            if any(bound.get(axis, image) != image for axis, image in known.items()):
                continue
            if all(
                (axis in ours.maps[p]) == (image in theirs.maps[q])
                for p in ports
                for q in dealt[p]
                for axis, image in axes.items()
            ):
                found.add((tuple(dealt), tuple(sorted(bound.items()))))
    return found


def as_set(found: list[Arrangement]) -> set[Any]:
    return {(one.ports, tuple(sorted(one.bound.items()))) for one in found}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_all_arrangements_are_found_once(data: st.DataObject) -> None:
    ours = data.draw(boxes(3))
    theirs = data.draw(boxes(4))
    many = data.draw(st.sets(st.sampled_from(range(len(ours.maps)))))
    axes = sorted({axis for row in ours.maps for axis in row})
    known = {}
    if axes and data.draw(st.booleans()):
        known = {data.draw(st.sampled_from(axes)): data.draw(st.integers(0, 3))}
        known = {a: b for a, b in known.items() if (b in theirs.bound) or a not in ours.bound}
    if len(ours.bound) != len(theirs.bound):
        return
    found = list(arrangements(ours, theirs, many, known, lambda p, q: True))
    assert len(found) == len(as_set(found))
    assert as_set(found) == exhaustive(ours, theirs, many, known)


def test_a_chain_has_few_arrangements_though_its_orders_are_many() -> None:
    """Twenty matrices: 20! orders of operands times 19! of axes, and two that fit."""
    chain = tuple((k, k + 1) for k in range(20))
    box = Box(CONTRACT, (), chain, tuple(range(1, 20)), ())
    found = list(arrangements(box, box, (), {}, lambda p, q: True))
    assert [one.ports for one in found] == [
        tuple((p,) for p in range(20)),
        tuple((19 - p,) for p in range(20)),
    ]


def test_what_does_not_fit_is_left_out() -> None:
    box = Box(CONTRACT, (), ((0,), (0,), (0,)), (0,), ())
    found = list(arrangements(box, box, (), {}, lambda p, q: p != q))
    assert {one.ports for one in found} == {((1,), (2,), (0,)), ((2,), (0,), (1,))}
