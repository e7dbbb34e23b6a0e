"""Linear attention and recurrences against the plain functions of flash-linear-attention."""

import pytest
import torch
from peer import EXACT, SINGLE, naive, randn, same

import vesalius as vs


def turned(*arrays):
    """Positions and heads in the other order: theirs is [batch, position, head, channel]."""
    return [x.transpose(1, 2) for x in arrays]


@pytest.mark.parametrize("form", ["weights", "scan"])
@pytest.mark.parametrize("n", [1, 6])
def test_linear(n, form):
    theirs = naive("fla/ops/linear_attn/naive.py").naive_recurrent_linear_attn
    q, k, v = (randn(2, 3, n, 4, seed=seed) for seed in range(3))
    features = [torch.nn.functional.elu(x) + 1 for x in (q, k)]
    wanted, _ = theirs(*turned(*features, v), normalize=True)
    ours = vs.anatomy["linear"](causal=True, form=form).over("b h")
    same(ours, (q, k, v), {}, *turned(wanted), within=SINGLE)


@pytest.mark.parametrize("form", ["weights", "scan"])
@pytest.mark.parametrize(("n", "c", "e"), [(1, 2, 3), (6, 4, 5)])
def test_based(n, c, e, form):
    """Their divisor has 10⁻⁶ beside the sum of weights, so it is made of values that are one."""
    theirs = naive("fla/ops/based/naive.py").naive_parallel_based
    q, k, v = randn(2, 3, n, c), randn(2, 3, n, c, seed=1), randn(2, 3, n, e, seed=2)
    wanted, total = (theirs(q, k, x, use_norm=False) for x in (v, torch.ones_like(v)))
    ours = vs.anatomy["based"](causal=True, form=form).over("b h")
    same(ours, (q, k, v), {}, wanted / total, within=EXACT)
