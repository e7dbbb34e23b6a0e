"""The benchmarks' harness: what it computes, in which order it measures, that nothing hangs it."""

import doctest
import gc
import importlib
import json
import math
import signal
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    harness = importlib.import_module("harness")
    peers = importlib.import_module("peers")
    report = importlib.import_module("report")
    sampling = importlib.import_module("sampling")
    shapes = importlib.import_module("shapes")
finally:
    sys.path.remove(str(BENCHMARKS))

# Time enough for whatever ends, on a machine that is busy; HASTY is for what does not.
QUICK = harness.Settings(repetitions=2, timeout=60, peers=True)
HASTY = harness.Settings(repetitions=2, timeout=0.3, peers=True)
PATIENT = harness.Settings(repetitions=2, timeout=3, peers=True)

FAKE = """
import json, sys, time

print(json.dumps({"ready": True, "version": "1.0"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    operation = request["operation"]
    if operation == "hang while preparing":
        time.sleep(60)
    if operation == "die":
        sys.exit("out of luck")
    if operation == "fail":
        print(json.dumps({"error": "ValueError: no"}), flush=True)
        continue
    print(json.dumps({"phase": "running"}), flush=True)
    if operation == "hang":
        time.sleep(60)
    print(json.dumps({"value": 0.5, "batch": 1, "preparation": 0.0}), flush=True)
"""


