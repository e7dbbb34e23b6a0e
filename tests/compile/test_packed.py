"""Several sequences packed into one axis: blocks of segments that do not meet are never computed.

A key is seen by a query of its own segment; the mask of all pairs is not made, whatever numbers
the segments have and in whatever order they stand.
"""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from watching import Watch

import vesalius as vs
from vesalius.compile.tiles import blocks, run

torch.set_num_threads(1)
NONE = -math.inf


def same(segment):
    return vs.equal(segment, segment.rename(n="m"))


def scores_of(q, k):
    return vs.contract(q, k.rename(n="m"), over="c") / vs.sqrt(vs.size("c"))


def mixed(weights, v):
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def packed(q: "b h n c", k: "b h n c", v: "b h n e", segment: "n int") -> "b h n e":
    scores = vs.where(same(segment), scores_of(q, k), NONE)
    return mixed(vs.softmax(scores, "m"), v)


@vs.diagram
def causal(q: "b h n c", k: "b h n c", v: "b h n e", segment: "b n int") -> "b h n e":
    shown = same(segment) & (vs.iota("m:n") <= vs.iota("n"))
    return mixed(vs.softmax(vs.where(shown, scores_of(q, k), NONE), "m"), v)


@vs.diagram
def window(q: "b h n c", k: "b h n c", v: "b h n e", segment: "n int") -> "b h n e":
    far = vs.abs(vs.iota("n") - vs.iota("m:n"))
    scores = vs.where(far < 5, vs.where(same(segment), scores_of(q, k), NONE), NONE)
    return mixed(vs.softmax(scores, "m"), v)


@vs.diagram
def sigmoids(q: "b h n c", k: "b h n c", v: "b h n e", segment: "b n int") -> "b h n e":
    return mixed(vs.where(same(segment), vs.sigmoid(scores_of(q, k)), 0.0), v)


@vs.diagram
def cross(
    q: "b h n c", k: "b h m c", v: "b h m e", of_query: "n int", of_key: "m int"
) -> "b h n e":
    scores = vs.where(vs.equal(of_query, of_key), vs.contract(q, k, over="c"), NONE)
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


PACKED = [packed, causal, window, sigmoids, cross]
MODULES = {diagram.name: vs.to_torch(diagram, dtype=torch.float64) for diagram in PACKED}


@pytest.fixture(autouse=True, scope="module")
def small_tiles():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "room", lambda device: 200)  # kernels are chosen as ever
        patch.setattr(run, "ROWS", 4)
        patch.setattr(blocks, "LEAST", 4)
        yield


