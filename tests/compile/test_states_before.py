"""Scans that return what the states were before a step: sums that are read one position earlier."""

import pytest
import torch

import vesalius as vs


@vs.diagram
def step(a: "c e", b: "e", x: "e", g: "") -> {"a": "c e", "b": "e", "y": "e", "z": "e c"}:
    """Two states, one that fades; one output of each, and of both, before and after."""
    faded = vs.exp(-g * g) * a + x * vs.sin(vs.iota("c") * 0.5 + 1.0)
    total = b + x * g
    return {"a": faded, "b": total, "y": b * x + total, "z": a * total}


@vs.diagram
def both(x: "n e", g: "n") -> {"y": "n e", "z": "n e c:3"}:
    start = [vs.expand(0.0, "c:3 e"), vs.expand(0.0, "e")]
    *_, y, z = vs.scan(step, over="n", states=start, sequences=[x, g])
    return {"y": y, "z": z}


@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_values_and_gradients(length) -> None:
    diagram = both.over("b", inputs=["x"])
    module = vs.to_torch(diagram, torch.float64)
    assert "a loop over positions" not in str(module.explain())
    torch.manual_seed(0)
    given = [torch.randn(*shape, dtype=torch.float64) for shape in ((2, length, 4), (length,))]
    given = [x.requires_grad_() for x in given]
    found, wanted = module(*given), diagram.evaluate(*given)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    if length == 0:
        return  # the reference has read nothing
    ours, theirs = (
        torch.autograd.grad(sum(y.sin().sum() for y in made), given) for made in (found, wanted)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
