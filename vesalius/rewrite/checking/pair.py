"""A pair of diagrams with one interface, and values to evaluate both at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vesalius.diagrams.box import Draw
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.errors import TypeClash
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interface import same_tokens, start, substitute
from vesalius.diagrams.meaning import evaluate
from vesalius.diagrams.meaning.algebra import Algebra
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Values:
    """Sizes by variable, inputs in the order of the interface, sources by name."""

    sizes: Mapping[str, int]
    inputs: tuple[Array, ...]
    sources: Mapping[str, Array] = field(default_factory=dict)

    def as_floats(self) -> Values:
        """The same with fractions as floats; those that are drawn are binary, so exactly."""
        inputs = tuple(map(_as_floats, self.inputs))
        return Values(self.sizes, inputs, {n: _as_floats(x) for n, x in self.sources.items()})


def _as_floats(x: Array) -> Array:
    return x if x.dtype != object else x.astype(float)


class Pair:
    """Two diagrams that read the same inputs and make the same outputs.

    `right` is read as `left` is: the inputs, and the axes of every port, stand in the order of
    `left`. Parameters and random sources of one name are one; with `own`, those of the right
    side are its own business. Raises `TypeClash` when the interfaces differ, saying how.
    """

    def __init__(self, left: Diagram, right: Diagram, *, own: bool = False) -> None:
        self.left = left
        self.right = _read_as(left, right)
        self.sources = _sources(self.left) if own else _sources(self.left, self.right)
        self.uniform = {
            token.name
            for side in (self.left, self.right)
            for token, _ in side.tokens
            if isinstance(token, Draw) and token.distribution == "uniform"
        }
        self.variables = tuple(
            dict.fromkeys((*self.left.size_variables, *self.right.size_variables))
        )
        self.lengths = tuple(
            {size for side in (self.left, self.right) for type_ in side.types for size in type_[0]}
        )

    @property
    def types(self) -> dict[str, ArrayType]:
        """The types of the inputs and then of the sources, by name."""
        return {**self.left.input_types, **self.sources}

    @property
    def indexed(self) -> list[Size]:
        """The lengths of the axes that something is read along at a computed place."""
        return [length for side in (self.left, self.right) for length in _indexed(side)]

    def run(self, side: Diagram, values: Values, algebra: Algebra, seed: int = 0) -> list[Any]:
        """The outputs of one side, as a list."""
        own = {name: value for name, value in values.sources.items() if name in side.parameters}
        drawn = {name: value for name, value in values.sources.items() if name in side.randoms}
        results = evaluate(
            side,
            *values.inputs,
            algebra=algebra,
            parameters=own,
            randoms=drawn,
            sizes=sizes_of(side, values.sizes),
            seed=seed,
        )
        return list(results) if isinstance(results, tuple) else [results]


def _read_as(left: Diagram, right: Diagram) -> Diagram:
    """The right diagram with the interface of the left one: order of inputs and of axes."""
    ours, theirs = left.input_types, right.input_types
    if len(ours) != len(theirs):
        raise TypeClash(f"the left side has {len(ours)} inputs, the right side {len(theirs)}")
    if ours.keys() != theirs.keys():
        theirs = dict(zip(ours, theirs.values(), strict=True))
    sizes: dict[str, Size] = {}
    for name, type_ in ours.items():
        if set(type_.axes) != set(theirs[name].axes) or type_.dtype != theirs[name].dtype:
            raise TypeClash(
                f"the input {name!r} is {type_} on the left, {theirs[name]} on the right"
            )
        for axis, length in theirs[name].axes.items():
            if length.variable is not None:
                sizes.setdefault(length.variable, type_.axes[axis])
    right = substitute(right, sizes)
    by_name = ours.keys() == right.input_types.keys()
    builder, wires = start(right.name, right.doc, list(ours.items()))
    at = dict(zip(ours, wires, strict=True))
    kept = same_tokens(right)
    builder.token_names = dict.fromkeys(token.name for token in kept)
    uses = []
    for (name, _), port in zip(ours.items(), right.inputs, strict=True):
        wire = at[port.name if by_name else name]
        uses.append((wire.id, tuple(port.axes.index(axis) for axis in wire.names)))
        other = right.port_type(port)
        if other != wire.type:
            raise TypeClash(f"the input {name!r} is {wire.type} on the left, {other} on the right")
    made = builder.graft(right, uses, replace=kept)
    if len(left.outputs) != len(right.outputs):
        raise TypeClash(
            f"the left side has {len(left.outputs)} outputs, the right side {len(right.outputs)}"
        )
    ports = []
    for port, theirs_, (wire_, labels) in zip(left.outputs, right.outputs, made, strict=True):
        if left.port_type(port) != right.port_type(theirs_):
            raise TypeClash(
                f"the output {port.name!r} is {left.port_type(port)} on the left, "
                f"{right.port_type(theirs_)} on the right"
            )
        slots = tuple(labels.index(axis) for axis in port.axes)
        ports.append(Port(port.name, wire_, port.axes, slots))
    return builder.finish(ports)


def _sources(*sides: Diagram) -> dict[str, ArrayType]:
    found: dict[str, ArrayType] = {}
    for side in sides:
        for name, type_ in {**side.parameters, **side.randoms}.items():
            sizes = tuple(type_.axes.values())
            known = found.setdefault(name, type_)
            if tuple(known.axes.values()) != sizes or known.dtype != type_.dtype:
                raise TypeClash(f"{name!r} is {known} on the left, {type_} on the right")
    return found


def _indexed(diagram: Diagram) -> list[Size]:
    found = []
    for node in diagram.nodes:
        if node.box.kind is GATHER:
            found += diagram.site(node).bound_sizes
        elif node.box.kind in (NAMED, SCAN):
            found += _indexed(node.box["body"])
    return found


def differs(x: Any, y: Any) -> bool:
    """Whether two results of torch differ so that it shows in float64."""
    one, other = np.asarray(x), np.asarray(y)
    if one.dtype == bool or other.dtype == bool:
        return bool((one != other).any())
    return not np.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True)
