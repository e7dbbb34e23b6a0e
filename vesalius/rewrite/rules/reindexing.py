"""Reindexing along a tube slides through any box: slices, splits, merges, windows, reads.

A reindexing r reads an array at other places: (r*x)[k'] = x[r(k')]. Where its axes are tubes of a
box f, f(r*x, r*y, z) = r*f(x, y, z), with r* on exactly those inputs that carry the axes: both
sides at k' are f of the fibres at r(k'). Every box with inputs is a function, so all may slide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.shape import (
    CONCAT,
    DIAGONAL,
    EXPAND,
    MERGE,
    SLICE,
    SPLIT,
    WINDOW,
)
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.schema import Opened, Part, Side, repeated, schema

UNARY = (SLICE, SPLIT, MERGE, WINDOW, DIAGONAL, EXPAND)


@schema("equal", below=[*UNARY, GATHER])
def reindex_late(f: Part) -> Iterator[Opened]:
    """f(r*x, r*y, z) = r*f(x, y, z), r a slice, split, merge, window, diagonal, read or repeat"""
    seen: set[tuple[int, ...]] = set()
    for port in range(len(f.node.src)):
        first = f.below(port)
        if first.kind not in UNARY and first.kind is not GATHER:
            continue
        made = _made(f, port)
        ports = _carriers(f, made)
        alike = all(_alike(f, port, other) for other in ports or ())
        if ports and ports not in seen and set(made) <= set(f.box.tubes) and alike:
            seen.add(ports)
            yield f.open(*ports).rule(partial(_late, f=f, ports=ports))


def _late(side: Side, f: Part, ports: Sequence[int]) -> tuple[Wire, ...]:
    whole = side[f]
    first = f.below(ports[0])
    for port in ports:
        cut = f.below(port)
        old = [side.name(cut, axis) for axis in cut.box.bound]
        new = [side.name(first, axis) for axis in first.box.bound]
        whole[port] = side[cut][0].rename(**dict(zip(old, new, strict=True)))
    rest, made = side[first][1:], set(_made(f, ports[0]))
    return tuple(
        wire if made.isdisjoint(row) else side.call(first, wire, *rest)[0]
        for wire, row in zip(side.call(f, *whole), f.box.outs, strict=True)
    )


def _made(f: Part, port: int) -> list[int]:
    """The axes of f that the reindexing below a port brings, in its order."""
    cut = f.below(port)
    at = {f.origin(port, axis): axis for axis in f.box.maps[port]}
    if cut.kind is not GATHER:
        return [at[axis] for axis in range(cut.box.inner, cut.box.rank)]
    table, index = cut.box.maps
    return [at[axis] for axis in index if axis not in table]


def _carriers(f: Part, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(p for p, row in enumerate(f.box.maps) if not set(row).isdisjoint(axes))


def _alike(f: Part, port: int, other: int) -> bool:
    """Whether the same reindexing stands below two ports, along the same axes of f."""
    one, two = f.below(port), f.below(other)
    if one.kind is not two.kind or one.box.attrs != two.box.attrs:
        return False
    if len(one.box.bound) != len(two.box.bound) or one.site.bound_sizes != two.site.bound_sizes:
        return False
    if one.kind is EXPAND:
        return set(_made(f, port)) == set(_made(f, other))
    if _made(f, port) != _made(f, other):
        return False
    if one.kind is not GATHER:
        return True
    # The same index, read along the same axes, all of them tubes of f.
    if one.node.src[1] != two.node.src[1]:
        return False
    index = [_index_axes(f, p) for p in (port, other)]
    return index[0] == index[1] and set(index[0]) <= set(f.box.tubes)


def _index_axes(f: Part, port: int) -> list[int]:
    cut = f.below(port)
    at = {f.origin(port, axis): axis for axis in f.box.maps[port]}
    return [at[axis] for axis in cut.box.maps[1]]


@schema("equal", at=[SLICE, SPLIT, MERGE, WINDOW, DIAGONAL, GATHER])
def reindex_early(r: Part) -> Iterator[Opened]:
    """r*f(x, y, z) = f(r*x, r*y, z), with r* on the inputs that carry its axes"""
    f = r.below(0)
    if not f.node.src:
        return
    axes = [r.origin(0, axis) for axis in r.box.bound]
    shared = [r.origin(0, a) for row in r.box.maps[1:] for a in row if a in r.box.maps[0]]
    if {*axes, *shared} <= set(f.box.tubes):
        yield r.open(0).rule(partial(_early, r=r, f=f, axes=axes))


def _early(side: Side, r: Part, f: Part, axes: Sequence[int]) -> Wire:
    names = [side.name(r, axis) for axis in r.box.bound]
    index = side[r][1:]
    pieces = []
    for wire in side[f]:
        have = [name for name in names if name in wire.names]
        if r.kind is DIAGONAL and have:
            into = side.name(r, r.box.inner)
            alone = len(have) == 1
            wire = (
                wire.rename(**{have[0]: into}) if alone else vs.diagonal(wire, " ".join(have), into)
            )
        elif have:
            wire = side.call(r, repeated(side, wire, f, axes), *index)[0]
        pieces.append(wire)
    return side.call(f, *pieces)[r.output(0)]


@schema("equal", below=[CONCAT])
def concat_late(f: Part) -> Iterator[Opened]:
    """f([x₁ ; x₂], [y₁ ; y₂], z) = [f(x₁, y₁, z) ; f(x₂, y₂, z)], joined along a tube of f"""
    seen: set[tuple[int, ...]] = set()
    for port in range(len(f.node.src)):
        if f.below(port).kind is not CONCAT:
            continue
        made = _made(f, port)
        ports = _carriers(f, made)
        alike = all(_alike(f, port, other) for other in ports)
        if ports not in seen and set(made) <= set(f.box.tubes) and alike:
            seen.add(ports)
            yield f.open(*ports).rule(partial(_parts, f=f, ports=ports))


def _parts(side: Side, f: Part, ports: Sequence[int]) -> tuple[Wire, ...]:
    first = f.below(ports[0])
    results = []
    for k, axis in enumerate(first.box.bound):
        name = side.name(first, axis)
        pieces = side[f]
        for port in ports:
            cut = f.below(port)
            piece = side[cut][k].rename(**{side.name(cut, cut.box.bound[k]): name})
            pieces[port] = repeated(side, piece, cut, cut.box.tubes)
        results.append(side.call(f, *pieces))
    made = set(_made(f, ports[0]))
    return tuple(
        parts[0] if made.isdisjoint(row) else side.call(first, *parts)[0]
        for parts, row in zip(zip(*results, strict=True), f.box.outs, strict=True)
    )
