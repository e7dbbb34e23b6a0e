"""What must hold of the files of the repository, whatever the code does."""

import re
import subprocess
import tomllib
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import vesalius

ROOT = Path(__file__).parents[1]
BINARY = {".png", ".gif", ".pdf", ".pt"}
# Put together here, so that this file does not contain them.
MACHINE_PATHS = re.compile("|".join(f"/{top}/" for top in ("work", "root", r"home/\w+", "opt")))


@cache
def repository_files() -> tuple[Path, ...]:
    """Files that are tracked or could be; all of the tree where it is not a git checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists():
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        kept = ("vesalius", "tests", "docs", "examples", "benchmarks")
        paths = [path for top in kept for path in (ROOT / top).rglob("*.[mpt]*")]
    return tuple(path for path in paths if path.is_file() and "__pycache__" not in path.parts)


def texts() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), path.read_bytes().decode("utf-8"))
        for path in repository_files()
        if path.suffix not in BINARY
    ]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~;\[ ]", item)[0].lower().replace("_", "-") for item in requirements}


def test_the_list_of_files_is_not_empty() -> None:
    listed = {str(path.relative_to(ROOT)) for path in repository_files()}
    assert {"tests/test_repository.py", "vesalius/lab/corpus.py"} <= listed


def test_no_file_contains_a_path_of_one_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("top", ["work", "root", "home/someone", "opt"])
def test_a_path_of_one_machine_would_be_found(top: str) -> None:
    assert MACHINE_PATHS.search(f"open('/{top}/data.txt')")
    assert not MACHINE_PATHS.search("the framework/root cause, optional/opt-in")


def test_texts_are_utf8_with_unix_lines() -> None:
    wrong = [
        name
        for name, text in texts()
        if "\r" in text or "\0" in text or (text and not text.endswith("\n"))
    ]
    assert wrong == []


def test_no_merge_is_left_half_done() -> None:
    marker = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    assert [name for name, text in texts() if marker.search(text)] == []


def test_no_file_is_large() -> None:
    large = [str(path) for path in repository_files() if path.stat().st_size > 1_000_000]
    assert large == []


def test_every_dependency_is_pinned_and_justified() -> None:
    needed = names(project()["dependencies"])
    extras = names(list(chain(*project()["optional-dependencies"].values())))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert needed | extras <= names(pins)
    assert not any(re.match(r"(nvidia|cuda|triton)", pin) for pin in pins)

    table = (ROOT / "docs" / "dependencies.md").read_text()
    justified = re.findall(r"^\| ([\w-]+)", table, re.MULTILINE)
    assert names(justified) - {"package", "---"} == needed


def test_the_version_is_the_same_everywhere() -> None:
    assert vesalius.__version__ == project()["version"]


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
