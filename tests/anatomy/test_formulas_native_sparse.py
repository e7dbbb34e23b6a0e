"""Native sparse attention against loops over the paper's formulas, and what it costs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from native_sparse_transcription import native_sparse

import vesalius as vs

SIZES = {"g": 2, "h": 2, "d": 3, "c": 4, "e": 2, "f": 3}


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@st.composite
def blocks(draw):
    """Blocks of l and summaries of a positions, all of them so many strides o."""
    stride = draw(st.integers(1, 3))
    block, span = (stride * draw(st.integers(1, 3)) for _ in range(2))
    kept, window = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return {"block": block, "span": span, "stride": stride, "kept": kept, "window": window}


@given(st.integers(1, 13), blocks(), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_native_sparse(n, sizes, rotary, padding, seed):
    """Summaries may overlap and be longer or shorter than the blocks that they choose."""
    ours = vs.anatomy["native_sparse"](rotary=rotary, padding=padding, **SIZES, **sizes)
    weights = {
        name: normal(seed + k, *(size.constant for size in type_.axes.values()))
        for k, (name, type_) in enumerate(ours.parameters.items())
    }
    x = normal(seed - 1, n, 3)
    keep = normal(seed - 2, n) > -1 if padding else None
    found = ours.evaluate(*(y for y in (x, keep) if y is not None), parameters=weights)
    lists = {name: y.tolist() for name, y in weights.items()}
    kept = None if keep is None else keep.tolist()
    wanted = native_sparse(x.tolist(), lists, **sizes, rotary=rotary, keep=kept)
    # what stands at a position that is not kept is no matter
    real = torch.ones(n, dtype=torch.bool) if keep is None else keep
    wanted = torch.tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(found[real], wanted[real], rtol=1e-9, atol=1e-9)


def test_blocks_do_not_overlap_unless_said():
    plain = vs.anatomy["native_sparse"](block=6)
    assert plain == vs.anatomy["native_sparse"](block=6, span=6, stride=6)
    assert plain != vs.anatomy["native_sparse"](block=6, span=6, stride=3)
    with pytest.raises(vs.SizeError, match="leaves a rest"):
        vs.anatomy["native_sparse"](block=6, stride=4)


def test_it_costs_what_it_sees():
    """Not all pairs: those of queries and summaries, t blocks, and a window."""
    sizes = {"g": 2, "h": 4, "d": 64, "c": 16, "e": 16, "f": 16, "l": 64, "o": 16, "a": 32, "t": 4}
    cost = vs.anatomy["native_sparse"](**sizes, w=64).cost().flops
    pairs = vs.anatomy["multihead"](heads=8, d=64, c=16).cost().flops
    assert cost.at({"n": 2**16}) < pairs.at({"n": 2**16}) / 8
