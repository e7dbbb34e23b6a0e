"""No false positive and no miss: matching against brute force, and against networkx."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.match import matches
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Opened, Part, Side, schema

sys.path.insert(0, str(Path(__file__).parent))
from oracle import key, naive

KINDS = ["contract", "add", "pointwise", "softmax", "max", "expand", "split", "merge", "concat"]
KINDS += ["slice", "diagonal", "topk", "gather", "constant"]
SEEN: Counter[str] = Counter()


def rule_of(opened: Opened) -> Rule:
    """A left side as a rule, whose right side treats no two inputs alike."""

    def right(side: Side) -> object:
        scalars = []
        for k, port in enumerate(side.builder.inputs, 2):
            wire = vs.Wire(side.builder, port.wire, port.axes)
            wire = vs.to_float(wire) if wire.dtype != "float" else wire
            total = vs.sum(wire, wire.names) if wire.names else wire
            scalars.append(total * float(k))
        return tuple(vs.add(wire, *scalars) for wire in side.outputs)

    @schema("variant")
    def pattern(f: Part) -> list[Opened]:
        return []

    rule = opened.rule(right).build(pattern)
    sizes = {length for type_ in rule.left.types for length in type_.sizes}
    plain = all(length.variable or length.constant is not None for length in sizes)
    return replace(rule, fixed={}) if plain else rule


@st.composite
def parts(draw: st.DrawFn, host: Diagram) -> Opened:
    """A box of a host with some of those below it."""
    inner = [k for k, node in enumerate(host.nodes) if node.src]
    assume(inner)
    part = Part(host, draw(st.sampled_from(inner)))
    opened = part.open()
    todo = [part]
    while todo and len(opened.parts) < 4:
        here = todo.pop()
        for port in range(len(here.node.src)):
            below = here.below(port)
            if below.node.src and draw(st.booleans()):
                opened = opened.open(here, port)
                todo.append(below)
    return opened


@given(st.data())
@settings(max_examples=1000)
@pytest.mark.slow
def test_matches_are_those_of_brute_force(data: st.DataObject) -> None:
    """Left sides cut out of one diagram, looked for in it and in another one."""
    drawn = testing.diagrams(max_boxes=6, min_boxes=2, kinds=KINDS)
    source = data.draw(drawn)
    opened = data.draw(parts(source))
    assume(len(set(opened.leaves.values())) <= 3)
    assume(all(source.types[w].dtype == "float" for w in opened.anchor.node.wires))
    try:
        rule = rule_of(opened)
    except vs.VesaliusError:
        assume(False)
    for host in (source, data.draw(drawn)):
        if len(host.types) > 9:
            continue
        wanted = naive(rule.left, host, rule.fixed)
        found = [key(host, [u for (u,) in m.inputs], list(m.outputs)) for m in matches(rule, host)]
        assert len(set(found)) == len(found)
        assert set(found) == wanted, f"{rule.left}\n{host}"
        SEEN["pairs"] += 1
        SEEN["matches"] += len(found)
        SEEN["several"] += len(found) > 1


def test_brute_force_found_something() -> None:
    if not SEEN["pairs"]:  # this test was asked for alone
        test_matches_are_those_of_brute_force()
    assert SEEN["pairs"] > 1500
    assert SEEN["matches"] > 1000
    assert SEEN["several"] > 100
