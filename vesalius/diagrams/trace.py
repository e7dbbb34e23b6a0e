"""`@vs.diagram`: a Python function whose annotations are array types becomes a diagram."""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, overload

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import (
    AxisError,
    FormatError,
    StructureError,
    TypeClash,
    VesaliusError,
    location,
    pointing_at,
)
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.verbs.common import constant_wire
from vesalius.diagrams.wire import Wire


@overload
def diagram(function: Callable[..., Any]) -> Diagram: ...
@overload
def diagram(*, name: str) -> Callable[[Callable[..., Any]], Diagram]: ...
def diagram(function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Trace a function into a diagram.

    Every argument is annotated with its array type, and so is the result: `-> "n e"`, a tuple
    of types, or a dictionary from output names to types. The result must have exactly the
    axes that are declared: nothing is summed silently.

    >>> @diagram
    ... def scores(q: "n c", k: "m c") -> "n m":
    ...     from vesalius.diagrams import verbs
    ...     return verbs.contract(q, k, over="c")
    >>> scores
    scores(q: {n, c} float, k: {m, c} float) -> {n, m} float
    """
    if function is None:
        return lambda f: _trace(f, name)
    if not callable(function) or isinstance(function, Diagram):
        raise FormatError(
            f"vs.diagram traces a function, not {type(function).__name__}; a name is given as "
            f"@vs.diagram(name='attention')"
        )
    return _trace(function, name)


def _trace(function: Callable[..., Any], name: str | None) -> Diagram:
    builder = Builder(name or function.__name__.strip("<>"), inspect.getdoc(function) or "")
    signature = inspect.signature(function)
    arguments = {}
    for argument in signature.parameters.values():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise FormatError(f"{builder.name}: name each input; {argument} stands for many")
        if argument.annotation is inspect.Parameter.empty:
            raise FormatError(
                f"{builder.name}: the argument {argument.name!r} has no type; "
                f'write {argument.name}: "n c"'
            )
        what = f"{builder.name}: the argument {argument.name!r}"
        type_ = _named(what, read_type, argument.annotation)
        arguments[argument.name] = builder.input(argument.name, type_)
    read = partial(outputs_declared, builder.name)
    declared = _named(f"{builder.name}: the result", read, signature.return_annotation)
    with builder:
        result = function(**arguments)
        with pointing_at(_return_line(function)):
            results = _results(builder, declared, result)
            ports = [output_port(builder, p, type_, results[p]) for p, type_ in declared.items()]
    return builder.finish(ports)


def _named(what: str, read: Callable[[Any], Any], annotation: Any) -> Any:
    """A type that is read; an error says of what it is the type."""
    try:
        return read(annotation)
    except VesaliusError as error:
        if error.message.startswith(what.partition(":")[0] + ":"):
            raise
        raise type(error)(f"{what}: {error.message}") from None


def _return_line(function: Callable[..., Any]) -> str:
    """The line where a function returns, as errors show it; empty where there are several."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    found = {
        step.positions.lineno
        for step in dis.get_instructions(code)
        if step.opname in ("RETURN_VALUE", "RETURN_CONST") and step.positions is not None
    }
    lines = [line for line in found if line is not None]
    return location(code.co_filename, lines[0]) if len(lines) == 1 else ""


def read_type(annotation: Any) -> ArrayType:
    """A type, also as `from __future__ import annotations` hands it over: quoted twice."""
    if isinstance(annotation, str) and annotation.startswith(("'", '"')):
        annotation = ast.literal_eval(annotation)
    return ArrayType.parse(annotation)


def outputs_declared(name: str, annotation: Any) -> dict[str, ArrayType]:
    """The outputs that a return annotation declares: one type, a tuple, or a dictionary."""
    if annotation is inspect.Signature.empty:
        raise FormatError(f'{name}: the result has no type; write -> "n e"')
    if isinstance(annotation, str) and annotation.startswith(("'", '"', "(", "{")):
        with suppress(ValueError, SyntaxError):  # "{n, c} float" is a type, not a literal
            annotation = ast.literal_eval(annotation)
    if isinstance(annotation, Mapping):
        return {key: ArrayType.parse(value) for key, value in annotation.items()}
    if isinstance(annotation, (tuple, list)):
        return {f"out{k}": ArrayType.parse(value) for k, value in enumerate(annotation)}
    return {"out": ArrayType.parse(annotation)}


def _results(builder: Builder, declared: Mapping[str, ArrayType], result: Any) -> dict[str, Wire]:
    if isinstance(result, Mapping):
        if set(result) != set(declared):
            raise StructureError(
                f"{builder.name} declares the outputs {list(declared)}, it returned {list(result)}"
            )
        values: Sequence[Any] = [result[key] for key in declared]
    else:
        values = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(values) != len(declared):
        raise StructureError(
            f"{builder.name} declares {len(declared)} outputs, it returned {len(values)}"
        )
    wires = {}
    for key, value in zip(declared, values, strict=True):
        if value is None:
            raise StructureError(f"{builder.name}: the output {key!r} is None; return a wire")
        wire = value if isinstance(value, Wire) else constant_wire(builder, value, builder.name)
        if wire.builder is not builder:
            raise StructureError(f"{builder.name}: the output {key!r} is a wire of another diagram")
        wires[key] = wire
    return wires


def output_port(builder: Builder, name: str, declared: ArrayType, wire: Wire) -> Port:
    """An output of a declared type, or an error with both types in it."""
    what = f"{builder.name}: the output is declared {declared} and is {wire.type}"
    actual = wire.axes
    for axis in actual:
        if axis not in declared:
            raise AxisError(
                f"{what}: the axis {axis!r} is left over; sum it with vs.sum(x, {axis!r}), "
                f"or declare it"
            )
    for axis, length in declared.axes.items():
        if axis not in actual:
            raise AxisError(
                f"{what}: the axis {axis!r} is missing; vs.expand(x, {axis!r}) repeats along it"
            )
        if actual[axis] != length:
            raise AxisError(f"{what}: the axis {axis!r} has size {actual[axis]}, not {length}")
    if declared.dtype != wire.dtype:
        raise TypeClash(f"{what}: the element types differ")
    axes = tuple(declared)
    return Port(name, wire.id, axes, tuple(wire.names.index(axis) for axis in axes))
