"""Latent arrays and mixers against `transformers`, weights copied over, in float64."""

import pytest
from peer import count, peer, randn, randomised, same, their_count

import vesalius as vs

transformers = peer("transformers")


def from_perceiver_layer(layer, prefix, names, heads):
    """Weights of a `PerceiverLayer`; `names` are those of its attention and of its norms."""
    attention, own = layer.attention, layer.attention.self
    found = {}
    for name, linear in (("wq", own.query), ("wk", own.key), ("wv", own.value)):
        found[f"{prefix}{names[0]}.{name}"] = linear.weight.T.reshape(linear.in_features, heads, -1)
        found[f"{prefix}{names[0]}.{name}_bias"] = linear.bias.reshape(heads, -1)
    dense = attention.output.dense
    found[f"{prefix}{names[0]}.wo"] = dense.weight.T.reshape(heads, -1, dense.out_features)
    found[f"{prefix}{names[0]}.wo_bias"] = dense.bias
    norms = [own.layernorm1, own.layernorm2, layer.layernorm]
    for name, norm in zip(names[1:], [x for x in norms if hasattr(x, "weight")], strict=True):
        found |= {f"{prefix}{name}.gain": norm.weight, f"{prefix}{name}.shift": norm.bias}
    return found


def from_mlp(theirs, prefix):
    return {
        f"{prefix}up": theirs.dense1.weight.T,
        f"{prefix}up_bias": theirs.dense1.bias,
        f"{prefix}down": theirs.dense2.weight.T,
        f"{prefix}down_bias": theirs.dense2.bias,
    }


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("layers", [1, 2])
def test_perceiver(heads, layers):
    modeling = peer("transformers.models.perceiver.modeling_perceiver")
    config = transformers.PerceiverConfig(
        num_latents=3,
        d_latents=8,
        d_model=6,
        num_blocks=1,
        num_self_attends_per_block=layers,
        num_self_attention_heads=heads,
        num_cross_attention_heads=heads,
        qk_channels=8,
        v_channels=8,
        attention_probs_dropout_prob=0.0,
        self_attention_widening_factor=2,
        cross_attention_widening_factor=2,
    )
    theirs = randomised(modeling.PerceiverEncoder(config, kv_dim=6))
    latents, y = randn(3, 8), randn(2, 5, 6, seed=1)
    weights = {
        "latents": latents,
        **from_perceiver_layer(
            theirs.cross_attention, "", ("cross", "norm", "norm_1", "norm_2"), heads
        ),
        **from_mlp(theirs.cross_attention.mlp, "mlp."),
    }
    for k, layer in enumerate(theirs.self_attends):
        prefix = f"block_{k}." if k else "block."
        weights |= from_perceiver_layer(layer, prefix, ("attention", "norm", "norm_1"), heads)
        weights |= from_mlp(layer.mlp, f"{prefix}mlp.")
    wanted = theirs(latents.expand(2, 3, 8), inputs=y).last_hidden_state
    ours = vs.anatomy["perceiver"](layers=layers, heads=heads, d=8, f=16, a=6, rank=3).over("b")
    same(ours, (y,), weights, wanted)
    assert count(ours) == their_count(theirs) + latents.numel()


@pytest.mark.parametrize("n", [1, 6, 7])
def test_fnet(n):
    modeling = peer("transformers.models.fnet.modeling_fnet")
    theirs = modeling.FNetBasicFourierTransform(transformers.FNetConfig())
    x = randn(2, n, 5)
    same(vs.anatomy["fnet"]().over("b"), (x,), {}, theirs(x)[0])


@pytest.mark.parametrize("width", [3, 5])
def test_poolformer(width):
    """Theirs are on a grid; in one row of it, tokens are in a sequence."""
    modeling = peer("transformers.models.poolformer.modeling_poolformer")
    theirs = modeling.PoolFormerPooling(width)
    x = randn(2, 3, 4, 7)  # channels first
    grid = vs.anatomy["poolformer"](grid=True, window=width).over("b")
    same(grid, (x.permute(0, 2, 3, 1),), {}, theirs(x).permute(0, 2, 3, 1))
    row = x[:, :, 0]
    wanted = theirs(row[:, :, None])[:, :, 0].transpose(1, 2)
    same(vs.anatomy["poolformer"](window=width).over("b"), (row.transpose(1, 2),), {}, wanted)
