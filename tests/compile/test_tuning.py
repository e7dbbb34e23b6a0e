"""`to_torch(…, tune=…)`: rivals are timed on request, what was found is kept, and told."""

import copy
import json
import pickle
import subprocess
import sys

import pytest
import torch

import vesalius as vs
from vesalius.compile import tune
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target
from vesalius.compile.normalise import normalise
from vesalius.compile.tune import WRITTEN, Timings, digest_of
from vesalius.testing import alpha_variant

SDPA = "scaled_dot_product_attention"
SIZES = {"b": 1, "h": 2, "n": 6, "m": 7, "c": 4, "e": 3}


@vs.diagram
def attention(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), "m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def block(x: "b n d") -> "b n d":
    for layer in range(2):
        q = vs.linear(x, "d", "h c", name=f"wq{layer}")
        k = vs.linear(x, "d", "h c", name=f"wk{layer}").rename(n="m")
        v = vs.linear(x, "d", "h e", name=f"wv{layer}").rename(n="m")
        mixed = attention(q, k, v)
        x = x + vs.linear(mixed, "h e", "d", name=f"wo{layer}")
    return x


@vs.diagram
def causal_mean(q: "b h n c", k: "b h n c", v: "b h n e", keep: "n bool") -> "b h n e":
    """A numerator and a denominator, which share their weights."""
    k, v, keep = k.rename(n="m"), v.rename(n="m"), keep.rename(n="m")
    shown = (vs.iota("m:n") <= vs.iota("n")) & keep
    weights = vs.where(shown, vs.contract(vs.exp(q), vs.exp(k), over="c"), 0.0)
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + 1.0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VESALIUS_CACHE", str(tmp_path))
    monkeypatch.setattr(tune, "BUDGET", 0.0)
    return tmp_path


@pytest.fixture
def runs(monkeypatch):
    """What is timed, instead of a clock: a kernel takes as long as `pretended` says."""
    pretended, seen = {}, []
    real = tune._timed

    def timed(part, offers, target, gradients):
        found = real(part, offers, target, gradients)  # all of them run
        assert all(x is None or x > 0 for x in found.values())
        seen.append(set(found))
        return {name: pretended.get(name, 1.0) for name in found}

    monkeypatch.setattr(tune, "_timed", timed)
    return pretended, seen


def compiled(diagram, sizes=SIZES, **options):
    known = {name: sizes[name] for name in diagram.size_variables}
    return vs.to_torch(diagram, tune=known, **options)


@pytest.mark.parametrize("best", [SDPA, "tiles", WRITTEN])
def test_what_took_least_is_taken_and_agrees(best, cache, runs) -> None:
    pretended, seen = runs
    pretended[best] = 0.5
    module = compiled(attention)
    assert module.explain().kernels == [best] * (best != WRITTEN)
    assert seen == [{WRITTEN, SDPA, "tiles"}]
    text = str(module.explain())
    assert text.count("500 ms measured") == 1
    assert text.count("1 s measured") == (2 if best == WRITTEN else 1)
    assert text.count(" expected, ") == text.count(" measured")
    inputs = [torch.randn(1, 2, 9, 4) for _ in range(3)]  # shapes are free
    torch.testing.assert_close(module(*inputs), attention.evaluate(*inputs).float())


def test_rivals_that_share_their_weights(cache, runs) -> None:
    pretended, _ = runs
    keep = torch.tensor([True, False, True, True, True])
    inputs = [torch.randn(1, 2, 5, 4) for _ in range(3)]
    for name in ("tiles", "chunked", WRITTEN):
        pretended.clear()
        pretended[name] = 0.5
        module = compiled(causal_mean, {**SIZES, "n": len(runs[1]) + 5})
        expected = causal_mean.evaluate(*inputs, keep).float()
        torch.testing.assert_close(module(*inputs, keep), expected)
        kernels = module.explain().kernels
        assert set(kernels) <= {name, "cumulative_sum"}
        assert bool(kernels) == (name != WRITTEN)


def test_equal_parts_are_timed_once_and_kept_for_other_processes(cache, runs) -> None:
    _, seen = runs
    sizes = {"b": 1, "n": 5, "m": 5, "d": 6, "h": 2, "c": 3, "e": 3}
    parameters = {"d": 6, "h": 2, "c": 3, "e": 3}
    module = vs.to_torch(block, sizes=parameters, tune={"b": 1, "n": 5})
    assert module.explain().kernels.count(SDPA) in (0, 2)
    count = len(seen)
    assert sum(SDPA in one for one in seen) == 1
    compiled(attention, {**sizes, "m": 5})
    assert len(seen) == count  # the same part, alone
    compiled(attention, {**sizes, "m": 5}, dtype=torch.float64)
    assert len(seen) == count + 1
    compiled(attention, {**sizes, "m": 6})
    assert len(seen) == count + 2
    with torch.no_grad():
        compiled(attention, {**sizes, "m": 5})
    assert len(seen) == count + 3


