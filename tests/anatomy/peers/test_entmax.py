"""Sparse projections against entmax, in float64."""

import pytest
import torch
from peer import peer, randn, same

import vesalius as vs

entmax = peer("entmax")


@pytest.mark.parametrize(("name", "theirs"), [("sparsemax", "sparsemax"), ("entmax", "entmax15")])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.1, 1, 10])
def test_a_projection(name, theirs, causal, scale):
    q, k, v = (scale * randn(2, 9, 4, seed=seed) for seed in range(3))
    scores = q @ k.mT / 2
    if causal:
        scores = scores.masked_fill(torch.ones(9, 9, dtype=torch.bool).triu(1), -1e9)
    wanted = getattr(entmax, theirs)(scores, -1) @ v
    same(vs.anatomy[name](causal=causal).over("b"), (q, k, v), {}, wanted)


def test_gradients():
    q, k, v = (randn(9, 4, seed=seed).requires_grad_() for seed in range(3))
    for name, project in (("sparsemax", entmax.sparsemax), ("entmax", entmax.entmax15)):
        module = vs.to_torch(vs.anatomy[name](), torch.float64)
        wanted = (project(q @ k.T / 2, -1) @ v).square().sum()
        for ours, theirs in zip(
            torch.autograd.grad(module(q, k, v).square().sum(), (q, k, v)),
            torch.autograd.grad(wanted, (q, k, v)),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
