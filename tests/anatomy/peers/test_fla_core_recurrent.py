"""Linear attention and recurrences against the plain functions of flash-linear-attention."""

import pytest
import torch
from peer import EXACT, SINGLE, naive, randn, same

import vesalius as vs


def turned(*arrays):
    """Positions and heads in the other order: theirs is [batch, position, head, channel]."""
    return [x.transpose(1, 2) for x in arrays]


@pytest.mark.parametrize("form", ["weights", "scan"])
@pytest.mark.parametrize("n", [1, 6])
def test_linear(n, form):
    theirs = naive("fla/ops/linear_attn/naive.py").naive_recurrent_linear_attn
    q, k, v = (randn(2, 3, n, 4, seed=seed) for seed in range(3))
    features = [torch.nn.functional.elu(x) + 1 for x in (q, k)]
    wanted, _ = theirs(*turned(*features, v), normalize=True)
    ours = vs.anatomy["linear"](causal=True, form=form).over("b h")
    same(ours, (q, k, v), {}, *turned(wanted), within=SINGLE)


@pytest.mark.parametrize("form", ["weights", "scan"])
@pytest.mark.parametrize(("n", "c", "e"), [(1, 2, 3), (6, 4, 5)])
def test_based(n, c, e, form):
    """Their divisor has 10⁻⁶ beside the sum of weights, so it is made of values that are one."""
    theirs = naive("fla/ops/based/naive.py").naive_parallel_based
    q, k, v = randn(2, 3, n, c), randn(2, 3, n, c, seed=1), randn(2, 3, n, e, seed=2)
    wanted, total = (theirs(q, k, x, use_norm=False) for x in (v, torch.ones_like(v)))
    ours = vs.anatomy["based"](causal=True, form=form).over("b h")
    same(ours, (q, k, v), {}, wanted / total, within=EXACT)


# -- layers around their recurrences: maps, convolutions, norms and gates are PyTorch's ------------

F = torch.nn.functional
B, N, D, H, C, E = 2, 7, 6, 3, 4, 5


def drawn(name, **sizes):
    """An entry in one form, with weights of half a deviation."""
    ours = vs.anatomy[name](d=D, h=H, c=C, e=E, **sizes).over("b")
    shapes = {
        weight: [size.constant for size in type_.axes.values()]
        for weight, type_ in ours.parameters.items()
    }
    return ours, {
        weight: 0.5 * randn(*shape, seed=seed)
        for seed, (weight, shape) in enumerate(shapes.items(), start=1)
    }


def heads(x, w):
    """x·w, [b, h, n, channels]"""
    return torch.einsum("bnd,dhc->bhnc", x, w)


def joined(o, w):
    return torch.einsum("bhne,hed->bnd", o.double(), w)


def rotated(x):
    """Neighbours as real and imaginary parts, turned by position / 10000^(2f/c)."""
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    rate = 10000.0 ** (-torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1])
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * rate
    return torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


@pytest.mark.parametrize("form", ["weights", "scan"])
def test_retnet(form):
    theirs = naive("fla/ops/retention/naive.py").naive_retention
    x = randn(B, N, D)
    ours, w = drawn("retnet", form=form)
    q, k, v = (heads(x, w[name]) for name in ("wq", "wk", "wv"))
    o = theirs(rotated(q), rotated(k), v)
    flat = o.transpose(1, 2).reshape(B * N, H * E)
    normed = F.group_norm(flat, H, eps=1e-5).reshape(B, N, H, E).transpose(1, 2)
    wanted = joined(F.silu(heads(x, w["wg"])) * normed, w["wo"])
    same(ours, (x,), w, wanted, within=10 * SINGLE)


@pytest.mark.parametrize("form", ["weights", "scan"])
def test_gla(form):
    theirs = naive("fla/ops/gla/naive.py").naive_recurrent_gla
    x = randn(B, N, D)
    ours, w = drawn("gla", form=form, r=2)
    q, k, v = (heads(x, w[name]) for name in ("wq", "wk", "wv"))
    gate = F.logsigmoid(heads(x @ w["wa"], w["wb"]) + w["wb_bias"][:, None]) / 16
    o, _ = theirs(*turned(q, k, v, gate))
    normed = F.layer_norm(*turned(o), (E,), w["gain"], w["shift"], 1e-5)
    swish = F.silu(heads(x, w["wg"]) + w["wg_bias"][:, None])
    same(ours, (x,), w, joined(swish * normed, w["wo"]), within=10 * SINGLE)


def convolved(x, taps):
    """A causal convolution of each channel, and silu; x is [b, h, n, channels]."""
    width, channels = taps.shape[-1], taps.shape[0] * taps.shape[1]
    flat = F.pad(x.transpose(-1, -2).flatten(1, 2), (width - 1, 0))
    mixed = F.conv1d(flat, taps.reshape(channels, 1, width), groups=channels)
    return F.silu(mixed).reshape(*x.shape[:2], x.shape[3], -1).transpose(-1, -2)


def test_delta_net():
    theirs = naive("fla/ops/delta_rule/naive.py").delta_rule_recurrence
    x = randn(B, N, D)
    ours, w = drawn("delta_net", window=3)
    taps = ("filter", "filter_1", "filter_2")
    q, k, v = (
        convolved(heads(x, w[name]), w[tap])
        for name, tap in zip(("wq", "wk", "wv"), taps, strict=True)
    )
    q, k = (y / (y.square().sum(-1, keepdim=True) + 1e-6).sqrt() for y in (q, k))
    beta = torch.sigmoid(x @ w["ws"]).transpose(1, 2)
    o, _ = theirs(q, k, v, beta)
    wanted = joined(F.rms_norm(o, (E,), w["gain"], 1e-5), w["wo"])
    same(ours, (x,), w, wanted, within=10 * SINGLE)
