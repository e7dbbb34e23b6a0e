"""Whole layers of attention against those of transformers.

Most norm in float32 whatever they are given, and are compared to 1e-6; the rest to 1e-12.
"""

import pytest
import torch
from peer import EXACT, SINGLE, from_heads, peer, randn, randomised, same, to_heads

import vesalius as vs

H, N, D, C = 4, 7, 16, 4
causal = pytest.mark.parametrize("causal", [False, True])


def model(family):
    return peer(f"transformers.models.{family}.modeling_{family}")


def configured(family, name, **options):
    """A configuration of one layer that attends by SDPA, which keeps float64."""
    module = peer(f"transformers.models.{family}.configuration_{family}")
    usual = {"hidden_size": D, "num_attention_heads": H, "num_key_value_heads": H, "head_dim": C}
    config = getattr(module, f"{name}Config")(**{**usual, **options})
    config._attn_implementation = "sdpa"
    return config


def projections(layer, heads=H):
    found = {f"w{x}": to_heads(getattr(layer, f"{x}_proj"), heads) for x in "qkv"}
    return {**found, "wo": from_heads(layer.o_proj, heads)}


def hidden(causal):
    """What is added to scores where a key is not seen."""
    never = torch.full((N, N), float("-inf"), dtype=torch.float64).triu(1)
    return never[None, None] if causal else torch.zeros(1, 1, N, N, dtype=torch.float64)


def turns(channels=C, still=False):
    """Cosine and sine of every position and channel; without turning for who knows no positions."""
    fast = 10000.0 ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    angle = torch.arange(N, dtype=torch.float64)[:, None] * torch.cat([fast, fast]) * (not still)
    return angle.cos()[None], angle.sin()[None]


def attend(layer, x, causal, places):
    return layer(x[None], position_embeddings=places, attention_mask=hidden(causal))[0][0]


# -- norms of queries and keys --------------------------------------------------------------------


@causal
def test_qk_norm(causal):
    layer = model("qwen3").Qwen3Attention(configured("qwen3", "Qwen3"), 0)
    layer = randomised(layer)
    gains = {f"qk_norm.{y}_gain": getattr(layer, f"{y}_norm").weight for y in "qk"}
    weights = projections(layer) | gains
    ours = vs.anatomy["multihead"](attention="qk_norm", causal=causal)
    x = randn(N, D)
    same(ours, (x,), weights, attend(layer, x, causal, turns(still=True)), SINGLE)


@causal
def test_joint_qk_norm(causal):
    layer = randomised(model("olmo2").Olmo2Attention(configured("olmo2", "Olmo2"), 0))
    layer.q_norm.variance_epsilon = layer.k_norm.variance_epsilon = 1e-6
    gains = {"q_gain": layer.q_norm, "k_gain": layer.k_norm}
    weights = projections(layer) | {k: v.weight.reshape(H, C) for k, v in gains.items()}
    x = randn(N, D)
    wanted = attend(layer, x, causal, turns(still=True))
    same(vs.anatomy["joint_qk_norm"](causal=causal), (x,), weights, wanted, SINGLE)


