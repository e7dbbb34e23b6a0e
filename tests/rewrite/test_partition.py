"""What is moved when a diagram is computed in tiles: counted, and against the closed formulas."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.rewrite.partition import partition


@vs.diagram
def matmul(x: "a b", w: "b c") -> "a c":
    return vs.contract(x, w, over="b")


@vs.diagram
def attention(q: "n d", k: "m d", v: "m d") -> "n d":
    return vs.contract(vs.softmax(vs.contract(q, k, over="d"), over="m"), v, over="m")


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)
)
def test_a_loop_over_tiles_moves_as_many_values(i, j, k, tile_a, tile_c):
    """A matrix product by hand: every tile of both factors, for every tile of the result."""
    sizes = {"a": i * tile_a, "b": j, "c": k * tile_c}
    moved = 0
    for _ in product(range(i), range(k)):
        for _ in range(j):
            moved += tile_a + tile_c
        moved += tile_a * tile_c
    found = partition(matmul, sizes, groups={"a": tile_a, "c": tile_c}, streams={"b": 1})
    assert found.transfer == moved
    assert found.memory == tile_a + tile_c + tile_a * tile_c


@given(*[st.integers(1, 64)] * 4, st.integers(1, 8), st.integers(1, 8))
def test_the_formulas_of_the_paper(a, b, c, d, g, s):
    g, s = min(g, a), min(s, b)
    found = partition(attention, {"n": a, "m": b, "d": d}, groups={"n": g}, streams={"m": s})
    assert found.transfer == 2 * a * d + Fraction(2 * a * b * d, g)
    assert found.memory == 2 * g * d + 2 * s * d
    h = min(g, c)
    found = partition(matmul, {"a": a, "b": b, "c": c}, groups={"a": g, "c": h}, streams={"b": s})
    assert found.transfer == a * b * c * (Fraction(1, g) + Fraction(1, h)) + a * c
    assert found.memory == g * s + s * h + g * h


def test_heads_are_one_more_group():
    one = partition(attention, {"n": 32, "m": 32, "d": 4}, groups={"n": 8}, streams={"m": 8})
    heads = attention.over("h")
    sizes = {"n": 32, "m": 32, "d": 4, "h": 6}
    many = partition(heads, sizes, groups={"n": 8, "h": 1}, streams={"m": 8})
    assert many.transfer == 6 * one.transfer
    assert many.memory == one.memory


def test_what_cannot_be_cut_is_refused():
    sizes = {"n": 8, "m": 8, "d": 4}
    with pytest.raises(vs.AxisError, match="binds 'm': it is no tube"):
        partition(attention, sizes, groups={"m": 2})
    with pytest.raises(vs.AxisError, match="'n' is an axis of 'out': group it"):
        partition(attention, sizes, streams={"n": 2})
    with pytest.raises(vs.AxisError, match="no axis 'x'"):
        partition(attention, sizes, groups={"x": 2})
    with pytest.raises(vs.SizeError, match="a tile of 9"):
        partition(attention, sizes, groups={"n": 9})

    @vs.diagram
    def median(x: "n m") -> "n k:1":
        return vs.topk(x, "m", "k:1")[0]

    with pytest.raises(vs.AxisError, match="no accumulator"):
        partition(median, sizes, streams={"m": 2})
