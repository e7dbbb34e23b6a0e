"""What can stand in a head compiles, without an array of queries × keys, and trains."""

import pytest
import torch

import vesalius as vs
from vesalius.anatomy.attention import core_names

SIZES = {"d": 8, "h": 2, "c": 4, "e": 3}


@pytest.mark.parametrize("name", core_names())
@pytest.mark.parametrize("causal", [False, True])
def test_a_step_of_training(name, causal):
    diagram = vs.anatomy["multihead"](attention=name, causal=causal)
    module = vs.to_torch(diagram, torch.float32, sizes=SIZES, seed=0)
    wide = {key: value.double() for key, value in module.state_dict().items()}
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    loss = module(x).square().mean()
    loss.backward()

    own = {key: value.requires_grad_() for key, value in wide.items()}
    exact = diagram.evaluate(x.double(), parameters=own, sizes=SIZES).square().mean()
    exact.backward()
    torch.testing.assert_close(loss.double(), exact, rtol=1e-4, atol=1e-6)
    for key, parameter in module.named_parameters():
        wanted = own[key].grad
        assert (parameter.grad.double() - wanted).norm() <= 1e-4 * wanted.norm() + 1e-7, key

    before = loss.item()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    optimiser.step()
    assert module(x).square().mean().item() < before


@pytest.mark.parametrize("name", [name for name in core_names() if name != "linear"])
def test_a_kernel_serves_it(name):
    kernels = vs.to_torch(vs.anatomy[name](causal=True)).explain().kernels
    assert kernels in (["scaled_dot_product_attention"], ["tiles"])
