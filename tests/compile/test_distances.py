"""Scores that hang on distances: read from tables along one axis, in linear memory."""

import math

import pytest
import torch
from watching import Watch

import vesalius as vs
from vesalius.compile import helpers
from vesalius.compile.kernels.relative_shift import BACK, SHIFT
from vesalius.compile.tiles import run
from vesalius.inspect.machine import peak_bytes

torch.set_num_threads(1)


def attention(bias, *, normaliser=lambda s: vs.softmax(s, "m"), shown=None, dot=True):
    """What mixes values by scores plus a bias that is written in the positions n and m."""

    def mix(q, k, v, *extra):
        i, j = vs.iota("n"), vs.iota(f"m:{k.axes['m']}")
        scores = vs.contract(q, k, over="c") if dot else 0.0
        scores = scores + bias(q, k, i, j, *extra)
        if shown is not None:
            scores = vs.where(shown(i, j), scores, -math.inf)
        return vs.contract(normaliser(scores), v, over="m")

    return mix


def clip(x, width):
    return vs.minimum(vs.maximum(x, -width), width) + width


@vs.diagram
def clipped(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:9 h") -> "b h n e":
    return attention(lambda q, k, i, j: vs.gather(table, clip(j - i, 4), over="o"))(q, k, v)


@vs.diagram
def buckets(q: "b h n c", k: "b h m c", v: "b h m e", table: "h o:8") -> "b h n e":
    """Exact up to 2, then logarithmic, with a bucket for each sign: a table turned around."""

    def bias(q, k, i, j):
        far = vs.abs(i - j)
        passed = vs.sum(vs.to_int(vs.constant([3, 6], "o") <= far), "o")
        signed = vs.minimum(vs.minimum(far, 2) + passed, 3) + vs.to_int(i < j) * 4
        return vs.gather(table, signed, over="o")

    return attention(bias)(q, k, v)


@vs.diagram
def without_heads(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:7") -> "b h n e":
    far = lambda q, k, i, j: vs.relu(vs.gather(table, clip(i - j, 3), over="o")) * 2.0  # noqa: E731
    return attention(far, normaliser=vs.sigmoid)(q, k, v)


@vs.diagram
def slopes(q: "b h n c", k: "b h m c", v: "b h m e", slope: "h") -> "b h n e":
    return attention(lambda q, k, i, j: -slope * vs.to_float(vs.abs(i - j)))(q, k, v)


@vs.diagram
def shaw(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:7 c") -> "b h n e":
    """Σ_c q·(k + R): the sum stands inside."""
    i, j = vs.iota("n"), vs.iota(f"m:{k.axes['m']}")
    keys = k + vs.gather(table, clip(j - i, 3), over="o")
    scores = vs.contract(q, keys, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


@vs.diagram
def shaw_by_reads(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:7 c") -> "b h n e":
    """The same by products with the table, read at the distance."""
    reads = lambda q, k, i, j: vs.gather(  # noqa: E731
        vs.contract(q, table, over="c"), clip(j - i, 3), over="o"
    )
    return attention(reads)(q, k, v)


@vs.diagram
def own_table(q: "b h n c", k: "b h m c", v: "b h m e", table: "n o:7") -> "b h n e":
    """A table of each query's own, which is no product."""
    return attention(lambda q, k, i, j: vs.gather(table, clip(j - i, 3), over="o"))(q, k, v)


@vs.diagram
def transformer_xl(
    q: "b h n c", k: "b h n c", v: "b h n e", r: "o:2*n-1 h c", u: "h c", w: "h c"
) -> "b h n e":
    k, v = k.rename(n="m"), v.rename(n="m")
    at = vs.iota("n") - vs.iota("m:n") + (vs.size("n") - 1)
    reads = vs.gather(vs.contract(q + w, r, over="c"), at, over="o")
    scores = (vs.contract(q + u, k, over="c") + reads) / vs.sqrt(vs.size("c"))
    shown = vs.iota("m:n") <= vs.iota("n")
    return vs.contract(vs.softmax(vs.where(shown, scores, -math.inf), "m"), v, over="m")


@vs.diagram
def window(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:9 h") -> "b h n e":
    shown = lambda i, j: (i - j < 4) & (j - i < 4)  # noqa: E731
    bias = lambda q, k, i, j: vs.gather(table, clip(j - i, 4), over="o")  # noqa: E731
    return attention(bias, shown=shown)(q, k, v)


@vs.diagram
def of_the_past(q: "b h n c", k: "b h n c", v: "b h n e", table: "h n") -> "b h n e":
    """A table as long as the input; what hides the future also keeps the places inside of it."""
    far = vs.iota("n") - vs.iota("m:n")
    bias = vs.gather(table.rename(n="o"), vs.where(far >= 0, far, 0), over="o")
    scores = vs.contract(q, k.rename(n="m"), over="c") + bias
    weights = vs.softmax(vs.where(far >= 0, scores, -math.inf), "m")
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def padded(q: "b h n c", k: "b h m c", v: "b h m e", table: "o:9 h", real: "b m bool") -> "b h n e":
    i, j = vs.iota("n"), vs.iota("m")
    scores = vs.contract(q, k, over="c") + vs.gather(table, clip(j - i, 4), over="o")
    weights = vs.softmax(vs.where(real, scores, -math.inf), "m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def decayed(q: "b h n c", k: "b h m c", v: "b h m e", rate: "h") -> "b h n e":
    """Weights by distance times weights by content, not normalised."""
    far = vs.to_float(vs.abs(vs.iota("n") - vs.iota("m")))
    weights = vs.relu(vs.contract(q, k, over="c")) * vs.exp(-vs.abs(rate) * far)
    return vs.contract(weights, v, over="m")


MECHANISMS = [
    clipped,
    buckets,
    without_heads,
    slopes,
    shaw,
    shaw_by_reads,
    own_table,
    transformer_xl,
    window,
    of_the_past,
    padded,
    decayed,
]
SIZES = [
    {"b": 1, "h": 1, "n": 1, "m": 1},
    {"b": 2, "h": 3, "n": 7, "m": 5},
    {"b": 1, "h": 2, "n": 1, "m": 9},
    {"b": 1, "h": 2, "n": 70, "m": 1},
    {"b": 1, "h": 2, "n": 83, "m": 33},
    {"b": 2, "h": 1, "n": 33, "m": 130},
    {"b": 0, "h": 2, "n": 4, "m": 4},
    {"b": 2, "h": 2, "n": 0, "m": 3},
]
by_name = pytest.mark.parametrize("diagram", MECHANISMS, ids=lambda d: d.name)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 2000)


def inputs_for(diagram, sizes, dtype=torch.float64, seed=0):
    sizes = {"c": 4, "e": 3, **sizes}
    generator = torch.Generator().manual_seed(seed)
    found = []
    for type_ in diagram.input_types.values():
        shape = [max(size.at(sizes), 0) for size in type_.axes.values()]
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
        found.append(x > 0 if type_.dtype == "bool" else x.to(dtype))
    return found


def with_gradients(function, inputs):
    given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*given)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), torch.autograd.grad(y, [x for x in given if x.requires_grad], dy)


def compiled(diagram, **options):
    module = vs.to_torch(diagram, prefer=["tiles"], **{"dtype": torch.float64, **options})
    assert "distances along one axis" in str(module.explain()), module.explain()
    assert "shifted(" in module.source
    assert "shifted_back(" in module.source
    return module


@by_name
def test_it_is_the_reference(diagram):
    module = compiled(diagram)
    for seed, sizes in enumerate(SIZES):
        if diagram is transformer_xl and sizes["n"] == 0:
            continue  # a table of −1 places
        inputs = inputs_for(diagram, sizes, seed=seed)
        (y, grads), (z, wanted) = (with_gradients(f, inputs) for f in (module, diagram.evaluate))
        torch.testing.assert_close(y, z, rtol=1e-9, atol=1e-9, equal_nan=True)
        for g, w in zip(grads, wanted, strict=True):
            torch.testing.assert_close(g, w, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("diagram", [clipped, shaw, slopes], ids=lambda d: d.name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_other_element_types(diagram, dtype, tolerance):
    inputs = inputs_for(diagram, SIZES[4], dtype)
    y, grads = with_gradients(compiled(diagram, dtype=dtype), inputs)
    z, wanted = with_gradients(diagram.evaluate, [x.double() for x in inputs])
    assert y.dtype == dtype
    for found, exact in zip([y, *grads], [z, *wanted], strict=True):
        assert (found.double() - exact).norm() <= tolerance * exact.norm()


def test_rows_that_see_nothing_are_zero():
    inputs = inputs_for(padded, SIZES[1])
    inputs[-1] = torch.zeros_like(inputs[-1])
    y, grads = with_gradients(compiled(padded), inputs)
    assert not y.any()
    assert not any(g.any() for g in grads)


@pytest.mark.parametrize("diagram", [clipped, shaw, transformer_xl], ids=lambda d: d.name)
def test_gradcheck(diagram):
    sizes = {"b": 1, "h": 2, "n": 3, "m": 4, "c": 2, "e": 2}
    inputs = inputs_for(diagram, sizes)
    assert torch.autograd.gradcheck(compiled(diagram), [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("diagram", [clipped, shaw], ids=lambda d: d.name)
def test_compiled_whole_and_exported(diagram):
    module = compiled(diagram, dtype=torch.float32)
    inputs = inputs_for(diagram, SIZES[4], torch.float32)
    wanted = module(*inputs)
    whole = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    torch.testing.assert_close(whole(*inputs), wanted)
    exported = torch.export.export(module, tuple(inputs)).module()
    torch.testing.assert_close(exported(*inputs), wanted, rtol=1e-5, atol=1e-5)


def test_what_overflows_where_it_is_hidden_has_a_gradient():
    """exp(−rate·distance) of what comes later, which a causal mask hides."""

    @vs.diagram
    def retention(q: "n c", k: "n c", v: "n e", rate: "") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        far = vs.iota("n") - vs.iota("m:n")
        weights = vs.tanh(vs.contract(q, k, over="c")) * vs.exp(-rate * vs.to_float(far))
        return vs.contract(vs.where(far >= 0, weights, 0.0), v, over="m")

    module = vs.to_torch(retention, prefer=["tiles"])
    assert module.explain().kernels == ["tiles"]
    inputs = inputs_for(retention, {"n": 1000}, torch.float32)
    inputs[-1] = torch.tensor(0.5)
    y, grads = with_gradients(module, inputs)
    assert all(x.isfinite().all() for x in (y, *grads))


@by_name
def test_no_array_is_of_all_pairs(diagram, monkeypatch):
    """Nor in the tiles, nor around them, forward and back."""
    calls = []

    def forward(key, inputs, learns):  # a dispatch mode does not look inside operators
        calls.append((run._KNOWN[key], inputs))
        return run.run(*calls[-1], learns)

    module = compiled(diagram)
    inputs = inputs_for(diagram, {"b": 1, "h": 1, "n": 400, "m": 400})
    with monkeypatch.context() as patch, Watch() as seen:
        patch.setattr(run, "operator", forward)
        module(*inputs)
        ((tiles, given),) = calls
        y, *kept = run.run(tiles, given, learns=True)
        run.run_back(tiles, given, kept, [torch.ones_like(y)])
    assert 0 < seen.largest < 400 * 400 / 4


def test_few_columns_make_no_long_distances(monkeypatch):
    """A tile makes rows × distances: there are no more rows than columns, but for some."""
    heights = []
    shared = run._distances

    def noted(rows, columns, n):
        heights.append(rows[1])
        return shared(rows, columns, n)

    monkeypatch.setattr(run, "_distances", noted)
    compiled(clipped)(*inputs_for(clipped, {"b": 1, "h": 1, "n": 300, "m": 3}))
    assert max(heights) == 64


@pytest.mark.parametrize("diagram", [clipped, shaw], ids=lambda d: d.name)
def test_peak_memory_grows_with_the_length(diagram):
    module = compiled(diagram, dtype=torch.float32)

    def peak(n):
        inputs = inputs_for(diagram, {"b": 1, "h": 2, "n": n, "m": n}, torch.float32)
        return peak_bytes(lambda: with_gradients(module, inputs))

    peak(8)
    short, long = peak(512), peak(2048)
    assert long < 5 * short  # four times the length; sixteen times the pairs
    assert long < 4 * 2048 * 2048


def test_what_a_window_hides_is_skipped(monkeypatch):
    """Columns of a tile are in a row, and no more than a window sees."""
    widths = []
    shared = run._distances

    def noted(rows, columns, n):
        widths.append(columns[1])
        return shared(rows, columns, n)

    monkeypatch.setattr(run, "_distances", noted)
    compiled(window)(*inputs_for(window, {"b": 1, "h": 1, "n": 640, "m": 640}))
    assert max(widths) <= 64 + 3 * 32


def test_a_mask_with_gaps_is_read_in_a_row():
    """Columns between those that are seen are computed: distances have no gaps."""

    @vs.diagram
    def gaps(q: "n c", k: "n c", v: "n e", table: "o:9") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        i, j = vs.iota("n"), vs.iota("m:n")
        scores = vs.contract(q, k, over="c") + vs.gather(table, clip(j - i, 4), over="o")
        shown = (j < 8) | (j >= 360)
        weights = vs.softmax(vs.where(shown, scores, -math.inf), "m")
        return vs.contract(weights, v, over="m")

    inputs = inputs_for(gaps, {"n": 400})
    torch.testing.assert_close(compiled(gaps)(*inputs), gaps.evaluate(*inputs))


# -- the shift itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("m", [0, 1, 2, 5])
def test_the_shift_is_what_its_box_says(n, m):
    if n + m == 0:
        return
    x = torch.randn(2, n, n + m - 1, dtype=torch.float64)
    y = torch.randn(2, n, m, dtype=torch.float64)
    shifted, back = helpers.shifted(x), helpers.shifted_back(y)
    assert shifted.shape == y.shape
    assert back.shape == x.shape
    for i in range(n):
        for j in range(m):
            assert torch.equal(shifted[:, i, j], x[:, i, j - i + n - 1])
    torch.testing.assert_close((shifted * y).sum(), (x * back).sum())
    if n and m:
        over = [SHIFT.definition(variant).over("t") for variant in ("", BACK)]
        torch.testing.assert_close(over[0].evaluate(x), shifted)
        torch.testing.assert_close(over[1].evaluate(y), back)
    repeated = x[:, :1].expand(-1, n, -1)  # one table for all rows
    with torch.no_grad():
        assert torch.equal(helpers.shifted(repeated), helpers.shifted(repeated.contiguous()))


def test_a_table_that_all_pairs_read_needs_no_index():
    """Outside of tiles too, and its gradient needs none."""

    @vs.diagram
    def pairs(table: "h o:2*n-1", x: "n h") -> "h n m:n":
        at = vs.iota("m:n") - vs.iota("n") + (vs.size("n") - 1)
        return vs.gather(table, at, over="o") + x

    module = vs.to_torch(pairs, dtype=torch.float64)
    assert module.explain().kernels == ["relative_shift"]
    assert "index" not in module.source
    inputs = [torch.randn(2, 9, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)]
    (y, grads), (z, wanted) = (with_gradients(f, inputs) for f in (module, pairs.evaluate))
    torch.testing.assert_close(y, z)
    torch.testing.assert_close(grads, wanted)
