"""Attention whose weights or norms are spelled out in many factors takes the same kernel."""

import pytest
import torch
from test_spellings import SDPA, SIZES, as_softmax, dot, tensors

import vesalius as vs
from vesalius import testing
from vesalius.compile.choose import chosen

torch.set_num_threads(1)


def with_the_maximum_in_the_logarithm(q, k, v, u, keep):
    scores = dot(q, k) + u
    largest = vs.max(scores, "m")
    total = largest + vs.log(vs.sum(vs.exp(scores - largest), "m"))
    return vs.contract(vs.exp(scores - total), v, over="m")


def product_of_exponentials(q, k, v, u, keep):
    e = vs.exp(dot(q, k)) * vs.exp(u)
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


def factors_of_two_contractions(q, k, v, u, keep):
    e, kept = vs.exp(dot(q, k)), vs.to_float(keep)
    return vs.contract(kept, e, v, over="m") / vs.contract(e, kept, over="m")


def hidden_after_the_softmax(q, k, v, u, keep):
    weights = vs.where(keep, vs.softmax(dot(q, k) + u, "m"), 0.0)
    return vs.contract(weights / vs.sum(weights, "m"), v, over="m")


def hidden_and_divided_late(q, k, v, u, keep):
    weights = vs.softmax(dot(q, k), "m") * vs.where(vs.iota("n") < vs.iota("m"), 0.0, 1.0)
    return vs.contract(weights, v, over="m") / vs.sum(weights, "m")


def hidden_by_a_logarithm(q, k, v, u, keep):
    shown = vs.to_float(vs.iota("m") <= vs.iota("n"))
    return as_softmax(dot(q, k) + vs.log(shown), v)


def exponentials_times_a_number(q, k, v, u, keep):
    e = 3 * vs.exp(dot(q, k))
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


WRITTEN = [
    with_the_maximum_in_the_logarithm, product_of_exponentials, factors_of_two_contractions,
    hidden_after_the_softmax, hidden_and_divided_late, hidden_by_a_logarithm,
    exponentials_times_a_number,
]  # fmt: skip


@vs.diagram
def gains(q: "h n c", k: "h m c", v: "h m e", gain: "c") -> "h n e":
    """Norms of queries and of keys with one gain."""

    def norm(x):
        return x * gain / vs.sqrt(vs.mean(x * x, "c") + 1e-6)

    return as_softmax(dot(norm(q), norm(k)) / vs.sqrt(vs.size("c")), v)


@vs.diagram
def one_gain_often(q: "h n c", k: "h m c", v: "h m e", gain: "c") -> "h n e":
    return as_softmax(vs.contract(q, gain, gain, gain, k, over="c"), v)


def diagram_of(body):
    @vs.diagram(name=body.__name__)
    def attention(q: "h n c", k: "h m c", v: "h m e", u: "m", keep: "m bool") -> "h n e":
        return body(q, k, v, u, keep)

    return attention


DIAGRAMS = [*map(diagram_of, WRITTEN), gains, one_gain_often]


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda d: d.name)
def test_the_kernel_and_the_numbers(diagram) -> None:
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == [SDPA], module.explain()
    for seed in range(4):
        variant = testing.alpha_variant(diagram, seed)
        assert chosen(variant).choices.kernels == chosen(variant.unfold()).choices.kernels == [SDPA]
    for sizes in (SIZES, {**SIZES, "n": 1}, {**SIZES, "n": 1, "m": 1}):
        inputs = tensors(diagram, sizes)
        for x in inputs[4:]:
            x[0] = True  # no row is hidden whole
        for x in inputs:
            x.requires_grad_(x.dtype == torch.float64)
        expected, found = diagram.evaluate(*inputs), module(*inputs)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        floats = [x for x in inputs if x.requires_grad]
        upstream = torch.randn_like(expected)
        ours, theirs = (
            torch.autograd.grad(y, floats, upstream, allow_unused=True, materialize_grads=True)
            for y in (found, expected)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)
