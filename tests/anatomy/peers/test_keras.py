"""Additive and multiplicative attention against Keras, whose layers have no projections."""

import pytest
import torch
from peer import SINGLE, peer, randn, same

import vesalius as vs

keras = peer("keras")

N, M, C = 5, 6, 4


def attend(layer, s, y):
    """Their inputs are query, value, key."""
    return layer([x[None].float() for x in (s, y, y)])[0].detach()


@pytest.fixture
def pair():
    return randn(N, C), randn(M, C, seed=1)


def test_luong_dot(pair):
    same(vs.anatomy["luong_dot"](), pair, {}, attend(keras.layers.Attention(), *pair), SINGLE)


def test_luong_concat(pair):
    """Their score is w·Σ_c tanh(scale·(s + y)): W is two multiples of the identity."""
    layer = keras.layers.Attention(use_scale=True, score_mode="concat")
    layer.build([(1, N, C), (1, M, C), (1, M, C)])
    layer.scale.assign(0.7)
    layer.concat_score_weight.assign(1.3)
    one = torch.eye(C, dtype=torch.float64)
    weights = {"w": 0.7 * torch.cat([one, one]), "v": torch.full((C,), 1.3, dtype=torch.float64)}
    same(vs.anatomy["luong_concat"](c=C, e=C), pair, weights, attend(layer, *pair), SINGLE)


def test_bahdanau():
    """Projected before, and with values that are the keys before they were projected."""
    s, y = randn(N, 3), randn(M, 7, seed=1)
    w, u, v = randn(3, C, seed=2), randn(7, C, seed=3), randn(C, seed=4)
    layer = keras.layers.AdditiveAttention(use_scale=True)
    layer.build([(1, N, C), (1, M, 7), (1, M, C)])
    layer.scale = torch.nn.Parameter(v.float())
    theirs = layer([x[None].float() for x in (s @ w, y, y @ u)])[0].detach()
    same(vs.anatomy["bahdanau"](), (s, y), {"w": w, "u": u, "v": v}, theirs, SINGLE)
