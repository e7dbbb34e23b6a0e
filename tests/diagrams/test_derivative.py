"""The derivative of a diagram against torch's autograd."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.box import KINDS
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.names import sizes_of


def float_names(types):
    return [name for name, type_ in types.items() if type_.dtype == "float"]


def autograd(diagram, inputs, parameters, cotangents, sizes):
    """The same gradients from torch: of Σ y·dy, for all inputs and parameters that are floats."""
    wanted = [
        torch.tensor(x, dtype=torch.float64, requires_grad=True) if t.dtype == "float" else x
        for x, t in zip(inputs, diagram.input_types.values(), strict=True)
    ]
    own = {
        name: torch.tensor(x, dtype=torch.float64, requires_grad=True)
        for name, x in parameters.items()
    }
    found = diagram.evaluate(*wanted, parameters=own, sizes=sizes)
    outputs = found if isinstance(found, tuple) else (found,)
    types = diagram.output_types.values()
    floats = [y for y, t in zip(outputs, types, strict=True) if t.dtype == "float"]
    pairs = [(y, dy) for y, dy in zip(floats, cotangents, strict=True) if y.requires_grad]
    sources = [x for x in wanted if isinstance(x, torch.Tensor) and x.requires_grad]
    sources += own.values()
    if not pairs:
        return [torch.zeros_like(x) for x in sources]
    return torch.autograd.grad(
        [y for y, _ in pairs],
        sources,
        [dy for _, dy in pairs],
        allow_unused=True,
        materialize_grads=True,
    )


def check(diagram, inputs, parameters, sizes, seed=0):
    rng = np.random.default_rng(seed)
    types = {n: t for n, t in diagram.output_types.items() if t.dtype == "float"}
    if not types:
        return
    back = vs.grad(diagram)
    seeded = len(back.inputs) == len(diagram.inputs)
    shapes = [tuple(s.at(sizes) for s in t.axes.values()) for t in types.values()]
    cotangents = [
        torch.ones(()).double() if seeded else torch.tensor(rng.integers(-4, 5, shape)).double()
        for shape in shapes
    ]
    extra = [] if seeded else cotangents
    used = {name: value for name, value in parameters.items() if name in back.parameters}
    ours = back.evaluate(*inputs, *extra, parameters=used, sizes=sizes_of(back, sizes))
    ours = ours if isinstance(ours, tuple) else (ours,)
    left = {name: parameters[name] for name in diagram.unfold().parameters}
    theirs = autograd(diagram.unfold(), inputs, left, cotangents, sizes)
    assert [port.name for port in back.outputs] == [
        f"d_{name}" for name in (*float_names(diagram.input_types), *diagram.unfold().parameters)
    ]
    for name, one, other in zip(back.output_types, ours, theirs, strict=True):
        assert one.shape == other.shape, name
        torch.testing.assert_close(
            one,
            other,
            rtol=1e-9,
            atol=1e-9,
            equal_nan=True,
            msg=lambda reason, name=name: f"d_{name}: {reason}\n{diagram}",
        )


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_random_diagrams(data):
    diagram = data.draw(testing.diagrams(tubes=data.draw(st.booleans())))
    sizes = data.draw(testing.sizes_for(diagram))
    inputs = data.draw(testing.inputs_for(diagram, sizes))
    parameters = data.draw(testing.parameters_for(diagram, sizes))
    check(diagram, inputs, parameters, sizes)


# -- every kind ---------------------------------------------------------------------------------

STEP = vs.Builder("step")
with STEP:
    _s, _i = STEP.input("s", "c"), STEP.input("count", "int")
    _x, _k = STEP.input("x", "d"), STEP.input("k", "c d")
    _w = vs.parameter("w", "c", init="ones")
    _next = vs.tanh(_s * _w + vs.contract(_k, _x, over="d")) + vs.to_float(_i)
    STEP = STEP.diagram(s=_next, count=_i + 1, y=vs.contract(_next, _next, over="c") * _s)


def scanned(x, reverse):
    start = vs.sum(x, "n d") * 0.1
    k = vs.expand(vs.iota("c:2") * 0.5, "d") + vs.parameter("k", "c:2 d")
    state, _, y = vs.scan(
        STEP,
        over="n",
        states=[vs.expand(start, "c:2"), 0],
        sequences=[x],
        captured=[k],
        reverse=reverse,
    )
    return vs.sum(state, "c") + vs.sum(y, "c n")


PROGRAMS = {
    "contract": lambda x: vs.contract(x, x.rename(n="m"), vs.iota("d"), over="d"),
    "add": lambda x: vs.add(x, vs.sum(x, "d"), x.rename(n="m"), 1),
    "reductions": lambda x: vs.max(x, "n") + vs.min(x, "d") * vs.max(vs.relu(x), "n d"),
    "softmax": lambda x: vs.softmax(x, over="n") * vs.softmax(x, over="n d"),
    "masked": lambda x: vs.softmax(vs.where(vs.iota("n") < 2, x, float("-inf")), over="n"),
    "expand": lambda x: vs.sum(vs.expand(x, "h:3") * vs.iota("h:3"), "h"),
    "split": lambda x: vs.split(vs.merge(x, "n d", "k"), "k", "d:d n:n") * x,
    "concat": lambda x: vs.concat(x, vs.power(x, 2), x, over="n", into="k"),
    "slice": lambda x: vs.add(
        vs.slice(x, "n", 1, into="k") * 2,
        vs.sum(vs.slice(x, "n", step=-1), "n"),
        vs.sum(vs.slice(x, "n", step=2, into="i"), "i"),
        vs.sum(vs.slice(x, "n", vs.size("n") - 1, length=1, step=-3), "n"),
    ),
    "pad": lambda x: vs.power(vs.pad(x, "n", 2, 1, 0.5), 3),
    "window": lambda x: vs.add(
        vs.sum(vs.window(x, "n", "i w:2") * vs.iota("w:2"), "i"),
        vs.sum(vs.window(x, "n", "i w:2", dilation=2), "i") * vs.iota("w:2"),
        vs.sum(vs.window(x, "n", "i w:2", stride=2), "i"),
    ),
    "diagonal": lambda x: vs.diagonal(x * x.rename(n="m") * x.rename(n="k"), "n m k", "i"),
    "gather": lambda x: vs.gather(x, vs.remainder(vs.iota("j:7"), 3), over="n"),
    "topk": lambda x: vs.topk(x, "n", "k:2")[0] * vs.topk(x, "n", "k:2", largest=False)[0],
    "fourier": lambda x: vs.add(
        vs.fourier(x, vs.power(x, 2), over="n")[0] * vs.iota("n"),
        vs.fourier(x, over="d", inverse=True)[1],
    ),
    "scan": lambda x: scanned(x, reverse=False) * scanned(x, reverse=True),
}


def program(name):
    with vs.Builder(name) as b:
        return b.diagram(y=PROGRAMS[name](b.input("x", "b n d")))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_in_a_tube(name, seed):
    diagram = program(name)
    rng = np.random.default_rng(seed)
    sizes = {"b": 2, "n": 5 + seed, "d": 3}
    x = rng.normal(size=tuple(sizes.values()))
    parameters = {
        n: rng.normal(size=[s.at(sizes) for s in t.axes.values()])
        for n, t in diagram.parameters.items()
    }
    check(diagram, [x], parameters, sizes, seed)
    check(vs.grad(diagram), [x, *cotangents(diagram, rng, sizes)], parameters, sizes, seed)


def cotangents(diagram, rng, sizes):
    if len(vs.grad(diagram).inputs) == len(diagram.inputs):
        return []
    return [
        rng.normal(size=[s.at(sizes) for s in t.axes.values()])
        for t in diagram.output_types.values()
    ]


def test_every_kind_is_differentiated_or_says_why_not():
    sources = {"input", "parameter", "random", "constant", "iota"}
    for kind in KINDS.values():
        if kind.name in sources or kind.name.endswith("_test"):
            continue
        assert (kind.pullback is None) == (
            kind.derivative.startswith(("none", "as torch")) or kind.name == "named"
        ), kind.name


def test_every_function_is_differentiated_or_says_why_not():
    for function in FUNCTIONS.values():
        if function.derivative:
            assert (function.pullback is None) == function.derivative.startswith("none"), function


SMOOTH = [f for f in FUNCTIONS.values() if f.pullback is not None]


@pytest.mark.parametrize("function", SMOOTH, ids=lambda f: f.name)
def test_every_function(function):
    numbers = {name: 3 if name == "exponent" else 0.25 for name in function.parameters}
    with vs.Builder(function.name) as b:
        x, z = b.input("x", "n"), b.input("z", "m")
        arguments = [x > 0.5, x, z] if function.name == "where" else [x, z][: function.arity]
        diagram = b.diagram(y=function(*arguments, **numbers))
    positive = function.name in ("log", "sqrt", "reciprocal")
    x = np.array([0.3, 1.5, 2.0, 0.5]) if positive else np.array([-1.5, 0.0, 0.7, 2.0])
    check(diagram, [x, np.array([2.0, -1.0, 0.7])], {}, {"n": 4, "m": 3})


# -- what it says of itself ---------------------------------------------------------------------


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.contract(weights, v, over="m")


def test_the_interface():
    back = vs.grad(attention.over("b h"))
    assert [*back.input_types] == ["q", "k", "v", "d_out"]
    assert back.output_types["d_k"] == back.input_types["k"]
    assert [*vs.grad(attention, "v").output_types] == ["d_v"]
    both = vs.grad(attention, ["k"], values=True)
    assert [*both.output_types] == ["out", "d_k"]


def test_only_what_is_needed_is_there():
    back = vs.grad(attention, "v")
    assert "softmax" in str(back)
    assert len(back) == 3  # scores, weights, and their product with the cotangent


def test_the_forward_boxes_are_shared():
    both = vs.grad(attention, values=True)
    assert len(both) == len(vs.grad(attention)) + 1


def test_parameters_stay_the_same_parameters():
    with vs.Builder("f") as b:
        f = b.diagram(y=vs.sum(vs.linear(b.input("x", "d:3"), "d", "e:2", name="w"), "e"))
    back = vs.grad(f)
    assert [*back.output_types] == ["d_x", "d_w"]
    assert back.tokens[0][0] is f.tokens[0][0]


def test_a_gradient_is_compiled():
    module = vs.to_torch(vs.grad(attention), dtype=torch.float64)
    q, k, v, d = (torch.randn(n, 4, dtype=torch.float64, requires_grad=True) for n in (3, 5, 5, 3))
    theirs = torch.autograd.grad(torch.softmax(q @ k.T, 1) @ v, [q, k, v], d.detach())
    for one, other in zip(module(q, k, v, d), theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: vs.grad(attention, "x"), "no input or parameter 'x'"),
        (lambda: vs.grad(attention, of="x"), "no output 'x'"),
        (lambda: vs.grad(attention, of=""), "no output of attention"),
    ],
)
def test_unknown_names(act, words):
    with pytest.raises(vs.VesaliusError, match=words):
        act()


def test_integers_have_no_tangent():
    with vs.Builder("f") as b:
        x, i = b.input("x", "n"), b.input("i", "n int")
        f = b.diagram(y=x * i, j=i + 1)
    assert [*vs.grad(f).output_types] == ["d_x"]
    with pytest.raises(vs.TypeClash, match="only floats"):
        vs.grad(f, "i")
    with pytest.raises(vs.TypeClash, match="only floats"):
        vs.grad(f, of="j")


def test_a_learner_is_filled_first():
    with vs.Builder("f") as b:
        f = b.diagram(y=vs.learner("u", b.input("x", "n"), binds="n"))
    with pytest.raises(vs.StructureError, match="fill the learner 'u'"):
        vs.grad(f)


def test_own_functions_bring_their_pullback():
    cube = vs.function("cube_test", lambda x: x**3, pullback=lambda d, x, y: [d * (3 * x * x)])
    bare = vs.function("bare_test", lambda x: x**3)
    for own in (cube, bare):
        with vs.Builder("f") as b:
            f = b.diagram(y=own(b.input("x", "n")))
        if own is cube:
            check(f, [np.array([1.0, -2.0])], {}, {"n": 2})
        else:
            with pytest.raises(vs.TypeClash, match="declare it with a pullback"):
                vs.grad(f)


def test_a_state_that_lacks_a_tube_of_what_is_read_is_counted_once():
    """s′ = sin s reads no x, so it lacks the tube b of x; y = s·x has it, and pulls back to s."""

    @vs.diagram
    def cell(s: "", x: "") -> {"s": "", "y": ""}:
        return {"s": vs.sin(s), "y": s * x}

    @vs.diagram
    def whole(s: "", x: "b n") -> {"last": "", "y": "b n"}:
        last, y = vs.scan(cell, over="n", states=[s], sequences=[x])
        return {"last": last, "y": y}

    rng = np.random.default_rng(0)
    for b in (1, 3):
        s, x = torch.tensor(0.7).double(), torch.tensor(rng.normal(size=(b, 4))).double()
        check(whole, [s, x], {}, {"b": b, "n": 4})


def test_states_meet_in_what_they_read():
    """u has the tube b from its start, s has none; both pull back to x, which has none either."""

    @vs.diagram
    def cell(u: "", s: "", x: "") -> {"u": "", "s": ""}:
        return {"u": vs.sin(x), "s": vs.tanh(2 * x)}

    @vs.diagram
    def whole(u: "b", s: "", x: "n") -> {"u": "b", "s": ""}:
        last = vs.scan(cell, over="n", states=[u, s], sequences=[x])
        return {"u": last[0], "s": last[1]}

    rng = np.random.default_rng(0)
    u, s, x = (torch.tensor(rng.normal(size=shape)).double() for shape in ((3,), (), (4,)))
    check(whole, [u, s, x], {}, {"b": 3, "n": 4})


def test_what_is_collected_may_lack_a_tube_too():
    """y lacks the tube b that z has of v; both pull back to x, which has none either."""

    @vs.diagram
    def cell(x: "", v: "") -> {"y": "", "z": ""}:
        return {"y": vs.sin(x), "z": x * v}

    @vs.diagram
    def whole(x: "n", v: "b n") -> {"y": "n", "z": "b n"}:
        y, z = vs.scan(cell, over="n", states=[], sequences=[x, v])
        return {"y": y, "z": z}

    rng = np.random.default_rng(0)
    x, v = (torch.tensor(rng.normal(size=shape)).double() for shape in ((4,), (3, 4)))
    check(whole, [x, v], {}, {"b": 3, "n": 4})
