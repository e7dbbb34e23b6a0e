"""Imports point one way: diagrams ← rewrite ← {anatomy, compile} ← inspect ← lab ← cli.

The text of every module is read, not run, so that an import inside a function or under
`TYPE_CHECKING` counts too: what a module knows of is what it depends on, whenever it loads it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vesalius"

DIAGRAMS = {"diagrams"}
REWRITE = DIAGRAMS | {"rewrite"}
INSPECT = REWRITE | {"anatomy", "compile", "inspect"}
LAB = INSPECT | {"lab"}

# What each part of the package may import, itself included. "" is `vesalius/__init__.py`, the
# public face, which only the command line may look at: inside, every name comes from its home.
MAY_IMPORT: dict[str, set[str]] = {
    "diagrams": DIAGRAMS,
    "rewrite": REWRITE,
    "anatomy": REWRITE | {"anatomy"},
    "compile": REWRITE | {"compile"},
    "inspect": INSPECT,
    "testing": REWRITE | {"testing"},
    "lab": LAB,
    "cli": LAB | {"cli", ""},
    "__main__": {"cli"},
    "": LAB | {"testing"},
}


def imported(tree: ast.Module, name: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """The line and the full name of everything that the module called `name` imports."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = resolve_name("." * level + (module or ""), package)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield node.lineno, resolve_name(target, package)


def part_of(full_name: str, package: Path) -> str | None:
    """The part of the package that a name belongs to; None if it is not in the package."""
    top, _, rest = full_name.partition(".")
    if top != package.name:
        return None
    first = rest.partition(".")[0]
    is_part = (package / first).is_dir() or (package / f"{first}.py").is_file()
    return first if first and is_part else ""


def violations(package: Path) -> list[str]:
    """Every import in the package that points the wrong way, and every part without a place."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package.parent)
        is_package = path.name == "__init__.py"
        name = ".".join((relative.parent if is_package else relative.with_suffix("")).parts)
        part = part_of(name, package) or ""
        if part not in MAY_IMPORT:
            found.append(f"{relative}: {part} has no place in the order")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for line, target in imported(tree, name, is_package):
            other = part_of(target, package)
            if other is not None and other not in MAY_IMPORT[part]:
                found.append(f"{relative}:{line}: {part or 'the face'} imports {target}")
    return found


def test_imports_point_one_way() -> None:
    assert violations(PACKAGE) == []


def test_every_part_is_looked_at() -> None:
    parts = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")}
    assert "diagrams" in parts
    assert {part.removesuffix(".py") for part in parts} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("diagrams/a.py", "import vesalius.rewrite"),
        ("diagrams/a.py", "from vesalius.rewrite.match import matches"),
        ("diagrams/a.py", "from vesalius import rewrite"),
        ("diagrams/a.py", "from .. import rewrite"),
        ("diagrams/drawing/a.py", "from ...rewrite.match import matches"),
        ("diagrams/drawing/__init__.py", "from ...rewrite import match"),
        ("diagrams/a.py", "def f():\n    import vesalius.compile as c"),
        ("diagrams/a.py", "if TYPE_CHECKING:\n    from vesalius.lab.corpus import split"),
        ("diagrams/a.py", "importlib.import_module('vesalius.compile')"),
        ("diagrams/__init__.py", "import_module('..rewrite', 'vesalius.diagrams')"),
        ("diagrams/a.py", "import vesalius as vs"),
        ("diagrams/a.py", "from vesalius import diagram"),
        ("rewrite/a.py", "from vesalius.anatomy import attention"),
        ("anatomy/a.py", "from vesalius.compile import to_torch"),
        ("compile/a.py", "from vesalius.anatomy import attention"),
        ("compile/kernels/a.py", "from vesalius.anatomy import attention"),
        ("inspect/a.py", "from vesalius.lab import corpus"),
        ("lab/a.py", "from vesalius.cli import main"),
        ("__init__.py", "from vesalius.cli import main"),
        ("surprise.py", "x = 1"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, text: str) -> None:
    package = small_package(tmp_path)
    assert violations(package) == []
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text(text)
    assert len(violations(package)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("diagrams/a.py", "import torch\nfrom math import log\nfrom . import b\nfrom .b import c"),
        ("diagrams/drawing/a.py", "from ..b import c\nfrom vesalius.diagrams.b import c"),
        ("rewrite/a.py", "from vesalius.diagrams import b\nfrom ..diagrams.b import c"),
        ("lab/a.py", "from vesalius.inspect import profile\nfrom vesalius import anatomy"),
        ("cli/a.py", "import vesalius as vs\nfrom vesalius.lab import tour"),
        ("__init__.py", "from vesalius.diagrams import b"),
    ],
)
def test_a_right_import_is_not(tmp_path: Path, file: str, text: str) -> None:
    package = small_package(tmp_path)
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text(text)
    assert violations(package) == []


def small_package(folder: Path) -> Path:
    package = folder / "vesalius"
    for part in ("diagrams", "rewrite", "anatomy", "compile", "inspect", "lab", "cli"):
        (package / part).mkdir(parents=True)
        (package / part / "__init__.py").touch()
    (package / "__init__.py").touch()
    return package


HEAVY = (
    "torch", "numpy", "networkx", "sympy", "graphviz", "pygraphviz", "opt_einsum", "typer", "rich",
    "hypothesis",
)  # fmt: skip


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, vesalius; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_help_loads_nothing_that_it_does_not_show() -> None:
    code = (
        "import sys, vesalius.cli\n"
        "sys.argv = ['vesalius', '--help']\n"
        "try:\n"
        "    vesalius.cli.main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules) - {{'typer', 'rich'}}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "Usage" in done.stdout
    assert done.stderr.split() == []