def tensors(diagram, n, segments, seed=0, b=2, h=3):
    """Random arrays, and segments as integers, others in each batch and of keys."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"b": b, "h": h, "n": n, "m": n, "c": 2, "e": 3}
    made = []
    for type_ in diagram.input_types.values():
        shape = [size.at(sizes) for size in type_.axes.values()]
        if type_.dtype == "float":
            made.append(torch.randn(shape, dtype=torch.float64, generator=generator))
            continue
        of = segments.flip(0) if "m" in type_.axes else segments
        rolled = [of.roll(k) for k in range(max(b, 1))]
        made.append(torch.stack(rolled)[:b] if len(shape) > 1 else of)
    return made


def with_gradients(function, inputs):
    given_ = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*given_)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), *torch.autograd.grad(y, [x for x in given_ if x.requires_grad], dy)


def agree(function, other, inputs):
    for one, two in zip(
        with_gradients(function, inputs), with_gradients(other, inputs), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


ENDS = (-(2**63), 2**63 - 1, 2**53, 2**53 + 1, -1, 0, 1)
identifiers = st.one_of(st.integers(-3, 3), st.sampled_from(ENDS))


@pytest.mark.parametrize("diagram", PACKED, ids=lambda d: d.name)
@settings(max_examples=25)
@given(ids=st.lists(identifiers, min_size=1, max_size=40), order=st.booleans(),
       seed=st.integers(0, 99))  # fmt: skip
def test_it_is_the_reference_for_any_identifiers(diagram, ids, order, seed):
    segments = torch.tensor(sorted(ids) if order else ids)
    inputs = tensors(diagram, len(ids), segments, seed)
    agree(MODULES[diagram.name], diagram.evaluate, inputs)


@pytest.mark.parametrize("diagram", PACKED, ids=lambda d: d.name)
def test_nothing_to_attend(diagram):
    none = torch.zeros(0, dtype=torch.int64)
    agree(MODULES[diagram.name], diagram.evaluate, tensors(diagram, 0, none))
    agree(MODULES[diagram.name], diagram.evaluate, tensors(diagram, 3, torch.arange(3), b=0))


def test_gradcheck():
    inputs = tensors(causal, 9, torch.tensor([5, 5, 1, 1, 1, 5, 2, 2, 2]), h=1)
    wanted = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    assert torch.autograd.gradcheck(MODULES["causal"], wanted)


def test_a_query_of_a_segment_without_keys_is_zero():
    inputs = tensors(cross, 20, torch.arange(20))
    inputs[-1] = torch.full((20,), 50)
    y, *grads = with_gradients(MODULES["cross"], inputs)
    assert not y.any()
    assert not any(g.any() for g in grads)


# -- what is computed -----------------------------------------------------------------------------


def computed(diagram, inputs, monkeypatch):
    """How many pairs tiles compute, and the largest array forward and backward."""
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(
            run,
            "operator",
            lambda key, x, _: [calls.append((run._KNOWN[key], x)) or x[-1].clone()],
        )
        MODULES[diagram.name](*inputs)
    ((tiles, given_),) = calls
    with Watch() as seen:
        y, *kept = run.run(tiles, given_, learns=True)
        run.run_back(tiles, given_, kept, [torch.ones_like(y)])
    pairs = 0
    for place in run.places(tiles, given_):
        columns = place.columns
        width = len(columns) if isinstance(columns, torch.Tensor) else columns[1]
        pairs += place.rows[1] * width * math.prod(length for _, length in place.heads)
    return pairs, seen.largest


LAYOUTS = {
    "sorted": torch.arange(256) // 16,
    "falling": 15 - torch.arange(256) // 16,
    "in turns": torch.arange(256) // 16 % 4,
    "of different lengths": torch.bucketize(torch.arange(256), torch.tensor([3, 60, 64, 100])),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_blocks_of_other_segments_are_skipped(layout, monkeypatch):
    segments = LAYOUTS[layout]
    inputs = tensors(packed, 256, segments, b=1, h=1)
    pairs, largest = computed(packed, inputs, monkeypatch)
    least = int((segments[:, None] == segments).sum())
    assert least <= pairs <= 1.6 * least + 256 * 8
    assert largest < 256 * 256 / 8


def test_a_graph_that_is_replayed_skips_nothing(monkeypatch):
    inputs = tensors(packed, 256, LAYOUTS["sorted"], b=1, h=1)
    wanted = MODULES["packed"](*inputs)
    monkeypatch.setattr(run, "captured", lambda x: True)
    torch.testing.assert_close(MODULES["packed"](*inputs), wanted)
    assert computed(packed, inputs, monkeypatch)[0] == 256 * 256


def test_each_batch_skips_its_own(monkeypatch):
    inputs = tensors(causal, 256, LAYOUTS["sorted"], b=2, h=1)
    inputs[-1] = torch.stack([LAYOUTS["sorted"], torch.arange(256)])
    pairs, _ = computed(causal, inputs, monkeypatch)
    assert pairs <= 256 * (2 * 8 + 4) + 2 * 256 * 8


def test_keys_that_are_padding_are_skipped(monkeypatch):
    @vs.diagram
    def padded(q: "b h n c", k: "b h n c", v: "b h n e", real: "b n bool") -> "b h n e":
        weights = vs.relu(scores_of(q, k))
        return mixed(vs.where(real.rename(n="m"), weights, 0.0), v)

    MODULES["padded"] = vs.to_torch(padded, dtype=torch.float64)
    *arrays, _ = tensors(causal, 128, torch.arange(128), h=1)
    real = torch.arange(128) < torch.tensor([[128], [16]])
    pairs, _ = computed(padded, [*arrays, real], monkeypatch)
    assert pairs == 128 * (128 + 16)
    agree(MODULES["padded"], padded.evaluate, [*arrays, real])


# -- any mask is bounded from both sides ----------------------------------------------------------


def sides(draw):
    return draw(st.sampled_from(["n", "m", "i", "j", "i - n", "j - m", "n - m", "abs", "half"]))


def number(name, terms):
    n, m, i, j = terms
    return {
        "n": n, "m": m, "i": i, "j": j, "i - n": i - n, "j - m": j - m, "n - m": n - m,
        "abs": vs.abs(i - j), "half": vs.floor_divide(n, 4) * (m - 3),
    }[name]  # fmt: skip


@st.composite
def conditions(draw, depth=2):
    """Text of a condition on positions n, m and data i, j."""
    if depth and draw(st.booleans()):
        kind = draw(st.sampled_from(["and", "or", "not", "where"]))
        parts = {"not": 1, "where": 3}.get(kind, 2)
        return (kind, *(draw(conditions(depth - 1)) for _ in range(parts)))
    compared = draw(st.sampled_from(["less", "less_equal", "equal"]))
    return (compared, sides(draw), sides(draw), draw(st.integers(-3, 3)))


def written(tree, terms):
    kind, *rest = tree
    if kind in ("less", "less_equal", "equal"):
        left, right, by = rest
        compare = {"less": lambda x, y: x < y, "less_equal": lambda x, y: x <= y}
        return compare.get(kind, vs.equal)(number(left, terms), number(right, terms) + by)
    parts = [written(one, terms) for one in rest]
    if kind == "not":
        return vs.logical_not(parts[0])
    if kind == "where":
        return vs.where(*parts)
    return parts[0] & parts[1] if kind == "and" else parts[0] | parts[1]


@settings(max_examples=60)
@given(tree=conditions(), seed=st.integers(0, 2**20), hides=st.booleans())
def test_whatever_some_row_sees_is_computed(tree, seed, hides):
    builder = vs.Builder("masked")
    q, k = builder.input("q", "n c"), builder.input("k", "m c")
    i, j = builder.input("i", "n int"), builder.input("j", "m int")
    with builder:
        condition = written(tree, (vs.iota("n"), vs.iota("m"), i, j))
        weights = vs.contract(q, k, over="c")
        weights = vs.where(condition, *((0.0, weights) if hides else (weights, 0.0)))
        diagram = builder.diagram(vs.contract(weights, k, over="m"))
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 30, 2, dtype=torch.float64, generator=generator)
    i, j = torch.randint(-9, 40, (2, 30), generator=generator).sort().values
    module = vs.to_torch(diagram, dtype=torch.float64, prefer=["tiles"])
    torch.testing.assert_close(module(q, k, i, j), diagram.evaluate(q, k, i, j))


# -- spellings ------------------------------------------------------------------------------------


def spelled(build):
    @vs.diagram
    def spelled(q: "b h n c", k: "b h n c", v: "b h n e", segment: "n int") -> "b h n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return build(q, k, v, segment, segment.rename(n="m"))

    return spelled


def plain(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


def attend(scores, v):
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def exponentials(q, k, v, s, t):
    weights = vs.where(vs.equal(s, t), vs.exp(plain(q, k)), 0.0)
    return vs.contract(weights, v, over="m") / vs.sum(weights, "m")


SPELLINGS = {
    "where": lambda q, k, v, s, t: attend(vs.where(vs.equal(s, t), plain(q, k), NONE), v),
    "turned": lambda q, k, v, s, t: attend(
        vs.where(vs.logical_not(vs.equal(t, s)), NONE, plain(k, q)), v),
    "difference": lambda q, k, v, s, t: attend(
        vs.where(vs.equal(s - t, 0), plain(q, k), NONE), v),
    "distance": lambda q, k, v, s, t: attend(
        vs.where(vs.abs(t - s) < 1, plain(q, k), NONE), v),
    "two sides": lambda q, k, v, s, t: attend(
        vs.where((s <= t) & (t <= s), plain(q, k), NONE), v),
    "added": lambda q, k, v, s, t: attend(
        plain(q, k) + vs.where(vs.equal(s, t), 0.0, NONE), v),
    "exponentials": exponentials,
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_served_by_tiles(spelling):
    diagram = spelled(SPELLINGS[spelling])
    renamed = diagram.rename(n="zeta", c="tau")
    segments = torch.tensor([3, 3, 3, 9, 9, -2, -2, 3, 3, 9])
    inputs = tensors(packed, 10, segments)
    for one in (diagram, renamed, diagram.fold("box").unfold()):
        module = vs.to_torch(one, dtype=torch.float64)
        assert module.explain().kernels == ["tiles"]
        assert "what the mask hides is skipped" in str(module.explain())
    agree(vs.to_torch(diagram, dtype=torch.float64), packed.evaluate, inputs)


def test_a_mask_that_is_given_stays_with_the_fused_kernel():
    @vs.diagram
    def masked(q: "n c", k: "m c", v: "m e", shown: "n m bool") -> "n e":
        return attend(vs.where(shown, plain(q, k), NONE), v)

    assert vs.to_torch(masked).explain().kernels == ["scaled_dot_product_attention"]


@pytest.mark.parametrize(
    "drop", [lambda kept, x: vs.where(kept, x, 0.0), lambda kept, x: x * vs.to_float(kept) / 0.9]
)
def test_dropout_on_weights_is_refused(drop):
    def build(q, k, v, s, t):
        weights = vs.softmax(vs.where(vs.equal(s, t), plain(q, k), NONE), "m")
        kept = vs.random(weights.type) < 0.9
        return vs.contract(drop(kept, weights), v, over="m")

    reasons = str(vs.to_torch(spelled(build)).explain())
    assert "not tiles: it draws random numbers for each pair" in reasons
    assert "not scaled_dot_product_attention: its weights are multiplied by random draws" in reasons


# -- packed and padded ----------------------------------------------------------------------------


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_packed_sequences_are_the_padded_batch(lengths, seed):
    @vs.diagram
    def padded(q: "b h n c", k: "b h n c", v: "b h n e", real: "b n bool") -> "b h n e":
        shown = real.rename(n="m") & (vs.iota("m:n") <= vs.iota("n"))
        return mixed(vs.softmax(vs.where(shown, scores_of(q, k), NONE), "m"), v)

    generator = torch.Generator().manual_seed(seed)
    longest, total = max(lengths), sum(lengths)
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]
    segments = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    arrays = torch.randn(3, 1, 2, total, 2, dtype=torch.float64, generator=generator)
    in_batch = torch.zeros(3, 2, len(lengths), longest, 2, dtype=torch.float64)
    in_batch[:, :, real] = arrays[:, 0]
    q, k, v = in_batch.transpose(1, 2)
    found = MODULES["causal"](*arrays, segments[None])
    expected = padded.evaluate(q, k, v, real).transpose(0, 1)[:, real]
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)


# -- as a module ----------------------------------------------------------------------------------


def test_copies_export_and_compile():
    module, inputs = MODULES["causal"], tensors(causal, 12, torch.arange(12) // 5)
    wanted = module(*inputs)
    torch.testing.assert_close(copy.deepcopy(module)(*inputs), wanted)
    program = torch.export.export(module, tuple(inputs))
    torch.testing.assert_close(program.module()(*inputs), wanted)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    agree(compiled, module, inputs)
