"""The catalogue against the package `g-mlp-pytorch`, weights copied over, in float64."""

import pytest
from peer import count, peer, randn, randomised, same, their_count

import vesalius as vs

g_mlp = peer("g_mlp_pytorch.g_mlp_pytorch")


@pytest.mark.parametrize("causal", [False, True])
def test_gmlp(causal):
    d, f, n = 6, 4, 5
    block = g_mlp.gMLPBlock(dim=d, dim_ff=2 * f, seq_len=n, causal=causal)
    theirs = randomised(g_mlp.Residual(g_mlp.PreNorm(d, block)))
    norm = theirs.fn.norm
    both, gate = block.proj_in[0], block.sgu
    weights = {
        "norm.gain": norm.weight,
        "norm.shift": norm.bias,
        "gain": gate.norm.weight,
        "shift": gate.norm.bias,
        "w": gate.weight[0],
        "b": gate.bias[0],
        "wo": block.proj_out.weight.T,
        "wo_bias": block.proj_out.bias,
    }
    for k, name in enumerate("uv"):
        weights[name] = both.weight.chunk(2)[k].T
        weights[f"{name}_bias"] = both.bias.chunk(2)[k]
    ours = vs.anatomy["gmlp"](causal=causal, d=d, f=f, n=n).over("b")
    x = randn(2, n, d)
    same(ours, (x,), weights, theirs(x))
    assert count(ours) == their_count(theirs)
