"""What follows from positions alone is computed in float32 at least, whatever a module's type."""

import pytest
import torch

import vesalius as vs
from vesalius.compile.precision import exact_floats

NARROW = [torch.bfloat16, torch.float16]


@vs.diagram
def rotary(x: "n c") -> "n c":
    """Channels turn in pairs, each pair by its own angle a step (arXiv 2104.09864)."""
    pairs = vs.split(x, "c", "p:2 f")
    turned = vs.contract(pairs, vs.constant([[0.0, 1.0], [-1.0, 0.0]], "p r"), over="p")
    angle = vs.iota("n") * vs.exp(vs.iota("f:c/2") * -18.42 / vs.size("c"))
    both = pairs * vs.cos(angle) + turned.rename(r="p") * vs.sin(angle)
    return vs.merge(both, "p f", "c")


@vs.diagram
def placed(x: "n c", at: "n int") -> "n c":
    """The positions are an input, as with packed documents or a cache."""
    return x * vs.cos(vs.to_float(at) * 0.7)


@vs.diagram
def waves(x: "n c") -> {"sum": "n c", "wave": "n c"}:
    """The wave is an output, too, and read by two."""
    wave = vs.sin(vs.iota("n") * vs.exp(vs.iota("c") * -0.3))
    return {"sum": x + wave, "wave": wave}


@vs.diagram
def faded(q: "n c", k: "m c", v: "m e") -> "n e":
    """A nearly linear function of positions where these are many."""
    far = vs.abs(vs.iota("n") - vs.iota("m"))
    scores = vs.contract(q, k, over="c") - far / 1000
    return vs.contract(vs.sigmoid(scores), v, over="m") / vs.size("m")


CASES = [(rotary, 4096), (placed, 4096), (waves, 4096), (faded, 700)]


def inputs_of(diagram, n, dtype):
    torch.manual_seed(0)
    sizes = {"n": n, "m": n, "c": 8, "e": 4}
    made = []
    for type_ in diagram.input_types.values():
        shape = [size.at(sizes) for size in type_.axes.values()]
        whole = type_.dtype == "int"
        made.append(torch.randint(n, shape) if whole else torch.randn(shape).to(dtype))
    return made


def all_of(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(("diagram", "n"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_far_positions_are_told_apart(diagram, n, dtype) -> None:
    inputs = inputs_of(diagram, n, dtype)
    found = all_of(vs.to_torch(diagram, dtype)(*inputs))
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    for ours, theirs in zip(found, all_of(diagram.evaluate(*wide)), strict=True):
        assert ours.dtype == dtype
        assert (ours.double() - theirs).norm() < 6e-3 * theirs.norm()


@pytest.mark.parametrize(("diagram", "n"), CASES, ids=lambda x: getattr(x, "name", ""))
def test_it_is_exact_in_float64_and_compiles_whole(diagram, n) -> None:
    inputs = inputs_of(diagram, 300, torch.float64)
    module = vs.to_torch(diagram, torch.float64)
    for ours, theirs in zip(
        all_of(module(*inputs)), all_of(diagram.evaluate(*inputs)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    narrow = [x.bfloat16() if x.is_floating_point() else x for x in inputs]
    module = vs.to_torch(diagram, torch.bfloat16)
    whole = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(whole(*narrow), module(*narrow))
    program = torch.export.export(module, tuple(narrow))
    torch.testing.assert_close(program.module()(*narrow), module(*narrow))


def test_a_module_that_is_cast_later_computes_the_same() -> None:
    x = torch.randn(600, 8).bfloat16()
    cast, made = vs.to_torch(rotary).bfloat16(), vs.to_torch(rotary, torch.bfloat16)
    assert torch.equal(cast(x), made(x))


def test_what_depends_on_floats_is_not_exact() -> None:
    @vs.diagram
    def mixed(x: "n", k: "n int") -> "n":
        learned = vs.parameter("slope", "")
        near = vs.where(vs.iota("n") > 3, 0.5, 1.5)
        return learned * vs.iota("n") + vs.exp(k / 2) + x + near + vs.sqrt(vs.size("n"))

    exact = {mixed.nodes[mixed.owner[wire]].box.kind.name for wire in exact_floats(mixed)}
    functions = {
        mixed.nodes[mixed.owner[wire]].box["function"].name
        for wire in exact_floats(mixed)
        if mixed.nodes[mixed.owner[wire]].box.kind.name == "pointwise"
    }
    assert "exp" in functions
    assert not functions & {"where", "sqrt"}
    assert exact <= {"pointwise", "contract"}
    assert "wide = torch.promote_types" in vs.to_torch(mixed).source
    assert "promote_types" not in vs.to_torch(vs.anatomy["scaled_dot_product"](causal=True)).source
