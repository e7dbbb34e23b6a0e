"""Running means by exponential weights: finite and right for exponents of any size."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.inspect.perturb import arrays_at

KERNEL = "exponential_means"
EPS = {torch.float32: 2e-6, torch.float64: 1e-12, torch.bfloat16: 2e-2}


def ran(step, states, sequences, captured=()):
    return vs.scan(step, over="n", states=states, sequences=sequences, captured=captured)[-1]


@vs.diagram
def joins(total: "", x: "") -> {"total": "", "each": ""}:
    return {"total": total + x, "each": total + x}


@vs.diagram
def fades(total: "", x: "", rate: "") -> {"total": "", "each": ""}:
    total = x + total * vs.exp(rate)
    return {"total": total, "each": total}


@vs.diagram
def fades_by_a_sigmoid(total: "", x: "", rate: "") -> {"total": "", "each": ""}:
    total = vs.sqrt(vs.sigmoid(2 * rate)) * total + x
    return {"total": total, "each": total}


@vs.diagram
def reads(state: "c e", q: "c", k: "c", v: "e") -> {"state": "c e", "each": "e"}:
    state = state + vs.exp(k) * v
    return {"state": state, "each": vs.contract(q, state, over="c")}


def total(x):
    return ran(joins, [0.0], [x])


def triangle(x):
    x = x.rename(n="m")
    return vs.sum(vs.where(vs.iota("m:n") <= vs.iota("n"), x, 0.0), "m")


def before(x):
    return vs.slice(vs.pad(x, "n", 1, 0), "n", length=x.axes["n"])


# Each takes levels n c, values n c, rates n c (below 0), a level of the present n c, queries n c.


@vs.diagram
def plain(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    return total(vs.exp(k) * v) / total(vs.exp(k)) * q


@vs.diagram
def by_a_triangle(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    return q * (1 / triangle(vs.exp(k + q))) * triangle(v * vs.exp(q) * vs.exp(k))


@vs.diagram
def one_level_for_all(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    level = vs.exp(vs.sum(k, "c"))
    return total(level * v) / total(level)


@vs.diagram
def fading(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    weight = vs.exp(k)
    above, below = (ran(fades, [0.0], [x, rate]) for x in (weight * v, weight))
    return above / below


@vs.diagram
def fading_by_a_sigmoid(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    weight = vs.exp(k)
    above, below = (ran(fades_by_a_sigmoid, [0.0], [x, rate]) for x in (weight * v, weight))
    return above / below


@vs.diagram
def with_a_present(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    weight = vs.exp(k)
    above, below = (before(ran(fades, [0.0], [x, rate])) for x in (v * weight, weight))
    own = vs.exp(now)
    return (own * v + above) / (below + own)


@vs.diagram
def a_present_alone(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    own = vs.exp(k) * vs.exp(now)
    return (before(total(v * vs.exp(k))) + own * v) / (before(total(vs.exp(k))) + own)


@vs.diagram
def with_keys_hidden(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    seen = (vs.sum(q, "c") > 0) | vs.equal(vs.iota("n"), 0)
    weight = vs.where(seen, vs.exp(k), 0.0)
    return total(weight * v) / total(weight)


@vs.diagram
def read(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n e:c":
    asked = q / total(vs.exp(k))
    v = v.rename(c="e")
    return ran(reads, [vs.expand(0.0, "c e:c")], [asked, k, v])


@vs.diagram
def means(total: "", mix: "", k: "", v: "") -> {"total": "", "mix": "", "each": ""}:
    total, mix = total + vs.exp(k), mix + vs.exp(k) * v
    return {"total": total, "mix": mix, "each": mix / total}


@vs.diagram
def means_of_before(
    total: "", mix: "", k: "", v: "", rate: "", now: ""
) -> {"total": "", "mix": "", "each": ""}:
    each = (mix + vs.exp(now) * v) / (total + vs.exp(now))
    total, mix = (vs.exp(rate) * total + vs.exp(k), vs.exp(rate) * mix + vs.exp(k) * v)
    return {"total": total, "mix": mix, "each": each}


@vs.diagram
def inside_a_step(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    return ran(means, [0.0, 0.0], [k, v])


@vs.diagram
def a_present_inside_a_step(k: "n c", v: "n c", rate: "n c", now: "n c", q: "n c") -> "n c":
    return ran(means_of_before, [0.0, 0.0], [k, v, rate, now])


def by_hand(name, k, v, rate, now, q):
    """The mean by a softmax over all pairs: (n, m, c)."""
    n = len(k)
    level = {
        "by_a_triangle": k + q,
        "one_level_for_all": k.sum(-1, keepdim=True).expand_as(k),
    }.get(name, k)
    scores = level.expand(n, n, -1)
    name = {"a_present_inside_a_step": "with_a_present"}.get(name, name)
    faded = {"fading": rate, "with_a_present": rate}.get(name)
    if name == "fading_by_a_sigmoid":
        faded = torch.nn.functional.logsigmoid(2 * rate) / 2
    if faded is not None:
        until = faded.cumsum(0)
        last = 0 if name != "with_a_present" else faded
        scores = scores + (until - last)[:, None] - until
    own = {"with_a_present": now, "a_present_alone": k + now}.get(name)
    if own is not None:
        scores = torch.where(torch.eye(n, dtype=torch.bool)[..., None], own, scores)
    shown = torch.ones(n, n, dtype=torch.bool).tril()
    if name == "with_keys_hidden":
        shown = shown & ((q.sum(-1) > 0) | (torch.arange(n) == 0))
    weights = torch.where(shown[..., None], scores, -math.inf).softmax(1)
    if name == "read":
        return torch.einsum("nc,nmc,me->ne", q, weights, v)
    mixed = (weights * v).sum(1)
    return mixed * q if name in ("plain", "by_a_triangle") else mixed


SPELLINGS = [
    plain,
    by_a_triangle,
    one_level_for_all,
    fading,
    fading_by_a_sigmoid,
    with_a_present,
    a_present_alone,
    with_keys_hidden,
    inside_a_step,
    a_present_inside_a_step,
    read,
]
named = pytest.mark.parametrize("diagram", SPELLINGS, ids=lambda diagram: diagram.name)


def inputs(length, magnitude, dtype):
    """All of them; levels are large, and rates negative and as large at times."""
    k, v, rate, now, q = torch.randn(5, length, 3, dtype=torch.float64)
    rate = -rate.abs() * torch.where(now > 1, magnitude, 0.1)
    levels = (x * magnitude for x in (k, now))
    k, now = levels
    return [x.to(dtype) for x in (k, v, rate, now, q)]


def gradients(made, given, seed):
    return torch.autograd.grad(made, given, seed, allow_unused=True)


@named
@settings(max_examples=12)
@given(
    length=st.integers(1, 80),
    magnitude=st.sampled_from([0.1, 1.0, 30.0, 88.0, 700.0, 1e4]),
    dtype=st.sampled_from(list(EPS)),
    seed=st.integers(0, 999),
)
def test_values_and_gradients_are_those_of_a_softmax(diagram, length, magnitude, dtype, seed):
    torch.manual_seed(seed)
    given = [x.requires_grad_() for x in inputs(length, magnitude, dtype)]
    wide = [x.detach().double().requires_grad_() for x in given]
    module = vs.to_torch(diagram, dtype)
    assert module.explain().kernels == [KERNEL]
    found, wanted = module(*given), by_hand(diagram.name, *wide)
    # Levels are sums in some spellings, rounded before anything else.
    rounded = (2 if diagram.name in ("by_a_triangle", "one_level_for_all", "a_present_alone",
                                     "fading_by_a_sigmoid") else 0) * magnitude  # fmt: skip
    near = EPS[dtype] * (1 + rounded)
    if near > 0.3:  # what is largest is lost in rounding
        assert found.isfinite().all()
        return
    scale = wanted.detach().abs().max() + given[1].abs().max()
    assert (found - wanted).abs().max() <= near * scale
    seeds = torch.randn(found.shape, dtype=dtype)
    pairs = zip(
        gradients(found, given, seeds), gradients(wanted, wide, seeds.double()), strict=True
    )
    most = seeds.abs().sum() * scale * (1 + given[4].abs().max())
    for ours, theirs in pairs:
        if theirs is not None:
            assert ours.isfinite().all()
            assert (ours - theirs).abs().max() <= near * most


@named
def test_lengths_none_and_one_and_further_axes(diagram):
    many = diagram.over("b", inputs=["k", "v", "q"])
    module = vs.to_torch(many, torch.float64)
    assert module.explain().kernels == [KERNEL]
    for length in (0, 1, 5):
        torch.manual_seed(length)
        batch = [inputs(length, 1.0, torch.float64) for _ in range(2)]
        k, v, rate, now, q = (torch.stack(pair) for pair in zip(*batch, strict=True))
        given = [k, v, rate[0], now[0], q]
        torch.testing.assert_close(module(*given), many.evaluate(*given))


@named
def test_the_text_needs_no_break_in_the_graph(diagram):
    module = vs.to_torch(diagram)
    given = inputs(9, 100.0, torch.float32)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*given), module(*given))


def test_what_it_stands_for_differentiates():
    """The box's derivative by diagrams is that of the text."""
    module = vs.to_torch(with_a_present, torch.float64)
    given = [x.requires_grad_() for x in inputs(6, 2.0, torch.float64)]
    assert torch.autograd.gradcheck(module, [*given[:4], given[4].detach()])


