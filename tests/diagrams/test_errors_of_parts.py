"""Composition, scans, foreign texts: what is wrong, where, and nothing left half built."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from refusals import (
    attention,
    cell,
    hole,
    noisy,
    projected,
    refused,
    state_of,
    three,
)

import vesalius as vs
from vesalius.diagrams.builder import Builder

# -- composition ---------------------------------------------------------------------------------


def test_types_that_clash_on_composition() -> None:
    refused(
        vs.TypeClash,
        "projected >> projected: the output 'out' is {n, e} float, the input 'x' is {n, d} float",
        lambda: projected >> projected,
    )
    refused(
        vs.TypeClash, "projected >> attention: 1 outputs meet 3", lambda: projected >> attention
    )


def test_parameters_that_are_not_there() -> None:
    b, x, _, _ = three()
    w = x.rename(n="d", c="e")
    refused(
        vs.StructureError,
        "projected has no parameter 'v'",
        lambda: projected(x.rename(c="d"), parameters={"v": w}),
        b,
    )
    refused(vs.StructureError, "no parameter … 'v'", lambda: projected.expose("v"))
    refused(vs.StructureError, "'v'", lambda: projected.over("t", parameters=["v"]))
    refused(
        vs.StructureError,
        "projected has no parameter 'v'",
        lambda: projected.evaluate(torch.ones(2, 3), parameters={"v": torch.ones(1)}),
    )


def test_an_unfilled_learner() -> None:
    refused(
        vs.StructureError,
        "hole: the learner 'u' is a hole; fill it first … fill(u=",
        lambda: hole.evaluate(torch.ones(2, 3)),
    )


def test_an_unfilled_learner_inside_boxes_and_scans() -> None:
    @vs.diagram
    def learns(state: "d", x: "d") -> "d":
        return vs.learner("u", state, x, binds="d", into="d")

    @vs.diagram
    def scanned(s: "d", xs: "t d") -> "d":
        (last,) = vs.scan(learns, over="t", states=[s], sequences=[xs])
        return last

    s, xs = torch.ones(2), torch.ones(3, 2)
    words = "is a hole … fill it first"
    refused(vs.StructureError, words, lambda: scanned.evaluate(s, xs))
    refused(vs.StructureError, words, lambda: hole.fold().fold().evaluate(xs))
    refused(vs.StructureError, words, lambda: vs.to_torch(hole.fold(), sizes={"d": 2}))
    refused(vs.StructureError, words, lambda: vs.to_torch(scanned, sizes={"d": 2}))


def test_fillings_of_another_type() -> None:
    @vs.diagram
    def two(x: "d", y: "d") -> "d":
        return x + y

    @vs.diagram
    def other_axes(x: "c") -> "c":
        return x

    @vs.diagram
    def other_size(x: "d:7") -> "d:7":
        return x

    @vs.diagram
    def whole(x: "d") -> "d int":
        return vs.to_int(x)

    refused(vs.StructureError, "fill: hole has no learner 'v'", lambda: hole.fill(v=two))
    refused(vs.TypeClash, "the learner 'u' has 1 inputs", lambda: hole.fill(u=two))
    refused(vs.TypeClash, "the learner 'u' binds ('d',)", lambda: hole.fill(u=other_axes))
    refused(vs.SizeError, "the learner 'u' has 'd' of size d", lambda: hole.fill(u=other_size))
    refused(vs.TypeClash, "the learner 'u' makes float", lambda: hole.fill(u=whole))


def test_a_learner_that_makes_no_sense() -> None:
    b, x, _, _ = three()
    refused(
        vs.AxisError, "'u': no input has the axis 'k'", lambda: vs.learner("u", x, binds="k"), b
    )
    refused(
        vs.AxisError,
        "'u': an input already has the new axis 'n'",
        lambda: vs.learner("u", x, binds="c", into="n"),
        b,
    )


# -- scans ---------------------------------------------------------------------------------------


def test_scans_that_make_no_sense() -> None:
    b = Builder()
    s, x = b.input("s", "d"), b.input("x", "t d")

    def scan(**options: Any) -> Any:
        return vs.scan(cell, **{"over": "t", "states": [s], "sequences": [x], **options})

    def scan_of(body: vs.Diagram) -> Any:
        return vs.scan(body, over="t", states=[s], sequences=[x])

    @vs.diagram
    def grows(state: "d", x: "d") -> {"next": "d e", "y": "d"}:
        return {"next": vs.expand(state, "e"), "y": x}

    acts: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (vs.StructureError, "scan: the body has 2 inputs, 1 arguments", lambda: scan(states=[])),
        (vs.AxisError, "has no axis 'k'", lambda: scan(over="k")),
        (vs.SizeError, "length 5 and t", lambda: scan(length=5)),
        (vs.StructureError, "['state'], not ['z']", lambda: scan(states={"z": s})),
        (vs.TypeClash, "the state 'state' goes in as", lambda: scan_of(grows)),
    ]
    for kind, words, act in acts:
        before = state_of(b)
        with pytest.raises(kind) as caught:
            act()
        assert words in str(caught.value)
        assert "\n  at test_errors_of_parts.py:" in str(caught.value)
        assert state_of(b) == before


# -- all or nothing ------------------------------------------------------------------------------


def test_a_verb_that_fails_half_way_leaves_no_trace() -> None:
    """Parameters and learners that a failed call made are gone, and so are their names: the
    next call makes the same diagram as if nothing had happened."""

    @vs.diagram
    def block(x: "n d", y: "n d") -> "n e":
        return vs.linear(x + y, "d", "e", name="w") + vs.learner("u", x, binds="d", into="e:e")

    def build(stumble: bool) -> vs.Diagram:
        b = Builder("built")
        x, y = b.input("x", "n d"), b.input("y", "n d")
        wide, narrow = vs.expand(x, "t:2"), vs.expand(y, "t:3")
        if stumble:
            for act in (block, block.boxed):
                before = state_of(b)
                with pytest.raises(vs.SizeError, match="'t'"):
                    act(wide, narrow)
                assert state_of(b) == before
            with pytest.raises(vs.SizeError):
                vs.learner("u", wide, narrow, binds="d", into="e")
        made = block.boxed(x, y) + block(x, y) + vs.learner("u", x, binds="d", into="e:e")
        return b.diagram(y=made)

    clean, stumbled = build(stumble=False), build(stumble=True)
    assert [token.name for token, _ in stumbled.tokens] == [t.name for t, _ in clean.tokens]
    assert stumbled == clean


def test_what_a_failed_verb_noted_is_forgotten() -> None:
    """Symmetries and expansions that a call noted before it failed go with its boxes: the
    numbers of their wires belong to other wires afterwards."""

    @vs.diagram
    def gram(x: "n c:n", y: "n c:n") -> "n m:n":
        g = vs.contract(x, x.rename(n="m"), over="c")
        return g + vs.expand(vs.sum(x + y, "c"), "m:n")

    b = Builder()
    x = b.input("x", "n c:n")
    wide, narrow = vs.expand(x, "t:2"), vs.expand(x, "t:3")
    before = state_of(b)
    with pytest.raises(vs.SizeError):
        gram(wide, narrow)
    assert state_of(b) == before
    first, second = vs.exp(x), vs.tanh(x)
    turned = vs.contract(first.rename(c="n", n="c"), second)
    assert turned.id != vs.contract(first, second).id


def test_a_wrong_random_value_names_what_there_is() -> None:
    refused(
        vs.StructureError,
        "noisy has no random source 'z'",
        lambda: noisy.evaluate(torch.ones(2), randoms={"z": torch.ones(2)}),
    )


# -- foreign and hostile texts; `test_serial_hostile.py` has many more ----------------------------


def changed(*path: str | int, value: Any) -> str:
    """The text of an attention with something else at a place."""
    document = json.loads(attention.to_json())
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(document)


def test_a_cycle() -> None:
    """A diagram that is built reads only what exists; a text that reads what is made later, or
    itself, is refused."""
    own = changed("nodes", 0, "from", value=[0, 3])
    later = changed("nodes", 0, "from", value=[0, 5])
    place = "$.nodes[0].from[1]: … made later"
    refused(vs.FormatError, place, lambda: vs.Diagram.from_json(own))
    refused(vs.FormatError, place, lambda: vs.Diagram.from_json(later))


def test_a_foreign_text() -> None:
    other = changed("vesalius", value="graph")
    newer = changed("version", value=2)
    more = changed("nodes", 0, "colour", value="red")
    read = vs.Diagram.from_json
    refused(vs.FormatError, '$.vesalius: expected "diagram"', lambda: read(other))
    refused(vs.FormatError, "$.version: this library reads version 1", lambda: read(newer))
    refused(vs.FormatError, '$.nodes[0]: … "colour"', lambda: read(more))
    refused(vs.FormatError, "$: … ", lambda: read('{"nodes": [], "edges": []}'))
    refused(vs.FormatError, "$: this is not JSON", lambda: read("digraph {}"))


def test_a_hostile_text() -> None:
    huge = changed("inputs", 0, "type", value="{n, c} float").replace(
        '"version": 1', '"version": 1e999'
    )
    digits = huge.replace("1e999", "9" * 5000)
    code = changed("nodes", 0, "kind", value="__import__('os').system('true')")
    formula = changed("inputs", 0, "type", value="{n:__import__('os'), c} float")
    power = changed("inputs", 0, "type", value="{n:9**9**9, c} float")
    read = vs.Diagram.from_json
    refused(vs.FormatError, "$: … nested too deeply", lambda: read("[" * 10**6))
    refused(vs.FormatError, "$: this is not JSON", lambda: read(digits))
    refused(vs.FormatError, "$.version: … too large", lambda: read(huge))
    refused(vs.FormatError, "$.nodes[0].kind: … no kind of box", lambda: read(code))
    refused(vs.FormatError, "$.inputs[0].type: … is not a size", lambda: read(formula))
    refused(vs.FormatError, "$.inputs[0].type: …", lambda: read(power))
