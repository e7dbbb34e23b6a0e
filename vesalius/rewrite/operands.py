"""Which operand of a host's box stands for which of a pattern's, and which bound axis for which.

Where operands have no order there are k! ways, and k bound axes go k! ways too. Most of them
are excluded by exactness: an axis of the pattern is at a port exactly when its image is. So
operands are sent one by one, and for each bound axis the images that remain are kept as a set;
what is left without an image ends that way at once. A chain of twenty matrices has two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.learner import LEARNER

Ports = tuple[tuple[int, ...], ...]


class Arrangement(NamedTuple):
    """For each port of the pattern the host's ports, and the image of each bound axis."""

    ports: Ports
    bound: dict[int, int]


class _Given(NamedTuple):
    """What does not change: rows of axes, axes known already, and what fits where."""

    ours: list[frozenset[int]]
    theirs: list[int]  # the bound axes at each port, as bit masks
    rows: list[frozenset[int]]
    known: Mapping[int, int]
    fits: Callable[[int, int], bool]
    twins: list[int]  # for each port the last one before it that is the same operand, or -1


_Images = dict[int, int]  # for each bound axis of the pattern, its possible images as a bit mask


def arrangements(
    ours: Box,
    theirs: Box,
    many: Collection[int],
    known: Mapping[int, int],
    fits: Callable[[int, int], bool],
    wires: Sequence[int] = (),
) -> Iterator[Arrangement]:
    """All ways to send the operands and the bound axes of one box to those of another.

    `many` are ports of the pattern that take any number of operands. `known` are images of
    local axes that are known already. `fits(p, q)` asks whether an operand may stand for
    another one, whatever the axes. `wires` are those that the other box reads: of operands that
    are one wire read alike, the first is taken first.
    """
    everything = sum(1 << b for b in theirs.bound)
    images = dict.fromkeys(ours.bound, everything)
    for axis, image in known.items():
        if axis in images:
            if not everything >> image & 1:
                return
            images[axis] = 1 << image
    rest = {a: b for a, b in known.items() if a not in images}
    given = _Given(
        [frozenset(row) for row in ours.maps],
        [sum(1 << b for b in set(row) & set(theirs.bound)) for row in theirs.maps],
        [frozenset(row) for row in theirs.maps],
        rest,
        fits,
        [_twin(theirs, wires, q) for q in range(len(wires))] or [-1] * len(theirs.maps),
    )
    for ports, left in _deals(given, ours, many, images):
        if ours.kind.bound_is_set or ours.kind is LEARNER:
            for bound in _bijections(list(ours.bound), left):
                yield Arrangement(ports, bound)
        else:
            bound = dict(zip(ours.bound, theirs.bound, strict=True))
            if all(left[a] >> b & 1 for a, b in bound.items()):
                yield Arrangement(ports, bound)


def _deals(
    given: _Given, ours: Box, many: Collection[int], images: _Images
) -> Iterator[tuple[Ports, _Images]]:
    """Ways to deal the host's ports to the pattern's, with the images of axes that remain."""
    have, ports = len(given.rows), range(len(given.ours))
    if not many and (len(ports) != have or not ours.kind.commutes(ours.attrs)):
        left: _Images | None = images
        for p in ports:
            left = _narrow(given, left, p, p) if left is not None and len(ports) == have else None
        if left is not None:
            yield tuple((p,) for p in ports), left
        return
    single = [p for p in ports if p not in many]
    takers = [p for p in ports if p in many]
    for chosen, left in _singles(given, single, images):
        free = [q for q in range(have) if q not in chosen]
        for dealt, last in _several(given, takers, free, left):
            row: list[tuple[int, ...]] = [()] * len(ports)
            for p, q in zip(single, chosen, strict=True):
                row[p] = (q,)
            for p in takers:
                row[p] = tuple(q for q, taker in zip(free, dealt, strict=True) if taker == p)
            yield tuple(row), last


def _singles(
    given: _Given, ports: list[int], images: _Images
) -> Iterator[tuple[tuple[int, ...], _Images]]:
    """Ways to choose one operand for each of these ports."""
    stack: list[tuple[tuple[int, ...], _Images]] = [((), images)]
    while stack:
        chosen, left = stack.pop()
        if len(chosen) == len(ports):
            yield chosen, left
            continue
        port = ports[len(chosen)]
        for q in reversed(range(len(given.rows))):
            if q not in chosen and (given.twins[q] < 0 or given.twins[q] in chosen):
                narrowed = _narrow(given, left, port, q)
                if narrowed is not None:
                    stack.append(((*chosen, q), narrowed))


def _twin(theirs: Box, wires: Sequence[int], q: int) -> int:
    alike = [p for p in range(q) if (wires[p], theirs.maps[p]) == (wires[q], theirs.maps[q])]
    return alike[-1] if alike else -1


def _several(
    given: _Given, takers: list[int], free: list[int], images: _Images
) -> Iterator[tuple[tuple[int, ...], _Images]]:
    """Ways to deal the rest to ports that take any number: for each of `free` a taker."""
    stack: list[tuple[tuple[int, ...], _Images]] = [((), images)]
    while stack:
        dealt, left = stack.pop()
        if len(dealt) == len(free):
            yield dealt, left
            continue
        for taker in reversed(takers):
            narrowed = _narrow(given, left, taker, free[len(dealt)])
            if narrowed is not None:
                stack.append(((*dealt, taker), narrowed))


def _narrow(given: _Given, images: _Images, p: int, q: int) -> _Images | None:
    """The images that remain once q stands for p; None when an axis has none."""
    own, row = given.ours[p], given.rows[q]
    if any((axis in own) != (image in row) for axis, image in given.known.items()):
        return None
    if not given.fits(p, q):
        return None
    found = {}
    for axis, left in images.items():
        left = left & given.theirs[q] if axis in own else left & ~given.theirs[q]
        if not left:
            return None
        found[axis] = left
    return found


def _bijections(axes: list[int], images: _Images) -> Iterator[dict[int, int]]:
    """Ways to give each axis an image of its own, the most constrained axis first."""
    if not axes:
        yield {}
        return
    axis = min(axes, key=lambda a: images[a].bit_count())
    rest = [a for a in axes if a != axis]
    left = images[axis]
    while left:
        low = left & -left
        left ^= low
        narrowed = {a: images[a] & ~low for a in rest}
        if all(narrowed.values()):
            for others in _bijections(rest, narrowed):
                yield {axis: low.bit_length() - 1, **others}
