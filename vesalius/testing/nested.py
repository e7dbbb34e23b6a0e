"""Drawing boxes that hold a diagram, or will hold one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.testing.drawing import MAX_RANK, OPTIONAL, Drawer, Known, anything, draws, word
from vesalius.testing.programs import Program, Result, Use


def arguments(
    d: Drawer, uses: Sequence[Use], kept: Collection[str]
) -> tuple[list[Use], list[ArrayType]]:
    """Declare some axes of each argument of a body, under the body's own names.

    Returns the uses as the body wants them, and its input types. Axes in `kept` stay.
    """
    inner: dict[str, str] = {}
    lengths: dict[Size, Size] = {}
    general = d.chance()
    found, types = [], []
    pool = tuple(f"{name}{d.level + 1}" for name in "pqrstuvw")
    for use in uses:
        wire = d.wires[use.wire]
        names, declared = {}, {}
        for axis, length in wire.axes.items():
            name = use.names.get(axis, axis)
            if name not in kept and not d.chance():
                inside = inner.setdefault(name, pool[len(inner) % len(pool)])
                if general and length.variable is not None:
                    fresh = size(f"s{d.level}_{len(lengths)}")
                    length = lengths.setdefault(length, fresh)
                declared[inside] = length
                name = inside
            names[axis] = name
        found.append(Use(use.wire, {a: n for a, n in names.items() if a != n}))
        types.append(ArrayType(declared, wire.dtype))
    return found, types


def body(
    d: Drawer,
    types: Sequence[ArrayType],
    known: Sequence[Known],
    exponentials: bool = True,
    learners: bool = True,
) -> Drawer:
    """A drawer for a body."""
    kinds = [
        kind
        for kind in d.kinds
        if (d.level == 0 or kind not in ("named", "scan")) and (learners or kind not in OPTIONAL)
    ]
    inputs = {f"{'uvwxyz'[k]}": type_ for k, type_ in enumerate(types)}
    return Drawer(
        d.draw,
        inputs,
        known,
        kinds,
        d.exact,
        d.level + 1,
        exponentials and d.exponentials,
    )


@draws("named")
def draw_named(d: Drawer) -> bool:
    """A diagram, called in place or as one box."""
    chosen = d.several(1, 2, anything)
    if chosen is None:
        return False
    uses, union = d.joined(chosen)
    if len(union) > MAX_RANK:
        return False
    given, types = arguments(d, uses, ())
    inner = body(d, types, [d.known[w] for w in chosen])
    inner.boxes(1, 4)
    program = inner.program(d.one_of(("block", "part")))
    made = [inner.wires[w] for w in inner.ends]
    if any(len(wire.names) + len(union) > MAX_RANK + 1 for wire in made):
        return False
    verb = d.one_of(("boxed", "call"))
    known = [inner.known[w] for w in inner.ends]
    d.place(verb, given, known, inner, body=program)
    return True


@draws("scan")
def draw_scan(d: Drawer) -> bool:
    """A body run along an axis."""
    states = d.several(0, 2, anything)
    sequences = d.several(0, 2, lambda wire, known: bool(wire.names))
    if states is None or sequences is None or not states + sequences:
        return False
    captured = d.several(0, 1, anything) or []
    chosen = [*states, *sequences, *captured]
    uses, union = d.joined(chosen)
    if len(union) > MAX_RANK:
        return False
    over = d.fresh(union)
    options: dict[str, Any] = {"over": over, "reverse": d.chance()}
    time: Size | None = None
    for k in range(len(states), len(states) + len(sequences)):
        axes = d.wires[uses[k].wire].axes
        alike = [axis for axis, length in axes.items() if time in (None, length)]
        if not alike:
            return False
        axis = d.one_of(alike)
        time = axes[axis]
        uses[k] = Use(uses[k].wire, {**uses[k].names, axis: over})
    if time is None:
        time = options["length"] = d.length()
    given, types = arguments(d, uses, (over,))
    known = [d.known[w] for w in chosen]
    for k in range(len(states)):
        known[k] = Known(None, max(known[k].bound, 4.0), known[k].depth)
    inner = body(d, types, known, exponentials=d.exact != "field", learners=False)
    inner.boxes(1, 4)
    ends = [tamed(inner, inner.made_to(type_), type_.dtype) for type_ in types[: len(states)]]
    orders: list[Sequence[str]] = [tuple(type_) for type_ in types[: len(states)]]
    for _ in range(d.number(0 if states else 1, 2)):
        ends.append(len(inner.wires) - 1 - d.number(0, len(inner.wires) - 1))
        orders.append(d.shuffled(inner.wires[ends[-1]].names))
    if any(len(order) + len(union) > MAX_RANK + 1 for order in orders):
        return False
    results = [
        Result(f"y{k}", Use(w), tuple(order))
        for k, (w, order) in enumerate(zip(ends, orders, strict=True))
    ]
    program = Program(inner.inputs, tuple(inner.steps), tuple(results), "cell")
    depth = max(k.depth for k in known)
    found = [
        Known(None, max(inner.known[w].bound, 4.0), max(depth, inner.known[w].depth)) for w in ends
    ]
    d.place(
        "scan",
        given,
        found,
        inner,
        body=program,
        states=len(states),
        sequences=len(sequences),
        **options,
    )
    return True


def tamed(d: Drawer, w: int, dtype: str) -> int:
    """The next state from a wire: bounded, however often the body runs."""
    depth = d.known[w].depth
    if dtype == "float" and d.exact is None:
        return d.place("tanh", [Use(w)], Known(None, 1.0, depth + 1))
    if dtype == "int":
        return d.place("remainder", [Use(w), 5], Known(1, 5.0))
    return w


@draws("learner")
def draw_learner(d: Drawer) -> bool:
    """A hole that binds one axis and makes another."""
    w = d.axis(lambda wire, known: wire.dtype == "float")
    if w is None:
        return False
    binds = d.some(d.wires[w].names)
    into = word(d.fresh(d.wires[w].names), d.length())
    known = Known(None, 4.0, d.known[w].depth)
    d.place("learner", ["u", Use(w)], known, binds=" ".join(binds), into=into)
    return True
