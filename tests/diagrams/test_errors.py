"""Bad input: what is wrong, where in the user's code, and nothing left half built."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.wire import Wire


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def projected(x: "n d") -> "n e":
    return vs.linear(x, "d", "e", name="w")


@vs.diagram
def hole(x: "n d") -> "n d":
    return vs.learner("u", x, binds="d", into="d")


@vs.diagram
def cell(state: "d", x: "d") -> {"next": "d", "y": "d"}:
    return {"next": state + x, "y": state * x}


@vs.diagram
def noisy(x: "n") -> "n":
    return x + vs.random("n")


def state_of(builder: Builder) -> tuple[Any, ...]:
    """All that a builder holds."""
    return (
        list(builder.nodes),
        list(builder.types),
        list(builder.hints),
        list(builder.inputs),
        list(builder.token_names),
        dict(builder.table),
        dict(builder.symmetries),
        dict(builder.expanded),
    )


def refused(
    kind: type[Exception],
    words: str,
    act: Callable[..., Any],
    builder: Builder | None = None,
    *given: Any,
) -> None:
    """The act is refused with an error of exactly this kind, which says these words in this
    order, then this file and the very line; the builder is as it was, and it goes on."""
    before = state_of(builder) if builder is not None else None
    with pytest.raises(kind) as caught:
        act(*given)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert re.search(".*".join(re.escape(w) for w in words.split(" … ")), message, re.S), message
    place = re.search(r"\n  at test_errors\.py:(\d+): (.*)$", message)
    assert place, message
    line = int(place.group(1))
    assert linecache.getline(__file__, line).strip() == place.group(2)
    code = act.__code__
    assert line in {number for *_, number in code.co_lines()}, message
    if builder is not None:
        assert state_of(builder) == before
        assert builder.diagram(y=Wire(builder, 0, builder.inputs[0].axes)).outputs


def three() -> tuple[Builder, Wire, Wire, Wire]:
    """Wires x[n, c], y[m, c] and a matrix z of a symmetric kind."""
    b = Builder("three")
    x, y = b.input("x", "n c"), b.input("y", "m c")
    z = vs.contract(x, x.rename(n="m"), over="c")
    return b, x, y, z


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


def refused_tracing(kind: type[Exception], words: str, function: Callable[..., Any]) -> None:
    with pytest.raises(kind) as caught:
        vs.diagram(function)
    message = str(caught.value)
    assert re.search(".*".join(re.escape(w) for w in words.split(" … ")), message, re.S), message
    assert "\n  at test_errors.py:" in message


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


# -- element types -------------------------------------------------------------------------------


def test_truth_values_are_no_numbers() -> None:
    b, x, _, _ = three()
    with b:
        mask = x > 0
    refused(vs.TypeClash, "add takes numbers, not truth values", lambda: mask + 1, b)
    refused(vs.TypeClash, "contract takes numbers", lambda: mask * x, b)
    refused(vs.TypeClash, "softmax takes numbers", lambda: vs.softmax(mask, over="n"), b)
    refused(vs.TypeClash, "all takes truth values, not float", lambda: vs.all(x, over="n"), b)
    refused(vs.TypeClash, "logical_and takes bool, not float", lambda: mask & x, b)
    refused(vs.TypeClash, "where takes a truth value", lambda: vs.where(x, x, x), b)


def test_an_index_is_an_integer() -> None:
    b, x, _, _ = three()
    i = vs.sum(x, "c").rename(n="i")
    refused(vs.TypeClash, "gather: an index is int, not float", lambda: vs.gather(x, i, "n"), b)


def test_what_is_joined_is_of_one_element_type() -> None:
    b, x, _, _ = three()
    with b:
        mask = x > 0
    refused(vs.TypeClash, "concat", lambda: vs.concat(x, mask, over="n"), b)


def test_an_input_of_another_element_type() -> None:
    b, x, y, _ = three()
    with b:
        mask = y > 0
    refused(
        vs.TypeClash,
        "attention: the input 'k' is {m, c} float, it was given {m, c} bool",
        lambda: attention(x, mask, y.rename(c="e")),
        b,
    )


def test_an_array_of_another_element_type() -> None:
    @vs.diagram
    def chosen(x: "n", i: "k int", keep: "k bool") -> "k":
        return vs.where(keep, vs.gather(x, i, "n"), 0.0)

    x, i, keep = torch.ones(3), torch.tensor([0, 2]), torch.tensor([True, False])
    assert chosen.evaluate(x, i, keep).tolist() == [1.0, 0.0]
    refused(vs.TypeClash, "integer", lambda: chosen.evaluate(x, i.double(), keep))
    refused(vs.TypeClash, "bool", lambda: chosen.evaluate(x, i, keep.long()))
    refused(vs.TypeClash, "float", lambda: chosen.evaluate(keep, i, keep))


def test_a_constant_that_is_no_number() -> None:
    b, x, _, _ = three()
    refused(vs.TypeClash, "add takes wires and numbers, not str: 'a'", lambda: x + "a", b)
    refused(vs.TypeClash, "contract takes wires and numbers", lambda: x * np.ones(3).tolist(), b)
    refused(vs.FormatError, "a constant is a number, not nan", lambda: x + float("nan"), b)
    refused(
        vs.FormatError,
        "a constant is a number, not nan",
        lambda: vs.pad(x, "n", 1, value=float("nan")),
        b,
    )


def test_a_table_that_is_no_table() -> None:
    b, *_ = three()
    with b:
        refused(vs.FormatError, "rows … differ", lambda: vs.constant([[1], [1, 2]], "i j"), b)
        refused(vs.FormatError, "fewer than 2 axes", lambda: vs.constant([1, 2], "i j"), b)
        refused(vs.FormatError, "not both", lambda: vs.constant([1, True], "i"), b)


# -- how verbs are called ------------------------------------------------------------------------


def test_nothing_at_all() -> None:
    b, *_ = three()
    with b:
        refused(vs.StructureError, "add is given nothing", lambda: vs.add(), b)
        refused(vs.StructureError, "contract is given nothing", lambda: vs.contract(), b)
        refused(vs.StructureError, "concat is given nothing", lambda: vs.concat(over="n"), b)
        refused(vs.StructureError, "learner is given nothing", lambda: vs.learner("u", into="c"), b)


def test_a_number_where_a_wire_is_wanted() -> None:
    b, *_ = three()
    with b:
        refused(vs.TypeClash, "softmax takes a wire, not float", lambda: vs.softmax(2.0, "n"), b)
        refused(vs.TypeClash, "split takes a wire", lambda: vs.split(2.0, "n", "a b"), b)


def test_no_axis_to_act_on() -> None:
    b, x, _, _ = three()
    refused(vs.AxisError, "softmax: name an axis", lambda: vs.softmax(x, over=""), b)
    refused(vs.AxisError, "max: name an axis", lambda: vs.max(x, over=()), b)


def test_too_many_and_too_few_arguments() -> None:
    b, x, y, _ = three()
    refused(vs.TypeClash, "exp takes 1 arguments, not 2", lambda: vs.exp(x, y), b)
    refused(vs.TypeClash, "maximum takes 2 arguments, not 1", lambda: vs.maximum(x), b)
    refused(vs.TypeClash, "power takes exponent, not none", lambda: vs.power(x), b)
    refused(vs.TypeClash, "exp takes no parameters, not scale", lambda: vs.exp(x, scale=2), b)
    refused(vs.StructureError, "attention has 3 inputs, 4 were", lambda: attention(x, y, y, y), b)
    refused(vs.StructureError, "attention: the input 'v' is missing", lambda: attention(x, y), b)
    refused(vs.StructureError, "'q' is given twice", lambda: attention(x, y, y, q=x), b)
    refused(vs.StructureError, "has no input 'w'", lambda: attention(x, y, w=y), b)
    refused(vs.StructureError, "attention has 3 inputs, 1 were", lambda: attention.evaluate(x))


def test_a_wire_has_no_truth_value() -> None:
    b, x, _, _ = three()
    refused(vs.StructureError, "no truth value … vs.where", lambda: 1 if x else 2, b)
    with b:
        low, high = x > 0, x < 1
    refused(vs.StructureError, "no truth value", lambda: low and high, b)


def test_a_wire_is_not_iterated() -> None:
    b, x, _, _ = three()
    refused(vs.StructureError, "cannot be iterated", lambda: list(x), b)
    refused(vs.StructureError, "cannot be iterated", lambda: 1.0 in x, b)


def test_nothing_is_under_construction() -> None:
    refused(vs.StructureError, "no diagram is under construction", lambda: vs.constant(1.0))
    refused(vs.StructureError, "no diagram is under construction", lambda: vs.add(1, 2))


def test_a_wire_of_another_diagram() -> None:
    b, x, _, _ = three()
    _, other, _, _ = three()
    refused(vs.StructureError, "belong to different diagrams", lambda: x + other, b)
    refused(vs.StructureError, "'y' is not a wire of this diagram", lambda: b.diagram(y=other), b)

    def leaks(x: "n c") -> "n c":
        return other

    refused_tracing(vs.StructureError, "leaks: … a wire of another diagram", leaks)


def test_an_input_after_a_box() -> None:
    b, *_ = three()
    refused(vs.StructureError, "'w' comes after the first box", lambda: b.input("w", "n"), b)


def test_two_things_of_one_name() -> None:
    b = Builder()
    x = b.input("x", "n")
    refused(vs.StructureError, "two inputs are called 'x'", lambda: b.input("x", "m"), b)
    assert b.input("y", "m").names == ("m",)
    refused(vs.StructureError, "two outputs are called 'out'", lambda: b.diagram(x, out=x), b)


def test_a_parameter_that_makes_no_sense() -> None:
    b, *_ = three()
    with b:
        refused(vs.FormatError, "init is one of", lambda: vs.parameter("w", "n", init="he"), b)
        rows = lambda: vs.parameter("w", "n", init="orthogonal")  # noqa: E731
        refused(vs.FormatError, "orthogonal rows have two axes, not {n} float", rows, b)
        refused(vs.FormatError, "parameter's name", lambda: vs.parameter("a b", "n"), b)
        refused(vs.FormatError, "parameters are float", lambda: vs.parameter("w", "n int"), b)
        refused(vs.AxisError, "fan names 'k'", lambda: vs.parameter("w", "n", fan="k"), b)
        refused(vs.FormatError, "one of", lambda: vs.random("n", "cauchy"), b)
        refused(vs.FormatError, "[0, 1]", lambda: vs.random("n", "bernoulli", p=2), b)


# -- composition ---------------------------------------------------------------------------------


def test_types_that_clash_on_composition() -> None:
    refused(
        vs.TypeClash,
        "projected >> projected: the output 'out' is {n, e} float, the input 'x' is {n, d} float",
        lambda: projected >> projected,
    )
    refused(
        vs.TypeClash, "projected >> attention: 1 outputs meet 3", lambda: projected >> attention
    )


def test_parameters_that_are_not_there() -> None:
    b, x, _, _ = three()
    w = x.rename(n="d", c="e")
    refused(
        vs.StructureError,
        "projected has no parameter 'v'",
        lambda: projected(x.rename(c="d"), parameters={"v": w}),
        b,
    )
    refused(vs.StructureError, "no parameter … 'v'", lambda: projected.expose("v"))
    refused(vs.StructureError, "'v'", lambda: projected.over("t", parameters=["v"]))
    refused(
        vs.StructureError,
        "projected has no parameter 'v'",
        lambda: projected.evaluate(torch.ones(2, 3), parameters={"v": torch.ones(1)}),
    )


def test_an_unfilled_learner() -> None:
    refused(
        vs.StructureError,
        "hole: the learner 'u' is a hole; fill it first … fill(u=",
        lambda: hole.evaluate(torch.ones(2, 3)),
    )


def test_an_unfilled_learner_inside_boxes_and_scans() -> None:
    @vs.diagram
    def learns(state: "d", x: "d") -> "d":
        return vs.learner("u", state, x, binds="d", into="d")

    @vs.diagram
    def scanned(s: "d", xs: "t d") -> "d":
        (last,) = vs.scan(learns, over="t", states=[s], sequences=[xs])
        return last

    s, xs = torch.ones(2), torch.ones(3, 2)
    words = "is a hole … fill it first"
    refused(vs.StructureError, words, lambda: scanned.evaluate(s, xs))
    refused(vs.StructureError, words, lambda: hole.fold().fold().evaluate(xs))
    refused(vs.StructureError, words, lambda: vs.to_torch(hole.fold(), sizes={"d": 2}))
    refused(vs.StructureError, words, lambda: vs.to_torch(scanned, sizes={"d": 2}))


def test_fillings_of_another_type() -> None:
    @vs.diagram
    def two(x: "d", y: "d") -> "d":
        return x + y

    @vs.diagram
    def other_axes(x: "c") -> "c":
        return x

    @vs.diagram
    def other_size(x: "d:7") -> "d:7":
        return x

    @vs.diagram
    def whole(x: "d") -> "d int":
        return vs.to_int(x)

    refused(vs.StructureError, "fill: hole has no learner 'v'", lambda: hole.fill(v=two))
    refused(vs.TypeClash, "the learner 'u' has 1 inputs", lambda: hole.fill(u=two))
    refused(vs.TypeClash, "the learner 'u' binds ('d',)", lambda: hole.fill(u=other_axes))
    refused(vs.SizeError, "the learner 'u' has 'd' of size d", lambda: hole.fill(u=other_size))
    refused(vs.TypeClash, "the learner 'u' makes float", lambda: hole.fill(u=whole))


def test_a_learner_that_makes_no_sense() -> None:
    b, x, _, _ = three()
    refused(
        vs.AxisError, "'u': no input has the axis 'k'", lambda: vs.learner("u", x, binds="k"), b
    )
    refused(
        vs.AxisError,
        "'u': an input already has the new axis 'n'",
        lambda: vs.learner("u", x, binds="c", into="n"),
        b,
    )


# -- scans ---------------------------------------------------------------------------------------


def test_scans_that_make_no_sense() -> None:
    b = Builder()
    s, x = b.input("s", "d"), b.input("x", "t d")

    def scan(**options: Any) -> Any:
        return vs.scan(cell, **{"over": "t", "states": [s], "sequences": [x], **options})

    def scan_of(body: vs.Diagram) -> Any:
        return vs.scan(body, over="t", states=[s], sequences=[x])

    @vs.diagram
    def grows(state: "d", x: "d") -> {"next": "d e", "y": "d"}:
        return {"next": vs.expand(state, "e"), "y": x}

    acts: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (vs.StructureError, "scan: the body has 2 inputs, 1 arguments", lambda: scan(states=[])),
        (vs.AxisError, "has no axis 'k'", lambda: scan(over="k")),
        (vs.SizeError, "length 5 and t", lambda: scan(length=5)),
        (vs.StructureError, "['state'], not ['z']", lambda: scan(states={"z": s})),
        (vs.TypeClash, "the state 'state' goes in as", lambda: scan_of(grows)),
    ]
    for kind, words, act in acts:
        before = state_of(b)
        with pytest.raises(kind) as caught:
            act()
        assert words in str(caught.value)
        assert "\n  at test_errors.py:" in str(caught.value)
        assert state_of(b) == before


# -- all or nothing ------------------------------------------------------------------------------


def test_a_verb_that_fails_half_way_leaves_no_trace() -> None:
    """Parameters and learners that a failed call made are gone, and so are their names: the
    next call makes the same diagram as if nothing had happened."""

    @vs.diagram
    def block(x: "n d", y: "n d") -> "n e":
        return vs.linear(x + y, "d", "e", name="w") + vs.learner("u", x, binds="d", into="e:e")

    def build(stumble: bool) -> vs.Diagram:
        b = Builder("built")
        x, y = b.input("x", "n d"), b.input("y", "n d")
        wide, narrow = vs.expand(x, "t:2"), vs.expand(y, "t:3")
        if stumble:
            for act in (block, block.boxed):
                before = state_of(b)
                with pytest.raises(vs.SizeError, match="'t'"):
                    act(wide, narrow)
                assert state_of(b) == before
            with pytest.raises(vs.SizeError):
                vs.learner("u", wide, narrow, binds="d", into="e")
        made = block.boxed(x, y) + block(x, y) + vs.learner("u", x, binds="d", into="e:e")
        return b.diagram(y=made)

    clean, stumbled = build(stumble=False), build(stumble=True)
    assert [token.name for token, _ in stumbled.tokens] == [t.name for t, _ in clean.tokens]
    assert stumbled == clean


def test_what_a_failed_verb_noted_is_forgotten() -> None:
    """Symmetries and expansions that a call noted before it failed go with its boxes: the
    numbers of their wires belong to other wires afterwards."""

    @vs.diagram
    def gram(x: "n c:n", y: "n c:n") -> "n m:n":
        g = vs.contract(x, x.rename(n="m"), over="c")
        return g + vs.expand(vs.sum(x + y, "c"), "m:n")

    b = Builder()
    x = b.input("x", "n c:n")
    wide, narrow = vs.expand(x, "t:2"), vs.expand(x, "t:3")
    before = state_of(b)
    with pytest.raises(vs.SizeError):
        gram(wide, narrow)
    assert state_of(b) == before
    first, second = vs.exp(x), vs.tanh(x)
    turned = vs.contract(first.rename(c="n", n="c"), second)
    assert turned.id != vs.contract(first, second).id


def test_a_wrong_random_value_names_what_there_is() -> None:
    refused(
        vs.StructureError,
        "noisy has no random source 'z'",
        lambda: noisy.evaluate(torch.ones(2), randoms={"z": torch.ones(2)}),
    )


# -- foreign and hostile texts; `test_serial_hostile.py` has many more ----------------------------


def changed(*path: str | int, value: Any) -> str:
    """The text of an attention with something else at a place."""
    document = json.loads(attention.to_json())
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(document)


def test_a_cycle() -> None:
    """A diagram that is built reads only what exists; a text that reads what is made later, or
    itself, is refused."""
    own = changed("nodes", 0, "from", value=[0, 3])
    later = changed("nodes", 0, "from", value=[0, 5])
    place = "$.nodes[0].from[1]: … made later"
    refused(vs.FormatError, place, lambda: vs.Diagram.from_json(own))
    refused(vs.FormatError, place, lambda: vs.Diagram.from_json(later))


def test_a_foreign_text() -> None:
    other = changed("vesalius", value="graph")
    newer = changed("version", value=2)
    more = changed("nodes", 0, "colour", value="red")
    read = vs.Diagram.from_json
    refused(vs.FormatError, '$.vesalius: expected "diagram"', lambda: read(other))
    refused(vs.FormatError, "$.version: this library reads version 1", lambda: read(newer))
    refused(vs.FormatError, '$.nodes[0]: … "colour"', lambda: read(more))
    refused(vs.FormatError, "$: … ", lambda: read('{"nodes": [], "edges": []}'))
    refused(vs.FormatError, "$: this is not JSON", lambda: read("digraph {}"))


def test_a_hostile_text() -> None:
    huge = changed("inputs", 0, "type", value="{n, c} float").replace(
        '"version": 1', '"version": 1e999'
    )
    digits = huge.replace("1e999", "9" * 5000)
    code = changed("nodes", 0, "kind", value="__import__('os').system('true')")
    formula = changed("inputs", 0, "type", value="{n:__import__('os'), c} float")
    power = changed("inputs", 0, "type", value="{n:9**9**9, c} float")
    read = vs.Diagram.from_json
    refused(vs.FormatError, "$: … nested too deeply", lambda: read("[" * 10**6))
    refused(vs.FormatError, "$: this is not JSON", lambda: read(digits))
    refused(vs.FormatError, "$.version: … too large", lambda: read(huge))
    refused(vs.FormatError, "$.nodes[0].kind: … no kind of box", lambda: read(code))
    refused(vs.FormatError, "$.inputs[0].type: … is not a size", lambda: read(formula))
    refused(vs.FormatError, "$.inputs[0].type: …", lambda: read(power))
