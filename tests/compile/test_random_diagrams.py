"""Random diagrams of every kind of box: the compiled module is what the reference says."""

from collections import Counter

import pytest
import torch
from grower import Grower
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.check import conditions
from vesalius.compile.layout import layout
from vesalius.compile.lowerings import LOWERINGS
from vesalius.compile.module import tellable
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.names import sizes_of

torch.set_num_threads(1)


def arguments_for(diagram, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    found = []
    for type_ in diagram.input_types.values():
        shape = [size.at(sizes) for size in type_.axes.values()]
        if type_.dtype == "int":
            found.append(torch.randint(0, 4, shape, generator=generator))
        elif type_.dtype == "bool":
            found.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            found.append(torch.randn(shape, generator=generator, dtype=torch.float64))
    return found


def told(diagram, sizes):
    """The sizes that its module may be told."""
    return {name: sizes[name] for name in tellable(diagram)}


def drawn(diagram, sizes, seed):
    """What the module will draw: each source once, in the order of the diagram."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for token, node in diagram.tokens:
        if type(token).__name__ != "Draw":
            continue
        shape = [size.at(sizes) for size in diagram.types[node.first].sizes]
        if token.distribution == "bernoulli":
            found[token.name] = torch.rand(shape, generator=generator) < token.p
        else:
            make = torch.randn if token.distribution == "normal" else torch.rand
            found[token.name] = make(shape, generator=generator, dtype=torch.float64)
    return found


def compare(diagram, sizes, seed):
    """Module and reference agree on values; returns both, or None where both refuse the sizes."""
    module = vs.to_torch(diagram, dtype=torch.float64, sizes=told(diagram, sizes), seed=seed)
    inputs = arguments_for(diagram, sizes, seed)
    try:
        known = sizes_of(diagram, sizes)
        expected = diagram.evaluate(
            *inputs, sizes=known, seed=seed, randoms=drawn(diagram, sizes, seed)
        )
    except (VesaliusError, RuntimeError):  # torch refuses a remainder by zero
        with pytest.raises((VesaliusError, RuntimeError)):
            module(*inputs)
        return None
    options = {"generator": torch.Generator().manual_seed(seed)} if diagram.randoms else {}
    found = module(*inputs, **options)
    pairs = (
        list(zip(found, expected, strict=True)) if isinstance(found, tuple) else [(found, expected)]
    )
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape, module.source
        assert ours.dtype == theirs.dtype, module.source
        same = torch.allclose(ours.double(), theirs.double(), rtol=1e-9, atol=1e-9, equal_nan=True)
        assert same, module.source
    return module, inputs, pairs


@given(st.integers(0, 10**9), st.integers(1, 25))
@settings(max_examples=250)
def test_a_module_is_what_its_diagram_means(seed, steps) -> None:
    grower = Grower(seed)
    compare(grower.diagram(steps, seed % 3 + 1), grower.sizes, seed % 1000)


@given(st.integers(0, 10**9), st.integers(1, 25))
@settings(max_examples=150)
def test_a_module_of_a_narrow_type_runs_and_stays_in_it(seed, steps) -> None:
    """Values are compared elsewhere: random diagrams magnify what bfloat16 rounds."""
    grower = Grower(seed)
    diagram = grower.diagram(steps, seed % 3 + 1)
    sizes = {name: size for name, size in grower.sizes.items() if name in tellable(diagram)}
    module = vs.to_torch(diagram, dtype=torch.bfloat16, sizes=sizes, seed=0)
    inputs = arguments_for(diagram, grower.sizes, seed % 1000)
    narrow = [x.bfloat16() if x.is_floating_point() else x for x in inputs]
    try:
        found = module(*narrow)
    except (VesaliusError, RuntimeError):
        with pytest.raises((VesaliusError, RuntimeError)):
            vs.to_torch(diagram, dtype=torch.float64, sizes=sizes, seed=0)(*inputs)
        return
    found = found if isinstance(found, tuple) else (found,)
    for x, port in zip(found, diagram.outputs, strict=True):
        wanted = {"float": torch.bfloat16, "int": torch.int64, "bool": torch.bool}
        assert x.dtype == wanted[diagram.types[port.wire].dtype], module.source


@given(st.integers(0, 10**9), st.integers(1, 12))
@settings(max_examples=80)
def test_with_axes_of_length_zero(seed, steps) -> None:
    grower = Grower(seed, empty=True)
    compare(grower.diagram(steps, 1), grower.sizes, seed % 1000)


@given(st.integers(0, 10**9), st.integers(1, 16))
@settings(max_examples=100)
def test_gradients_are_those_of_the_reference(seed, steps) -> None:
    grower = Grower(seed)
    diagram = grower.diagram(steps, 1)
    if diagram.output_types["out0"].dtype != "float":
        return
    module = vs.to_torch(diagram, dtype=torch.float64, sizes=told(diagram, grower.sizes), seed=seed)
    inputs = arguments_for(diagram, grower.sizes, seed)
    leaves = [x.requires_grad_() for x in inputs if x.is_floating_point()]
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    randoms = drawn(diagram, grower.sizes, seed)
    options = {"generator": torch.Generator().manual_seed(seed)} if diagram.randoms else {}
    try:
        known = sizes_of(diagram, grower.sizes)
        expected = diagram.evaluate(*inputs, sizes=known, parameters=weights, randoms=randoms)
    except (VesaliusError, RuntimeError):
        return
    found = module(*inputs, **options)
    weigh = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    leaves += [weight for weight in weights.values() if weight.requires_grad]
    if not leaves or not expected.requires_grad:
        assert not found.requires_grad
        return
    ours, theirs = (
        torch.autograd.grad((y * weigh).sum(), leaves, allow_unused=True) for y in (found, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:
            # Where nothing depends on it, or depends on it by a factor of zero.
            left = one if one is not None else other
            assert left is None or not left.any(), module.source
        else:
            assert torch.allclose(one, other, rtol=1e-8, atol=1e-9, equal_nan=True), module.source


def test_together_they_have_every_kind_of_box() -> None:
    seen = Counter()
    for seed in range(250):
        grower = Grower(seed)
        diagram = grower.diagram(seed % 25 + 1, 3)
        seen.update(node.box.kind.name for node in diagram.boxes)
    assert set(LOWERINGS) | {"random_outer"} <= set(seen)


@given(st.integers(0, 10**9), st.integers(1, 25))
@settings(max_examples=60)
def test_a_text_is_the_same_each_time_and_runs_by_itself(seed, steps) -> None:
    grower = Grower(seed)
    diagram = grower.diagram(steps, 1)
    module = vs.to_torch(diagram, dtype=torch.float64, sizes=told(diagram, grower.sizes), seed=seed)
    assert module.source == vs.to_torch(diagram, sizes=told(diagram, grower.sizes)).source
    assert all(len(line) <= 100 for line in module.source.splitlines())
    namespace = {}
    exec(module.source, namespace)
    written = type(module).__mro__[1]
    names = written.__init__.__code__.co_varnames[1 : written.__init__.__code__.co_argcount]
    own = "__init__" in vars(written)
    alone = namespace[written.__name__](*(module.sizes[n] for n in names) if own else ()).double()
    assert {k: v.shape for k, v in alone.state_dict().items()} == {
        k: v.shape for k, v in module.state_dict().items()
    }
    alone.load_state_dict(module.state_dict())
    inputs = arguments_for(diagram, grower.sizes, seed)
    try:
        expected = module(*inputs, **({"generator": torch.Generator().manual_seed(0)}
                                      if diagram.randoms else {}))  # fmt: skip
    except (VesaliusError, RuntimeError):
        return
    options = {"generator": torch.Generator().manual_seed(0)} if diagram.randoms else {}
    torch.testing.assert_close(alone(*inputs, **options), expected, rtol=0, atol=0, equal_nan=True)


def test_conditions_are_found_inside_named_boxes() -> None:
    @vs.diagram
    def inner(x: "n") -> "":
        return vs.max(x, "n")

    @vs.diagram
    def outer_(x: "b n") -> "b":
        return inner.boxed(x)

    assert [str(condition.size) for condition in conditions(outer_)] == ["n - 1"]


def test_an_order_is_a_permutation_of_the_slots() -> None:
    for seed in range(60):
        diagram = Grower(seed).diagram(seed % 20 + 1, 2)
        ends = [port.slots for port in diagram.outputs]
        found = layout(diagram, [port.slots for port in diagram.inputs], ends)
        for order, type_ in zip(found, diagram.types, strict=True):
            assert sorted(order) == list(range(len(type_.sizes)))
        for node in diagram.boxes:
            if node.box.kind.name == "parameter":
                assert found[node.first] == tuple(range(len(node.box.new)))
