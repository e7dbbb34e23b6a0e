"""Windows with gaps, and patterns in blocks, against loops; and what they cost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from window_transcriptions import longformer

import vesalius as vs

masks = st.fixed_dictionaries({"causal": st.booleans(), "padding": st.booleans()})
seeds = st.integers(0, 2**31)


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("blocked", [False, True])
@given(
    n=st.integers(2, 11),
    width=st.integers(1, 4),
    dilation=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    share=st.sampled_from([-9.0, 0.0, 1.0]),
    mask=masks,
    seed=seeds,
)
def test_longformer(blocked, n, width, dilation, share, mask, seed):
    """In blocks, of more anchors than there is room for the first ones count."""
    sizes = {"heads": 3, "d": 4, "c": 3, "e": 2, "window": width, **({"u": 2} if blocked else {})}
    ours = vs.anatomy["longformer"](dilation=dilation, blocked=blocked, **mask, **sizes)
    weights = {
        name: normal(seed + k, *(size.constant for size in type_.axes.values()))
        for k, (name, type_) in enumerate(ours.parameters.items())
    }
    x, anchors = normal(seed - 1, n, 4), normal(seed - 2, n) < share
    keep = normal(seed - 3, n) > -1 if mask["padding"] else None
    given_ = [x, anchors, *([] if keep is None else [keep])]
    found = ours.evaluate(*given_, parameters=weights)
    counting = anchors & (anchors.cumsum(0) <= 2) if blocked else anchors
    wanted = longformer(
        x.tolist(),
        counting.tolist(),
        {name: y.tolist() for name, y in weights.items()},
        width,
        dilation,
        mask["causal"],
        None if keep is None else keep.tolist(),
    )
    wanted = torch.tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_gaps_are_positive_integers():
    for wrong in ((), (0,), (1.5,), (True,)):
        with pytest.raises(vs.FormatError, match="dilation is some positive integers"):
            vs.anatomy["longformer"](dilation=wrong)
    assert vs.anatomy["longformer"](dilation=2) == vs.anatomy["longformer"](dilation=(2,))


def linear(diagram, **more):
    """Whether twice as many positions cost no more than twice, and what depends on none."""
    flops = diagram.cost().flops.substitute({"m": "n"})
    one, two, four = (
        flops.at({name: 64 * by if name == "n" else more.get(name, 2) for name in flops.variables})
        for by in (1, 2, 4)
    )
    return four - two == 2 * (two - one)


def test_blocks_cost_what_they_see():
    blocked, whole = (vs.anatomy["longformer"](blocked=on, dilation=(1, 2)) for on in (True, False))
    assert linear(blocked)
    assert not linear(whole)


@pytest.mark.parametrize("name", ["fixed", "big_bird", "strided"])
def test_patterns_in_blocks_cost_what_they_see(name):
    """Of blocks of √n: n·√n, an eighth more than eight times for four times as many positions."""
    blocked, whole = (vs.anatomy[name](blocked=on).cost().flops for on in (True, False))
    whole = whole.substitute({"m": "n"})
    sizes = {"c": 16, "e": 16, "t": 1, "u": 2}

    def growth(flops):
        one, four = (
            flops.at({**sizes, "n": n, "l": length, "s": n // length})
            for n, length in ((2**12, 2**6), (2**14, 2**7))
        )
        return four / one

    assert growth(blocked) < 9
    assert growth(whole) > 15
