"""The pictures of the documentation are those that the code beside them draws."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATORS = ("gallery", "grades", "chapters", "steps")


@pytest.fixture(scope="module")
def made() -> Iterator[dict[Path, str]]:
    """The generated pages and their pictures, made anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        pages = [importlib.import_module(name).made() for name in GENERATORS]
        yield {path: text for page in pages for path, text in page.items()}


def test_what_is_kept_is_what_is_drawn(made: dict[Path, str]) -> None:
    changed = [
        path.name
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert changed == [], f"python docs/NAME.py makes them, for {GENERATORS}"


def test_no_picture_is_left_over(made: dict[Path, str]) -> None:
    kept = set((ROOT / "docs" / "pictures").glob("*.svg"))
    theirs = {f"peers-{name}.svg" for name in ("chyp", "discopy", "pyzx")}
    others = {path for path in kept if path.name in theirs}
    assert len(others) == 3  # docs/peers.py draws them
    assert kept - others == {path for path in made if path.suffix == ".svg"}


@pytest.mark.parametrize("chapter", ["bahdanau-to-vaswani", "softmax-to-linear"])
def test_chapters_show_all_their_pictures_with_words(chapter: str, made: dict[Path, str]) -> None:
    shown = re.findall(
        r"^!\[(.*)\]\((.*)\)$", (ROOT / f"docs/{chapter}.md").read_text(), re.MULTILINE
    )
    assert all(len(words) > 60 for words, _ in shown)
    files = {Path(file).name for _, file in shown}
    kind = f"{chapter.rpartition('-')[2]}-"
    assert files == {path.name for path in made if path.name.startswith(kind)}


def test_the_readme_shows_pictures_with_words_for_those_who_do_not_see_them() -> None:
    shown = re.findall(r"^!\[(.*)\]\((.*)\)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(shown) == 2
    for words, file in shown:
        assert len(words) > 60
        text = (ROOT / file).read_text(encoding="utf-8")
        assert text.startswith("<svg")
        assert 'class="vesalius v-print"' in text  # on dark pages too
