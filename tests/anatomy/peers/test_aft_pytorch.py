"""The attention free transformer against aft-pytorch, whose linear maps have biases: here zero."""

import pytest
import torch
from peer import EXACT, SINGLE, peer, randn, randomised, same
from torch import nn

import vesalius as vs

theirs = peer("aft_pytorch.aft_pytorch")
D, E, LONGEST = 6, 4, 8


def from_aft(module):
    """Weights as ours."""
    found = {}
    for ours, linear in zip(
        ("wq", "wk", "wv", "wo"),
        (module.to_q, module.to_k, module.to_v, module.project),
        strict=True,
    ):
        nn.init.zeros_(linear.bias)
        found[ours] = linear.weight.detach().T
    if hasattr(module, "wbias"):
        found["w"] = module.wbias.detach().clone()
    return found


@pytest.mark.parametrize("n", [1, 5, LONGEST])
def test_full(n):
    module = randomised(theirs.AFTFull(LONGEST, D, E))
    weights, x = from_aft(module), randn(2, n, D)
    ours = vs.anatomy["aft_full"](d=D, e=E, p=LONGEST).over("b")
    same(ours, (x,), weights, module(x))


@pytest.mark.parametrize(("n", "window"), [(1, 1), (6, 2), (LONGEST, 4)])
def test_local(n, window):
    """Their table is single precision, whatever it is given."""
    module = randomised(theirs.AFTLocal(LONGEST, D, E, window))
    weights, x = from_aft(module), randn(2, n, D)
    ours = vs.anatomy["aft_local"](d=D, e=E, p=LONGEST, window=window).over("b")
    same(ours, (x,), weights, module.float()(x.float()), within=SINGLE)


@pytest.mark.parametrize("n", [1, 5])
def test_simple(n):
    module = randomised(theirs.AFTSimple(LONGEST, D, E))
    weights, x = from_aft(module), randn(2, n, D)
    same(vs.anatomy["aft_simple"](d=D, e=E).over("b"), (x,), weights, module(x), within=EXACT)


@pytest.mark.parametrize("name", ["aft_full", "aft_simple"])
def test_causal(name):
    """Each output is that of the positions up to its own."""
    make = {"aft_full": theirs.AFTFull, "aft_simple": theirs.AFTSimple}[name]
    module = randomised(make(LONGEST, D, E))
    weights, x = from_aft(module), randn(2, 6, D)
    wanted = torch.stack([module(x[:, : i + 1])[:, i] for i in range(6)], dim=1)
    sizes = {"p": LONGEST} if name == "aft_full" else {}
    for form in ("weights", "scan") if name == "aft_simple" else (None,):
        options = {"form": form} if form else {}
        ours = vs.anatomy[name](causal=True, d=D, e=E, **options, **sizes).over("b")
        same(ours, (x,), weights, wanted)
