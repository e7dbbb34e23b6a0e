"""Checking two torch modules or functions: values, gradients, shapes."""

import math
import sys
import types

import pytest
import torch

from vesalius.rewrite.check import check


def test_equal_modules_pass_and_are_left_as_they_are():
    q, k, v = torch.randn(2, 5, 4), torch.randn(2, 6, 4), torch.randn(2, 6, 3)

    def by_hand(q, k, v):
        return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v

    module = torch.nn.Linear(4, 4)
    verdict = check((torch.nn.functional.scaled_dot_product_attention, by_hand), inputs=(q, k, v))
    assert verdict, str(verdict)
    assert verdict.mark == "sampled"
    assert check((module, torch.nn.Sequential(module)), inputs=[(q,), (k,)])
    assert module.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (torch.tanh, torch.sin),
        (torch.relu, torch.abs),
        (lambda x: x.clamp(max=500.0), lambda x: x),
        (lambda x: x, lambda x: x * (1 + 1e-10)),
    ],
)
def test_different_modules_fail_with_a_counterexample(left, right):
    verdict = check((left, right), inputs=torch.rand(4))
    assert not verdict
    one, other = (f(*verdict.counterexample.inputs) for f in (left, right))
    assert not torch.equal(one, other)


def test_a_counterexample_of_modules_that_can_be_imported_is_a_script():
    verdict = check((torch.tanh, torch.sin), inputs=torch.randn(3))
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_modules_that_draw_random_numbers_are_not_compared():
    verdict = check((torch.nn.Dropout(), torch.nn.Identity()), inputs=torch.ones(50))
    assert not verdict
    assert verdict.mark == "outside"
    assert "random" in verdict.reason
    assert check((torch.nn.Dropout().eval(), torch.nn.Identity()), inputs=torch.ones(50))


def test_modules_with_integer_inputs_and_their_own_precision():
    table = torch.randn(7, 3)
    tokens = torch.randint(7, (2, 5))
    module = torch.nn.Embedding(7, 3, _weight=table)
    verdict = check((module, lambda x: table.double()[x]), inputs=(tokens,))
    assert verdict, str(verdict)

    def single(x):
        return x.float() @ table.T

    def by_einsum(x):
        return torch.einsum("nc,vc->nv", x.float(), table)

    verdict = check((single, by_einsum), inputs=torch.randn(4, 3))
    assert verdict, str(verdict)


class Twice(torch.autograd.Function):
    """Doubles, and says that its gradient is 3."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient


def test_gradients_are_compared_too():
    def right(x):
        return x + x

    verdict = check((Twice.apply, right), inputs=torch.randn(3))
    assert not verdict
    assert "gradients differ" in verdict.reason
    assert verdict.counterexample.gradient
    verdict = check((torch.nn.functional.silu, lambda x: x * x.sigmoid()), inputs=torch.randn(3))
    assert verdict
    assert [(tier.name, tier.outcome) for tier in verdict.tiers] == [
        ("floats", "equal"),
        ("gradients", "equal"),
    ]


def test_a_wrong_gradient_is_shown_by_a_script(monkeypatch):
    steps = types.ModuleType("steps")
    exec(
        "import torch\n"
        "def detached(x):\n    return x + x.detach()\n"
        "def doubled(x):\n    return 2 * x\n",
        vars(steps),
    )
    steps.detached.__module__ = steps.doubled.__module__ = "steps"
    monkeypatch.setitem(sys.modules, "steps", steps)
    verdict = check((steps.detached, steps.doubled), inputs=torch.rand(2))
    assert not verdict
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_side_without_a_gradient_is_noted():
    verdict = check((torch.Tensor.detach, torch.Tensor.clone), inputs=torch.randn(2))
    assert verdict
    assert verdict.notes[0].startswith("the left side has no gradient: ")


def test_shapes_that_differ_are_a_reason():
    verdict = check((torch.sum, torch.exp), inputs=torch.randn(3))
    assert not verdict
    assert "shapes" in verdict.reason
