"""Verbs and element types: what is wrong, where in the user's code, nothing left half built."""

from __future__ import annotations

import numpy as np
import torch
from refusals import (
    attention,
    refused,
    refused_tracing,
    three,
)

import vesalius as vs
from vesalius.diagrams.builder import Builder

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
