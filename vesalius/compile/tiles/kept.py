"""What forward keeps for backward: what it has summed over columns, so far as it made that anyway.

Backward makes each tile again. What forward summed over the columns has rows alone, so keeping it
costs memory linear in both, and saves backward a product or a pass over the tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vesalius.compile.tiles.split import only, without
from vesalius.compile.tiles.traces import Place, Traces
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Builder, Use
from vesalius.diagrams.graph import Diagram, Port

Dims = tuple["int | None", ...]
Shape = tuple[tuple[int, int], ...]


class Kept(NamedTuple):
    """`forward` gives behind its output what is kept; `backward` reads that behind all else.

    For each array kept: the dimension that is rows; for each outer tube, the dimension that it is;
    for each dimension, an input and a dimension that are as long.
    """

    forward: Diagram
    backward: Diagram
    rows: tuple[int, ...]
    outer: tuple[Dims, ...]
    shape: tuple[Shape, ...]


def keep(forward: Diagram, backward: Diagram, given: int, outer: Sequence[Dims]) -> Kept:
    """Let forward keep what it makes and backward reads.

    Backward reads the cotangents of what forward gives and then what that reads: so many given
    arrays, and what tiles share. `outer` says for each outer tube which dimension of the given
    arrays it is.
    """
    traces = Traces(backward)
    results = len(forward.outputs)
    ports = backward.inputs[results : results + given]
    lengths: dict[Place, tuple[int, int]] = {}
    for k, port in enumerate(ports):
        for d, slot in enumerate(port.slots):
            lengths.setdefault(traces.find((port.wire, slot)), (k, d))
    tubes = [_tube(traces, ports, dims) for dims in outer]
    assert traces.rows is not None
    usual = [*tubes, traces.rows]
    orders: dict[int, list[Place]] = {}
    for wire in _sums(backward, traces, results):
        kinds = [traces.find((wire, slot)) for slot in range(len(backward.types[wire].sizes))]
        more = [kind for kind in kinds if kind not in usual]
        if len(set(kinds)) == len(kinds) and len(more) < 2 and set(kinds) <= set(lengths):
            orders[wire] = [kind for kind in [*usual, *more] if kind in kinds]
    slots = {
        wire: [_slot(traces, backward, wire, kind) for kind in order]
        for wire, order in orders.items()
    }
    builder = Builder.resume(forward)
    made: list[Port] = []
    for wire in list(slots):
        found = _made(builder, forward, backward, wire)
        if found is None:
            del slots[wire]
            continue
        axes = tuple([f"a{slot}" for slot in slots[wire]])
        here = tuple([found[1].index(slot) for slot in slots[wire]])
        made.append(Port(f"kept{len(made)}", found[0], axes, here))
    kinds_ = [orders[wire] for wire in slots]
    return Kept(
        builder.finish([*forward.outputs, *made]),
        without(backward, slots, "kept"),
        tuple([order.index(traces.rows) for order in kinds_]),
        tuple([tuple([o.index(tube) if tube in o else None for o in kinds_]) for tube in tubes]),
        tuple([tuple([lengths[kind] for kind in order]) for order in kinds_]),
    )


def _tube(traces: Traces, ports: Sequence[Port], dims: Dims) -> Place:
    """The class of a tube that is these dimensions of some inputs."""
    return next(
        traces.find((port.wire, port.slots[d]))
        for port, d in zip(ports, dims, strict=True)
        if d is not None
    )


def _slot(traces: Traces, diagram: Diagram, wire: int, kind: Place) -> int:
    slots = range(len(diagram.types[wire].sizes))
    return next(slot for slot in slots if traces.find((wire, slot)) == kind)


def _sums(backward: Diagram, traces: Traces, results: int) -> Iterator[int]:
    """The wires with rows and no columns made of what has columns, and not of a cotangent.

    Sums alone: the derivative of a maximum asks which entries equal it, and so has to be given one
    of the entries that backward makes, which another order of a product may round otherwise.
    """
    hangs = {port.wire for port in backward.inputs[:results]}
    for node in backward.boxes:
        if hangs.intersection(node.src):
            hangs.update(node.wires)
        elif node.box.kind is CONTRACT and any(traces.has(w, traces.columns) for w in node.src):
            for wire in node.wires:
                rows, columns = traces.has(wire, traces.rows), traces.has(wire, traces.columns)
                if rows and not columns and backward.types[wire].dtype == "float":
                    yield wire


def _made(builder: Builder, forward: Diagram, backward: Diagram, wire: int) -> Use | None:
    """A wire of backward where forward makes it, labelled by its slots; None where it does not."""
    mark, count = builder.mark(), len(builder.nodes)
    part = only(backward, [wire])
    uses: list[Use] = [  # the first, in the stead of cotangents, are not read
        (port.wire, tuple([port.slots.index(slot) for slot in range(len(port.slots))]))
        for port in (*forward.outputs, *forward.inputs)
    ]
    ((here, names),) = builder.graft(part, uses)
    if len(builder.nodes) > count:
        builder.undo(mark)
        return None
    axes = part.outputs[0].axes
    return here, tuple([axes.index(str(name)) for name in names])
