"""The ranks over the catalogue: their correlation, and who stands apart."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from vesalius.anatomy.mechanism import CATALOGUE

FILE = Path(__file__).parents[2] / "benchmarks" / "costs.py"


@pytest.fixture(scope="module")
def costs():
    spec = importlib.util.spec_from_file_location("costs", FILE)
    module = sys.modules["costs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["costs"]


def test_the_correlation_is_that_of_ranks(costs) -> None:
    assert costs.ranks([30, 10, 20]) == [2, 0, 1]
    assert costs.ranks([5, 1, 5]) == [1.5, 0, 1.5]
    assert costs.spearman([1, 2, 3], [10, 1000, 1001]) == pytest.approx(1)
    assert costs.spearman([1, 2, 3], [9, 8, 1]) == pytest.approx(-1)
    # By the formula for ranks without ties: 1 - 6·Σd²/(n·(n² - 1)).
    assert costs.spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / 60)


def test_outliers_are_far_from_the_median_ratio(costs) -> None:
    def line(name, predicted, measured):
        return costs.Line(name, predicted, measured, 0, 0, ())

    usual = [line(f"usual{k}", 1.0, 2.0) for k in range(5)]
    slow, fast = line("slow", 1.0, 20.0), line("fast", 10.0, 4.0)
    found = costs.outliers([*usual, fast, slow])
    assert [(one.name, by) for one, by in found] == [("slow", 10), ("fast", pytest.approx(0.2))]
    text = costs.told([*usual, fast, slow], 0.5)
    assert "over 7 mechanisms: 0.500" in text
    assert "outlier: slow, 10.0 × slower" in text
    assert "outlier: fast, 5.0 × faster" in text


def test_the_command_measures_what_is_asked_for(costs, capsys) -> None:
    names = ["softcap", "multihead"]
    wanted = ["--length", "16", "--budget", "0", "--json", "--only", names[0], "--only", names[1]]
    assert costs.run(wanted) == 0
    found = json.loads(capsys.readouterr().out)
    order = [mechanism.name for mechanism in CATALOGUE if mechanism.name in names]
    assert [line["name"] for line in found["mechanisms"]] == order
    assert found["spearman"] in (-1, 1)
    assert costs.run(["--only", "softcap", "--length", "8", "--budget", "0"]) == 1
