"""Efficient attention against linear-attention-transformer, which also divides by √c."""

import pytest
import torch
from peer import peer, randn, same

import vesalius as vs

theirs = peer("linear_attention_transformer.linear_attention_transformer")


@pytest.mark.parametrize(("n", "c"), [(5, 4), (1, 3), (9, 1)])
@pytest.mark.parametrize("form", ["weights", "state"])
def test_efficient(n, c, form):
    q, k, v = (randn(2, 3, n, c, seed=seed) for seed in range(3))
    wanted = theirs.linear_attn(q, k, v) * c**0.5
    same(vs.anatomy["efficient"](form=form).over("b h"), (q, k, v), {}, wanted)


@pytest.mark.parametrize("form", ["weights", "scan"])
def test_causal_efficient(form):
    """Each output is that of the positions up to its own.

    Their causal function is another one: it divides by the sum of weights, not channel by channel.
    """
    q, k, v = (randn(2, 3, 6, 4, seed=seed) for seed in range(3))
    until = [
        theirs.linear_attn(*(x[..., : i + 1, :] for x in (q, k, v)))[..., i, :] for i in range(6)
    ]
    wanted = torch.stack(until, dim=-2) * 4**0.5
    same(vs.anatomy["efficient"](causal=True, form=form).over("b h"), (q, k, v), {}, wanted)
