"""Random mixers: whatever kernel serves them, values and gradients are those of the reference."""

import random
from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixers import Mixer
from test_random_diagrams import arguments_for

import vesalius as vs
from vesalius import testing
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import KERNELS, Target, load
from vesalius.diagrams.errors import SizeError

torch.set_num_threads(1)
load()
NAMES = [name for name in KERNELS if name != "flex_attention"]  # which is compiled for each text


def wishes(seed):
    """Nothing, all kernels, one, or none of one."""
    choose = random.Random(seed)
    one = choose.choice(NAMES)
    return choose.choice([{}, {"prefer": NAMES}, {"prefer": [one]}, {"forbid": [one]}])


def derivatives(y, inputs):
    leaves = [x for x in inputs if x.requires_grad]
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).double()
    if not y.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    return torch.autograd.grad(y, leaves, upstream, allow_unused=True, materialize_grads=True)


def agree(seed, empty):
    mixer = Mixer(seed, empty)
    diagram = mixer.diagram
    module = vs.to_torch(diagram, torch.float64, **wishes(seed))
    ours, theirs = (
        [x.requires_grad_(x.is_floating_point()) for x in arguments_for(diagram, mixer.sizes, seed)]
        for _ in range(2)
    )
    try:
        expected = diagram.evaluate(*theirs)
    except SizeError:
        return  # the largest of none
    found = module(*ours)
    assert found.shape == expected.shape
    whole = expected.isfinite()  # a mean of nothing has no value where it is spelled out
    torch.testing.assert_close(found[whole], expected[whole], rtol=1e-9, atol=1e-9)
    if whole.all():
        for one, other in zip(derivatives(found, ours), derivatives(expected, theirs), strict=True):
            if not other.isnan().any():
                torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@given(st.integers(0, 10**9))
@settings(max_examples=120)
def test_values_and_gradients(seed) -> None:
    agree(seed, empty=False)


@given(st.integers(0, 10**9))
@settings(max_examples=40)
def test_with_axes_of_length_zero(seed) -> None:
    agree(seed, empty=True)


@given(st.integers(0, 10**9))
@settings(max_examples=30)
def test_names_boxes_and_orders_do_not_matter(seed) -> None:
    diagram = Mixer(seed).diagram
    target = Target("cpu", "float32", prefer=tuple(NAMES))
    expected = Counter(chosen(diagram, target).choices.kernels)
    variant = testing.alpha_variant(diagram.fold("mixer"), seed)
    for one in (variant, variant.unfold()):
        assert Counter(chosen(one, target).choices.kernels) == expected


def test_together_they_reach_the_kernels() -> None:
    seen = Counter()
    target = Target("cpu", "float32", prefer=tuple(NAMES))
    for seed in range(250):
        seen.update(chosen(Mixer(seed).diagram, target).choices.kernels)
    assert set(NAMES) <= set(seen)
