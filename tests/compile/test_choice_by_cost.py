"""Kernels are chosen by what they are expected to take: model, constants, where it flips."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile import calibrate, machine, offers, store
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import KERNELS, Found, Place, Target
from vesalius.compile.nominal import nominal
from vesalius.compile.normalise import normalise
from vesalius.compile.offers import Market
from vesalius.compile.roofline import USUAL, Machine, Work, predicted, seconds
from vesalius.testing import alpha_variant, diagrams

SDPA = "scaled_dot_product_attention"
PLAIN = Machine(1e9, 1e9, 1e9, 1e9, 1e9, bandwidth=1e9, fresh=1e9, call=0.0, cache=0)


@vs.diagram
def attention(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), "m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def linear(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return vs.contract(vs.contract(q, k, over="c"), v, over="m")


@vs.diagram
def causal_linear(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    k, v = k.rename(n="m"), v.rename(n="m")
    weights = vs.where(vs.iota("m:n") <= vs.iota("n"), vs.contract(q, k, over="c"), 0.0)
    return vs.contract(weights, v, over="m")


def window(width):
    @vs.diagram
    def window(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        far = vs.iota("n") - vs.iota("m:n")
        scores = vs.where((far > -width) & (far < width), vs.contract(q, k, over="c"), -torch.inf)
        return vs.contract(vs.softmax(scores, "m"), v, over="m")

    return window


def squared(q, k, v):
    weights = vs.power(vs.relu(vs.contract(q, k, over="c")), 2)
    return vs.contract(weights, v, over="m")


@vs.diagram
def relu_squared(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return squared(q, k, v)


def sizes(**others):
    return {"b": 2, "h": 8, "n": 1024, "m": 1024, "c": 64, "e": 64, **others}


def taken(diagram, **target):
    known = {name: sizes(**target)[name] for name in diagram.size_variables}
    return chosen(diagram, Target(sizes=known)).choices.kernels


# -- the model ------------------------------------------------------------------------------------


def test_a_roof_of_operations_and_bytes() -> None:
    assert seconds(Work(products=2e9, simple=1e9, exponentials=1e9), PLAIN) == 4.0
    assert seconds(Work(products=2e9, moved=5e9), PLAIN) == 5.0
    assert seconds(Work(products=2e9, moved=5e9), PLAIN._replace(cache=10**10)) == 2.0
    assert seconds(Work(products=2e9, fresh=1e9), PLAIN) == 3.0
    assert seconds(Work(calls=3, times=5), PLAIN._replace(call=1.0)) == 15.0
    assert seconds(Work(simple=1e9), PLAIN, "float64") == 2.0
    fast = PLAIN._replace(half=4e9)
    assert [seconds(Work(products=4e9), fast, d) for d in ("bfloat16", "float32")] == [1.0, 4.0]


@given(diagrams(), st.data())
def test_more_of_anything_never_takes_less(diagram, data) -> None:
    whole = normalise(diagram.unfold())
    names = sorted(whole.size_variables)
    length = st.integers(1, 3000)
    here = {name: data.draw(length, name) for name in names}
    more = {name: here[name] + data.draw(st.integers(0, 3000), name) for name in names}
    few, many = (predicted(whole, Target(sizes=known)) for known in (here, more))
    assert few is not None
    assert 0 <= few <= many


@pytest.mark.parametrize("diagram", [attention, linear, causal_linear, window(64), relu_squared])
@given(data=st.data())
def test_every_kernel_takes_longer_where_there_is_more(diagram, data) -> None:
    names = ("b", "h", "n", "m", "c", "e")
    here = {name: data.draw(st.integers(1, 12), name) * 64 for name in names}
    more = {name: here[name] * 2 for name in names}
    kernels = [SDPA, "tiles", "chunked", "product_order"]
    for name in kernels:
        found = []
        for known in (here, more):
            others = tuple(one for one in kernels if one != name)
            target = Target(sizes=known, prefer=(name,), forbid=others)
            found.append([c.seconds for c in chosen(diagram, target).choices if c.kernel == name])
        assert [len(one) for one in found] in ([0, 0], [1, 1])
        assert sum(found[0]) <= sum(found[1])


@given(st.integers(0, 1000))
def test_what_is_expected_hangs_on_no_name(seed) -> None:
    for diagram in (attention, causal_linear, relu_squared):
        (choice,) = chosen(diagram).choices
        variant = alpha_variant(diagram.fold("part"), seed)
        (other,) = chosen(variant).choices
        assert (other.kernel, other.seconds) == (choice.kernel, pytest.approx(choice.seconds))


def test_usual_lengths_follow_what_an_axis_is_for() -> None:
    @vs.diagram
    def block(x: "batch time width") -> "batch time width":
        q = vs.linear(x, "width", "head key", name="wq")
        k = vs.linear(x, "width", "head key", name="wk").rename(time="past")
        v = vs.linear(x, "width", "head key", name="wv").rename(time="past")
        weights = vs.softmax(vs.contract(q, k, over="key"), "past")
        mixed = vs.contract(weights, v, over="past")
        return vs.linear(mixed, "head key", "width", name="wo")

    lengths = nominal(normalise(block.unfold()))
    assert lengths["batch"] < lengths["width"] < lengths["time"]
    assert nominal(block, "cuda")["time"] > lengths["time"]
    grouped = nominal(normalise(attention.unfold()))
    assert grouped == {"b": 8, "h": 8, "n": 1024, "m": 1024, "c": 64, "e": 64}


# -- where the choice flips -----------------------------------------------------------------------


def test_a_mask_that_hides_most_is_skipped_and_one_that_hides_little_is_not() -> None:
    assert taken(window(64), n=4096) == ["tiles"]
    assert taken(window(1024), n=1024) != ["tiles"]


@vs.diagram
def biased(q: "b h n c", k: "b h m c", v: "b h m e", table: "h o:9") -> "b h n e":
    far = vs.minimum(vs.maximum(vs.iota("m") - vs.iota("n"), -4), 4) + 4
    scores = vs.contract(q, k, over="c") + vs.gather(table, far, over="o")
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def test_a_bias_of_all_pairs_is_not_made_for_a_little_time(monkeypatch) -> None:
    """A fused kernel makes 64 MiB of weights to learn the bias of 32 MiB; tiles need neither."""
    known = {name: sizes()[name] for name in biased.size_variables}
    found = chosen(biased, Target(sizes=known)).choices
    assert found.kernels == ["tiles"]
    assert "with an array of 64 MiB" in str(found)
    assert str(found).count("array") == 1
    few = {**known, "n": 64, "m": 64}
    assert chosen(biased, Target(sizes=few)).choices.kernels != ["tiles"]
    monkeypatch.setattr(offers, "LONGER", 1.1)
    assert SDPA in chosen(biased, Target(sizes=known)).choices.kernels


@pytest.mark.parametrize("shape", ["h n m", "h", ""])
@pytest.mark.parametrize("source", ["input", "parameter", "buffer"])
def test_a_bias_that_is_learned_is_not_left_to_what_makes_all_weights(shape, source) -> None:
    """The fused kernel takes no gradient of a bias on a CPU; one of all pairs that is given, or is
    made of nothing that learns, is a mask.
    """
    builder = vs.Builder("biased")
    axes = {"q": "b h n c", "k": "b h m c", "v": "b h m e"}
    q, k, v = (builder.input(name, text) for name, text in axes.items())
    with builder:
        if source == "input":
            given = builder.input("given", shape)
        else:
            given = vs.parameter("given", shape, trainable=source == "parameter")
        far = vs.to_float(vs.abs(vs.iota("n") - vs.iota("m")))
        scores = vs.contract(q, k, over="c") + (given if shape == "h n m" else given * far)
        diagram = builder.diagram(out=vs.contract(vs.softmax(scores, "m"), v, over="m"))
    learned = source != "buffer" and shape != "h n m"
    found = chosen(diagram, Target(sizes=sizes(b=8))).choices
    assert found.kernels == (["tiles"] if learned else [SDPA])
    assert ("with an array of 256 MiB" in str(found)) == (source == "parameter" or learned)
    assert "256 MiB" not in str(chosen(diagram, Target("cuda", sizes=sizes(b=8))).choices)


def test_what_was_preferred_may_make_large_arrays() -> None:
    known = {name: sizes()[name] for name in biased.size_variables}
    assert SDPA in chosen(biased, Target(sizes=known, prefer=(SDPA,))).choices.kernels


def test_the_order_of_products_follows_the_lengths() -> None:
    assert taken(linear, n=1024, m=1024, c=32) == ["product_order"]
    assert taken(linear, n=8, m=8, c=512, e=512) == []


def test_a_state_pays_for_long_inputs_alone() -> None:
    assert taken(causal_linear, n=4096) == ["chunked"]
    assert taken(causal_linear, n=16) == []


def test_few_pairs_are_made_as_they_are_written() -> None:
    assert taken(relu_squared, n=2048, m=2048) == ["tiles"]
    assert taken(relu_squared, n=4, m=4) == []  # they are no larger than the values
    few = chosen(relu_squared, Target(sizes=sizes(b=1, h=1, n=16, m=16, c=4, e=4))).choices
    assert few.kernels == []
    assert "as it is written" in str(few)
    assert "not tiles: " in str(few)


def test_what_is_unknown_is_not_taken_to_be_short() -> None:
    known = {"b": 1, "h": 1, "c": 4, "e": 4}
    assert chosen(relu_squared, Target(sizes=known)).choices.kernels == ["tiles"]


def test_what_makes_nothing_large_is_left_as_it_is_written() -> None:
    """Linear attention by its state: no kernel is better, at lengths that nobody knows, too."""
    diagram = vs.anatomy.CATALOGUE["linear"]()
    assert chosen(diagram).choices.kernels == []
    assert "as it is written" in str(chosen(diagram).choices)


OPERATIONS = Machine(1e9, 1e9, 1e9, 1e9, 1e9, bandwidth=1e30, fresh=1e30, call=0.0, cache=0)


@pytest.mark.parametrize("name", vs.anatomy.names())
def test_no_mechanism_gets_work_that_grows_faster_than_its_own(name) -> None:
    """Chunks take up to three times the operations of a loop, and as many times at any length."""
    entry = vs.anatomy.CATALOGUE[name]
    for options in ({}, {"causal": True}) if "causal" in entry.options else ({},):
        diagram = entry(**options)
        whole = normalise(diagram.unfold())
        usual = nominal(whole)
        served = chosen(diagram).diagram
        times = []
        for factor in (1, 1024):
            long = {name: n if n < 1024 else n * factor for name, n in usual.items()}
            target = Target(sizes=long, machine=OPERATIONS)
            written, taken = predicted(whole, target), predicted(served, target)
            assert written is not None
            assert taken is not None
            times.append(taken / written if written else 0.0)
        assert times[1] <= 1.05 * times[0]
        assert times[0] < 3


def test_the_choice_follows_the_machine() -> None:
    """Where calls cost a second each, and nothing else does, the fewest calls are best."""
    known = sizes(n=4096, m=4096)
    slow = Machine(1e30, 1e30, 1e30, 1e30, 1e30, 1e30, 1e30, 1.0, 0)
    for one, kernels in ((USUAL["cpu"], ["tiles"]), (slow, [SDPA])):
        target = Target(sizes=known, machine=one)
        assert chosen(window(64), target).choices.kernels == kernels


def test_preferred_kernels_are_taken_whatever_they_take() -> None:
    target = Target(sizes=sizes(n=4, m=4), prefer=("tiles",))
    assert chosen(relu_squared, target).choices.kernels == ["tiles"]
    assert chosen(attention, target).choices.kernels == ["tiles"]


@given(st.data())
def test_no_rival_is_clearly_faster_than_what_is_taken(data) -> None:
    diagram = data.draw(st.sampled_from([attention, linear, window(100), relu_squared]))
    names = ("b", "h", "n", "m", "c", "e")
    known = {name: 2 ** data.draw(st.integers(0, 12), name) for name in names}
    target = Target(sizes=known)
    whole = normalise(diagram.unfold())
    market = Market(whole, target)
    for node in whole.boxes:
        for one in KERNELS.values():
            if node.box.kind.name in one.roots:
                found = one.found(Place(whole, node, target))
                if isinstance(found, Found):
                    market.offers.append(market.offer(node, one, found))
    for one in market.taken():
        assert all(one.offer.rivals(other) for other, _ in one.rivals)
        assert all(one.time.expected * 0.75 <= time.expected for _, time in one.rivals)


# -- what is kept of a machine --------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VESALIUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_calibration_is_kept_and_used(cache, monkeypatch) -> None:
    assert Target().machine == USUAL["cpu"]
    monkeypatch.setattr(machine, "TURNS", 2)
    monkeypatch.setattr(machine, "REPETITIONS", 1)
    found = calibrate()
    assert all(0 < rate < float("inf") for rate in found)
    assert Target().machine == found
    assert Target("cuda").machine == USUAL["cuda"]
    torch.set_num_threads(2)
    try:
        assert Target().machine == USUAL["cpu"]  # it holds for as many threads
    finally:
        torch.set_num_threads(1)
    (path,) = cache.iterdir()
    for damage in ("", "{", "[]", json.dumps({"key": None, "value": {}})):
        path.write_text(damage)
        assert Target().machine == USUAL["cpu"]
    for value in (
        {"call": 1.0},
        {**found._asdict(), "simple": 0},
        {**found._asdict(), "call": "x"},
    ):
        store.write("machine", machine.key("cpu"), value)
        assert Target().machine == USUAL["cpu"]


def test_nothing_is_measured_or_written_unasked(cache) -> None:
    vs.to_torch(attention)(*torch.ones(3, 1, 1, 2, 2))
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VESALIUS_CACHE", str(tmp_path / "file"))
    assert not store.write("fact", 1, 2)
    assert store.read("fact", 1) is None


WRITER = """
import sys
from vesalius.compile import store
for k in range(300):
    store.write("fact", "key", [int(sys.argv[1])] * 2000)
    found = store.read("fact", "key")
    assert len(found) == 2000 and len(set(found)) == 1, found
"""


def test_several_processes_write_and_read_at_once(cache) -> None:
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, str(k)], stderr=subprocess.PIPE) for k in range(3)]
    assert [one.communicate(timeout=120)[1] for one in writers] == [b""] * 3
    assert len(list(cache.iterdir())) == 1  # nothing is left over
    assert store.read("fact", "another") is None
