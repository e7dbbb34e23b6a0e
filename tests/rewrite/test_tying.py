"""Tying parameters: a step that lets several be one, and what it promises."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.errors import FormatError, StructureError, TypeClash
from vesalius.rewrite.checking.moves import check_move
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.interfaces import Tie
from vesalius.rewrite.transport import NoWitness


@vs.diagram
def scores(x: "n d", y: "m d") -> "n m":
    """Two maps of one type, and a third of another."""
    q, k = (vs.linear(z, "d", "c", name=name) for z, name in ((x, "wq"), (y, "wk")))
    return vs.contract(q, k, vs.parameter("scale", "c"), over="c")


ONE = Tie({"wk": "wq"}, "one map for both")


def test_tied_parameters_are_one_and_are_two_again_on_the_way_back() -> None:
    found = derive(scores, ONE)
    assert (found.grade.name, found.steps[0].name) == ("reduces", "tie wk to wq")
    assert list(found.end.parameters) == ["wq", "scale"]
    x, y, w = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 5, 3))
    few = {"wq": w, "scale": torch.randn(3, dtype=torch.float64)}
    many = found.inverse().transport(few)
    assert {name: value.shape for name, value in many.items()} == {
        "wq": (3, 3),
        "wk": (3, 3),
        "scale": (3,),
    }
    assert torch.equal(many["wq"], many["wk"])
    one = found.end.evaluate(x, y, parameters=few)
    assert torch.equal(one, scores.evaluate(x, y, parameters=many))
    with pytest.raises(NoWitness, match="nothing says that 'wk' and 'wq' are equal"):
        found.transport(many)


def test_tying_is_replayed_checked_and_written_down() -> None:
    found = derive(scores, ONE)
    assert found.check(explain=False)
    again = Derivation.from_json(found.to_json())
    assert again == found
    assert again.steps[0].move == ONE
    assert found.inverse().grade.name == "generalises"


@vs.diagram
def squares(x: "n d", y: "m d") -> "n m":
    """One map, and no scale."""
    w = vs.parameter("wq", "d c", fan="d")
    return vs.contract(vs.contract(x, w, over="d"), vs.contract(y, w, over="d"), over="c")


def test_a_step_to_something_else_is_refuted() -> None:
    """The check calls the diagram on equal parameters: it does not apply the move again."""
    assert check_move(ONE, scores, ONE.apply(scores)).ok
    assert not check_move(ONE, scores, squares).ok


@pytest.mark.parametrize(
    ("names", "problem", "said"),
    [
        ({"wz": "wq"}, StructureError, "no parameter 'wz'"),
        ({"wk": "wz"}, StructureError, "no parameter 'wz'"),
        ({"wk": "scale"}, TypeClash, "'wk' is {d, c} float, 'scale' is {c} float"),
        ({"wk": "wq", "wq": "wk"}, StructureError, "'wq' is tied to another itself"),
    ],
)
def test_what_can_not_be_tied_is_refused(
    names: dict[str, str], problem: type[Exception], said: str
) -> None:
    with pytest.raises(problem, match=said):
        derive(scores, Tie(names))


def _without_names(written: dict[str, Any]) -> dict[str, Any]:
    (step,) = written["steps"]
    return {**step, "move": {**step["move"], "names": {}}}


def test_a_tie_names_a_parameter() -> None:
    with pytest.raises(FormatError, match="no parameter is given"):
        Tie({})
    written = derive(scores, ONE).to_json(indent=None)
    text = json.dumps(json.loads(written) | {"steps": [_without_names(json.loads(written))]})
    with pytest.raises(FormatError, match="a parameter, at least, is another"):
        Derivation.from_json(text)
