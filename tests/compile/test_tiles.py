"""Tile and skip: the same function as the reference, in linear memory, hidden columns skipped."""

import copy
import math
import pickle

import pytest
import torch
from watching import Watch

import vesalius as vs
from vesalius.compile.tiles import run
from vesalius.inspect.machine import peak_bytes

torch.set_num_threads(1)


@vs.diagram
def relu_squared(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    w = vs.power(vs.relu(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))), 2) + 0.01
    return vs.contract(w / vs.sum(w, "m"), v, over="m")


@vs.diagram
def numerator_and_denominator(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    w = vs.softplus(vs.contract(q, k, over="c"))
    return vs.contract(w, v, over="m") / vs.sum(w, "m")


@vs.diagram
def by_length(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    w = vs.power(vs.relu(vs.contract(q, k, over="c")), 2) / vs.size("m")
    return vs.contract(w, v, over="m")


@vs.diagram
def sigmoid_causal(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    seen = vs.iota("m:n") <= vs.iota("n")
    scores = vs.contract(q, k.rename(n="m"), over="c") / vs.sqrt(vs.size("c"))
    weights = vs.where(seen, vs.sigmoid(scores), 0.0)
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def softcap(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    seen = vs.iota("m:n") <= vs.iota("n")
    scores = 5 * vs.tanh(vs.contract(q, k.rename(n="m"), over="c") / 5)
    weights = vs.softmax(vs.where(seen, scores, -math.inf), over="m")
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def window_of_sigmoids(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
    i, j = vs.iota("n"), vs.iota("m:n")
    outside = (j > i) | (i - j >= 20)
    scores = vs.contract(q, k.rename(n="m"), over="c")
    weights = vs.sigmoid(vs.where(outside, -math.inf, scores))
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def additive(q: "b n a", k: "b m a", v: "b m e", w: "a") -> "b n e":
    scores = vs.contract(w, vs.tanh(q + k), over="a")
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def padded(q: "b h n c", k: "b h m c", v: "b h m e", real: "b m bool") -> "b h n e":
    scores = vs.abs(vs.contract(q, k, over="c"))
    weights = vs.softmax(vs.where(real, scores, -math.inf), over="m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def distances(q: "b h n c", k: "b h m c", v: "b h m e", slope: "h") -> "b h n e":
    gap = q + -1.0 * k
    return vs.contract(vs.exp(-slope * vs.contract(gap, gap, over="c")), v, over="m")


@vs.diagram
def grouped(q: "b g h n c", k: "b h m c", v: "b h m e") -> "b g h n e":
    w = vs.relu(vs.contract(q, k, over="c"))
    return vs.contract(w, v, over="m")


@vs.diagram
def sparse(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = vs.contract(q, k, over="c")
    excess = vs.relu(scores - vs.max(scores, "m") + 1)
    return vs.contract(excess / vs.sum(excess, "m"), v, over="m")


@vs.diagram
def add_up(total: "", x: "") -> {"total": "", "before": ""}:
    return {"total": total + x, "before": total}


@vs.diagram
def stick(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = vs.contract(q, k, over="c")
    none = vs.like(0.0, vs.sum(scores, "m"))
    rest = [-1.0 * vs.softplus(scores)]
    _, later = vs.scan(add_up, over="m", states=[none], sequences=rest, reverse=True)
    return vs.contract(vs.sigmoid(scores) * vs.exp(later), v, over="m")


@vs.diagram
def climb(level: "", step: "", z: "m") -> {"level": ""}:
    trial = level + step
    return {"level": vs.where(vs.sum(vs.relu(z - trial), "m") >= 1, trial, level)}


@vs.diagram
def above_a_level(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = vs.contract(q, k, over="c")
    z = scores - vs.max(scores, "m")
    steps = vs.constant([0.5, 0.25, 0.125, 0.0625], "t")
    none = vs.like(-1.0, vs.sum(z, "m"))
    (level,) = vs.scan(climb, over="t", states=[none], sequences=[steps], captured=[z])
    return vs.contract(vs.where(level < z, vs.exp(z), 0.0), v, over="m")


@vs.diagram
def some_reason(q: "b h n c", k: "b h m c", v: "b h m e", why: "b m u bool") -> "b h n e":
    shown = vs.any((vs.iota("n") <= vs.iota("m")) | why, "u")
    return vs.contract(vs.where(shown, vs.relu(vs.contract(q, k, over="c")), 0.0), v, over="m")


@vs.diagram
def largest_two(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    scores = vs.contract(q, k, over="c")
    largest, _ = vs.topk(vs.pad(scores, "m", after=2, value=-math.inf), "m", "t:2")
    weights = vs.where(vs.min(largest, "t") <= scores, vs.exp(vs.sin(scores)), 0.0)
    return vs.contract(weights, v, over="m")


MECHANISMS = [
    relu_squared,
    numerator_and_denominator,
    by_length,
    sigmoid_causal,
    softcap,
    window_of_sigmoids,
    additive,
    padded,
    distances,
    grouped,
    sparse,
    stick,
    above_a_level,
    some_reason,
    largest_two,
]
SIZES = [
    {"b": 1, "h": 1, "n": 1, "m": 1},
    {"b": 2, "h": 3, "n": 7, "m": 5},
    {"b": 1, "h": 2, "n": 70, "m": 33},
    {"b": 2, "h": 1, "n": 33, "m": 130},
    {"b": 0, "h": 2, "n": 4, "m": 4},
    {"b": 2, "h": 2, "n": 0, "m": 3},
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 2000)


def inputs_for(diagram, sizes, dtype=torch.float64, seed=0):
    sizes = {"c": 4, "e": 3, "a": 5, "g": 2, "u": 2, **sizes}
    generator = torch.Generator().manual_seed(seed)
    found = []
    for type_ in diagram.input_types.values():
        shape = [size.at(sizes) for size in type_.axes.values()]
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
        found.append(x > 0 if type_.dtype == "bool" else x.to(dtype))
    return found


def with_gradients(function, inputs):
    given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*given)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), torch.autograd.grad(y, [x for x in given if x.requires_grad], dy)


def close(one, other, tolerance):
    (y, grads), (z, wanted) = one, other
    torch.testing.assert_close(y, z, rtol=tolerance, atol=tolerance, equal_nan=True)
    for g, w in zip(grads, wanted, strict=True):
        torch.testing.assert_close(g, w, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("diagram", MECHANISMS, ids=lambda d: d.name)
def test_it_is_the_reference(diagram):
    module = vs.to_torch(diagram, dtype=torch.float64)
    assert "Tiles(" in module.source, module.explain()
    for seed, sizes in enumerate(SIZES):
        inputs = inputs_for(diagram, sizes, seed=seed)
        close(with_gradients(module, inputs), with_gradients(diagram.evaluate, inputs), 1e-9)


@pytest.mark.parametrize("diagram", [relu_squared, softcap, additive], ids=lambda d: d.name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_other_element_types(diagram, dtype, tolerance):
    inputs = inputs_for(diagram, SIZES[2], dtype)
    wide = [x.double() for x in inputs]
    y, grads = with_gradients(vs.to_torch(diagram, dtype=dtype), inputs)
    z, wanted = with_gradients(diagram.evaluate, wide)
    assert y.dtype == dtype
    for found, exact in zip([y, *grads], [z, *wanted], strict=True):
        assert (found.double() - exact).norm() <= tolerance * exact.norm()


def test_rows_that_see_nothing_are_zero():
    inputs = inputs_for(padded, SIZES[1])
    inputs[-1] = torch.zeros_like(inputs[-1])
    y, grads = with_gradients(vs.to_torch(padded, dtype=torch.float64), inputs)
    assert not y.any()
    assert not any(g.any() for g in grads)


def test_large_magnitudes():
    inputs = [100 * x for x in inputs_for(relu_squared, SIZES[1], torch.float32)]
    y = vs.to_torch(relu_squared)(*inputs)
    exact = relu_squared.evaluate(*[x.double() for x in inputs])
    torch.testing.assert_close(y.double(), exact, rtol=1e-4, atol=1e-4)


def test_arrays_that_are_not_contiguous():
    inputs = [x.mT.contiguous().mT.flip(2) for x in inputs_for(softcap, SIZES[2])]
    module = vs.to_torch(softcap, dtype=torch.float64)
    close(with_gradients(module, inputs), with_gradients(softcap.evaluate, inputs), 1e-9)


@pytest.mark.parametrize("diagram", [softcap, padded, grouped], ids=lambda d: d.name)
def test_gradcheck(diagram):
    module = vs.to_torch(diagram, dtype=torch.float64)
    sizes = {"b": 1, "h": 2, "n": 3, "m": 4, "c": 2, "e": 2}
    inputs = inputs_for(diagram, sizes)
    given = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    assert torch.autograd.gradcheck(module, given)


# -- memory and work ------------------------------------------------------------------------------


def watched(diagram, sizes, monkeypatch):
    """What is made while a module runs forward and back, inside its operator too."""
    calls = []

    def forward(key, inputs, learns):  # a dispatch mode does not look inside operators
        calls.append((run._KNOWN[key], inputs))
        return run.run(*calls[-1], learns)

    module = vs.to_torch(diagram, dtype=torch.float64)
    inputs = inputs_for(diagram, sizes)
    with monkeypatch.context() as patch, Watch() as seen:
        patch.setattr(run, "operator", forward)
        module(*inputs)
        ((tiles, given),) = calls
        y, *kept = run.run(tiles, given, learns=True)
        run.run_back(tiles, given, kept, [torch.ones_like(y)])
    assert y.shape[-2] == sizes["n"]
    return seen


@pytest.mark.parametrize("diagram", [relu_squared, softcap, additive], ids=lambda d: d.name)
def test_memory_is_linear(diagram, monkeypatch):
    seen = watched(diagram, {"b": 1, "h": 1, "n": 400, "m": 400}, monkeypatch)
    assert 0 < seen.largest < 400 * 400 / 4


def test_hidden_columns_are_skipped(monkeypatch):
    everything, causal, window = (
        watched(diagram, {"b": 1, "h": 2, "n": 512, "m": 512}, monkeypatch).work
        for diagram in (relu_squared, softcap, window_of_sigmoids)
    )
    assert 0 < causal < 0.55 * everything
    assert 0 < window < 0.15 * everything


@vs.diagram
def masked_in_the_middle(q: "n c", k: "n c", v: "n e") -> "n e":
    """A product with zeros, but then 1 is added: nothing is hidden."""
    seen = vs.iota("m:n") <= vs.iota("n")
    weights = vs.where(seen, vs.relu(vs.contract(q, k.rename(n="m"), over="c")), 0.0) + 1
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def shown_where_hidden(q: "n c", k: "n c", v: "n e") -> "n e":
    """Where the condition fails the scores are 0, which is not neutral for a softmax."""
    seen = vs.iota("m:n") <= vs.iota("n")
    scores = vs.where(seen, vs.abs(vs.contract(q, k.rename(n="m"), over="c")), 0.0)
    return vs.contract(vs.softmax(scores, over="m"), v.rename(n="m"), over="m")


@pytest.mark.parametrize(
    "diagram", [masked_in_the_middle, shown_where_hidden], ids=lambda d: d.name
)
def test_what_only_looks_like_a_mask_is_not_skipped(diagram):
    module = vs.to_torch(diagram, dtype=torch.float64)
    assert "seen=" not in module.source
    inputs = inputs_for(diagram, {"n": 90})
    close(with_gradients(module, inputs), with_gradients(diagram.evaluate, inputs), 1e-9)


# -- refusals -------------------------------------------------------------------------------------


def reasons(diagram):
    sizes = {
        name: size for name, size in {"d": 4, "f": 8}.items() if name in diagram.size_variables
    }
    return str(vs.to_torch(diagram, sizes=sizes).explain())


def test_weights_that_are_asked_for_are_made():
    @vs.diagram
    def both(q: "n c", k: "m c", v: "m e") -> ("n e", "n m"):
        weights = vs.sigmoid(vs.contract(q, k, over="c"))
        return vs.contract(weights, v, over="m"), weights

    assert "an array of n and m is read elsewhere" in reasons(both)


def test_a_normaliser_over_all_pairs_is_refused():
    @vs.diagram
    def plan(q: "n c", k: "m c", v: "m e") -> "n e":
        return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="n m"), v, over="m")

    assert "softmax acts along n, of which some are taken at a time" in reasons(plan)


def test_a_layer_of_a_network_is_no_region():
    @vs.diagram
    def mlp(x: "n d") -> "n d":
        return vs.linear(vs.gelu(vs.linear(x, "d", "f")), "f", "d")

    assert "Tiles(" not in vs.to_torch(mlp, sizes={"d": 4, "f": 8}).source


# -- as a module ----------------------------------------------------------------------------------


def test_copies_and_pickles():
    module = vs.to_torch(softcap, dtype=torch.float64)
    inputs = inputs_for(softcap, SIZES[1])
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(other(*inputs), module(*inputs))


def test_it_is_compiled_whole_and_exported():
    module = vs.to_torch(softcap)
    inputs = inputs_for(softcap, SIZES[1], torch.float32)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    close(with_gradients(compiled, inputs), with_gradients(module, inputs), 1e-6)
    program = torch.export.export(module, tuple(inputs))
    torch.testing.assert_close(program.module()(*inputs), module(*inputs))


# -- what is said otherwise because it is quick ---------------------------------------------------


def test_a_slope_reads_one_array_in_one_order():
    """y[i, j]·(1 − y[j, i]) is no slope, nor is y·(2 − y) or y·(1 + y)."""
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.sigmoid(x)

    def turned(y):
        return y.rename(i="k").rename(j="i").rename(k="j")

    for formula, wanted, slope in (
        (lambda y: y * (1 - y), y * (1 - y), True),
        (lambda y: (1 - y) * y, y * (1 - y), True),
        (lambda y: turned(y) * (1 - turned(y)), (y * (1 - y)).T, True),
        (lambda y: y * (1 - turned(y)), y * (1 - y.T), False),
        (lambda y: y * turned(1 - y), y * (1 - y.T), False),
        (lambda y: y * (2 - y), y * (2 - y), False),
        (lambda y: y * (1 + y), y * (1 + y), False),
    ):

        @vs.diagram
        def module(x: "i:r j:r") -> "i:r j:r":
            return formula(vs.sigmoid(x))  # noqa: B023

        made = vs.to_torch(module)
        assert ("addcmul" in made.source) == slope, made.source
        torch.testing.assert_close(made(x), wanted, rtol=1e-13, atol=1e-13)


def test_integers_alone_are_no_region():
    """Counting is exact and whole: a tile makes floats."""

    @vs.diagram
    def counted(i: "n c int", j: "m c int") -> "n int":
        return vs.contract(vs.remainder(vs.contract(i, j, over="c"), 3), vs.iota("m"), over="m")

    module = vs.to_torch(counted)
    assert "tiles" not in module.explain().kernels
    generator = torch.Generator().manual_seed(0)
    i, j = (torch.randint(5, (k, 2), generator=generator) for k in (4, 6))
    assert torch.equal(module(i, j), (i @ j.T % 3) @ torch.arange(6))


def test_rows_that_are_columns_elsewhere_are_no_region():
    """Σ_m A[n, m]·A[m, k]: weights that mix weights, so that a row is a column there."""

    @vs.diagram
    def twice(x: "n c", y: "n:n c") -> "n":
        shown = vs.iota("m:n") <= vs.iota("n")
        scores = vs.contract(x, y.rename(n="m"), over="c")
        once = vs.softmax(vs.where(shown, scores, float("-inf")), "m")
        again = vs.window(once, "m", "u v:1").rename(n="m")
        return vs.contract(once, again, over="m u v")

    module = vs.to_torch(twice, dtype=torch.float64)
    x, y = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x, y), twice.evaluate(x, y), rtol=1e-12, atol=1e-12)


def test_keys_times_values_are_made_first_inside_a_tile_too() -> None:
    """Of rows and columns that are channels, a product over long positions makes no pairs."""

    @vs.diagram
    def linear(q: "n c", k: "m c", v: "m e") -> "n e":
        return vs.contract(vs.exp(q), vs.contract(vs.exp(k), v, over="m"), over="c")

    module = vs.to_torch(linear, torch.float64)
    q, k, v = torch.randn(3, 1024, 8, dtype=torch.float64)
    torch.testing.assert_close(module(q, k, v), linear.evaluate(q, k, v))
    assert peak_bytes(lambda: module(q, k, v)) < 8 * 1024 * 1024 / 4


def test_a_table_is_read_in_a_part_of_the_heads():
    """So many rows and columns that not all heads are in one tile; their number is known."""

    @vs.diagram
    def attention(
        q: "h:8 n c:4", k: "h:8 m c:4", v: "h:8 m c:4", table: "h:8 n o:9"
    ) -> "h:8 n c:4":
        far = vs.remainder(vs.iota("m") + vs.iota("n"), 9)
        scores = vs.contract(q, k, over="c") + vs.gather(table, far, over="o")
        return vs.contract(vs.softmax(scores, "m"), v, over="m")

    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 700, 4)] * 3 + [(8, 700, 9)]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    module = vs.to_torch(attention, prefer=["tiles"])
    assert module.explain().kernels == ["tiles"]
    wanted = attention.evaluate(*(x.double() for x in inputs))
    torch.testing.assert_close(module(*inputs).double(), wanted, rtol=1e-5, atol=1e-5)


def test_a_table_as_long_as_the_keys_is_not_learned_in_tiles():
    """Backward would compare each pair with all of the table; a mask of all pairs is cheaper."""

    @vs.diagram
    def attention(q: "n c", k: "n c", v: "n c", table: "o:2*n") -> "n c":
        far = vs.iota("m:n") + vs.iota("n")
        scores = vs.contract(q, k.rename(n="m"), over="c") + vs.gather(table, far, over="o")
        return vs.contract(vs.softmax(scores, "m"), v.rename(n="m"), over="m")

    explanation = vs.to_torch(attention).explain()
    assert explanation.kernels == ["scaled_dot_product_attention"], str(explanation)
