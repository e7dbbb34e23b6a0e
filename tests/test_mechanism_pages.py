"""The pages of the catalogue: one for each mechanism, with all that its entry says."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import vesalius as vs

WRITER = "mechanisms"


def test_every_mechanism_has_a_page_and_two_pictures(files: dict[str, str]) -> None:
    wanted = {f"{name}.md" for name in vs.anatomy.names()}
    assert {name for name in files if name.endswith(".md")} == wanted
    for mechanism in vs.anatomy:
        parts = files[f"pictures/{mechanism.name}-parts.svg"]
        whole = files[f"pictures/{mechanism.name}.svg"]
        for picture in (parts, whole):
            ElementTree.fromstring(picture)


def test_a_page_says_what_the_entry_says(writer: Any, files: dict[str, str]) -> None:
    for mechanism in vs.anatomy:
        page = files[f"{mechanism.name}.md"]
        assert page.startswith(f"# {mechanism.title}\n")
        assert f"\n{mechanism.formula}\n" in page
        assert f"- causal: {writer.CLAIMS[mechanism.causal]}\n" in page
        assert f"- can be cached: {writer.CLAIMS[mechanism.cacheable]}\n" in page
        assert f"- checked against: {writer.check(mechanism)}\n" in page
        assert all(f"| `{part.__name__}` |" in page for part in mechanism.parts.values())
        assert str(mechanism().cost()) in page
        assert "class " in page
        assert "(nn.Module)" in page


def test_the_table_lists_them_all(writer: Any) -> None:
    lines = writer.table().splitlines()
    assert len(lines) == 2 + len(vs.anatomy)
    assert {line.count(" | ") for line in lines} == {6, 0}


def test_relations_lead_to_pages_and_say_siblings_where_nothing_is_promised(
    files: dict[str, str],
) -> None:
    """A step up and a step down promise nothing of the ends, and are no mere variant."""
    for edge in vs.taxonomy.edges():
        grades = re.findall(
            rf"\({edge.start.mechanism}\.md\) to .*\({edge.end.mechanism}\.md\): \*\*(.*?)\*\*",
            files[f"{edge.start.mechanism}.md"],
        )
        if edge.start.mechanism in vs.taxonomy.mechanisms():
            apart = edge.grade.name == "variant" and not edge.varies
            assert ("siblings" if apart else str(edge.grade)) in grades
    for name, page in files.items():
        if name.endswith(".md"):
            related = page.partition("## Relations")[2]
            assert {f"{x}.md" for x in re.findall(r"\]\((\w+)\.md\)", related)} <= set(files), name
            assert not any("\\" in code for code in re.findall(r"`([^`\n]*)`", related)), name
