"""The catalogue against the package `linformer`, weights copied over, in float64."""

import pytest
from peer import peer, randn, randomised, same

import vesalius as vs

linformer = peer("linformer")


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_linformer(heads, shared):
    """In heads that share the combinations of tokens; theirs may also take values for keys."""
    d, n, r = 12, 6, 2
    theirs = randomised(linformer.LinformerSelfAttention(d, n, r, heads, share_kv=shared))
    core = vs.anatomy["linformer"](shared=shared)

    @vs.diagram
    def ours(x: "n d") -> "n d":
        q, k = (vs.linear(x, "d", "h c", name=name) for name in ("wq", "wk"))
        v = k.rename(c="e") if shared else vs.linear(x, "d", "h e", name="wv")
        o = core(q, k.rename(n="m"), v.rename(n="m"))
        return vs.linear(o, "h e", "d", name="wo", bias=True)

    def heads_of(weight):
        return weight.T.reshape(d, heads, -1)

    weights = {
        "wq": heads_of(theirs.to_q.weight),
        "wk": heads_of(theirs.to_k.weight),
        "linformer.over_keys": theirs.proj_k,
        "wo": theirs.to_out.weight.T.reshape(heads, -1, d),
        "wo_bias": theirs.to_out.bias,
    }
    if not shared:
        weights["wv"] = heads_of(theirs.to_v.weight)
        weights["linformer.over_values"] = theirs.proj_v
    x = randn(2, n, d)
    wanted = theirs(x)
    values = {} if shared else {"e": d // heads}
    diagram = ours.substitute(h=heads, c=d // heads, d=d, n=n, r=r, **values).over("b")
    same(diagram, (x,), weights, wanted)


def test_linformer_in_heads():
    """As the catalogue puts a mechanism into heads."""
    theirs = randomised(linformer.LinformerSelfAttention(12, 6, 2, 3))
    ours = vs.anatomy["multihead"](attention="linformer", heads=3, d=12, n=6, rank=2).over("b")
    weights = {
        "wq": theirs.to_q.weight.T.reshape(12, 3, 4),
        "wk": theirs.to_k.weight.T.reshape(12, 3, 4),
        "wv": theirs.to_v.weight.T.reshape(12, 3, 4),
        "linformer.over_keys": theirs.proj_k,
        "linformer.over_values": theirs.proj_v,
        "wo": theirs.to_out.weight.T.reshape(3, 4, 12),
    }
    x = randn(2, 6, 12)
    same(ours, (x,), weights, theirs(x) - theirs.to_out.bias)
