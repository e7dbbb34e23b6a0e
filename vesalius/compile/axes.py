"""How boxes that make, cut and join axes are written: mostly as views."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.compile.folding import literal_term
from vesalius.compile.layout import concat_orders
from vesalius.compile.scope import Here, Operand
from vesalius.compile.text import ANY, SUM, Term, apply, index, method
from vesalius.compile.views import dim, permuted, unsqueezed
from vesalius.diagrams.sizes import Size


def expand(here: Here) -> list[Term]:
    """`x.expand(…)`, or `torch.full` of a number."""
    out, number = here.out(), here.number(0)
    if number is not None:
        return [here.scope.filled([here.size(a) for a in out], number)]
    return [here.full(here.operand(0), out)]


def _bound_in_place(here: Here) -> tuple[Term, tuple[int, ...], int]:
    """The input with its bound axes side by side, the orders of its axes, and their place."""
    x, bound = here.operand(0), here.box.bound
    place = x.axes.index(bound[0]) if bound else len(x.axes)
    if x.axes[place : place + len(bound)] == bound:
        return x.term, x.axes, place
    order = (*(a for a in x.axes if a not in bound), *bound)
    return permuted(x.term, x.axes, order), order, len(order) - len(bound)


def _lengths(here: Here, axes: Sequence[int]) -> str:
    return ", ".join(here.size(a).at(ANY) for a in axes)


def split(here: Here) -> list[Term]:
    """`x.unflatten(dim, (h, c))`."""
    term, order, place = _bound_in_place(here)
    new = tuple(range(here.box.inner, here.box.rank))
    at = -1 if place == len(order) - 1 else place
    if not new:
        return [method(term, f"squeeze({at})", cost=0)]
    if len(new) > 1:
        term = method(term, f"unflatten({at}, ({_lengths(here, new)}))", cost=0)
    made = (*order[:place], *new, *order[place + 1 :])
    return [permuted(term, made, here.out())]


def merge(here: Here) -> list[Term]:
    """`x.flatten(first, last)`."""
    term, order, place = _bound_in_place(here)
    count, (new,) = len(here.box.bound), range(here.box.inner, here.box.rank)
    if count == 0:
        term = method(term, f"unsqueeze({place})", cost=0)
    elif count > 1:
        last = place + count - 1
        stop = "-1" if last == len(order) - 1 else str(last)
        term = method(term, f"flatten({place}, {stop})")
    made = (*order[:place], new, *order[place + count :])
    return [permuted(term, made, here.out())]


def concat(here: Here) -> list[Term]:
    """`torch.cat([x, y], dim)`."""
    out, new = here.out(), here.box.inner
    orders = concat_orders(here.box, [here.axes(p) for p in range(len(here.box.maps))])
    parts = []
    for port, (order, axis) in enumerate(zip(orders, here.box.bound, strict=True)):
        operand = Operand(here.operand(port).term, order, here.site.dtypes[port])
        parts.append(_wide(here, operand, out, new, axis))
    inside = ", ".join(part.at(ANY) for part in parts)
    joined = Term(f"[{inside}]", operations=sum(p.operations for p in parts))
    return [apply("torch.cat", joined, f"dim={dim(out, new)}", heavy=True)]


def _wide(here: Here, operand: Operand, out: Sequence[int], new: int, axis: int) -> Term:
    """A part with all tubes, its own axis standing where the joined one will."""
    order = tuple(a for a in out if a in operand.axes)
    term = permuted(operand.term, operand.axes, order)
    if len(order) == len(out):
        return term
    lengths = ["-1" if a in order else here.size(a).at(ANY) for a in out]
    return method(unsqueezed(term, order, out), f"expand({', '.join(lengths)})", cost=0)


def _cut(here: Here, text: str) -> tuple[Term, tuple[int, ...]]:
    """The input with its one bound axis cut as `text` says."""
    x = here.operand(0)
    place = x.axes.index(here.box.bound[0])
    if place > 1 and place == len(x.axes) - 1:
        return index(x.term, f"..., {text}"), x.axes
    return index(x.term, ", ".join([":"] * place + [text])), x.axes


def slice(here: Here) -> list[Term]:
    """`x[:, start:stop:step]`; a negative step reads forward and flips."""
    (whole,), (length,) = here.site.bound_sizes, here.site.new_sizes
    start, step = here.box["start"], here.box["step"]
    if step < 0:
        start = start + (length - 1) * step
    stop = start + length * abs(step)
    to_the_end = length == (whole - start).ceil_div(abs(step))
    first = "" if start == 0 else _plus(here, start)
    text = f"{first}:" + ("" if to_the_end else _plus(here, stop))
    text += f":{abs(step)}" if abs(step) > 1 else ""
    if text == ":":
        x = here.operand(0)
        term, axes = x.term, x.axes
    else:
        term, axes = _cut(here, text)
    if step < 0:
        term = method(term, f"flip({dim(axes, here.box.bound[0])})")
    return [permuted(term, _renamed(here, axes), here.out())]


def _plus(here: Here, size: Size) -> str:
    """A place as Python: never negative, where Python would count from the end."""
    return here.scope.length(size).at(SUM).replace(" ", "")


def _renamed(here: Here, axes: Sequence[int]) -> tuple[int, ...]:
    """The axes with the bound one replaced by the new one."""
    return tuple(here.box.inner if a == here.box.bound[0] else a for a in axes)


def pad(here: Here) -> list[Term]:
    """`F.pad(x, (before, after))`; by a helper where there may be nothing to pad."""
    x = here.operand(0)
    behind = len(x.axes) - 1 - x.axes.index(here.box.bound[0])
    amounts = ["0"] * (2 * behind)
    amounts += [here.scope.length(here.box[side]).at(ANY) for side in ("before", "after")]
    value = here.box["value"]
    extra = [] if value == 0 and not isinstance(value, bool) else [
        f"value={literal_term(value).at(ANY)}"
    ]  # fmt: skip
    sure = any((here.box[side].constant or 0) > 0 for side in ("before", "after"))
    function = "F.pad" if sure else here.scope.program.helper("padded")
    term = apply(function, x.term, f"({', '.join(amounts)})", *extra)
    return [permuted(term, _renamed(here, x.axes), here.out())]


def window(here: Here) -> list[Term]:
    """Sliding windows, as a view."""
    x, place = here.operand(0), here.box.inner
    (whole,), (count, width) = here.site.bound_sizes, here.site.new_sizes
    stride, dilation = here.box["stride"], here.box["dilation"]
    at = x.axes.index(here.box.bound[0])
    made = (*_renamed(here, x.axes), place + 1)
    span = (width - 1) * dilation + 1
    if count == (whole - span) // stride + 1 and (count.constant or 0) > 0:
        term = method(x.term, f"unfold({at}, {here.scope.length(span).at(ANY)}, {stride})", cost=0)
        term = index(term, f"..., ::{dilation}") if dilation > 1 else term
        return [permuted(term, made, here.out())]
    arguments = [str(at), *(here.scope.length(s).at(ANY) for s in (count, width))]
    arguments += [f"stride={stride}"] if stride > 1 else []
    arguments += [f"dilation={dilation}"] if dilation > 1 else []
    term = apply(here.scope.program.helper("windows"), x.term, *arguments)
    return [permuted(term, made, here.out())]


def diagonal(here: Here) -> list[Term]:
    """`x.diagonal(…)`, once for each axis beyond the first."""
    x, first = here.operand(0), here.box.bound[0]
    term, axes = x.term, x.axes
    for other in here.box.bound[1:]:
        dims = f"dim1={axes.index(first)}, dim2={axes.index(other)}"
        term = method(term, f"diagonal({dims})", cost=0)
        axes = (*(a for a in axes if a not in (first, other)), first)
    made = tuple(here.box.inner if a == first else a for a in axes)
    return [permuted(term, made, here.out())]
