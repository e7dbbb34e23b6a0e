"""`@vs.diagram`: a Python function whose annotations are array types becomes a diagram."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, overload

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import AxisError, FormatError, StructureError, TypeClash
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
        arguments[argument.name] = builder.input(argument.name, read_type(argument.annotation))
    declared = outputs_declared(builder.name, signature.return_annotation)
    with builder:
        result = function(**arguments)
        results = _results(builder, declared, result)
    return builder.finish(
        [output_port(builder, port, type_, results[port]) for port, type_ in declared.items()]
    )


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
