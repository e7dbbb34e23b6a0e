"""Loops that swallow what they read and what reads them."""

from __future__ import annotations

import pytest
import torch

import vesalius as vs
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import fusion
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.strategy import in_order, repeat


@vs.diagram
def fade(s: "c", x: "c", rate: "") -> {"s": "c", "out": "c"}:
    s = rate * s + x
    return {"s": s, "out": vs.tanh(s)}


@vs.diagram
def forwards(q: "b n c", x: "b n d", y: "n e", w: "d c", rate: "") -> "b n e":
    """Two loops with tubes of their own, what they read, and what reads both."""
    k = vs.contract(x, w, over="d")
    states = [vs.expand(1.0, "c")]
    _, a = vs.scan(fade, over="n", states=states, sequences=[k], captured=[rate])
    outer = vs.exp(k) * y
    _, b = vs.scan(fade, over="n", states=states, sequences=[outer], captured=[rate / 2])
    total = vs.contract(q, a, over="c")
    return vs.contract(q, b, over="c") / (1 + total * total)


@vs.diagram
def backwards(x: "n d", w: "d c") -> "n":
    k = vs.sigmoid(vs.contract(x, w, over="d"))
    _, a = vs.scan(
        fade, over="n", states=[vs.expand(0.5, "c")], sequences=[k], captured=[0.5], reverse=True
    )
    return vs.sum(a * vs.expand(2.0, "c"), "c")


@vs.diagram
def widened(q: "n c", v: "n e") -> "n c w:e+1":
    """What is read makes an axis that the body does not know."""
    wide = vs.pad(v, "e", 0, 1, value=1, into="w")
    _, a = vs.scan(
        fade, over="n", states=[vs.expand(0.0, "c")], sequences=[q * wide], captured=[0.5]
    )
    return a


def exhausted(diagram: vs.Diagram, *schemas: Schema) -> Derivation:
    """All that moves into loops, in the order of the schemas."""
    ended = in_order(*(repeat(schema, limit=40) for schema in schemas))(diagram)
    assert "limit" not in ended.reason
    return ended.derivation


BOTH = (fusion.compute_in_the_loop, fusion.read_in_the_loop)
HOSTS = (forwards, backwards, widened, forwards.over("h"), backwards.over("h t"))


@pytest.mark.parametrize("schemas", [BOTH, BOTH[::-1], BOTH[:1], BOTH[1:]])
@pytest.mark.parametrize("diagram", HOSTS)
def test_what_moves_into_a_loop_changes_nothing(
    diagram: vs.Diagram, schemas: tuple[Schema, ...]
) -> None:
    found = exhausted(diagram, *schemas)
    assert len(found) or schemas == BOTH[1:]
    sizes = dict.fromkeys("hbt", 2) | {"n": 4, "c": 3, "d": 5, "e": 2}
    values = [
        torch.randn([length.at(sizes) for length in type_.axes.values()]).double()
        for type_ in diagram.input_types.values()
    ]
    wanted = diagram.evaluate(*values)
    assert all(torch.allclose(one.evaluate(*values), wanted) for one in found.diagrams)


def test_in_the_end_there_is_one_loop_and_nothing_behind_it() -> None:
    found = exhausted(forwards, *BOTH)
    kinds = [node.box.kind.name for node in found.end.boxes]
    assert kinds.count("scan") == 1
    assert kinds[-1] == "scan"
    assert found[-2:].check(explain=False)


def test_loops_that_run_against_each_other_stay_apart() -> None:
    @vs.diagram
    def against(x: "n c") -> "n c":
        given = {"states": [vs.expand(0.0, "c")], "sequences": [x], "captured": [0.5]}
        one, other = (vs.scan(fade, over="n", **given, reverse=r)[1] for r in (False, True))
        return one * other

    assert not list(matches(fusion.read_in_the_loop, against))


def test_a_box_that_acts_along_time_stays_outside() -> None:
    @vs.diagram
    def sums(x: "n c") -> "c":
        given = {"states": [vs.expand(0.0, "c")], "captured": [1.0]}
        last, all_ = vs.scan(fade, over="n", sequences=[vs.softmax(x, over="n")], **given)
        return vs.sum(all_, "n") + last

    assert not list(matches(fusion.compute_in_the_loop, sums))
    assert not list(matches(fusion.read_in_the_loop, sums))
