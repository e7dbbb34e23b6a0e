"""Each mechanism against a loop-by-loop transcription of its paper's formula."""

import pytest
import torch
import transcriptions as paper
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs

lengths = st.integers(1, 5)
seeds = st.integers(0, 2**31)
masks = st.fixed_dictionaries({"causal": st.booleans(), "padding": st.booleans()})


def arrays(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [2 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def kept(seed, m):
    """Which keys count; the first always does, so that no row of linear attention is empty."""
    keep = torch.randn(m, generator=torch.Generator().manual_seed(seed + 1)) > -0.3
    keep[0] = True
    return keep


def same(ours, theirs):
    theirs = torch.tensor(theirs, dtype=torch.float64)
    assert ours.shape == theirs.shape
    # A row sum of kernels φ(q)·φ(k) can be tiny, and dividing by it magnifies rounding.
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def run(diagram, inputs, keep, parameters=None):
    given_ = [*inputs, keep] if keep is not None else inputs
    return diagram.evaluate(*given_, parameters=parameters or {})


@given(lengths, lengths, lengths, lengths, lengths, masks, seeds)
def test_bahdanau(n, m, d, e, a, mask, seed):
    s, y, w, u, v = arrays(seed, (n, d), (m, e), (d, a), (e, a), (a,))
    keep = kept(seed, m) if mask["padding"] else None
    diagram = vs.anatomy["bahdanau"](**mask)
    ours = run(diagram, [s, y], keep, {"w": w, "u": u, "v": v})
    lists = [x.tolist() for x in (s, y, w, u, v)]
    same(ours, paper.bahdanau(*lists, causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, masks, seeds)
def test_luong_dot(n, m, c, mask, seed):
    s, y = arrays(seed, (n, c), (m, c))
    keep = kept(seed, m) if mask["padding"] else None
    ours = run(vs.anatomy["luong_dot"](**mask), [s, y], keep)
    same(ours, paper.luong_dot(s.tolist(), y.tolist(), causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, st.integers(1, 3), st.booleans(), masks, seeds)
def test_luong_local(n, m, c, width, predictive, mask, seed):
    s, y, w, v = arrays(seed, (n, c), (m, c), (c, 3), (3,))
    keep = kept(seed, m) if mask["padding"] else None
    local = "predictive" if predictive else "monotonic"
    diagram = vs.anatomy["luong_dot"](local=local, window=width, **mask)
    ours = run(diagram, [s, y], keep, {"wp": w, "vp": v} if predictive else {})
    learned = (w.tolist(), v.tolist()) if predictive else None
    theirs = paper.luong_local(s.tolist(), y.tolist(), width, learned, mask["causal"], keep)
    same(ours, theirs)


def test_another_local_attention_is_refused():
    with pytest.raises(vs.FormatError, match="local is one of monotonic, predictive, not 'near'"):
        vs.anatomy["luong_general"](local="near")


@given(lengths, lengths, lengths, st.booleans(), seeds)
def test_a_memory_of_transformer_xl_is_what_stands_before(n, past, half, padding, seed):
    """In one layer the segment with its memory is the end of the sequence of both."""
    d = 2 * half
    shapes = {"wq": (d, 2, 3), "wk": (d, 2, 3), "wv": (d, 2, 2), "wr": (d, 2, 3)}
    shapes |= {"wo": (2, 2, d), "u": (2, 3), "v": (2, 3)}
    x, *weights = arrays(seed, (past + n, d), *shapes.values())
    weights = dict(zip(shapes, weights, strict=True))
    keep = kept(seed, n) if padding else None
    both = None if keep is None else torch.cat([torch.ones(past, dtype=torch.bool), keep])
    plain = vs.anatomy["transformer_xl"](causal=True, padding=padding)
    remembering = vs.anatomy["transformer_xl"](memory=True, causal=True, padding=padding)
    wanted = run(plain, [x], both, weights)[past:]
    found = run(remembering, [x[past:], x[:past]], keep, weights)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@given(lengths, lengths, lengths, lengths, masks, seeds)
def test_luong_general(n, m, c, e, mask, seed):
    s, y, w = arrays(seed, (n, c), (m, e), (c, e))
    keep = kept(seed, m) if mask["padding"] else None
    ours = run(vs.anatomy["luong_general"](**mask), [s, y], keep, {"w": w})
    lists = [x.tolist() for x in (s, y, w)]
    same(ours, paper.luong_general(*lists, causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, st.integers(1, 3), masks, seeds)
def test_hopfield(n, m, c, steps, mask, seed):
    s, y = arrays(seed, (n, c), (m, c))
    keep = kept(seed, m) if mask["padding"] else None
    ours = run(vs.anatomy["hopfield"](steps=steps, **mask), [s, y], keep)
    lists = s.tolist(), y.tolist(), steps
    same(ours, paper.hopfield(*lists, causal=mask["causal"], keep=keep))
    warm = run(vs.anatomy["hopfield"](steps=steps, beta=0.25, **mask), [s, y], keep)
    same(warm, paper.hopfield(*lists, 0.25, causal=mask["causal"], keep=keep))
    learned = vs.anatomy["hopfield"](steps=steps, beta="learned", **mask)
    cold = run(learned, [s, y], keep, {"beta": torch.tensor(3.0).double()})
    same(cold, paper.hopfield(*lists, 3 / c**0.5, causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, seeds)
def test_one_step_of_hopfield_is_attention_to_the_patterns(n, m, c, seed):
    s, y = arrays(seed, (n, c), (m, c))
    one = vs.anatomy["hopfield"](steps=1).evaluate(s, y)
    assert torch.equal(one, vs.anatomy["scaled_dot_product"]().evaluate(s, y, y))


@given(lengths, lengths, lengths, lengths, st.integers(1, 3), masks, seeds)
def test_shaw_with_values(n, m, c, e, w, mask, seed):
    q, k, v, r, rv = arrays(seed, (n, c), (m, c), (m, e), (2 * w + 1, c), (2 * w + 1, e))
    keep = kept(seed, m) if mask["padding"] else None
    ours = run(vs.anatomy["shaw"](values=True, **mask), [q, k, v], keep, {"r": r, "r_v": rv})
    lists = [x.tolist() for x in (q, k, v, r, rv)]
    same(ours, paper.shaw(*lists, w, causal=mask["causal"], keep=keep))


VARIANTS = ["softcap", "sigmoid", "relu", "relu_squared", "softmax_one", "spherical", "cosine"]


@pytest.mark.parametrize("name", VARIANTS)
@given(lengths, lengths, lengths, lengths, masks, seeds)
def test_another_similarity_or_normaliser(name, n, m, c, e, mask, seed):
    q, k, v, g = arrays(seed, (n, c), (m, c), (m, e), ())
    keep = kept(seed, m) if mask["padding"] else None
    parameters = {"g": g} if name == "cosine" else {}
    ours = run(vs.anatomy[name](**mask), [q, k, v], keep, parameters)
    lists = [x.tolist() for x in (q, k, v, *parameters.values())]
    same(ours, getattr(paper, name)(*lists, causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, lengths, masks, st.booleans(), seeds)
def test_scaled_dot_product(n, m, c, e, mask, biased, seed):
    q, k, v, bias = arrays(seed, (n, c), (m, c), (m, e), (n, m))
    keep = kept(seed, m) if mask["padding"] else None
    diagram = vs.anatomy["scaled_dot_product"](**mask, mask=biased)
    given_ = [q, k, v, *([] if keep is None else [keep]), *([bias] if biased else [])]
    theirs = paper.scaled_dot_product(
        q.tolist(),
        k.tolist(),
        v.tolist(),
        mask=bias.tolist() if biased else None,
        causal=mask["causal"],
        keep=keep,
    )
    same(diagram.evaluate(*given_), theirs)


def test_a_row_without_keys_is_zero():
    q, k, v = arrays(0, (2, 3), (2, 3), (2, 4))
    keep = torch.tensor([False, True])
    ours = vs.anatomy["scaled_dot_product"](causal=True, padding=True).evaluate(q, k, v, keep)
    assert torch.equal(ours[0], torch.zeros(4, dtype=torch.float64))
    assert torch.equal(ours[1], v[1])


@pytest.mark.parametrize("form", ["weights", "state"])
@given(lengths, lengths, lengths, lengths, st.booleans(), seeds)
def test_linear(form, n, m, c, e, padding, seed):
    q, k, v = arrays(seed, (n, c), (m, c), (m, e))
    keep = kept(seed, m) if padding else None
    ours = run(vs.anatomy["linear"](padding=padding, form=form), [q, k, v], keep)
    same(ours, paper.linear(q.tolist(), k.tolist(), v.tolist(), keep=keep))


@pytest.mark.parametrize("form", ["weights", "scan"])
@given(lengths, lengths, lengths, st.booleans(), seeds)
def test_causal_linear(form, n, c, e, padding, seed):
    q, k, v = arrays(seed, (n, c), (n, c), (n, e))
    keep = kept(seed, n) if padding else None
    diagram = vs.anatomy["linear"](causal=True, padding=padding, form=form)
    ours = run(diagram, [q, k, v], keep)
    same(ours, paper.linear(q.tolist(), k.tolist(), v.tolist(), causal=True, keep=keep))


@pytest.mark.parametrize(
    ("attention", "form"),
    [("scaled_dot_product", None), ("linear", "weights"), ("linear", None)],
)
@given(lengths, lengths, lengths, lengths, lengths, masks, seeds)
def test_multihead(attention, form, n, d, h, c, e, mask, seed):
    """Also where the channels of keys and values differ, which torch does not have."""
    shapes = (n, d), (d, h, c), (d, h, c), (d, h, e), (h, e, d)
    x, wq, wk, wv, wo = arrays(seed, *shapes)
    keep = kept(seed, n) if mask["padding"] else None
    diagram = vs.anatomy["multihead"](attention=attention, form=form, **mask)
    ours = run(diagram, [x], keep, {"wq": wq, "wk": wk, "wv": wv, "wo": wo})
    core = getattr(paper, attention)
    lists = [z.tolist() for z in (x, x, wq, wk, wv, wo)]
    same(ours, paper.multihead(core, *lists, causal=mask["causal"], keep=keep))


@given(lengths, lengths, lengths, lengths, lengths, lengths, st.booleans(), seeds)
def test_multihead_cross(n, m, d, h, c, e, padding, seed):
    shapes = (n, d), (m, d), (d, h, c), (d, h, c), (d, h, e), (h, e, d)
    x, y, wq, wk, wv, wo = arrays(seed, *shapes)
    keep = kept(seed, m) if padding else None
    diagram = vs.anatomy["multihead_cross"](padding=padding)
    ours = run(diagram, [x, y], keep, {"wq": wq, "wk": wk, "wv": wv, "wo": wo})
    lists = [z.tolist() for z in (x, y, wq, wk, wv, wo)]
    same(ours, paper.multihead(paper.scaled_dot_product, *lists, keep=keep))


@pytest.mark.parametrize("name", ["scaled_dot_product", "linear"])
@given(lengths, st.integers(1, 4), lengths, seeds)
def test_a_hidden_key_is_as_good_as_absent(name, n, m, c, seed):
    q, k, v = arrays(seed, (n, c), (m + 1, c), (m + 1, c))
    keep = torch.tensor([True] * m + [False])
    padded = vs.anatomy[name](padding=True).evaluate(q, k, v, keep)
    short = vs.anatomy[name]().evaluate(q, k[:m], v[:m])
    torch.testing.assert_close(padded, short, rtol=1e-12, atol=1e-12)