def test_a_part_is_known_by_its_structure() -> None:
    whole = normalise(attention.unfold())
    lengths = dict(zip(whole.size_variables, range(2, 9), strict=False))
    wanted = digest_of(whole, Target(sizes=lengths))
    alike = Target(sizes=dict.fromkeys(whole.size_variables, 5))
    for seed in range(5):
        other = normalise(alpha_variant(attention.fold("part"), seed).unfold())
        others = Target(sizes=dict.fromkeys(other.size_variables, 5))
        assert digest_of(other, others) == digest_of(whole, alike) != wanted
    for name in whole.size_variables:
        assert digest_of(whole, Target(sizes={**lengths, name: 99})) != wanted

    def changed(scores):
        @vs.diagram
        def other(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
            return vs.contract(vs.softmax(scores(vs.contract(q, k, over="c")), "m"), v, over="m")

        return digest_of(normalise(other), Target(sizes=lengths))

    assert changed(vs.tanh) != changed(vs.sigmoid)
    assert changed(lambda s: s * 2) != changed(lambda s: s * 3)
    program = (
        "import vesalius as vs; from tests.compile.test_tuning import *; "
        f"print(digest_of(normalise(attention.unfold()), Target(sizes={lengths})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == wanted


def test_damaged_and_older_files_are_timed_anew(cache, runs) -> None:
    _, seen = runs
    compiled(attention)
    (path,) = cache.iterdir()
    entry = json.loads(path.read_text())
    for value in ({}, [], {**entry["value"], "tiles": "x"}, {WRITTEN: 1.0, SDPA: 1.0}):
        path.write_text(json.dumps({**entry, "value": value}))
        before = len(seen)
        assert compiled(attention).explain() == compiled(attention).explain()
        assert len(seen) == before + 1
    path.write_text("{")
    compiled(attention)
    assert len(seen) == before + 2


def test_a_kernel_that_fails_is_told_and_not_taken(cache, monkeypatch) -> None:
    def fails(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", fails)
    module = compiled(attention)
    assert SDPA not in module.explain().kernels
    assert f"not {SDPA}: " in str(module.explain())
    assert "it fails" in str(module.explain())


def test_what_is_too_large_as_it_is_written_is_not_run(cache, runs, monkeypatch) -> None:
    monkeypatch.setattr(tune, "LARGEST", 100)
    monkeypatch.setattr(tune, "_run", lambda diagram, *_: lambda: ran.append(diagram))
    ran = []
    found = Timings(gradients=True)
    target = Target(sizes=SIZES, timed=found)
    chosen(attention, target)
    assert all(any(n.box.kind.name == "named" for n in one.nodes) for one in ran)
    assert ran


def test_preference_and_refusal_hold(cache, runs) -> None:
    pretended, seen = runs
    pretended[SDPA] = 0.1
    assert compiled(attention, prefer="tiles").explain().kernels == ["tiles"]
    assert seen == []
    assert SDPA not in compiled(attention, forbid=SDPA).explain().kernels
    assert seen == [{WRITTEN, "tiles"}]


def test_copies_and_pickles_keep_the_choice_and_time_nothing(cache, runs) -> None:
    pretended, seen = runs
    pretended["tiles"] = 0.1
    module = compiled(attention)
    for one in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert one.explain() == module.explain()
    pretended.clear()
    for path in cache.iterdir():
        path.unlink()
    other = pickle.loads(pickle.dumps(module))
    assert other.explain().kernels == ["tiles"]
    module.tap("weights")(*(torch.randn(1, 2, 4, 4) for _ in range(3)))
    assert len(seen) == 1
    assert list(cache.iterdir()) == []


def test_all_lengths_are_needed() -> None:
    with pytest.raises(vs.SizeError, match=r"how long m, e are .* pass tune=\{'m': \.\.\., 'e'"):
        vs.to_torch(attention, sizes={"b": 1, "h": 2}, tune={"n": 3, "c": 4})
    with pytest.raises(vs.SizeError, match="a length to tune at is positive: 'n' is 0"):
        vs.to_torch(attention, tune={**SIZES, "n": 0})
    with pytest.raises(vs.SizeError, match="'n' is 5, and cannot be tuned at 6"):
        vs.to_torch(attention, sizes={"n": 5}, tune=SIZES)
    with pytest.raises(vs.StructureError, match=r"lengths as \{'n': 4096\}, not 4096"):
        vs.to_torch(attention, tune=4096)


PROCESS = """
import torch
import vesalius as vs
from tests.compile.test_tuning import SIZES, attention
torch.set_num_threads(1)
module = vs.to_torch(attention, tune=SIZES)
x = [torch.randn(1, 2, 5, 4) for _ in range(3)]
torch.testing.assert_close(module(*x), attention.evaluate(*x).float())
assert str(module.explain()).count("measured") == 2 + (not module.explain().kernels)
"""


def test_two_processes_tune_at_once(cache) -> None:
    command = [sys.executable, "-c", PROCESS]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [one.communicate(timeout=300)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], errors
    (path,) = cache.iterdir()
    assert json.loads(path.read_text())["value"].keys() == {WRITTEN, SDPA, "tiles"}
