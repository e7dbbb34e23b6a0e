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


# -- exponents, gates, waves with parameters, routers ---------------------------------------------


def sums_to(x):
    """Σ_{m ≤ n} x[m]."""
    x = x.rename(n="m")
    return vs.sum(vs.where(vs.iota("m:n") <= vs.iota("n"), x, 0.0), "m")


def mixed(scores, v):
    shown = vs.iota("m:n") <= vs.iota("n")
    weights = vs.softmax(vs.where(shown, scores, float("-inf")), "m")
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def forgets(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """The bias is a channel of fused attention."""
    level = sums_to(-vs.softplus(vs.sum(gate, "c") * 0.2))
    scores = vs.contract(q, k.rename(n="m"), over="c") / 8
    return mixed(scores + level - level.rename(n="m"), v)


@vs.diagram
def forgets_by_a_sigmoid(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """As it is written."""
    level = sums_to(-vs.softplus(vs.sum(gate, "c") * 0.2))
    scores = vs.contract(q, k.rename(n="m"), over="c") / 8 + level - level.rename(n="m")
    weights = vs.where(vs.iota("m:n") <= vs.iota("n"), vs.sigmoid(scores), 0.0)
    return vs.contract(weights, v.rename(n="m"), over="m")


@vs.diagram
def fades(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """A causal sum with decay, in chunks."""
    level = sums_to(-vs.softplus(vs.sum(gate, "c") * 0.2))
    kept = vs.exp(level - level.rename(n="m"))
    shown = vs.iota("m:n") <= vs.iota("n")
    weights = vs.contract(q, k.rename(n="m"), over="c") * kept
    return vs.contract(vs.where(shown, weights, 0.0), v.rename(n="m"), over="m")


@vs.diagram
def gated(h: "c", x: "c", gate: "c") -> {"h": "c", "each": "c"}:
    kept = vs.sigmoid(gate + 5)
    h = kept * h + (1 - kept) * x
    return {"h": h, "each": h}


@vs.diagram
def remembers(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """A recurrence whose gates are near 1."""
    _, each = vs.scan(gated, over="n", states=[vs.expand(0.0, "c")], sequences=[v, gate])
    return each


@vs.diagram
def routes(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """The nearest of some columns decides which values there are."""
    q = q - vs.mean(q, "c")
    q = q / vs.sqrt(vs.mean(q * q, "c") + 1e-5)
    scores = vs.contract(q, vs.parameter("columns", "c s:6", trainable=False), over="c")
    _, place = vs.topk(scores, "s", "t:1")
    return v * vs.to_float(vs.sum(place, "t") + 1)


@vs.diagram
def learned_waves(q: "n c", k: "n c", v: "n c", gate: "n c") -> "n c":
    """Frequencies are parameters, twice."""
    inner = vs.sin(vs.iota("n") * vs.parameter("rate", "c", init="ones"))
    mix = vs.parameter("mix", "c b:c")
    return v * vs.sin(10 * vs.contract(inner, mix, over="c")).rename(b="c")


GROWING = [forgets, forgets_by_a_sigmoid, fades, remembers, routes, learned_waves]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("diagram", GROWING, ids=lambda diagram: diagram.name)
def test_errors_do_not_grow_along_positions(diagram, dtype) -> None:
    torch.manual_seed(0)
    given = [torch.randn(700, 8).to(dtype).requires_grad_() for _ in range(4)]
    module = vs.to_torch(diagram, dtype, sizes={"c": 8} if diagram.parameters else {}, seed=1)
    own = {k: x.double() for k, x in module.state_dict().items()}
    wide = [x.detach().double().requires_grad_() for x in given]
    found = module(*given)
    wanted = diagram.evaluate(*wide, parameters=own, sizes={"n": 700, "c": 8})
    assert found.dtype == dtype
    assert (found - wanted).norm() < 1.2e-2 * wanted.norm()
    seeds = torch.randn(700, 8).to(dtype)
    ours = torch.autograd.grad(found, given[2], seeds)[0]  # of values; gates get differences
    theirs = torch.autograd.grad(wanted, wide[2], seeds.double())[0]
    assert (ours - theirs).norm() < 1.2e-2 * theirs.norm()


@pytest.mark.parametrize("diagram", GROWING, ids=lambda diagram: diagram.name)
def test_they_are_exact_in_float64_and_compile_whole(diagram) -> None:
    torch.manual_seed(0)
    given = [torch.randn(70, 8, dtype=torch.float64) for _ in range(4)]
    sizes = {"c": 8} if diagram.parameters else {}
    module = vs.to_torch(diagram, torch.float64, sizes=sizes, seed=1)
    own = {k: x.detach() for k, x in module.state_dict().items()}
    wanted = diagram.evaluate(*given, parameters=own, sizes={"n": 70, "c": 8})
    torch.testing.assert_close(module(*given), wanted, rtol=1e-9, atol=1e-9)
    narrow = [x.bfloat16() for x in given]
    module = vs.to_torch(diagram, torch.bfloat16, sizes=sizes, seed=1)
    whole = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(whole(*narrow), module(*narrow), rtol=2e-2, atol=2e-2)


def test_what_holds_no_running_sum_is_computed_in_its_own_type() -> None:
    for name in ("multihead", "linear", "alibi", "top_k", "block"):
        diagram = vs.anatomy[name]()
        sizes = dict.fromkeys(set(diagram.size_variables) - {"n", "m"}, 2)
        source = vs.to_torch(diagram, sizes=sizes).source
        assert "wide" not in source[source.index("class ") :] or name == "alibi"
