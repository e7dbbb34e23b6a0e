"""What an adversary writes: wrong rules are refuted, right ones are not, witnesses are tried."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from adversarial_rules import RIGHT, WRONG

import vesalius as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import output_port
from vesalius.rewrite.apply import apply
from vesalius.rewrite.check import check
from vesalius.rewrite.checking import instances
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.rule import rule
from vesalius.rewrite.witness import Witness


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_refuted_by_a_script_that_fails(name: str) -> None:
    verdict = check(WRONG[name])
    assert not verdict, str(verdict)
    assert verdict.mark != "outside"
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_neither_refuted_nor_outside(name: str) -> None:
    known, mark = RIGHT[name]
    verdict = check(known)
    assert verdict, str(verdict)
    assert verdict.mark == mark


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["clipped_far_out", "true_unless_twelve_divides", "gelu_by_tanh"])
def test_no_seed_saves_a_wrong_rule(name: str, seed: int) -> None:
    assert not check(WRONG[name], seed=seed, explain=False)


def test_what_is_true_of_real_numbers_alone_is_noted_where_infinity_breaks_it() -> None:
    @rule("equal")
    def positive(s: "m") -> "m":
        return vs.sign(vs.softmax(s, over="m")), vs.like(1.0, vs.softmax(s, over="m"))

    notes = check(positive).notes
    assert "the sides differ where s holds −∞" in notes
    assert "the sides differ where s is all −∞" in notes


def test_what_breaks_on_an_empty_axis_is_noted() -> None:
    @rule("equal")
    def pooled(s: "j", b: "") -> "":
        return vs.sum(vs.softmax(s, over="j"), "j") * b, vs.like(b, vs.sum(s, "j"))

    assert "the sides differ where j is empty" in check(pooled).notes


def test_an_engine_that_is_wrong_under_tubes_alone_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sides that are equal are not enough: what is put into a diagram has to be equal there."""

    @rule("equal")
    def pull_out(w: "", x: "j") -> "":
        return vs.contract(w, x, over="j"), w * vs.sum(x, "j")

    assert check(pull_out)

    def sloppy(host: Diagram, *found: Any) -> Diagram:
        after = apply(host, *found)
        return negated(after) if after.outputs[0].axes else after

    monkeypatch.setattr("vesalius.rewrite.check.apply", sloppy)
    assert not check(pull_out, explain=False)


def negated(diagram: Diagram) -> Diagram:
    """The diagram with the sign of its first output changed."""
    builder = vs.Builder("negated")
    with builder:
        results = diagram(*(builder.input(n, t) for n, t in diagram.input_types.items()))
        wires = list(results) if isinstance(results, tuple) else [results]
        wires[0] = -wires[0]
    names = diagram.output_types.items()
    return builder.finish(
        [output_port(builder, n, t, w) for (n, t), w in zip(names, wires, strict=True)]
    )


def test_all_numbers_of_operands_are_tried() -> None:
    """Each number of each group, and each pair of numbers where there is room."""
    rows = [(a, b, c) for a in (1, 2, 0) for b in (1, 2, 0, 3) for c in (1, 2)]
    chosen = instances.covering(rows)
    assert chosen[0] == rows[0]
    assert len(chosen) <= instances.INSTANCES
    for k in range(3):
        assert {row[k] for row in chosen} == {row[k] for row in rows}


# -- other grades ---------------------------------------------------------------------------------


@vs.diagram
def scaled(x: "n d") -> "n":
    return vs.contract(x, vs.parameter("w", "d"), over="d")


@vs.diagram
def bent(x: "n d") -> "n":
    return vs.sum(vs.sin(x), "d")


def test_a_witness_does_not_see_the_inputs() -> None:
    def peeking(p: Any, sizes: Any) -> Any:
        return {"w": torch.sin(p["x"]) / p["x"]}

    verdict = check((scaled, bent), grade="reduces", witness=Witness(to_left=peeking))
    assert not verdict


def test_a_witness_has_to_serve_at_every_input_and_parameter() -> None:
    """What is fitted to one draw fails at another."""
    for value in (0.0, 1.0):

        def fixed(p: Any, sizes: Any, value: float = value) -> Any:
            return {"w": torch.full((sizes["d"],), value, dtype=torch.float64)}

        assert not check((scaled, bent), grade="reduces", witness=Witness(to_left=fixed))
        assert not check((scaled, scaled), grade="generalises", witness=Witness(to_right=fixed))


def test_a_witness_for_square_matrices_is_refused() -> None:
    @vs.diagram
    def one(x: "n d") -> "n e":
        return vs.contract(x, vs.parameter("w", "d e"), over="d")

    def transposed(p: Any, sizes: Any) -> Any:
        w = p["w"]
        return {"w": w.T if w.shape[0] == w.shape[1] else w}

    both = Witness(to_left=transposed, to_right=transposed)
    assert not check((one, one), grade="reparametrised", witness=both)


def test_a_bound_that_holds_for_small_inputs_alone_is_refused() -> None:
    @vs.diagram
    def identity(x: "n") -> "n":
        return x

    @vs.diagram
    def clipped(x: "n") -> "n":
        return vs.minimum(x, 5.0)

    bound = Grade(Relation.EQUAL, Precision.BOUND, error=0.5)
    assert not check((identity, clipped), grade=bound)
