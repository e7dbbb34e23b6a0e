"""Parameters travel along derivations: what the end computes with them is what the start did."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.names import sizes_of
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.moves import Choose, Fill, Restrict
from vesalius.rewrite.rule import Rule, rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.transport import NoWitness
from vesalius.rewrite.witness import Witness

SIZES = {"n": 4, "m": 5, "c": 3, "d": 3, "h": 2, "e": 3, "b": 2}


def parameters(diagram: vs.Diagram, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(
            [length.at(SIZES) for length in type_.axes.values()], generator=made, dtype=dtype
        )
        for name, type_ in diagram.parameters.items()
    }


def outputs(diagram: vs.Diagram, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    made = torch.Generator().manual_seed(4)
    inputs = [
        torch.randn([size.at(SIZES) for size in t.axes.values()], generator=made).double()
        for t in diagram.input_types.values()
    ]
    given = {name: value.double() for name, value in state.items()}
    return diagram.evaluate(*inputs, parameters=given, sizes=sizes_of(diagram, SIZES))


def travels(derivation: Derivation, state: Mapping[str, torch.Tensor] | None = None) -> bool:
    """Whether the end does with the parameters carried to it what the start does with `state`."""
    state = parameters(derivation.start) if state is None else state
    carried = derivation.transport(state, sizes=SIZES)
    assert list(carried) == list(derivation.end.parameters)
    for name, type_ in derivation.end.parameters.items():
        assert list(carried[name].shape) == [length.at(SIZES) for length in type_.axes.values()]
    return torch.allclose(outputs(derivation.start, state), outputs(derivation.end, carried))


def gauge(p: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    return {"wq": 2 * p["wq"], "wk": p["wk"] / 2}


def gauge_back(p: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    return {"wq": p["wq"] / 2, "wk": 2 * p["wk"]}


def merged(p: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    assert p["wq"].shape == (sizes["d"], sizes["e"])
    return {"w": p["wq"] @ p["wk"].T}


@rule("generalises", witness=Witness(to_right=merged))
def merge(x: "d", y: "f") -> "":
    """(x·Wq)·(y·Wk) = x·W·y, W = Wq·Wkᵀ"""
    q, k = vs.linear(x, "d", "e", name="wq"), vs.linear(y, "f", "e", name="wk")
    w = vs.parameter("w", "d f")
    return vs.contract(q, k, over="e"), vs.contract(vs.contract(x, w, over="d"), y, over="f")


@rule("reparametrised", witness=Witness(to_left=gauge_back, to_right=gauge))
def turn(x: "d", y: "f") -> "":
    """(x·Wq)·(y·Wk) = (x·2Wq)·(y·½Wk): the same diagram with other parameters"""
    q, k = vs.linear(x, "d", "e", name="wq"), vs.linear(y, "f", "e", name="wk")
    return vs.contract(q, k, over="e"), vs.contract(q, 1.0 * k, over="e")


def scores(query_axes: str, key_axes: str) -> vs.Diagram:
    @vs.diagram
    def host(x: "n d", y: "m d") -> "h n m":
        wq, wk = vs.parameter("wq", query_axes), vs.parameter("wk", key_axes)
        q, k = vs.contract(x, wq, over="d"), vs.contract(y, wk, over="d")
        return vs.contract(q, k, over="e")

    return host


LAYOUTS = ["h d e", "d h e", "e d h", "d e"]


@pytest.mark.parametrize(
    ("queries", "keys"), [p for p in product(LAYOUTS, LAYOUTS) if p != ("d e", "d e")]
)
def test_a_witness_is_applied_under_every_head(queries: str, keys: str) -> None:
    """Wherever the heads stand in a parameter, and whether both have them."""
    assert travels(derive(scores(queries, keys), merge))


@pytest.mark.parametrize("place", [0, 1])
def test_parameters_that_stay_take_the_values_that_the_witness_gives(place: int) -> None:
    found = Derivation(scores("h d e", "d h e")).then(turn, place)
    state = parameters(found.start)
    carried = found.transport(state)
    grown, shrunk = ("wq", "wk") if place == 0 else ("wk", "wq")
    assert torch.equal(carried[grown], 2 * state[grown])
    assert torch.equal(carried[shrunk], state[shrunk] / 2)
    assert travels(found)
    assert all(torch.equal(x, state[n]) for n, x in found.inverse().transport(carried).items())


def test_there_and_back() -> None:
    found = derive(scores("h d e", "h d e"), turn)
    assert found.grade.name == "reparametrised"
    assert travels(found >> found.inverse())


def test_a_shared_witness_that_differs_by_head_is_refused() -> None:
    """Keys without heads can't take a value for each head."""

    def by_head(p: Mapping[str, torch.Tensor], sizes: object) -> dict[str, torch.Tensor]:
        return {"wk": p["wk"] * p["wq"].sum(), "wq": p["wq"]}

    @rule("generalises", witness=Witness(to_right=by_head))
    def mixed(x: "d", y: "f") -> "":
        q, k = vs.linear(x, "d", "e", name="wq"), vs.linear(y, "f", "e", name="wk")
        return vs.contract(q, k, over="e"), vs.contract(q, 1.0 * k, over="e")

    with pytest.raises(NoWitness, match="another 'wk' at each place of a tube"):
        derive(scores("h d e", "d e"), mixed).transport(parameters(scores("h d e", "d e")))


