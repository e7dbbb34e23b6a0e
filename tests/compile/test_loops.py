"""Kernels in the bodies of scans that stay loops."""

import pytest
import torch

import vesalius as vs

torch.set_num_threads(1)


@vs.diagram
def read(q: "n c", k: "m c", v: "m c") -> "n c":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), "m"), v, over="m")


@vs.diagram
def look(q: "n c", k: "m c", v: "m c") -> {"q": "n c"}:
    """A query that is moved to what it reads, by a function that is no sum."""
    return {"q": vs.tanh(q + read(q, k, v))}


@vs.diagram
def compete(q: "n c", k: "m c", v: "m c") -> {"q": "n c"}:
    weights = vs.softmax(vs.contract(q, k, over="c"), "n") + 1e-8
    weights = weights / vs.sum(weights, "m")
    return {"q": vs.tanh(q + vs.contract(weights, v, over="m"))}


def turns(body):
    @vs.diagram
    def looking(q: "h n c", k: "h m c", v: "h m c") -> "h n c":
        (found,) = vs.scan(body, over="turn", states=[q], captured=[k, v], length=3)
        return found

    return looking


@vs.diagram
def tokens(x: "t n c", k: "m c", v: "m c", q: "n c") -> "t n c":
    """A loop along an axis of the input, the reads of which are collected."""

    @vs.diagram
    def step(state: "n c", entry: "n c", k: "m c", v: "m c") -> {"state": "n c", "read": "n c"}:
        made = read(state, k, v)
        return {"state": vs.tanh(made + entry), "read": made}

    _, collected = vs.scan(step, over="t", states=[q], sequences=[x], captured=[k, v])
    return collected


CASES = [
    (turns(look), "scaled_dot_product_attention"),
    (turns(compete), "tiles"),
    (tokens, "scaled_dot_product_attention"),
]


NAMES = ["reads", "competes", "collects"]
each = pytest.mark.parametrize(("diagram", "kernel"), CASES, ids=NAMES)


def inputs_for(diagram, dtype=torch.float64):
    sizes = {"n": 5, "m": 7, "c": 3, "h": 2, "t": 4}
    generator = torch.Generator().manual_seed(0)
    shapes = [[s.at(sizes) for s in t.axes.values()] for t in diagram.input_types.values()]
    return [torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes]


def with_gradients(function, inputs):
    given = [x.clone().requires_grad_() for x in inputs]
    y = function(*given)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return [y.detach(), *torch.autograd.grad(y, given, dy)]


@each
def test_a_kernel_stands_in_a_loop(diagram, kernel):
    module, inputs = vs.to_torch(diagram, dtype=torch.float64), inputs_for(diagram)
    explanation = module.explain()
    assert kernel in explanation.kernels, str(explanation)
    assert "a loop over positions" in str(explanation)
    wanted = with_gradients(diagram.evaluate, inputs)
    for one, other in zip(with_gradients(module, inputs), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@each
def test_the_same_kernels_are_found_in_named_boxes(diagram, kernel):
    folded = diagram.fold("one_box")
    closed, opened = (vs.to_torch(one, torch.float64) for one in (folded, diagram.unfold()))
    assert kernel in closed.explain().kernels
    assert closed.explain().kernels == opened.explain().kernels
    inputs = inputs_for(diagram)
    torch.testing.assert_close(closed(*inputs), opened(*inputs), rtol=1e-12, atol=1e-12)


def test_a_loop_in_a_loop():
    @vs.diagram
    def outer(q: "n c", k: "m c", v: "m c") -> {"q": "n c"}:
        (found,) = vs.scan(look, over="inner", states=[q], captured=[k, v], length=2)
        return {"q": vs.sin(found)}

    module = vs.to_torch(turns(outer), dtype=torch.float64)
    assert "in look in outer" in str(module.explain())
    inputs = inputs_for(turns(outer))
    wanted = turns(outer).evaluate(*inputs)
    torch.testing.assert_close(module(*inputs), wanted, rtol=1e-9, atol=1e-9)


def test_a_forbidden_kernel_stands_in_no_loop():
    module = vs.to_torch(turns(look), torch.float64, forbid=["scaled_dot_product_attention"])
    assert "scaled_dot_product_attention" not in module.explain().kernels
    inputs = inputs_for(turns(look))
    wanted = turns(look).evaluate(*inputs)
    torch.testing.assert_close(module(*inputs), wanted, rtol=1e-9, atol=1e-9)


def test_a_loop_without_kernels_keeps_its_body():
    @vs.diagram
    def step(x: "n") -> {"x": "n"}:
        return {"x": vs.sin(x)}

    @vs.diagram
    def waves(x: "n") -> "n":
        return vs.scan(step, over="turn", states=[x], length=3)[0]

    module = vs.to_torch(waves)
    assert module.explain().kernels == []
    assert module.chosen == waves
