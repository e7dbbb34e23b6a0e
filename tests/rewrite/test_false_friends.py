"""Tempting rewritings that are wrong: each is refused by typing or refuted by a script."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from false_friends import WRONG, equal

import vesalius as vs
from vesalius.diagrams.errors import AxisError
from vesalius.rewrite.check import check
from vesalius.rewrite.refusals import RuleError

ROOT = Path(vs.__file__).parents[1]


@cache
def verdict_of(name):
    return check(WRONG[name]())


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refuted_by_a_counterexample(name):
    verdict = verdict_of(name)
    assert not verdict
    assert verdict.mark != "outside"
    assert verdict.counterexample is not None, str(verdict)


@pytest.mark.parametrize("name", WRONG)
def test_its_counterexample_is_small(name):
    example = verdict_of(name).counterexample
    assert all(1 <= size <= 3 for size in example.sizes.values())
    assert sum(x.size for x in example.values.inputs) <= 24
    assert not any("tube" in port.name for port in example.pair.left.inputs)


def test_each_counterexample_fails_when_it_is_run(tmp_path):
    for name in WRONG:
        script = str(verdict_of(name).counterexample)
        (tmp_path / f"{name}.py").write_text(script, encoding="utf-8")
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import json, pathlib, runpy, sys\n"
        "found = {}\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).glob('*.py')):\n"
        "    if path.name != 'driver.py':\n"
        "        try:\n"
        "            runpy.run_path(str(path))\n"
        "            found[path.stem] = 'passed'\n"
        "        except BaseException as error:\n"
        "            found[path.stem] = f'{type(error).__name__}: {error}'\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, str(driver), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    results = json.loads(done.stdout)
    assert set(results) == set(WRONG)
    for name, result in results.items():
        assert result.startswith("AssertionError: the sides differ:"), f"{name}: {result}"
        assert "\n  left " in result
        assert "\n  right " in result


def test_a_printed_counterexample_is_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(str(verdict_of("a_factor_passes_through_softmax").counterexample))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert "AssertionError: the sides differ:" in done.stderr


def test_self_attention_needs_a_second_name_for_the_keys():
    with pytest.raises(AxisError, match="'n' is missing"):

        @vs.diagram
        def attention(x: "n d") -> "n d":
            weights = vs.softmax(vs.contract(x, x, over="d"), over="n")
            return vs.contract(weights, x, over="n")


def test_a_side_that_loses_tubes_is_refused_when_it_is_written():
    with pytest.raises(RuleError, match="would lose the tubes of c"):

        @equal
        def claim(s: "m", c: "m") -> "m":
            return vs.softmax(s + c, over="m"), vs.softmax(s, over="m")
