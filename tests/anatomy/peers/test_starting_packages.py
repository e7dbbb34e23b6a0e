"""How layers of packages start, parameter by parameter."""

import pytest
import torch
from peer import peer
from starting import alike, exact, same_law, start
from test_flash_pytorch import from_unit
from test_slot_attention import as_ours as slots_as_ours
from test_torch import from_block, from_multihead, from_stack
from torch import nn


def seeded(make):
    torch.manual_seed(0)
    return make()


@pytest.mark.parametrize("d", [220, 300])
def test_slot_attention(d):
    theirs = seeded(lambda: peer("slot_attention").SlotAttention(3, d, hidden_dim=400))
    ours = start("slot_attention", {"turns": 1}, a=d, n=3, d=d, c=d, e=d, f=400)
    alike(ours, slots_as_ours(theirs))


@pytest.mark.parametrize(("d", "f", "n"), [(300, 200, 30), (200, 330, 60)])
def test_gmlp(d, f, n):
    """Weights of places within 10⁻³ / n, biases of places 1."""
    g_mlp = peer("g_mlp_pytorch.g_mlp_pytorch")
    block = seeded(lambda: g_mlp.gMLPBlock(dim=d, dim_ff=2 * f, seq_len=n))
    gate, norm = block.sgu, nn.LayerNorm(d)
    theirs = {
        "norm.gain": norm.weight, "norm.shift": norm.bias,
        "gain": gate.norm.weight, "shift": gate.norm.bias,
        "w": gate.weight[0], "b": gate.bias[0],
        "wo": block.proj_out.weight, "wo_bias": block.proj_out.bias,
    }  # fmt: skip
    for name, weight, bias in zip(
        "uv", block.proj_in[0].weight.chunk(2), block.proj_in[0].bias.chunk(2), strict=True
    ):
        theirs |= {name: weight, f"{name}_bias": bias}
    alike(start("gmlp", d=d, f=f, n=n), theirs)


@pytest.mark.parametrize(("n", "d"), [(225, 210), (400, 250)])
def test_mlp_mixer(n, d):
    mixer = peer("mlp_mixer_pytorch.mlp_mixer_pytorch")
    side = round(n**0.5)
    whole = seeded(lambda: mixer.MLPMixer(
        image_size=side, channels=1, patch_size=1, dim=d, depth=1, num_classes=2,
        expansion_factor=2, expansion_factor_token=2,
    ))  # fmt: skip
    (layers,) = [layer for layer in whole if isinstance(layer, nn.Sequential)]
    theirs = {}
    for prefix, layer, norm in (
        ("tokens.", layers[0], "norm."), ("mlp.", layers[1], "norm_1.")
    ):  # fmt: skip
        theirs |= {f"{norm}gain": layer.norm.weight, f"{norm}shift": layer.norm.bias}
        for name, linear in (("up", layer.fn[0]), ("down", layer.fn[3])):
            theirs |= {f"{prefix}{name}": linear.weight, f"{prefix}{name}_bias": linear.bias}
    a, f = (layer.fn[0].weight.shape[0] for layer in layers)
    alike(start("mlp_mixer", n=n, d=d, a=a, f=f), theirs)


@pytest.mark.parametrize(("n", "r"), [(50, 20), (90, 40)])
def test_linformer(n, r):
    """The combinations of tokens, within 1/√r."""
    linformer = peer("linformer")
    theirs = seeded(lambda: linformer.LinformerSelfAttention(8, n, r, 2))
    alike(start("linformer", n=n, m=n, c=4, e=4, r=r),
          {"over_keys": theirs.proj_k, "over_values": theirs.proj_v})  # fmt: skip


@pytest.mark.parametrize("width", [301, 801])
def test_nystromformer(width):
    """The filter, within 1/√w."""
    nystrom = peer("nystrom_attention.nystrom_attention")
    theirs = seeded(lambda: nystrom.NystromAttention(4, 2, 1, residual_conv_kernel=width))
    alike(start("nystromformer", n=16, c=2, e=2, r=2, w=width),
          {"filter": theirs.res_conv.weight})  # fmt: skip


@pytest.mark.parametrize(("r", "c"), [(900, 30), (700, 60)])
def test_performer(r, c):
    """Directions that are orthogonal in blocks, as long as normal ones."""
    performer = peer("performer_pytorch.performer_pytorch")
    theirs = seeded(lambda: performer.gaussian_orthogonal_random_matrix(r, c))
    ours = start("performer", n=2, m=2, c=c, e=2, r=r)["omega"]
    same_law(ours.norm(dim=1), theirs.norm(dim=1))
    same_law(ours, theirs)
    for omega in (ours, theirs.double()):
        gram = torch.nn.functional.normalize(omega[:c], dim=1)
        exact(gram @ gram.T, torch.eye(c), within=1e-5)


