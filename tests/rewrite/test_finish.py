"""Handing on what comes out, token by token: a step, and what it promises."""

from __future__ import annotations

import json

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.errors import FormatError, StructureError, TypeClash
from vesalius.rewrite.checking.moves import check_move
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.transport import NoWitness


@vs.diagram
def mean(x: "n d", y: "m d") -> "n d":
    """Softmax attention, with a map of the queries."""
    q = vs.linear(x, "d", "c", name="w")
    k = vs.linear(y, "d", "c", name="wk")
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), "m"), y, over="m")


@vs.diagram
def gated(o: "d", x: "d") -> "e":
    """x gates what comes out, which is mapped by weights called as others are"""
    return vs.linear(o * vs.sigmoid(x), "d", "e", name="w")


GATED = Finish(gated, doc="(o·σ(x))·W")


def test_what_comes_out_is_handed_on() -> None:
    found = derive(mean, GATED)
    assert (found.grade.name, found.steps[0].name) == ("reduces", "finish: gated")
    assert list(found.end.parameters) == ["w", "wk", "w_1"]
    assert found.end.input_types == mean.input_types
    x, y = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 5))
    own = {name: torch.randn(3, 2, dtype=torch.float64) for name in ("w", "wk", "w_1")}
    o = mean.evaluate(x, y, parameters={name: own[name] for name in ("w", "wk")})
    assert isinstance(o, torch.Tensor)
    wanted = (o * torch.sigmoid(x)) @ own["w_1"]
    assert torch.allclose(found.end.evaluate(x, y, parameters=own), wanted, 1e-12, 1e-12)


def test_a_new_input_of_each_token_comes_last() -> None:
    @vs.diagram
    def scaled(o: "d", g: "") -> "d":
        return o * g

    found = derive(mean, Finish(scaled))
    assert {name: str(type_) for name, type_ in found.end.input_types.items()} == {
        "x": "{n, d} float",
        "y": "{m, d} float",
        "g": "{n} float",
    }


def test_it_is_replayed_checked_and_written_down() -> None:
    found = derive(mean, GATED)
    assert found.check(explain=False)
    again = Derivation.from_json(found.to_json())
    assert again == found
    assert again.steps[0].move == GATED
    assert found.inverse().grade.name == "generalises"
    known = {name: torch.zeros(3, 2, dtype=torch.float64) for name in ("w", "wk", "w_1")}
    assert set(found.inverse().transport(known)) == {"w", "wk"}
    with pytest.raises(NoWitness, match="hand in 'w_1'"):
        found.transport({name: known[name] for name in ("w", "wk")})


def test_a_step_to_something_else_is_refuted() -> None:
    """The check calls the body on the output: it does not apply the move again."""

    @vs.diagram
    def other(o: "d", x: "d") -> "e":
        return vs.linear(o * vs.tanh(x), "d", "e", name="w")

    assert check_move(GATED, mean, GATED.apply(mean)).ok
    assert not check_move(GATED, mean, Finish(other).apply(mean)).ok


def test_a_body_reads_one_token_and_the_output() -> None:
    @vs.diagram
    def of_all(o: "n d") -> "n d":
        return vs.softmax(o, "n")

    @vs.diagram
    def narrow(o: "c") -> "c":
        return o

    @vs.diagram
    def wide(o: "d", x: "e") -> "d":
        return o * vs.sum(x, "e")

    with pytest.raises(StructureError, match="'o' has the axis 'n' itself"):
        derive(mean, Finish(of_all))
    with pytest.raises(StructureError, match="mean makes no axis 'm'"):
        derive(mean, Finish(gated, over="m"))
    with pytest.raises(TypeClash, match="mean makes"):
        derive(mean, Finish(narrow))
    with pytest.raises(TypeClash, match="the input 'x' is"):
        derive(mean, Finish(wide))

    @vs.diagram
    def two(x: "n d") -> ("n d", "n d"):
        return x, x

    with pytest.raises(StructureError, match="one output is handed on"):
        derive(two, GATED)


def test_a_text_without_a_body_is_refused() -> None:
    written = json.loads(derive(mean, GATED).to_json())
    del written["steps"][0]["move"]["over"]
    with pytest.raises(FormatError, match="over"):
        Derivation.from_json(json.dumps(written))
