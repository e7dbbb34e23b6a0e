"""What a module demands of its inputs, checked before any kernel runs.

Every message names the input, the axis, and both sizes. What passed once is not looked at again;
under `torch.compile` and `torch.export` torch checks for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from vesalius.compile.lengths import may_break, non_negative, solved
from vesalius.diagrams.arguments import arranged
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.errors import SizeError, TypeClash
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.sizes import Size

REMEMBERED = 4096  # how many combinations of shapes are remembered


class Condition(NamedTuple):
    """`size` comes out even and, unless `signed`, is at least 0; `text` says what it is about.

    With `when`, this has to hold only where that size is at least 1: what is empty has no places
    that could be outside.
    """

    size: Size
    text: str
    when: Size | None = None
    signed: bool = False


class Interface:
    """The demands of a diagram; `fixed` are the sizes that its parameters have."""

    def __init__(self, diagram: Diagram, fixed: Mapping[str, int]) -> None:
        self.name = diagram.name
        self.integers = any(diagram.types[port.wire].dtype == "int" for port in diagram.inputs)
        self.fixed = dict(fixed)
        self.ports = diagram.inputs
        self.types = [diagram.types[port.wire] for port in diagram.inputs]
        self.conditions = list(dict.fromkeys(conditions(diagram)))
        self.tables = list(_tables(diagram))
        self._passed: set[Any] = set()

    def arranged(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> Sequence[Any]:
        """The inputs in order, also those given by name."""
        if not named and len(inputs) == len(self.ports):
            return inputs
        return arranged(self.name, [port.name for port in self.ports], inputs, named)

    def widened(self, inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """The inputs, integers as int64: what is computed from them does not overflow early."""
        if not self.integers:
            return inputs
        pairs = zip(inputs, self.types, strict=True)
        return [x.long() if dtype == "int" else x for x, (_, dtype) in pairs]

    def check(self, inputs: Sequence[Any], state: torch.Tensor | None) -> None:
        """Raise a `VesaliusError` if the inputs do not fit; `state` is a tensor of the module."""
        seen = _seen(inputs, state)
        if seen is None or seen not in self._passed:
            self._check_tensors(inputs, state)
            self._check_sizes(inputs)
            if len(self._passed) >= REMEMBERED:
                self._passed.clear()
            self._passed.add(seen)
        for port, length, table in self.tables:
            self._check_places(port, inputs, length, table)

    # -- element types and devices --------------------------------------------------------------

    def _check_tensors(self, inputs: Sequence[Any], state: torch.Tensor | None) -> None:
        floats = None if state is None else ("the module's parameters", state.dtype)
        where = None if state is None else ("the module's parameters", state.device)
        for x, port, (_, dtype) in zip(inputs, self.ports, self.types, strict=True):
            if not isinstance(x, torch.Tensor):
                raise TypeClash(f"{self._what(port)} is a tensor, not {type(x).__name__}")
            if x.is_nested or x.layout is not torch.strided:
                kind = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
                raise TypeClash(
                    f"{self._what(port)} is a dense tensor, not a {kind} one; sequences of "
                    f"different lengths can stand one after another on one axis"
                )
            if _kind(x.dtype) != dtype:
                raise TypeClash(f"{self._what(port)} is {dtype}, it was given {x.dtype}")
            if where is not None and x.device != where[1]:
                raise TypeClash(
                    f"{self._what(port)} is on {x.device}, {_is(where[0])} on {where[1]}; move "
                    f"one with .to(device)"
                )
            where = where or (f"the input {port.name!r}", x.device)
            if dtype != "float":
                continue
            if floats is not None and x.dtype != floats[1] and not _autocast(x.device.type):
                raise TypeClash(
                    f"{self._what(port)} is {x.dtype}, {_is(floats[0])} {floats[1]}; convert one "
                    f"with .to(dtype)"
                )
            floats = floats or (f"the input {port.name!r}", x.dtype)

    def _what(self, port: Port) -> str:
        return f"{self.name}: the input {port.name!r}"

    # -- sizes ----------------------------------------------------------------------------------

    def _known(self, inputs: Sequence[torch.Tensor]) -> dict[str, int]:
        """The values of size variables, for inputs that fit."""
        known = dict(self.fixed)
        for _, _, _, length, size in self._axes(inputs):
            found = solved(size)
            if found is not None:
                known.setdefault(found.variable, found.of(length) or 0)
        return known

    def _check_sizes(self, inputs: Sequence[torch.Tensor]) -> None:
        known = dict(self.fixed)
        because = {v: f"this module was made with {v} = {n}" for v, n in known.items()}
        for x, port, axis, length, size in self._axes(inputs):
            found = solved(size)
            if found is None or found.variable in known:
                continue
            value = found.of(length)
            if value is None:
                raise SizeError(
                    f"{self._what(port)} has the axis {axis!r} of size {length}, which is not "
                    f"{size} for any size {found.variable}; its shape is {tuple(x.shape)}"
                )
            known[found.variable] = value
            because[found.variable] = f"{axis!r} of {port.name!r} has size {length}"
        for x, port, axis, length, size in self._axes(inputs):
            if size.variables <= known.keys() and size.at(known) != length:
                needed = f"{size}" if size.constant is not None else f"{size} = {size.at(known)}"
                why = "; ".join(because[v] for v in sorted(size.variables))
                raise SizeError(
                    f"{self._what(port)} has the axis {axis!r} of size {length}, where {needed} "
                    f"is needed{f', since {why}' if why else ''}; its shape is {tuple(x.shape)}"
                )
        self._check_conditions(known)

    def _axes(
        self, inputs: Sequence[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, Port, str, int, Size]]:
        for x, port, (sizes, _) in zip(inputs, self.ports, self.types, strict=True):
            if x.dim() != len(port.axes):
                axes = ", ".join(port.axes) or "none"
                more = x.dim() - len(port.axes)
                hint = f"; diagram.over('b') maps {self.name} over a batch" if more == 1 else ""
                raise SizeError(
                    f"{self._what(port)} has {x.dim()} dimensions {tuple(x.shape)}, its axes "
                    f"are {axes}{hint}"
                )
            for axis, slot, length in zip(port.axes, port.slots, x.shape, strict=True):
                yield x, port, axis, int(length), sizes[slot]

    def _check_conditions(self, known: Mapping[str, int]) -> None:
        for size, text, when, signed in self.conditions:
            if not size.variables <= known.keys():
                continue
            if when is not None and when.at(known) < 1:
                continue
            try:
                value = size.at(known)
            except SizeError as error:
                raise SizeError(f"{self.name}: {error.args[0].partition(chr(10))[0]}") from None
            if value < 0 and not signed:
                here = ", ".join(f"{v} = {known[v]}" for v in sorted(size.variables))
                raise SizeError(f"{self.name}: {text}; here {here}")

    # -- places ---------------------------------------------------------------------------------

    def _check_places(
        self, port: Port, inputs: Sequence[torch.Tensor], length: Size, table: str
    ) -> None:
        """Indices that are inputs, on a CPU: looking at them on a GPU would wait for it."""
        place = self.ports.index(port)
        x = inputs[place]
        if x.device.type != "cpu" or x.numel() == 0:
            return
        known = self._known(inputs) if length.variables - self.fixed.keys() else self.fixed
        try:
            low, high = (int(bound) for bound in torch.aminmax(x))
        except RuntimeError:
            return  # inside torch.func.vmap there are no numbers to look at
        if low < 0 or high >= length.at(known):
            wrong = low if low < 0 else high
            raise SizeError(
                f"{self._what(port)} holds the index {wrong}, which is outside {table}, an axis "
                f"of size {length.at(known)}"
            )


def _seen(inputs: Sequence[Any], state: torch.Tensor | None) -> Any:
    """All that is checked about the inputs but the values of indices."""
    try:
        tensors = inputs if state is None else [*inputs, state]
        return tuple([(x.shape, x.dtype, x.device, x.layout) for x in tensors])
    except (AttributeError, RuntimeError):
        return None  # not tensors, or nested ones


def _is(what: str) -> str:
    return f"{what} are" if what.endswith("s") else f"{what} is"


def _kind(dtype: torch.dtype) -> str:
    if dtype == torch.bool:
        return "bool"
    if dtype.is_floating_point:
        return "float"
    return "complex" if dtype.is_complex else "int"


def _autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


# -- conditions on sizes ------------------------------------------------------------------------


def conditions(diagram: Diagram) -> Iterator[Condition]:
    """What has to hold of sizes for every box to have a meaning, where it is not known already."""
    for node in diagram.nodes:
        box = node.box
        for size in box.new:
            if may_break(size) or not non_negative(size):
                yield Condition(size, f"the size {size} is used")
        for value in box.attrs:
            if isinstance(value, Size) and may_break(value):
                yield Condition(value, f"the size {value} is used", signed=True)
        for condition in _of_box(diagram, node):
            if condition.size.constant is None or condition.size.constant < 0:
                yield condition
        if box.kind is NAMED or box.kind is SCAN:
            yield from conditions(box["body"])


def _of_box(diagram: Diagram, node: Node) -> Iterator[Condition]:
    """What the checks of the box itself could not decide."""
    box, kind = node.box, node.box.kind.name
    if kind not in _CONDITIONS:
        return
    site = diagram.site(node)
    bound, new = site.bound_sizes, site.new_sizes
    if kind in ("max", "min"):
        for size in bound:
            yield Condition(size - 1, f"{kind} takes at least one entry of {size}")
    elif kind == "topk":
        yield Condition(bound[0] - new[0], f"topk takes {new[0]} of {bound[0]} entries")
    elif kind == "slice":
        start, last = box["start"], box["start"] + (new[0] - 1) * box["step"]
        text = f"slice reads the places {start} to {last} of an axis of size {bound[0]}"
        for place in (start, last):
            yield Condition(place, text, when=new[0])
            yield Condition(bound[0] - 1 - place, text, when=new[0])
    elif kind == "pad":
        for side in ("before", "after"):
            yield Condition(box[side], f"pad puts {box[side]} entries {side} an axis")
    elif kind == "window":
        last = (new[0] - 1) * box["stride"] + (new[1] - 1) * box["dilation"]
        text = f"{new[0]} windows of {new[1]} are cut from an axis of size {bound[0]}"
        yield Condition(new[1] - 1, text)
        yield Condition(bound[0] - 1 - last, text, when=new[0])
    elif kind == "gather":
        index = diagram.nodes[diagram.owner[node.src[1]]]
        if index.box.kind.name == "iota":
            length = diagram.types[index.first].sizes[0]
            text = f"gather reads {length} places of an axis of size {bound[0]}"
            yield Condition(bound[0] - length, text)


_CONDITIONS = frozenset({"max", "min", "topk", "slice", "pad", "window", "gather"})


def _tables(diagram: Diagram) -> Iterator[tuple[Port, Size, str]]:
    """The inputs that are indices, with the axis of the table that they read."""
    ports = {port.wire: port for port in diagram.inputs}
    for node in diagram.nodes:
        if node.box.kind.name == "gather" and node.src[1] in ports:
            table = diagram.nodes[diagram.owner[node.src[0]]].box
            axis = diagram.site(node).bound_sizes[0]
            name = repr(table["token"].name) if table.kind.name == "parameter" else "its table"
            yield ports[node.src[1]], axis, name