class FakePool:
    """A pool whose every worker is the fake one."""

    def __init__(self, script: Path) -> None:
        self.worker = peers.Worker([sys.executable, str(script)])

    def __getitem__(self, name: str) -> object:
        return self.worker

    def versions(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        self.worker.close()


@pytest.fixture
def pool(tmp_path):
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    pool = FakePool(script)
    yield pool
    pool.close()


def value(*numbers):
    """A side that returns these numbers, one a sample."""
    left = iter(numbers)
    return harness.Local(sampling.Operation(lambda: next(left)), kind="value")


def run_case(case, pool=None, settings=QUICK, budget=math.inf):
    return harness.run_case(case, settings, pool or peers.Pool(), harness.Clock(budget))


# -- numbers ---------------------------------------------------------------------------------


def test_geometric_mean():
    assert harness.geometric_mean([1, 4, 16]) == pytest.approx(4)
    assert harness.geometric_mean([1e-300] * 3 + [1e300] * 3) == pytest.approx(1)
    assert harness.geometric_mean([0, 5]) == 0


@pytest.mark.parametrize("numbers", [[], [1, -1]])
def test_no_geometric_mean(numbers):
    with pytest.raises(ValueError, match="no geometric mean"):
        harness.geometric_mean(numbers)


def test_self_ratio_compares_interleaved_halves():
    assert harness.self_ratio([2, 1, 2, 1]) == pytest.approx(2)
    assert harness.self_ratio([3, 3, 3]) == pytest.approx(1)
    assert harness.self_ratio([3]) is None
    assert harness.self_ratio([0, 0]) is None


def test_documented_examples():
    for module in (report, shapes):
        assert doctest.testmod(module).failed == 0


# -- one sample ------------------------------------------------------------------------------


@pytest.mark.parametrize("collect", [True, False])
def test_collector_is_the_same_for_all_and_restored(collect):
    seen = []
    sampling.measure(sampling.Operation(lambda: seen.append(gc.isenabled())), collect=collect)
    assert seen == [collect]
    assert gc.isenabled()


def test_fresh_inputs_for_every_run_outside_the_measurement():
    made = iter(range(10))
    used = []

    def prepare():
        time.sleep(0.02)
        return (next(made),)

    sample = sampling.measure(sampling.Operation(used.append, prepare), batch=3)
    assert used == [0, 1, 2]
    assert sample.value < 0.02
    assert sample.preparation >= 0.06


def test_short_runs_are_put_together():
    short = sampling.Measurement(value=1e-5)
    assert short.next_batch == 200
    assert sampling.Measurement(value=1e-5, preparation=0.1).next_batch == 2
    assert sampling.Measurement(value=1.0).next_batch == 1


def test_finishing_counts_and_wrong_results_do_not():
    slow = sampling.Operation(lambda: None, finish=lambda: time.sleep(0.01))
    assert sampling.measure(slow).value >= 0.01
    with pytest.raises(sampling.WrongResultError):
        sampling.measure(sampling.Operation(lambda: 3, check=lambda x: x == 4))


def test_computing_time_leaves_waiting_out():
    waiting = sampling.Operation(lambda: time.sleep(0.05))
    assert sampling.measure(waiting, "time").value >= 0.05
    assert sampling.measure(waiting, "cpu").value < 0.05
    working = harness.Local(sampling.Operation(lambda: sum(range(200_000))))
    settings = harness.Settings(repetitions=1, clock="cpu")
    assert run_case(harness.Case("work", working), settings=settings).metric == "cpu time"


def test_memory_and_counts():
    block = sampling.measure(sampling.Operation(lambda: bytearray(1_000_000)), "memory")
    assert 1_000_000 <= block.value < 1_100_000
    assert sampling.measure(sampling.Operation(lambda: 7), "value").value == 7


# -- one case --------------------------------------------------------------------------------


def test_interleaving():
    order = []

    def side(name):
        def run():
            order.append(name)
            time.sleep(0.003)

        return harness.Local(sampling.Operation(run))

    case = harness.Case("turns", side("ours"), {"a": side("a"), "b": side("b")}, repetitions=6)
    found = run_case(case)
    rounds = [order[k : k + 3] for k in range(0, len(order), 3)]
    assert rounds[0] == ["ours", "a", "b"]  # to warm up
    assert all(sorted(one) == ["a", "b", "ours"] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 2  # no side always follows the same one
    assert found.repetitions == {"ours": 6, "a": 6, "b": 6}


def test_warm_up_does_not_count():
    found = run_case(harness.Case("count", value(100, 2, 8), {"other": value(1, 3, 3)}))
    assert found.ours == pytest.approx(4)
    assert found.others["other"] == pytest.approx(3)
    assert found.self_ratio == pytest.approx({"ours": 1 / 4, "other": 1})


def test_values_are_per_something():
    side = harness.Local(sampling.Operation(lambda: 50), kind="value", per=10)
    assert run_case(harness.Case("each", side)).ours == pytest.approx(5)


def test_failure_of_one_side_leaves_the_others():
    broken = harness.Local(sampling.Operation(lambda: 1 / 0))
    found = run_case(harness.Case("half", value(1, 1, 1), {"broken": broken}))
    assert found.ours == 1
    assert found.errors == {"broken": "ZeroDivisionError: division by zero"}


def test_failure_later_on_is_told_too():
    found = run_case(harness.Case("some", value(1, 1)), settings=harness.Settings(repetitions=4))
    assert found.repetitions == {"ours": 1}
    assert "StopIteration" in found.errors["ours"]


def test_slow_local_side_is_cut_short():
    # An hour: were it not cut short, this test would not end.
    case = harness.Case("slow", harness.Local(sampling.Operation(lambda: time.sleep(3600))))
    found = run_case(case, settings=HASTY)
    assert found.ours is None
    assert found.errors == {"ours": "> 0.3 s"}


def test_no_time_left():
    found = run_case(harness.Case("late", value(1), {"other": value(1)}), budget=0)
    assert set(found.errors) == {"ours", "other"}


def test_little_time_means_fewer_repetitions():
    side = harness.Local(sampling.Operation(lambda: time.sleep(0.01)))
    settings = harness.Settings(repetitions=500)
    found = run_case(harness.Case("short", side), settings=settings, budget=2.0)
    assert 0 < found.repetitions["ours"] < 300


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_alarm_that_is_not_heard_rings_again():
    class Deaf:
        def __del__(self):  # Python drops what is raised here
            time.sleep(1)

    def endless():
        with harness.alarm(0.1):
            Deaf()
            time.sleep(3600)

    with pytest.raises(peers.TooSlowError):
        endless()
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


def test_alarm_leaves_other_alarms_as_they_were():
    before = signal.setitimer(signal.ITIMER_REAL, 100)
    with harness.alarm(10):
        pass
    left, _ = signal.setitimer(signal.ITIMER_REAL, *before)
    assert 90 < left <= 100


# -- workers ---------------------------------------------------------------------------------


def test_worker_answers_and_lives_on(pool):
    assert pool.worker.sample(peers.Request("anything"), 5).value == 0.5
    process = pool.worker._process
    assert pool.worker.sample(peers.Request("anything"), 5).value == 0.5
    assert pool.worker._process is process
    assert pool.worker.version == "1.0"


def test_hanging_worker_is_killed_and_starts_again(pool):
    with pytest.raises(peers.TooSlowError, match=r"> 0\.2 s"):
        pool.worker.sample(peers.Request("hang"), 0.2)
    assert pool.worker._process is None
    assert pool.worker.sample(peers.Request("anything"), 5).value == 0.5


def test_worker_that_hangs_dies_or_fails_says_so(pool):
    with pytest.raises(peers.PeerError, match="could not be prepared"):
        pool.worker.sample(peers.Request("hang while preparing"), 0.2)
    with pytest.raises(peers.PeerError, match="out of luck"):
        pool.worker.sample(peers.Request("die"), 5)
    with pytest.raises(peers.PeerError, match="ValueError: no"):
        pool.worker.sample(peers.Request("fail"), 5)


def test_hanging_peer_is_reported_as_a_lower_bound(pool):
    remote = harness.Remote("fake", "hang")
    targets = (harness.Target(1.0, "fake"), harness.Target(1e9, "fake"))
    case = harness.Case("hang", value(9, 9, 9), {"fake": remote}, targets=targets)
    found = run_case(case, pool, PATIENT)
    assert found.others == {"fake": 3}
    assert found.lower_bounds == ["fake"]
    # 9 s is more than 3 s, but the peer may take longer still: that target is undecided.
    assert [target["met"] for target in found.record()["targets"]] == [None, True]
    table = report.plain(report.Report([found], {}, quick=False, repetitions=2))
    assert "> 3 s" in table


def test_missing_interpreter_is_an_error_not_a_crash():
    worker = peers.Worker(["/nonexistent/python"])
    case = harness.Case("none", value(1, 1, 1), {"peer": harness.Remote("x", "y")})
    fake = type("P", (), {"__getitem__": lambda self, name: worker})()
    assert "peer" in run_case(case, fake).errors


def test_protocol_of_the_real_worker(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "import worker\n"
        "from sampling import Operation\n"
        "operations = {\n"
        "    'sum': lambda n: Operation(lambda: sum(range(n)), check=lambda s: s == 45),\n"
        "    'say': lambda: Operation(lambda: 1 / 0),\n"
        "}\n"
        "worker.serve(operations, '2.0', sys.stdin, sys.stdout)\n"
    )
    worker = peers.Worker([sys.executable, "-c", code])
    try:
        assert worker.sample(peers.Request("sum", {"n": 10}, batch=4), 5).batch == 4
        with pytest.raises(peers.PeerError, match="WrongResult"):
            worker.sample(peers.Request("sum", {"n": 3}), 5)
        with pytest.raises(peers.PeerError, match="ZeroDivisionError"):
            worker.sample(peers.Request("say"), 5)
    finally:
        worker.close()


# -- the command line ------------------------------------------------------------------------


def two_cases(settings):
    ours = harness.Local(sampling.Operation(lambda: 3), kind="value")
    other = harness.Local(sampling.Operation(lambda: 6), kind="value")
    return [
        harness.Case(
            "first", ours, {"other": other}, "count", "boxes", (harness.Target(0.5, "other"),)
        ),
        harness.Case("first and last", ours, metric="count", unit="boxes"),
    ]


def test_json_is_one_list_and_nothing_else(capsys):
    arguments = ["--json", "--no-peers", "--repetitions", "2"]
    assert harness.main("Test.", two_cases, arguments) == 0
    printed = capsys.readouterr()
    first, last = json.loads(printed.out)
    assert {k: first[k] for k in ("case", "metric", "unit", "ours", "others")} == {
        "case": "first",
        "metric": "count",
        "unit": "boxes",
        "ours": 3,
        "others": {"other": 6},
    }
    assert first["self_ratio"] == pytest.approx({"ours": 1, "other": 1})
    assert first["repetitions"] == {"ours": 2, "other": 2}
    assert first["targets"] == [{"at_most": 0.5, "to": "other", "met": True}]
    assert last["others"] == {}
    assert "[1/2] first" in printed.err


def test_table(capsys):
    assert harness.main("Test.", two_cases, ["--no-peers", "--quick", "--only", "first"]) == 0
    printed = capsys.readouterr()
    head, _, ours, other = printed.out.splitlines()[:4]
    assert head.split("  ")[0] == "case"
    assert "3 boxes" in ours
    assert "6 boxes" in other
    assert "≤ 0.5 ×: met" in other
    assert "Quick run: fewer repetitions" in printed.out
    assert "and last" not in printed.out


def test_defaults():
    options = harness.parser("Test.").parse_args([])
    full = harness.settings_from(options, have_peers=True)
    assert full.repetitions >= 8
    assert not full.collect
    options = harness.parser("Test.").parse_args(["--quick", "--repetitions", "5", "--gc"])
    quick = harness.settings_from(options, have_peers=False)
    assert (quick.repetitions, quick.quick, quick.collect, quick.peers) == (5, True, True, False)
    assert quick.budget + quick.timeout < 60


def test_only_chooses_by_name_or_part():
    chosen = two_cases(QUICK)
    assert [c.name for c in harness.select(chosen, ["first"])] == ["first"]
    assert [c.name for c in harness.select(chosen, ["last"])] == ["first and last"]
    assert len(harness.select(chosen, None)) == 2
    with pytest.raises(SystemExit, match="no case is called third"):
        harness.select(chosen, ["third"])


def test_without_peers_it_says_how_to_get_them(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("VESALIUS_PEERS", str(tmp_path))

    def cases(settings):
        assert not settings.peers
        return [harness.Case("alone", value(*range(1, 20)), {"x": harness.Remote("x", "y")})]

    assert harness.main("Test.", cases, ["--json", "--quick"]) == 0
    printed = capsys.readouterr()
    assert "make peers" in printed.err
    assert json.loads(printed.out)[0]["others"] == {}


def test_status_says_that_ours_failed(capsys):
    def cases(settings):
        return [harness.Case("broken", harness.Local(sampling.Operation(lambda: 1 / 0)))]

    assert harness.main("Test.", cases, ["--no-peers"]) == 1
    assert "Failed: broken (ours): ZeroDivisionError" in capsys.readouterr().out


def test_interruption_keeps_what_was_measured(capsys):
    def interrupt():
        raise KeyboardInterrupt

    def cases(settings):
        stop = harness.Local(sampling.Operation(interrupt))
        return [harness.Case("done", value(*range(1, 20))), harness.Case("stopped", stop)]

    harness.main("Test.", cases, ["--json", "--no-peers", "--quick"])
    printed = capsys.readouterr()
    assert [entry["case"] for entry in json.loads(printed.out)] == ["done"]
    assert "interrupted" in printed.err
