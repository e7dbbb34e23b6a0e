"""Recurrent attention against the layers of transformers, which compute in float32 inside."""

import math

import pytest
import torch
from peer import SINGLE, peer, randn, randomised, same

import vesalius as vs

D, H, C, E, WIDTH = 4, 2, 3, 4, 4


def by_heads(rows):
    """A weight [h·channels, d] as [d, h, channels]."""
    return rows.T.reshape(D, H, -1)


def decays(module):
    """Of A = −exp(A_log) and of the bias of the step sizes."""
    return {
        "a": module.A_log.detach() - math.log(4),
        "step_bias": module.dt_bias.detach() + math.log(100),
    }


@pytest.mark.parametrize(("n", "hidden"), [(1, 0), (4, 0), (11, 0), (11, 3)])
@pytest.mark.parametrize("form", ["weights", "scan"])
def test_mamba2(n, form, hidden):
    """Hidden positions are the first; theirs makes of them what ours does not."""
    models = peer("transformers.models.mamba2.modeling_mamba2")
    config = models.Mamba2Config(
        num_heads=H, head_dim=E, hidden_size=D, state_size=C, n_groups=1, expand=H * E // D,
        conv_kernel=WIDTH, chunk_size=4, layer_norm_epsilon=1e-5, num_hidden_layers=1,
    )  # fmt: skip
    module = randomised(models.Mamba2Mixer(config, layer_idx=0))
    inner, states = H * E, C
    z, x, b, c, dt = module.in_proj.weight.detach().split([inner, inner, states, states, H])
    taps = module.conv1d.weight.detach()[:, 0].split([inner, states, states])
    biases = module.conv1d.bias.detach().split([inner, states, states])
    weights = {
        "wz": by_heads(z), "wx": by_heads(x), "wb": b.T, "wc": c.T, "wt": dt.T,
        "filter": taps[2], "filter_1": taps[1], "filter_2": taps[0].reshape(H, E, WIDTH),
        "bias_c": biases[2], "bias_b": biases[1], "bias_x": biases[0].reshape(H, E),
        "skip": module.D.detach(), "gain": module.norm.weight.detach().reshape(H, E),
        "wo": module.out_proj.weight.detach().T.reshape(H, E, D), **decays(module),
    }  # fmt: skip
    given = randn(2, n, D)
    with torch.no_grad():
        keep = (torch.arange(n) >= hidden).expand(2, n)
        wanted = module(given, attention_mask=keep.float())
    sizes = {"d": D, "h": H, "c": C, "e": E, "window": WIDTH}
    ours = vs.anatomy["mamba2"](form=form, padding=bool(hidden), **sizes).over("b")
    if not hidden:
        same(ours, (given,), weights, wanted, within=10 * SINGLE)
    else:
        found = ours.evaluate(given, keep, parameters=weights)[:, hidden:]
        wanted = wanted[:, hidden:].double()
        torch.testing.assert_close(found, wanted, rtol=10 * SINGLE, atol=10 * SINGLE)


@pytest.mark.parametrize("n", [1, 4, 70])
def test_gated_delta_net(n):
    models = peer("transformers.models.qwen3_next.modeling_qwen3_next")
    config = models.Qwen3NextConfig(
        hidden_size=D, linear_num_value_heads=H, linear_num_key_heads=H, linear_key_head_dim=C,
        linear_value_head_dim=E, linear_conv_kernel_dim=WIDTH, rms_norm_eps=1e-6,
        num_hidden_layers=1, layer_types=["linear_attention"],
    )  # fmt: skip
    module = randomised(models.Qwen3NextGatedDeltaNet(config, layer_idx=0))
    rows = module.in_proj_qkvz.weight.detach().reshape(H, -1, D)
    q, k, v, z = (part.permute(2, 0, 1) for part in rows.split([C, C, E, E], dim=1))
    b, a = module.in_proj_ba.weight.detach().reshape(H, 2, D).unbind(1)
    taps = module.conv1d.weight.detach()[:, 0].split([H * C, H * C, H * E])
    weights = {
        "wq": q, "wk": k, "wv": v, "wz": z, "ws": b.T, "wt": a.T,
        **dict(zip(("filter", "filter_1", "filter_2"),
                   (part.reshape(H, -1, WIDTH) for part in taps), strict=True)),
        "gain": module.norm.weight.detach(),
        "wo": module.out_proj.weight.detach().T.reshape(H, E, D), **decays(module),
    }  # fmt: skip
    given = randn(2, n, D)
    with torch.no_grad():
        wanted = module(given)
    ours = vs.anatomy["gated_delta_net"](d=D, h=H, c=C, e=E, window=WIDTH).over("b")
    same(ours, (given,), weights, wanted, within=10 * SINGLE)


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("form", ["weights", "scan"])
def test_rwkv(n, form):
    """Their mix μ of a token and the one before lies in [0, 1], and their decay is exp(−exp(ω))."""
    models = peer("transformers.models.rwkv.modeling_rwkv")
    config = models.RwkvConfig(hidden_size=D, attention_hidden_size=E, num_hidden_layers=1)
    module = randomised(models.RwkvSelfAttention(config))
    weights = {
        "wo": module.output.weight.detach().T,
        "omega": module.time_decay.detach() + 1,
        "u": module.time_first.detach(),
    }
    for ours, theirs in (("r", "receptance"), ("k", "key"), ("v", "value")):
        weights[f"w{ours}"] = getattr(module, theirs).weight.detach().T
        mix = getattr(module, f"time_mix_{theirs}").detach()[0, 0]
        weights[f"mix_{ours}"] = 2 * mix - 1
    given = randn(2, n, D)
    with torch.no_grad():
        wanted, _ = module(given)
    ours = vs.anatomy["rwkv"](form=form, d=D, e=E).over("b")
    same(ours, (given,), weights, wanted, within=SINGLE)
