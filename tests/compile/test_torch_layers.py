"""Compiled attention against PyTorch's own layers, with their weights copied over."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import vesalius as vs
from vesalius.compile.kernels import SHIPPED

torch.set_num_threads(1)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def causal_attention(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    mask = vs.iota("m:n") <= vs.iota("n")
    weights = vs.softmax(vs.where(mask, scores, float("-inf")), over="m")
    return vs.contract(weights, v, over="m")


def heads(inner, x, y):
    q = vs.linear(x, "d", "h c", name="wq", bias=True)
    k = vs.linear(y, "d", "h c", name="wk", bias=True)
    v = vs.linear(y, "d", "h c", name="wv", bias=True).rename(c="e")
    return vs.linear(inner(q, k, v), "h e", "d", name="wo", bias=True)


@vs.diagram
def self_attention(x: "n d") -> "n d":
    return heads(attention, x, x.rename(n="m"))


@vs.diagram
def causal_self_attention(x: "n d") -> "n d":
    return heads(causal_attention, x, x.rename(n="m"))


@vs.diagram
def cross_attention(x: "n d", y: "m d") -> "n d":
    return heads(attention, x, y)


def multihead_of(layer):
    """The weights of `nn.MultiheadAttention` under our names: its rows are (head, channel)."""
    h, d = layer.num_heads, layer.embed_dim
    state = {}
    for name, weight, bias in zip(
        ("wq", "wk", "wv"), layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True
    ):
        state[name] = weight.T.reshape(d, h, d // h)
        state[f"{name}_bias"] = bias.reshape(h, d // h)
    state["wo"] = layer.out_proj.weight.T.reshape(h, d // h, d)
    state["wo_bias"] = layer.out_proj.bias
    return {name: value.detach().clone() for name, value in state.items()}


def layer_and_module(diagram, d=12, h=3):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(d, h, batch_first=True, dtype=torch.float64)
    nn.init.normal_(layer.in_proj_bias)
    nn.init.normal_(layer.out_proj.bias)
    sizes = {"d": d, "h": h, "c": d // h, "e": d // h}
    known = {name: size for name, size in sizes.items() if name in diagram.size_variables}
    module = vs.to_torch(diagram.over("b"), torch.float64, sizes=known)
    module.load_state_dict(multihead_of(layer))
    return layer, module


@pytest.mark.parametrize("n", [1, 5])
def test_self_attention(n) -> None:
    layer, module = layer_and_module(self_attention)
    x = torch.randn(2, n, 12, dtype=torch.float64)
    torch.testing.assert_close(module(x), layer(x, x, x)[0], **CLOSE)


@pytest.mark.parametrize("n", [1, 5])
def test_causal_self_attention(n) -> None:
    layer, module = layer_and_module(causal_self_attention)
    x = torch.randn(2, n, 12, dtype=torch.float64)
    hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
    expected = layer(x, x, x, attn_mask=hidden)[0]
    torch.testing.assert_close(module(x), expected, **CLOSE)


def test_cross_attention() -> None:
    layer, module = layer_and_module(cross_attention)
    x, y = torch.randn(2, 5, 12, dtype=torch.float64), torch.randn(2, 7, 12, dtype=torch.float64)
    torch.testing.assert_close(module(x, y), layer(x, y, y)[0], **CLOSE)


def test_gradients_of_inputs_and_weights() -> None:
    layer, module = layer_and_module(self_attention)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    module(ours).square().sum().backward()
    layer(theirs, theirs, theirs)[0].square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, **CLOSE)
    wq = layer.in_proj_weight.grad.chunk(3)[0].T.reshape(12, 3, 4)
    torch.testing.assert_close(module.wq.grad, wq, **CLOSE)
    torch.testing.assert_close(module.wo_bias.grad, layer.out_proj.bias.grad, **CLOSE)


def test_gradcheck() -> None:
    module = vs.to_torch(causal_attention, torch.float64)
    inputs = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(module, inputs)
    # The fused kernel of torch has no second derivative on a CPU.
    plain = vs.to_torch(causal_attention, torch.float64, forbid=SHIPPED)
    assert torch.autograd.gradgradcheck(plain, inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_in_each_floating_type(dtype) -> None:
    module = vs.to_torch(attention.over("b h"), dtype)
    q, k, v = (torch.randn(2, 3, n, 8, dtype=dtype) for n in (5, 6, 6))
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 0.03)
    found = module(q, k, v)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


def test_large_scores_do_not_overflow() -> None:
    module = vs.to_torch(attention)
    q, k, v = (torch.randn(n, 8) * 1e4 for n in (5, 6, 6))
    torch.testing.assert_close(module(q, k, v), F.scaled_dot_product_attention(q, k, v))
