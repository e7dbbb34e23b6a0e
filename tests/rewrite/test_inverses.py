"""What six steps towards a pseudo-inverse leave, beside the bound that is told of it."""

from __future__ import annotations

import pytest
import torch

from vesalius.rewrite.rules.inverses import matrix_between_its_inverse, nearly_inverse


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_what_is_missing_is_within_what_the_rule_says(size: int, scale: float) -> None:
    draw = torch.Generator().manual_seed(size)
    a = (scale * torch.randn(size, size, generator=draw, dtype=torch.float64)).softmax(1)
    near = matrix_between_its_inverse.left.evaluate(a)
    assert isinstance(near, torch.Tensor)
    root = (a.sum(1).max() * a.sum(0).max()).sqrt()
    assert torch.linalg.matrix_norm(near - a, 2) <= 0.0126 * root


def test_the_bound_is_nearly_reached() -> None:
    """The worst singular value is 1/48 of the root: the steps have brought less than half near."""
    a = torch.diag(torch.tensor([1.0, 0.0207], dtype=torch.float64))
    near = matrix_between_its_inverse.left.evaluate(a)
    assert isinstance(near, torch.Tensor)
    assert 0.0120 < torch.linalg.matrix_norm(near - a, 2) <= 0.0126


def test_an_inverse_that_is_far_from_singular_is_found() -> None:
    draw = torch.Generator().manual_seed(0)
    a = torch.eye(5, dtype=torch.float64) + 0.1 * torch.randn(5, 5, generator=draw).double()
    found = nearly_inverse.evaluate(a)
    assert isinstance(found, torch.Tensor)
    assert torch.allclose(found @ a, torch.eye(5, dtype=torch.float64), 0, 1e-9)
