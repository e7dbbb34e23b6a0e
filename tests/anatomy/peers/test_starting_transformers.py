"""How layers of transformers start."""

import math

import pytest
import torch
from peer import from_heads, peer, to_heads
from starting import exact, same_law, start

LAYERS = 4


def models(family):
    return peer(f"transformers.models.{family}.modeling_{family}")


@pytest.mark.parametrize(("d", "e"), [(8, 12), (40, 30)])
def test_rwkv(d, e):
    """Ramps over the channels, of the first layer. Their mix lies in [0, 1], ours in [−1, 1].

    `time_first` is log 0.3, more or less 1/2 by turns, in the authors' code; theirs is `ones_like`
    of that.
    """
    rwkv = models("rwkv")
    config = rwkv.RwkvConfig(
        hidden_size=d, attention_hidden_size=e, num_hidden_layers=LAYERS, vocab_size=5
    )
    theirs = rwkv.RwkvModel(config).blocks[0].attention
    ours = start("rwkv", d=d, e=e)
    exact(ours["omega"], theirs.time_decay + 1)
    for letter, word in (("r", "receptance"), ("k", "key"), ("v", "value")):
        exact(ours[f"mix_{letter}"], 2 * getattr(theirs, f"time_mix_{word}").flatten() - 1)
    zigzag = [math.log(0.3) + 0.5 * ((i + 1) % 3 - 1) for i in range(e)]
    exact(ours["u"], torch.tensor(zigzag))


@pytest.mark.parametrize("heads", [1200, 2400])
def test_mamba2(heads):
    """Rates 1, 2, …, of which ours keeps the logarithm less log 4, and steps of 0.001 to 0.1."""
    mamba2 = models("mamba2")
    config = mamba2.Mamba2Config(
        num_heads=heads, head_dim=1, hidden_size=heads, state_size=2, n_groups=1, expand=1,
        conv_kernel=4, num_hidden_layers=1, vocab_size=5,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = mamba2.Mamba2Mixer(config, layer_idx=0)
    theirs.init_mamba2_weights()
    ours = start("mamba2", d=3, h=heads, c=2, e=1, w=4)
    exact(ours["a"], theirs.A_log - math.log(4))
    exact(ours["skip"], theirs.D)
    exact(ours["gain"].flatten(), theirs.norm.weight)
    same_law(ours["step_bias"] - math.log(100), theirs.dt_bias)
    steps = torch.nn.functional.softplus(ours["step_bias"] - math.log(100))
    assert 0.001 <= steps.min() < 0.00105
    assert 0.095 < steps.max() <= 0.1 + 1e-12
    same_law(ours["filter_2"], theirs.conv1d.weight[:heads])  # uniform, by 1/√4
    for bias in ("bias_b", "bias_c", "bias_x"):  # as `Mamba2PreTrainedModel` leaves them
        assert not ours[bias].any()


@pytest.mark.parametrize("heads", [1500, 3000])
def test_gated_delta_net(heads):
    """Rates from 0.01 to 16. Their bias of the steps is 1; the authors', and ours, is Mamba-2's."""
    qwen = models("qwen3_next")
    config = qwen.Qwen3NextConfig(
        vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, head_dim=4, intermediate_size=4, linear_num_value_heads=heads,
        linear_num_key_heads=heads, linear_key_head_dim=1, linear_value_head_dim=1,
        layer_types=["linear_attention"], num_experts=0,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = qwen.Qwen3NextModel(config).layers[0].linear_attn
    ours = start("gated_delta_net", d=3, h=heads, c=1, e=1, w=4)
    rates = 4 * ours["a"].exp()
    same_law(rates, theirs.A_log.exp())
    assert 0.01 <= rates.min() < 0.05
    assert 15.8 < rates.max() <= 16
    steps = torch.nn.functional.softplus(ours["step_bias"] - math.log(100))
    same_law(steps.log10(), 2 * torch.rand(heads, generator=torch.Generator().manual_seed(1)) - 3)


@pytest.mark.parametrize(("d", "c", "h"), [(96, 16, 8), (192, 40, 4)])
def test_t5(d, c, h):
    """Scores without 1/√c: queries are narrower by that at first."""
    t5 = models("t5")
    config = peer("transformers").T5Config(
        d_model=d, d_kv=c, num_heads=h, num_layers=1, d_ff=4, vocab_size=5
    )
    torch.manual_seed(0)
    theirs = t5.T5EncoderModel(config).encoder.block[0].layer[0].SelfAttention
    ours = start("t5", d=d, h=h, c=c, e=c)
    for name in "qkv":
        same_law(ours[f"w{name}"], to_heads(getattr(theirs, name), h))
    same_law(ours["wo"], from_heads(theirs.o, h))
    table = theirs.relative_attention_bias.weight
    assert abs(ours["bias"].std() / table.std() - 1) < 0.3  # of 32 buckets alone
    assert ours["bias"].std().item() == pytest.approx(d**-0.5, rel=0.2)


@pytest.mark.parametrize("width", [1, 2])
def test_transformer_xl(width):
    """u and v, of deviation 0.02."""
    xlnet = models("xlnet")
    h, c = 16, 80 * width
    config = peer("transformers").XLNetConfig(
        d_model=h * c, n_head=h, d_inner=2, n_layer=1, vocab_size=5
    )
    torch.manual_seed(0)
    theirs = xlnet.XLNetModel(config).layer[0].rel_attn
    ours = start("transformer_xl", d=4, h=h, c=c, e=2)
    same_law(ours["u"], theirs.r_w_bias)
    same_law(ours["v"], theirs.r_r_bias)


@pytest.mark.parametrize("width", [30, 60])
def test_differential(width):
    """The four vectors of λ, of deviation 0.1."""
    diff = models("diffllama")
    c = 32 * width
    config = diff.DiffLlamaConfig(
        hidden_size=c * 2, num_attention_heads=2, num_hidden_layers=1, intermediate_size=2,
        vocab_size=5,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = diff.DiffLlamaModel(config).layers[0].self_attn
    ours = start("differential", d=4, h=1, c=c, e=2)
    for side in "qk":
        pair = torch.cat([getattr(theirs, f"lambda_{side}{k}") for k in (1, 2)])
        same_law(ours[f"lambda_{side}"], pair)


@pytest.mark.parametrize("width", [20, 40])
def test_shaw(width):
    """The table of distances, of deviation 0.02."""
    bert = models("wav2vec2_bert")
    config = bert.Wav2Vec2BertConfig(
        hidden_size=2 * width, num_attention_heads=2, num_hidden_layers=1, intermediate_size=2,
        position_embeddings_type="relative_key", left_max_position_embeddings=100,
        right_max_position_embeddings=100, add_adapter=False,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = bert.Wav2Vec2BertModel(config).encoder.layers[0].self_attn.distance_embedding
    same_law(start("shaw", n=2, m=2, c=width, e=2, w=100)["r"], theirs.weight)


@pytest.mark.parametrize(("r", "d"), [(40, 32), (64, 64)])
def test_perceiver(r, d):
    """The latent vectors, of deviation 0.02."""
    perceiver = models("perceiver")
    config = perceiver.PerceiverConfig(
        num_latents=r, d_latents=d, d_model=8, num_blocks=1, num_self_attends_per_block=1
    )
    torch.manual_seed(0)
    theirs = perceiver.PerceiverModel(config).embeddings.latents
    same_law(start("perceiver", {"layers": 1}, a=8, r=r, d=d, h=1, c=2, e=2, f=2)["latents"],
             theirs)  # fmt: skip
