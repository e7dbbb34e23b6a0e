"""The rule reference: every rule is in it, measured, drawn and said."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from vesalius.rewrite.rules import EXAMPLES, FAMILIES, RULES, SCHEMAS

WRITER = "rules"


def test_every_rule_is_measured(writer: Any) -> None:
    """`python docs/rules.py NAME` measures what is missing."""
    known = writer.measured()
    assert list(known) == list(RULES)
    for name, row in known.items():
        assert row["grade"] == RULES[name].grade.name
        assert row["mark"] != "outside"
        assert ("floats" in row) == (row["grade"] == "equal")


@pytest.mark.parametrize("name", ["reassociate", "unfold_softmax", "maximum_of_shift"])
def test_measuring_gives_what_is_written(writer: Any, name: str) -> None:
    assert writer.measure(RULES[name])["mark"] == writer.measured()[name]["mark"]


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
