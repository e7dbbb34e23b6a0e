"""Softmax weights whose scores split: two products, right wherever the exponents lie."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile import exponentials

KERNEL = "factored_exponentials"
EPS = {torch.float32: 2e-6, torch.float64: 1e-12, torch.bfloat16: 2e-2, torch.float16: 4e-3}


@vs.diagram
def whole(w: "n m", k: "m c", v: "m c", keep: "m bool") -> "n c":
    return vs.contract(vs.softmax(w + k, "m"), v, over="m")


@vs.diagram
def masked(w: "n m", k: "m c", v: "m c", keep: "m bool") -> "n c":
    shown = keep & (vs.iota("m") <= vs.iota("n"))
    scores = vs.where(shown, w + k, float("-inf"))
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


@vs.diagram
def by_hand(w: "n m", k: "m c", v: "m c", keep: "m bool") -> "n c":
    weights = vs.exp(k + w)
    return vs.contract(weights, v, over="m") / vs.sum(weights, "m")


FORMS = [whole, masked, by_hand]
formed = pytest.mark.parametrize("diagram", FORMS, ids=lambda diagram: diagram.name)


def means(diagram, w, k, v, keep):
    """By all scores, queries × keys × channels."""
    scores = w[..., None] + k[..., None, :, :]
    if diagram is masked:
        n, m = w.shape[-2:]
        shown = keep & (torch.arange(m) <= torch.arange(n)[:, None])
        scores = torch.where(shown[..., None], scores, -math.inf)
        empty = ~shown.any(-1)[:, None]
        weights = scores.masked_fill(empty[..., None], 0.0).softmax(-2)
        return (weights * v[..., None, :, :]).sum(-2).masked_fill(empty, 0.0)
    return (scores.softmax(-2) * v[..., None, :, :]).sum(-2)


def inputs(n, m, magnitude, dtype, seed, batch=()):
    torch.manual_seed(seed)
    w, k, v = (torch.randn(shape, dtype=torch.float64)
               for shape in ((n, m), (*batch, m, 3), (*batch, m, 3)))  # fmt: skip
    return [(w * magnitude).to(dtype), (k * magnitude).to(dtype), v.to(dtype), torch.rand(m) > 0.3]


@formed
@settings(max_examples=20)
@given(
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    magnitude=st.sampled_from([0.1, 1.0, 20.0, 60.0, 300.0, 1e4]),
    dtype=st.sampled_from(list(EPS)),
    seed=st.integers(0, 999),
)
def test_values_and_gradients_are_those_of_a_softmax(diagram, n, m, magnitude, dtype, seed):
    w, k, v, keep = inputs(n, m, magnitude, dtype, seed)
    ours = [x.requires_grad_() for x in (w, k, v)]
    wide = [x.detach().double().requires_grad_() for x in ours]
    module = vs.to_torch(diagram, dtype, prefer=[KERNEL])
    assert module.explain().kernels == [KERNEL]
    found, wanted = module(*ours, keep), means(diagram, *wide, keep)
    scale = v.detach().abs().max().double()
    # Scores are sums, rounded in float32 at least before anything else.
    near = EPS[dtype] + magnitude * EPS[torch.promote_types(dtype, torch.float32)]
    assert (found - wanted).abs().max() <= near * scale
    seeds = torch.randn(found.shape).to(dtype)
    pairs = zip(
        torch.autograd.grad(found, ours, seeds),
        torch.autograd.grad(wanted, wide, seeds.double()),
        strict=True,
    )
    for one, other in pairs:
        assert (one - other).abs().max() <= 2 * near * seeds.abs().sum() * scale


@formed
@pytest.mark.parametrize("magnitude", [1.0, 1e4])
def test_queries_some_at_a_time(diagram, magnitude, monkeypatch):
    """Those whose sums are too small, and no others, are read from scores."""
    w, k, v, keep = inputs(40, 30, magnitude, torch.float32, 0, (2,))
    w[5:] /= magnitude
    taken = []
    real = exponentials.score_means

    def counted(w, k, v):
        taken.append(w.shape[-2])
        return real(w, k, v)

    many = diagram.over("b", inputs=["k", "v"])
    module = vs.to_torch(many, prefer=[KERNEL])
    monkeypatch.setitem(type(module).__mro__[1].forward.__globals__, "score_means", counted)
    found = module(w, k, v, keep)
    torch.testing.assert_close(
        found.double(), means(diagram, w.double(), k.double(), v.double(), keep),
        rtol=1e-4, atol=1e-5 + magnitude * 1e-7,
    )  # fmt: skip
    most = 40 if diagram is masked else 10
    assert 0 < sum(taken) <= most if magnitude > 1 else not taken


@pytest.mark.parametrize("magnitude", [1.0, 1e4])
def test_where_the_code_may_not_look(magnitude):
    """Traced and mapped, forward and backward."""
    w, k, v, keep = inputs(9, 7, magnitude, torch.float32, 0, (2,))
    given = [x.requires_grad_() for x in (w, k, v)]
    module = vs.to_torch(masked.over("b", inputs=["k", "v"]), prefer=[KERNEL])
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    made = [f(*given, keep) for f in (compiled, module)]
    torch.testing.assert_close(*made)
    found, wanted = (torch.autograd.grad(y.sin().sum(), given) for y in made)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    length = torch.export.Dim("length", min=2, max=100)
    shapes = ({0: length}, None, None, None)
    program = torch.export.export(module, (*given, keep), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(w[:4], k, v, keep), module(w[:4], k, v, keep))
    one = vs.to_torch(masked, prefer=[KERNEL])
    mapped = torch.func.vmap(one, in_dims=(None, 0, 0, None))(w, k, v, keep)
    torch.testing.assert_close(mapped, made[1], rtol=1e-4, atol=1e-5)


def test_onnx():
    onnxruntime = pytest.importorskip("onnxruntime")
    for magnitude in (1.0, 1e4):
        given = tuple(inputs(9, 7, magnitude, torch.float32, 0))
        module = vs.to_torch(masked, prefer=[KERNEL])
        program = torch.onnx.export(module, given, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
        named = {x.name: y.numpy() for x, y in zip(session.get_inputs(), given, strict=True)}
        (found,) = session.run(None, named)
        torch.testing.assert_close(torch.tensor(found), module(*given), rtol=1e-4, atol=1e-4)


def test_second_derivatives():
    for magnitude in (0.5, 1e3):
        w, k, v, keep = inputs(4, 5, magnitude, torch.float64, 1)
        module = vs.to_torch(masked, torch.float64, prefer=[KERNEL])
        given = [x.requires_grad_() for x in (w, k, v)]
        assert torch.autograd.gradgradcheck(lambda *xs: module(*xs, keep), given)  # noqa: B023


@formed
@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_lengths_none_and_one(diagram, n, m):
    given = inputs(n, m, 1.0, torch.float64, 0)
    module = vs.to_torch(diagram, torch.float64, prefer=[KERNEL])
    wanted = diagram.evaluate(*given) if m or diagram is not by_hand else torch.zeros(n, 3).double()
    torch.testing.assert_close(module(*given), wanted)
