"""The catalogue against the package `FLASH-pytorch`, weights copied over, in float64."""

import pytest
from peer import count, peer, randn, randomised, same, their_count

import vesalius as vs

flash = peer("flash_pytorch.flash_pytorch")


def from_unit(theirs, offsets, scale):
    """Weights as ours: theirs scale the table of distances, which is of one head."""
    hidden, base = theirs.to_hidden[0], theirs.to_qk[0]
    out = theirs.to_out[0] if hasattr(theirs.to_out, "__getitem__") else theirs.to_out
    found = {
        "norm.gain": theirs.norm.weight,
        "norm.shift": theirs.norm.bias,
        "z": base.weight.T,
        "z_bias": base.bias,
        "bias": theirs.rel_pos_bias.relative_attention_bias.weight[:, 0] * scale,
        "wo": out.weight.T,
        "wo_bias": out.bias,
    }
    for k, name in enumerate("vu"):
        found[name] = hidden.weight.chunk(2)[k].T
        found[f"{name}_bias"] = hidden.bias.chunk(2)[k]
    for k in range(len(offsets.gamma)):
        suffix = f"_{k}" if k else ""
        found |= {f"gamma{suffix}": offsets.gamma[k], f"beta{suffix}": offsets.beta[k]}
    return found


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("causal", [False, True])
def test_gau(n, causal):
    theirs = randomised(flash.GAU(dim=6, query_key_dim=4, causal=causal))
    ours = vs.anatomy["gau"](causal=causal, d=6, c=4).over("b")
    x = randn(2, n, 6)
    same(ours, (x,), from_unit(theirs, theirs.offsetscale, 6**0.5), theirs(x))
    assert count(ours) == their_count(theirs)


@pytest.mark.parametrize("causal", [False, True])
def test_gau_with_padding(causal):
    theirs = randomised(flash.GAU(dim=6, query_key_dim=4, causal=causal))
    ours = vs.anatomy["gau"](causal=causal, padding=True, d=6, c=4).over("b")
    x, keep = randn(2, 9, 6), randn(2, 9, seed=1) > -0.5
    same(ours, (x, keep), from_unit(theirs, theirs.offsetscale, 6**0.5), theirs(x, mask=keep))


@pytest.mark.parametrize("causal", [False, True])
def test_flash_with_padding(causal):
    """Theirs cuts the mask into chunks of the wrong length where there are not as many as long."""
    theirs = randomised(flash.FLASH(dim=6, group_size=5, query_key_dim=4, causal=causal))
    ours = vs.anatomy["flash"](causal=causal, padding=True, d=6, c=4, window=5).over("b")
    x, keep = randn(2, 25, 6), randn(2, 25, seed=1) > -0.5
    weights = from_unit(theirs, theirs.qk_offset_scale, 4**0.5)
    same(ours, (x, keep), weights, theirs(x, mask=keep))


@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_flash(chunks, causal):
    theirs = randomised(flash.FLASH(dim=6, group_size=5, query_key_dim=4, causal=causal))
    ours = vs.anatomy["flash"](causal=causal, d=6, c=4, window=5).over("b")
    x = randn(2, 5 * chunks, 6)
    same(ours, (x,), from_unit(theirs, theirs.qk_offset_scale, 4**0.5), theirs(x))
    assert count(ours) == their_count(theirs)
