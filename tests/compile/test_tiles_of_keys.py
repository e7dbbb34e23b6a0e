"""Queries that compete for each key: some keys at a time, whose shares of the sums are added up."""

import math

import pytest
import torch
from watching import Watch

import vesalius as vs
from vesalius.compile.tiles import run

torch.set_num_threads(1)
NONE = -math.inf


def scaled(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


@vs.diagram
def competing(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return vs.contract(vs.softmax(scaled(q, k), over="n"), v, over="m")


@vs.diagram
def slots(q: "b n c", k: "b m c", v: "b m e") -> "b n e":
    weights = vs.softmax(scaled(q, k), over="n") + 1e-8
    return vs.contract(weights / vs.sum(weights, "m"), v, over="m")


@vs.diagram
def own_normaliser(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    """Squares over the sum over the queries, and their sum over the keys."""
    squares = vs.power(vs.relu(scaled(q, k)), 2)
    weights = squares / (vs.sum(squares, "n") + 0.1)
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + 1)


@vs.diagram
def by_hand(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = scaled(q, k)
    weights = vs.exp(scores - vs.max(scores, "n"))
    return vs.contract(weights / vs.sum(weights, "n"), v, over="m")


@vs.diagram
def shared_keys(q: "b g h n c", k: "b h m c", v: "b h m e", own: "g h m") -> "b g h n e":
    weights = vs.softmax(scaled(q, k) * vs.sigmoid(own), over="n")
    return vs.contract(weights, v, over="m") / (vs.sum(weights * weights, "m") + 1)


@vs.diagram
def one_sum_without_heads(q: "b n c", k: "b m c", v: "b h m e") -> "b h n e":
    """The sum of the weights has no heads, the other one has."""
    weights = vs.softmax(scaled(q, k), over="n")
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + 1)


@vs.diagram
def causal(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    seen = vs.iota("m:n") <= vs.iota("n")
    scores = scaled(q, k.rename(n="m"))
    weights = vs.softmax(vs.where(seen, scores, NONE), over="n")
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def window(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    i, j = vs.iota("n"), vs.iota("m:n")
    outside = (j > i) | (i - j >= 20)
    weights = vs.softmax(vs.where(outside, NONE, scaled(q, k.rename(n="m"))), over="n")
    values = v.rename(n="m")
    return vs.contract(weights, values, over="m") / (1e-6 + vs.sum(weights, "m"))


@vs.diagram
def padded(
    q: "b h n c", k: "b h m c", v: "b h m e", real: "b m bool", asks: "b n bool"
) -> "b h n e":
    """Neither all keys are real nor all queries ask."""
    weights = vs.softmax(vs.where(real & asks, scaled(q, k), NONE), over="n")
    return vs.contract(weights, v, over="m")


@vs.diagram
def biased(q: "h n c", k: "h n c", v: "h n e", table: "h o:2*n") -> "h n e":
    far = vs.iota("m:n") + vs.iota("n")
    scores = scaled(q, k.rename(n="m")) + vs.gather(table, far, over="o")
    return vs.contract(vs.softmax(scores, over="n"), v.rename(n="m"), over="m")


@vs.diagram
def by_distance(q: "h n c", k: "h n c", v: "h n e", slope: "h") -> "h n e":
    far = vs.abs(vs.to_float(vs.iota("m:n") - vs.iota("n")))
    scores = scaled(q, k.rename(n="m")) + vs.sin(slope * far)
    return vs.contract(vs.softmax(scores, over="n"), v.rename(n="m"), over="m")


MECHANISMS = [
    competing,
    slots,
    own_normaliser,
    by_hand,
    shared_keys,
    one_sum_without_heads,
    causal,
    window,
    padded,
    biased,
    by_distance,
]
SIZES = [
    {"b": 1, "h": 1, "n": 1, "m": 1},
    {"b": 2, "h": 3, "n": 7, "m": 5},
    {"b": 1, "h": 2, "n": 70, "m": 33},
    {"b": 2, "h": 1, "n": 33, "m": 130},
    {"b": 0, "h": 2, "n": 4, "m": 4},
    {"b": 2, "h": 2, "n": 3, "m": 0},
    {"b": 2, "h": 2, "n": 0, "m": 3},
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 1000)


def inputs_for(diagram, sizes, dtype=torch.float64, seed=0):
    sizes = {"c": 4, "e": 3, "g": 2, **sizes}
    generator = torch.Generator().manual_seed(seed)
    found = []
    for type_ in diagram.input_types.values():
        shape = [size.at(sizes) for size in type_.axes.values()]
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
        found.append(x > 0 if type_.dtype == "bool" else x.to(dtype))
    return found


def compiled(diagram, dtype=torch.float64):
    module = vs.to_torch(diagram, dtype=dtype, prefer=["tiles"])
    assert "some keys at a time" in str(module.explain())
    assert "rows_out=(None," in module.source
    return module


def with_gradients(function, inputs):
    given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*given)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return [y.detach(), *torch.autograd.grad(y, [x for x in given if x.requires_grad], dy)]


@pytest.mark.parametrize("diagram", MECHANISMS, ids=lambda d: d.name)
def test_it_is_the_reference(diagram):
    module = compiled(diagram)
    for seed, sizes in enumerate(SIZES):
        inputs = inputs_for(diagram, sizes, seed=seed)
        if diagram is by_hand and not inputs[0].numel():
            continue  # no scores have no largest
        if diagram is slots and not inputs[1].shape[1]:
            continue  # the sum by which weights are divided is 0
        wanted = with_gradients(diagram.evaluate, inputs)
        for found, exact in zip(with_gradients(module, inputs), wanted, strict=True):
            torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("diagram", [slots, causal, own_normaliser], ids=lambda d: d.name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_other_element_types(diagram, dtype, tolerance):
    inputs = inputs_for(diagram, SIZES[2], dtype)
    found = with_gradients(compiled(diagram, dtype), inputs)
    wanted = with_gradients(diagram.evaluate, [x.double() for x in inputs])
    for one, exact in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        assert (one.double() - exact).norm() <= tolerance * exact.norm()


def test_shares_of_many_tiles_are_added_in_float32():
    """In bfloat16 a sum of a thousand ones stays at 256."""
    inputs = inputs_for(competing, {"b": 1, "h": 1, "n": 100, "m": 1000}, torch.bfloat16)
    inputs[2] = torch.ones_like(inputs[2])
    inputs[0] = torch.zeros_like(inputs[0])
    y = compiled(competing, torch.bfloat16)(*inputs)
    torch.testing.assert_close(y.float(), torch.full_like(y, 10).float(), rtol=1e-2, atol=0)


@pytest.mark.parametrize("hidden", [3, 4], ids=["keys", "queries"])
def test_what_is_hidden_from_all_adds_nothing(hidden):
    inputs = inputs_for(padded, SIZES[1])
    inputs[hidden] = torch.zeros_like(inputs[hidden])
    assert not any(x.any() for x in with_gradients(compiled(padded), inputs))


@pytest.mark.parametrize("diagram", [competing, slots, causal], ids=lambda d: d.name)
def test_large_magnitudes(diagram):
    inputs = [100 * x for x in inputs_for(diagram, SIZES[1], torch.float32)]
    y = compiled(diagram, torch.float32)(*inputs)
    exact = diagram.evaluate(*[x.double() for x in inputs])
    torch.testing.assert_close(y.double(), exact, rtol=1e-3, atol=1e-3)


def test_arrays_that_are_not_contiguous():
    inputs = [x.mT.contiguous().mT.flip(1) for x in inputs_for(slots, SIZES[2])]
    wanted = with_gradients(slots.evaluate, inputs)
    for found, exact in zip(with_gradients(compiled(slots), inputs), wanted, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


SMALL = {"b": 1, "h": 2, "n": 3, "m": 4, "c": 2, "e": 2}


@pytest.mark.parametrize("diagram", [slots, causal, padded, shared_keys], ids=lambda d: d.name)
def test_gradcheck(diagram, monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 8)
    inputs = inputs_for(diagram, SMALL)
    given = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    assert torch.autograd.gradcheck(compiled(diagram), given)


def test_all_other_derivatives():
    """In forward mode, again, and of each example: of two sums, and of one of them alone."""
    module, inputs = compiled(slots), inputs_for(slots, {**SMALL, "n": 2, "m": 3})
    given = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(module, given, check_forward_ad=True, check_backward_ad=False)
    assert torch.autograd.gradgradcheck(module, given)
    two = [torch.stack([x, 2 * x]) for x in inputs]
    wanted = torch.stack([module(*(x[k] for x in two)) for k in range(2)])
    torch.testing.assert_close(torch.func.vmap(module)(*two), wanted)


def test_it_is_compiled_whole_and_exported():
    module, inputs = compiled(slots, torch.float32), inputs_for(slots, SIZES[2], torch.float32)
    whole = torch.compile(module, fullgraph=True, backend="aot_eager")
    wanted = with_gradients(module, inputs)
    for one, other in zip(with_gradients(whole, inputs), wanted, strict=True):
        torch.testing.assert_close(one, other)
    program = torch.export.export(module, tuple(inputs))
    torch.testing.assert_close(program.module()(*inputs), module(*inputs))


# -- memory and work ------------------------------------------------------------------------------


def watched(diagram, sizes, monkeypatch):
    """What is made while a module runs forward and back, inside its operator too."""
    calls = []

    def forward(key, given, learns):  # a dispatch mode does not look inside operators
        calls.append((run._KNOWN[key], given))
        return run.run(*calls[-1], learns)

    module, inputs = compiled(diagram), inputs_for(diagram, sizes)
    with monkeypatch.context() as patch, Watch() as seen:
        patch.setattr(run, "operator", forward)
        module(*inputs)
        ((tiles, given),) = calls
        made = run.run(tiles, given, learns=True)
        sums, kept = made[: tiles.results], made[tiles.results :]
        run.run_back(tiles, given, kept, [torch.ones_like(x) for x in sums])
    return seen


@pytest.mark.parametrize("diagram", [competing, slots, own_normaliser], ids=lambda d: d.name)
def test_memory_is_linear(diagram, monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 8000)
    seen = watched(diagram, {"b": 1, "h": 1, "n": 400, "m": 400}, monkeypatch)
    assert 0 < seen.largest < 400 * 400 / 8


def test_queries_that_the_mask_hides_from_the_keys_are_skipped(monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 8000)
    sizes = {"b": 1, "h": 2, "n": 512, "m": 512}
    everything, half, part = (
        watched(diagram, sizes, monkeypatch).work for diagram in (competing, causal, window)
    )
    assert 0 < half < 0.6 * everything
    assert 0 < part < 0.2 * everything


def test_what_each_key_adds_everywhere_is_not_skipped():
    """A small number is added to hidden weights as to all others."""

    @vs.diagram
    def never_zero(q: "n c", k: "n c", v: "n e") -> "n e":
        seen = vs.iota("m:n") <= vs.iota("n")
        scores = vs.where(seen, scaled(q, k.rename(n="m")), NONE)
        weights = vs.softmax(scores, over="n") + 0.1
        return vs.contract(weights, v.rename(n="m"), over="m")

    module = compiled(never_zero)
    assert "seen=" not in module.source
    assert "seen=" in compiled(causal).source
    inputs = inputs_for(never_zero, {"n": 90})
    wanted = never_zero.evaluate(*inputs)
    torch.testing.assert_close(module(*inputs), wanted, rtol=1e-9, atol=1e-9)


# -- refusals -------------------------------------------------------------------------------------


def test_a_sum_over_the_keys_that_makes_weights_is_refused():
    """Twice normalised: what the first sums give is read by the second, all pairs in between."""

    @vs.diagram
    def twice(q: "n c", k: "m c", v: "m e") -> "n e":
        weights = vs.softmax(vs.contract(q, k, over="c"), over="n")
        weights = vs.softmax(weights / vs.sum(weights, "m"), over="n")
        return vs.contract(weights, v, over="m")

    module = vs.to_torch(twice, dtype=torch.float64)
    assert "Tiles(" not in module.source
    assert "softmax acts along n, of which some" in str(module.explain())
    inputs = inputs_for(twice, {"n": 9, "m": 7})
    torch.testing.assert_close(module(*inputs), twice.evaluate(*inputs), rtol=1e-9, atol=1e-9)


def test_weights_that_are_asked_for_are_made():
    @vs.diagram
    def both(q: "n c", k: "m c", v: "m e") -> ("n e", "n m"):
        weights = vs.softmax(vs.contract(q, k, over="c"), over="n")
        return vs.contract(weights, v, over="m"), weights

    assert "Tiles(" not in vs.to_torch(both).source
