"""What people bring from torch and numpy, and what they are told to write instead."""

import math

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius.diagrams.builder import Builder


def told(kind, words, act):
    with pytest.raises(kind) as caught:
        act()
    assert words in str(caught.value)
    assert "\n  at test_habits.py:" in str(caught.value)


def wire():
    return Builder().input("x", "n c")


@pytest.mark.parametrize(
    ("habit", "instead"),
    [
        (lambda x: x.T, "a wire has no .T; axes have names, no order: no transpose is needed"),
        (lambda x: x.transpose(0, 1), "no transpose is needed"),
        (lambda x: x.permute(1, 0), "no transpose is needed"),
        (lambda x: x.unsqueeze(0), "nothing needs to be broadcast"),
        (lambda x: x.shape, "x.axes has the sizes"),
        (lambda x: x.view(2, -1), "vs.split(x, 'd', 'h c')"),
        (lambda x: x.reshape(2, -1), "vs.merge(x, 'h c', 'd')"),
        (lambda x: x.softmax(-1), "write vs.softmax(x, over='n')"),
        (lambda x: x.exp(), "write vs.exp(x)"),
        (lambda x: x.anything, "the verbs of vs make wires of wires"),
        (lambda x: x @ x, "vs.contract(x, y, over='c')"),
        (lambda x: torch.ones(2, 2) @ x, "vs.contract(x, y, over='c')"),
        (lambda x: x[0], "vs.slice(x, 'n', 0, 1)"),
        (lambda x: len(x), "x.axes['n']"),
        (lambda x: math.sqrt(x), "math computes with numbers"),
        (lambda x: math.exp(x), "vs has verbs, as vs.exp(x)"),
        (lambda x: int(x), "write vs.to_int(x)"),
        (lambda x: math.trunc(x), "write vs.to_int(x)"),
        (lambda x: round(x), "write vs.floor(x + 0.5)"),
        (lambda x: round(x, 2), "write vs.floor(x + 0.5)"),
        (lambda x: math.ceil(x), "write -vs.floor(-x)"),
        (lambda x: max(x), "vs.max(x, over='n')"),
        (lambda x: sum(x), "vs.sum(x, over='n')"),
        (lambda x: max(x, 0), "vs.maximum(x, y)"),
        (lambda x: min(x, x), "vs.minimum(x, y)"),
        (lambda x: x > 0 and x < 1, "& and | for and and or"),
        (lambda x: x == 0, "write vs.equal(x, 0)"),
        (lambda x: vs.where(x == wire(), x, x), "where takes wires, not False"),
        (lambda x: vs.to_float(x == wire()), "write vs.equal(x, y)"),
        (lambda x: x.__setitem__(0, 1), "a wire never changes"),
        (lambda x: x ^ 2, "a power is x**2"),
        (lambda x: 2**x, "vs.exp(x * math.log(b))"),
        (lambda x: x**x, "y**x is vs.exp(x * vs.log(y))"),
        (lambda x: np.exp(x), "numpy's exp computes with arrays"),
        (lambda x: np.maximum(x, 0), "write vs.maximum(x, y)"),
        (lambda x: np.sum(x), "write vs.sum(x, over='n')"),
        (lambda x: np.add.reduce(x), "write vs.sum(x, over='n')"),
        (lambda x: np.einsum("nc->n", x), "write vs.contract(x, y, over='c')"),
        (lambda x: np.concatenate([x, x]), "write vs.concat(x, y, over='n')"),
        (lambda x: np.ones((2, 2)) @ x, "vs.contract(x, y, over='c')"),
        (lambda x: np.float64(2) ** x, "write vs.power(x, y)"),
        (lambda x: np.array(x), "numpy makes arrays of numbers"),
        (lambda x: torch.where(x > 0, x, x), "write vs.where(condition, x, y)"),
        (lambda x: torch.cumsum(x, 0), "write vs.scan(body, over='n', ...)"),
        (lambda x: torch.nn.functional.softmax(x, dim=-1), "write vs.softmax(x, over='n')"),
        (lambda x: torch.einsum("nc,mc->nm", x, x), "write vs.contract(x, y, over='c')"),
        (lambda x: torch.relu(x), "torch's relu computes with tensors"),
        (lambda x: torch.relu(x), "write vs.relu(x)"),
        (lambda x: torch.softmax(x, -1), "write vs.softmax(x, over='n')"),
        (lambda x: torch.matmul(x, x), "vs.contract(x, y, over='c')"),
        (lambda x: torch.cat([x, x]), "vs.concat(x, y, over='n')"),
        (lambda x: torch.nn.functional.gelu(x), "write vs.gelu(x)"),
        (lambda x: torch.nn.Linear(2, 2)(x), "vs.linear(x, 'd', 'e', name='w')"),
    ],
)
def test_a_wire_is_no_tensor(habit, instead):
    told(vs.StructureError, instead, lambda: habit(wire()))


