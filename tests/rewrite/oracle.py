"""A naive matcher, obviously right: try every way to read the inputs of a pattern off a host.

Diagrams are maximally shared. So a left side stands in a host, on certain wires read along
certain axes, exactly when copying it onto them makes no new box. Every assignment is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product
from typing import Any

from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graft import Graft
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

Key = tuple[Any, ...]


def naive(left: Diagram, host: Diagram, fixed: Mapping[str, Size]) -> set[Key]:
    """All matches of a left side without parameters, `many` or stand-ins, as keys.

    `fixed` are sizes that are known beforehand.
    """
    builder = Builder.resume(host)
    found: set[Key] = set()
    for uses, sizes in _assignments(left, host, fixed):
        mark = builder.mark()
        try:
            graft = Graft(builder, left, sizes, {}, None, "", {}, None)
            graft.run(uses)
            outputs = [graft.output(port) for port in left.outputs]
            if builder.mark() == mark and _all_read(left, host, uses, graft):
                axes = [list(port.axes) for port in left.outputs]
                ends = [
                    (wire, tuple(row.index(x) if x in row else x for x in labels))
                    for row, (wire, labels) in zip(axes, outputs, strict=True)
                ]
                found.add(key(host, uses, ends))
        except VesaliusError:
            pass
        finally:
            builder.undo(mark)
    return found


def _all_read(left: Diagram, host: Diagram, uses: list[Use], graft: Graft) -> bool:
    """Whether the boxes read the very wires: redundant repetitions are dropped."""
    return all(
        uses[wire][0] in host.nodes[host.owner[graft.seen[node.first][0]]].src
        for node in left.boxes
        for wire in node.src
        if wire < len(uses)
    )


def _assignments(
    left: Diagram, host: Diagram, fixed: Mapping[str, Size]
) -> Iterator[tuple[list[Use], dict[str, Size]]]:
    """Host wires for the inputs, their slots declared axes or tubes; tubes up to their names."""

    lengths = list(dict.fromkeys(length for type_ in host.types for length in type_.sizes))

    def extend(
        k: int, uses: list[Use], sizes: dict[str, Size], tubes: dict[str, Size]
    ) -> Iterator[tuple[list[Use], dict[str, Size]]]:
        if k == len(left.inputs):
            # Sizes that no input tells are those of some axis of the host.
            unknown = [name for name in left.size_variables if name not in sizes]
            for values in product(lengths, repeat=len(unknown)):
                yield list(uses), {**sizes, **dict(zip(unknown, values, strict=True))}
            return
        port = left.inputs[k]
        wanted = left.types[port.wire]
        for wire, theirs in enumerate(host.types):
            if theirs.dtype != wanted.dtype:
                continue
            rank = len(theirs.sizes)
            for slots in permutations(range(rank), len(wanted.sizes)):
                grown = _bound(sizes, wanted.sizes, [theirs.sizes[s] for s in slots])
                if grown is None:
                    continue
                rest = [s for s in range(rank) if s not in slots]
                for names, more in _tubes([theirs.sizes[s] for s in rest], tubes):
                    labels: list[Any] = [None] * rank
                    for place, s in enumerate(slots):
                        labels[s] = place
                    for s, name in zip(rest, names, strict=True):
                        labels[s] = name
                    yield from extend(k + 1, [*uses, (wire, tuple(labels))], grown, more)

    yield from extend(0, [], dict(fixed), {})


def _bound(
    sizes: dict[str, Size], wanted: tuple[Size, ...], actual: list[Size]
) -> dict[str, Size] | None:
    known = dict(sizes)
    for one, other in zip(wanted, actual, strict=True):
        if one.variable is None:
            if one.substitute(known) != other:
                return None
        elif known.setdefault(one.variable, other) != other:
            return None
    return known


def _tubes(
    lengths: list[Size], tubes: dict[str, Size]
) -> Iterator[tuple[tuple[str, ...], dict[str, Size]]]:
    """Names for some slots, known ones of the same size or the next new ones; all different."""
    if not lengths:
        yield (), tubes
        return
    fresh = f"t{len(tubes)}"
    for name in [*tubes, fresh]:
        if tubes.get(name, lengths[0]) != lengths[0]:
            continue
        for rest, more in _tubes(lengths[1:], {**tubes, name: lengths[0]}):
            if name not in rest:
                yield (name, *rest), more


def key(host: Diagram, uses: list[Use], ends: list[Use]) -> Key:
    """A match by what it reads and replaces, whatever its tubes are called.

    A tube is called after the slots of the outputs where it comes out; symmetric wires are read
    in the way that comes first.
    """
    best: Key | None = None
    for turned in _readings(host, ends):
        names: dict[Any, Any] = {}
        for j, (_, labels) in enumerate(turned):
            for slot, label in enumerate(labels):
                if not isinstance(label, int):
                    names.setdefault(label, ("tube", j, slot))
        rows = [
            min(
                ((wire, tuple(names.get(x, x) for x in row)) for row in _turns(host, wire, labels)),
                key=repr,
            )
            for wire, labels in uses
        ]
        outs = [(wire, tuple(names.get(x, x) for x in labels)) for wire, labels in turned]
        this: Key = (tuple(rows), tuple(outs))
        if best is None or repr(this) < repr(best):
            best = this
    assert best is not None
    return best


def _turns(host: Diagram, wire: int, labels: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    turns = host.symmetries.get(wire, ())
    return [labels, *(tuple(labels[i] for i in turn) for turn in turns)]


def _readings(host: Diagram, ends: list[Use]) -> Iterator[list[Use]]:
    if not ends:
        yield []
        return
    wire, labels = ends[0]
    for row in _turns(host, wire, labels):
        for rest in _readings(host, ends[1:]):
            yield [(wire, row), *rest]
