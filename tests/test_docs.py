"""What the documentation says is so: its examples run and print what stands below them.

The Python blocks of a page run in order, in one namespace and an empty folder. A `text` block is
what the Python block before it prints, compared as doctest does, with `...` for anything. A block
may end in an error, which counts as its last lines: the name of the error and its message.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import linecache
import os
import re
import shlex
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import vesalius as vs
from vesalius.diagrams.graph import Port

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (.+) \| `(.+)` \| `(.+)` \| `(.+)` \|$")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line at which it begins."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in FENCE.finditer(text)
    ]


def examples(text: str) -> list[tuple[Block, Block | None]]:
    """The Python blocks of a page, each with the block of its output if it has one."""
    found: list[tuple[Block, Block | None]] = []
    for block in blocks(text):
        if block.language == "python":
            found.append((block, None))
        elif block.language == "text":
            if not found or found[-1][1] is not None:
                raise ValueError(f"line {block.line}: no Python block prints this")
            found[-1] = (found[-1][0], block)
    return found


def execute(block: Block, name: str, namespace: dict[str, Any]) -> str:
    """What a block prints. Its file is called after the page, as errors show the user's lines."""
    source = str(Path(f"line {block.line}") / name)
    linecache.cache[source] = (len(block.text), None, block.text.splitlines(True), source)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(block.text, source, "exec"), namespace)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    return printed.getvalue()


def difference(want: str, got: str) -> str:
    """How the output of a block differs from what the page shows; empty where it does not."""
    checker = doctest.OutputChecker()
    if checker.check_output(want, got, doctest.ELLIPSIS):
        return ""
    return checker.output_difference(doctest.Example("", want), got, doctest.REPORT_NDIFF)


def run(text: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """The namespace that a page's code leaves, and what was not as the page says."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    wrong = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block, output in examples(text):
            got = execute(block, name, namespace)
            found = difference(output.text if output else "", got)
            if found:
                wrong.append(f"line {block.line}: {found}")
    return namespace, wrong


@cache
def ran(page: Path) -> tuple[dict[str, Any], list[str]]:
    return run(page.read_text(), f"{page.stem}.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_prints_what_the_page_says(page: Path) -> None:
    _, wrong = ran(page)
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


@pytest.mark.parametrize("name", ["README.md", "axes.md", "tutorial.md", "algebras.md"])
def test_the_pages_that_show_code_are_among_those_that_run(name: str) -> None:
    (page,) = [page for page in PAGES if page.name == name]
    assert sum(output is not None for _, output in examples(page.read_text())) > 0


@pytest.mark.parametrize(
    ("code", "output", "right"),
    [
        ("print(6 * 7)", "42", True),
        ("print(6 * 7)", "4...", True),
        ("print(6 * 7)", "41", False),
        ("print(6 * 7)", None, False),
        ("6 * 7", "42", False),
        ("1 / 0", "ZeroDivisionError: division by zero", True),
        ("1 / 0", "ZeroDivisionError: division by one", False),
        ("print(1); 1 / 0", "1\nZeroDivisionError: division by zero", True),
        ("1 / 0", None, False),
        ("import os; print(os.listdir())", "[]", True),
    ],
)
def test_the_runner_tells_right_from_wrong(code: str, output: str | None, right: bool) -> None:
    page = f"```python\n{code}\n```\n" + (f"```text\n{output}\n```\n" if output else "")
    assert (run(page, "page.py")[1] == []) is right


def test_an_output_without_code_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        examples("```text\n42\n```\n")


def test_errors_show_the_line_of_the_page() -> None:
    code = 'import vesalius as vs\n@vs.diagram\ndef f(x: "n") -> "n":\n    return vs.sum(x, "m")'
    _, (wrong,) = run(f"```python\n{code}\n```\n", "page.py")
    assert 'at page.py:4: return vs.sum(x, "m")' in wrong


# -- the tables of what is one diagram and what is not --------------------------------------------


def rows(text: str, heading: str) -> list[tuple[str, ...]]:
    """The rows of the table whose last column has this heading."""
    found: list[tuple[str, ...]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.endswith(f"| {heading} |"):
            inside = True
        elif inside and (match := ROW.match(line)):
            found.append(match.groups())
    return found


def spelled(inputs: str, expression: str, namespace: dict[str, Any]) -> vs.Diagram:
    """The diagram of an expression over wires that are declared as `x: "n c", y: "c"`."""
    declared = re.findall(r'(\w+): "([^"]*)"', inputs)
    with vs.Builder("row") as builder:
        wires = {name: builder.input(name, type_) for name, type_ in declared}
        wire = eval(expression, namespace, wires)
        axes = tuple(sorted(wire.names))
        slots = tuple(wire.names.index(axis) for axis in axes)
        return builder.finish([Port("out", wire.id, axes, slots)])


AXES = (ROOT / "docs" / "axes.md").read_text()


@pytest.mark.parametrize("row", rows(AXES, "is this"), ids=lambda row: row[0])
def test_spellings_that_are_one_diagram(row: tuple[str, ...]) -> None:
    _, inputs, one, other = row
    namespace = ran(ROOT / "docs" / "axes.md")[0]
    a, b = spelled(inputs, one, namespace), spelled(inputs, other, namespace)
    assert a == b
    assert hash(a) == hash(b)
    assert one != other


@pytest.mark.parametrize("row", rows(AXES, "is not this"), ids=lambda row: row[0])
def test_spellings_that_are_two_diagrams(row: tuple[str, ...]) -> None:
    _, inputs, one, other = row
    namespace = ran(ROOT / "docs" / "axes.md")[0]
    assert spelled(inputs, one, namespace) != spelled(inputs, other, namespace)


def test_both_tables_are_read_whole() -> None:
    table_rows = [line for line in AXES.splitlines() if line.startswith("| ") and line.count("`")]
    assert len(table_rows) == len(rows(AXES, "is this")) + len(rows(AXES, "is not this"))
    assert min(len(rows(AXES, "is this")), len(rows(AXES, "is not this"))) >= 5