def test_what_a_wire_lacks_is_not_there():
    assert not hasattr(wire(), "T")
    assert getattr(wire(), "shape", None) is None


def in_a_list(x):
    with x.builder:
        vs.concat([x, x], over="c")


@pytest.mark.parametrize(
    ("habit", "instead"),
    [
        (lambda x: vs.softmax(x, dim=-1), "softmax takes over=, not dim=: axes have names"),
        (lambda x: vs.sum(x, axis=1), "sum takes over=, not axis="),
        (lambda x: vs.mean(x, dim=1), "mean takes over=, not dim="),
        (lambda x: vs.contract(x, x, dim=1), "contract takes over=, not dim="),
        (lambda x: vs.split(x, dim=1), "split takes axis=, not dim="),
        (lambda x: vs.contract(x, x, ovr="c"), "no option 'ovr'; did you mean 'over'?"),
        (lambda x: vs.softmax(x), "softmax: missing a required argument: 'over'"),
        (lambda x: vs.linear(x, "c"), "linear: missing a required argument: 'into'"),
        (lambda x: vs.max(x, x), "take vs.maximum(x, y)"),
        (lambda x: vs.min(x, x), "take vs.minimum(x, y)"),
        (in_a_list, "not a list: wires are given one by one"),
        (lambda x: vs.softmax(torch.ones(9, 9), "c"), "not Tensor of shape (9, 9): a diagram is"),
        (lambda x: x + torch.ones(9, 9), "add takes wires and numbers, not Tensor of shape (9, 9)"),
    ],
)
def test_a_verb_that_is_called_otherwise_says_how(habit, instead):
    told(vs.TypeClash, instead, lambda: habit(wire()))


@pytest.mark.parametrize("axes", [-1, 0, None])
def test_an_axis_is_no_number(axes):
    told(vs.AxisError, "axes are named by a text", lambda: vs.softmax(wire(), axes))


def test_a_renaming_says_which_axis():
    told(vs.AxisError, "x.rename(n='m')", lambda: wire().rename("n", "m"))


