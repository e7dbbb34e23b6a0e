"""The reference of derivations: each is in it, with its steps, and what trained weights did."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from vesalius.anatomy.derivations import DERIVATIONS

WRITER = "derivations"


def test_every_derivation_is_measured(writer: Any) -> None:
    """`python docs/derivations.py NAME` measures one anew."""
    known = writer.measured()
    assert list(known) == list(DERIVATIONS)
    for name, row in known.items():
        same = DERIVATIONS[name].grade.name == "equal"
        for way in writer.WAYS:
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
