"""A box as the call that makes it, a writer for each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Axes, Box
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, product
from vesalius.diagrams.types import ArrayType

if TYPE_CHECKING:
    from vesalius.rewrite.checking.code import Listing


def words(axes: Sequence[tuple[str, Size]]) -> str:
    """Axes with sizes as they are written in a type."""
    return " ".join(ArrayType(dict(axes)).words())


class Place:
    """What a writer needs of one box: `operands` are the wires it reads, with its labels."""

    def __init__(
        self,
        listing: Listing,
        box: Box,
        operands: Sequence[str],
        labels: Sequence[str],
        sizes: Sequence[Size],
    ) -> None:
        self.listing = listing
        self.box = box
        self.operands = operands
        self.labels = labels
        self.sizes = sizes

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
        return self.listing.number(value)


def _size(value: Size) -> str:
    return str(value.constant) if value.constant is not None else repr(str(value))


def _call(name: str, /, *arguments: str, **options: str) -> str:
    named = [f"{key}={value}" for key, value in options.items()]
    return f"{name}({', '.join([*arguments, *named])})"


def _linear(place: Place) -> str:
    verb = f"vs.{place.box.kind.name}"
    if not place.box.bound:
        return _call(verb, *place.operands)
    return _call(verb, *place.operands, over=place.axes(place.box.bound))


def _reduction(place: Place) -> str:
    return _call(f"vs.{place.box.kind.name}", *place.operands, over=place.axes(place.box.bound))


def _pointwise(place: Place) -> str:
    function = place.box["function"]
    numbers = {
        key: place.number(value)
        for key, value in zip(function.parameters, place.box["numbers"], strict=True)
    }
    return _call(place.listing.function(function), *place.operands, **numbers)


def _constant(place: Place) -> str:
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


def _slice(place: Place) -> str:
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


def _pad(place: Place) -> str:
    return _call(
        "vs.pad",
        *place.operands,
        place.axes(place.box.bound),
        _size(place.box["before"]),
        _size(place.box["after"]),
        place.number(place.box["value"]),
        into=place.axes(tuple(place.new)),
    )


def _window(place: Place) -> str:
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


def _concat(place: Place) -> str:
    over = ", ".join(f'"{place.labels[a]}"' for a in place.box.bound)
    return _call("vs.concat", *place.operands, over=f"({over},)", into=place.axes(tuple(place.new)))


def _parameter(place: Place) -> str:
    token = place.box["token"]
    options = {}
    if not isinstance(token.init, str):
        options["init"] = place.listing.body(token.init)
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


def _random(place: Place) -> str:
    token = place.box["token"]
    options = {"p": repr(token.p)} if token.distribution == "bernoulli" else {}
    return _call(
        "vs.random",
        place.sized(place.new),
        f'"{token.distribution}"',
        **options,
        name=f'"{token.name}"',
    )


def _fourier(place: Place) -> str:
    return _call(
        "vs.fourier",
        *place.operands,
        over=place.axes(place.box.bound),
        inverse=str(place.box["inverse"]),
    )


def _learner(place: Place) -> str:
    token: Any = place.box["token"]
    binds = " ".join(dict.fromkeys(axis for row in token.ports for axis in row))
    return _call(
        "vs.learner",
        f'"{token.name}"',
        *place.operands,
        binds=f'"{binds}"',
        into=place.sized(place.new),
    )


def _named(place: Place) -> str:
    body = place.listing.body(place.box["body"])
    return _call(f"{body}.boxed", *place.operands)


def _scan(place: Place) -> str:
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
    return _call("vs.scan", place.listing.body(box["body"]), over=f'"{time}"', **options)


def _declared(body: Diagram) -> set[str]:
    return {axis for port in (*body.inputs, *body.outputs) for axis in port.axes}


def _own(place: Place) -> str:
    own = OWN[place.box.kind.name]
    place.listing.imports["from vesalius.diagrams.boxes.own import OWN"] = None
    module = getattr(own.torch, "__module__", None)
    if module not in (None, "__main__"):
        place.listing.imports[f"import {module}  # declares {own.kind.name}"] = None
    return _call(f"OWN[{own.kind.name!r}]", *place.operands)


WRITERS: dict[str, Callable[[Place], str]] = {
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


def call_of(place: Place) -> str:
    """The call that makes a box. Raises `Outside` for a kind that has no text."""
    kind = place.box.kind.name
    write = _own if kind in OWN else WRITERS.get(kind)
    if write is None:
        raise Outside(f"a box of kind {kind} has no text")
    return write(place)
