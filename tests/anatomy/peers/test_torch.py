"""The catalogue against PyTorch's own layers, weights copied over, in float64."""

import pytest
import torch
import torch.nn.functional as F
from peer import count, randn, randomised, same, their_count
from torch import nn

import vesalius as vs


def from_multihead(theirs, prefix=""):
    """Weights of `nn.MultiheadAttention`, as ours: its rows are (head, channel)."""
    h, d = theirs.num_heads, theirs.embed_dim
    found = {}
    for name, weight in zip(("wq", "wk", "wv"), theirs.in_proj_weight.chunk(3), strict=True):
        found[f"{prefix}{name}"] = weight.T.reshape(d, h, -1)
    found[f"{prefix}wo"] = theirs.out_proj.weight.T.reshape(h, -1, d)
    if theirs.in_proj_bias is not None:
        for name, bias in zip(("wq", "wk", "wv"), theirs.in_proj_bias.chunk(3), strict=True):
            found[f"{prefix}{name}_bias"] = bias.reshape(h, -1)
        found[f"{prefix}wo_bias"] = theirs.out_proj.bias
    return found


def from_block(theirs, prefix=""):
    """Weights of `nn.TransformerEncoderLayer`, as ours."""
    return {
        **from_multihead(theirs.self_attn, f"{prefix}attention."),
        f"{prefix}norm.gain": theirs.norm1.weight,
        f"{prefix}norm.shift": theirs.norm1.bias,
        f"{prefix}norm_1.gain": theirs.norm2.weight,
        f"{prefix}norm_1.shift": theirs.norm2.bias,
        f"{prefix}mlp.up": theirs.linear1.weight.T,
        f"{prefix}mlp.up_bias": theirs.linear1.bias,
        f"{prefix}mlp.down": theirs.linear2.weight.T,
        f"{prefix}mlp.down_bias": theirs.linear2.bias,
    }


def from_stack(layers):
    found = {}
    for k, layer in enumerate(layers):
        found |= from_block(layer, f"block_{k}." if k else "block.")
    return found


# -- scaled dot-product ---------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "c", "e"), [(5, 7, 4, 3), (7, 5, 1, 2), (1, 1, 6, 6)])
@pytest.mark.parametrize("causal", [False, True])
def test_scaled_dot_product(n, m, c, e, causal):
    q, k, v = randn(2, 3, n, c), randn(2, 3, m, c, seed=1), randn(2, 3, m, e, seed=2)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    same(vs.anatomy["scaled_dot_product"](causal=causal).over("b h"), (q, k, v), {}, theirs)


def test_scaled_dot_product_with_masks():
    q, k, v = randn(2, 3, 5, 4), randn(2, 3, 6, 4, seed=1), randn(2, 3, 6, 4, seed=2)
    keep = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    bias = randn(5, 6, seed=3)
    diagram = vs.anatomy["scaled_dot_product"](padding=True, mask=True)
    diagram = diagram.over("h", inputs=["q", "k", "v"]).over("b", inputs=["q", "k", "v", "keep"])
    hidden = torch.zeros(2, 1, 1, 6, dtype=torch.float64).masked_fill(
        ~keep[:, None, None], float("-inf")
    )
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=bias + hidden)
    same(diagram, (q, k, v, keep, bias), {}, theirs)


# -- multi-head -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("heads", "d", "n"), [(1, 6, 5), (4, 8, 5), (8, 8, 1)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padding", [False, True])
def test_multihead_self_attention(heads, d, n, bias, causal, padding):
    theirs = randomised(nn.MultiheadAttention(d, heads, bias=bias, batch_first=True))
    ours = vs.anatomy["multihead"](
        bias=bias, causal=causal, padding=padding, heads=heads, d=d
    ).over("b")
    x = randn(3, n, d)
    keep = torch.ones(3, n, dtype=torch.bool)
    keep[1, 1:], keep[2, n - 1 :] = False, n == 1
    with torch.no_grad():
        wanted, _ = theirs(
            *[x] * 3,
            key_padding_mask=~keep if padding else None,
            attn_mask=torch.ones(n, n, dtype=torch.bool).triu(1) if causal else None,
            need_weights=True,  # the path through explicit weights, not a fused kernel
        )
    same(ours, [x, *([keep] if padding else [])], from_multihead(theirs), wanted)
    assert count(ours) == their_count(theirs)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_multihead_cross_attention(bias, padding, mask):
    theirs = randomised(nn.MultiheadAttention(12, 3, bias=bias, batch_first=True))
    ours = vs.anatomy["multihead_cross"](bias=bias, padding=padding, mask=mask, heads=3, d=12)
    ours = ours.over("b", inputs=["x", "y", *(["keep"] if padding else [])])
    x, y, scores = randn(2, 4, 12), randn(2, 6, 12, seed=1), randn(4, 6, seed=2)
    keep = torch.ones(2, 6, dtype=torch.bool)
    keep[0, 3:] = False
    hidden = torch.zeros(2, 6, dtype=torch.float64).masked_fill(~keep, float("-inf"))
    with torch.no_grad():
        wanted, _ = theirs(
            x,
            y,
            y,
            key_padding_mask=hidden if padding else None,
            attn_mask=scores if mask else None,
        )
    given = [x, y, *([keep] if padding else []), *([scores] if mask else [])]
    same(ours, given, from_multihead(theirs), wanted)
    assert count(ours) == their_count(theirs)


