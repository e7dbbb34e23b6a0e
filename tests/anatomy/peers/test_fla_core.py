"""Recurrences and sparse attention against the plain functions of flash-linear-attention."""

import sys
import types

import pytest
import torch
import torch.nn.functional as F
from peer import SINGLE, naive, randn, same

import vesalius as vs


@pytest.mark.parametrize("n", [1, 2, 9])
def test_stick_breaking(n):
    theirs = naive("fla/ops/stickbreaking_attn/naive.py").naive_stickbreaking_attn
    q, k, v = randn(2, n, 3, 4), randn(2, n, 3, 4, seed=1), randn(2, n, 3, 5, seed=2)
    wanted, _ = theirs(q, k, v)
    ours = vs.anatomy["stick_breaking"](causal=True).over("b h")
    same(ours, [x.transpose(1, 2) for x in (q, k, v)], {}, wanted.transpose(1, 2))


def test_forgetting():
    h, n, d, c = 2, 7, 6, 3
    theirs = naive("fla/ops/forgetting_attn/naive.py").naive_forgetting_attn
    x = randn(n, d)
    shapes = {"wq": (d, h, c), "wk": (d, h, c), "wv": (d, h, c), "wo": (h, c, d), "wf": (d, h)}
    weights = {name: randn(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items(), 1)}
    weights["wf_bias"] = randn(h, seed=9)
    q, k, v = (torch.einsum("nd,dhc->nhc", x, weights[name])[None] for name in ("wq", "wk", "wv"))
    gates = torch.nn.functional.logsigmoid(x @ weights["wf"] + weights["wf_bias"])[None]
    wanted = torch.einsum("nhc,hcd->nd", theirs(q, k, v, gates)[0].double(), weights["wo"])
    same(vs.anatomy["forgetting"](), (x,), weights, wanted, 5 * SINGLE)


def nsa():
    """Their module; what it imports of the rest of the package, which needs Triton, is unused."""
    unused = types.ModuleType("unused")
    unused.prepare_chunk_offsets = unused.mean_pooling = None
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fla", "fla.ops", "fla.ops.utils", "fla.ops.utils.pooling"):
            patch.setitem(sys.modules, name, unused)
        return naive("fla/ops/nsa/naive.py")


@pytest.mark.filterwarnings("ignore:Flash Attention is not installed")
@pytest.mark.parametrize(("n", "block", "kept", "window"), [(19, 4, 4, 3), (16, 2, 3, 5)])
def test_native_sparse(n, block, kept, window):
    """Compression, selection and choice of blocks are theirs; they compute in float32."""
    theirs = nsa()
    sizes = {"h": 3, "g": 2, "d": 6, "c": 4, "e": 3, "f": 5}
    ours = vs.anatomy["native_sparse"](**sizes, block=block, kept=kept, window=window)
    weights = {
        name: 0.5 * randn(*(size.constant for size in type_.axes.values()), seed=seed)
        for seed, (name, type_) in enumerate(ours.parameters.items())
    }
    x = randn(n, 6, seed=99)
    q = torch.einsum("nd,dghc->nghc", x, weights["wq"]).flatten(1, 2)[None]

    def memory(branch):
        return (torch.einsum("nd,dgc->ngc", x, weights[f"w{kind}_{branch}"])[None] for kind in "kv")

    def compress(y, kind):
        filled = F.pad(y, (0, 0, 0, 0, 0, -n % block)).unflatten(1, (-1, block))
        placed = filled + weights[f"{kind}_place"][:, None]
        hidden = torch.einsum("bslgc,lcf->bsgf", placed, weights[f"{kind}_up"]).relu()
        return hidden @ weights[f"{kind}_down"]

    k, v = memory("compressed")
    k, v = compress(k, "k"), compress(v, "v")
    summary, _ = theirs.naive_nsa_compression(q, k, v, block, 0.5)
    places = theirs.naive_nsa_topk(q, k, kept, block, 0.5)
    chosen = theirs.naive_nsa_selection(q, *memory("selected"), places, block, 0.5)
    k, v = (y.repeat_interleave(3, 2).transpose(1, 2) for y in memory("window"))
    near = torch.ones(n, n, dtype=torch.bool).tril().triu(1 - window)
    local = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=near).transpose(1, 2)
    whole = 0
    for name, branch in (("compressed", summary), ("selected", chosen), ("window", local)):
        gate = torch.einsum("nd,dgh->ngh", x, weights[f"gate_{name}"]).sigmoid()
        whole = whole + gate[..., None] * branch[0].unflatten(1, (2, 3))
    wanted = torch.einsum("nghe,ghed->nd", whole, weights["wo"])
    same(ours, (x,), weights, wanted, within=SINGLE)
