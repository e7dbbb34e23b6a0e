"""What is refused, and how it is told: the line of the user, and nothing left half built."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vesalius as vs
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.wire import Wire


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c"), over="m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def projected(x: "n d") -> "n e":
    return vs.linear(x, "d", "e", name="w")


@vs.diagram
def hole(x: "n d") -> "n d":
    return vs.learner("u", x, binds="d", into="d")


@vs.diagram
def cell(state: "d", x: "d") -> {"next": "d", "y": "d"}:
    return {"next": state + x, "y": state * x}


@vs.diagram
def noisy(x: "n") -> "n":
    return x + vs.random("n")


def state_of(builder: Builder) -> tuple[Any, ...]:
    """All that a builder holds."""
    return (
        list(builder.nodes),
        list(builder.types),
        list(builder.hints),
        list(builder.inputs),
        list(builder.token_names),
        dict(builder.table),
        dict(builder.symmetries),
        dict(builder.expanded),
    )


def refused(
    kind: type[Exception],
    words: str,
    act: Callable[..., Any],
    builder: Builder | None = None,
    *given: Any,
) -> None:
    """The act is refused with an error of exactly this kind, which says these words in this
    order, then this file and the very line; the builder is as it was, and it goes on."""
    before = state_of(builder) if builder is not None else None
    with pytest.raises(kind) as caught:
        act(*given)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert re.search(".*".join(re.escape(w) for w in words.split(" … ")), message, re.S), message
    code = act.__code__
    file = Path(code.co_filename)
    place = re.search(rf"\n  at {re.escape(file.name)}:(\d+): (.*)$", message)
    assert place, message
    line = int(place.group(1))
    assert linecache.getline(str(file), line).strip() == place.group(2)
    assert line in {number for *_, number in code.co_lines()}, message
    if builder is not None:
        assert state_of(builder) == before
        assert builder.diagram(y=Wire(builder, 0, builder.inputs[0].axes)).outputs


def three() -> tuple[Builder, Wire, Wire, Wire]:
    """Wires x[n, c], y[m, c] and a matrix z of a symmetric kind."""
    b = Builder("three")
    x, y = b.input("x", "n c"), b.input("y", "m c")
    z = vs.contract(x, x.rename(n="m"), over="c")
    return b, x, y, z


def refused_tracing(kind: type[Exception], words: str, function: Callable[..., Any]) -> None:
    with pytest.raises(kind) as caught:
        vs.diagram(function)
    message = str(caught.value)
    assert re.search(".*".join(re.escape(w) for w in words.split(" … ")), message, re.S), message
    here = (Path(function.__code__.co_filename).name, Path(__file__).name)
    assert any(f"\n  at {name}:" in message for name in here), message
