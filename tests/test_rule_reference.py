"""The rule reference: every rule is in it, measured, drawn and said."""

from __future__ import annotations

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vesalius.rewrite.rules import EXAMPLES, FAMILIES, RULES, SCHEMAS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The module that writes the pages, as the documentation imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("rules")
    sys.modules.pop("rules", None)


@pytest.fixture(scope="module")
def files(reference: Any) -> dict[str, str]:
    """All pages and pictures."""
    made: dict[str, str] = reference.pages()
    return made


def test_every_rule_is_measured(reference: Any) -> None:
    """`python docs/rules.py NAME` measures what is missing."""
    known = reference.measured()
    assert list(known) == list(RULES)
    for name, row in known.items():
        assert row["grade"] == RULES[name].grade.name
        assert row["mark"] != "outside"
        assert ("floats" in row) == (row["grade"] == "equal")


@pytest.mark.parametrize("name", ["reassociate", "unfold_softmax", "maximum_of_shift"])
def test_measuring_gives_what_is_written(reference: Any, name: str) -> None:
    assert reference.measure(RULES[name])["mark"] == reference.measured()[name]["mark"]


def test_every_rule_and_schema_has_a_section_on_the_page_of_its_family(
    files: dict[str, str],
) -> None:
    found = []
    for module in FAMILIES:
        page = files[f"{module.__name__.rpartition('.')[2]}.md"]
        found += re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
        assert module.__doc__ is not None
        assert page.splitlines()[2] == module.__doc__.splitlines()[0]
    assert len(found) == len(set(found))
    assert set(found) == {*RULES, *SCHEMAS}


def test_a_section_says_law_grade_verdict_floats_and_example(files: dict[str, str]) -> None:
    section = files["softmaxes.md"].partition("## `unfold_softmax`\n")[2].partition("\n## ")[0]
    assert "**equal**: softmax\\_m(s) = exp(s) / Σ\\_m exp(s)" in section
    assert "- verdict: *exact*" in section
    assert "the right side loses entries at magnitude 100 (float32)" in section
    assert str(EXAMPLES["unfold_softmax"]) in section


def test_both_sides_of_every_rule_are_drawn(files: dict[str, str]) -> None:
    for name, rule in RULES.items():
        picture = files[f"pictures/{name}.svg"]
        ElementTree.fromstring(picture)
        assert rule.grade.name in picture
        assert len(picture) < 40_000, f"{rule.name}: a rule has small sides"
