"""Every kind of box has a lowering or a stated refusal."""

import subprocess
import sys

import pytest
import torch

import vesalius as vs
from vesalius.compile.lowerings import LOWERINGS, REFUSALS, lowering
from vesalius.diagrams.box import KINDS, Kind, declare
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.errors import StructureError

PACKAGE = "vesalius."


def test_every_kind_has_a_lowering_or_a_refusal() -> None:
    ours = {name for name, kind in KINDS.items() if kind.meaning.__module__.startswith(PACKAGE)}
    assert ours - set(OWN) == set(LOWERINGS) | set(REFUSALS)
    assert not set(LOWERINGS) & set(REFUSALS)


@pytest.mark.parametrize("name", [*LOWERINGS, *REFUSALS])
def test_each_says_what_it_does(name) -> None:
    text = LOWERINGS[name].text if name in LOWERINGS else REFUSALS[name]
    assert text.strip() == text != ""
    assert "\n" not in text
    if name in REFUSALS:
        with pytest.raises(StructureError, match=text):
            lowering(KINDS[name])


def test_a_kind_without_a_lowering_is_refused_by_name() -> None:
    kind = KINDS.get("lowerings_test") or declare(
        Kind("lowerings_test", "", "", lambda algebra, site, inputs: inputs)
    )
    builder = vs.Builder("strange")
    x = builder.input("x", "n")
    made = builder.add(kind, (), [(x.id, x.names)])
    diagram = builder.diagram(vs.Wire(builder, made.wires.start, ("n",)))
    with pytest.raises(StructureError, match=r"'lowerings_test' cannot be compiled.*LOWERINGS"):
        vs.to_torch(diagram)


# Other tests declare functions of their own.
OURS = [name for name in FUNCTIONS if name in vs.__all__]


def test_the_list_of_functions_is_not_empty() -> None:
    assert len(OURS) > 30


POINTS = [-1.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("nested", [False, True])
def test_every_function_is_what_the_reference_says(name, nested) -> None:
    function = FUNCTIONS[name]
    dtype = function.takes if function.takes in ("int", "bool") else "float"
    builder = vs.Builder("one")
    axes = ["a", "b", "c"][: function.arity]
    wires = [builder.input(f"x{k}", f"{axis} {dtype}") for k, axis in enumerate(axes)]
    if name == "where":
        wires[0] = vs.less(wires[0], 0.3)
    with builder:
        if nested and dtype == "float" and name != "where":  # where brackets may be needed
            wires = [-(x + 0.5) for x in wires]
        numbers = dict.fromkeys(function.parameters, 2)
        result = function(*wires, **numbers)
        if nested and function.gives == "same" and dtype == "float":
            result = -(result**2) * 3
        diagram = builder.diagram(result)
    module = vs.to_torch(diagram, torch.float64)
    values = torch.tensor(POINTS, dtype=torch.float64)
    if dtype == "int":
        inputs = [torch.tensor([-3, -1, 0, 2, 7]), torch.tensor([-2, 1, 3])][: function.arity]
    elif dtype == "bool":
        inputs = [torch.tensor([False, True])] * function.arity
    else:
        inputs = [values] * function.arity
    expected = diagram.evaluate(*inputs)
    torch.testing.assert_close(module(*inputs), expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", OURS)
def test_every_function_takes_numbers_and_sizes(name) -> None:
    function = FUNCTIONS[name]
    if function.takes == "bool":
        choices = [[True], [False]]
    elif function.takes == "int":
        choices = [[7, 2], [vs.size("n"), 3]]
    else:
        choices = [
            [0.5, 2],
            [vs.size("n"), 0.25],
            [vs.size("n-4"), vs.size("n")],
            [0, 0],
            [-1.0, 3],
        ]
    for choice in choices:
        builder = vs.Builder("numbers")
        x = builder.input("x", "n")
        with builder:
            arguments = [vs.constant(value) for value in (choice * 3)[: function.arity]]
            if name == "where":
                arguments[0] = vs.less(arguments[0], 1)
            result = function(*arguments, **dict.fromkeys(function.parameters, 2))
            scale = result if result.dtype == "float" else vs.to_float(result)
            diagram = builder.diagram(vs.expand(result, "k:2"), x * scale, x + scale)
        module = vs.to_torch(diagram, torch.float64)
        values = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        for found, expected in zip(module(values), diagram.evaluate(values), strict=True):
            assert found.dtype == expected.dtype, module.source
            torch.testing.assert_close(found, expected, equal_nan=True, msg=module.source)


def test_importing_the_compiler_loads_no_torch() -> None:
    code = "import sys, vesalius.compile; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_a_quotient_by_a_sum_is_repeated_whole():
    """`(total / y.sum(-1))[..., None]` is not `total / y.sum(-1, keepdim=True)`."""

    @vs.diagram
    def shares(y: "h r c", total: "h r") -> "h r c":
        return vs.contract(vs.contract(total, 1 / vs.sum(y, "c")), y)

    y, total = (torch.rand(shape, dtype=torch.float64) for shape in ((2, 3, 4), (2, 3)))
    module = vs.to_torch(shares, torch.float64)
    torch.testing.assert_close(module(y, total), shares.evaluate(y, total))


def test_windows_of_which_there_are_none_keep_the_graph() -> None:
    """What is empty has a gradient, of zeros, like anything else."""

    @vs.diagram
    def windowed(x: "n c") -> "i:n-1 w:2 c":
        return vs.negate(vs.window(x, "n", "i w:2"))

    x = torch.randn(1, 3, requires_grad=True)
    made = vs.to_torch(windowed)(x)
    assert made.shape == (0, 2, 3)
    made.sum().backward()
    assert torch.equal(x.grad, torch.zeros(1, 3))
