"""Functions that emitted text brings along: whatever way they take, they give the same."""

import pytest
import torch

import vesalius as vs
from vesalius.compile.helpers import numbers_on, padded, quick_tanh, sums_before, taken

torch.set_num_threads(1)


def by_definition(x, dim):
    """A sum for each position, of a slice."""
    sums = [x.narrow(dim, 0, n).sum(dim) for n in range(x.shape[dim])]
    return torch.stack(sums, dim) if sums else x


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [0, 1, 2, 5])
@pytest.mark.parametrize("width", [3, 100])  # slices of 9 or of 10 000 entries
def test_sums_before_leave_out_the_position_itself(dtype, length, width) -> None:
    torch.manual_seed(0)
    for dim in (0, 1):
        shape = [width, width]
        shape.insert(dim, length)
        x = torch.randn(shape, dtype=dtype, requires_grad=True)
        found, wanted = sums_before(x, dim), by_definition(x, dim)
        assert found.dtype == dtype
        close = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {}
        torch.testing.assert_close(found, wanted, **close)
        upstream = torch.randn_like(found)
        gradients = (torch.autograd.grad(y, x, upstream)[0] for y in (found, wanted))
        torch.testing.assert_close(*gradients, **close)


@pytest.mark.parametrize("width", [3, 100])
def test_sums_before_know_nothing_of_what_comes_later(width) -> None:
    x = torch.randn(4, width, width)
    x[2] = torch.nan
    assert sums_before(x, 0)[:3].isfinite().all()
    assert sums_before(x, 0)[3].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_quick_tangents(dtype) -> None:
    """In single precision to its last digit below one; in all others, the function itself."""
    ends = torch.tensor([0.0, -0.0, 1e4, -1e4, torch.inf, -torch.inf], dtype=torch.float64)
    x = torch.cat([torch.linspace(-12, 12, 4001, dtype=torch.float64), ends]).to(dtype)
    x.requires_grad_()
    found, exact = quick_tanh(x), torch.tanh(x.double())
    assert found.dtype == dtype
    wanted, within = torch.tanh(x), 2e-7 if dtype == torch.float32 else 0.0
    assert (found - wanted).abs().max() <= within
    if dtype == torch.float32:
        (slope,) = torch.autograd.grad(found.sum(), x)
        assert (slope - (1 - exact**2)).abs().max() <= 2 * within


def test_numbers_are_on_a_device_once() -> None:
    here, far = torch.device("cpu"), torch.device("meta")
    values = ((0.0, -1.0), (1.0, 0.0))
    assert numbers_on(values, torch.float64, here).tolist() == [[0.0, -1.0], [1.0, 0.0]]
    assert numbers_on((), torch.int64, here).shape == (0,)
    made = numbers_on(values, torch.float32, far)
    assert made.device == far
    assert numbers_on(values, torch.float32, far) is made
    assert numbers_on(values, torch.float64, far).dtype == torch.float64


def test_nothing_to_pad_is_not_copied() -> None:
    x = torch.randn(2, 3)
    assert padded(x, (0, 0, 0, 0), value=1.0) is x
    assert padded(x, (0, 1), value=2.0).tolist() == [[*row, 2.0] for row in x.tolist()]


@pytest.mark.parametrize("length", [64, 100, 300])
def test_chunks_with_wide_states_agree_with_all_pairs(length) -> None:
    @vs.diagram
    def running(q: "n c", k: "n c", v: "n e") -> "n e":
        shown = vs.iota("m:n") <= vs.iota("n")
        scores = vs.contract(q, k.rename(n="m"), over="c")
        return vs.contract(vs.where(shown, scores, 0.0), v.rename(n="m"), over="m")

    torch.manual_seed(length)
    module = vs.to_torch(running, prefer=["chunked"])
    assert "sums_before" in module.source
    inputs = [torch.randn(length, 100, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    q, k, v = inputs
    found, wanted = module(*inputs), (q @ k.T).tril() @ v
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    pairs = zip(*(torch.autograd.grad(y, inputs, upstream) for y in (found, wanted)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("made", ["k", "v", "both", "neither"])
def test_gradients_of_what_is_made_entry_by_entry_lie_as_it_does(made) -> None:
    @vs.diagram
    def read(q: "n c", k: "m c", v: "m e") -> "n e":
        k = vs.exp(k) if made in ("k", "both") else k
        v = vs.exp(v) if made in ("v", "both") else v
        return vs.contract(q, vs.contract(k, v, over="m"), over="c")

    line = {"k": "(v.T @ torch.exp(k)).T", "v": "k.T @ torch.exp(v)"}
    module = vs.to_torch(read)
    assert line.get(made, ".T @") in module.source
    assert (".T @ torch.exp(k)).T" in module.source) == (made == "k")
    q, k, v = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4), (5, 4), (5, 6)))
    exp = {name: x.exp() if made in (name, "both") else x for name, x in (("k", k), ("v", v))}
    torch.testing.assert_close(module(q, k, v), q @ (exp["k"].T @ exp["v"]))


@pytest.mark.parametrize("lead", [(3,), (2, 3), (0,)])
@pytest.mark.parametrize("places", [0, 1, 7])
@pytest.mark.parametrize("own", [(4,), (2, 5)])
def test_slices_are_taken_as_entries_would_be(lead, places, own) -> None:
    torch.manual_seed(places)
    table = torch.randn(*lead, 6, *own, dtype=torch.float64, requires_grad=True)
    at, shared = torch.randint(6, (*lead, places)), len(lead)
    found = taken(table, at, shared)
    wanted = torch.take_along_dim(table, at[(..., *[None] * len(own))], shared)
    assert torch.equal(found, wanted)
    upstream = torch.randn_like(found)
    gradients = (torch.autograd.grad(y, table, upstream)[0] for y in (found, wanted))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("wrong", [-1, 6])
def test_a_place_outside_is_refused_in_every_group(wrong) -> None:
    at = torch.tensor([[0, 1], [wrong, 2]])
    with pytest.raises((IndexError, RuntimeError)):
        taken(torch.randn(2, 6, 3), at, 1)
    with pytest.raises((IndexError, RuntimeError)):
        taken(torch.randn(2, 6, 3), at.flip(0), 1)


def test_slices_by_groups_compile_whole_at_any_length() -> None:
    @vs.diagram
    def chosen(table: "g n c", at: "g k int") -> "g k c":
        return vs.gather(table, at, "n")

    module = vs.to_torch(chosen)
    assert "taken(" in module.source
    whole = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    for g, n, k in ((2, 5, 3), (4, 9, 2)):
        table, at = torch.randn(g, n, 3), torch.randint(n, (g, k))
        torch.testing.assert_close(whole(table, at).double(), chosen.evaluate(table, at))
    shapes = ({0: torch.export.Dim("g"), 1: torch.export.Dim("n")}, {0: torch.export.Dim("g")})
    program = torch.export.export(module, (table, at), dynamic_shapes=shapes)
    torch.testing.assert_close(program.module()(table, at), module(table, at))
