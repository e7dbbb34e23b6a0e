"""That two samples are of one law is refused where they are not."""

import pytest
import torch
from starting import same_law

N = 20_000


def sample(law, seed):
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(N, generator=generator, dtype=torch.float64)
    uniform = 2 * torch.rand(N, generator=generator, dtype=torch.float64) - 1
    return {
        "normal": normal,
        "wider": 1.08 * normal,
        "moved": normal + 0.1,
        "uniform": 3**0.5 * uniform,
        "clipped": 1.18 * normal.clamp(-1.5, 1.5),
    }[law]


@pytest.mark.parametrize("law", ["normal", "uniform", "clipped"])
def test_a_law_is_itself(law):
    for seed in range(10):
        same_law(sample(law, seed), sample(law, seed + 100))


@pytest.mark.parametrize("other", ["wider", "moved", "uniform", "clipped"])
def test_another_law_is_refused(other):
    for seed in range(10):
        with pytest.raises(AssertionError):
            same_law(sample(other, seed), sample("normal", seed + 100))


def test_short_and_constant_samples_are_refused():
    with pytest.raises(AssertionError, match="samples of 10"):
        same_law(torch.ones(10), torch.ones(N))
    with pytest.raises(AssertionError, match="compare exactly"):
        same_law(torch.ones(N), torch.ones(N))
