"""The catalogue against the package `nystrom-attention`, weights copied over, in float64."""

import pytest
from peer import peer, randn, randomised, same

import vesalius as vs

nystrom = peer("nystrom_attention.nystrom_attention")


def both(heads, iterations, landmarks=2, n=6, d=8, c=4):
    """Their layer, ours in heads, its weights, and what both read."""
    theirs = nystrom.NystromAttention(d, c, heads, landmarks, iterations, residual_conv_kernel=3)
    theirs = randomised(theirs)
    core = vs.anatomy["nystromformer"](iterations=iterations)
    core = core.over("h", parameters=["filter"])

    @vs.diagram
    def ours(x: "n d") -> "n d":
        q, k, v = (
            vs.linear(x, "d", f"h {a}", name=name) for name, a in zip("qkv", "cce", strict=True)
        )
        return vs.linear(core(q, k.rename(n="m"), v.rename(n="m")), "h e", "d", name="o", bias=True)

    weights = {
        name: weight.T.reshape(d, heads, c)
        for name, weight in zip("qkv", theirs.to_qkv.weight.chunk(3), strict=True)
    }
    weights["o"] = theirs.to_out[0].weight.T.reshape(heads, c, d)
    weights["o_bias"] = theirs.to_out[0].bias
    weights["nystromformer.filter"] = theirs.res_conv.weight.reshape(heads, 3)
    sizes = {"h": heads, "c": c, "e": c, "d": d, "r": landmarks, "w": 3}
    return theirs, ours.substitute(**sizes).over("b"), weights, randn(1, n, d)


@pytest.mark.parametrize("iterations", [1, 6])
def test_nystromformer(iterations):
    """With one head of one sequence: theirs scales the inverse by the largest of the batch."""
    theirs, ours, weights, x = both(1, iterations)
    same(ours, (x,), weights, theirs(x))


def test_heads_with_an_inverse_that_has_converged():
    """Then it does not matter from where the inverse starts."""
    theirs, ours, weights, x = both(3, 40)
    same(ours, (x,), weights, theirs(x), within=1e-11)


def test_heads_have_filters_of_their_own():
    """In heads, as the catalogue puts a mechanism into them; after six steps, up to their start."""
    theirs, _, weights, x = both(1, 6)
    ours = vs.anatomy["multihead"](attention="nystromformer", heads=1, d=8, c=4, rank=2, window=3)
    assert ours.parameters["nystromformer.filter"].axes["h"] == 1
    names = {"wq": "q", "wk": "k", "wv": "v", "wo": "o"}
    own = {name: weights.get(names.get(name, name)) for name in ours.parameters}
    same(ours.over("b"), (x,), own, theirs(x) - theirs.to_out[0].bias)


def test_every_token_a_landmark_is_attention():
    """The inverse of the weights, between them and themselves, leaves the weights."""
    q, k, v = randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2)
    diagram = vs.anatomy["nystromformer"](iterations=60, convolution=False, rank=4)
    same(diagram, (q, k, v), {}, vs.anatomy["scaled_dot_product"]().evaluate(q, k, v), within=1e-9)
