"""Recurrences and sparse attention against the plain functions of flash-linear-attention."""

import pytest
import torch
from peer import SINGLE, naive, randn, same

import vesalius as vs


@pytest.mark.parametrize("n", [1, 2, 9])
def test_stick_breaking(n):
    theirs = naive("fla/ops/stickbreaking_attn/naive.py").naive_stickbreaking_attn
    q, k, v = randn(2, n, 3, 4), randn(2, n, 3, 4, seed=1), randn(2, n, 3, 5, seed=2)
    wanted, _ = theirs(q, k, v)
    ours = vs.anatomy["stick_breaking"](causal=True).over("b h")
    same(ours, [x.transpose(1, 2) for x in (q, k, v)], {}, wanted.transpose(1, 2))


def test_forgetting():
    h, n, d, c = 2, 7, 6, 3
    theirs = naive("fla/ops/forgetting_attn/naive.py").naive_forgetting_attn
    x = randn(n, d)
    shapes = {"wq": (d, h, c), "wk": (d, h, c), "wv": (d, h, c), "wo": (h, c, d), "wf": (d, h)}
    weights = {name: randn(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items(), 1)}
    weights["wf_bias"] = randn(h, seed=9)
    q, k, v = (torch.einsum("nd,dhc->nhc", x, weights[name])[None] for name in ("wq", "wk", "wv"))
    gates = torch.nn.functional.logsigmoid(x @ weights["wf"] + weights["wf_bias"])[None]
    wanted = torch.einsum("nhc,hcd->nd", theirs(q, k, v, gates)[0].double(), weights["wo"])
    same(vs.anatomy["forgetting"](), (x,), weights, wanted, 5 * SINGLE)
