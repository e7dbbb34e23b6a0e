"""The transforms of `torch.func` go through every kernel: batches, both modes of derivatives."""

import pytest
import torch
from test_everywhere import MECHANISMS, causal, dot, mixed, sequence
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacrev, jvp, vmap

import vesalius as vs

torch.set_num_threads(1)

SDPA = "scaled_dot_product_attention"


def hidden_in_tiles(q, k, v):
    """A mask around a score that only tiles serve: its softmax looks for rows hidden whole."""
    return mixed(causal(vs.tanh(dot(q, k))), v)


def mean(q, k, v):
    """A running mean by exponential weights."""
    weights = vs.exp(vs.sum(k.rename(m="n"), "c"))
    past = vs.iota("m:n") <= vs.iota("n")

    def total(x):
        return vs.sum(vs.where(past, x.rename(n="m"), 0.0), "m")

    return vs.sum(q, "c") * total(weights * v.rename(m="n")) / total(weights)


BODIES = {**MECHANISMS, "hidden in tiles": hidden_in_tiles, "exponential_means": mean}
FORWARD = [kernel for kernel in BODIES if kernel != SDPA]


def made(kernel):
    """The module, the same without kernels, and two examples of its inputs."""
    diagram = sequence(kernel, BODIES[kernel])
    name = "tiles" if kernel == "hidden in tiles" else kernel
    module = vs.to_torch(diagram, torch.float64, prefer=[name])
    plain = vs.to_torch(diagram, torch.float64, forbid=[name])
    assert module.explain().kernels == [name] != plain.explain().kernels
    torch.manual_seed(0)
    return module, plain, [torch.randn(2, 1, 2, 7, 8, dtype=torch.float64) for _ in range(3)]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def loss(module):
    return lambda *inputs: module(*inputs).square().sum()


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("kernel", BODIES)
def test_examples_side_by_side_and_their_gradients(kernel) -> None:
    module, plain, (q, k, v) = made(kernel)
    close(vmap(module)(q, k, v), torch.stack([plain(*one) for one in zip(q, k, v, strict=True)]))
    found = vmap(grad(loss(module), (0, 1, 2)), in_dims=(1, None, 0), out_dims=1)(
        q.movedim(0, 1), k[0], v
    )
    for example in range(2):
        wanted = grad(loss(plain), (0, 1, 2))(q[example], k[0], v[example])
        close([x[:, example] for x in found], list(wanted))
    close(jacrev(module, 2)(q[0], k[0], v[0]), jacrev(plain, 2)(q[0], k[0], v[0]))


@pytest.mark.parametrize("kernel", FORWARD)
def test_forward_mode(kernel) -> None:
    module, plain, given = made(kernel)
    point, direction = ([x[k] for x in given] for k in range(2))
    (out, found), (_, wanted) = (jvp(f, tuple(point), tuple(direction)) for f in (module, plain))
    close(out, plain(*point))
    close(found, wanted)
    with forward_ad.dual_level():
        dual = module(forward_ad.make_dual(point[0], direction[0]), *point[1:])
        found = forward_ad.unpack_dual(dual).tangent
    close(found, jvp(lambda q: plain(q, *point[1:]), (point[0],), (direction[0],))[1])


@pytest.mark.parametrize("kernel", ["tiles", "hidden in tiles"])
def test_second_derivatives_of_tiles(kernel) -> None:
    module, plain, given = made(kernel)
    q, k, v = (x[0, :, :1, :3, :2] for x in given)
    found, wanted = (hessian(loss(f), (0, 2))(q, k, v) for f in (module, plain))
    close(found, wanted)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    assert torch.autograd.gradgradcheck(module, inputs, check_fwd_over_rev=True)


def test_inputs_that_are_no_floats_have_no_tangent() -> None:
    @vs.diagram
    def shown(q: "n c", k: "m c", v: "m e", keep: "m bool") -> "n e":
        return vs.contract(vs.where(keep, vs.sigmoid(dot(q, k)), 0.0), v, over="m")

    module = vs.to_torch(shown, torch.float64, prefer=["tiles"])
    assert module.explain().kernels == ["tiles"]
    q, k, v = torch.randn(3, 5, 4, dtype=torch.float64)
    keep = torch.tensor([True, False, True, True, False])
    found, wanted = (
        jvp(lambda k: f(q, k, v, keep), (k,), (q,))[1]  # noqa: B023
        for f in (module, vs.to_torch(shown, torch.float64, forbid=["tiles"]))
    )
    close(found, wanted)
    assert wanted.abs().max() > 0
