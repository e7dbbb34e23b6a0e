"""Convolutions of the catalogue against PyTorch's own, weights copied over, in float64."""

import pytest
import torch
import torch.nn.functional as F
from peer import randn, same

import vesalius as vs


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("width", [1, 3, 4])
def test_light_convolution(causal, width):
    """A depthwise convolution whose filters are a softmax, one for the channels of a head."""
    n, d, h, c = 7, 5, 2, 3
    ours = vs.anatomy["light_convolution"](causal=causal, d=d, heads=h, c=c, window=width)
    shapes = {name: [s.constant for s in t.axes.values()] for name, t in ours.parameters.items()}
    weights = {name: randn(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items())}
    x = randn(2, n, d, seed=9)
    value, gate = (
        F.linear(x, weights[name].flatten(1).T, weights[f"{name}_bias"].flatten()) for name in "wv"
    )
    y = F.glu(torch.cat([value, gate], -1)).transpose(1, 2)
    filters = weights["filter"].softmax(-1).repeat_interleave(c, 0)[:, None]
    before = width - 1 if causal else width // 2
    mixed = F.conv1d(F.pad(y, (before, width - 1 - before)), filters, groups=h * c)
    wanted = F.linear(mixed.transpose(1, 2), weights["wo"].flatten(0, 1).T, weights["wo_bias"])
    same(ours.over("b"), (x,), weights, wanted)
