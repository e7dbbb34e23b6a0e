"""Scores and normalisers against x-transformers, in float64: `qk_norm` keeps it from single."""

import pytest
import torch
import torch.nn.functional as F
from peer import peer, randn, same

import vesalius as vs

attend = peer("x_transformers.attend")
theirs = peer("x_transformers.x_transformers")

H, N, D, C = 4, 7, 8, 3
causal = pytest.mark.parametrize("causal", [False, True])


def projected(seed=0):
    """x, our weights, and q, k, v of x by these, with a batch of one."""
    x = randn(N, D, seed=seed)
    weights = {
        name: randn(*shape, seed=k)
        for k, (name, shape) in enumerate(
            {"wq": (D, H, C), "wk": (D, H, C), "wv": (D, H, C), "wo": (H, C, D)}.items(), 1
        )
    }
    qkv = [torch.einsum("nd,dhc->hnc", x, weights[name])[None] for name in ("wq", "wk", "wv")]
    return x, weights, qkv


def joined(o, weights):
    return torch.einsum("hnc,hcd->nd", o[0], weights["wo"])


def core(**options):
    """q, k and v [1, n, c] of one head, and what their layer makes of them."""
    q, k, v = randn(N, C), randn(N, C, seed=1), randn(N, C, seed=2)
    layer = attend.Attend(heads=1, qk_norm=True, **options).double()
    return (q, k, v), layer(*(x[None, None] for x in (q, k, v)))[0][0, 0]


@causal
def test_scaled_dot_product(causal):
    given, wanted = core(causal=causal)
    same(vs.anatomy["scaled_dot_product"](causal=causal), given, {}, wanted)


@causal
def test_softcap(causal):
    given, wanted = core(causal=causal, softclamp_logits=True, logit_softclamp_value=50.0)
    same(vs.anatomy["softcap"](causal=causal), given, {}, wanted)


def test_softmax_one():
    """A key and a value of zeros is one more to look at, of score 0."""
    given, wanted = core(add_zero_kv=True)
    same(vs.anatomy["softmax_one"](), given, {}, wanted)


@causal
def test_talking_heads(causal):
    """They add what is mixed before the softmax to what was not."""
    x, weights, qkv = projected()
    layer = attend.Attend(
        heads=H, causal=causal, qk_norm=True, pre_talking_heads=True, post_talking_heads=True
    ).double()
    before, after = randn(H, H, seed=5), randn(H, H, seed=6)
    layer.pre_softmax_talking_heads.weight.data = before[:, :, None, None]
    layer.post_softmax_talking_heads.weight.data = after[:, :, None, None]
    weights["p"], weights["r"] = (before + torch.eye(H)).T, after.T
    wanted = joined(layer(*qkv)[0], weights)
    same(vs.anatomy["talking_heads"](causal=causal), (x,), weights, wanted)


@causal
def test_sink(causal):
    x, weights, qkv = projected()
    layer = attend.Attend(heads=H, causal=causal, qk_norm=True, head_learned_sink=True).double()
    layer.head_attn_sink.data = weights["b"] = randn(H, seed=5)
    same(vs.anatomy["sink"](causal=causal), (x,), weights, joined(layer(*qkv)[0], weights))


@causal
def test_alibi(causal):
    x, weights, qkv = projected()
    layer = attend.Attend(heads=H, causal=causal, qk_norm=True)
    bias = theirs.AlibiPositionalBias(heads=H, total_heads=H).double()(N, N)
    wanted = joined(layer(*qkv, attn_bias=bias)[0], weights)
    same(vs.anatomy["alibi"](causal=causal), (x,), weights, wanted)


def test_forgetting():
    x, weights, qkv = projected()
    gates = theirs.DataDependentAlibi(dim=D, heads=H).double()
    linear = gates.to_forget_gates[0]
    linear.bias.data = randn(H, seed=8)
    weights |= {"wf": linear.weight.T, "wf_bias": linear.bias}
    bias = gates(x[None])
    layer = attend.Attend(heads=H, causal=True, qk_norm=True)
    wanted = joined(layer(*qkv, attn_bias=bias)[0], weights)
    same(vs.anatomy["forgetting"](), (x,), weights, wanted)


def attended(causal=False, n=7, m=7, **options):
    """What theirs makes of q, k and v, which are returned too; weights are not cast to float32."""
    q, k, v = randn(2, 3, n, 4), randn(2, 3, m, 4, seed=1), randn(2, 3, m, 5, seed=2)
    theirs = attend.Attend(causal=causal, qk_norm=True, scale=0.5, **options)
    wanted, _ = theirs(q, k, v)
    return (q, k, v), wanted


@causal
@pytest.mark.parametrize("kept", [1, 3, 7])
def test_top_k(causal, kept):
    given, wanted = attended(causal, sparse_topk=kept)
    same(vs.anatomy["top_k"](causal=causal, kept=kept).over("b h"), given, {}, wanted)


def test_sigmoid_without_a_bias():
    given, wanted = attended(sigmoid=True)
    ours = vs.anatomy["sigmoid_bias"]().over("b h", parameters=False)
    same(ours, given, {"b": torch.tensor(0.0).double()}, wanted)


@causal
def test_relu(causal):
    """Their causal mask is a large negative number, which relu makes 0."""
    for name, function in (
        ("relu_squared_by_length", lambda s: F.relu(s) ** 2 / 7),
        ("relu_normalised", lambda s: F.relu(s) / (F.relu(s).sum(-1, keepdim=True) + 1e-6)),
    ):
        given, wanted = attended(causal, custom_attn_fn=function)
        same(vs.anatomy[name](causal=causal).over("b h"), given, {}, wanted)