# -- blocks and stacks ----------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize(("causal", "padding"), [(False, False), (True, False), (False, True)])
def test_block(norm, activation, causal, padding):
    theirs = randomised(
        nn.TransformerEncoderLayer(
            8, 2, 20, 0.0, activation, batch_first=True, norm_first=norm == "pre"
        )
    )
    ours = vs.anatomy["block"](
        norm=norm, activation=activation, causal=causal, padding=padding, heads=2, d=8, hidden=20
    ).over("b")
    x = randn(2, 5, 8)
    keep = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    wanted = theirs(  # with gradients enabled, so that no fused path is taken
        x,
        src_mask=torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None,
        src_key_padding_mask=~keep if padding else None,
    ).detach()
    given = [x, *([keep] if padding else [])]
    same(ours, given, from_block(theirs), wanted)
    same(ours.unfold(), given, from_block(theirs), wanted)
    assert count(ours) == their_count(theirs)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_encoder(norm):
    layer = nn.TransformerEncoderLayer(
        8, 4, 32, 0.0, "relu", batch_first=True, norm_first=norm == "pre"
    )
    last = nn.LayerNorm(8) if norm == "pre" else None
    theirs = randomised(nn.TransformerEncoder(layer, 3, last, enable_nested_tensor=False))
    ours = vs.anatomy["encoder"](layers=3, norm=norm, padding=True, heads=4, d=8).over("b")
    x = randn(2, 5, 8)
    keep = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    weights = from_stack(theirs.layers)
    if last is not None:
        weights |= {"norm.gain": theirs.norm.weight, "norm.shift": theirs.norm.bias}
    wanted = theirs(x, src_key_padding_mask=~keep).detach()
    same(ours, (x, keep), weights, wanted)
    assert count(ours) == their_count(theirs)


def from_transformer(theirs, layers):
    """Weights of `nn.Transformer`, whose stacks both end in a norm, as ours."""
    found = {}
    for k in range(layers):
        prefix = f"block_{k}." if k else "block."
        found |= from_block(theirs.encoder.layers[k], f"encoder.{prefix}")
        layer, own = theirs.decoder.layers[k], f"decoder.{prefix}"
        found |= from_block(layer, own) | from_multihead(layer.multihead_attn, f"{own}cross.")
        found |= {f"{own}norm_2.gain": layer.norm3.weight, f"{own}norm_2.shift": layer.norm3.bias}
    for name in ("encoder", "decoder"):
        last = getattr(theirs, name).norm
        found |= {f"{name}.norm.gain": last.weight, f"{name}.norm.shift": last.bias}
    return found


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_transformer(norm, padding, dtype, within):
    theirs = nn.Transformer(
        16, 4, 2, 2, 64, 0.0, "relu", batch_first=True, norm_first=norm == "pre"
    )
    theirs = randomised(theirs).to(dtype)
    ours = vs.anatomy["transformer"](
        layers=2, norm=norm, padding=padding, final_norm=True, heads=4, d=16
    ).over("b")
    target, source = randn(3, 5, 16).to(dtype), randn(3, 7, 16, seed=1).to(dtype)
    keep = torch.ones(3, 7, dtype=torch.bool)
    keep[1, 3:] = False
    hidden = ~keep if padding else None
    wanted = theirs(
        source,
        target,
        tgt_mask=torch.ones(5, 5, dtype=torch.bool).triu(1),
        src_key_padding_mask=hidden,
        memory_key_padding_mask=hidden,
    ).detach()
    weights = {name: x.detach() for name, x in from_transformer(theirs, 2).items()}
    module = vs.to_torch(ours, dtype)
    module.load_state_dict(weights)
    given = (target, source, *([keep] if padding else []))
    torch.testing.assert_close(module(*given).detach(), wanted, rtol=within, atol=within)
    assert count(ours) == their_count(theirs)
    if dtype == torch.float64:
        same(ours, given, weights, wanted)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_decoder(norm):
    """Without a norm at the end where the paper has none."""
    layer = nn.TransformerDecoderLayer(
        8, 2, 20, 0.0, "gelu", batch_first=True, norm_first=norm == "pre"
    )
    last = nn.LayerNorm(8) if norm == "pre" else None
    theirs = randomised(nn.TransformerDecoder(layer, 1, last))
    ours = vs.anatomy["decoder"](layers=1, norm=norm, activation="gelu", heads=2, d=8, hidden=20)
    layer = theirs.layers[0]
    weights = from_block(layer, "block.") | from_multihead(layer.multihead_attn, "block.cross.")
    weights |= {"block.norm_2.gain": layer.norm3.weight, "block.norm_2.shift": layer.norm3.bias}
    # The second norm stands behind the attention to the memory, the third behind the network.
    if last is not None:
        weights |= {"norm.gain": theirs.norm.weight, "norm.shift": theirs.norm.bias}
    x, memory = randn(2, 5, 8), randn(2, 4, 8, seed=1)
    wanted = theirs(x, memory, tgt_mask=torch.ones(5, 5, dtype=torch.bool).triu(1)).detach()
    same(ours.over("b"), (x, memory), weights, wanted)
    assert count(ours) == their_count(theirs)


