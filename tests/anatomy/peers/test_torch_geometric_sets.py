"""The catalogue against `torch_geometric`, weights copied over, in float64."""

import pytest
import torch
from peer import count, peer, randn, randomised, same, their_count
from test_torch import from_multihead

import vesalius as vs

sets = peer("torch_geometric.nn.aggr.utils")


def from_set_block(theirs, prefix):
    """Weights of a `MultiheadAttentionBlock`, as ours."""
    return {
        **from_multihead(theirs.attn, f"{prefix}attention."),
        f"{prefix}norm.gain": theirs.layer_norm1.weight,
        f"{prefix}norm.shift": theirs.layer_norm1.bias,
        f"{prefix}layer.layer": theirs.lin.weight.T,
        f"{prefix}layer.layer_bias": theirs.lin.bias,
        f"{prefix}norm_1.gain": theirs.layer_norm2.weight,
        f"{prefix}norm_1.shift": theirs.layer_norm2.bias,
    }


def whole(theirs, name):
    if name == "set_attention":
        return from_set_block(theirs.mab, "set_block.")
    if name == "induced_set_attention":
        blocks = from_set_block(theirs.mab1, "set_block.")
        return {"points": theirs.ind[0], **blocks, **from_set_block(theirs.mab2, "set_block_1.")}
    return {
        "seeds": theirs.seed[0],
        "layer.layer": theirs.lin.weight.T,
        "layer.layer_bias": theirs.lin.bias,
        **from_set_block(theirs.mab, "set_block."),
    }


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("name", ["set_attention", "induced_set_attention", "set_pooling"])
def test_sets(name, heads, padding):
    d, r = 8, 3
    theirs = {
        "set_attention": lambda: sets.SetAttentionBlock(d, heads),
        "induced_set_attention": lambda: sets.InducedSetAttentionBlock(d, r, heads),
        "set_pooling": lambda: sets.PoolingByMultiheadAttention(d, r, heads),
    }[name]()
    theirs = randomised(theirs)
    sizes = {"heads": heads, "d": d, **({} if name == "set_attention" else {"r": r})}
    ours = vs.anatomy[name](padding=padding, **sizes).over("b")
    x = randn(2, 5, d)
    keep = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    weights = {key: weight.detach() for key, weight in whole(theirs, name).items()}
    if not padding:
        same(ours, (x,), weights, theirs(x))
        assert count(ours) == their_count(theirs)
        return
    found, wanted = ours.evaluate(x, keep, parameters=weights), theirs(x, keep).detach()
    rows = keep if name != "set_pooling" else torch.ones(2, r, dtype=torch.bool)
    # Theirs clears what padding itself attends to, ours computes it: nobody reads it.
    torch.testing.assert_close(found[rows], wanted[rows], rtol=1e-12, atol=1e-12)
