"""Every example runs, in an interpreter of its own, as a user would run it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_the_example_runs(path: Path) -> None:
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_function_and_a_box_of_ones_own_take_ten_lines_at_most() -> None:
    tree = ast.parse((EXAMPLES / "own_box.py").read_text())
    declared = [node for node in tree.body if isinstance(node, ast.Assign)]
    assert len(declared) == 2
    for node in declared:
        assert (node.end_lineno or 0) - node.lineno < 10


def test_a_rule_a_check_and_a_derivation_of_ones_own_take_twenty_lines_at_most() -> None:
    text = (EXAMPLES / "own_rule.py").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith('"""')]
    assert len(lines) <= 20
