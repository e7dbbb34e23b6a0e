"""Normalising changes the spelling and nothing else; every law is an equality."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.compile.normalise import LAWS, normalise
from vesalius.diagrams.graph import Port
from vesalius.rewrite.check import check
from vesalius.rewrite.rules import RULES


def equal(left, right):
    return {"left": left, "right": right}


# -- laws: the left side becomes the right side, and both compute the same exactly -----------------


@vs.diagram
def definition(s: "m", v: "m") -> equal("", ""):
    e = vs.exp(s)
    return equal(vs.contract(e, v, over="m") / vs.sum(e, "m"),
                 vs.contract(vs.softmax(s, "m"), v, over="m"))  # fmt: skip


@vs.diagram
def definition_inside(s: "h m", v: "m e", w: "h e") -> equal("", ""):
    e = vs.exp(s)
    mixed = vs.contract(e, v, over="m")
    weighted = vs.contract(vs.softmax(s, "m"), v, over="m")
    return equal(vs.contract(mixed, w / vs.sum(e, "m"), over="h e"),
                 vs.contract(weighted, w, over="h e"))  # fmt: skip


@vs.diagram
def logarithm(s: "m") -> equal("m", "m"):
    return equal(vs.exp(s - vs.log(vs.sum(vs.exp(s), "m"))), vs.softmax(s, "m"))


@vs.diagram
def logarithm_nested(s: "m", t: "m") -> equal("m", "m"):
    largest = vs.max(s + t, "m")
    total = largest + vs.log(vs.sum(vs.exp((s + t) - largest), "m"))
    return equal(vs.exp(t + s - total), vs.softmax(s + t, "m"))


@vs.diagram
def in_several_factors(s: "m", t: "m", v: "m", c: "m bool") -> equal("", ""):
    c = c | vs.equal(vs.iota("m"), 0)  # one at least is shown
    e, f, kept = vs.exp(s), vs.exp(t), vs.to_float(c)
    left = vs.contract(f, v, kept, e, over="m") / (2 * vs.contract(kept, e, f, over="m"))
    weights = vs.softmax(vs.where(c, s + t, float("-inf")), "m")
    return equal(left, vs.contract(weights, v, over="m") * vs.reciprocal(2))


@vs.diagram
def hidden_late(s: "m", c: "m bool") -> equal("m", "m"):
    c = c | vs.equal(vs.iota("m"), 0)
    weights = 3 * vs.where(c, vs.softmax(s, "m"), 0.0)
    hidden = vs.where(c, s, float("-inf"))
    return equal(weights / vs.sum(weights, "m"), vs.softmax(hidden, "m"))


@vs.diagram
def hidden_by_a_logarithm(s: "m", c: "m bool") -> equal("m", "m"):
    added = vs.where(c, float("-inf"), 0.0)
    return equal(s + vs.log(vs.where(c, 0.0, 1.0)), s + added)


@vs.diagram
def mask(s: "m", c: "m bool") -> equal("m", "m"):
    hidden = vs.where(c, s, float("-inf"))
    return equal(vs.where(c, vs.exp(s), 0.0), vs.exp(hidden))


@vs.diagram
def mask_turned(s: "m", c: "m bool") -> equal("m", "m"):
    return equal(vs.where(c, 0, vs.exp(s)), vs.exp(vs.where(c, float("-inf"), s)))


@vs.diagram
def indicator(s: "m", c: "m bool") -> equal("m", "m"):
    return equal(vs.to_float(c) * vs.exp(s), vs.exp(vs.where(c, s, float("-inf"))))


@vs.diagram
def both_sides(i: "n int", j: "m int") -> equal("n m", "n m"):
    return equal(vs.to_float((i <= j) & (j <= i)), vs.to_float(vs.equal(i, j)))


@vs.diagram
def shift(s: "n m", a: "n", b: "h") -> equal("h n m", "h n m"):
    return equal(vs.softmax(s - a + b, "m"), vs.like(vs.softmax(s, "m"), s + b))


@vs.diagram
def maximum(s: "n m") -> equal("n m", "n m"):
    return equal(vs.softmax(s - vs.max(s, "m"), "m"), vs.softmax(s, "m"))


@vs.diagram
def quotient(x: "n", y: "m", z: "") -> equal("n m", "n m"):
    return equal(z / (x * y), z * (vs.reciprocal(x) * vs.reciprocal(y)))


@vs.diagram
def divided(x: "n m", y: "m e", d: "n", z: "m") -> equal("n e", "n e"):
    left = vs.contract(x / d, y / z, over="m")
    return equal(left, vs.contract(x, y / z, over="m") * vs.reciprocal(d))


@vs.diagram
def summed(x: "n m h", y: "m", z: "n") -> equal("n", "n"):
    return equal(vs.sum(vs.contract(x, y, over="m") * z, "h"),
                 vs.contract(vs.contract(x, y, over="m"), z, over="h"))  # fmt: skip


PAIRS = [definition, definition_inside, logarithm, logarithm_nested, in_several_factors,
         hidden_late, hidden_by_a_logarithm, mask, mask_turned, indicator, both_sides,
         shift, maximum, quotient, divided, summed]  # fmt: skip


def side(pair, name):
    """One output of a pair as a diagram."""
    builder, wires = vs.Builder(pair.name), []
    for port in pair.inputs:
        wires.append(builder.input(port.name, pair.port_type(port)))
    results = pair(*wires)
    for port, wire in zip(pair.outputs, results, strict=True):
        if port.name == name:
            slots = tuple(wire.names.index(axis) for axis in port.axes)
            return builder.finish([Port("out", wire.id, port.axes, slots)])
    raise KeyError(name)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda d: d.name)
@pytest.mark.parametrize("tubes", ["", "b"])
def test_a_law_turns_left_into_right(pair, tubes) -> None:
    pair = pair.over(tubes) if tubes else pair
    left, right = side(pair, "left"), side(pair, "right")
    assert left != right
    assert normalise(left) == normalise(right)
    assert normalise(right) == right


@pytest.mark.parametrize("pair", PAIRS, ids=lambda d: d.name)
def test_both_sides_compute_the_same(pair) -> None:
    torch.manual_seed(0)
    for n in (1, 3):
        inputs = []
        for port in pair.inputs:
            sizes, dtype = pair.types[port.wire]
            shape = [s.at({v: n + k for k, v in enumerate("mnhe")}) for s in sizes]
            some = torch.randn(shape).double()
            made = {"bool": some > -0.2, "int": some.round().long(), "float": some}
            inputs.append(made[dtype])
        left, right = pair.evaluate(*inputs)
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_every_law_has_a_pair() -> None:
    applied = set()
    for laws in LAWS.values():
        for k, law in enumerate(laws):

            def spy(w, parts, law=law):
                found = law(w, parts)
                applied.update([law.__name__] if found is not None else [])
                return found

            laws[k] = spy
    try:
        for pair in PAIRS:
            normalise(side(pair, "left"))
    finally:
        for laws in LAWS.values():
            for k, law in enumerate(laws):
                laws[k] = law.__defaults__[0]
    assert applied == {law.__name__ for laws in LAWS.values() for law in laws}


@pytest.mark.parametrize("name", ["unfold_softmax", "reciprocal_of_product"])
def test_rules_of_the_library_hold_in_normal_form(name) -> None:
    rule = RULES[name]
    assert check(rule).ok
    assert normalise(rule.left) == normalise(rule.right)


# -- any diagram --------------------------------------------------------------------------------

KINDS = ["contract", "add", "pointwise", "softmax", "max", "named", "expand", "iota", "parameter"]


@settings(max_examples=150, deadline=None)
@given(testing.diagrams(max_boxes=12, kinds=KINDS), st.data())
def test_it_computes_the_same(diagram, data) -> None:
    sizes = data.draw(testing.sizes_for(diagram))
    inputs = data.draw(testing.inputs_for(diagram, sizes))
    normal = normalise(diagram.unfold())
    assert normal.output_types == diagram.output_types
    assert normalise(normal) == normal
    one = diagram.evaluate(*inputs, sizes=sizes, seed=0)
    other = normal.evaluate(*inputs, sizes=sizes, seed=0)
    for x, y in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, other)), strict=True):
        torch.testing.assert_close(y, x, rtol=1e-9, atol=1e-9, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(testing.diagrams(max_boxes=10, kinds=KINDS, exact="field"), st.data())
def test_it_computes_the_same_exactly(diagram, data) -> None:
    sizes = data.draw(testing.sizes_for(diagram))
    inputs = data.draw(testing.inputs_for(diagram, sizes))
    options = {"sizes": sizes, "seed": 0, "algebra": "field"}
    one, other = (d.evaluate(*inputs, **options) for d in (diagram, normalise(diagram.unfold())))
    for x, y in zip(*(r if isinstance(r, tuple) else (r,) for r in (one, other)), strict=True):
        assert (x == y).all()


def test_nothing_to_do_costs_one_pass_and_keeps_the_names() -> None:
    @vs.diagram
    def plain(x: "rows channels") -> "rows out":
        return vs.tanh(vs.linear(x, "channels", "out", name="w"))

    normal = normalise(plain)
    assert normal == plain
    assert str(normal) == str(plain)
    assert list(normal.parameters) == ["w"]
