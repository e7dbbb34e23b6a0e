"""Windows, global positions and random blocks against transformers, weights copied over."""

import numpy as np
import pytest
import torch
from peer import EXACT, SINGLE, peer, randn, randomised, same

import vesalius as vs

transformers = peer("transformers")


def by_head(layer, heads):
    """The weight of a linear layer whose outputs are (head, channel), as ours; and its bias."""
    return layer.weight.T.reshape(layer.in_features, heads, -1), layer.bias.reshape(heads, -1)


@pytest.mark.parametrize(
    ("n", "window", "anchors"), [(12, 4, [0, 5]), (8, 4, []), (18, 6, [2, 9, 10])]
)
@pytest.mark.parametrize("padding", [False, True])
def test_longformer(n, window, anchors, padding):
    """Their window counts both sides; their softmax is in float32, nothing is projected."""
    from transformers.models.longformer import modeling_longformer as theirs

    config = transformers.LongformerConfig(
        hidden_size=6, num_attention_heads=2, attention_window=[window]
    )
    module = randomised(theirs.LongformerSelfAttention(config, 0))
    chosen = torch.zeros(1, n, dtype=torch.bool)
    chosen[0, anchors] = True
    keep = torch.ones(1, n, dtype=torch.bool)
    keep[0, n - 2 :] = not padding
    x = randn(1, n, 6)
    with torch.no_grad():
        (wanted,) = module(
            x,
            attention_mask=10000.0 * chosen.double() - 10000.0 * (~keep).double(),
            is_index_masked=~keep,
            is_index_global_attn=chosen,
            is_global_attn=bool(anchors),
        )
    ours = vs.anatomy["longformer"](bias=True, padding=True, heads=2, d=6, window=window // 2 + 1)
    weights = {"wo": torch.eye(6).double().reshape(2, 3, 6), "wo_bias": torch.zeros(6).double()}
    for name, part in (("wq", "query"), ("wk", "key"), ("wv", "value")):
        for suffix in ("", "_global"):
            weight, bias = by_head(getattr(module, part + suffix), 2)
            weights |= {f"{name}{suffix}": weight, f"{name}{suffix}_bias": bias}
    real = keep[0]  # what theirs makes of padding is no matter
    found = ours.evaluate(x[0], chosen[0], keep[0], parameters=weights)
    torch.testing.assert_close(found[real], wanted[0, real], rtol=SINGLE, atol=SINGLE)


@pytest.mark.parametrize(("blocks", "length"), [(11, 2), (13, 3)])
def test_big_bird(blocks, length):
    """Theirs draws the random blocks when it trains; ours is given what it has drawn."""
    from transformers.models.big_bird import modeling_big_bird as theirs

    n = blocks * length
    config = transformers.BigBirdConfig(
        hidden_size=4, num_attention_heads=1, block_size=length, num_random_blocks=2,
        max_position_embeddings=n, attention_type="block_sparse",
    )  # fmt: skip
    module = randomised(theirs.BigBirdBlockSparseAttention(config, seed=3)).train()
    x = randn(1, n, 4)
    masks = theirs.BigBirdModel.create_masks_for_block_sparse_attn(torch.ones(1, n), length)
    blocked, band, rows, columns = (mask.double() for mask in masks)
    with torch.no_grad():
        wanted, _ = module(x, band, rows, columns, blocked, blocked)

    np.random.seed(3)
    plan = module._get_rand_attn_plan(n, length, 2)
    (drawn,) = module._bigbird_block_rand_mask_with_head(n, n, length, length, 1, *plan)
    links = torch.full((blocks, 2), -1.0, dtype=torch.float64)
    links[1:-1] = 2 * (torch.tensor(drawn) + 0.5) / blocks - 1
    q, k, v = (layer(x)[0].detach() for layer in (module.query, module.key, module.value))
    ours = vs.anatomy["big_bird"](blocks=blocks, block=length, u=2)
    same(ours, (q, k, v), {"links": links}, wanted[0], within=EXACT)
