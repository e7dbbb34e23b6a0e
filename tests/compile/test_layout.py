"""The orders of axes: an order for each wire, right everywhere, and few permutes."""

import re

import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.kernels import SHIPPED
from vesalius.compile.layout import aligned, is_within, merged

orders = st.permutations(range(5)).flatmap(lambda p: st.integers(0, 5).map(lambda k: tuple(p[:k])))


@given(orders, orders)
def test_within_means_that_axes_are_left_out(part, whole) -> None:
    expected = tuple(a for a in whole if a in part) == part
    assert is_within(part, whole) == expected


@given(st.lists(orders, min_size=1, max_size=4))
def test_a_merged_order_holds_all_and_is_found_if_there_is_one(rows) -> None:
    found = merged(rows)
    axes = {a for row in rows for a in row}
    before = {(a, b) for row in rows for k, a in enumerate(row) for b in row[k + 1 :]}
    while True:
        more = before | {(a, c) for a, b in before for b_, c in before if b == b_}
        if more == before:
            break
        before = more
    possible = not any((b, a) in before for a, b in before)
    assert (found is not None) == possible
    if found is not None:
        assert sorted(found) == sorted(axes)
        assert all(is_within(row, found) for row in rows)


@given(st.lists(orders, min_size=1, max_size=4), orders)
def test_an_aligned_order_has_all_axes_and_takes_a_wish_that_costs_nothing(rows, wish) -> None:
    axes = {a for row in rows for a in row}
    found = aligned(rows, wish)
    assert sorted(found) == sorted(axes)
    if set(wish) == axes and all(is_within(row, wish) for row in rows):
        assert found == wish


def moves(diagram, **sizes):
    source = vs.to_torch(diagram, sizes=sizes, forbid=SHIPPED).source
    return re.findall(r"\.(?:permute|transpose|mT|T)\b", source)


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.contract(weights, v, over="m")


def test_attention_turns_only_its_keys() -> None:
    assert moves(attention) == [".T"]
    assert moves(attention.over("b h")) == [".mT"]


def test_the_order_of_arguments_does_not_matter() -> None:
    @vs.diagram
    def other(v: "m e", k: "m c", q: "n c") -> "n e":
        return attention(q, k, v)

    assert moves(other.over("b h")) == [".mT"]


def test_a_layer_around_attention_turns_nothing_else() -> None:
    @vs.diagram
    def layer(x: "n d") -> "n d":
        q = vs.linear(x, "d", "h c", name="wq")
        k = vs.linear(x, "d", "h c", name="wk").rename(n="m")
        v = vs.linear(x, "d", "h c", name="wv").rename(n="m", c="e")
        y = vs.linear(attention(q, k, v), "h e", "d", name="wo")
        centred = x + y - vs.mean(x + y, "d")
        return vs.linear(vs.relu(vs.linear(centred, "d", "f", name="up")), "f", "d", name="down")

    sizes = {"d": 6, "h": 2, "c": 3, "f": 4}
    assert moves(layer, **sizes) == [".mT"]
    assert moves(layer.over("b"), **sizes) == [".mT"]
    assert moves(layer.over("b").fold("layer"), **sizes) == [".mT"]


def test_a_sum_with_a_wire_of_fixed_order_takes_that_order() -> None:
    @vs.diagram
    def residual(x: "b n d", w: "d d_out:d") -> "b n d":
        return x + vs.contract(w, x, over="d").rename(d_out="d")

    assert moves(residual) == []
    x, w = torch.randn(2, 3, 4), torch.randn(4, 4)
    torch.testing.assert_close(vs.to_torch(residual)(x, w), x + x @ w)
