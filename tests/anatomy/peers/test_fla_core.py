"""Recurrences and sparse attention against the plain functions of flash-linear-attention."""

import pytest
from peer import naive, randn, same

import vesalius as vs


@pytest.mark.parametrize("n", [1, 2, 9])
def test_stick_breaking(n):
    theirs = naive("fla/ops/stickbreaking_attn/naive.py").naive_stickbreaking_attn
    q, k, v = randn(2, n, 3, 4), randn(2, n, 3, 4, seed=1), randn(2, n, 3, 5, seed=2)
    wanted, _ = theirs(q, k, v)
    ours = vs.anatomy["stick_breaking"](causal=True).over("b h")
    same(ours, [x.transpose(1, 2) for x in (q, k, v)], {}, wanted.transpose(1, 2))
