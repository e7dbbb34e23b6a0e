"""Learners are holes: what fills them, at one place or several, outside and inside of scans."""

from __future__ import annotations

import pytest
import torch

import vesalius as vs


def decoder(score, cell, reverse=False):
    """A scan whose body holds two networks, each given by what makes its wire."""

    @vs.diagram
    def step(s: "c", y: "t", h: "m c") -> {"s": "c", "o": "c"}:
        weights = vs.softmax(score(s, h.rename(c="g")), over="m")
        o = vs.contract(weights, h, over="m")
        return {"s": cell(s, y, o.rename(c="g")), "o": o}

    @vs.diagram
    def decoder(y: "b n t", h: "b m c") -> "b n c":
        empty = vs.expand(0.0, "c")
        return vs.scan(
            step, over="n", states=[empty], sequences=[y], captured=[h], reverse=reverse
        )[1]

    return decoder


@vs.diagram
def score(s: "c", h: "g") -> "":
    hidden = vs.linear(s, "c", "a", name="w") + vs.linear(h, "g", "a", name="u")
    return vs.contract(vs.tanh(hidden), vs.parameter("v", "a"), over="a")


@vs.diagram
def cell(s: "c", y: "t", o: "g") -> "e":
    pre = vs.linear(s, "c", "e", name="u") + vs.linear(y, "t", "e", name="w")
    return vs.tanh(pre + vs.linear(o, "g", "e", name="z"))


def open_score(s, h):
    return vs.learner("score", s, h, binds="c g")


def open_cell(s, y, o):
    return vs.learner("cell", s, y, o, binds="c t g", into="e:c").rename(e="c")


holes = decoder(open_score, open_cell)


def last(name):
    return ".".join(name.split(".")[-2:])


@pytest.mark.parametrize("reverse", [False, True])
def test_a_filled_scan_is_the_scan_of_the_filled_body(reverse):
    square = cell.substitute(e="c")
    whole = decoder(score, lambda s, y, o: square(s, y, o).rename(e="c"), reverse)
    open_ = decoder(open_score, open_cell, reverse)
    assert list(open_.learners) == ["step.score", "step.cell"]
    filled = open_.fill(score=score, cell=cell)
    assert not filled.learners
    assert filled.output_types == whole.output_types
    sizes = {"b": 2, "n": 4, "m": 5, "t": 3, "c": 6, "a": 7}
    y, h = torch.randn(2, 4, 3).double(), torch.randn(2, 5, 6).double()
    ends = {last(name): name for name in whole.parameters}
    given = {
        name: torch.randn([x.at(sizes) for x in type_.axes.values()]).double()
        for name, type_ in whole.parameters.items()
    }
    same = {name: given[ends[last(name)]] for name in filled.parameters}
    assert len(same) == len(given) == 6
    assert torch.allclose(
        filled.evaluate(y, h, parameters=same), whole.evaluate(y, h, parameters=given)
    )


def test_filling_one_of_two_leaves_the_other():
    first = holes.fill(score=score)
    assert list(first.learners) == ["step.cell"]
    assert set(first.parameters) == {"step.score.w", "step.score.u", "step.score.v"}
    assert first.fill(cell=cell).parameters == holes.fill(score=score, cell=cell).parameters
    with pytest.raises(vs.StructureError, match="has no learner 'score'"):
        first.fill(score=score)


def test_a_scan_with_holes_has_no_meaning_and_survives_json():
    with pytest.raises(vs.StructureError, match=r"the learner 'step\.score' is a hole"):
        holes.evaluate(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))
    assert vs.Diagram.from_json(holes.to_json()) == holes
    assert vs.Diagram.from_json(holes.to_json()).fill(score=score, cell=cell) == holes.fill(
        score=score, cell=cell
    )
    assert "step.cell" in str(holes.cost())


def test_two_scans_of_one_body_are_two_learners():
    @vs.diagram
    def step(s: "c", y: "c") -> {"s": "c"}:
        return {"s": vs.learner("cell", s, y.rename(c="g"), binds="c g", into="e:c").rename(e="c")}

    @vs.diagram
    def both(y: "n c") -> ("c", "c"):
        empty = vs.expand(0.0, "c")
        one = vs.scan(step, over="n", states=[empty], sequences=[y])
        return one[0], vs.scan(step, over="n", states=[empty], sequences=[y])[0]

    assert list(both.learners) == ["step.cell", "step_1.cell"]
    assert both.fill(**{"step.cell": gate}).learners.keys() == {"step_1.cell"}
    assert len(both.fill(cell=gate).parameters) == 2


@vs.diagram
def gate(s: "c", y: "g") -> "e":
    return vs.linear(s, "c", "e", name="w") + vs.sum(y, "g")


def test_a_learner_inside_a_named_box_inside_a_scan_is_filled():
    @vs.diagram
    def inner(s: "c", y: "c") -> "c":
        return vs.learner("cell", s, y.rename(c="g"), binds="c g", into="e:c").rename(e="c")

    @vs.diagram
    def step(s: "c", y: "c") -> {"s": "c"}:
        return {"s": inner.boxed(s, y)}

    @vs.diagram
    def host(y: "n c") -> "c":
        return vs.scan(step, over="n", states=[vs.expand(0.0, "c")], sequences=[y])[0]

    assert list(host.learners) == ["step.inner.cell"]
    filled = host.fill(cell=gate)
    assert not filled.learners
    assert len(filled.parameters) == 1
    y = torch.randn(3, 2).double()
    (w,) = (torch.randn(2, 2).double() for _ in filled.parameters)
    s = torch.zeros(2).double()
    for row in y:
        s = s @ w + row.sum()
    assert torch.allclose(filled.evaluate(y, parameters=dict.fromkeys(filled.parameters, w)), s)
