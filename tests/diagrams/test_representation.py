"""What the representation promises: one node a computation, names outside, fresh parts."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.graph import Port


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def layer(x: "n d") -> "n d":
    q = vs.linear(x, "d", "c", name="wq")
    k = vs.linear(x, "d", "c", name="wk").rename(n="m")
    v = vs.linear(x, "d", "e", name="wv").rename(n="m")
    return x + vs.linear(attention(q, k, v), "e", "d", name="wo")


def stacked(names: list[tuple[str, str]]) -> vs.Diagram:
    """Tied layers, the query and key axes of each called as `names` says."""
    builder = vs.Builder("stack")
    x = builder.input("x", "n d")
    with builder:
        w = {
            name: vs.parameter(name, axes)
            for name, axes in (("wq", "d c"), ("wk", "d c"), ("wv", "d e"), ("wo", "e d"))
        }
        for query, key in names:
            here = x.rename(n=query)
            there = x.rename(n=key)
            q = vs.contract(here, w["wq"], over="d")
            k = vs.contract(there, w["wk"], over="d")
            v = vs.contract(there, w["wv"], over="d")
            s = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
            o = vs.contract(vs.softmax(s, over=key), v, over=key)
            x = x + vs.contract(o, w["wo"], over="e").rename(**{query: "n"})
    return builder.diagram(y=x)


@given(st.lists(st.permutations(["n", "m", "i", "j"]), min_size=12, max_size=12))
@settings(max_examples=20)
def test_twelve_tied_layers_have_one_node_per_distinct_computation(turns: list[list[str]]) -> None:
    """A layer is q, k, v, scores, scaled, softmax, mixed, projected, added: nine boxes. Four
    parameters, and the three boxes of 1/√c, stand once for all layers."""
    plain = stacked([("n", "m")] * 12)
    assert len(plain) == 12 * 9 + 4 + 3
    named = [(a, b) for a, b, *_ in turns]
    renamed = stacked(named)
    assert renamed == plain
    assert hash(renamed) == hash(plain)


def test_a_projection_that_is_read_along_two_axes_is_one_node() -> None:
    @vs.diagram
    def tied(x: "n d") -> "n m:n":
        w = vs.parameter("w", "d c")
        q = vs.contract(x, w, over="d")
        k = vs.contract(x.rename(n="m"), w, over="d")
        return vs.contract(q, k, over="c")

    assert [node.box.kind for node in tied.boxes].count(CONTRACT) == 2


def test_calling_a_block_twice_never_ties_its_weights() -> None:
    @vs.diagram
    def twice(x: "n d") -> "n d":
        return layer(layer(x))

    assert len(twice.parameters) == 8
    assert len(twice) == 2 * 9 + 8 + 3


def test_sharing_is_explicit() -> None:
    @vs.diagram
    def shared(x: "n d") -> "n d":
        w = vs.parameter("wq", "d c")
        return layer(layer(x, parameters={"wq": w}), parameters={"wq": w})

    assert len(shared.parameters) == 7


def test_a_gram_matrix_equals_its_transpose_whatever_is_made_of_it() -> None:
    @vs.diagram
    def symmetric(x: "n d") -> ("n m:n", "n m:n"):
        g = vs.contract(x, x.rename(n="m"), over="d")
        e = vs.exp(g)
        turned = vs.exp(g.rename(n="m", m="n"))
        return e + turned, vs.softmax(g, over="m")

    sum_of_both = next(n for n in symmetric.boxes if n.box.kind.name == "add")
    assert sum_of_both.src[0] == sum_of_both.src[1]
    x = torch.randn(4, 3, dtype=torch.float64)
    both, weights = symmetric.evaluate(x)
    assert torch.allclose(both, 2 * torch.exp(x @ x.T))
    assert torch.allclose(weights, torch.softmax(x @ x.T, 1))


def test_a_matrix_that_is_not_symmetric_is_not_its_transpose() -> None:
    @vs.diagram
    def mixed(x: "n d", y: "n d") -> "n m:n":
        g = vs.contract(x, y.rename(n="m"), over="d")
        return g + g.rename(n="m", m="n")

    x, y = torch.randn(2, 4, 3, dtype=torch.float64)
    assert torch.allclose(mixed.evaluate(x, y), x @ y.T + y @ x.T)


@given(st.data())
@settings(max_examples=60)
def test_alpha_variants_are_equal_and_hash_alike(data: st.DataObject) -> None:
    """Bound names, operand order and the order of creation are no part of a diagram."""
    diagram = data.draw(testing.diagrams())
    variant = data.draw(testing.alpha_variants(diagram))
    assert variant == diagram
    assert hash(variant) == hash(diagram)


@given(st.data())
@settings(max_examples=40)
def test_a_box_in_a_tube_is_the_loop_over_that_tube(data: st.DataObject) -> None:
    diagram = data.draw(testing.diagrams(max_boxes=6))
    in_tube = diagram.over("t", parameters=False, random=False)
    sizes = data.draw(testing.sizes_for(diagram))
    single = [data.draw(testing.inputs_for(diagram, sizes)) for _ in range(2)]
    values = [dict(list_inputs(diagram, one)) for one in single]
    stacked_inputs = [
        torch.stack([torch.as_tensor(one[name]) for one in values]) for name in values[0]
    ]
    whole = in_tube.evaluate(*stacked_inputs, sizes=sizes, seed=7)
    parts = [
        diagram.evaluate(*(torch.as_tensor(x) for x in one.values()), sizes=sizes, seed=7)
        for one in values
    ]
    many = len(diagram.outputs) > 1
    for j, port in enumerate(in_tube.outputs):
        got = whole[j] if many else whole
        for t in range(2):
            want = parts[t][j] if many else parts[t]
            slice_ = got[t] if "t" in port.axes else got
            assert torch.allclose(
                slice_.double(), want.double(), rtol=1e-9, atol=1e-9, equal_nan=True
            )


def list_inputs(diagram: vs.Diagram, inputs: object) -> list[tuple[str, object]]:
    """Inputs by name, whether they come as a mapping or in order."""
    if isinstance(inputs, dict):
        return [(port.name, inputs[port.name]) for port in diagram.inputs]
    return list(zip([port.name for port in diagram.inputs], inputs, strict=True))


def chain(n: int) -> vs.Diagram:
    builder = vs.Builder("chain")
    x = builder.input("x", "n c")
    for _ in range(n // 2):
        x = vs.tanh(vs.exp(x))
    return builder.diagram(y=x)


def test_nothing_recurses_in_a_long_chain() -> None:
    long, other = chain(100_000), chain(100_000)
    assert long == other
    assert hash(long) == hash(other)
    assert len(str(long).splitlines()) == 100_002
    assert len(long.owner) == 100_001
    half = chain(50_000).rename() >> chain(50_000)
    assert len(half) == 100_000
    del long, other, half
    gc.collect()


@pytest.mark.slow
def test_a_million_boxes_are_fine() -> None:
    assert len(chain(1_000_000)) == 1_000_000


@given(st.data())
@settings(max_examples=40)
def test_renumbering_a_composition_gives_what_building_it_gives(data: st.DataObject) -> None:
    """`>>` has a fast path; it must make the diagram that calling the two makes."""
    first = data.draw(testing.diagrams(max_boxes=5, outputs=["n c", "m"]))
    second = data.draw(testing.diagrams(max_boxes=5, inputs=["n c", "m"]))
    builder = vs.Builder("by_call")
    inputs = [builder.input(name, type_) for name, type_ in first.input_types.items()]
    with builder:
        middle = first(*inputs)
        results = second(*middle)
    results = results if isinstance(results, tuple) else (results,)
    ports = [
        Port(port.name, wire.id, port.axes, tuple(wire.names.index(axis) for axis in port.axes))
        for port, wire in zip(second.outputs, results, strict=True)
    ]
    assert (first >> second) == builder.finish(ports)
