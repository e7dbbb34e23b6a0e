"""The engine: matching modulo tubes, names and order; applying; derivations; refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.errors import AxisError, FormatError, SizeError
from vesalius.rewrite.apply import Overlap, apply, rewrite
from vesalius.rewrite.derivation import Derivation, NoMatch, derive
from vesalius.rewrite.grade import GRADES, grade
from vesalius.rewrite.match import matches
from vesalius.rewrite.refusals import RuleError
from vesalius.rewrite.rule import anyfunction, rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.schema import Opened, Part
from vesalius.rewrite.strategy import (
    Stopped,
    everywhere,
    first,
    in_order,
    normalise,
    once,
    repeat,
)


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@vs.diagram
def kernel(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(vs.exp(q), vs.exp(k), over="c")
    return vs.contract(scores, v, over="m")


def close(a: object, b: object) -> bool:
    return torch.allclose(a, b, rtol=1e-9, atol=1e-9)  # type: ignore[arg-type]


# -- matching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tubes", ["", "b", "b h", "a b h"])
def test_a_rule_holds_in_any_tubes_without_saying_so(tubes: str) -> None:
    host = kernel.over(tubes) if tubes else kernel
    found = list(matches(RULES["reassociate"], host))
    assert len(found) == 1
    result = apply(host, found[0])
    shape = tuple(range(2, 2 + len(tubes.split())))
    q, k, v = (torch.randn(*shape, n, c, dtype=torch.float64) for n, c in ((5, 3), (6, 3), (6, 4)))
    assert close(host.evaluate(q, k, v), result.evaluate(q, k, v))
    assert result != host


def test_typing_is_the_side_condition() -> None:
    """`w: ""` says that w has no axis j: what depends on j is not pulled out of the sum."""

    @vs.diagram
    def both(x: "n j", y: "j") -> "n":
        return vs.contract(x, y, over="j")

    pull = one_factor()
    assert not list(matches(pull, both))


def one_factor():  # type: ignore[no-untyped-def]
    @rule("equal")
    def pull(w: "", x: "j") -> "":
        """Σ_j w·x_j = w·Σ_j x_j"""
        return vs.contract(w, x, over="j"), w * vs.sum(x, "j")

    return pull


def test_a_rest_takes_every_operand_that_its_type_admits() -> None:
    @vs.diagram
    def host(a: "n", b: "n j", c: "b", d: "j") -> "b n":
        return vs.contract(a, b, c, d, over="j")

    (match,) = matches(RULES["pull_out_of_sum"], host)
    assert [len(uses) for uses in match.inputs] == [2, 2]
    result = apply(host, match)
    x = [torch.randn(*s, dtype=torch.float64) for s in ((3,), (3, 4), (2,), (4,))]
    assert close(host.evaluate(*x), result.evaluate(*x))


def test_a_wire_read_twice_must_be_the_same_wire_along_the_same_axes() -> None:
    @rule("equal")
    def square(x: "") -> "":
        """x·x = x²"""
        return x * x, vs.power(x, 2)

    @vs.diagram
    def squares(x: "n", y: "n") -> ("n", "n", "n m:n"):
        return x * x, x * y, vs.contract(x, x.rename(n="m"))

    found = list(matches(square, squares))
    assert len(found) == 1
    assert found[0].outputs[0][0] == squares.outputs[0].wire


def test_interior_wires_may_escape() -> None:
    @vs.diagram
    def escaping(x: "n m", y: "n m") -> ("n m", "n m"):
        s = x + y
        return vs.exp(s), vs.tanh(s)

    match, *_ = matches(RULES["exp_of_sum"], escaping)
    result = apply(escaping, match)
    x, y = torch.randn(2, 2, 3, dtype=torch.float64)
    for a, b in zip(escaping.evaluate(x, y), result.evaluate(x, y), strict=True):
        assert close(a, b)
    assert sum(node.box.kind.name == "add" for node in result.boxes) == 1


def test_a_stand_in_matches_any_function_and_stands_for_one() -> None:
    @rule("variant")
    def twice(x: "", f: anyfunction) -> "":  # type: ignore[valid-type]
        """f(f(x)) → f(x)"""
        return f(f(x)), f(x)

    @vs.diagram
    def host(x: "n") -> ("n", "n"):
        return vs.leaky_relu(vs.leaky_relu(x, 0.1), 0.1), vs.exp(vs.tanh(x))

    (match,) = matches(twice, host)
    assert "leaky_relu" in str(apply(host, match))


@given(st.data())
@settings(max_examples=40)
def test_applying_an_equal_rule_anywhere_preserves_meaning(data: st.DataObject) -> None:
    """At every match of every equal rule in random diagrams of the kinds that rules speak of."""
    kinds = ["contract", "add", "pointwise", "softmax"]
    host = data.draw(testing.diagrams(max_boxes=8, kinds=kinds))
    sizes = data.draw(testing.sizes_for(host))
    inputs = data.draw(testing.inputs_for(host, sizes))
    values = list(inputs.values()) if isinstance(inputs, dict) else list(inputs)
    before = host.evaluate(*values, sizes=sizes)
    for one in RULES.values():
        if one.grade.name != "equal":
            continue
        for match in matches(one, host):
            after = apply(host, match)
            assert after.output_types == host.output_types
            got = after.evaluate(*values, sizes=sizes)
            pairs = zip(before, got, strict=True) if isinstance(before, tuple) else [(before, got)]
            for a, b in ((a.double(), b.double()) for a, b in pairs):
                scale = 1 + float(a.abs().max()) if a.numel() else 1.0
                if torch.isfinite(b).all():
                    assert torch.allclose(a, b, rtol=1e-6, atol=1e-6 * scale), one.name


@given(st.data())
@settings(max_examples=30)
def test_alpha_variants_match_alike(data: st.DataObject) -> None:
    host = data.draw(testing.diagrams(max_boxes=8, kinds=["contract", "add", "pointwise"]))
    variant = data.draw(testing.alpha_variants(host))
    for one in RULES.values():
        results = {hash(apply(host, match)) for match in matches(one, host)}
        again = {hash(apply(variant, match)) for match in matches(one, variant)}
        assert results == again, one.name


# -- applying ------------------------------------------------------------------------------------


def test_the_host_is_left_as_it_is_and_overlaps_are_refused() -> None:
    text = str(kernel)
    (match,) = matches(RULES["reassociate"], kernel)
    with pytest.raises(Overlap, match="share a box"):
        apply(kernel, match, match)
    apply(kernel, match)
    assert str(kernel) == text


def test_softmax_ignores_a_shift_and_keeps_the_tubes_of_what_it_loses() -> None:
    @vs.diagram
    def shifted(s: "n m", c: "b") -> "b n m":
        return vs.softmax(s + c, over="m")

    (match, *_) = matches(RULES["shift_softmax"], shifted)
    result = apply(shifted, match)
    assert result.output_types == shifted.output_types
    s, c = torch.randn(3, 4, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    assert close(shifted.evaluate(s, c), result.evaluate(s, c))


# -- derivations and strategies --------------------------------------------------------------------


def test_softmax_attention_to_linear_attention() -> None:
    """The way of Transformers are RNNs (arXiv 2006.16236); one step of it is no equality."""
    steps = ("unfold_softmax", "exponential_to_elu_kernel", "normalise_late", "reassociate")
    found = derive(attention.over("b h"), *(RULES[name] for name in steps))
    assert found.grade.name == "variant"
    assert found.decisive is not None
    assert found.decisive.move.rule.name == "exponential_to_elu_kernel"
    assert found.replay() == found
    q, k, v = (torch.randn(2, 3, n, 4, dtype=torch.float64) for n in (5, 6, 6))
    phi_q, phi_k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    weights = phi_q @ phi_k.transpose(-1, -2)
    wanted = (weights / weights.sum(-1, keepdim=True)) @ v
    assert close(found.end.evaluate(q, k, v), wanted)


def test_an_equal_derivation_inverts() -> None:
    found = derive(attention, RULES["unfold_softmax"], RULES["normalise_late"])
    assert found.grade.name == "equal"
    back = found.inverse()
    assert back.end == attention
    assert (found >> back).end == attention


def test_a_rule_that_does_not_stand_there_is_refused() -> None:
    with pytest.raises(NoMatch, match="reassociate has no match number 0"):
        Derivation(attention).then(RULES["reassociate"])


def softmaxes(diagram: vs.Diagram) -> int:
    return sum(node.box.kind.name == "softmax" for node in diagram.boxes)


def steps(ended: Stopped) -> list[str]:
    return [step.name for step in ended.derivation]


def test_once() -> None:
    ended = once(RULES["unfold_softmax"])(attention)
    assert (steps(ended), ended.normal) == (["unfold_softmax"], False)
    ended = once(RULES["reassociate"])(attention)
    assert ended == (Derivation(attention), True, "reassociate matches nowhere")


def test_first_takes_one_step_of_one() -> None:
    plan = first(RULES["reassociate"], RULES["unfold_softmax"], RULES["normalise_late"])
    assert steps(plan(attention)) == ["unfold_softmax"]
    assert steps(plan(plan(attention).derivation)) == ["unfold_softmax", "normalise_late"]
    stuck = first(RULES["reassociate"], RULES["normalise_late"])(attention)
    assert stuck.normal
    assert stuck.reason == "reassociate matches nowhere; normalise_late matches nowhere"
    assert first()(attention) == (Derivation(attention), True, "there is nothing to try")


def test_in_order_takes_all_and_passes_over_what_does_not_stand_there() -> None:
    names = ("unfold_softmax", "square_of_sum", "exponential_to_elu_kernel", "normalise_late")
    ended = in_order(*(RULES[name] for name in names))(attention)
    assert steps(ended) == [names[0], names[2], names[3]]
    assert not ended.normal
    assert "square_of_sum matches nowhere" in ended.reason
    backwards = in_order(*(RULES[name] for name in reversed(names)))(attention)
    assert steps(backwards) == ["unfold_softmax"]
    assert in_order(RULES["square_of_sum"])(attention).normal


def test_repeat_is_bounded_and_says_where_it_stops() -> None:
    looping = repeat(RULES["reassociate"], limit=7)(kernel)
    assert len(looping.derivation) == 7
    assert not looping.normal
    assert looping.reason == "repeat(reassociate) reached its limit of 7"
    ended = repeat(RULES["unfold_softmax"], limit=1)(attention)
    assert (len(ended.derivation), ended.normal) == (1, True)
    nested = in_order(repeat(RULES["unfold_softmax"]), repeat(RULES["normalise_late"], limit=3))
    assert steps(nested(attention))[:2] == ["unfold_softmax", "normalise_late"]
    with pytest.raises(FormatError, match="the limit is at least 1, not 0"):
        repeat(RULES["reassociate"], limit=0)


def test_normalise_is_bounded_by_its_measure() -> None:
    ended = normalise(RULES["unfold_softmax"], measure=softmaxes)(attention)
    assert ended.normal
    assert softmaxes(ended.derivation.end) == 0
    assert ended.reason == "no rule lowers the measure, which is 0"
    stays = normalise(RULES["unfold_softmax"], measure=lambda diagram: 5)(attention)
    assert stays.derivation == Derivation(attention)
    with pytest.raises(FormatError, match="a measure is 0 or more, not -1"):
        normalise(RULES["unfold_softmax"], measure=lambda diagram: -1)(attention)


def test_what_raises_in_the_middle_leaves_the_diagram_as_it_was() -> None:
    class Trouble(Exception):
        """Not one of ours."""

    @vs.schema("equal")
    def breaks(f: Part) -> Iterator[Opened]:
        """f → ?"""
        if f.kind.name == "softmax":
            raise Trouble
        yield from ()

    before, number = attention.to_json(), hash(attention)
    derivation = Derivation(attention).then(RULES["unfold_softmax"]).inverse()
    kept = derivation.steps
    for attempt in (
        lambda: derivation.then(breaks),
        lambda: once(breaks)(derivation),
        lambda: everywhere(attention, breaks),
        lambda: rewrite(attention, next(matches(breaks, attention))),
    ):
        with pytest.raises(Trouble):
            attempt()
        assert (attention.to_json(), hash(attention)) == (before, number)
        assert derivation.steps == kept
        assert steps(once(RULES["unfold_softmax"])(attention)) == ["unfold_softmax"]


def test_everywhere_rewrites_what_does_not_overlap_in_one_pass() -> None:
    @rule("variant")
    def fuse(x: "") -> "":
        """tanh(exp x) → sin x"""
        return vs.tanh(vs.exp(x)), vs.sin(x)

    builder = vs.Builder("chain")
    x = builder.input("x", "n c")
    for _ in range(500):
        x = vs.tanh(vs.exp(x))
    result, count = everywhere(builder.diagram(y=x), fuse)
    assert count == 500
    assert {node.box["function"].name for node in result.boxes} == {"sin"}


# -- refusals at definition ------------------------------------------------------------------------


def test_sides_that_depend_on_different_inputs_are_refused() -> None:
    with pytest.raises(RuleError, match="does not depend on c, so it would lose the tubes of c"):

        @rule("equal")
        def shift(s: "m", c: "") -> "m":
            return vs.softmax(s + c, over="m"), vs.softmax(s, over="m")


def test_an_axis_that_no_box_binds_is_refused() -> None:
    with pytest.raises(AxisError, match="no box of either side binds or makes the axis 'n'"):

        @rule("equal")
        def named(x: "n") -> "n":
            return x + x, 2 * x


def test_an_input_that_the_left_side_does_not_use_is_refused() -> None:
    with pytest.raises(RuleError, match="does not use 'y'"):

        @rule("equal")
        def zero(x: "", y: "") -> "":
            return x + 0, x + 0 * y


def test_a_size_that_the_left_side_does_not_know_is_refused() -> None:
    with pytest.raises(SizeError, match="size 'k'"):

        @rule("equal")
        def mean(x: "j") -> "":
            return vs.sum(x, "j"), vs.sum(x, "j") * vs.size("k") / vs.size("k")


def test_a_rule_returns_two_sides() -> None:
    with pytest.raises(RuleError, match="return left, right"):

        @rule("equal")
        def one(x: "") -> "":
            return x + x


def test_an_unknown_grade_is_refused() -> None:
    with pytest.raises(vs.FormatError, match="a grade is one of"):
        rule("similar")


# -- grades ----------------------------------------------------------------------------------------


names = st.sampled_from(sorted(GRADES))


@given(names)
def test_equal_is_the_unit_of_grades(name: str) -> None:
    assert grade("equal").then(grade(name)) == grade(name)
    assert grade(name).then(grade("equal")).name == name


@given(names, names, names)
def test_grades_compose_associatively(a: str, b: str, c: str) -> None:
    x, y, z = grade(a), grade(b), grade(c)
    assert x.then(y).then(z).name == x.then(y.then(z)).name


def test_up_and_then_down_makes_siblings() -> None:
    assert grade("generalises").then(grade("reduces")).name == "variant"
    assert grade("reduces").then(grade("reduces")).name == "reduces"
    assert grade("reduces").inverse().name == "generalises"
