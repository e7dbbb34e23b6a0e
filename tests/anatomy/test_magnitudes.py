"""In float32 every mechanism is finite where it is so in exact arithmetic, and as near as plain."""

import pytest
import torch

from tests.anatomy.test_compiled import LENGTH, compiled, requests
from vesalius.inspect.perturb import arrays_at, shallow, sizes_at

FAR = {"rfa": 100, "rfa_gated": 1000}
"""How much farther off than 8 times the plain evaluation some are, where parameters are large.

Waves of large arguments are summed in another order; sums of logarithms of gates, which are
subtracted from each other, are as exact as their largest is.
"""

BEYOND = {
    *("linear", "aft_simple", "fastformer", "mega", "differential"),
    *("performer", "efficient", "rfa_gated", "rwkv"),
}
"""Those that overflow as they are written: quotients of nothing, exponentials of what is large."""


@pytest.mark.parametrize(("mechanism", "options"), list(requests()))
def test_large_inputs_and_large_parameters(mechanism, options):
    diagram, n = shallow(mechanism, **options), LENGTH.get(mechanism.name, 7)
    sizes = sizes_at(diagram, n)
    module = compiled(diagram, n)
    for inputs, parameters in ((1e4, 1.0), (1.0, 100.0)):
        own = {
            name: (x * parameters).float()
            for name, x in arrays_at(diagram.parameters, sizes, 1, scale=0.5).items()
        }
        module.load_state_dict(own)
        given = [
            (x * inputs).float() if x.is_floating_point() else x
            for x in arrays_at(diagram.input_types, sizes, 2).values()
        ]
        leaves = [x.requires_grad_() if x.is_floating_point() else x for x in given]
        found = module(*leaves)
        exact, plain = (
            diagram.evaluate(*given, parameters=own, sizes=sizes, dtype=dtype).detach().double()
            for dtype in (torch.float64, torch.float32)
        )
        if not plain.isfinite().all():
            assert mechanism.name in BEYOND
            continue
        off = (plain - exact).norm()
        near = 8 * off + 1e-5 * exact.norm()
        assert (found.detach() - exact).norm() <= FAR.get(mechanism.name, 1) * near
        if found.requires_grad:
            found.sum().backward()
            learned = [*module.parameters(), *(x for x in leaves if x.is_floating_point())]
            assert all(x.grad is None or x.grad.isfinite().all() for x in learned)
            module.zero_grad()
