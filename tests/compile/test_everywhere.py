"""Modules with kernels do what modules do: torch.compile, export, autocast, copies; taps."""

import copy
import math
import pickle
import subprocess
import sys

import pytest
import torch

import vesalius as vs
from vesalius.anatomy.mechanism import CATALOGUE
from vesalius.diagrams.errors import StructureError

torch.set_num_threads(1)


def dot(q, k):
    return vs.contract(q, k, over="c")


def mixed(scores, v):
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def causal(scores, hidden=float("-inf")):
    return vs.where(vs.iota("m:n") <= vs.iota("n"), scores, hidden)


def sequence(name, body):
    @vs.diagram
    def mechanism(q: "b h n c", k: "b h n c", v: "b h n e") -> "b h n e":
        return body(q, k.rename(n="m"), v.rename(n="m"))

    mechanism.name = name
    return mechanism


def by_distance(q, k, v):
    """A convolution of keys with the queries, times the values."""
    far = vs.remainder(vs.iota("n") - vs.iota("m:n"), vs.size("n"))
    weights = causal(vs.gather(q, far, over="n"), 0.0) / vs.size("n")
    return vs.sum(vs.contract(weights, k, over="m"), "c") * v.rename(m="n")


def cosines(q, k, v):
    """The real part of a Fourier transform of the keys, times queries and values."""
    phase = 2 * math.pi * vs.to_float(vs.iota("n") * vs.iota("m:n")) / vs.size("n")
    return vs.sum(vs.contract(vs.cos(phase), k, over="m") * q, "c") * v.rename(m="n")


@vs.diagram
def gate(h: "c", q: "c", k: "c") -> {"h": "c", "each": "c"}:
    h = vs.sigmoid(q) * h + k
    return {"h": h, "each": h}


def recurrent(q, k, v):
    """A state that gates from queries let go on, times the values."""
    keys, start = k.rename(m="n"), vs.expand(0.0, "c")
    _, every = vs.scan(gate, over="n", states=[start], sequences=[q, keys])
    return vs.sum(every, "c") * v.rename(m="n")


@vs.diagram
def correct(s: "c e", q: "c", k: "c", v: "e") -> {"s": "c e", "each": "e"}:
    s = vs.exp(-q * q) * s + k * (v - dot(k, s) / vs.size("c"))
    return {"s": s, "each": dot(q, s)}


def corrected(q, k, v):
    """A state that fades by channels and is corrected at keys."""
    k, v, start = vs.tanh(k.rename(m="n")), v.rename(m="n"), vs.expand(0.0, "c e")
    return vs.scan(correct, over="n", states=[start], sequences=[q, k, v])[1]


MECHANISMS = {
    "recurrence": recurrent,
    "fast_weights": corrected,
    "convolution": by_distance,
    "fourier_matrix": cosines,
    "scaled_dot_product_attention": lambda q, k, v: mixed(causal(dot(q, k)), v),
    "chunked": lambda q, k, v: vs.contract(causal(dot(q, k), 0.0), v, over="m"),
    "tiles": lambda q, k, v: vs.contract(vs.sigmoid(dot(q, k)), v, over="m"),
    "product_order": lambda q, k, v: vs.contract(dot(q, k), v, over="m"),
}


