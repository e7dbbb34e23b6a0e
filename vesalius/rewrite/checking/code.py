"""A diagram as the text that makes it: what a counterexample prints.

`source(diagram)` is a function under `@vs.diagram`, one line a box; executed, it gives an equal
diagram. Bodies of scans and named boxes become functions of their own before it.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.rewrite.checking.calls import Place, call_of
from vesalius.rewrite.checking.instances import written

Names = list[str]
RESERVED = {"vs", "torch", "Fraction", "Function", "FUNCTIONS", "OWN", "inputs", "float"}


class Listing:
    """Diagrams as text, one after the other, in one name space."""

    def __init__(self) -> None:
        self.imports: dict[str, None] = {"import vesalius as vs": None}
        self.definitions: list[str] = []
        self.taken: set[str] = set(RESERVED)
        self.functions: dict[Function, str] = {}
        self.bodies: dict[int, tuple[Diagram, str]] = {}

    def define(self, diagram: Diagram, name: str) -> str:
        """Add a diagram; returns the name that it got. Raises `Outside` for what has no text."""
        called = fresh_name(_identifier(name), self.taken)
        self.taken.add(called)
        self.definitions.append(_Source(self, diagram, called).text())
        return called

    def body(self, diagram: Diagram) -> str:
        """The name of the body of a nested box, defined once."""
        if id(diagram) not in self.bodies:
            self.bodies[id(diagram)] = (diagram, self.define(diagram, diagram.name))
        return self.bodies[id(diagram)][1]

    def function(self, function: Function) -> str:
        """How a pointwise function is written where it is called."""
        known = FUNCTIONS.get(function.name)
        if known is function:
            from vesalius.diagrams import verbs

            if hasattr(verbs, function.name):
                return f"vs.{function.name}"
            module = getattr(function.torch, "__module__", None)
            if module not in (None, "__main__"):
                self.imports[f"import {module}  # declares {function.name}"] = None
            self.imports["from vesalius.diagrams.boxes.pointwise import FUNCTIONS"] = None
            return f"FUNCTIONS[{function.name!r}]"
        if function not in self.functions and written(function) is not None:
            where = "vesalius.rewrite.checking.instances"
            self.imports[f"from {where} import sample"] = None
            return self._called(function, f"{written(function)}  # for one that may be any")
        if function not in self.functions:
            if not isinstance(function.torch, str):
                raise Outside(f"the function {function.name!r} is not declared under its name")
            self.imports["from vesalius.diagrams.boxes.pointwise import Function"] = None
            arity = "" if function.arity == 1 else f", {function.arity}"
            text = f"Function({function.name!r}{arity}, torch={function.torch!r})"
            return self._called(function, text)
        return self.functions[function]

    def _called(self, function: Function, text: str) -> str:
        """Define a name for what `text` makes."""
        called = fresh_name(function.name, self.taken)
        self.taken.add(called)
        self.functions[function] = called
        self.definitions.append(f"{called} = {text}")
        return called

    def number(self, value: Any) -> str:
        """A number or truth value as text."""
        if isinstance(value, Fraction):
            self.imports["from fractions import Fraction"] = None
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        return repr(value)

    def __str__(self) -> str:
        imports = sorted(self.imports, key=lambda line: (line.startswith("from vesalius"), line))
        return "\n\n\n".join(["\n".join(imports), *self.definitions])


def source(diagram: Diagram, name: str | None = None) -> str:
    """The text of a module that defines `diagram` as a function of the name given.

    Raises `Outside` for a function that is not declared under its name.
    """
    listing = Listing()
    listing.define(diagram, name or diagram.name)
    return f"{listing}\n"


def _identifier(name: str) -> str:
    plain = "".join(c if c.isidentifier() or c.isdigit() else "_" for c in name) or "diagram"
    if not plain.isidentifier() or keyword.iskeyword(plain):
        plain = f"_{plain}"
    return plain


def _type(type_: ArrayType) -> str:
    text = " ".join(type_.words())
    if type_.dtype != "float":
        text = f"{text} {type_.dtype}".strip()
    return f'"{text}"'


class _Source:
    """The text of one diagram: `called[w]` is the variable of wire w, `names[w]` its axes."""

    def __init__(self, listing: Listing, diagram: Diagram, name: str) -> None:
        self.listing = listing
        self.diagram = diagram
        self.name = name
        self.called: list[str] = []
        self.names: list[Names] = []
        self.taken = {*listing.taken, name}
        self.lines: list[str] = []

    def text(self) -> str:
        diagram = self.diagram
        arguments = []
        for port in diagram.inputs:
            called = self._variable(port.name)
            self.called.append(called)
            self.names.append(list(port.axes))
            arguments.append(f"{called}: {_type(diagram.port_type(port))}")
        for node in diagram.boxes:
            self._place(node)
        returned, declared = self._returned()
        head = f"@vs.diagram\ndef {self.name}({', '.join(arguments)}) -> {declared}:"
        return "\n".join([head, *self.lines, f"    return {returned}"])

    def _variable(self, name: str) -> str:
        called = fresh_name(_identifier(name), self.taken)
        self.taken.add(called)
        return called

    def _returned(self) -> tuple[str, str]:
        results, types = {}, {}
        for port in self.diagram.outputs:
            labels = [""] * len(port.slots)
            for axis, slot in zip(port.axes, port.slots, strict=True):
                labels[slot] = axis
            results[port.name] = self._use(port.wire, labels)
            types[port.name] = _type(self.diagram.port_type(port))
        if list(results) == ["out"]:
            return results["out"], types["out"]
        returned = ", ".join(f'"{name}": {wire}' for name, wire in results.items())
        declared = ", ".join(f'"{name}": {type_}' for name, type_ in types.items())
        return f"{{{returned}}}", f"{{{declared}}}"

    def _use(self, wire: int, labels: Sequence[str]) -> str:
        """A wire with its slots called `labels`."""
        pairs = zip(self.names[wire], labels, strict=True)
        turned = ", ".join(f'{old}="{new}"' for old, new in pairs if old != new)
        return f"{self.called[wire]}.rename({turned})" if turned else self.called[wire]

    # -- boxes --------------------------------------------------------------------------------

    def _place(self, node: Node) -> None:
        kind = node.box.kind.name
        nested = kind in ("named", "scan", "learner") or kind in OWN
        labels = self._labels(node, {} if not nested else self._fixed(node))
        sizes = self.diagram.site(node).sizes
        rows = zip(node.src, node.box.maps, strict=True)
        operands = [self._use(wire, [labels[a] for a in row]) for wire, row in rows]
        text = call_of(Place(self.listing, node.box, operands, labels, sizes))
        results = [self._variable(f"w{len(self.called) + k}") for k in range(len(node.wires))]
        for result, row in zip(results, node.box.outs, strict=True):
            self.called.append(result)
            self.names.append([labels[a] for a in row])
        comma = "," if kind == "scan" and len(results) == 1 else ""  # a scan returns a tuple
        self.lines.append(f"    {', '.join(results)}{comma} = {text}")

    def _labels(self, node: Node, fixed: dict[int, str]) -> Names:
        """A name for each local axis of a box, all different unless fixed."""
        box = node.box
        labels = [fixed.get(a, "") for a in range(box.rank)]
        taken = {label for label in labels if label}
        wanted: dict[int, str] = {}
        for wire, row in zip(node.wires, box.outs, strict=True):
            for axis, name in zip(row, self.diagram.hints[wire], strict=True):
                wanted.setdefault(axis, name)
        for wire, row in zip(node.src, box.maps, strict=True):
            for axis, name in zip(row, self.names[wire], strict=True):
                wanted.setdefault(axis, name)
        for axis in range(box.rank):
            if not labels[axis]:
                name = wanted.get(axis, "")
                labels[axis] = fresh_name(name if is_axis_name(name) else "a", taken)
                taken.add(labels[axis])
        return labels

    def _fixed(self, node: Node) -> dict[int, str]:
        """The names that the declaration of a nested box gives to the axes it binds and makes."""
        box = node.box
        rows, into = declared_axes(node)
        fixed: dict[int, str] = {}
        for row, names in zip(box.maps, rows, strict=True):
            own = [a for a in box.bound if a in row]
            fixed.update(zip(own, names, strict=False))
        fixed.update(zip(range(box.inner, box.rank), into, strict=True))
        if box.kind.name == "scan":
            body, states = box["body"], box["states"]
            declared = {a for port in (*body.inputs, *body.outputs) for a in port.axes}
            # All sequences, and all that is collected, share one name for time.
            time = fresh_name("t", {*declared, *(n for w in node.src for n in self.names[w])})
            for p in range(states, states + box["elements"]):
                own = [a for a in box.bound if a in box.maps[p]]
                fixed[own[-1]] = time
            at = box.inner
            for j, port in enumerate(body.outputs):
                if j >= states:
                    fixed[at] = time
                at += len(port.axes) + (j >= states)
        return fixed


def declared_axes(node: Node) -> tuple[list[Sequence[str]], Names]:
    """The axes that a nested box declares: for each input those bound there, and those made."""
    box = node.box
    kind = box.kind.name
    if kind == "learner":
        return list(box["token"].ports), list(box["token"].into)
    if kind in OWN:
        own = OWN[kind]
        return [list(one.axes) for one in own.inputs], [a for one in own.outputs for a in one.axes]
    body = box["body"]
    made: Names = []
    for j, port in enumerate(body.outputs):
        collected = kind == "scan" and j >= box["states"]
        made += ["", *port.axes] if collected else list(port.axes)
    return [port.axes for port in body.inputs], made
