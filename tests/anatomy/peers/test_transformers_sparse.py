"""Windows, global positions and random blocks against transformers, weights copied over."""

import numpy as np
import pytest
import torch
from peer import EXACT, SINGLE, peer, randn, randomised, same, to_heads

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
    own = {"bias": True, "padding": True, "heads": 2, "d": 6, "window": window // 2 + 1}
    weights = {"wo": torch.eye(6).double().reshape(2, 3, 6), "wo_bias": torch.zeros(6).double()}
    for name, part in (("wq", "query"), ("wk", "key"), ("wv", "value")):
        for suffix in ("", "_global"):
            weight, bias = by_head(getattr(module, part + suffix), 2)
            weights |= {f"{name}{suffix}": weight, f"{name}{suffix}_bias": bias}
    real = keep[0]  # what theirs makes of padding is no matter
    for more in ({}, {"blocked": True, "u": max(1, len(anchors))}):
        ours = vs.anatomy["longformer"](**own, **more)
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
    for more in ({"blocks": blocks}, {"blocked": True, "n": n}):
        ours = vs.anatomy["big_bird"](block=length, u=2, **more)
        same(ours, (q, k, v), {"links": links}, wanted[0], within=EXACT)


@pytest.mark.parametrize(("n", "length", "rounds"), [(12, 4, 1), (12, 4, 3), (16, 2, 2)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padding", [False, True])
def test_reformer(n, length, rounds, causal, padding):
    """Their keys are not divided by √c, and of length 1 but for 10⁻⁶, next to which x is large."""
    from transformers.models.reformer import modeling_reformer as theirs

    heads, channels, half = 2, 3, 4
    config = transformers.ReformerConfig(
        hidden_size=6, num_attention_heads=heads, attention_head_size=channels, is_decoder=causal,
        lsh_attn_chunk_length=length, num_hashes=rounds, num_buckets=2 * half, hash_seed=5,
        lsh_num_chunks_before=1, lsh_num_chunks_after=0,
    )  # fmt: skip
    module = randomised(theirs.LSHSelfAttention(config, 0))
    keep = torch.ones(1, n, dtype=torch.bool)
    keep[0, n - 3 :] = not padding
    x = 100 * randn(1, n, 6)
    with torch.no_grad():
        wanted = module(x, attention_mask=keep).hidden_states
    torch.manual_seed(5)
    rotations = torch.randn(heads, channels, rounds, half, dtype=torch.float64)
    weights = {
        "wq": channels**0.5 * to_heads(module.query_key, heads).detach(),
        "wv": to_heads(module.value, heads).detach(),
        "rotations": rotations,
        "wo": torch.eye(6).double().reshape(heads, channels, 6),
    }
    ours = vs.anatomy["reformer"](
        chunked=True, causal=causal, padding=True, heads=heads, d=6, c=channels, block=length,
        u=rounds, s=half, n=n,
    )  # fmt: skip
    real = keep[0]
    found = ours.evaluate(x[0], keep[0], parameters=weights)
    torch.testing.assert_close(found[real], wanted[0, real], rtol=SINGLE, atol=SINGLE)
    compiled = vs.to_torch(ours, dtype=torch.float64)
    compiled.load_state_dict(weights)
    torch.testing.assert_close(compiled(x[0], keep[0]), found, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(("n", "kept"), [(9, 3), (4, 6), (7, 7)])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_indexed(n, kept, rotary, causal):
    """The keys that the indexer of DeepSeek-V3.2 finds, attended to by torch; theirs in float32."""
    from transformers.models.deepseek_v32 import modeling_deepseek_v32 as theirs

    heads, d, c, width, indexers = 2, 6, 4, 4, 3
    config = transformers.DeepseekV32Config(
        hidden_size=d, q_lora_rank=d, index_n_heads=indexers, index_head_dim=width,
        index_topk=kept, qk_rope_head_dim=width,
    )  # fmt: skip
    indexer = randomised(theirs.DeepseekV32Indexer(config, 0))
    x = randn(1, n, d)
    steps = torch.arange(n, dtype=torch.float64)
    angles = torch.outer(steps, 10000.0 ** (-steps[: width // 2] / (width // 2)))
    angles = torch.cat([angles, angles], 1) * rotary
    seen = torch.ones(n, n, dtype=torch.bool)
    seen = seen.tril() if causal else seen
    places = indexer(x, x, (angles.cos()[None], angles.sin()[None]), seen[None], None)[0].long()
    chosen = torch.zeros(n, n, dtype=torch.bool).scatter(1, places, True) & seen

    ours = vs.anatomy["indexed"](
        rotary=rotary, causal=causal, heads=heads, d=d, c=c, e=c, i=indexers, r=width, kept=kept
    )
    weights = {
        name: randn(*(size.constant for size in type_.axes.values()), seed=k)
        for k, (name, type_) in enumerate(ours.parameters.items())
    }
    weights |= {
        "wq_index": to_heads(indexer.wq_b, indexers).detach(),
        "wk_index": indexer.wk.weight.T.detach(),
        "index_gain": indexer.k_norm.weight.detach(),
        "index_shift": indexer.k_norm.bias.detach(),
        "w_index": indexer.weights_proj.weight.T.detach(),
    }
    q, k, v = (torch.einsum("nd,dhc->hnc", x[0], weights[name]) for name in ("wq", "wk", "wv"))
    if rotary:
        q, k = (y[0] for y in theirs.apply_rotary_pos_emb(
            q[None], k[None], angles.cos()[None], angles.sin()[None]
        ))  # fmt: skip
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=chosen)
    wanted = torch.einsum("hne,hed->nd", mixed, weights["wo"])
    same(ours, (x[0],), weights, wanted, within=EXACT)


def test_reformer_of_one_chunk_is_attention_to_all_others():
    """Theirs is whole attention where a chunk holds the sequence; so is ours, with one round."""
    x = randn(5, 6)
    chunked = vs.anatomy["reformer"](chunked=True, heads=2, d=6, n=5, block=5, u=1, s=3)
    whole = vs.anatomy["reformer"](heads=2, d=6, n=5, u=1, s=3)
    weights = {
        name: randn(*(s.constant for s in t.axes.values()), seed=k)
        for k, (name, t) in enumerate(whole.parameters.items())
    }
    weights["rotations"] = 0 * weights["rotations"]  # all in one bucket
    found, wanted = (d.evaluate(x, parameters=weights) for d in (chunked, whole))
    torch.testing.assert_close(found, wanted, rtol=EXACT, atol=EXACT)
