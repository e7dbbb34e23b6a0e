"""From a body to what runs it: the diagrams of a tile forward and back, and how inputs are cut."""

from __future__ import annotations

from dataclasses import dataclass

from vesalius.compile.kernels.relative_shift import shifted
from vesalius.compile.normalise import normalise
from vesalius.compile.order import ordered
from vesalius.compile.rebuild import Rebuild
from vesalius.compile.tiles.body import COLUMNS, DISTANCES, ROWS
from vesalius.compile.tiles.bounds import Seen, seen_blocks
from vesalius.compile.tiles.free import free_lengths
from vesalius.compile.tiles.kept import Kept, keep
from vesalius.compile.tiles.laws import quick
from vesalius.compile.tiles.skipping import hiding
from vesalius.compile.tiles.split import split
from vesalius.compile.tiles.traces import Place, Traces
from vesalius.compile.tiles.turned import turned
from vesalius.diagrams.derivative import pulled_back
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

Dims = tuple["int | None", ...]

NOMINAL = {ROWS: 128, COLUMNS: 1024}  # lengths by which products are ordered
OTHER = 256  # also where what is contracted inside is long: keys × values are made first


@dataclass(frozen=True)
class Cuts:
    """Which dimension of each input, and of what forward gives, is rows, columns, or an outer tube.

    `distances` are those of tables by distance, of which a tile gets as much as it sees.

    Forward gives so many `results`, and then what it keeps for backward. What has no rows there is
    a sum over them, to which each tile adds. `shapes` name for each of its dimensions an input and
    a dimension that are as long; `weight` does so for what the largest array inside has beside
    rows, columns and outer tubes. `turned` is for each gradient the order of its dimensions, empty
    where it is that of the input.
    """

    rows: Dims
    columns: Dims
    distances: Dims
    outer: tuple[Dims, ...]
    results: int
    rows_out: Dims
    columns_out: Dims
    outer_out: tuple[Dims, ...]
    shapes: tuple[tuple[tuple[int, int], ...], ...]
    weight: tuple[tuple[int, int], ...]
    turned: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Parts:
    """The diagrams that a tile runs.

    `seen` says which blocks of columns some row may see (None: all). `shared` makes what the tiles
    of some rows share (None: nothing). `forward` and `backward` read the inputs, then what is
    shared, and backward before all that the cotangents of results: what comes first in a product
    says which axes come first in the result, and a softmax is quick along the last ones. Backward
    reads last what forward keeps for it (`vesalius.compile.tiles.kept`).
    """

    cuts: Cuts
    seen: Seen | None
    shared: Diagram | None
    forward: Diagram
    backward: Diagram


def parts_of(body: Diagram) -> Parts:
    """What runs a body."""
    body = free_lengths(body)
    traces = Traces(body)
    shared, rest = split(quick(normalise(body)))
    floats = [port.name for port in body.inputs if body.types[port.wire].dtype == "float"]
    results = [port.name for port in body.outputs]
    back = pulled_back(rest, results, floats)
    for port in back.inputs[: -len(results) - 1 : -1]:
        back = Rebuild(back, first=port.name).run()
    outer = tuple(traces.dims(kind) for kind in traces.outer)
    kept = keep(
        ordered(rest, _length),
        ordered(shifted(quick(normalise(back))), _length),
        len(body.inputs),
        outer,
    )
    backward, orders = turned(kept.backward)
    return Parts(
        _cuts(body, traces, kept, orders),
        seen_blocks(body, traces, hiding(body, traces)),
        shared,
        kept.forward,
        backward,
    )


def skips(body: Diagram) -> bool:
    """Whether blocks of columns that a mask hides are skipped."""
    traces = Traces(body)
    return seen_blocks(body, traces, hiding(body, traces)) is not None


def _length(size: Size) -> int:
    return size.at({name: NOMINAL.get(name.rstrip("_0123456789"), OTHER)
                    for name in size.variables})  # fmt: skip


def _cuts(body: Diagram, traces: Traces, kept: Kept, orders: tuple[tuple[int, ...], ...]) -> Cuts:
    inputs = [[traces.find((p.wire, s)) for s in p.slots] for p in body.inputs]
    where = {kind: (k, d) for k, row in enumerate(inputs) for d, kind in enumerate(row)}
    shapes = [
        tuple([where[traces.find((port.wire, slot))] for slot in port.slots])
        for port in body.outputs
    ]
    none = (None,) * len(kept.rows)
    return Cuts(
        traces.dims(traces.rows),
        traces.dims(traces.columns),
        tuple([p.axes.index(DISTANCES) if DISTANCES in p.axes else None for p in body.inputs]),
        tuple(traces.dims(kind) for kind in traces.outer),
        len(body.outputs),
        (*traces.dims_out(traces.rows), *kept.rows),
        (*traces.dims_out(traces.columns), *none),
        tuple(
            (*traces.dims_out(kind), *more)
            for kind, more in zip(traces.outer, kept.outer, strict=True)
        ),
        (*shapes, *kept.shape),
        _weight(body, traces, where),
        orders,
    )


def _weight(
    body: Diagram, traces: Traces, where: dict[Place, tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """The further axes of the array inside that has most of them, so far as inputs tell."""
    usual = {traces.rows, traces.columns, *traces.outer}
    found: tuple[tuple[int, int], ...] = ()
    for wire, type_ in enumerate(body.types):
        kinds = {traces.find((wire, slot)) for slot in range(len(type_.sizes))}
        if {traces.rows, traces.columns} <= kinds:
            more = tuple([where[kind] for kind in kinds - usual if kind in where])
            found = max(found, more, key=len)
    return found
