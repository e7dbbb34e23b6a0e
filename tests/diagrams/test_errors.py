"""Bad types, axes and sizes: what is wrong, where in the user's code, nothing left half built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import (
    attention,
    refused,
    refused_tracing,
    state_of,
    three,
)

import vesalius as vs
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.wire import Wire

# -- axes ---------------------------------------------------------------------------------------


def test_an_axis_that_no_operand_has() -> None:
    b, x, y, _ = three()
    refused(
        vs.AxisError,
        "contract: … 'k' … {n, c} float; {m, c} float",
        lambda: vs.contract(x, y, 2.5, over="k"),
        b,
    )


@pytest.mark.parametrize(
    "verb",
    [
        lambda x: vs.softmax(x, over="k"),
        lambda x: vs.max(x, over="k"),
        lambda x: vs.mean(x, over="k"),
        lambda x: vs.merge(x, "n k", "d"),
        lambda x: vs.split(x, "k", "h:2 e"),
        lambda x: vs.slice(x, "k"),
        lambda x: vs.pad(x, "k", 1),
        lambda x: vs.window(x, "k", "i d:2"),
        lambda x: vs.diagonal(x, "n k", "n"),
        lambda x: vs.topk(x, "k", "j:1"),
        lambda x: vs.linear(x, "k", "e"),
        lambda x: vs.concat(x, x, over="k"),
        lambda x: vs.gather(x, x, over="k"),
    ],
)
def test_an_axis_that_the_wire_lacks(verb: Callable[[Wire], Any]) -> None:
    b, x, _, _ = three()
    with b:
        refused(vs.AxisError, "{n, c} float has no axis 'k'", verb, b, x)


def test_an_axis_bound_twice() -> None:
    b, x, _, _ = three()
    refused(vs.AxisError, "'c' is named twice", lambda: vs.softmax(x, over="c c"), b)


def test_an_axis_that_stands_twice_in_a_type() -> None:
    b = Builder()
    b.input("x", "n")
    refused(vs.AxisError, "'n' stands twice in the type 'n n'", lambda: b.input("w", "n n"), b)


def test_a_renaming_that_is_not_injective() -> None:
    b, x, _, _ = three()
    refused(
        vs.AxisError,
        "two axes of {n, c} float would be called 'c' … vs.diagonal",
        lambda: x.rename(n="c"),
        b,
    )


def test_a_renaming_of_an_axis_that_is_not_there() -> None:
    b, x, _, _ = three()
    refused(vs.AxisError, "{n, c} float has no axis 'k'", lambda: x.rename(k="n"), b)


@pytest.mark.parametrize("name", ["float", "a b", "2n", "_0", ""])
def test_a_name_that_is_no_name_of_an_axis(name: str) -> None:
    b, x, _, _ = three()
    refused(vs.AxisError, f"identifier, not {name!r}", lambda: x.rename(n=name), b)
    refused(vs.AxisError, f"identifier, not {name!r}", lambda: attention.rename(n=name))
    refused(vs.AxisError, f"identifier, not {name!r}", lambda: vs.merge(x, "n c", name), b)


def test_a_rename_of_an_interface_that_joins_two_axes() -> None:
    refused(vs.AxisError, "rename: … 'q' … two axes", lambda: attention.rename(n="c"))


def test_a_new_axis_that_a_tube_has_already() -> None:
    b, x, _, z = three()
    refused(vs.AxisError, "expand: … two axes called 'n'", lambda: vs.expand(x, "n"), b)
    refused(vs.AxisError, "merge: … two axes called 'm'", lambda: vs.merge(z, "n", "m"), b)
    refused(vs.AxisError, "split: … two axes called 'c'", lambda: vs.split(x, "n", "c k:1"), b)
    refused(vs.AxisError, "linear: … new axis 'n'", lambda: vs.linear(x, "c", "n"), b)


def test_a_tube_that_the_callee_declares_elsewhere() -> None:
    b, x, y, _ = three()
    v = y.rename(c="e")
    wide = vs.expand(x, "m")
    refused(
        vs.AxisError,
        "attention: the argument 'q' … carries 'm' as a tube … rename one",
        lambda: attention(wide, y, v),
        b,
    )


def test_an_argument_without_an_axis_that_is_declared() -> None:
    b, x, y, _ = three()
    refused(
        vs.AxisError,
        "attention: the input 'v' of type {m, e} float needs the axis 'e' … {m, c} float",
        lambda: attention(x, y, y),
        b,
    )


def test_a_tube_over_an_axis_that_is_there() -> None:
    refused(vs.AxisError, "over: the input 'q' has the axis 'n'", lambda: attention.over("n"))
    refused(
        vs.AxisError,
        "over: the output 'out' has one of the new axes already",
        lambda: attention.over("e", inputs="q"),
    )


# -- what a traced function declares -------------------------------------------------------------


def test_an_output_axis_that_is_not_declared() -> None:
    def scores(q: "n c", k: "m c") -> "n":
        return vs.contract(q, k, over="c")

    refused_tracing(
        vs.AxisError,
        "scores: the output is declared {n} float and is {n, m} float: the axis 'm' is left over",
        scores,
    )


def test_an_output_axis_that_is_missing() -> None:
    def scores(q: "n c") -> "n m":
        return vs.sum(q, "c")

    refused_tracing(
        vs.AxisError,
        "scores: the output is declared {n, m} float and is {n} float: the axis 'm' is missing",
        scores,
    )


def test_an_output_of_another_size() -> None:
    def doubled(x: "n") -> "n":
        return vs.concat(x, x, over="n")

    refused_tracing(vs.AxisError, "doubled: … 'n' has size 2*n, not n", doubled)


def test_an_output_of_another_element_type() -> None:
    def positive(x: "n") -> "n":
        return x > 0

    refused_tracing(vs.TypeClash, "positive: … {n} float and is {n} bool", positive)


def test_an_input_without_a_type() -> None:
    def untyped(x) -> "n":  # type: ignore[no-untyped-def]
        return x

    refused_tracing(vs.FormatError, "untyped: the argument 'x' has no type", untyped)


def test_an_output_without_a_type() -> None:
    def untyped(x: "n"):  # type: ignore[no-untyped-def]
        return x

    refused_tracing(vs.FormatError, "untyped: the result has no type", untyped)


def test_inputs_that_are_not_named_one_by_one() -> None:
    def many(*xs: "n") -> "n":
        return xs[0]

    refused_tracing(vs.FormatError, "many: name each input", many)


@pytest.mark.parametrize("text", ["n c:", "n:2*", "n 2c", "n c int float", "{n", "n:1.5", "n:-1"])
def test_a_type_that_cannot_be_read(text: str) -> None:
    b, *_ = three()
    before = state_of(b)
    with pytest.raises(vs.VesaliusError, match=r"\n  at test_errors\.py:\d+: "):
        b.input("w", text)
    assert state_of(b) == before


def test_a_function_that_returns_nothing() -> None:
    def silent(x: "n") -> "n":
        vs.exp(x)

    refused_tracing(vs.StructureError, "silent: the output 'out' is None; return a wire", silent)


def test_a_function_that_returns_too_little() -> None:
    def two(x: "n") -> ("n", "n"):
        return x

    refused_tracing(vs.StructureError, "two declares 2 outputs, it returned 1", two)


def test_a_function_that_returns_other_names() -> None:
    def named(x: "n") -> {"y": "n"}:
        return {"z": x}

    refused_tracing(vs.StructureError, "named declares the outputs ['y'] … ['z']", named)


def test_an_error_inside_a_traced_function_points_at_its_own_line() -> None:
    def wrong(x: "n") -> "n":
        y = vs.exp(x)
        return vs.softmax(y, over="k")

    with pytest.raises(vs.AxisError) as caught:
        vs.diagram(wrong)
    assert str(caught.value).endswith('return vs.softmax(y, over="k")')
    with pytest.raises(vs.StructureError):
        vs.constant(1.0)  # the failed trace is no longer under construction


# -- sizes ---------------------------------------------------------------------------------------


def test_two_sizes_of_one_axis() -> None:
    b, x, y, _ = three()
    refused(
        vs.SizeError,
        "add: the axis 'a' has size n in {a:n, c} float and size m in {a:m, c} float",
        lambda: x.rename(n="a") + y.rename(m="a"),
        b,
    )


def test_two_sizes_of_one_axis_where_one_side_is_expanded() -> None:
    """An expanded axis is dropped where another operand brings it, but not its size."""
    b, x, y, _ = three()
    wide = vs.expand(x, "m:7")
    refused(vs.SizeError, "add: the axis 'm' has size", lambda: wide + y, b)


def test_two_sizes_in_a_call() -> None:
    b, x, y, _ = three()
    v = y.rename(c="e")
    short = vs.slice(y, "m", 0, 1)
    refused(
        vs.SizeError,
        "attention: the axis 'm' of the input 'v' has size m, where 1 is needed",
        lambda: attention(x, short, v),
        b,
    )


def test_two_sizes_of_one_tube_in_a_call() -> None:
    b, x, y, _ = three()
    v = vs.expand(y.rename(c="e"), "t:3")
    q = vs.expand(x, "t:2")
    refused(vs.SizeError, "attention: the tube 't' has size 2 … 3", lambda: attention(q, y, v), b)


def test_a_split_that_leaves_a_rest() -> None:
    b, x, _, _ = three()
    refused(vs.SizeError, "split: … 'c' of size c …", lambda: vs.split(x, "c", "h:2 e:3"), b)


def test_more_than_there_are() -> None:
    b = Builder()
    x = b.input("x", "n:3")
    refused(vs.SizeError, "topk: 4 of 3", lambda: vs.topk(x, "n", "k:4"), b)
    refused(vs.SizeError, "slice: position 3", lambda: vs.slice(x, "n", 3, 4), b)
    refused(vs.SizeError, "window: -1 windows of 5", lambda: vs.window(x, "n", "i d:5"), b)
    refused(vs.SizeError, "window: …", lambda: vs.window(x, "n", "i d:2", dilation=5), b)
    refused(vs.SizeError, "window: a window is 1", lambda: vs.window(x, "n", "i d:0"), b)
    refused(vs.SizeError, "slice: -1 entries", lambda: vs.slice(x, "n", 0, -1), b)
    refused(vs.SizeError, "slice: -1 entries", lambda: vs.slice(x, "n", 2, 1), b)
    refused(vs.SizeError, "pad: -1 entries", lambda: vs.pad(x, "n", -1), b)
    refused(vs.SizeError, "pad: -2 entries", lambda: vs.pad(x, "n", 1, -2), b)


def test_a_step_that_does_not_move() -> None:
    b, x, _, _ = three()
    refused(vs.SizeError, "slice: a step", lambda: vs.slice(x, "n", step=0), b)
    refused(vs.SizeError, "window: the stride", lambda: vs.window(x, "n", "i d:1", stride=0), b)


def test_a_diagonal_of_two_sizes() -> None:
    b, _, y, z = three()
    assert z.axes["n"] == z.axes["m"]
    refused(vs.SizeError, "diagonal: …", lambda: vs.diagonal(y, "m c", "i"), b)


def test_division_by_zero() -> None:
    b, x, _, _ = three()
    refused(vs.SizeError, "divided by zero", lambda: x / 0, b)


def test_arrays_that_do_not_fit() -> None:
    q, k = torch.ones(2, 3), torch.ones(4, 5)
    refused(
        vs.SizeError,
        "attention: … 'k' has size 5, where c = 3 is needed",
        lambda: attention.evaluate(q, k, k),
    )
    refused(
        vs.SizeError,
        "attention: 'q' has 3 dimensions",
        lambda: attention.evaluate(q[None], k, k),
    )


def test_a_size_that_nothing_says() -> None:
    @vs.diagram
    def unknown(x: "n") -> "n":
        return x * vs.sum(vs.iota("k"), "k")

    refused(vs.SizeError, "'k' has no value", lambda: unknown.evaluate(torch.ones(2)))