def test_tied_weights_travel_one_way_only() -> None:
    """Forwards the rest keeps its own; backwards it would have to follow."""

    def renamed(p: Mapping[str, torch.Tensor], sizes: object) -> dict[str, torch.Tensor]:
        return {"v": -p["w"]}

    def back(p: Mapping[str, torch.Tensor], sizes: object) -> dict[str, torch.Tensor]:
        return {"w": -p["v"]}

    @rule("reparametrised", witness=Witness(to_left=back, to_right=renamed))
    def negative(x: "d") -> "e":
        """x·W = −(x·V), V = −W"""
        return vs.linear(x, "d", "e", name="w"), -vs.linear(x, "d", "e", name="v")

    @vs.diagram
    def tied(x: "n d", y: "m d") -> ("n e", "m e"):
        w = vs.parameter("wq", "d e")
        return vs.contract(x, w, over="d"), vs.exp(vs.contract(y, w, over="d"))

    found = derive(tied, negative)
    assert found.grade.name == "generalises"
    state = parameters(tied)
    carried = found.transport(state)
    assert torch.equal(carried["v"], -state["wq"])
    assert torch.equal(carried["wq"], state["wq"])
    assert found.inverse().transport(carried).keys() == state.keys()
    with pytest.raises(NoWitness, match="'wq' would have to change, and is used elsewhere too"):
        found.inverse().transport({**carried, "v": carried["v"] + 1})


def test_equal_steps_leave_parameters_alone() -> None:
    mechanism = vs.anatomy["multihead"](causal=True)
    found = derive(mechanism, RULES["unfold_softmax"], RULES["normalise_late"])
    state = parameters(mechanism)
    carried = found.transport(state, sizes=SIZES)
    assert all(carried[name] is state[name] for name in state)
    assert travels(found)


def test_what_an_equal_step_drops_is_zero_on_the_way_back() -> None:
    """Nothing depends on it."""

    @vs.diagram
    def biased(x: "n d", y: "m d") -> "n m":
        shift = vs.contract(x, vs.parameter("b", "d"), over="d")
        return vs.softmax(vs.contract(x, y, over="d") + shift, over="m")

    found = derive(biased, RULES["shift_softmax"])
    assert travels(found)
    back = found.inverse()
    assert travels(back)


def test_the_type_of_the_numbers_is_kept() -> None:
    found = derive(scores("h d e", "d h e"), merge)
    state = parameters(found.start, torch.float32)
    assert found.transport(state)["w"].dtype == torch.float32


def test_what_a_step_fills_in_is_handed_in() -> None:
    @vs.diagram
    def body(x: "d") -> "e":
        return vs.linear(x, "d", "e", name="w")

    @vs.diagram
    def host(x: "n d") -> "n e":
        return vs.learner("u", x, binds="d", into="e")

    found = derive(host, Fill({"u": body}))
    with pytest.raises(
        NoWitness, match=r"step 1, fill u \(reduces\): nothing says .* hand in 'u\.w'"
    ):
        found.transport({})
    given = parameters(found.end)
    assert torch.equal(found.transport(given)["u.w"], given["u.w"])
    assert found.inverse().transport(given) == {}


def test_restricting_and_choosing_change_no_parameter() -> None:
    found = derive(scores("h d e", "d h e"), Restrict("y", "x", {"m": "n"}), Choose({"e": 3}))
    state = parameters(found.start)
    carried = found.transport(state)
    assert all(torch.equal(carried[name], state[name]) for name in state)


def test_derivations_that_meet_in_equal_diagrams_may_call_parameters_otherwise() -> None:
    first = derive(scores("h d e", "d h e"), turn)

    @vs.diagram
    def host(x: "n d", y: "m d") -> "h n m":
        a, b = vs.parameter("a", "h d e"), vs.parameter("b", "d h e")
        return vs.contract(vs.contract(x, a, over="d"), vs.contract(y, b, over="d"), over="e")

    joined = first.inverse() >> derive(host, merge)
    assert set(joined.start.parameters) == {"wq", "wk"}
    assert set(joined.end.parameters) == {"w"}
    assert travels(joined)


@pytest.mark.parametrize("what", [merge, turn])
def test_a_way_without_a_witness_is_refused(what: Rule) -> None:
    found = derive(scores("h d e", "d h e"), merge).inverse()
    with pytest.raises(NoWitness, match=r"step 1, merge, backwards \(reduces\): no witness"):
        found.transport(parameters(found.start))


def test_parameters_that_do_not_fit_are_refused() -> None:
    found = derive(scores("h d e", "d h e"), merge)
    state = parameters(found.start)
    with pytest.raises(vs.StructureError, match="the parameter 'wk' is missing"):
        found.transport({"wq": state["wq"]})
    with pytest.raises(vs.SizeError, match="'wk' has"):
        found.transport({**state, "wk": state["wk"][:2]})
