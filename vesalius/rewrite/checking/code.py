"""A diagram as the text that makes it: what a counterexample prints.

`source(diagram)` is a function under `@vs.diagram`, one line a box; executed, it gives an equal
diagram. Bodies of scans and named boxes become functions of their own before it.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from vesalius.diagrams.box import Axes
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, product
from vesalius.diagrams.types import ArrayType, is_axis_name
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


def words(axes: Sequence[tuple[str, Size]]) -> str:
    """Axes with sizes as they are written in a type."""
    return " ".join(ArrayType(dict(axes)).words())


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
        place = _Place(self, node, labels, sizes)
        write: Callable[[_Place], str] | None = WRITERS.get(kind)
        if write is None:
            if kind not in OWN:
                raise Outside(f"a box of kind {kind} has no text")
            write = _own
        text = write(place)
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


class _Place:
    """What a writer needs of one box."""

    def __init__(self, source: _Source, node: Node, labels: Names, sizes: Sequence[Size]) -> None:
        self.source = source
        self.node = node
        self.box = node.box
        self.labels = labels
        self.sizes = sizes

    @property
    def operands(self) -> list[str]:
        """The wires read, with the labels of this box."""
        rows = zip(self.node.src, self.box.maps, strict=True)
        return [self.source._use(wire, [self.labels[a] for a in row]) for wire, row in rows]

    def axes(self, axes: Axes) -> str:
        """The labels of local axes, as they are named in `over=`."""
        return f'"{" ".join(self.labels[a] for a in axes)}"'

    def sized(self, axes: Sequence[int]) -> str:
        """The labels of local axes with their sizes."""
        return f'"{words([(self.labels[a], self.sizes[a]) for a in axes])}"'

    @property
    def new(self) -> range:
        """The local axes that the box makes."""
        return range(self.box.inner, self.box.rank)

    def number(self, value: Any) -> str:
        """A number or a truth value."""
        return self.source.listing.number(value)


def _size(value: Size) -> str:
    return str(value.constant) if value.constant is not None else repr(str(value))


def _call(name: str, /, *arguments: str, **options: str) -> str:
    named = [f"{key}={value}" for key, value in options.items()]
    return f"{name}({', '.join([*arguments, *named])})"


def _linear(place: _Place) -> str:
    verb = f"vs.{place.box.kind.name}"
    if not place.box.bound:
        return _call(verb, *place.operands)
    return _call(verb, *place.operands, over=place.axes(place.box.bound))


def _reduction(place: _Place) -> str:
    return _call(f"vs.{place.box.kind.name}", *place.operands, over=place.axes(place.box.bound))


def _pointwise(place: _Place) -> str:
    function = place.box["function"]
    numbers = {
        key: place.number(value)
        for key, value in zip(function.parameters, place.box["numbers"], strict=True)
    }
    return _call(place.source.listing.function(function), *place.operands, **numbers)


def _constant(place: _Place) -> str:
    value = place.box["value"]
    if isinstance(value, Size):
        return f'vs.constant(vs.size("{value}"))'
    if not isinstance(value, tuple):
        return f"vs.constant({place.number(value)})"
    rows: list[Any] = [place.number(entry) for entry in value]
    for a in reversed(place.new):
        length = place.sizes[a].constant or 0
        count = len(rows) // length if length else 1
        rows = [f"[{', '.join(rows[k * length : (k + 1) * length])}]" for k in range(count)]
    return _call("vs.constant", rows[0], place.axes(tuple(place.new)))


def _slice(place: _Place) -> str:
    length, into = place.sizes[place.box.inner], place.labels[place.box.inner]
    return _call(
        "vs.slice",
        *place.operands,
        place.axes(place.box.bound),
        _size(place.box["start"]),
        step=str(place.box["step"]),
        length=_size(length),
        into=f'"{into}"',
    )


def _pad(place: _Place) -> str:
    return _call(
        "vs.pad",
        *place.operands,
        place.axes(place.box.bound),
        _size(place.box["before"]),
        _size(place.box["after"]),
        place.number(place.box["value"]),
        into=place.axes(tuple(place.new)),
    )


def _window(place: _Place) -> str:
    position, offset = place.new
    into = f'"{place.labels[position]} {place.sized([offset])[1:]}'
    return _call(
        "vs.window",
        *place.operands,
        place.axes(place.box.bound),
        into,
        stride=str(place.box["stride"]),
        dilation=str(place.box["dilation"]),
    )


def _concat(place: _Place) -> str:
    over = ", ".join(f'"{place.labels[a]}"' for a in place.box.bound)
    return _call("vs.concat", *place.operands, over=f"({over},)", into=place.axes(tuple(place.new)))


def _parameter(place: _Place) -> str:
    token = place.box["token"]
    options = {}
    if not isinstance(token.init, str):
        options["init"] = place.source.listing.body(token.init)
    elif token.init != "fan":
        options["init"] = f'"{token.init}"'
    if token.fan is not None or token.init == "fan":
        options["fan"] = _fan(token.fan, [(place.labels[a], place.sizes[a]) for a in place.new])
    if token.scale != 1:
        options["scale"] = repr(token.scale)
    if not token.trainable:
        options["trainable"] = "False"
    return _call("vs.parameter", f'"{token.name}"', place.sized(place.new), **options)


def _fan(fan: Size | None, axes: Sequence[tuple[str, Size]]) -> str:
    """Axes whose sizes multiply to `fan`, else the size itself; none when there is none."""
    if fan is None:
        return '""'
    for count in range(len(axes) + 1):
        for chosen in combinations(axes, count):
            if product(size for _, size in chosen) == fan:
                return '"' + " ".join(name for name, _ in chosen) + '"'
    return f'vs.size("{fan}")'


def _random(place: _Place) -> str:
    token = place.box["token"]
    options = {"p": repr(token.p)} if token.distribution == "bernoulli" else {}
    return _call(
        "vs.random",
        place.sized(place.new),
        f'"{token.distribution}"',
        **options,
        name=f'"{token.name}"',
    )


def _fourier(place: _Place) -> str:
    return _call(
        "vs.fourier",
        *place.operands,
        over=place.axes(place.box.bound),
        inverse=str(place.box["inverse"]),
    )


def _learner(place: _Place) -> str:
    token: Any = place.box["token"]
    binds = " ".join(dict.fromkeys(axis for row in token.ports for axis in row))
    return _call(
        "vs.learner",
        f'"{token.name}"',
        *place.operands,
        binds=f'"{binds}"',
        into=place.sized(place.new),
    )


def _named(place: _Place) -> str:
    body = place.source.listing.body(place.box["body"])
    return _call(f"{body}.boxed", *place.operands)


def _scan(place: _Place) -> str:
    box = place.box
    states, elements = box["states"], box["elements"]
    given = place.operands
    groups = [given[:states], given[states : states + elements], given[states + elements :]]
    made = [a for a in place.new if place.labels[a] not in _declared(box["body"])]
    bound = [a for a in box.bound if place.labels[a] not in _declared(box["body"])]
    time = place.labels[(bound or made)[0]] if bound or made else "t"
    options = {
        key: f"[{', '.join(group)}]"
        for key, group in zip(("states", "sequences", "captured"), groups, strict=True)
        if group
    }
    if not elements:
        options["length"] = _size(box["length"])
    if box["reverse"]:
        options["reverse"] = "True"
    return _call("vs.scan", place.source.listing.body(box["body"]), over=f'"{time}"', **options)


def _declared(body: Diagram) -> set[str]:
    return {axis for port in (*body.inputs, *body.outputs) for axis in port.axes}


def _own(place: _Place) -> str:
    own = OWN[place.box.kind.name]
    place.source.listing.imports["from vesalius.diagrams.boxes.own import OWN"] = None
    module = getattr(own.torch, "__module__", None)
    if module not in (None, "__main__"):
        place.source.listing.imports[f"import {module}  # declares {own.kind.name}"] = None
    return _call(f"OWN[{own.kind.name!r}]", *place.operands)


WRITERS: dict[str, Callable[[_Place], str]] = {
    "contract": _linear,
    "add": _linear,
    **dict.fromkeys(("softmax", "max", "min", "all", "any"), _reduction),
    "pointwise": _pointwise,
    "constant": _constant,
    "iota": lambda place: f"vs.iota({place.sized(place.new)})",
    "parameter": _parameter,
    "random": _random,
    "expand": lambda place: _call("vs.expand", *place.operands, place.sized(place.new)),
    "split": lambda place: _call(
        "vs.split", *place.operands, place.axes(place.box.bound), place.sized(place.new)
    ),
    "merge": lambda place: _call(
        "vs.merge",
        *place.operands,
        place.axes(place.box.bound),
        place.axes(tuple(place.new)),
    ),
    "diagonal": lambda place: _call(
        "vs.diagonal",
        *place.operands,
        place.axes(place.box.bound),
        place.axes(tuple(place.new)),
    ),
    "slice": _slice,
    "pad": _pad,
    "window": _window,
    "concat": _concat,
    "gather": lambda place: _call("vs.gather", *place.operands, over=place.axes(place.box.bound)),
    "topk": lambda place: _call(
        "vs.topk",
        *place.operands,
        place.axes(place.box.bound),
        place.sized(place.new),
        largest=str(place.box["largest"]),
    ),
    "fourier": _fourier,
    "learner": _learner,
    "named": _named,
    "scan": _scan,
}