@vs.diagram
def other_levels(k: "n c", v: "n c") -> "n c":
    return total(vs.exp(k) * v) / total(vs.exp(2 * k))


@vs.diagram
def a_factor_below(k: "n c", v: "n c") -> "n c":
    return total(vs.exp(k) * v) / total(vs.exp(k) * v * v)


@vs.diagram
def another_present(k: "n c", v: "n c") -> "n c":
    past, own = vs.exp(k), vs.exp(k + 1)
    return (before(total(past * v)) + own * v * v) / (before(total(past)) + own)


@pytest.mark.parametrize("diagram", [other_levels, a_factor_below, another_present])
def test_other_quotients_stay(diagram):
    module = vs.to_torch(diagram, torch.float64)
    assert KERNEL not in module.explain().kernels
    torch.manual_seed(0)
    given = torch.randn(2, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(module(*given), diagram.evaluate(*given))


def test_it_may_be_forbidden_and_says_why_others_are_not_taken():
    text = str(vs.to_torch(plain).explain())
    assert "not cumulative_sum: large exponents overflow" in text
    assert "cumulative_sum" in vs.to_torch(plain, forbid=[KERNEL]).explain().kernels


CATALOGUE = [
    ("rwkv", {}),
    ("rwkv", {"padding": True}),
    ("aft_simple", {"causal": True}),
    ("aft_simple", {"causal": True, "padding": True}),
    ("fastformer", {"causal": True}),
    ("efficient", {"causal": True}),
    ("efficient", {"causal": True, "padding": True}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), CATALOGUE)
def test_the_catalogue_at_keys_of_ten_thousand(name, options, dtype):
    """Running sums against the form by weights in float64, at the same numbers."""
    diagram = vs.anatomy[name](**options)
    weights = vs.anatomy[name](**options, form="weights")
    sizes = {k: 70 if k in ("n", "m") else 8 for k in diagram.size_variables}
    module = vs.to_torch(
        diagram, dtype, sizes={k: x for k, x in sizes.items() if k not in ("n", "m")}
    )
    assert KERNEL in module.explain().kernels
    own = {k: x.to(dtype) for k, x in arrays_at(diagram.parameters, sizes, 1, scale=0.5).items()}
    for key in ("wk", "aq", "ak"):
        if key in own:
            own[key] = own[key] * 1e4
    given = {k: x.to(dtype) if x.is_floating_point() else x
             for k, x in arrays_at(diagram.input_types, sizes, 2).items()}  # fmt: skip
    if "k" in given:
        given["k"] = given["k"] * 1e4
    if "keep" in given:
        given["keep"][0] = True
    module.load_state_dict(own)
    leaves = [x.requires_grad_() if x.is_floating_point() else x for x in given.values()]
    found = module(*leaves)
    found.sum().backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in (*leaves, *module.parameters()))
    if dtype is torch.bfloat16 and name != "efficient":
        assert found.isfinite().all()  # keys are products, rounded by more than 1
        return
    wide = [x.detach().double() if x.is_floating_point() else x for x in leaves]
    wanted = weights.evaluate(
        *wide, parameters={k: x.double() for k, x in own.items()}, sizes=sizes
    )
    near = 2e-2 if dtype is torch.bfloat16 else 2e-3
    assert (found - wanted).norm() <= near * wanted.norm()
