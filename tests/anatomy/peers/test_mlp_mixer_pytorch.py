"""The catalogue against the package `mlp-mixer-pytorch`, weights copied over, in float64."""

from peer import count, peer, randn, randomised, same, their_count
from torch import nn

import vesalius as vs

mixer = peer("mlp_mixer_pytorch.mlp_mixer_pytorch")


def test_mlp_mixer():
    """One layer of theirs: between their patches and their norm of the whole."""
    whole = mixer.MLPMixer(
        image_size=6, channels=1, patch_size=2, dim=4, depth=1, num_classes=2, expansion_factor=3
    )
    (theirs,) = [layer for layer in whole if isinstance(layer, nn.Sequential)]
    theirs = randomised(theirs)
    tokens, channels = theirs
    weights = {}
    for prefix, layer, norm in (("tokens.", tokens, "norm."), ("mlp.", channels, "norm_1.")):
        weights |= {f"{norm}gain": layer.norm.weight, f"{norm}shift": layer.norm.bias}
        for name, linear in (("up", layer.fn[0]), ("down", layer.fn[3])):
            weights[f"{prefix}{name}"] = linear.weight.flatten(1).T
            weights[f"{prefix}{name}_bias"] = linear.bias
    ours = vs.anatomy["mlp_mixer"](n=9, d=4, a=12, f=2).over("b")
    x = randn(2, 9, 4)
    same(ours, (x,), weights, theirs(x))
    assert count(ours) == their_count(theirs)