@pytest.mark.parametrize(("d", "e"), [(210, 220), (300, 260)])
def test_attention_free(d, e):
    """Linear maps; the table has the paper's deviation 0.01, theirs another."""
    package = peer("aft_pytorch.aft_pytorch")
    theirs = seeded(lambda: package.AFTFull(60, d, e))
    ours = start("aft_full", d=d, e=e, p=60)
    for name, linear in (("wq", "to_q"), ("wk", "to_k"), ("wv", "to_v"), ("wo", "project")):
        same_law(ours[name], getattr(theirs, linear).weight)
    same_law(ours["w"], 0.01 * torch.randn(60, 60, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("c", [250, 600])
def test_gated_units(c):
    """Scales and shifts; linear maps have the paper's deviation 0.02, theirs `nn.Linear`'s."""
    package = peer("flash_pytorch.flash_pytorch")
    unit = seeded(lambda: package.GAU(dim=4, query_key_dim=c))
    chunked = seeded(lambda: package.FLASH(dim=4, query_key_dim=c, group_size=2))
    for name, theirs, offsets in (
        ("gau", unit, unit.offsetscale), ("flash", chunked, chunked.qk_offset_scale)
    ):  # fmt: skip
        found = from_unit(theirs, offsets, 1.0)
        ours = start(name, n=4, d=4, e=8, c=c, w=2)
        own = [key for key in found if key.startswith(("gamma", "beta", "norm"))]
        assert len(own) >= 6
        alike({key: ours[key] for key in own}, {key: found[key] for key in own})
        noise = torch.randn(4 * c, generator=torch.Generator().manual_seed(1))
        same_law(ours["z"], 0.02 * noise)
        assert not ours["z_bias"].any()


@pytest.mark.parametrize(("d", "h", "c"), [(40, 60, 5), (90, 30, 10)])
def test_graphs(d, h, c):
    """Glorot's widths, of maps and of what reads the channels of each head."""
    package = peer("torch_geometric.nn")
    gat = seeded(lambda: package.GATConv(d, c, heads=h, bias=False))
    alike(start("gat", d=d, h=h, c=c),
          {"w": gat.lin.weight, "a": gat.att_dst[0], "b": gat.att_src[0]})  # fmt: skip
    gat = seeded(lambda: package.GATv2Conv(d, c, heads=h, bias=False))
    maps = {"wr": gat.lin_r.weight, "wl": gat.lin_l.weight}
    alike(start("gat_v2", d=d, h=h, c=c), {**maps, "a": gat.att[0]})


@pytest.mark.parametrize(("r", "d"), [(10, 32), (40, 24)])
def test_sets(r, d):
    """Points and seeds of Glorot's width, for a tensor of one batch."""
    sets = peer("torch_geometric.nn.aggr.utils")
    induced = seeded(lambda: sets.InducedSetAttentionBlock(d, r, 2))
    ours = start("induced_set_attention", n=2, d=d, r=r, h=2, c=d // 2, e=d // 2)
    same_law(ours["points"], induced.ind)
    same_law(ours["set_block.layer.layer"], induced.mab1.lin.weight)
    pooling = seeded(lambda: sets.PoolingByMultiheadAttention(d, r, 2))
    ours = start("set_pooling", n=2, d=d, r=r, h=2, c=d // 2, e=d // 2)
    same_law(ours["seeds"], pooling.seed)
    same_law(ours["layer.layer"], pooling.lin.weight)


@pytest.mark.parametrize("heads", [3, 8])
def test_talking_heads_and_sinks(heads):
    """Heads talk to themselves at first; theirs, which adds what is mixed, then doubles scores."""
    attend = peer("x_transformers.attend")
    layer = attend.Attend(heads=heads, pre_talking_heads=True, post_talking_heads=True)
    ours = start("talking_heads", d=2, h=heads, c=2, e=2)
    exact(ours["p"], layer.pre_softmax_talking_heads.weight[:, :, 0, 0])
    exact(ours["r"], layer.post_softmax_talking_heads.weight[:, :, 0, 0])
    sink = attend.Attend(heads=heads, head_learned_sink=True)
    exact(start("sink", d=2, h=heads, c=2, e=2)["b"], sink.head_attn_sink)


def but_glorot(theirs):
    """Without the maps to queries, keys and values: Glorot's width there, `nn.Linear`'s here."""
    return {name: x for name, x in theirs.items() if not name.endswith(("wq", "wk", "wv"))}


@pytest.mark.parametrize("d", [220, 300])
@pytest.mark.parametrize("name", ["multihead", "multihead_cross"])
def test_heads(name, d):
    """The map that joins heads; biases 0."""
    theirs = from_multihead(seeded(lambda: nn.MultiheadAttention(d, 4)))
    ours = start(name, {"bias": True}, d=d, h=4, c=d // 4, e=d // 4)
    assert ours.keys() == theirs.keys()
    alike(but_glorot(ours), but_glorot(theirs))


@pytest.mark.parametrize(("d", "f"), [(210, 320), (320, 260)])
def test_transformer_layers(d, f):
    """Alone and in a stack: maps, norms, biases."""
    theirs = seeded(lambda: nn.TransformerEncoderLayer(d, 2, f))
    sizes = {"d": d, "h": 2, "c": d // 2, "e": d // 2, "f": f}
    alike(but_glorot(start("block", **sizes)), but_glorot(from_block(theirs)))
    stack = seeded(lambda: nn.TransformerEncoder(theirs, 2, enable_nested_tensor=False))
    ours = start("encoder", {"layers": 2}, **sizes)
    alike(but_glorot(ours), but_glorot(from_stack(stack.layers)))
