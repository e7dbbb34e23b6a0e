"""What the documentation says is so: its examples run and print what stands below them.

The Python blocks of a page run in order, in one namespace and an empty folder. A `text` block is
what the Python block before it prints, compared as doctest does, with `...` for anything. A block
may end in an error, which counts as its last lines: the name of the error and its message. In
`console` blocks, `$ vesalius ...` is run, and what stands below is what it prints.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import importlib
import io
import linecache
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import vesalius as vs
from vesalius.anatomy import CATALOGUE
from vesalius.diagrams.box import KINDS
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.forms import FORMS
from vesalius.diagrams.graph import Port

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


Session = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page enters in the catalogue is gone after it."""
    monkeypatch.setattr(CATALOGUE, "_entries", dict(CATALOGUE._entries))


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


def sessions(text: str) -> list[Session]:
    """The `console` blocks of a page: commands, each with its output."""
    found = []
    for block in blocks(text):
        if block.language == "console":
            commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
            found.append([(line, out) for line, _, out in (c.partition("\n") for c in commands)])
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
    want, got = f"{want.rstrip()}\n", f"{got.rstrip()}\n"
    if doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        return ""
    return "\n".join(difflib.ndiff(want.splitlines(), got.splitlines()))


def run(text: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """The namespace that a page's code leaves, and what was not as the page says."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    wrong = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block, output in examples(text):
            got = execute(block, name, namespace)
            found = difference(output.text if output else "", got)
            if found:
                wrong.append(f"line {block.line}:\n{found}")
    return namespace, wrong


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def ran(page: Path) -> tuple[dict[str, Any], list[str]]:
    return run(page.read_text(), f"{page.stem}.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_prints_what_the_page_says(page: Path) -> None:
    _, wrong = ran(page)
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


SESSIONS = [session for page in PAGES for session in sessions(page.read_text())]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session[-1][0])
def test_commands_print_what_the_page_says(session: Session, tmp_path: Path) -> None:
    for line, output in session:
        name, *arguments = shlex.split(line)
        assert name == "vesalius"
        python = [sys.executable, "-c", "from vesalius.cli import main; main()"]
        done = subprocess.run(
            [*python, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        found = difference(output, done.stdout)
        if found:
            pytest.fail(f"$ {line}\n{found}", pytrace=False)


def test_there_are_commands() -> None:
    assert len(SESSIONS) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    shell = "\n".join(block.text for block in blocks(page.read_text()) if block.language == "sh")
    for target in re.findall(r"^make (?:\w+=\S+ )*([\w-]+)", shell, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_the_repository_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("name", ["search", "genindex", "modindex", "py-modindex"])
def test_no_page_has_the_name_of_one_that_sphinx_makes(name: str) -> None:
    assert not (ROOT / "docs" / f"{name}.md").exists()  # it would be written over


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
    """The rows of the table whose last column has this heading: a law, wires, two expressions."""
    found: list[tuple[str, ...]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif line.endswith(f"| {heading} |"):
            inside = True
        elif inside and "`" in line:
            law, wires, one, other = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append((law, wires, one.strip("`"), other.strip("`")))
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


# -- the references -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The module that writes the reference of the primitives, as the documentation imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        yield importlib.import_module("reference")


@cache
def primitives_page(module: Any) -> str:
    return module.page()


def test_every_kind_has_an_example_that_makes_it(reference: Any) -> None:
    assert set(reference.EXAMPLES) == set(FORMS)
    for name in FORMS:
        assert reference.example(KINDS[name]).node.box.kind is KINDS[name]


def test_the_reference_is_put_into_its_page(reference: Any) -> None:
    mark = "<!-- the table -->"
    assert (ROOT / "docs" / "primitives.md").read_text().count(mark) == 1
    assert (ROOT / "docs" / "conf.py").read_text().count(f'"{mark}"') == 1


def test_the_reference_has_all_kinds_and_functions(reference: Any) -> None:
    page = primitives_page(reference)
    headings = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert headings == list(reference.EXAMPLES)
    table = page.partition("## Pointwise functions")[2]
    functions = re.findall(r"^\| `(\w+)\(", table, re.MULTILINE)
    assert functions == [name for name in FUNCTIONS if name in vs.__all__]
    assert {"exp", "where", "to_int"} <= set(functions)
    assert "not said" not in page


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("contract", "| binds | `c` |"),
        ("contract", "| tubes | `n` `m` |"),
        ("contract", "| cost | `multiply-add 2*c*m*n` |"),
        ("split", "| makes | `h` `c` |"),
        ("softmax", "| in `rational` | no: an exponential of a rational is not rational |"),
        ("softmax", "| in `field` | yes |"),
        ("max", "| in `field` | no: a finite field has no order |"),
        ("max", "| in `rational` | yes |"),
        ("fourier", "| in `rational` | in part: along axes of length 1, 2 and 4 |"),
        ("like", "| PyTorch | no: it stands in rules only |"),
        ("slice", "| drawn as | box, `slice` |"),
        ("slice", "| JSON | start: size, step: int |"),
    ],
)
def test_rows_of_the_reference(reference: Any, kind: str, row: str) -> None:
    section = primitives_page(reference).partition(f"### {kind}\n")[2].partition("\n## ")[0]
    assert row in section.partition("\n### ")[0]


def test_torch_contains_every_kind_but_holes(reference: Any) -> None:
    sections = primitives_page(reference).partition("\n## Pointwise")[0].split("### ")[1:]
    outside = [text.split()[0] for text in sections if "| in `torch` | yes |" not in text]
    assert outside == ["learner"]


@pytest.mark.parametrize("name", vs.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    assert re.search(rf"(^\.\. \S+:: (?:vesalius\.)?{name}$|`{name}`)", text, re.MULTILINE)


def test_a_mechanism_of_ones_own_takes_fifteen_lines_at_most() -> None:
    page = (ROOT / "docs" / "adding-a-mechanism.md").read_text(encoding="utf-8")
    first = next(block for block in blocks(page) if block.language == "python")
    assert "vs.anatomy.variant(" in first.text
    assert len([line for line in first.text.splitlines() if line]) <= 15
