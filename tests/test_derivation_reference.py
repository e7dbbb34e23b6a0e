"""The reference of derivations: each is in it, with its steps, and what trained weights did."""

from __future__ import annotations

import importlib
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vesalius.anatomy.derivations import DERIVATIONS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The module that writes the pages, as the documentation imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("derivations")
    sys.modules.pop("derivations", None)
    sys.modules.pop("rules", None)


@pytest.fixture(scope="module")
def files(reference: Any) -> dict[str, str]:
    """All pages and pictures."""
    made: dict[str, str] = reference.pages()
    return made


def test_every_derivation_is_measured(reference: Any) -> None:
    """`python docs/derivations.py NAME` measures one anew."""
    known = reference.measured()
    assert list(known) == list(DERIVATIONS)
    for name, row in known.items():
        same = DERIVATIONS[name].grade.name == "equal"
        for way in reference.WAYS:
            if same:
                assert abs(row[way]["change"]) < 1e-9, name
            if "before" in row[way]:
                assert row[way]["before"] < row[way]["untrained"] - 1, name


def test_every_step_is_said_and_drawn(files: dict[str, str]) -> None:
    for name, derivation in DERIVATIONS.items():
        page = files[f"{name}.md"]
        assert f"`{name}`: **{derivation.grade.name}**" in page
        for number, step in enumerate(derivation, 1):
            assert f"\n{number}. `{step.name}` ({step.grade.name}" in page
        assert page.count("decides the grade") == (derivation.decisive is not None)
        assert "## Trained weights" in page
        ElementTree.fromstring(files[f"pictures/{name}.svg"])


def test_a_refusal_and_a_change_are_said(files: dict[str, str]) -> None:
    assert "the same loss" in files["mla-to-absorbed.md"]
    assert "refused: step 1, softmax" in files["softmax-to-aft.md"]
    assert "a change of +" in files["softmax-to-spherical.md"]
    assert "Only along the last 3 steps" in files["bahdanau-to-vaswani.md"]
