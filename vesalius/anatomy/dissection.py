"""Mechanisms with their parts as boxes: what a part does becomes one named box that opens again.

A part is a function on wires. While a mechanism is dissected, calling one puts a box in the place
of what the function would have put there. Axes that the function only maps over stay outside of
the box, as its tubes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any
from weakref import WeakSet

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

_PARTS: WeakSet[Callable[..., Any]] = WeakSet()
_NAMES: ContextVar[Mapping[str, str] | None] = ContextVar("_NAMES", default=None)


@contextmanager
def dissecting(names: Mapping[str, str]) -> Iterator[None]:
    """While this lasts, parts become boxes; `names` says what the box of which part is called."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function on wires as a part: while a mechanism is dissected, a call of it is a box.

    A part as a part is the same part.
    """
    if function in _PARTS:
        return function

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        names = _NAMES.get()
        if names is None or function.__name__ not in names:
            return function(*args, **options)
        token = _NAMES.set(None)  # a part inside a part is not a box of its own
        try:
            return _boxed(names[function.__name__], function, args, options)
        finally:
            _NAMES.reset(token)

    _PARTS.add(called)
    return called


def _boxed(
    name: str, function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """What the function makes, made by a named box instead."""
    given = {(x.id, x.names): x for x in (*args, *options.values()) if isinstance(x, Wire)}
    body = _traced(name, function, args, options, given, frozenset())
    if body is None:
        return function(*args, **options)
    tubes: frozenset[str] = frozenset()
    for axis in dict.fromkeys(axis for wire in given.values() for axis in wire.names):
        with suppress(VesaliusError, LookupError):
            less = _traced(name, function, args, options, given, tubes | {axis})
            if less is not None and all(axis not in hints for hints in less.hints):
                tubes, body = tubes | {axis}, less
    return body.boxed(*given.values())


def _traced(
    name: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    given: Mapping[tuple[int, tuple[str, ...]], Wire],
    tubes: frozenset[str],
) -> Diagram | None:
    """The function as a diagram of wires without these tubes; None if it makes nothing new."""
    builder = Builder(name, inspect.getdoc(function) or "")
    inside: dict[tuple[int, tuple[str, ...]], Wire] = {}
    for key, wire in given.items():
        axes = {axis: size for axis, size in wire.axes.items() if axis not in tubes}
        called = fresh_name(_name(function, args, options, wire), [p.name for p in builder.inputs])
        inside[key] = builder.input(called, ArrayType(axes, wire.dtype))

    def stands(x: Any) -> Any:
        return inside[x.id, x.names] if isinstance(x, Wire) else x

    with builder:
        found = function(*map(stands, args), **{k: stands(x) for k, x in options.items()})
        results = found if isinstance(found, tuple) else (found,)
        taken = {wire.id for wire in inside.values()}
        if any(not isinstance(x, Wire) or x.id in taken for x in results):
            return None
        ports = [
            Port(f"out{k}" if k else "out", x.id, x.names, tuple(range(len(x.names))))
            for k, x in enumerate(results)
        ]
        return builder.finish(ports)


def _name(
    function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any], wire: Wire
) -> str:
    """What the function calls this argument."""
    bound = inspect.signature(function).bind(*args, **options).arguments
    return next((name for name, x in bound.items() if x is wire), "x")