class TorchLanguageModel(nn.Module):
    """A decoder-only language model of PyTorch's own layers."""

    def __init__(self, vocabulary, context, d, heads, layers, tied):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, d), nn.Embedding(context, d)
        block = nn.TransformerEncoderLayer(
            d, heads, 4 * d, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.stack = nn.TransformerEncoder(
            block, layers, nn.LayerNorm(d), enable_nested_tensor=False
        )
        self.head = None if tied else nn.Linear(d, vocabulary, bias=False)

    def forward(self, tokens):
        n = tokens.shape[1]
        x = self.token(tokens) + self.position(torch.arange(n))
        x = self.stack(x, mask=torch.ones(n, n, dtype=torch.bool).triu(1))
        return x @ self.token.weight.T if self.head is None else self.head(x)


@pytest.mark.parametrize("tied", [False, True])
def test_language_model(tied):
    theirs = randomised(TorchLanguageModel(11, 9, 8, 2, 2, tied))
    ours = vs.anatomy["language_model"](
        layers=2, tied=tied, heads=2, d=8, vocabulary=11, context=9
    ).over("b")
    tokens = torch.randint(11, (3, 7), generator=torch.Generator().manual_seed(0))
    weights = {
        "token": theirs.token.weight,
        "position": theirs.position.weight,
        **from_stack(theirs.stack.layers),
        "norm.gain": theirs.stack.norm.weight,
        "norm.shift": theirs.stack.norm.bias,
        **({} if tied else {"head": theirs.head.weight.T}),
    }
    wanted = theirs(tokens).detach()
    same(ours, (tokens,), weights, wanted)
    assert count(ours) == their_count(theirs)


def test_a_language_model_refuses_more_positions_than_it_has():
    model = vs.anatomy["language_model"](layers=1, heads=1, d=2, vocabulary=3, context=4)
    model.evaluate(torch.zeros(4, dtype=torch.int64))
    with pytest.raises(vs.SizeError):
        model.evaluate(torch.zeros(5, dtype=torch.int64))


# -- heads that share keys, and a key that is nothing ---------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("name", "groups"), [("multi_query", 1), ("grouped_query", 2)])
def test_fewer_keys_than_queries(name, groups, causal):
    h, n, d, c = 4, 6, 10, 3
    x = randn(n, d)
    wq, wo = randn(d, groups, h // groups, c, seed=1), randn(groups, h // groups, c, d, seed=4)
    wk, wv = randn(d, groups, c, seed=2), randn(d, groups, c, seed=3)
    theirs = F.scaled_dot_product_attention(
        torch.einsum("nd,dghc->ghnc", x, wq).flatten(0, 1)[None],
        *(torch.einsum("nd,dgc->gnc", x, w)[None] for w in (wk, wv)),
        is_causal=causal,
        enable_gqa=True,
    )
    wanted = torch.einsum("hnc,hcd->nd", theirs[0], wo.flatten(0, 1))
    weights = {"wq": wq, "wk": wk, "wv": wv, "wo": wo}
    if groups == 1:
        weights = {"wq": wq[:, 0], "wk": wk[:, 0], "wv": wv[:, 0], "wo": wo[0]}
    sizes = {"heads": h, "groups": groups} if groups > 1 else {"heads": h}
    same(vs.anatomy[name](causal=causal, **sizes), (x,), weights, wanted)


def test_softmax_one():
    theirs = randomised(
        nn.MultiheadAttention(8, 2, bias=False, batch_first=True, add_zero_attn=True)
    )
    x = randn(3, 5, 8)
    wanted, _ = theirs(*[x] * 3)
    ours = vs.anatomy["multihead"](attention="softmax_one", heads=2, d=8).over("b")
    same(ours, [x], from_multihead(theirs), wanted)


def test_layer_norms_of_queries_and_keys():
    q, k, v = randn(5, 6), randn(7, 6, seed=1), randn(7, 3, seed=2)
    norms = [randomised(nn.LayerNorm(6)) for _ in range(2)]
    wanted = F.scaled_dot_product_attention(norms[0](q), norms[1](k), v)
    weights = {}
    for name, norm in zip("qk", norms, strict=True):
        weights |= {f"{name}_gain": norm.weight, f"{name}_shift": norm.bias}
    same(vs.anatomy["qk_norm"](norm="layer"), (q, k, v), weights, wanted)