# -- heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 3])
@causal
def test_differential(causal, depth):
    """Their heads are first all of one kind, then all of the other; values are split likewise."""
    config = configured("diffllama", "DiffLlama", attention_dropout=0.0)
    layer = randomised(model("diffllama").DiffLlamaAttention(config, depth - 1))
    both = projections(layer)
    two = {k: both[k].reshape(D, 2, H // 2, C) for k in ("wq", "wk")}
    weights = {
        **two,
        "wv": torch.cat(both["wv"].chunk(2, 1), -1),
        "wo": from_heads(layer.o_proj, H // 2),
        "lambda_q": torch.stack([layer.lambda_q1, layer.lambda_q2]),
        "lambda_k": torch.stack([layer.lambda_k1, layer.lambda_k2]),
    }
    layer.groupnorm.eps = 1e-5
    x = randn(N, D)
    wanted = attend(layer, x, causal, turns(still=True))
    ours = vs.anatomy["differential"](causal=causal, depth=depth)
    same(ours, (x,), weights, wanted, SINGLE)  # their λ is in float32


@pytest.mark.parametrize("rank", [None, 6])
@causal
def test_latent(causal, rank):
    r, t, e = 5, 4, 3
    config = configured(
        "deepseek_v3",
        "DeepseekV3",
        q_lora_rank=rank,
        kv_lora_rank=r,
        qk_nope_head_dim=C,
        qk_rope_head_dim=t,
        v_head_dim=e,
        attention_bias=False,
    )
    layer = randomised(model("deepseek_v3").DeepseekV3Attention(config, 0))
    query = to_heads(layer.q_b_proj if rank else layer.q_proj, H)
    down = layer.kv_a_proj_with_mqa.weight.T
    up = to_heads(layer.kv_b_proj, H)
    weights = {
        "wq": query[..., :C],
        "wqr": query[..., C:],
        "down": down[:, :r],
        "wkr": down[:, r:],
        "gain": layer.kv_a_layernorm.weight,
        "up_k": up[..., :C],
        "up_v": up[..., C:],
        "wo": from_heads(layer.o_proj, H),
    }
    if rank:
        weights |= {"down_q": layer.q_a_proj.weight.T, "q_gain": layer.q_a_layernorm.weight}
    x = randn(N, D)
    wanted = attend(layer, x, causal, turns(t))
    ours = vs.anatomy["latent"](low_rank_queries=bool(rank), causal=causal)
    same(ours, (x,), weights, wanted, SINGLE)


@causal
def test_sink(causal):
    config = configured("gpt_oss", "GptOss", attention_bias=False)
    config._attn_implementation = "eager"
    layer = randomised(model("gpt_oss").GptOssAttention(config, 0))
    weights = projections(layer) | {"b": layer.sinks}
    x = randn(N, D)
    still = [y[..., : C // 2] for y in turns(still=True)]
    same(vs.anatomy["sink"](causal=causal), (x,), weights, attend(layer, x, causal, still), EXACT)


@causal
def test_softcap(causal):
    q, k, v = randn(N, C), randn(N, C, seed=1), randn(N, C, seed=2)
    gemma = model("gemma2")
    layer = torch.nn.Module()
    layer.num_key_value_groups, layer.head_dim = 1, C
    given = [y[None, None] for y in (q, k, v)]
    wanted = gemma.eager_attention_forward(layer, *given, hidden(causal), softcap=50.0)[0][0, :, 0]
    same(vs.anatomy["softcap"](causal=causal), (q, k, v), {}, wanted, SINGLE)


# -- positions ------------------------------------------------------------------------------------


@causal
@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_rope(causal, pairing):
    family = {"half": "llama", "interleaved": "cohere"}[pairing]
    module, (cos, sin) = model(family), turns()
    if pairing == "interleaved":
        cos, sin = (y[..., : C // 2].repeat_interleave(2, -1) for y in (cos, sin))
    q, k, v = (randn(N, C, seed=seed) for seed in range(3))
    turned = module.apply_rotary_pos_emb(q[None, None], k[None, None], cos, sin)
    turned = [y.double() for y in turned]
    wanted = torch.nn.functional.scaled_dot_product_attention(
        *turned, v[None, None], is_causal=causal
    )[0, 0]
    ours = vs.anatomy["rope"](pairing=pairing, causal=causal)
    same(ours, (q, k, v), {}, wanted, EXACT if pairing == "half" else SINGLE)


def test_rope_in_heads_with_their_angles():
    """Their frequencies are rounded to float32."""
    config = configured("llama", "Llama", attention_bias=False)
    layer = randomised(model("llama").LlamaAttention(config, 0))
    x = randn(N, D)
    places = model("llama").LlamaRotaryEmbedding(config)(x[None], torch.arange(N)[None])
    ours = vs.anatomy["multihead"](attention="rope", causal=True)
    same(ours, (x,), projections(layer), attend(layer, x, True, places), 5 * SINGLE)


def test_shaw():
    """Their table begins with the key furthest to the left, too; both sides are as wide here."""
    config = configured(
        "wav2vec2_bert",
        "Wav2Vec2Bert",
        position_embeddings_type="relative_key",
        left_max_position_embeddings=3,
        right_max_position_embeddings=3,
    )
    layer = randomised(model("wav2vec2_bert").Wav2Vec2BertSelfAttention(config))
    with torch.no_grad():
        for linear in (layer.linear_q, layer.linear_k, layer.linear_v, layer.linear_out):
            linear.bias.zero_()
    weights = {f"w{x}": to_heads(getattr(layer, f"linear_{x}"), H) for x in "qkv"}
    weights |= {"wo": from_heads(layer.linear_out, H), "shaw.r": layer.distance_embedding.weight}
    x = randn(N, D)
    wanted = layer(x[None])[0][0]
    ours = vs.anatomy["multihead"](attention="shaw").substitute(w=3)
    same(ours, (x,), weights, wanted, EXACT)


@pytest.mark.parametrize("past", [0, 1, 3])
@causal
def test_transformer_xl(causal, past):
    """Their `mems` stand before the segment; with none of them ours is the plain mechanism, too."""
    config = peer("transformers").XLNetConfig(d_model=D, n_head=H, d_inner=4, n_layer=1)
    xlnet = model("xlnet")
    layer = randomised(xlnet.XLNetRelativeAttention(config))
    x = randn(N, D)
    fast = 10000.0 ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.arange(N, past - N, -1, dtype=torch.float64)[:, None] * fast
    waves = torch.cat([angle.sin(), angle.cos()], -1)
    q, k, v = (torch.einsum("nd,dhc->nhc", x, getattr(layer, y))[:, None] for y in "qkv")
    q = q[past:]
    places = torch.einsum("od,dhc->ohc", waves, layer.r)[:, None]
    never = torch.ones(N - past, N, dtype=torch.float64).triu(1 + past)[..., None, None]
    never = never if causal else None
    mixed = layer.rel_attn_core(q, k, v, places, attn_mask=never)[:, 0]
    wanted = torch.einsum("nhc,dhc->nd", mixed, layer.o)
    weights = {
        "wq": layer.q,
        "wk": layer.k,
        "wv": layer.v,
        "wo": layer.o.permute(1, 2, 0),
        "wr": layer.r,
        "u": layer.r_w_bias,
        "v": layer.r_r_bias,
    }
    if not past:
        same(vs.anatomy["transformer_xl"](causal=causal), (x,), weights, wanted, EXACT)
    else:
        ours = vs.anatomy["transformer_xl"](memory=True, causal=causal, j=past, n=N - past)
        same(ours, (x[past:], x[:past]), weights, wanted, EXACT)


@causal
@pytest.mark.parametrize("n", [N, 160])
def test_t5(causal, n):
    """Also where distances are longer than the longest bucket."""
    config = peer("transformers").T5Config(d_model=D, d_kv=C, num_heads=H, is_decoder=causal)
    config._attn_implementation = "sdpa"
    layer = model("t5").T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
    layer = randomised(layer)
    weights = {f"w{x}": to_heads(getattr(layer, x), H) for x in "qkv"}
    weights |= {"wo": from_heads(layer.o, H), "bias": layer.relative_attention_bias.weight}
    x = randn(n, D)
    never = torch.full((n, n), float("-inf"), dtype=torch.float64).triu(1)[None, None]
    wanted = layer(x[None], mask=never if causal else None)[0][0]
    same(vs.anatomy["t5"](causal=causal), (x,), weights, wanted, EXACT)


def test_alibi():
    """Theirs is m·slope: what a softmax over the keys before makes of it is the same."""
    bloom = model("bloom")
    bias = bloom.build_alibi_tensor(torch.ones(1, N), H, torch.float64)
    shapes = {"wq": (D, H, C), "wk": (D, H, C), "wv": (D, H, C), "wo": (H, C, D)}
    weights = {name: randn(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items(), 1)}
    x = randn(N, D)
    q, k, v = (torch.einsum("nd,dhc->hnc", x, weights[name]) for name in ("wq", "wk", "wv"))
    mask = hidden(True)[0] + bias
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    wanted = torch.einsum("hnc,hcd->nd", mixed, weights["wo"])
    same(vs.anatomy["alibi"](causal=True), (x,), weights, wanted, EXACT)
