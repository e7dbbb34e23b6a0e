"""Drawing boxes that make, cut, join and read axes."""

from __future__ import annotations

from typing import Any

from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.wire import Wire
from vesalius.testing.drawing import (
    MAX_RANK,
    Drawer,
    Known,
    anything,
    draws,
    numeric,
    together,
    word,
)
from vesalius.testing.programs import Use


@draws("expand")
def draw_expand(d: Drawer) -> bool:
    """Repeat along one or two new axes."""
    w = d.pick(lambda wire, known: len(wire.names) < MAX_RANK)
    if w is None:
        return False
    taken = set(d.wires[w].names)
    words = []
    for _ in range(1 + (len(taken) + 1 < MAX_RANK and d.chance())):
        name = d.fresh(taken)
        taken.add(name)
        words.append(word(name, d.length()))
    d.place("expand", [Use(w)], d.known[w], axes=" ".join(words))
    return True


@draws("split")
def draw_split(d: Drawer) -> bool:
    """Read one axis as two."""
    w = d.axis(lambda wire, known: len(wire.names) < MAX_RANK)
    if w is None:
        return False
    axes = d.wires[w].axes
    axis = d.one_of(list(axes))
    parts = d.one_of(factors(axes[axis]))
    one = d.fresh(axes)
    two = d.one_of([axis, d.fresh({*axes, one})])
    into = " ".join(word(name, length) for name, length in zip((one, two), parts, strict=True))
    d.place("split", [Use(w)], d.known[w], axis=axis, into=into)
    return True


@draws("merge")
def draw_merge(d: Drawer) -> bool:
    """Read two axes or three as one."""
    w = d.axis(anything, 2)
    if w is None:
        return False
    names = d.shuffled(d.wires[w].names)[: d.number(2, 3)]
    into = d.one_of([names[0], d.fresh(d.wires[w].names)])
    d.place("merge", [Use(w)], d.known[w], axes=" ".join(names), into=into)
    return True


@draws("concat")
def draw_concat(d: Drawer) -> bool:
    """Join two wires, or one with itd."""
    w = d.axis(anything)
    if w is None:
        return False
    dtype = d.wires[w].dtype
    other = d.axis(lambda wire, known: wire.dtype == dtype)
    assert other is not None
    uses, union = d.joined([w, other])
    if len(union) > MAX_RANK:
        return False
    ends = [d.one_of([use.names.get(a, a) for a in d.wires[use.wire].names]) for use in uses]
    one, two = d.known[w], d.known[other]
    degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
    known = together((one, two), degree, max(one.bound, two.bound))
    d.place("concat", uses, known, over=tuple(ends), into=d.fresh(union))
    return True


@draws("slice")
def draw_slice(d: Drawer) -> bool:
    """Some entries of an axis; at least one of them."""
    w = d.axis(anything)
    if w is None:
        return False
    axes = d.wires[w].axes
    axis = d.one_of(list(axes))
    ways: list[dict[str, Any]] = [{"step": -1}, {"stop": 1}, {"step": 2}, {"length": 1}]
    count = axes[axis].constant
    if count is not None and count > 1:
        start = d.number(0, count - 1)
        ways.append({"start": start, "stop": d.number(start + 1, count)})
        ways.append({"start": count - 1, "step": -2})
    options = d.one_of(ways)
    into = d.one_of([axis, d.fresh(axes)])
    d.place("slice", [Use(w)], d.known[w], axis=axis, into=into, **options)
    return True


@draws("pad")
def draw_pad(d: Drawer) -> bool:
    """Numbers around an axis."""
    w = d.axis(numeric)
    if w is None:
        return False
    axes = d.wires[w].axes
    axis = d.one_of(list(axes))
    value = d.one_of((0, 1, -2) if d.wires[w].dtype == "int" else (0, 0.5, -1))
    before, after = d.one_of(((1, 0), (0, 1), (1, 2), (0, 0)))
    known = d.known[w]._replace(bound=max(d.known[w].bound, 2.0))
    into = d.one_of([axis, d.fresh(axes)])
    d.place("pad", [Use(w)], known, axis=axis, before=before, after=after, value=value, into=into)
    return True


@draws("window")
def draw_window(d: Drawer) -> bool:
    """Sliding windows; an axis of unknown size is padded first."""
    w = d.axis(lambda wire, known: wire.dtype != "bool" and len(wire.names) < MAX_RANK)
    if w is None:
        return False
    known = d.known[w]
    axis = d.one_of(d.wires[w].names)
    dilation = d.number(1, 2)
    width = d.number(1, 3)
    span = (width - 1) * dilation
    count = d.wires[w].axes[axis].constant
    if span and (count is None or count <= span):
        w = d.place("pad", [Use(w)], known, axis=axis, before=span, after=0)
    names = d.wires[w].names
    places = d.one_of([axis, d.fresh(names)])
    offsets = d.fresh({*names, places})
    d.place(
        "window",
        [Use(w)],
        known,
        axis=axis,
        into=f"{places} {offsets}:{width}",
        stride=d.number(1, 2),
        dilation=dilation,
    )
    return True


@draws("diagonal")
def draw_diagonal(d: Drawer) -> bool:
    """The diagonal of two axes of one size."""

    def twice(wire: Wire, known: Known) -> bool:
        lengths = list(wire.axes.values())
        return len(set(lengths)) < len(lengths)

    w = d.pick(twice)
    if w is None:
        return False
    axes = d.wires[w].axes
    alike = [
        (a, b)
        for a, length in axes.items()
        for b, other in axes.items()
        if a != b and length == other
    ]
    pair = d.one_of(alike)
    into = d.one_of([*pair, d.fresh(axes)])
    d.place("diagonal", [Use(w)], d.known[w], axes=" ".join(pair), into=into)
    return True


def factors(length: Size) -> list[tuple[Size, Size]]:
    """Ways to write a size as a product of two."""
    one = size(1)
    count = length.constant
    if count is not None:
        pairs = [(size(f), size(count // f)) for f in range(1, count + 1) if count % f == 0]
        return pairs[::-1]
    found = [(one, length), (length, one)]
    for name in sorted(length.variables):
        rest = length / name
        if rest * name == length and "/" not in str(rest):
            found.append((size(name), rest))
    return found
