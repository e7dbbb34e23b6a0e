"""Boxes that move entries and compute nothing: how axes are made, cut, joined and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Box, Kind, Look, Site, declare, tubes_and_new
from vesalius.diagrams.errors import SizeError, TypeClash
from vesalius.diagrams.sizes import Size, product

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire

EXPAND = declare(
    Kind(
        name="expand",
        summary="repeat along a new axis; erased where another operand carries that axis",
        formula="y[c] = x",
        meaning=lambda algebra, site, inputs: [algebra.expand(inputs[0], site.new_sizes)],
        outs=tubes_and_new,
        look=Look("box", "expand"),
        derivative="∂x = Σ_c ∂y",
        pullback=lambda pull: [pull.cotangent],
    )
)


def _like(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    order = list(range(site.box.inner))
    y = algebra.align(inputs[0], site.box.maps[0], order)
    return [algebra.broadcast(y, site.sizes)]


LIKE = declare(
    Kind(
        name="like",
        summary="repeat along whatever axes another wire has; stands in rules only",
        formula="y[c] = x, for every axis c of z",
        meaning=_like,
        outs=tubes_and_new,
        look=Look("box", "like"),
        derivative="∂x = Σ over the axes that x lacks of ∂y; zero for z",
        pullback=lambda pull: [pull.cotangent, None],
    )
)


def _split_check(site: Site) -> None:
    (whole,) = site.bound_sizes
    parts = product(site.new_sizes)
    if whole != parts:
        raise SizeError(f"split: an axis of size {whole} does not split into {parts} entries")


def _split(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    return [algebra.reshape(x, (*tubes, *site.new_sizes))]


def _split_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    return [verbs.merge(pull.cotangent, " ".join(pull.new), pull.bound[0])]


SPLIT = declare(
    Kind(
        name="split",
        summary="read one axis as several, row-major",
        formula="y[h, c] = x[h·|c| + c]",
        meaning=_split,
        outs=tubes_and_new,
        check=_split_check,
        look=Look("box", "split"),
        derivative="∂x = merge ∂y",
        pullback=_split_pullback,
    )
)


def _merge_check(site: Site) -> None:
    if product(site.bound_sizes) != site.new_sizes[0]:
        raise SizeError(f"merge: the merged axis is not of size {product(site.bound_sizes)}")


def _merge(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    return [algebra.reshape(x, (*tubes, *site.new_sizes))]


def _merge_pullback(pull: Pull) -> list[Wire]:
    use = (pull.cotangent.id, pull.cotangent.names)
    new = [(axis, pull.sizes[axis]) for axis in pull.bound]
    made = pull.builder.add(SPLIT, (), [use], pull.new, new)
    return [pull.handle(made)]


MERGE = declare(
    Kind(
        name="merge",
        summary="read several axes as one, row-major",
        formula="y[h·|c| + c] = x[h, c]",
        meaning=_merge,
        outs=tubes_and_new,
        check=_merge_check,
        look=Look("box", "merge"),
        derivative="∂x = split ∂y",
        pullback=_merge_pullback,
    )
)


def _concat_check(site: Site) -> None:
    total = Size({})
    for size in site.bound_sizes:
        total = total + size
    if total != site.new_sizes[0]:
        raise SizeError(f"concat: the parts add up to {total}, not {site.new_sizes[0]}")


def _one_dtype(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(dtypes)) > 1:
        raise TypeClash(f"{box.kind.name} joins one element type, not {' and '.join(dtypes)}")
    return dtypes[:1]


def _concat(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    box = site.box
    tubes = list(box.tubes)
    shape = [site.sizes[a] for a in tubes]
    parts = [
        algebra.broadcast(algebra.align(x, row, [*tubes, axis]), (*shape, site.sizes[axis]))
        for x, row, axis in zip(inputs, box.maps, box.bound, strict=True)
    ]
    return [algebra.concat(parts, len(tubes))]


def _concat_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    found, start = [], Size({})
    for axis in pull.bound:
        length = pull.sizes[axis]
        found.append(verbs.slice(pull.cotangent, pull.new[0], start, length=length, into=axis))
        start = start + length
    return found


CONCAT = declare(
    Kind(
        name="concat",
        summary="join along one axis; each input brings its own axis",
        formula="y = [x₁ ; x₂ ; …]",
        meaning=_concat,
        outs=tubes_and_new,
        dtypes=_one_dtype,
        check=_concat_check,
        look=Look("box", "concat"),
        derivative="∂xₖ = slice ∂y",
        pullback=_concat_pullback,
    )
)


def _slice_check(site: Site) -> None:
    start, step, whole = site.box["start"], site.box["step"], site.bound_sizes[0]
    length = site.new_sizes[0]
    if (length.constant or 0) < 0:
        raise SizeError(f"slice: {length} entries of an axis of size {whole}; none is negative")
    if not length:
        return
    last = start + (length - 1) * step
    for place in (start, last):
        known, room = place.constant, (whole - place).constant
        if (known is not None and known < 0) or (room is not None and room < 1):
            raise SizeError(f"slice: position {place} is outside an axis of size {whole}")


def _slice(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    start, step = algebra.integer(site.box["start"]), site.box["step"]
    length, whole = site.new_sizes[0], site.bound_sizes[0]
    last = start + (length - 1) * step
    if length < 0 or (length and not (0 <= start < whole and 0 <= last < whole)):
        raise SizeError(f"slice: positions {start} to {last} are outside an axis of size {whole}")
    places = [start + k * step for k in range(length)]
    return [algebra.take(x, len(tubes), places)]


def _slice_pullback(pull: Pull) -> list[Wire]:
    """With a step of ±1 the rest is padding; else each position looks for who read it."""
    from vesalius.diagrams import verbs

    (axis,), (new,), dy = pull.bound, pull.new, pull.cotangent
    start, step = pull.box["start"], pull.box["step"]
    whole, length = pull.sizes[axis], pull.sizes[new]
    if step == -1:
        dy, start, step = verbs.slice(dy, new, step=-1), start - length + 1, 1
    if step == 1:
        return [verbs.pad(dy, new, start, whole - start - length, into=axis)]
    places = pull.positions(new) * step + start
    here = verbs.equal(places, pull.positions(axis))
    return [pull.onto(0, dy, verbs.to_float(here))]


SLICE = declare(
    Kind(
        name="slice",
        summary="every step-th entry of an axis, from a start; a negative step reverses",
        formula="y[i] = x[start + step·i]",
        meaning=_slice,
        outs=tubes_and_new,
        fields=(("start", "size"), ("step", "int")),
        check=_slice_check,
        look=Look("box", "slice"),
        derivative="∂x = ∂y at the places read, zero elsewhere",
        pullback=_slice_pullback,
    )
)


def _pad_check(site: Site) -> None:
    for amount in (site.box["before"], site.box["after"]):
        if (amount.constant or 0) < 0:
            raise SizeError(f"pad: {amount} entries are put at one end; none is negative")
    total = site.box["before"] + site.bound_sizes[0] + site.box["after"]
    if total != site.new_sizes[0]:
        raise SizeError(f"pad: the padded axis is of size {total}, not {site.new_sizes[0]}")


def _pad(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    before, after = algebra.integer(site.box["before"]), algebra.integer(site.box["after"])
    if before < 0 or after < 0:
        raise SizeError(f"pad: {before} entries before and {after} after; neither is negative")
    return [algebra.pad(x, len(tubes), before, after, site.box["value"], site.dtypes[0])]


def _pad_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    (axis,), (new,) = pull.bound, pull.new
    before, length = pull.box["before"], pull.sizes[axis]
    return [verbs.slice(pull.cotangent, new, before, length=length, into=axis)]


PAD = declare(
    Kind(
        name="pad",
        summary="put copies of one value before and after an axis",
        formula="y[before + i] = x[i]",
        meaning=_pad,
        outs=tubes_and_new,
        fields=(("before", "size"), ("after", "size"), ("value", "value")),
        check=_pad_check,
        look=Look("box", "pad"),
        derivative="∂x = slice ∂y",
        pullback=_pad_pullback,
    )
)


def _window_check(site: Site) -> None:
    whole = site.bound_sizes[0]
    positions, width = site.new_sizes
    if width.constant is not None and width.constant < 1:
        raise SizeError(f"window: a window is 1 entry wide or more, not {width}")
    span = (positions - 1) * site.box["stride"] + (width - 1) * site.box["dilation"]
    room = (whole - 1 - span).constant
    if (room is not None and room < 0) or (positions.constant or 0) < 0:
        raise SizeError(f"window: {positions} windows of {width} do not fit in {whole} entries")


def _window(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    positions, width = site.new_sizes
    stride, dilation = site.box["stride"], site.box["dilation"]
    last = (positions - 1) * stride + (width - 1) * dilation
    if positions < 0 or width < 1 or (positions and last >= site.bound_sizes[0]):
        raise SizeError(f"window: {positions} windows of {width} do not fit in the axis")
    places = [i * stride + d * dilation for i in range(positions) for d in range(width)]
    return [algebra.reshape(algebra.take(x, len(tubes), places), (*tubes, positions, width))]


def _window_pullback(pull: Pull) -> list[Wire]:
    """Who read position j? With a stride of 1, the window before j at each offset; else look."""
    from vesalius.diagrams import verbs

    (axis,), (position, offset), dy = pull.bound, pull.new, pull.cotangent
    stride, dilation = pull.box["stride"], pull.box["dilation"]
    if stride > 1:
        places = pull.positions(position) * stride + pull.positions(offset) * dilation
        here = verbs.equal(places, pull.positions(axis))
        return [pull.onto(0, dy, verbs.to_float(here))]
    # x[j] was read by window j − dilation·δ at the offset δ.
    places = pull.positions(axis) - pull.positions(offset) * dilation
    inside = (places >= 0) & (places < pull.sizes[position])
    read = verbs.gather(dy, verbs.where(inside, places, 0), over=position)
    return [verbs.sum(verbs.where(inside, read, 0.0), offset)]


WINDOW = declare(
    Kind(
        name="window",
        summary="the sliding windows of an axis: a position axis and an offset axis",
        formula="y[i, δ] = x[stride·i + dilation·δ]",
        meaning=_window,
        outs=tubes_and_new,
        fields=(("stride", "int"), ("dilation", "int")),
        check=_window_check,
        look=Look("box", "window"),
        derivative="∂x = sum of ∂y over the windows that read an entry",
        pullback=_window_pullback,
    )
)


def _diagonal_check(site: Site) -> None:
    for size in site.bound_sizes:
        if size != site.new_sizes[0]:
            raise SizeError(f"diagonal: axes of size {size} and {site.new_sizes[0]} have none")


def _diagonal(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    x, tubes = _bound_last(algebra, site, inputs[0])
    return [algebra.diagonal(x, len(tubes), len(site.box.bound), site.new_sizes[0])]


def _diagonal_pullback(pull: Pull) -> list[Wire]:
    from vesalius.diagrams import verbs

    first, *rest = pull.bound
    place = pull.positions(first)
    here = [verbs.equal(place, pull.positions(axis)) for axis in rest]
    dy = pull.cotangent.rename(**{pull.new[0]: first})
    return [verbs.contract(dy, *map(verbs.to_float, here))]


DIAGONAL = declare(
    Kind(
        name="diagonal",
        summary="the entries whose positions on the bound axes are equal",
        formula="y[i] = x[i, i]",
        meaning=_diagonal,
        outs=tubes_and_new,
        check=_diagonal_check,
        look=Look("box", "diag"),
        derivative="∂x = ∂y on the diagonal, zero elsewhere",
        pullback=_diagonal_pullback,
        bound_is_set=True,
    )
)


def _bound_last(algebra: Any, site: Site, x: Any) -> tuple[Any, list[Any]]:
    """The input with its tubes first and its bound axes last, and the sizes of the tubes."""
    tubes = list(site.box.tubes)
    order = [*tubes, *site.box.bound]
    return algebra.align(x, site.box.maps[0], order), [site.sizes[a] for a in tubes]
