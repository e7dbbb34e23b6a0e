"""Rules of loops."""

from __future__ import annotations

import pytest
import torch

import vesalius as vs
from vesalius.rewrite.derivation import derive
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import scans


def loop(reads_state: bool, tubes: str = "", reverse: bool = False) -> vs.Diagram:
    @vs.diagram
    def cell(s: "c", x: "d", y: "c", w: "d c") -> {"s": "c", "out": "c", "also": ""}:
        new = vs.contract(x, w, over="d") * y
        new = new + s if reads_state else new
        return {"s": vs.tanh(new + s), "out": new, "also": vs.sum(x, "d")}

    @vs.diagram
    def run(x: "t d", y: "t c", w: "h d c") -> ("h t c", "t"):
        _, out, also = vs.scan(
            cell,
            over="t",
            states=[vs.expand(1.0, "c")],
            sequences=[x, y],
            captured=[w],
            reverse=reverse,
        )
        return out, also

    return run.over(tubes, inputs="x") if tubes else run


@pytest.mark.parametrize("tubes", ["", "b", "b n"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_without_state_is_no_loop(tubes: str, reverse: bool) -> None:
    before = loop(False, tubes, reverse)
    found = derive(before, scans.scan_without_state)
    assert not [n for n in found.end.boxes if n.box.kind.name == "scan"]
    assert found.check()
    lead = [2, 3][: len(tubes.split())]
    x, y, w = (torch.randn(*shape).double() for shape in ([*lead, 4, 3], [4, 5], [6, 3, 5]))
    for one, other in zip(before.evaluate(x, y, w), found.end.evaluate(x, y, w), strict=True):
        assert torch.allclose(one, other)


def test_a_loop_that_reads_its_state_stays() -> None:
    assert not list(matches(scans.scan_without_state, loop(True)))


def test_the_last_state_may_be_read_all_the_same() -> None:
    @vs.diagram
    def cell(s: "c", x: "c") -> {"s": "c", "out": "c"}:
        return {"s": s + x, "out": vs.exp(x)}

    @vs.diagram
    def run(x: "t c") -> ("c", "t c"):
        last, out = vs.scan(cell, over="t", states=[vs.expand(0.0, "c")], sequences=[x])
        return last, out

    found = derive(run, scans.scan_without_state)
    x = torch.randn(4, 3).double()
    last, out = found.end.evaluate(x)
    assert torch.allclose(last, x.sum(0))
    assert torch.allclose(out, x.exp())
    assert [n.box.kind.name for n in found.end.boxes].count("scan") == 1


def test_a_learner_comes_out_of_a_loop_with_it() -> None:
    @vs.diagram
    def cell(s: "c", x: "d") -> {"s": "c", "out": "c"}:
        s = vs.learner("u", x, binds="d", into="c")
        return {"s": s, "out": s}

    @vs.diagram
    def run(x: "b t d") -> "b t c":
        return vs.scan(cell, over="t", states=[vs.expand(0.0, "c")], sequences=[x])[1]

    found = derive(run, scans.scan_without_state)
    assert list(found.end.learners) == ["cell.u"]
    verdict = found.check()
    assert verdict
    assert verdict.parts[0].mark == "exact"

    @vs.diagram
    def body(x: "d") -> "c":
        return vs.linear(x, "d", "c", name="w")

    x, w = torch.randn(2, 4, 3).double(), torch.randn(3, 5).double()
    filled = found.end.fill(u=body)
    assert torch.allclose(filled.evaluate(x, parameters={"cell.u.w": w}), x @ w)