def test_what_python_asks_of_numbers_and_wires_have():
    x = Builder().input("x", "n")
    assert abs(x).id == vs.abs(x).id
    assert math.floor(x).id == vs.floor(x).id
    assert (+x).id == x.id
    assert x == x
    assert x not in (None, vs.exp(x))
    k = Builder().input("k", "n int")
    assert (k // 2).id == vs.floor_divide(k, 2).id
    assert (k % 2).id == vs.remainder(k, 2).id


def test_numbers_of_numpy_stand_on_either_side():
    x, two = Builder().input("x", "n"), np.float64(2)
    for found, wanted in (
        (two * x, 2.0 * x), (two + x, 2.0 + x), (two - x, 2.0 - x), (two / x, 2.0 / x),
        (two < x, x > 2.0), (two <= x, x >= 2.0), (two > x, x < 2.0), (two >= x, x <= 2.0),
        (x * two, x * 2.0), (x - two, x - 2.0), (np.int64(3) * x, 3 * x),
    ):  # fmt: skip
        assert found.id == wanted.id


def test_a_rule_without_a_grade_is_told_to_have_one():
    def one(x: "n") -> "n":
        return x, x

    told(vs.FormatError, 'write @vs.rule("equal")', lambda: vs.rule(one))


def test_sizes_that_a_diagram_lacks_are_not_evaluated_with():
    told(vs.SizeError, "layer has no size 'm'; it has n, d",
         lambda: layer.evaluate(torch.ones(2, 3), sizes={"m": 3}))  # fmt: skip


def test_a_mechanism_is_asked_for_by_its_name():
    told(vs.VesaliusError, "a mechanism has a name", lambda: vs.anatomy.CATALOGUE[LINEAR])
    assert LINEAR not in vs.anatomy.CATALOGUE


# -- where ----------------------------------------------------------------------------------------


def place(make):
    with pytest.raises(vs.VesaliusError) as caught:
        make()
    return str(caught.value).rpartition("\n  at ")[2]


def test_a_wrong_output_is_where_the_function_returns():
    def short():
        @vs.diagram
        def wrong(x: "n d") -> "n":
            y = vs.exp(x)
            return vs.tanh(y)

    def long():
        @vs.diagram
        def wrong(x: "n d") -> "n":
            y = vs.exp(x)
            return vs.tanh(
                y,
            )

    def none():
        @vs.diagram
        def wrong(x: "n d") -> "n":
            vs.exp(x)

    def several():
        @vs.diagram
        def wrong(x: "n d") -> "n":
            if x.dtype == "int":
                return vs.exp(x)
            return x

    assert place(short).endswith(": return vs.tanh(y)")
    assert place(long).endswith(": return vs.tanh(")
    assert place(none).endswith(": vs.exp(x)")
    assert place(several).endswith(": @vs.diagram")  # which of them, nobody knows


def test_an_argument_whose_type_is_wrong_is_named():
    def twice(x: "n n") -> "n":
        return x

    def result(x: "n") -> "n n":
        return x

    def tensor(x: torch.Tensor) -> "n":
        return x

    for function, words in (
        (twice, "twice: the argument 'x': the axis 'n' stands twice in the type 'n n'"),
        (result, "result: the result: the axis 'n' stands twice in the type 'n n'"),
        (tensor, "tensor: the argument 'x': an array type is a text such as 'n c'"),
    ):
        told(vs.VesaliusError, words, lambda function=function: vs.diagram(function))


# -- what is no diagram ---------------------------------------------------------------------------


@vs.diagram
def hole(x: "n d") -> "n d":
    return vs.learner("u", x, binds="d", into="d")


@vs.diagram
def layer(x: "n d") -> "n d":
    return vs.exp(x)


def function(x):
    return x


LINEAR = vs.anatomy["linear"]


@pytest.mark.parametrize(
    "verb",
    [
        vs.draw,
        vs.grad,
        vs.cost,
        vs.evaluate,
        vs.search,
        vs.derive,
        vs.to_torch,
        lambda x: hole.fill(u=x),
        lambda x: layer >> x,
        lambda x: layer @ x,
        lambda x: vs.scan(x, over="n", states=[wire()]),
    ],
)
@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (LINEAR, "takes a diagram, not Mechanism linear; call it first: vs.anatomy['linear']()"),
        ("linear", "takes a diagram, not the text 'linear'; a mechanism of the catalogue is"),
        (function, "takes a diagram, not the function function; @vs.diagram makes a diagram of it"),
        (vs.to_torch(layer), "takes a diagram, not Layer; take its .diagram"),
        (vs.derive(layer), "takes a diagram, not Derivation; take its .start or its .end"),
        (3, "takes a diagram, not int"),
    ],
)
def test_what_is_no_diagram_is_told_how_to_become_one(verb, thing, words):
    told(vs.StructureError, words, lambda: verb(thing))


def test_steps_that_are_no_moves():
    for thing, kind in (([1], "list"), (function, "function"), ((function, 1), "function")):
        told(
            vs.StructureError,
            f"a step is a rule, a schema, a move or a pair (rule, number of the match), not {kind}",
            lambda thing=thing: vs.derive(layer, thing),
        )


def test_other_wrong_arguments():
    told(vs.StructureError, "dtype is one of torch's, as torch.float64, not 'float32'",
         lambda: vs.to_torch(layer, dtype="float32"))  # fmt: skip
    told(vs.StructureError, "there is no device 'tpu' here",
         lambda: vs.to_torch(layer, device="tpu"))  # fmt: skip
    told(vs.TypeClash, "a pair: vs.check((one, other))", lambda: vs.check(layer, layer))
    told(vs.StructureError, "examine takes a mechanism of the catalogue or its name, not Diagram",
         lambda: vs.examine(layer))  # fmt: skip
    told(vs.FormatError, "linear(...) builds a diagram, and its options have names",
         lambda: LINEAR(torch.ones(2, 3)))  # fmt: skip
    told(vs.FormatError, "traces a function, not str", lambda: vs.diagram("attention"))
    told(vs.FormatError, "traces a function, not Diagram", lambda: vs.diagram(layer))
