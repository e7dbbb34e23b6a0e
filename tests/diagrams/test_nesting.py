"""Named boxes in named boxes: as deep as they may be, and shared however often they stand."""

from __future__ import annotations

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.boxes.nested import MAX_NESTING


@vs.diagram
def leaf(x: "n c") -> "n c":
    return vs.tanh(vs.linear(x, "c", "c", name="w"))


@vs.diagram
def plain(x: "n c") -> "n c":
    return vs.tanh(x)


def deep(diagram: vs.Diagram, depth: int) -> vs.Diagram:
    """The diagram in a box in a box …"""
    for k in range(depth):
        diagram = diagram.fold(f"f{k}")
    return diagram


def doubled(diagram: vs.Diagram, times: int) -> vs.Diagram:
    """f ∘ f in a box, that twice in a box, …: 2^times copies of f, were they unfolded."""
    for k in range(times):
        builder = vs.Builder(f"d{k}")
        x = builder.input("x", "n c")
        diagram = builder.diagram(diagram.boxed(diagram.boxed(x)))
    return diagram


def test_whatever_goes_inside_ends() -> None:
    diagram = deep(leaf, MAX_NESTING)
    assert diagram.nesting == MAX_NESTING
    assert diagram == deep(leaf, MAX_NESTING)
    assert diagram.unfold() == leaf
    assert diagram.unfold(depth=1) == deep(leaf, MAX_NESTING - 1)
    assert vs.Diagram.from_json(diagram.to_json()) == diagram
    assert diagram.substitute(c=4) == deep(leaf.substitute(c=4), MAX_NESTING)
    assert diagram.cost().flops == leaf.cost().flops
    in_tube = diagram.over("t", parameters=True)
    assert in_tube.unfold() == leaf.over("t", parameters=True)
    x = torch.randn(2, 3, dtype=torch.float64)
    w = torch.randn(3, 3, dtype=torch.float64)
    (name,) = diagram.parameters
    got = diagram.evaluate(x, parameters={name: w})
    assert torch.equal(got, torch.tanh(x @ w))
    assert diagram.to_networkx().number_of_nodes() > 0
    assert "f0" in str(diagram)


def test_deeper_is_refused() -> None:
    diagram = deep(plain, MAX_NESTING)
    with pytest.raises(vs.StructureError, match=f"more: .* more than {MAX_NESTING} deep") as error:
        diagram.fold("more")
    assert "\n  at test_nesting.py:" in str(error.value)
    assert diagram.unfold(depth=1).fold("more").nesting == MAX_NESTING

    builder = vs.Builder("scanned")
    s = builder.input("s", "n c")
    with pytest.raises(vs.StructureError, match="nested more than"):
        vs.scan(diagram, over="t", states=[s], length="t")
    assert len(builder.nodes) == 1


def test_sharing_is_not_undone() -> None:
    """Each of these would take a year if it went into every box once."""
    diagram = doubled(plain, 60)
    assert diagram == doubled(plain, 60)
    assert hash(diagram) == hash(doubled(plain, 60))
    assert diagram.substitute(c=4).output_types == plain.substitute(c=4).output_types
    assert diagram.substitute(n="2*n").size_variables == ("n", "c")
    assert vs.Diagram.from_json(diagram.to_json()) == diagram
    assert diagram.cost().at(n=1, c=1).flops == 2**60
    assert len(diagram.over("t")) == 2
    assert diagram.rename(n="m").output_types["out"].words() == ["m:n", "c"]
    builder = vs.Builder("called")
    y = diagram(builder.input("y", "n:7 c:3"))
    assert y.type == vs.ArrayType.parse("n:7 c:3")