def made(kernel):
    diagram = sequence(kernel, MECHANISMS[kernel])
    module = vs.to_torch(diagram)
    assert module.explain().kernels == [kernel]
    torch.manual_seed(0)
    return diagram, module, [torch.randn(2, 3, 33, 8, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("kernel", MECHANISMS)
def test_torch_compile_takes_it_whole_with_its_gradient(kernel) -> None:
    _, module, inputs = made(kernel)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), module(*inputs))
    for one, other in zip(
        torch.autograd.grad(compiled(*inputs).square().sum(), inputs),
        torch.autograd.grad(module(*inputs).square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_many_modules_are_compiled_in_one_process() -> None:
    """Dynamo counts recompilations by code: modules must not share theirs."""
    for width in range(12):
        factor = width + 1.5

        @vs.diagram
        def scaled(x: "n") -> "n":
            return vs.tanh(factor * x)  # noqa: B023

        compiled = torch.compile(vs.to_torch(scaled), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(torch.ones(3)), torch.tanh(factor * torch.ones(3)))


LOOPS = ("chunked", "recurrence", "fast_weights")


@pytest.mark.parametrize("kernel", MECHANISMS)
def test_export_at_other_lengths(kernel) -> None:
    _, module, inputs = made(kernel)
    length = torch.export.Dim("length", min=2, max=512)
    if kernel in (
        "chunked",
        "recurrence",
        "fast_weights",
    ):  # loops are written out: lengths are fixed
        exported = torch.export.export(module, tuple(inputs)).module()
    else:
        shapes = tuple({2: length} for _ in inputs)
        exported = torch.export.export(module, tuple(inputs), dynamic_shapes=shapes).module()
        longer = [torch.randn(2, 3, 50, 8) for _ in inputs]
        torch.testing.assert_close(exported(*longer), module(*longer), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(exported(*inputs), module(*inputs))


ELSEWHERE = """
import sys
import torch

sys.modules["vesalius"] = None  # importing it fails
program, inputs, wanted = (f"{sys.argv[1]}/{name}" for name in ("program", "inputs", "wanted"))
made = torch.export.load(program).module()(*torch.load(inputs))
torch.testing.assert_close(made, torch.load(wanted))
"""


@pytest.mark.parametrize("kernel", MECHANISMS)
def test_an_exported_program_runs_where_vesalius_is_not(kernel, tmp_path) -> None:
    _, module, inputs = made(kernel)
    given = [x.detach() for x in inputs]
    torch.export.save(torch.export.export(module, tuple(given)), tmp_path / "program")
    torch.save(given, tmp_path / "inputs")
    torch.save(module(*given), tmp_path / "wanted")
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path], check=True, timeout=120)


UNKNOWN_TO_ONNX = {"fast_weights": "solve_triangular"}


@pytest.mark.parametrize("kernel", [name for name in MECHANISMS if name not in UNKNOWN_TO_ONNX])
def test_onnx(kernel) -> None:
    """What an engine that others wrote makes of it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    _, module, inputs = made(kernel)
    given = tuple(x.detach() for x in inputs)
    program = torch.onnx.export(module, given, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    named = {x.name: value.numpy() for x, value in zip(session.get_inputs(), given, strict=True)}
    (found,) = session.run(None, named)
    torch.testing.assert_close(torch.tensor(found), module(*given), rtol=1e-4, atol=1e-4)


def test_what_onnx_has_no_operator_for_is_refused_by_name() -> None:
    pytest.importorskip("onnxruntime")

    bessel = vs.function("bessel", torch.special.bessel_j0)

    @vs.diagram
    def wave(x: "n") -> "n":
        return bessel(x)

    with pytest.raises(torch.onnx.OnnxExporterError, match="bessel_j0"):
        torch.onnx.export(vs.to_torch(wave), (torch.rand(3),), dynamo=True, verbose=False)
    for kernel, operator in UNKNOWN_TO_ONNX.items():
        _, module, inputs = made(kernel)
        given = tuple(x.detach() for x in inputs)
        with pytest.raises(torch.onnx.OnnxExporterError, match=operator):
            torch.onnx.export(module, given, dynamo=True, verbose=False)


@pytest.mark.parametrize("kernel", MECHANISMS)
def test_autocast(kernel) -> None:
    _, module, inputs = made(kernel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(*inputs)
    expected = module(*inputs)
    assert (found.float() - expected).norm() / expected.norm() < 0.03


@pytest.mark.parametrize("kernel", MECHANISMS)
def test_copies(kernel) -> None:
    _, module, inputs = made(kernel)
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(again(*inputs), module(*inputs))
        assert again.explain() == module.explain()
        assert again.source == module.source


# -- taps ---------------------------------------------------------------------------------------


def model():
    return CATALOGUE["encoder"](layers=2).over("b")


SIZES = {"d": 8, "h": 2, "c": 4, "e": 4, "f": 8}


def test_a_tap_returns_a_wire_and_leaves_the_other_kernels() -> None:
    module = vs.to_torch(model(), torch.float64, sizes=SIZES, seed=0)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    out, weights = module.tap("weights_2")(x)
    torch.testing.assert_close(out, module(x))
    assert weights.shape == (2, 2, 5, 5)  # b h n m
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    kernels = module.tap("weights_2").explain().kernels
    assert kernels.count("scaled_dot_product_attention") == 1
    assert module.explain().kernels.count("scaled_dot_product_attention") == 2
    assert list(module.tap("weights").state_dict()) == list(module.state_dict())


def test_a_tap_shares_parameters_and_their_gradients() -> None:
    module = vs.to_torch(model(), torch.float64, sizes=SIZES, seed=0)
    tap = module.tap("scores")
    names = dict(module.named_parameters())
    assert all(weight is names[name] for name, weight in tap.named_parameters())
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    tap(x)[1].sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in module.parameters())
    module.float()
    assert module.tap("scores")(x.float())[1].dtype == torch.float32
    assert "_taps" not in copy.deepcopy(module).__dict__
    pickle.loads(pickle.dumps(module))


def test_an_unknown_tap_names_those_that_there_are() -> None:
    module = vs.to_torch(sequence("attention", MECHANISMS["scaled_dot_product_attention"]))
    with pytest.raises(StructureError, match=r"no wire of that name; it has .*scores.*weights"):
        module.tap("wieghts")
