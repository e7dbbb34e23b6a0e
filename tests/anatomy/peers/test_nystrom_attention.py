"""The catalogue against the package `nystrom-attention`, weights copied over, in float64."""

import pytest
from peer import peer, randn, randomised, same

import vesalius as vs

nystrom = peer("nystrom_attention.nystrom_attention")


def both(heads, iterations, convolution, landmarks=2, n=6, d=8, c=4):
    """Their layer, ours with its weights: a filter for each head, which theirs have."""
    theirs = nystrom.NystromAttention(
        d, c, heads, landmarks, iterations, residual=convolution, residual_conv_kernel=3
    )
    theirs = randomised(theirs)
    core = vs.anatomy["nystromformer"](iterations=iterations, convolution=convolution)
    core = core.over("h", parameters=["filter"] if convolution else False)

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
    sizes = {"h": heads, "c": c, "e": c, "d": d, "r": landmarks}
    if convolution:
        weights["nystromformer.filter"] = theirs.res_conv.weight.reshape(heads, 3)
        sizes["w"] = 3
    return theirs, ours.substitute(**sizes).over("b"), weights, randn(1, n, d)


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("iterations", [1, 6])
def test_nystromformer(iterations, convolution):
    """With one head of one sequence: theirs scales the inverse by the largest of the batch."""
    theirs, ours, weights, x = both(1, iterations, convolution)
    same(ours, (x,), weights, theirs(x))


@pytest.mark.parametrize("convolution", [False, True])
def test_heads_with_an_inverse_that_has_converged(convolution):
    """Then it does not matter from where the inverse starts."""
    theirs, ours, weights, x = both(3, 40, convolution)
    same(ours, (x,), weights, theirs(x), within=1e-11)


def test_every_token_a_landmark_is_attention():
    """The inverse of the weights, between them and themselves, leaves the weights."""
    q, k, v = randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2)
    diagram = vs.anatomy["nystromformer"](iterations=60, convolution=False, rank=4)
    same(diagram, (q, k, v), {}, vs.anatomy["scaled_dot_product"]().evaluate(q, k, v), within=1e-9)
