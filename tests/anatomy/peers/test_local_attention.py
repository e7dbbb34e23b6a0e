"""Sliding windows against local-attention, in float64."""

import pytest
from peer import peer, randn, same

import vesalius as vs

local_attention = peer("local_attention")


@pytest.mark.parametrize(("n", "window"), [(12, 4), (12, 6), (8, 2)])
@pytest.mark.parametrize("causal", [False, True])
def test_sliding_window(n, window, causal):
    """With an exact window, theirs keeps a key more on either side."""
    theirs = local_attention.LocalAttention(window, causal=causal, exact_windowsize=True)
    q, k, v = (randn(2, n, 4, seed=seed) for seed in range(3))
    ours = vs.anatomy["sliding_window"](causal=causal, window=window + 1).over("b")
    same(ours, (q, k, v), {}, theirs(q, k, v))
