"""Softmax attention in any spelling: the same kernel, and the same numbers as the reference."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spellings import (
    ALL,
    CAUSAL,
    NORMALISERS,
    SCORES,
    SDPA,
    SIZES,
    alibi,
    as_softmax,
    causal,
    causal_and_padded,
    cosine,
    dot,
    grouped,
    on_exponentials,
    on_scores,
    padded,
    safe_exponentials,
    spelled,
    tensors,
    times_indicator,
    two_products,
    unmasked,
)

import vesalius as vs
from vesalius import testing
from vesalius.compile.choose import chosen

torch.set_num_threads(1)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("mask", [unmasked, *CAUSAL])
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_every_spelling_takes_the_same_kernel(score, mask, normaliser) -> None:
    diagram = spelled(score, mask, normaliser).over("b h")
    module = vs.to_torch(diagram, torch.float64)
    variant = "" if mask is unmasked else "(causal)"
    boxes = [n.box["name"] for n in module.chosen.nodes if n.box.kind.name == "named"]
    assert boxes == [SDPA + variant], module.explain()
    inputs = tensors(diagram, SIZES)
    torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs), rtol=1e-9, atol=1e-9)


def test_choice_sees_neither_names_nor_boxes_nor_orders() -> None:
    @vs.diagram
    def weights(s: "m") -> "m":
        return vs.exp(s - vs.max(s, "m")) / vs.sum(vs.exp(s - vs.max(s, "m")), "m")

    @vs.diagram
    def similarity(q: "c", k: "c") -> "":
        return vs.contract(q, k, over="c") * 0.5

    @vs.diagram
    def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        w = weights.boxed(causal(similarity.boxed(q, k)))
        return vs.contract(v, w, over="m")

    diagram = attention.over("b h").fold("layer")
    plain = [n.box["name"] for n in chosen(diagram.unfold()).diagram.nodes if named(n)]
    assert plain == [f"{SDPA}(causal)"]
    for seed in range(20):
        variant = testing.alpha_variant(diagram, seed)
        for one in (variant, variant.unfold()):
            assert chosen(one).choices.kernels == [SDPA]


def named(node):
    return node.box.kind.name == "named"


@pytest.mark.parametrize("diagram", ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("tubes", ["", "b"])
def test_what_goes_into_the_operands(diagram, tubes) -> None:
    diagram = diagram.over(tubes) if tubes else diagram
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels.count(SDPA) == 1, module.explain()
    assert "softmax" not in module.source
    for sizes in (SIZES, {**SIZES, "n": 1}, {**SIZES, "m": 1, "c": 1}, {**SIZES, "e": 3, "h": 1}):
        inputs = tensors(diagram, sizes)
        expected = diagram.evaluate(*inputs)
        # What was spelled out has no value in a row that is hidden whole; zeros by definition.
        expected = expected.nan_to_num(0.0)
        torch.testing.assert_close(module(*inputs), expected, rtol=1e-9, atol=1e-9)
    for lengths in ({**SIZES, "b": 0}, {**SIZES, "n": 0}):
        inputs = tensors(diagram, lengths)
        assert module(*inputs).shape == diagram.evaluate(*inputs).shape


@pytest.mark.parametrize("diagram", ALL, ids=lambda d: d.name)
def test_the_chosen_diagram_means_the_same(diagram) -> None:
    inputs = tensors(diagram, SIZES)
    kernels = chosen(diagram).diagram
    expected = diagram.evaluate(*inputs).nan_to_num(0.0)
    torch.testing.assert_close(kernels.evaluate(*inputs), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("diagram", ALL, ids=lambda d: d.name)
def test_gradients(diagram) -> None:
    module, inputs = vs.to_torch(diagram, torch.float64), tensors(diagram, SIZES)
    for x in inputs:
        x.requires_grad_(x.dtype == torch.float64)
    floats = [x for x in inputs if x.requires_grad]
    if diagram in (on_exponentials, times_indicator):  # rows need an entry
        inputs[3] = torch.ones_like(inputs[3])
    out = module(*inputs)
    upstream = torch.randn_like(out)
    found = torch.autograd.grad(out, floats, upstream, allow_unused=True)
    wanted = torch.autograd.grad(diagram.evaluate(*inputs), floats, upstream, allow_unused=True)
    for x, one, other in zip(floats, found, wanted, strict=True):
        one, other = (torch.zeros_like(x) if g is None else g for g in (one, other))
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


# -- numbers ------------------------------------------------------------------------------------


def test_a_row_that_is_hidden_whole_is_zero_and_has_no_gradient() -> None:
    module = vs.to_torch(padded.over("b"), torch.float64)
    inputs = tensors(padded.over("b"), SIZES)
    inputs[3][0] = False
    for x in inputs[:3]:
        x.requires_grad_()
    out = module(*inputs)
    assert torch.equal(out[0], torch.zeros_like(out[0]))
    assert out[1].abs().min() > 0
    for gradient in torch.autograd.grad(out.square().sum(), inputs[:3]):
        assert gradient.isfinite().all()
        assert torch.equal(gradient[0], torch.zeros_like(gradient[0]))


@pytest.mark.parametrize("magnitude", [1e-3, 1e2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("diagram", [spelled(on_scores, causal, safe_exponentials), cosine, alibi])
def test_magnitudes(diagram, dtype, magnitude) -> None:
    torch.manual_seed(0)
    inputs = tensors(diagram, {**SIZES, "n": 9, "m": 9}, dtype)
    inputs[0] = inputs[0] * magnitude
    found = vs.to_torch(diagram, dtype)(*inputs)
    expected = diagram.evaluate(*(x.double() for x in inputs))
    assert found.dtype == dtype
    # Rounding of scores moves weights in proportion to the scores, until the largest has all.
    score = (inputs[0].double().abs().max() * inputs[1].double().abs().max()) * 4
    tolerance = torch.finfo(dtype).eps * (4 + min(float(score), 60.0))
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_positions_are_exact_in_bfloat16() -> None:
    length = 3000
    sizes = {**SIZES, "n": length, "m": length, "h": 1}
    torch.manual_seed(0)
    q, k, v, _ = tensors(alibi, sizes, torch.bfloat16)
    slope = torch.tensor([0.5], dtype=torch.bfloat16)
    found = vs.to_torch(alibi, torch.bfloat16)(q, k, v, slope).double()
    expected = alibi.evaluate(*(x.double() for x in (q, k, v, slope)))
    assert ((found - expected).norm() / expected.norm()) < 0.02


def test_inputs_that_are_not_contiguous() -> None:
    diagram = spelled(on_scores, causal, as_softmax).over("b h")
    module = vs.to_torch(diagram, torch.float64)
    q, k, v = tensors(diagram, SIZES)
    expected = module(q, k, v)
    turned = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    torch.testing.assert_close(module(*turned), expected)
    strided = [torch.stack([x, x], -1)[..., 0] for x in (q, k, v)]
    assert not any(x.stride(-1) == 1 for x in strided)
    torch.testing.assert_close(module(*strided), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 20), st.integers(1, 20), st.data())
def test_any_lengths(n, m, c, e, data) -> None:
    diagram = data.draw(st.sampled_from([alibi, causal_and_padded, two_products, grouped]))
    sizes = {**SIZES, "n": n, "m": m, "c": c, "e": e}
    torch.manual_seed(n * m)
    inputs = tensors(diagram, sizes)
    expected = diagram.evaluate(*inputs)
    torch.testing.assert_close(vs.to_torch(diagram)(*inputs), expected, rtol=1e-9, atol=1e-9)


# -- views --------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", SCORES[:3])
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_the_text_adds_no_work(score, normaliser) -> None:
    """Nothing but the kernel runs: no copy, no scaling, no mask."""
    diagram = spelled(score, causal, normaliser).over("b h")
    module = vs.to_torch(diagram)
    inputs = tensors(diagram, {**SIZES, "e": 4}, torch.float32)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        module(*inputs)
    done = {event.name.removeprefix("aten::") for event in profile.events()}
    views = {"slice", "as_strided", "alias"}
    assert {name for name in done - views if "attention" not in name} <= {
        "empty", "empty_strided", "empty_like", "transpose", "view", "detach",
    }, done  # fmt: skip


def test_grouped_heads_are_not_copied() -> None:
    diagram = grouped.over("b")
    module = vs.to_torch(diagram)
    inputs = tensors(diagram, {**SIZES, "e": 4}, torch.float32)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        module(*inputs)
    done = {event.name for event in profile.events()}
    assert not done & {"aten::repeat_interleave", "aten::clone", "aten::copy_", "aten::contiguous"}


# -- reasons ------------------------------------------------------------------------------------


def reason(diagram):
    (choice,) = vs.to_torch(diagram, forbid=["tiles"]).explain()
    assert choice.kernel is None
    return dict(choice.reasons)[SDPA]


def test_reasons() -> None:
    @vs.diagram
    def capped(q: "n c", k: "m c", v: "m e") -> "n e":
        return as_softmax(vs.tanh(dot(q, k)), v)

    @vs.diagram
    def finite(q: "n c", k: "m c", v: "m e", keep: "m bool") -> "n e":
        return as_softmax(vs.where(keep, dot(q, k), -1e9), v)

    @vs.diagram
    def additive(q: "n c", k: "m c", v: "m e") -> "n e":
        return as_softmax(vs.sum(q + k, "c"), v)

    @vs.diagram
    def both(q: "n c", k: "m c", v: "m e") -> {"o": "n e", "w": "n m"}:
        w = vs.softmax(dot(q, k), "m")
        return {"o": vs.contract(w, v, over="m"), "w": w}

    @vs.diagram
    def dropped(q: "n c", k: "m c", v: "m e", keep: "n m") -> "n e":
        return vs.contract(vs.softmax(dot(q, k), "m"), keep, v, over="m")

    assert "tanh" in reason(capped)
    assert "-1e+09" in reason(finite)
    assert "no sum of products" in reason(additive)
    assert "used elsewhere" in reason(both)
    assert "multiplied" in reason(dropped)
    assert not vs.to_torch(vs.identity("n c")).explain()


def test_a_mask_with_a_hole_is_not_causal() -> None:
    """Comparisons that look like a causal mask and are none."""
    for condition in (
        lambda: vs.iota("m") < vs.iota("n"),
        lambda: vs.iota("n") <= vs.iota("m"),
        lambda: vs.iota("m") * 2 <= vs.iota("n"),
        lambda: vs.iota("m") <= vs.iota("n") + 1,
        lambda: ~(vs.iota("m") <= vs.iota("n")),
    ):

        @vs.diagram
        def attention(q: "n c", k: "m c", v: "m e") -> "n e":
            return as_softmax(vs.where(condition(), dot(q, k), -math.inf), v)  # noqa: B023

        module = vs.to_torch(attention, torch.float64)
        assert "is_causal=True" not in module.source
        inputs = tensors(attention, SIZES)
        torch.testing.assert_close(module(*inputs), attention.evaluate(*inputs))
