"""Schemas: rules over all boxes and bodies, made for a place in a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.derivation import derive
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import SCHEMAS
from vesalius.rewrite.schema import Opened, Part, Side, schema

FOUND: Counter[str] = Counter()
COMMON = ["contract", "add", "pointwise", "expand", "slice", "split", "merge", "window", "named"]
COMMON += ["diagonal", "gather", "concat", "iota", "scan", "topk", "softmax", "max", "pad"]


def same(before: Diagram, after: Diagram, *values: object, **sizes: int) -> None:
    one, two = before.evaluate(*values, sizes=sizes), after.evaluate(*values, sizes=sizes)
    assert after.output_types == before.output_types
    for a, b in zip(one, two, strict=True) if isinstance(one, tuple) else [(one, two)]:
        x, y = a.double(), b.double()
        scale = 1 + float(x.abs().max()) if x.numel() else 1.0
        assert torch.allclose(x, y, rtol=1e-6, atol=1e-6 * scale)


def draws(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(*shape, dtype=torch.float64) for shape in shapes]


@given(st.data())
@settings(max_examples=250)
def test_instances_hold_wherever_they_are_found(data: st.DataObject) -> None:
    """Applied at every match in random diagrams."""
    host = data.draw(testing.diagrams(max_boxes=10, min_boxes=3, kinds=COMMON))
    sizes = data.draw(testing.sizes_for(host))
    values = data.draw(testing.inputs_for(host, sizes))
    for one in SCHEMAS.values():
        for match in matches(one, host):
            FOUND[one.name] += 1
            same(host, apply(host, match), *values, **sizes)


def test_the_search_above_is_not_empty() -> None:
    if not FOUND:  # this test was asked for alone
        test_instances_hold_wherever_they_are_found()
    assert min(FOUND[name] for name in ("reindex_late", "reindex_early", "concat_late")) > 10
    assert min(FOUND[name] for name in ("linear_of_sum", "unfold_named", "unroll_scan")) > 3


# -- bodies ---------------------------------------------------------------------------------------


@vs.diagram
def step(state: "c e", q: "c", k: "c", v: "e") -> ("c e", "e"):
    """One position of causal linear attention."""
    after = state + k * v
    return after, vs.contract(after, q, over="c")


def linear_attention(reverse: bool) -> Diagram:
    @vs.diagram
    def causal(s: "h c e", q: "n h c", k: "n h c", v: "n h e") -> ("h c e", "n h e"):
        return vs.scan(step, over="n", states=[s], sequences=[q, k, v], reverse=reverse)

    return causal


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_that_adds_is_a_masked_product(reverse: bool) -> None:
    host = linear_attention(reverse)
    (match,) = matches(SCHEMAS["prefix_of_scan"], host)
    after = apply(host, match)
    assert "scan" not in {node.box.kind.name for node in after.boxes}
    same(host, after, *draws((2, 3, 4), (5, 2, 3), (5, 2, 3), (5, 2, 4)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 5])
def test_a_scan_of_a_number_of_positions_is_written_out(reverse: bool, length: int) -> None:
    host = linear_attention(reverse).substitute(n=length)
    (match,) = matches(SCHEMAS["unroll_scan"], host)
    after = apply(host, match)
    assert "scan" not in {node.box.kind.name for node in after.boxes}
    same(host, after, *draws((2, 3, 4), (length, 2, 3), (length, 2, 3), (length, 2, 4)))
    assert not list(matches(SCHEMAS["unroll_scan"], linear_attention(reverse)))


def test_a_scan_whose_state_forgets_is_no_prefix_sum() -> None:
    @vs.diagram
    def decays(state: "", x: "") -> ("", ""):
        after = 0.5 * state + x
        return after, after

    @vs.diagram
    def turns(state: "a b:a", x: "") -> ("a b:a", ""):
        return state.rename(a="b", b="a") + x, x

    @vs.diagram
    def host(x: "n", s: "a b:a") -> ("", "n", "a b:a", "n"):
        one = vs.scan(decays, over="n", states=[vs.sum(x, "n")], sequences=[x])
        return *one, *vs.scan(turns, over="n", states=[s], sequences=[x])

    assert not list(matches(SCHEMAS["prefix_of_scan"], host))


def test_a_body_that_is_linear_lets_sums_through() -> None:
    @vs.diagram
    def mean(x: "n", w: "n") -> "":
        return vs.contract(x, w, over="n") / vs.sum(w, "n")

    @vs.diagram
    def host(x: "b n", y: "n", w: "n") -> "b":
        return mean.boxed(x + y, w)

    (match,) = matches(SCHEMAS["linear_of_sum"], host)
    after = apply(host, match)
    assert sum(node.box.kind.name == "named" for node in after.boxes) == 2
    same(host, after, *draws((2, 3), (3,), (3,)))

    @vs.diagram
    def weights(x: "n", w: "b n", u: "n") -> "b":
        return mean.boxed(x, w + u)

    assert not list(matches(SCHEMAS["linear_of_sum"], weights))


def test_a_scan_from_zero_is_linear_in_its_sequence() -> None:
    @vs.diagram
    def smooth(state: "", x: "", a: "") -> ("", ""):
        after = a * state + x
        return after, after

    def host(start: float) -> Diagram:
        @vs.diagram
        def host(x: "n b", y: "n", a: "b") -> ("b", "n b"):
            zero = vs.constant(start)
            return vs.scan(smooth, over="n", states=[zero], sequences=[x + y], captured=[a])

        return host

    (match,) = matches(SCHEMAS["linear_of_sum"], host(0.0))
    same(host(0.0), apply(host(0.0), match), *draws((5, 2), (5,), (2,)))
    assert not list(matches(SCHEMAS["linear_of_sum"], host(1.0)))


def test_a_factor_passes_a_linear_box_unless_the_box_binds_its_axis() -> None:
    @vs.diagram
    def host(w: "b", x: "b n", u: "n") -> ("b m:n-1", "b m:n-1"):
        first = vs.slice(w * x, "n", 1, into="m")
        return first, vs.slice(u * x, "n", 1, into="m")

    (match,) = matches(SCHEMAS["linear_of_multiple"], host)
    assert match.outputs[0][0] == host.outputs[0].wire
    same(host, apply(host, match), *draws((2,), (2, 4), (4,)))


# -- schemas of one's own -------------------------------------------------------------------------


@schema("equal", at=[EXPAND])
def map_of_repeated(f: Part) -> Iterator[Opened]:
    """φ(x) repeated = φ(x repeated), for a pointwise φ"""
    phi = f.below(0)
    if phi.kind is POINTWISE and len(phi.node.src) == 1:

        def right(side: Side) -> object:
            (x,) = side[phi]
            return side.call(phi, *side.call(f, x))

        yield f.open(0).rule(right)


@vs.diagram
def repeats(x: "n", y: "b n") -> ("n m", "n b m", "n m"):
    return vs.expand(vs.exp(x), "m"), vs.expand(vs.tanh(y), "m"), vs.expand(x, "m")


def test_an_instance_is_a_rule_without_the_tubes_of_its_place() -> None:
    found = list(matches(map_of_repeated, repeats))
    assert [match.rule.name for match in found] == ["map_of_repeated"] * 2
    for match in found:
        assert match.rule.left.input_types == {"x0": vs.ArrayType({})}
        same(repeats, apply(repeats, match), *draws((3,), (2, 3)), m=2)


def test_instances_are_made_once() -> None:
    first, _ = matches(map_of_repeated, repeats)
    again, _ = matches(map_of_repeated, repeats)
    assert first.rule is again.rule
    wider, _ = matches(map_of_repeated, repeats.over("h"))
    assert wider.rule is not first.rule
    assert wider.rule.left == first.rule.left


def test_a_schema_serves_in_a_derivation() -> None:
    found = derive(repeats, map_of_repeated, (map_of_repeated, 0))
    assert found.grade.name == "equal"
    assert found.replay() == found
    assert found.inverse().end == repeats
    assert found.check()


def test_an_instance_is_refused_as_a_rule_is() -> None:
    @schema("equal", at=[EXPAND])
    def wrong(f: Part) -> Iterator[Opened]:
        yield f.open().rule(lambda side: side[f][0])

    @schema("equal", at=[EXPAND])
    def deep(f: Part) -> Iterator[Opened]:
        yield f.open(0).rule(lambda side: side.call(f, *side[f]))

    with pytest.raises(vs.AxisError, match="the axis 'm' is missing"):
        list(matches(wrong, repeats))
    with pytest.raises(vs.StructureError, match="an input of the diagram: not to be opened"):
        list(matches(deep, repeats))
