"""What forward keeps for backward, and gradients that come with the columns last."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import vesalius as vs
from vesalius.compile.tiles import run


def scaled(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


@vs.diagram
def relu_squared(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    weights = vs.power(vs.relu(scaled(q, k)), 2)
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + 1e-6)


@vs.diagram
def two_sums(q: "b h n c", k: "b m h c", v: "b m h e") -> "b h n e":
    """Gates summed for themselves and with the values; keys and values with heads behind."""
    gates = vs.sigmoid(scaled(q, k))
    return vs.contract(gates, v, over="m") / vs.sqrt(1 + vs.sum(gates * gates, "m"))


@vs.diagram
def shared_scores(q: "n c", k: "m c", v: "h m e") -> "h n e":
    """What is kept of the weights has no heads, and there are several parts of the heads."""
    weights = vs.sigmoid(scaled(q, k))
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + 1)


@vs.diagram
def sigmoids(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
    return vs.contract(vs.sigmoid(scaled(q, k)), v, over="m")


DIAGRAMS = [relu_squared, two_sums, shared_scores, sigmoids]
SIZES = {"b": 2, "h": 3, "n": 37, "m": 41, "c": 8, "e": 8}
by_name = pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda d: d.name)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 600)


def inputs_for(diagram, dtype=torch.float64, **sizes):
    generator = torch.Generator().manual_seed(1)
    shapes = [
        [s.at({**SIZES, **sizes}) for s in t.axes.values()] for t in diagram.input_types.values()
    ]
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype) for s in shapes]


def compiled(diagram, dtype=torch.float64):
    module = vs.to_torch(diagram, dtype=dtype, prefer=["tiles"])
    assert "Tiles(" in module.source
    return module


def gradients(function, inputs):
    given = [x.detach().requires_grad_() for x in inputs]
    y = function(*given)
    return [y, *torch.autograd.grad(y, given, torch.linspace(-1, 2, y.numel()).reshape(y.shape))]


@by_name
def test_it_is_the_reference(diagram):
    inputs = inputs_for(diagram)
    found, wanted = (gradients(f, inputs) for f in (compiled(diagram), diagram.evaluate))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@by_name
def test_second_derivatives(diagram):
    """These are of one tile in operations of torch, what is kept included."""
    given = [x.requires_grad_() for x in inputs_for(diagram, b=1, h=2, n=2, m=3, c=2, e=2)]
    assert torch.autograd.gradgradcheck(compiled(diagram), given)


class Products(TorchDispatchMode):
    """The multiplications in matrix products."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.mm.default, torch.ops.aten.bmm.default):
            self.count += result.numel() * args[0].shape[-1]
        return result


def noted(module, inputs, monkeypatch):
    """The tiles that a module runs, and what they are given."""
    calls = []

    def forward(key, given, learns):
        calls.append((run._KNOWN[key], given))
        return run.run(*calls[-1], learns)

    with monkeypatch.context() as patch:
        patch.setattr(run, "operator", forward)
        module(*inputs)
    (call,) = calls
    return call


@pytest.mark.parametrize("diagram", [relu_squared, sigmoids], ids=lambda d: d.name)
def test_backward_makes_five_products(diagram, monkeypatch):
    """The scores again, and two for each of the products forward: no sum over columns again."""
    inputs = inputs_for(diagram)
    tiles, given = noted(compiled(diagram), inputs, monkeypatch)
    y, *kept = run.run(tiles, given, learns=True)
    with Products() as products:
        run.run_back(tiles, given, kept, [torch.ones_like(y)])
    assert products.count == 5 * y[..., 0].numel() * SIZES["m"] * SIZES["c"]


def test_only_sums_are_kept(monkeypatch):
    kept = {}
    for diagram in DIAGRAMS:
        tiles, given = noted(compiled(diagram), inputs_for(diagram), monkeypatch)
        kept[diagram.name] = [tuple(x.shape) for x in run.run(tiles, given, learns=True)[1:]]
        assert len(run.run(tiles, given)) == 1  # nothing is kept for those who do not learn
    b, h, n, e = (SIZES[axis] for axis in "bhne")
    assert sorted(kept["relu_squared"], key=len) == [(b, h, n), (b, h, n, e)]
    assert sorted(kept["two_sums"], key=len) == [(b, h, n), (b, h, n, e)]
    assert kept["shared_scores"] == [(n,)]
    assert kept["sigmoids"] == []


@by_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_lie_as_their_inputs(diagram, dtype):
    """As compilers are told: also where inputs are transposed."""
    inputs = [x.mT.contiguous().mT for x in inputs_for(diagram, dtype)]
    _, *grads = gradients(compiled(diagram, dtype), inputs)
    for x, grad in zip(inputs, grads, strict=True):
        assert grad.dtype == dtype
        assert grad.stride() == torch.empty_like(x).stride()


@by_name
def test_the_operator_keeps_its_word(diagram, monkeypatch):
    """To compilers: shapes, strides, and gradients of the whole."""
    inputs = inputs_for(diagram)
    tiles, given = noted(compiled(diagram), inputs, monkeypatch)
    given = [x.detach().requires_grad_() for x in given]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for learns in (False, True):
        torch.library.opcheck(run.operator, (tiles.key, given, learns), test_utils=checks)
    y, *kept = run.run(tiles, given, learns=True)
    args = (tiles.key, given, kept, [torch.ones_like(y)])
    torch.library.opcheck(run.operator_back, args, test_utils=checks)


def test_one_text_compiles_whole():
    module, inputs = compiled(relu_squared), inputs_for(relu_squared)
    whole = torch.compile(module, fullgraph=True, backend="aot_eager")
    for one, other in zip(gradients(whole, inputs), gradients(module, inputs), strict=True):
        torch.testing.assert_close(one, other)


@vs.diagram
def capped_from_below(q: "n c", k: "m c", v: "m e") -> "n e":
    """A maximum over the columns, whose derivative asks which entry it is."""
    scores = vs.where(vs.iota("m") <= vs.iota("n"), scaled(q, k), float("-inf"))
    top = vs.maximum(vs.max(scores, "m"), 0.0)
    weights = vs.exp(scores - top)
    return vs.contract(weights, v, over="m") / (vs.sum(weights, "m") + vs.exp(-top))


def test_a_maximum_is_one_of_the_entries_that_backward_makes() -> None:
    module = compiled(capped_from_below)
    inputs = [x.requires_grad_() for x in inputs_for(capped_from_below)]
    twins = [x.detach().clone().requires_grad_() for x in inputs]
    module(*inputs).sum().backward()
    capped_from_below.evaluate(*twins).sum().backward()
    for x, twin in zip(inputs, twins, strict=True):
        torch.testing.assert_close(x.grad, twin.grad)
