"""A pointwise function and a box of one's own, declared outside the package.

Run it: python examples/own_box.py
"""

import torch

import vesalius as vs

# A pointwise function: what it is on tensors, and, where it is rational, on exact numbers.
mish = vs.function("mish", lambda x: x * torch.tanh(torch.nn.functional.softplus(x)))

# A box: the axes that it binds, what it does to its last dimensions, what it costs.
cumsum = vs.box("cumsum", "n -> n", lambda x: x.cumsum(-1), cost={"add": "n"}, look="Σ≤")


@vs.diagram
def running(x: "n c") -> "n c":
    """The running sum along n of an activation; c is a tube of both boxes."""
    return cumsum(mish(x))


if __name__ == "__main__":
    print(running)
    print(running.cost())
    x = torch.randn(5, 3, dtype=torch.float64)
    wanted = torch.nn.functional.mish(x).cumsum(0)
    assert torch.allclose(running.evaluate(x), wanted)
    assert torch.allclose(running.over("b").evaluate(x[None]), wanted[None])
    assert vs.Diagram.from_json(running.to_json()) == running
    module = vs.to_torch(running, dtype=torch.float64)
    assert torch.allclose(module(x), wanted)
    print(module.source)
