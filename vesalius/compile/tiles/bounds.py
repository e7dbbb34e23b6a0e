"""Which blocks of columns some rows may see, from the least and the largest of what a mask reads.

A mask says of each row and each column whether the one sees the other. Of many rows and a block of
columns it says so by interval arithmetic: every integer that it reads is known by its bounds, and
so is what is made of it; a truth value is bounded by what it must be and what it may be.

    x = y  may hold where a ≤ d and c ≤ b               for x in [a, b], y in [c, d]
    x < y  may hold where a ≤ d,  must hold where b < c

So blocks of segments, sorted or not, are told apart whenever their identifiers do not overlap.
Bounds are floats of double precision. What is not known here (a function of the user's own, scores)
bounds nothing, and hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

from vesalius.compile.terms import Axis, Use, Writing
from vesalius.compile.tiles.body import COLUMNS, ROWS
from vesalius.compile.tiles.traces import Place, Traces
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import ANY
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.types import ArrayType

Bounds = tuple[Use, Use]  # the least and the largest; what must be and what may be


class Seen(NamedTuple):
    """`diagram` reads, for each of `inputs` of a body, its least and its largest over the rows and
    over each block of columns; it gives the blocks that some row may see, for each place of the
    outer tubes that are listed in `outer`.
    """

    diagram: Diagram
    inputs: tuple[int, ...]
    outer: tuple[int, ...]


def seen_blocks(body: Diagram, traces: Traces, hiding: Iterable[tuple[int, bool]]) -> Seen | None:
    """The blocks of columns that the conditions leave, each hiding where it is the value given.

    None where nothing is known of any of them.
    """
    integers = [k for k, p in enumerate(body.inputs) if body.types[p.wire].dtype != "float"]
    conditions = list(hiding)
    found = _Reader(body, traces, integers).seen(conditions)
    if found is None:
        return None
    (out,) = found.diagram.outputs
    read = [k for j, k in enumerate(integers)
            if any(found.diagram.consumers[wire] or wire == out.wire
                   for wire in (2 * j, 2 * j + 1))]  # fmt: skip
    return found if read == integers else _Reader(body, traces, read).seen(conditions)


class _Reader:
    """Writes the bounds of wires of a body; they have the axes of these, but for the rows."""

    def __init__(self, body: Diagram, traces: Traces, read: Sequence[int]) -> None:
        self.body, self.traces, self.read = body, traces, read
        self.w = Writing(Builder("seen_columns", "Which blocks of columns some row may see."))
        self.axes: dict[Place, Axis] = {}
        self.known: dict[int, Bounds | None] = {port.wire: None for port in body.inputs}
        taken: set[str] = set()
        for k in read:
            port = body.inputs[k]
            low, high = (self._input(port, end, taken) for end in ("least", "most"))
            self.known[port.wire] = low, high

    def _input(self, port: Port, end: str, taken: set[str]) -> Use:
        name = fresh_name(f"{end}_{port.name}", taken)
        taken.add(name)
        type_ = self.body.port_type(port)
        axes = {axis: length for axis, length in type_.axes.items() if axis != ROWS}
        dtype = "bool" if type_.dtype == "bool" else "float"
        wire = self.w.builder.input(name, ArrayType(axes, dtype))
        slots = dict(zip(port.axes, port.slots, strict=True))
        return wire.id, tuple([self._label(port.wire, slots[axis]) for axis in wire.names])

    def _label(self, wire: int, slot: int) -> Axis:
        kind = self.traces.find((wire, slot))
        return self.axes.setdefault(kind, Axis(self.body.hints[wire][slot] or "a"))

    def seen(self, conditions: Iterable[tuple[int, bool]]) -> Seen | None:
        """The blocks that all conditions leave."""
        w, traces = self.w, self.traces
        every: dict[Use, None] = {}  # a condition may be a part of another
        for wire, hides in conditions:
            bounds = self.of(wire)
            if bounds is not None:
                shown = w.apply("logical_not", bounds[0]) if hides else bounds[1]
                every.update(dict.fromkeys(self._together(shown)))
        if not every:
            return None
        left = reduce(lambda x, y: w.apply("logical_and", x, y), every)
        columns = self.axes.get(traces.columns) if traces.columns else None
        if columns not in left[1]:
            return None
        kept = [k for k, kind in enumerate(traces.outer) if self.axes.get(kind) in left[1]]
        labels: list[Label] = [*(self.axes[traces.outer[k]] for k in kept), columns]
        bound = [label for label in left[1] if label not in labels]
        if bound:
            (left,) = w.box(ANY, (), [left], bound)
        names = (*(f"outer{k}" for k in kept), COLUMNS)
        port = Port("seen", left[0], names, tuple([left[1].index(label) for label in labels]))
        return Seen(w.builder.finish([port]), tuple(self.read), tuple(kept))

    def _together(self, use: Use) -> Iterator[Use]:
        """What has to hold together for a truth value to hold."""
        both = self.w.applied(use, "logical_and")
        for part in both or ():
            yield from self._together(part)
        if both is None:
            yield use

    # -- the bounds of a wire ---------------------------------------------------------------------

    def of(self, wire: int) -> Bounds | None:
        """The bounds of a wire, if they are known."""
        if wire not in self.known:
            kinds = [self.traces.find((wire, s)) for s in range(len(self.body.types[wire].sizes))]
            apart = len(set(kinds)) == len(kinds)
            node = self.body.nodes[self.body.owner[wire]]
            self.known[wire] = self._made(node) if apart else None
        return self.known[wire]

    def _made(self, node: Node) -> Bounds | None:
        box, w = node.box, self.w
        if box.kind is CONSTANT:
            value = box["value"]
            plain = not box.new and isinstance(value, bool | int | float)
            return (number := w.number(_as_float(value)), number) if plain else None
        below = [self.of(source) for source in node.src]
        if box.kind is POINTWISE:
            return self._pointwise(node, below)
        known = [bounds for bounds in below if bounds is not None]
        if len(known) < len(below) or box.bound:
            return None
        if box.kind is EXPAND:
            return known[0]  # what is the same along an axis need not have it
        if box.kind is ADD:
            return w.add([low for low, _ in known]), w.add([high for _, high in known])
        if box.kind is CONTRACT:
            result = known[0]
            for other in known[1:]:
                result = _product(w, result, other)
            return result
        return None

    def _pointwise(self, node: Node, below: Sequence[Bounds | None]) -> Bounds | None:
        name, w = node.box["function"].name, self.w
        known = [bounds for bounds in below if bounds is not None]
        if name == "logical_and" and len(known) == 1:
            return w.number(False), known[0][1]
        if name == "logical_or" and len(known) == 1:
            return known[0][0], w.number(True)
        if len(known) < len(below):
            return None
        if name in INCREASING:
            low, high = zip(*known, strict=True)
            return w.apply(name, *low), w.apply(name, *high)
        rule = RULES.get(name)
        return rule(w, *known) if rule else None


def _as_float(value: Any) -> Any:
    return value if isinstance(value, bool) else float(value)


def _product(w: Writing, one: Bounds, other: Bounds) -> Bounds:
    ends = [w.contract([x, y]) for x, y in product(one, other)]
    return _least(w, ends), _most(w, ends)


def _least(w: Writing, uses: Sequence[Use]) -> Use:
    return reduce(lambda x, y: w.apply("minimum", x, y), uses)


def _most(w: Writing, uses: Sequence[Use]) -> Use:
    return reduce(lambda x, y: w.apply("maximum", x, y), uses)


def _negative(w: Writing, use: Use) -> Use:
    return w.apply("negate", use)


def _compared(w: Writing, one: Bounds, other: Bounds) -> Bounds:
    """x < y and x ≤ y alike: large integers may become one float, so that no more is certain."""
    return w.apply("less", one[1], other[0]), w.apply("less_equal", one[0], other[1])


def _equal(w: Writing, one: Bounds, other: Bounds) -> Bounds:
    ends = [w.apply("less_equal", x[0], y[1]) for x, y in ((one, other), (other, one))]
    return w.number(False), w.apply("logical_and", *ends)


def _abs(w: Writing, x: Bounds) -> Bounds:
    low, high = x
    least = _most(w, [low, _negative(w, high), w.number(0.0)])
    return least, _most(w, [_negative(w, low), high])


def _where(w: Writing, condition: Bounds, yes: Bounds, no: Bounds) -> Bounds:
    if w.dtype(yes[0]) == "bool":
        return w.apply("logical_and", yes[0], no[0]), w.apply("logical_or", yes[1], no[1])
    return _least(w, [yes[0], no[0]]), _most(w, [yes[1], no[1]])


def _to_number(w: Writing, x: Bounds) -> Bounds:
    if w.dtype(x[0]) != "bool":
        return x
    one, zero = w.number(1.0), w.number(0.0)
    return w.apply("where", x[0], one, zero), w.apply("where", x[1], one, zero)


def _floor_divide(w: Writing, x: Bounds, by: Bounds) -> Bounds | None:
    """Of integers, by a number above zero; the quarter keeps quotients off the next integer."""
    number = w.value(by[0])
    if by[0] != by[1] or number is None or number <= 0:
        return None
    quarter, part = w.number(0.25), w.number(1.0 / number)
    low, high = (w.apply("floor", w.contract([w.add([end, quarter]), part])) for end in x)
    return low, high


INCREASING = ("maximum", "minimum", "logical_and", "logical_or", "floor", "relu", "sign")

RULES: dict[str, Callable[..., Bounds | None]] = {
    "less": _compared,
    "less_equal": _compared,
    "equal": _equal,
    "logical_not": lambda w, x: (w.apply("logical_not", x[1]), w.apply("logical_not", x[0])),
    "negate": lambda w, x: (_negative(w, x[1]), _negative(w, x[0])),
    "abs": _abs,
    "where": _where,
    "to_float": _to_number,
    "to_int": _to_number,
    "floor_divide": _floor_divide,
}
