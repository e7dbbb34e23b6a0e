"""What tests against the packages of others share: importing one, copying weights, comparing."""

import importlib
import importlib.metadata
import importlib.util
import os
from math import prod

import pytest
import torch

import vesalius as vs

EXACT = 1e-12  # where the package computes in float64
SINGLE = 1e-6  # where it computes in float32 inside, whatever it is given
NEEDED = "pip install -c constraints.txt '.[peers]'"

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def peer(name):
    """A module of others; without it the tests are skipped, but in CI they fail."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return _absent(name, error)


def naive(path, package="fla-core"):
    """A file of a package, loaded by its path, so that what the package imports is not needed."""
    try:
        file = importlib.metadata.distribution(package).locate_file(path)
        spec = importlib.util.spec_from_file_location(f"peer_{path.replace('/', '_')}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, OSError) as error:
        return _absent(path, error)
    return module


def _absent(name, error):
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not there ({error}); {NEEDED}", pytrace=False)
    return pytest.skip(f"{name} is not there; {NEEDED}", allow_module_level=True)


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def randomised(module):
    """The module in float64, with no parameter left at zero or one."""
    module = module.double().eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.5 * noise)
    return module


def to_heads(linear, heads):
    """The weight of an `nn.Linear` that makes heads, as ours: `d h c`."""
    return linear.weight.T.reshape(linear.in_features, heads, -1)


def from_heads(linear, heads):
    """The weight of an `nn.Linear` that joins heads, as ours: `h e d`."""
    return linear.weight.T.reshape(heads, -1, linear.out_features)


def same(diagram, inputs, weights, wanted, within=EXACT):
    """The reference meaning and the compiled module, with these weights, against their result."""
    wanted = wanted.detach().double()
    found = diagram.evaluate(*inputs, parameters=weights)
    torch.testing.assert_close(found, wanted, rtol=within, atol=within)
    shapes = {name: type_.axes.values() for name, type_ in diagram.parameters.items()}
    pairs = [
        pair for name in weights for pair in zip(shapes[name], weights[name].shape, strict=True)
    ]
    sizes = {size.variable: length for size, length in pairs if size.variable}
    module = vs.to_torch(diagram, dtype=torch.float64, sizes=sizes)
    module.load_state_dict(weights)
    torch.testing.assert_close(module(*inputs).detach(), wanted, rtol=within, atol=within)


def count(diagram):
    """How many numbers the parameters of a diagram have."""
    return sum(
        prod(size.constant for size in type_.axes.values()) for type_ in diagram.parameters.values()
    )


def their_count(module):
    return sum(parameter.numel() for parameter in module.parameters())
