"""The catalogue against x-transformers, weights copied over."""

import pytest
import torch
import torch.nn.functional as F
from peer import peer, randn, same

import vesalius as vs

attend = peer("x_transformers.attend")


def attended(causal=False, n=7, m=7, **options):
    """What theirs makes of q, k and v, which are returned too; weights are not cast to float32."""
    q, k, v = randn(2, 3, n, 4), randn(2, 3, m, 4, seed=1), randn(2, 3, m, 5, seed=2)
    theirs = attend.Attend(causal=causal, qk_norm=True, scale=0.5, **options)
    wanted, _ = theirs(q, k, v)
    return (q, k, v), wanted


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kept", [1, 3, 7])
def test_top_k(causal, kept):
    given, wanted = attended(causal, sparse_topk=kept)
    same(vs.anatomy["top_k"](causal=causal, kept=kept).over("b h"), given, {}, wanted)


def test_sigmoid_without_a_bias():
    given, wanted = attended(sigmoid=True)
    ours = vs.anatomy["sigmoid_bias"]().over("b h", parameters=False)
    same(ours, given, {"b": torch.tensor(0.0).double()}, wanted)


@pytest.mark.parametrize("causal", [False, True])
def test_relu(causal):
    """Their causal mask is a large negative number, which relu makes 0."""
    for name, function in (
        ("relu_squared_by_length", lambda s: F.relu(s) ** 2 / 7),
        ("relu_normalised", lambda s: F.relu(s) / (F.relu(s).sum(-1, keepdim=True) + 1e-6)),
    ):
        given, wanted = attended(causal, custom_attn_fn=function)
        same(vs.anatomy[name](causal=causal).over("b h"), given, {}, wanted)
