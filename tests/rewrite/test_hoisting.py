"""What no step of a loop changes is computed once, before the loop."""

from __future__ import annotations

import vesalius as vs
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules.hoisting import hoist_out_of_scan


@vs.diagram
def step(s: "c", x: "c", w: "c d", u: "d c") -> {"s": "c", "y": "c"}:
    mixing = vs.contract(w, u.rename(c="k"), over="d")
    s = vs.tanh(vs.contract(s, mixing, over="c").rename(k="c") + x)
    return {"s": s, "y": s * vs.sum(w, "d") + vs.exp(x)}


@vs.diagram
def recurrent(x: "n c", w: "c d", u: "d c") -> "n c":
    _, y = vs.scan(step, over="n", states=[vs.expand(0.0, "c")], sequences=[x], captured=[w, u])
    return y


@vs.diagram
def shorter(s: "c", x: "c", mixing: "c k:c", gain: "c") -> {"s": "c", "y": "c"}:
    s = vs.tanh(vs.contract(s, mixing, over="c").rename(k="c") + x)
    return {"s": s, "y": s * gain + vs.exp(x)}


@vs.diagram
def hoisted(x: "n c", w: "c d", u: "d c") -> "n c":
    mixing = vs.contract(w, u.rename(c="k"), over="d")
    _, y = vs.scan(
        shorter,
        over="n",
        states=[vs.expand(0.0, "c")],
        sequences=[x],
        captured=[mixing, vs.sum(w, "d")],
    )
    return y


def body_of(diagram: vs.Diagram) -> vs.Diagram:
    return next(node.box["body"] for node in diagram.boxes if node.box.kind.name == "scan")


def test_what_depends_on_captured_wires_alone_leaves_the_body() -> None:
    (match,) = matches(hoist_out_of_scan, recurrent)
    result = apply(recurrent, match)
    kinds = dict.fromkeys(("contract", "pointwise"), 0)
    for node in result.boxes:
        kinds[node.box.kind.name] = kinds.get(node.box.kind.name, 0) + 1
    assert kinds["contract"] == 2
    assert len(body_of(result)) == len(body_of(hoisted))
    assert vs.check((recurrent, result))
    assert vs.check((hoisted, result))
    sizes = {"n": 50, "c": 8, "d": 8}
    assert result.cost().at(**sizes).flops == hoisted.cost().at(**sizes).flops


def test_tubes_of_captured_wires_go_with_them() -> None:
    for host in (recurrent.over("b"), recurrent.over("b", inputs=["x"])):
        (match,) = matches(hoist_out_of_scan, host)
        assert vs.check((host, apply(host, match)))


def test_what_every_step_changes_stays() -> None:
    @vs.diagram
    def busy(s: "c", x: "c", w: "c") -> {"s": "c", "y": "c"}:
        s = s * w + x
        return {"s": s, "y": vs.exp(s) + w}

    @vs.diagram
    def loop(x: "n c", w: "c") -> "n c":
        return vs.scan(busy, over="n", states=[vs.expand(0.0, "c")], sequences=[x], captured=[w])[1]

    assert not list(matches(hoist_out_of_scan, loop))
