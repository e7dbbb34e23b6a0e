"""The laws of a cartesian monoidal category, and that equality is an equivalence and a congruence.

Diagrams have named interfaces, so laws are compared by what they say of boxes and wires: both
sides get the same names for what goes in and out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.compose import identity
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.types import ArrayType

OBJECTS = ["n c", "m", "", "n", "c n int"]
objects = st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=2)
some = settings(max_examples=20)


def arrows(source: Sequence[str], target: Sequence[str]) -> st.SearchStrategy[Diagram]:
    """Diagrams from these types to those."""
    return testing.diagrams(max_boxes=4, inputs=list(source), outputs=list(target))


def plain(diagram: Diagram) -> Diagram:
    """The same diagram with inputs x0, x1, … and outputs y0, y1, …, axes in alphabetical order."""
    builder = vs.Builder("plain")
    inputs = [
        builder.input(f"x{k}", ArrayType(dict(sorted(t.axes.items())), t.dtype))
        for k, t in enumerate(diagram.input_types.values())
    ]
    with builder:
        results = diagram(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    ports = []
    for k, wire in enumerate(results):
        axes = tuple(sorted(wire.names))
        ports.append(Port(f"y{k}", wire.id, axes, tuple(wire.names.index(a) for a in axes)))
    return builder.finish(ports)


def same(one: Diagram, other: Diagram) -> None:
    """Equal up to the names and the order of axes on the interface, with equal hashes."""
    a, b = plain(one), plain(other)
    assert a == b
    assert b == a
    assert hash(a) == hash(b)


@given(st.data())
@some
def test_composition_is_associative(data: st.DataObject) -> None:
    a, b, c, d = (data.draw(objects) for _ in range(4))
    f, g, h = data.draw(arrows(a, b)), data.draw(arrows(b, c)), data.draw(arrows(c, d))
    same((f >> g) >> h, f >> (g >> h))


@given(st.data())
@some
def test_identities_are_units(data: st.DataObject) -> None:
    a, b = data.draw(objects), data.draw(objects)
    f = data.draw(arrows(a, b))
    same(identity(*a) >> f, f)
    same(f >> identity(*b), f)


@given(st.data())
@some
def test_side_by_side_is_associative_with_the_empty_diagram_as_unit(data: st.DataObject) -> None:
    f, g, h = (data.draw(arrows(data.draw(objects), data.draw(objects))) for _ in range(3))
    same((f @ g) @ h, f @ (g @ h))
    same(f @ identity(), f)
    same(identity() @ f, f)


@given(st.data())
@some
def test_interchange(data: st.DataObject) -> None:
    """(f ; g) ⊗ (h ; k) = (f ⊗ h) ; (g ⊗ k)"""
    a, b, c, x, y, z = (data.draw(objects) for _ in range(6))
    f, g = data.draw(arrows(a, b)), data.draw(arrows(b, c))
    h, k = data.draw(arrows(x, y)), data.draw(arrows(y, z))
    same((f >> g) @ (h >> k), (f @ h) >> (g @ k))


@given(objects, objects)
@some
def test_identities_side_by_side_are_an_identity(a: list[str], b: list[str]) -> None:
    same(identity(*a) @ identity(*b), identity(*a, *b))


def wiring(types: Sequence[str], places: Sequence[int]) -> Diagram:
    """Inputs of these types; the outputs are some of them, in an order, any number of times."""
    builder = vs.Builder("wiring")
    wires = [builder.input(f"x{k}", t) for k, t in enumerate(types)]
    return builder.diagram(**{f"y{k}": wires[p] for k, p in enumerate(places)})


@given(st.data())
@some
def test_swapping_is_natural_and_its_own_inverse(data: st.DataObject) -> None:
    """(f ⊗ g) ; σ = σ ; (g ⊗ f)"""
    a, b, x, y = (data.draw(objects) for _ in range(4))
    f, g = data.draw(arrows(a, b)), data.draw(arrows(x, y))

    def swap(one: Sequence[str], other: Sequence[str]) -> Diagram:
        n = len(one)
        return wiring([*one, *other], [*range(n, n + len(other)), *range(n)])

    same((f @ g) >> swap(b, y), swap(a, x) >> (g @ f))
    same(swap(a, x) >> swap(x, a), identity(*a, *x))


def copy(types: Sequence[str]) -> Diagram:
    return wiring(types, [*range(len(types))] * 2)


@given(objects)
@some
def test_copying_is_a_commutative_comonoid(a: list[str]) -> None:
    n = len(a)
    same(copy(a) >> (copy(a) @ identity(*a)), copy(a) >> (identity(*a) @ copy(a)))
    same(copy(a) >> (identity(*a) @ wiring(a, [])), identity(*a))
    same(copy(a) >> (wiring(a, []) @ identity(*a)), identity(*a))
    same(copy(a) >> wiring([*a, *a], [*range(n, 2 * n), *range(n)]), copy(a))


@given(st.data())
@some
def test_copying_and_deleting_are_natural(data: st.DataObject) -> None:
    """f ; Δ = Δ ; (f ⊗ f) and f ; ! = !, for an f without identities: its parts are not made
    fresh by being called twice."""
    a, b = data.draw(objects), data.draw(objects)
    f = data.draw(arrows(a, b))
    assume(not f.tokens)
    same(f >> copy(b), copy(a) >> (f @ f))
    same(f >> wiring(b, []), wiring(a, []))


@given(st.data())
@some
def test_what_has_identities_is_not_copied(data: st.DataObject) -> None:
    """f ; Δ is not Δ ; (f ⊗ f) where f has parameters that its outputs need: calling twice makes
    fresh parts."""
    body = data.draw(arrows(["n c"], ["n c"]))
    builder = vs.Builder("f")
    x = builder.input("x", "n c")
    f = builder.diagram(y=vs.linear(body(x), "c", "c"))
    once, twice = f >> copy(["n c"]), copy(["n c"]) >> (f @ f)
    assert len(twice.parameters) == 2 * len(once.parameters)
    assert plain(once) != plain(twice)


# -- equality ------------------------------------------------------------------------------------


@given(st.data())
@some
def test_equality_is_an_equivalence(data: st.DataObject) -> None:
    f = data.draw(testing.diagrams())
    g, h = data.draw(testing.alpha_variants(f)), data.draw(testing.alpha_variants(f))
    assert f == f
    assert f == g
    assert g == f
    assert g == h
    assert h == g
    assert len({f, g, h}) == 1
    other = data.draw(testing.diagrams())
    assert (f == other) == (other == f) == (g == other) == (other == h)


@given(st.data())
@some
def test_equality_is_a_congruence(data: st.DataObject) -> None:
    """Whatever is made of equal diagrams is equal."""
    a, b, c = (data.draw(objects) for _ in range(3))
    f, g = data.draw(arrows(a, b)), data.draw(arrows(b, c))
    f2, g2 = data.draw(testing.alpha_variants(f)), data.draw(testing.alpha_variants(g))
    assert f >> g == f2 >> g2
    assert hash(f >> g) == hash(f2 >> g2)
    assert f @ g == f2 @ g2
    assert f.over("t") == f2.over("t")
    assert f.over("t", parameters=True) == f2.over("t", parameters=True)
    assert f.over("t", inputs=False, parameters=True) == f2.over("t", inputs=False, parameters=True)
    if not f.tokens and not g.tokens:  # a folded box has them as inputs: named, in an order
        assert f.fold("f") == f2.fold("f")
        assert f.fold("f") >> g.fold("g") == f2.fold("f") >> g2.fold("g")
    assert (f.fold("f") >> g.fold("g")).unfold() == (f2 >> g2).unfold()
    assert f.substitute(n=3) == f2.substitute(n=3)
    assert f.rename(**swapped(f)) == f2.rename(**swapped(f2))


def swapped(diagram: Diagram) -> dict[str, str]:
    names = {axis for p in (*diagram.inputs, *diagram.outputs) for axis in p.axes}
    return {old: new for old, new in (("n", "i"), ("c", "n")) if old in names}


@given(st.data())
@some
def test_unequal_diagrams_are_not_equal(data: st.DataObject) -> None:
    """What is not the same function is not equal: checked by running both."""
    f = data.draw(testing.diagrams(max_boxes=5, inputs=["n c"], outputs=["n c"]))
    g = data.draw(testing.diagrams(max_boxes=5, inputs=["n c"], outputs=["n c"]))
    if f != g or f.tokens or g.tokens:
        return
    x = torch.randn(3, 2, dtype=torch.float64)
    found = [d.evaluate(x, sizes=sizes_of(d, SIZES)) for d in (f, g)]
    assert torch.equal(*found)


SIZES = {"m": 2, "k": 3}


@given(st.data())
@some
def test_folding_and_unfolding(data: st.DataObject) -> None:
    f = data.draw(testing.diagrams())
    once = f.fold("f")
    assert len(once) == 1 + len([1 for t, _ in f.tokens if t.name in f.parameters]) + len(f.randoms)
    assert once.unfold() == f.unfold()
    assert once.fold("g").unfold("g") == once
    assert once.fold("g").fold("h").unfold() == f.unfold()
    assert once.fold("g").unfold(depth=1) == once
    assert once.input_types == f.input_types
    assert once.output_types == f.output_types


@given(st.data())
@some
def test_a_folded_diagram_in_a_tube_unfolds_to_the_diagram_in_the_tube(data: st.DataObject) -> None:
    f = data.draw(testing.diagrams())
    for options in ({}, {"parameters": True}, {"inputs": False, "parameters": True}):
        assert f.fold("f").over("t", **options).unfold() == f.over("t", **options).unfold()


@given(st.data())
@some
def test_tubes_commute(data: st.DataObject) -> None:
    f = data.draw(testing.diagrams())
    same(f.over("s").over("t"), f.over("t s"))
    # Parameters and draws are arrays outside, where axes have an order.
    same(f.over("s", random=False).over("t", random=False), f.over("s t", random=False))
    g = f.over("s", parameters=True).over("t", parameters=True)
    same(g, f.over("t s", parameters=True))


@given(st.data())
@some
def test_a_call_is_what_it_calls(data: st.DataObject) -> None:
    """Calling a diagram on fresh inputs of its own types gives it back."""
    f = data.draw(testing.diagrams())
    builder = vs.Builder("call")
    inputs = [builder.input(name, t) for name, t in f.input_types.items()]
    with builder:
        results = f(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    same(builder.diagram(**dict(zip(f.output_types, results, strict=True))), f)


def test_the_types_of_an_identity() -> None:
    assert identity("n c").input_types == {"x": ArrayType.parse("n c")}
    assert identity(x="n c", y="m").output_types == {
        "x": ArrayType.parse("n c"),
        "y": ArrayType.parse("m"),
    }
