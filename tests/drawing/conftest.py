"""The diagrams that are drawn in these tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from drawing_samples import LARGE, OWN, SHIPPED, SMALL

import vesalius as vs


@pytest.fixture(params=[*OWN, *SHIPPED, *SMALL, *LARGE], ids=lambda d: f"{d.name}-{len(d)}")
def diagram(request: pytest.FixtureRequest) -> vs.Diagram:
    """Each of the diagrams in `drawing_samples`."""
    return request.param
