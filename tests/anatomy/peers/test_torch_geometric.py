"""Attention on graphs against torch_geometric, weights copied over, in float64."""

import pytest
import torch
from peer import peer, randn, randomised, same

import vesalius as vs

nn = peer("torch_geometric.nn")


@pytest.fixture(params=[(7, 5, 3, 4), (1, 2, 1, 3)])
def shapes(request):
    """Nodes, channels in, heads, channels of a head."""
    return request.param


def graph(n):
    """Which node looks at which, itself included; and theirs: sources above targets."""
    edges = (randn(n, n, seed=5) > 0.3) | torch.eye(n, dtype=torch.bool)
    return edges, edges.nonzero().T.flip(0)


def test_gat(shapes):
    n, d, h, c = shapes
    theirs = randomised(nn.GATConv(d, c, heads=h, add_self_loops=False, bias=False))
    weights = {
        "w": theirs.lin.weight.T.reshape(d, h, c),
        "a": theirs.att_dst[0],
        "b": theirs.att_src[0],
    }
    x, (edges, pairs) = randn(n, d), graph(n)
    wanted = theirs(x, pairs).reshape(n, h, c)
    same(vs.anatomy["gat"](heads=h, d=d, c=c), (x, edges), weights, wanted)


def test_gat_v2(shapes):
    n, d, h, c = shapes
    theirs = randomised(nn.GATv2Conv(d, c, heads=h, add_self_loops=False, bias=False))
    weights = {
        "wl": theirs.lin_l.weight.T.reshape(d, h, c),
        "wr": theirs.lin_r.weight.T.reshape(d, h, c),
        "a": theirs.att[0],
    }
    x, (edges, pairs) = randn(n, d), graph(n)
    wanted = theirs(x, pairs).reshape(n, h, c)
    same(vs.anatomy["gat_v2"](heads=h, d=d, c=c), (x, edges), weights, wanted)


@pytest.mark.parametrize("together", ["concat", "mean"])
@pytest.mark.parametrize("loops", [False, True])
def test_heads_come_together_and_nodes_see_themselves(shapes, together, loops):
    n, d, h, c = shapes
    theirs = randomised(
        nn.GATConv(d, c, heads=h, concat=together == "concat", add_self_loops=loops, bias=False)
    )
    weights = {
        "w": theirs.lin.weight.T.reshape(d, h, c),
        "a": theirs.att_dst[0],
        "b": theirs.att_src[0],
    }
    x = randn(n, d)
    edges = randn(n, n, seed=5) > 0.3  # not every node itself
    wanted = torch.nn.functional.elu(theirs(x, edges.nonzero().T.flip(0)))
    options = {"together": together, "loops": loops, "elu": True}
    same(vs.anatomy["gat"](**options, heads=h, d=d, c=c), (x, edges), weights, wanted)


def test_another_way_to_bring_heads_together_is_refused():
    with pytest.raises(vs.FormatError, match="together is one of concat, mean, not 'sum'"):
        vs.anatomy["gat"](together="sum")
