"""Partitions: what it costs to compute a diagram in pieces that fit into a small memory.

A *group* cuts a tube: each piece of it is computed alone, and inputs that lack the axis are sent
again for each piece. A *stream* cuts an axis that is folded away (`vesalius.rewrite.rules.folds`):
pieces pass one after the other, and only what is carried stays. Counted are values held at once,
and values moved between the memories, in and out (Abbott and Zardini, FlashAttention on a Napkin,
arXiv 2412.03317; what a chip does beside that, such as overlapping the two, is not).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import NamedTuple

from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.errors import AxisError, SizeError
from vesalius.diagrams.graph import Diagram

STREAMED = (CONTRACT, SOFTMAX)  # what may bind a streamed axis: there is an accumulator for it


class Partition(NamedTuple):
    """`memory`: values held at once. `transfer`: values moved in and out."""

    memory: int
    transfer: Fraction


def partition(
    diagram: Diagram,
    sizes: Mapping[str, int],
    *,
    groups: Mapping[str, int] | None = None,
    streams: Mapping[str, int] | None = None,
) -> Partition:
    """The cost of a diagram whose axes are cut into tiles; axes are those of its interface.

    `groups={"n": 64}` computes 64 queries at a time, `streams={"m": 32}` passes 32 keys at a time.
    Inputs and outputs are held in tiles; what is made on the way stays in the small memory and is
    not counted.

    Raises `AxisError` for a group along an axis that some box binds, or a stream along one that
    is not folded away by sums and softmaxes, and `SizeError` for a tile that does not fit.
    """
    groups, streams = groups or {}, streams or {}
    lengths = _lengths(diagram, sizes)
    for axis, tile in {**groups, **streams}.items():
        if axis not in lengths:
            raise AxisError(f"partition: {diagram.name} has no axis {axis!r} at its interface")
        if not 1 <= tile <= lengths[axis]:
            raise SizeError(f"partition: a tile of {tile} of an axis {axis!r} of {lengths[axis]}")
    _check(diagram, groups, streams)
    tiles = {**lengths, **groups, **streams}
    ports = [*diagram.input_types.values(), *diagram.output_types.values()]
    memory = sum(prod(tiles[axis] for axis in type_.axes) for type_ in ports)
    transfer = Fraction(0)
    for type_ in diagram.input_types.values():
        again = prod(
            Fraction(lengths[axis], tile) for axis, tile in groups.items() if axis not in type_.axes
        )
        transfer += again * prod(lengths[axis] for axis in type_.axes)
    for type_ in diagram.output_types.values():
        transfer += prod(lengths[axis] for axis in type_.axes)
    return Partition(memory, transfer)


def _lengths(diagram: Diagram, sizes: Mapping[str, int]) -> dict[str, int]:
    ports = [*diagram.input_types.values(), *diagram.output_types.values()]
    return {axis: length.at(sizes) for type_ in ports for axis, length in type_.axes.items()}


def _check(diagram: Diagram, groups: Mapping[str, int], streams: Mapping[str, int]) -> None:
    named: list[list[set[str]]] = []
    for k, node in enumerate(diagram.nodes):
        box = node.box
        if k < len(diagram.inputs):
            named.append([{axis} for axis in diagram.inputs[k].axes])
            continue
        local: list[set[str]] = [set() for _ in range(box.rank)]
        for wire, row in zip(node.src, box.maps, strict=True):
            for slot, axis in enumerate(row):
                local[axis] |= named[wire][slot]
        for axis in box.bound:
            for name in sorted(local[axis]):
                if name in groups:
                    raise AxisError(f"partition: {box.kind.name} binds {name!r}: it is no tube")
                if name in streams and box.kind not in STREAMED:
                    raise AxisError(
                        f"partition: {box.kind.name} binds {name!r}, and there is no accumulator "
                        f"for it"
                    )
        named += [[local[axis] for axis in row] for row in box.outs]
    for port in diagram.outputs:
        for slot in port.slots:
            for name in sorted(named[port.wire][slot] & streams.keys()):
                raise AxisError(f"partition: {name!r} is an axis of {port.name!r}: group it")
