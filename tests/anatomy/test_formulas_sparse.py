"""Sparse masks and other normalisers against loops over the papers' formulas."""

import pytest
import sinkhorn_transcription
import sparse_transcriptions as paper
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs

lengths = st.integers(1, 6)
sizes = st.integers(1, 4)
seeds = st.integers(0, 2**31)
masks = st.fixed_dictionaries({"causal": st.booleans(), "padding": st.booleans()})


def arrays(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def agrees(name, mask, n, m, seed, sizes=None, parameters=None, words=()):
    """The mechanism on random q, k, v is its transcription, which is handed sizes as `words`."""
    q, k, v = arrays(seed, (n, 3), (m, 3), (m, 2))
    keep = arrays(seed + 1, (m,))[0] > -1 if mask["padding"] else None
    diagram = vs.anatomy[name](**mask, **(sizes or {}))
    given_ = [q, k, v] if keep is None else [q, k, v, keep]
    ours = diagram.evaluate(*given_, parameters=parameters or {})
    theirs = getattr(paper, name)(
        *(x.tolist() for x in (q, k, v)),
        *(x.tolist() for x in (parameters or {}).values()),
        *words,
        causal=mask["causal"],
        keep=None if keep is None else keep.tolist(),
    )
    torch.testing.assert_close(
        ours, torch.tensor(theirs, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


@given(lengths, lengths, sizes, masks, seeds)
def test_sliding_window(n, m, width, mask, seed):
    agrees("sliding_window", mask, n, m, seed, {"window": width}, words=[width])


@given(st.integers(1, 9), sizes, masks, seeds)
def test_a_window_in_blocks_is_the_window(n, width, mask, seed):
    agrees(
        "sliding_window", {**mask, "blocked": True}, n, n, seed, {"window": width}, words=[width]
    )


def test_a_window_in_blocks_costs_what_it_sees():
    """Linear in the positions, where a mask costs all pairs."""
    blocked, whole = (vs.anatomy["sliding_window"](blocked=on) for on in (True, False))
    pairs = [by * 64 for by in (1, 2, 4)]
    cost = [blocked.cost().flops.at({"n": n, "w": 8, "c": 4, "e": 4}) for n in pairs]
    assert cost[2] - cost[1] == 2 * (cost[1] - cost[0])
    assert whole.cost().flops.substitute({"m": "n"}).degree("n") == 2
    with pytest.raises(vs.FormatError, match="blocked has no mask"):
        vs.anatomy["sliding_window"](blocked=True, mask=True)


@given(st.integers(1, 4), sizes, masks, seeds)
def test_strided_in_blocks(blocks, stride, mask, seed):
    n = blocks * stride
    agrees("strided", {**mask, "blocked": True}, n, n, seed, {"block": stride}, words=[stride])


@given(st.integers(1, 4), sizes, sizes, masks, seeds)
def test_fixed_in_blocks(blocks, stride, kept, mask, seed):
    n, words = blocks * stride, [stride, min(kept, stride)]
    sizes = {"block": words[0], "kept": words[1]}
    agrees("fixed", {**mask, "blocked": True}, n, n, seed, sizes, words=words)


@given(st.integers(1, 7), st.integers(1, 3), masks, seeds)
def test_big_bird_in_blocks(blocks, length, mask, seed):
    """Random blocks may be drawn twice, touch, or be the first or the last."""
    generator = torch.Generator().manual_seed(seed)
    links = 2 * torch.rand(blocks, 3, generator=generator, dtype=torch.float64) - 1
    n, options = blocks * length, {**mask, "blocked": True}
    agrees("big_bird", options, n, n, seed, {"block": length}, {"links": links}, words=[length])


@given(lengths, lengths, sizes, masks, seeds)
def test_strided(n, m, stride, mask, seed):
    agrees("strided", mask, n, m, seed, {"block": stride}, words=[stride])


@given(lengths, lengths, sizes, sizes, masks, seeds)
def test_fixed(n, m, stride, kept, mask, seed):
    agrees("fixed", mask, n, m, seed, {"block": stride, "kept": kept}, words=[stride, kept])


@given(st.integers(1, 14), st.integers(1, 14), st.integers(2, 3), masks, seeds)
def test_big_bird(n, m, length, mask, seed):
    generator = torch.Generator().manual_seed(seed)
    links = 2 * torch.rand(7, 2, generator=generator, dtype=torch.float64) - 1
    agrees("big_bird", mask, n, m, seed, {"block": length}, {"links": links}, words=[length])


@given(lengths, lengths, sizes, masks, seeds)
def test_top_k(n, m, kept, mask, seed):
    agrees("top_k", mask, n, m, seed, {"kept": kept}, words=[kept])


@pytest.mark.parametrize("wrong", [True, False])
def test_top_k_hides_before_it_selects(wrong):
    """The other order lets a later key take the place of a visible one."""
    q, k, v = arrays(0, (5, 3), (5, 3), (5, 2))
    k[4] = 10 * q[1]
    last = v.clone()
    last[4] += 1
    diagram = vs.anatomy["top_k"](causal=not wrong, kept=2)
    changed = (diagram.evaluate(q, k, v) - diagram.evaluate(q, k, last))[1].abs().max() > 0
    assert changed == wrong


@given(lengths, lengths, masks, seeds, st.floats(-3, 3))
def test_sigmoid_bias(n, m, mask, seed, b):
    agrees("sigmoid_bias", mask, n, m, seed, None, {"b": torch.tensor(b).double()})


@pytest.mark.parametrize(
    "name",
    ["relu_normalised", "relu_squared_by_length", "sparsemax", "entmax", "stick_breaking"],
)
@given(n=lengths, m=lengths, mask=masks, seed=seeds)
def test_a_normaliser(name, n, m, mask, seed):
    agrees(name, mask, n, m, seed)


@pytest.mark.parametrize("name", ["sparsemax", "entmax"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_projection_sums_to_one_and_shifts_do_not_matter(name, scale):
    q, k = (scale * x for x in arrays(3, (4, 3), (6, 3)))
    diagram = vs.anatomy[name](mask=True)
    eye, zero = torch.eye(6).double(), torch.zeros(4, 6).double()
    weights = diagram.evaluate(q, k, eye, zero)
    torch.testing.assert_close(weights.sum(1), torch.ones(4).double(), rtol=1e-9, atol=1e-9)
    shifted = diagram.evaluate(q, k, eye, zero + 7)
    torch.testing.assert_close(weights, shifted, rtol=1e-9, atol=1e-8 * scale)


def with_weights(name, inputs, words=(), options=None, sizes=None, seed=0, **masks):
    """A mechanism on x with weights of its own is its transcription."""
    diagram = vs.anatomy[name](**(options or {}), **(sizes or {}))
    weights = dict(
        zip(
            diagram.parameters,
            arrays(
                seed, *([s.constant for s in t.axes.values()] for t in diagram.parameters.values())
            ),
            strict=True,
        )
    )
    ours = diagram.evaluate(*inputs, parameters=weights)
    theirs = getattr(sinkhorn_transcription if name == "sinkhorn" else paper, name)(
        inputs[0].tolist(), *(w.tolist() for w in weights.values()), *words, **masks
    )
    torch.testing.assert_close(
        ours, torch.tensor(theirs, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )


@given(lengths, st.integers(1, 3), st.integers(1, 3), masks, seeds)
def test_reformer(n, rounds, half, mask, seed):
    (x,) = arrays(seed, (n, 4))
    keep = arrays(seed + 1, (n,))[0] > -1 if mask["padding"] else None
    sizes = {"heads": 2, "d": 4, "c": 3, "e": 2, "u": rounds, "s": half}
    kept = None if keep is None else keep.tolist()
    with_weights(
        "reformer",
        [x] if keep is None else [x, keep],
        options=mask,
        sizes=sizes,
        seed=seed,
        causal=mask["causal"],
        keep=kept,
    )


@given(lengths, lengths, st.integers(1, 3), masks, seeds)
def test_routing(n, m, clusters, mask, seed):
    (centroids,) = arrays(seed + 2, (3, clusters))
    agrees("routing", mask, n, m, seed, None, {"centroids": centroids})


@given(st.integers(3, 6), st.integers(3, 6), st.integers(1, 3), st.integers(1, 3), masks, seeds)
def test_balanced_routing(n, m, clusters, taken, mask, seed):
    (centroids,) = arrays(seed + 2, (3, clusters))
    q, k, v = arrays(seed, (n, 3), (m, 3), (m, 2))
    keep = arrays(seed + 1, (m,))[0] > -1 if mask["padding"] else None
    diagram = vs.anatomy["routing"](balanced=True, kept=taken, mask=True, **mask)
    told = [q, k, v, *([] if keep is None else [keep])]
    bias = 0 * q[:, :1] * k[:, 0]
    ours = diagram.evaluate(*told, bias, parameters={"centroids": centroids})
    lists = [x.tolist() for x in (q, k, v, centroids)]
    theirs = paper.balanced_routing(
        *lists, taken, mask["causal"], None if keep is None else keep.tolist()
    )
    wanted = torch.tensor(theirs, dtype=torch.float64)
    torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


@given(st.booleans(), st.floats(0, 1), st.integers(1, 3), masks, seeds)
def test_centroids_that_move(balanced, decay, clusters, mask, seed):
    """What is attended to is as it was; the centroids come out as the paper moves them."""
    (centroids,) = arrays(seed + 2, (3, clusters))
    q, k, v = arrays(seed, (5, 3), (4, 3), (4, 2))
    keep = arrays(seed + 1, (4,))[0] > -1 if mask["padding"] else None
    told = [q, k, v, *([] if keep is None else [keep])]
    still, moving = (
        vs.anatomy["routing"](
            balanced=balanced, decay=by, **({"kept": 2} if balanced else {}), **mask
        )
        for by in (None, decay)
    )
    wanted = still.evaluate(*told, parameters={"centroids": centroids})
    found, moved = moving.evaluate(*told, parameters={"centroids": centroids})
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    lists = [x.tolist() for x in (q, k, centroids)]
    theirs = paper.moved_centroids(*lists, decay, None if keep is None else keep.tolist())
    wanted = torch.tensor(theirs, dtype=torch.float64)
    torch.testing.assert_close(moved, wanted, rtol=1e-9, atol=1e-9)


def test_a_mask_goes_with_its_cluster():
    """All in one cluster, scores with a mask are those of attention to all."""
    q, k, v, mask = arrays(1, (4, 3), (4, 3), (4, 2), (4, 4))
    routed = vs.anatomy["routing"](balanced=True, mask=True, s=1, kept=4)
    plain = vs.anatomy["routing"](mask=True, s=1)
    (centroids,) = arrays(2, (3, 1))
    found, wanted = (
        d.evaluate(q, k, v, mask, parameters={"centroids": centroids}) for d in (routed, plain)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), masks, seeds)
def test_sinkhorn(blocks, length, turns, mask, seed):
    (x,) = arrays(seed, (blocks * length, 4))
    x = x / 4
    keep = arrays(seed + 1, (len(x),))[0] > -1 if mask["padding"] else None
    sizes = {"heads": 2, "d": 4, "c": 3, "e": 2, "f": 3, "n": len(x), "block": length}
    with_weights(
        "sinkhorn",
        [x] if keep is None else [x, keep],
        words=[length, turns],
        options={"turns": turns, **mask},
        sizes=sizes,
        seed=seed,
        causal=mask["causal"],
        keep=None if keep is None else keep.tolist(),
    )


@pytest.mark.parametrize(
    ("name", "options", "right"),
    [
        ("sinkhorn", {"n": 5, "block": 2}, "n = 5 does not go with the other sizes, 4 or 6 would"),
        ("flash", {"n": 3, "window": 4}, "n = 3 does not go with the other sizes, 4 would"),
        ("mega", {"chunked": True, "n": 9, "window": 4}, "8 or 12 would"),
        ("nystromformer", {"n": 10, "r": 4}, "8 or 12 would"),
        ("reformer", {"chunked": True, "n": 9, "u": 2, "block": 4}, "8 or 10 would"),
    ],
)
def test_a_length_that_no_blocks_fill_is_refused_with_those_that_do(name, options, right):
    with pytest.raises(vs.SizeError, match=f"{name}: .*leaves a rest.*{right}"):
        vs.anatomy[name](**options)
