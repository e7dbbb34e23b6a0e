"""Hypothesis profiles for the whole suite, and one thread for its small tensors.

`ci`, the default, draws the same examples every time, whatever else is tested. `soak` draws many,
at random, and prints how to repeat a failure. `HYPOTHESIS_PROFILE` in the environment chooses.
"""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
SOAKED = 40  # how many times as many examples as it asks for a test gets in a soak run

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=3000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(PROFILE)
if PROFILE == "ci":
    # Hypothesis also draws constants that it reads in the modules that are loaded, so examples
    # would change with each module that another test imports. It has no setting against that.
    providers._get_local_constants = providers.Constants

# What somebody has measured on this machine changes no choice here, nor do tests leave anything.
_cache = tempfile.TemporaryDirectory(prefix="vesalius-cache-")
os.environ["VESALIUS_CACHE"] = _cache.name

torch.set_num_threads(1)  # more only wait for each other where every tensor is tiny


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A number of examples that a test names is for the suite: a soak run takes many times that."""
    if PROFILE != "soak":
        return
    attribute = "_hypothesis_internal_use_settings"  # there is no public way to change it later
    for test in {id(test): test for test in (getattr(i, "obj", None) for i in items)}.values():
        own = getattr(test, attribute, None)
        if own is not None and own.max_examples != settings.default.max_examples:
            setattr(test, attribute, settings(own, max_examples=SOAKED * own.max_examples))


@pytest.fixture(scope="module")
def writer(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The module that writes pages of the documentation: `WRITER` in the module of the test."""
    docs = Path(__file__).parents[1] / "docs"
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(docs))
        yield importlib.import_module(request.module.WRITER)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == docs:
            del sys.modules[name]  # its name is that of a page, and may be another's


@pytest.fixture(scope="module")
def files(writer: Any) -> dict[str, str]:
    """All pages and pictures of a writer."""
    made: dict[str, str] = writer.pages()
    return made
