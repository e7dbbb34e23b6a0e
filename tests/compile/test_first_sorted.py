"""The first entries of a stable sort, without sorting where `torch.topk` has no choice."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import vesalius as vs
from vesalius.compile.helpers import first_sorted

entries = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, math.inf, math.nan])


def sorted_whole(x, count, dim, descending):
    values, places = torch.sort(x, dim=dim, descending=descending, stable=True)
    return values.narrow(dim, 0, count), places.narrow(dim, 0, count)


@settings(deadline=None, max_examples=150)
@given(st.data(), st.integers(1, 3), st.integers(2, 9), st.sampled_from([0, 1, -1]), st.booleans())
def test_it_is_a_stable_sort_cut_off(data, rows, length, dim, descending):
    shape = (rows, length, 2) if dim == 1 else (length, rows) if dim == 0 else (rows, length)
    size = math.prod(shape)
    x = torch.tensor(data.draw(st.lists(entries, min_size=size, max_size=size))).reshape(shape)
    count = data.draw(st.integers(1, length))
    found, wanted = (f(x, count, dim, descending) for f in (first_sorted, sorted_whole))
    torch.testing.assert_close(found[0], wanted[0], rtol=0, atol=0, equal_nan=True)
    assert torch.equal(found[1], wanted[1])


@pytest.mark.parametrize("count", [1, 3, 9])
@pytest.mark.parametrize("descending", [True, False])
def test_gradients_go_to_the_entries_that_are_taken(count, descending):
    x = torch.tensor([[1.0, 2, 2, 0, 5, 5, 5, 1, 3, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]])
    grads = []
    for function in (first_sorted, sorted_whole):
        given = x.clone().requires_grad_()
        values, _ = function(given, count, 1, descending)
        grads += torch.autograd.grad((values * torch.arange(1.0, count + 1)).sum(), given)
    assert torch.equal(*grads)


class Sorted(TorchDispatchMode):
    """The rows that are sorted."""

    rows = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.sort.stable:
            self.rows += args[0].shape[0]
        return function(*args, **(kwargs or {}))


def test_only_rows_with_equal_entries_are_sorted():
    x = torch.arange(40.0).reshape(4, 10)
    x[2, 9] = x[2, 8]
    x[3, 0] = x[3, 1]  # among those that are not taken
    for count, wanted in ((1, 0), (2, 1), (6, 4)):
        with Sorted() as sort:
            first_sorted(x, count, 1, True)
        assert sort.rows == wanted


@vs.diagram
def largest(x: "n m") -> ("n k:3", "n k:3 int"):
    return vs.topk(x, "m", "k:3")


def test_it_is_compiled_whole_and_vectorised():
    module = vs.to_torch(largest)
    x = torch.randint(0, 9, (6, 8), generator=torch.Generator().manual_seed(0)).float()
    wanted = sorted_whole(x, 3, 1, True)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    exported = torch.export.export(module, (x,)).module()
    each = torch.vmap(lambda row: first_sorted(row, 3, 0, True))
    for function in (module, compiled, exported, each):
        for one, other in zip(function(x), wanted, strict=True):
            assert torch.equal(one, other)
