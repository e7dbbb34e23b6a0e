"""Softmax attention in any spelling: the same kernel, and the same numbers as the reference."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.compile.choose import chosen

torch.set_num_threads(1)

SDPA = "scaled_dot_product_attention"

# -- one mechanism, written in many ways --------------------------------------------------------


def on_queries(q, k):
    return vs.contract(q / vs.sqrt(vs.size("c")), k, over="c")


def on_keys_as_factor(q, k):
    return vs.contract(q, k * (1 / vs.sqrt(vs.size("c"))), over="c")


def on_scores(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


def half_and_half(q, k):
    root = vs.sqrt(vs.sqrt(vs.size("c")))
    return vs.contract(k / root, q / root, over="c")


def in_one_product(q, k):
    return vs.contract(1 / vs.sqrt(vs.size("c")), k, q, over="c")


def negated_twice(q, k):
    return -vs.contract(-q, k, over="c") / vs.sqrt(vs.size("c"))


def with_dead_shifts(q, k):
    shift = vs.sum(q, "c")
    return on_scores(q, k) + shift - 3.0


SCORES = [
    on_queries, on_keys_as_factor, on_scores, half_and_half, in_one_product, negated_twice,
    with_dead_shifts,
]  # fmt: skip


def unmasked(scores):
    return scores


def causal(scores):
    return vs.where(vs.iota("m") <= vs.iota("n"), scores, float("-inf"))


def causal_turned(scores):
    return vs.where(vs.iota("n") < vs.iota("m"), float("-inf"), scores)


def causal_by_distance(scores):
    return vs.where(~(vs.iota("m") - vs.iota("n") >= 1), scores, float("-inf"))


def causal_added(scores):
    return scores + vs.where(vs.iota("n") - vs.iota("m") >= 0, 0.0, float("-inf"))


def causal_in_floats(scores):
    n, m = vs.to_float(vs.iota("n")), vs.to_float(vs.iota("m"))
    return vs.where(m <= n, scores, float("-inf"))


CAUSAL = [causal, causal_turned, causal_by_distance, causal_added, causal_in_floats]


def as_softmax(scores, v):
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def exponentials(scores, v):
    e = vs.exp(scores)
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


def safe_exponentials(scores, v):
    e = vs.exp(scores - vs.max(scores, "m"))
    return vs.contract(v, e / vs.sum(e, "m"), over="m")


def divided_after_the_mix(scores, v):
    e = vs.exp(scores - vs.max(scores, "m"))
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


def divided_values(scores, v):
    e = vs.exp(scores)
    return vs.contract(e, v / vs.sum(e, "m"), over="m")


def by_logarithm(scores, v):
    return vs.contract(vs.exp(scores - vs.log(vs.sum(vs.exp(scores), "m"))), v, over="m")


NORMALISERS = [
    as_softmax, exponentials, safe_exponentials, divided_after_the_mix, divided_values,
    by_logarithm,
]  # fmt: skip


def spelled(score, mask, normaliser):
    @vs.diagram
    def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        return normaliser(mask(score(q, k)), v)

    return attention


def tensors(diagram, sizes, dtype=torch.float64, scale=1.0):
    made = []
    for port in diagram.inputs:
        lengths, kind = diagram.types[port.wire]
        shape = [length.at(sizes) for length in (lengths[s] for s in port.slots)]
        if kind == "bool":
            made.append(torch.rand(shape) > 0.3)
        elif kind == "int":
            made.append(torch.randint(3, shape))
        else:
            made.append((torch.randn(shape, dtype=torch.float64) * scale).to(dtype))
    return made


SIZES = {"b": 2, "h": 3, "g": 2, "n": 5, "m": 6, "c": 4, "e": 7, "r": 2}


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


# -- what goes into queries, keys and masks -----------------------------------------------------


def unit(x):
    return x / vs.sqrt(vs.sum(x * x, "c"))


def dot(q, k):
    return vs.contract(q, k, over="c")


@vs.diagram
def cosine(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    return as_softmax(t * dot(unit(q), unit(k)), v)


@vs.diagram
def cosine_of_norms(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    def norm(x):
        return vs.sqrt(vs.sum(x * x, "c"))

    return as_softmax(dot(q, k) * t / (norm(q) * norm(k)), v)


@vs.diagram
def alibi(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    return as_softmax(causal(dot(q, k) - t * (vs.iota("n") - vs.iota("m"))), v)


@vs.diagram
def alibi_of_distances(q: "h n c", k: "h m c", v: "h m e", t: "h") -> "h n e":
    far = vs.abs(vs.to_float(vs.iota("m")) - vs.to_float(vs.iota("n")))
    return as_softmax(causal(dot(q, k)) - t * far, v)


@vs.diagram
def low_rank(q: "h n c", k: "h m c", v: "h m e", a: "n r", b: "h m r") -> "h n e":
    return as_softmax(dot(q, k) * 0.3 + vs.contract(a, b, over="r"), v)


@vs.diagram
def two_products(q: "h n c", k: "h m c", v: "h m e", a: "h n r", b: "m r") -> "h n e":
    total = vs.size("c") + vs.size("r")
    return as_softmax((dot(q, k) + vs.contract(a, b, over="r")) / vs.sqrt(total), v)


@vs.diagram
def bias_of_keys(q: "h n c", k: "h m c", v: "h m e", u: "m", w: "h n") -> "h n e":
    return as_softmax(dot(q, k) + u + w, v)


CHANNELS = [
    cosine, cosine_of_norms, alibi, alibi_of_distances, low_rank, two_products, bias_of_keys,
]  # fmt: skip


@vs.diagram
def padded(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    return as_softmax(vs.where(keep, dot(q, k), float("-inf")), v)


@vs.diagram
def added_mask(q: "h n c", k: "h m c", v: "h m e", mask: "n m") -> "h n e":
    return as_softmax(dot(q, k) + mask, v)


@vs.diagram
def causal_and_padded(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    shown = keep & (vs.iota("m") <= vs.iota("n"))
    return as_softmax(vs.where(shown, dot(q, k), float("-inf")), v)


@vs.diagram
def nested_masks(q: "h n c", k: "h m c", v: "h m e", keep: "h n m bool", u: "n m") -> "h n e":
    return as_softmax(vs.where(~keep, float("-inf"), causal(dot(q, k)) + u), v)


@vs.diagram
def hidden_queries(q: "h n c", k: "h m c", v: "h m e", keep: "n bool") -> "h n e":
    return as_softmax(vs.where(keep, dot(q, k), float("-inf")), v)


@vs.diagram
def on_exponentials(q: "h n c", k: "h m c", v: "h m e", keep: "m bool") -> "h n e":
    e = vs.where(keep, vs.exp(dot(q, k)), 0.0)
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


@vs.diagram
def times_indicator(q: "h n c", k: "h m c", v: "h m e", keep: "n m bool") -> "h n e":
    e = vs.exp(dot(q, k)) * vs.to_float(keep)
    return vs.contract(e / vs.sum(e, "m"), v, over="m")


@vs.diagram
def relative_keys(q: "h n c", k: "h m c", v: "h m e", r: "n m c") -> "h n e":
    return as_softmax(dot(q, k + r), v)


MASKS = [
    padded, added_mask, causal_and_padded, nested_masks, hidden_queries, on_exponentials,
    times_indicator, relative_keys,
]  # fmt: skip


@vs.diagram
def grouped(q: "h g n c", k: "h m c", v: "h m e") -> "h g n e":
    return as_softmax(causal(dot(q, k)), v)


@vs.diagram
def one_key_head(q: "h n c", k: "m c", v: "m e") -> "h n e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def shared_values(q: "h n c", k: "h m c", v: "m e") -> "h n e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def one_query(q: "h c", k: "h m c", v: "h m e") -> "h e":
    return as_softmax(dot(q, k), v)


@vs.diagram
def scalar_values(q: "n c", k: "m c", v: "m") -> "n":
    return as_softmax(dot(q, k), v)


@vs.diagram
def wide(q: "n c r", k: "m c r", v: "m e h") -> "n e h":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c r"), "m"), v, over="m")


@vs.diagram
def two_axes_of_keys(q: "h n c", k: "h m r c", v: "h m r e", keep: "m bool", u: "r") -> "h n e":
    scores = vs.where(keep, dot(q, k) + u, float("-inf"))
    return vs.contract(vs.softmax(scores, "m r"), v, over="m r")


@vs.diagram
def projections_in_one_product(
    x: "n c", y: "m c", wq: "c h r", wk: "c h r", wv: "c h e", wo: "h e c"
) -> "n c":
    y = y.rename(c="d")
    scores = vs.contract(x, wq, y, wk.rename(c="d"), over="c d r")
    out = vs.contract(
        vs.softmax(scores, "m"), y, wv.rename(c="d"), wo.rename(c="o"), over="m d h e"
    )
    return out.rename(o="c")


SHAPES = [
    grouped, one_key_head, shared_values, one_query, scalar_values, wide, two_axes_of_keys,
    projections_in_one_product,
]  # fmt: skip
ALL = [*CHANNELS, *MASKS, *SHAPES]


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
