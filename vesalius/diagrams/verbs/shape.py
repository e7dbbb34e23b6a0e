"""Verbs that make, cut, join and read axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vesalius.diagrams.boxes.shape import (
    CONCAT,
    DIAGONAL,
    EXPAND,
    LIKE,
    MERGE,
    PAD,
    SLICE,
    SPLIT,
    WINDOW,
)
from vesalius.diagrams.canonical import Label
from vesalius.diagrams.errors import AxisError, SizeError
from vesalius.diagrams.sizes import Size, SizeLike, number, product, size
from vesalius.diagrams.types import axis_names
from vesalius.diagrams.verbs.common import (
    atomic,
    explained,
    handle,
    named_use,
    place,
    require_axis,
    require_free,
    sized_axes,
    wires,
)
from vesalius.diagrams.wire import Wire


@atomic
def expand(x: Any, axes: str) -> Wire:
    """Repeat along new axes: `expand(x, "c:8")`. An axis that `x` has already is an error."""
    (wire,) = wires("expand", x)
    new: list[tuple[Label, Size]] = []
    for axis, length in sized_axes(axes).items():
        require_free("expand", axis, wire.names)
        new.append((axis, length))
    if not new:
        return wire
    made = place("expand", EXPAND, (), [wire], [named_use(wire)], (), new)
    return handle(wire.builder, made)


@atomic
def like(x: Any, y: Wire) -> Wire:
    """`x` with every axis of `y`: those that it lacks are expanded."""
    wire, model = wires("like", x, y)
    if wire.builder.pattern:
        made = place("like", LIKE, (), [wire, model], [named_use(wire), named_use(model)])
        return handle(wire.builder, made)
    new = [item for item in model.axes.items() if item[0] not in wire.names]
    if not new:
        return wire
    made = place("like", EXPAND, (), [wire], [named_use(wire)], (), new)
    return handle(wire.builder, made)


@explained
def split(x: Wire, axis: str, into: str) -> Wire:
    """Read one axis as several, row-major: `split(x, "d", "h:8 c")`.

    One of the sizes may be left to follow: with `h:8`, a bare `c` is the exact quotient when
    it is not a size variable of its own, that is when the sizes do not multiply out. Raises
    `AxisError` for an axis that `x` lacks or a name that is taken, `SizeError` for sizes that do
    not multiply out.
    """
    whole = require_axis("split", x, axis)
    parts = sized_axes(into)
    for name in parts:
        require_free("split", name, [other for other in x.names if other != axis])
    if product(parts.values()) != whole:
        loose = [name for name, length in parts.items() if length.variable == name]
        if len(loose) != 1:
            raise SizeError(
                f"split: the axis {axis!r} of size {whole} does not split into "
                f"{product(parts.values())} entries"
            )
        rest = product(length for name, length in parts.items() if name != loose[0])
        parts[loose[0]] = whole / rest
    new = list(parts.items())
    use = (x.id, tuple(("whole",) if name == axis else name for name in x.names))
    return handle(x.builder, place("split", SPLIT, (), [x], [use], [("whole",)], new))


@explained
def merge(x: Wire, axes: str, into: str) -> Wire:
    """Read several axes as one, row-major in the order given: `merge(x, "h c", "d")`.

    The new axis is as long as their product. Raises `AxisError` for an axis that `x` lacks or a
    name that is taken.
    """
    names = axis_names(axes)
    sizes = [require_axis("merge", x, name) for name in names]
    require_free("merge", into, [other for other in x.names if other not in names])
    use = (x.id, tuple(("part", name) if name in names else name for name in x.names))
    bound = [("part", name) for name in names]
    made = place("merge", MERGE, (), [x], [use], bound, [(into, product(sizes))])
    return handle(x.builder, made)


@atomic
def concat(*parts: Wire, over: str | Sequence[str], into: str | None = None) -> Wire:
    """Join wires along an axis: `concat(x, y, over="n")`, or `over=("n", "m"), into="k"`.

    `over` names the axis of each part (one name serves all). Other axes are tubes. Raises
    `AxisError` for an axis that a part lacks or a name that is taken.
    """
    given = wires("concat", *parts)
    names = [over] * len(given) if isinstance(over, str) else list(over)
    if len(names) != len(given):
        raise AxisError(f"concat: {len(given)} parts and {len(names)} axes")
    target = into or names[0]
    total = Size({})
    uses, bound = [], []
    for k, (wire, axis) in enumerate(zip(given, names, strict=True)):
        total = total + require_axis("concat", wire, axis)
        require_free("concat", target, [other for other in wire.names if other != axis])
        uses.append((wire.id, tuple(("part", k) if n == axis else n for n in wire.names)))
        bound.append(("part", k))
    made = place("concat", CONCAT, (), given, uses, bound, [(target, total)])
    return handle(given[0].builder, made)


@explained
def slice(
    x: Wire,
    axis: str,
    start: SizeLike | None = None,
    stop: SizeLike | None = None,
    *,
    step: int = 1,
    length: SizeLike | None = None,
    into: str | None = None,
) -> Wire:
    """Every step-th entry of an axis: `slice(x, "n", 1, step=2)`; `step=-1` reverses.

    `stop` is exclusive; `length` may be given instead. With a negative step and no start, the
    slice begins at the last entry. Raises `AxisError` for an axis that `x` lacks, `SizeError` for
    a step of 0 or a length that cannot be.
    """
    whole = require_axis("slice", x, axis)
    if not isinstance(step, int) or step == 0:
        raise SizeError(f"slice: a step is an integer other than 0, not {step!r}")
    first = size(start) if start is not None else whole - 1 if step < 0 else size(0)
    if length is not None:
        count = size(length)
    elif step > 0:
        count = ((whole if stop is None else size(stop)) - first).ceil_div(step)
    else:
        count = (first - (size(-1) if stop is None else size(stop))).ceil_div(-step)
    target = into or axis
    require_free("slice", target, [other for other in x.names if other != axis])
    use = (x.id, tuple(("whole",) if name == axis else name for name in x.names))
    made = place("slice", SLICE, (first, step), [x], [use], [("whole",)], [(target, count)])
    return handle(x.builder, made)


@explained
def pad(
    x: Wire,
    axis: str,
    before: SizeLike = 0,
    after: SizeLike = 0,
    value: float = 0,
    into: str | None = None,
) -> Wire:
    """Put `before` and `after` copies of a number around an axis, which is longer by as many.

    Raises `AxisError` for an axis that `x` lacks or a name that is taken.
    """
    whole = require_axis("pad", x, axis)
    target = into or axis
    require_free("pad", target, [other for other in x.names if other != axis])
    left, right = size(before), size(after)
    use = (x.id, tuple(("whole",) if name == axis else name for name in x.names))
    new = [(target, left + whole + right)]
    attrs = (left, right, number(value))
    return handle(x.builder, place("pad", PAD, attrs, [x], [use], [("whole",)], new))


@explained
def window(x: Wire, axis: str, into: str, *, stride: int = 1, dilation: int = 1) -> Wire:
    """The sliding windows of an axis: `window(x, "n", "i d:3")` reads x[i + d] at [i, d].

    `into` names the position axis and the offset axis with its width; the number of positions
    follows. Pad first to keep the length. Raises `AxisError` for an axis that `x` lacks or names
    that are taken, `SizeError` for a stride or dilation that is no positive integer.
    """
    whole = require_axis("window", x, axis)
    names = into.split()
    if len(names) != 2 or ":" in names[0]:
        raise AxisError(f"window: write the two new axes as 'i d:3', not {into!r}")
    for what, amount in (("stride", stride), ("dilation", dilation)):
        if not isinstance(amount, int) or amount < 1:
            raise SizeError(f"window: the {what} is a positive integer, not {amount!r}")
    ((offset, width),) = sized_axes(names[1]).items()
    positions = (whole - (width - 1) * dilation - 1) // stride + 1
    for name in (names[0], offset):
        require_free("window", name, [other for other in x.names if other != axis])
    if names[0] == offset:
        raise AxisError(f"window: the two new axes are both called {offset!r}")
    use = (x.id, tuple(("whole",) if name == axis else name for name in x.names))
    new = [(names[0], positions), (offset, width)]
    made = place("window", WINDOW, (stride, dilation), [x], [use], [("whole",)], new)
    return handle(x.builder, made)


@explained
def diagonal(x: Wire, axes: str, into: str) -> Wire:
    """The entries whose positions on the given axes are equal: `diagonal(x, "n m", "n")`.

    Raises `AxisError` for an axis that `x` lacks, for fewer than two, or a name that is taken;
    `SizeError` where the axes differ in length.
    """
    names = axis_names(axes)
    if len(names) < 2:
        raise AxisError(f"diagonal: name two axes or more, not {axes!r}")
    sizes = [require_axis("diagonal", x, name) for name in names]
    require_free("diagonal", into, [other for other in x.names if other not in names])
    use = (x.id, tuple(("part", name) if name in names else name for name in x.names))
    bound = [("part", name) for name in names]
    made = place("diagonal", DIAGONAL, (), [x], [use], bound, [(into, sizes[0])])
    return handle(x.builder, made)
