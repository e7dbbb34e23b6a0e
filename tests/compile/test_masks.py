"""Softmax where rows may be all minus infinity: zeros, as the reference has it, and no NaN."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.helpers import fourier, masked_softmax, windows
from vesalius.diagrams.boxes.pointwise import FUNCTIONS

NONE = float("-inf")
sign_log = FUNCTIONS.get("masks_log") or vs.function("masks_log", lambda x: x.abs().log())


def guarded(build):
    """Whether the softmax in what `build` makes of the scores and of masks is guarded."""
    builder = vs.Builder("masked")
    q, k = builder.input("q", "n c"), builder.input("k", "m:n c")
    masks = {
        "mask": builder.input("mask", "n m:n bool"),
        "bias": builder.input("bias", "n m:n"),
    }
    with builder:
        scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
        diagram = builder.diagram(build(scores, masks))
    module = vs.to_torch(diagram, torch.float64, sizes={"n": 5}, seed=0)
    q, k = torch.randn(2, 5, 3, dtype=torch.float64)
    mask = torch.rand(5, 5) < 0.5
    mask[1], mask[3] = False, True
    bias = torch.where(mask, 0.5, NONE).double()
    expected = diagram.evaluate(q, k, mask, bias, sizes={"n": 5}, seed=0)
    assert not expected.isnan().any()
    torch.testing.assert_close(module(q, k, mask, bias), expected)
    return "masked_softmax" in module.source


def causal(scores):
    return vs.where(vs.iota("m:n") <= vs.iota("n"), scores, NONE)


def strictly(scores):
    return vs.where(vs.iota("m:n") < vs.iota("n"), scores, NONE)


def later(scores):
    return vs.where(vs.iota("n") < vs.iota("m:n"), NONE, scores)


def turned(scores):
    return scores.rename(n="m", m="n")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda s, i: vs.softmax(s, "m"), False),
        (lambda s, i: vs.softmax(vs.tanh(s + i["bias"]) * 2, "m"), False),
        (lambda s, i: vs.softmax(vs.where(i["mask"], s, NONE), "m"), True),
        (lambda s, i: vs.softmax(vs.where(i["mask"], s, -1e9), "m"), False),
        (lambda s, i: vs.softmax(s + i["bias"], "m"), True),
        (lambda s, i: vs.softmax(2 * (s + i["bias"]) + 1, "m"), True),
        (lambda s, i: vs.softmax(i["bias"], "m"), True),
        (lambda s, i: vs.softmax(s + vs.log(vs.to_float(i["mask"])), "m"), True),
        (lambda s, i: vs.softmax(s + sign_log(vs.to_float(i["mask"])), "m"), True),
        (lambda s, i: vs.softmax(vs.pad(s, "m", 1, 0, NONE), "m"), True),
        (lambda s, i: vs.softmax(s * vs.parameter("tau", "n"), "m"), False),
        (lambda s, i: vs.softmax(s + vs.parameter("b", "n m:n", trainable=False), "m"), True),
        # Causal masks leave the diagonal, along either of their axes and along no other.
        (lambda s, i: vs.softmax(causal(s), "m"), False),
        (lambda s, i: vs.softmax(causal(s), "n"), False),
        (lambda s, i: vs.softmax(causal(s), "n m"), False),
        (lambda s, i: vs.softmax(causal(s) * 2 + s * 0, "m"), False),
        (lambda s, i: vs.softmax(vs.maximum(causal(s), s), "m"), False),
        (lambda s, i: vs.softmax(later(s), "m"), False),
        (lambda s, i: vs.softmax(vs.where(vs.equal(vs.iota("n"), vs.iota("m:n")), s, NONE), "m"),
         False),
        (lambda s, i: vs.softmax(strictly(s), "m"), True),
        (lambda s, i: vs.softmax(vs.where(i["mask"], causal(s), NONE), "m"), True),
        (lambda s, i: vs.softmax(causal(s + i["bias"]), "m"), True),
        (lambda s, i: vs.softmax(causal(s) + i["bias"], "m"), True),
        (lambda s, i: vs.softmax(strictly(s) + turned(causal(s)), "m"), True),
        (lambda s, i: vs.softmax(causal(vs.expand(s, "h:2") + 0 * vs.iota("h:2")), "h"), True),
        (lambda s, i: vs.softmax(vs.slice(causal(s), "m", 1, into="k"), "k"), True),
    ],
)  # fmt: skip
def test_a_guard_stands_where_a_row_may_be_hidden(build, expected) -> None:
    assert guarded(build) == expected


def test_a_causal_mask_for_more_keys_than_queries_is_guarded() -> None:
    @vs.diagram
    def cached(q: "n c", k: "m c") -> "n m":
        mask = vs.iota("m") <= vs.iota("n")
        return vs.softmax(vs.where(mask, vs.contract(q, k, over="c"), NONE), "m")

    assert "masked_softmax" in vs.to_torch(cached).source


@pytest.mark.parametrize("over", ["m", "n", "n m"])
def test_gradients_at_hidden_rows_are_zero(over) -> None:
    @vs.diagram
    def weights(scores: "n m", bias: "n m") -> "n m":
        return vs.softmax(scores + bias, "m")

    diagram = weights if over == "m" else None
    if diagram is None:
        builder = vs.Builder("weights")
        a, b = builder.input("scores", "n m"), builder.input("bias", "n m")
        diagram = builder.diagram(vs.softmax(a + b, over))
    module = vs.to_torch(diagram, torch.float64)
    bias = torch.zeros(4, 4, dtype=torch.float64)
    bias[1], bias[:, 2] = NONE, NONE
    if over == "n m":
        bias[:] = NONE
    scores = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    weigh = torch.randn(4, 4, dtype=torch.float64)
    (module(scores, bias) * weigh).sum().backward()
    theirs = scores.detach().clone().requires_grad_()
    (diagram.evaluate(theirs, bias) * weigh).sum().backward()
    assert scores.grad.isfinite().all()
    torch.testing.assert_close(scores.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    assert scores.grad[bias == NONE].eq(0).all()


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1), st.integers(0, 2**20))
def test_masked_softmax(n, m, dim, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, m, generator=generator, dtype=torch.float64)
    x[torch.rand(n, m, generator=generator) < 0.6] = NONE
    found, plain = masked_softmax(x, dim), torch.softmax(x, dim)
    assert torch.equal(found, plain.nan_to_num(0.0))
    x[x == NONE] = math.nan
    assert torch.equal(masked_softmax(x, dim).isnan(), torch.softmax(x, dim).isnan())


@given(*(st.integers(1, 3) for _ in range(3)), st.integers(0, 9), st.integers(0, 1))
def test_windows(width, stride, dilation, length, dim) -> None:
    x = torch.randn(length, length)
    count = (length - (width - 1) * dilation - 1) // stride + 1
    if count < 0:
        return
    found = windows(x, dim, count, width, stride, dilation)
    x = x.movedim(dim, 0)
    at = stride * torch.arange(count)[:, None] + dilation * torch.arange(width)
    assert torch.equal(found.movedim(dim, 0), x[at].movedim(2, 1))


@given(st.integers(0, 5), st.integers(0, 3), st.integers(0, 1), st.booleans())
def test_fourier(n, m, dim, inverse) -> None:
    real, imaginary = torch.randn(2, n, m, dtype=torch.float64)
    found = torch.complex(*fourier(real, imaginary, dim, inverse))
    length = (n, m)[dim]
    at = torch.arange(length, dtype=torch.float64)
    turns = torch.exp((2j if inverse else -2j) * math.pi * at[:, None] * at / max(length, 1))
    expected = torch.tensordot(torch.complex(real, imaginary), turns, ([dim], [0])).movedim(-1, dim)
    torch.testing.assert_close(found, expected / length if inverse and length else expected)


def test_fourier_of_small_floats() -> None:
    x = torch.randn(8, dtype=torch.bfloat16)
    real, imaginary = fourier(x, torch.zeros_like(x), 0)
    assert real.dtype == imaginary.dtype == torch.bfloat16
    torch.testing.assert_close(real.float(), torch.fft.fft(x.float()).real, rtol=0.02, atol=0.02)


def test_the_keys_of_a_query_lie_together_in_a_bias() -> None:
    """GPUs have no fused kernel for a bias that lies otherwise, as one by heads last does."""

    @vs.diagram
    def biased(q: "h n c", k: "h m c", v: "h m e", table: "o h", at: "n m int") -> "h n e":
        scores = vs.contract(q, k, over="c") + vs.gather(table, at, over="o")
        return vs.contract(vs.softmax(scores, "m"), v, over="m")

    masks = []

    def seen(q, k, v, attn_mask=None, **named):
        masks.append(attn_mask)
        return works(q, k, v, attn_mask, **named)

    works = torch.nn.functional.scaled_dot_product_attention
    module = vs.to_torch(biased, prefer=["scaled_dot_product_attention"])
    tensors = [torch.randn(s) for s in ((2, 5, 4), (2, 7, 4), (2, 7, 4), (3, 2))]
    inputs = [*tensors, torch.randint(3, (5, 7))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", seen)
        found = module(*inputs)
    (mask,) = masks
    assert mask.stride(-1) == 1
    torch.testing.assert_close(found.double(), biased.evaluate(*inputs), rtol=1e-4, atol=1e-5)
