"""What tiles are expected to take: how many there are, and which part of the pairs they compute.

Lengths that nobody knows are nominal.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, prod

from vesalius.compile.kernels.kernel import Place, Target
from vesalius.compile.roofline import Call, Work, steps
from vesalius.compile.scores import Condition
from vesalius.compile.shown import shown
from vesalius.compile.terms import Use
from vesalius.compile.tiles.blocks import column_block
from vesalius.compile.tiles.body import COLUMNS, ROWS, Body
from vesalius.compile.tiles.region import Region
from vesalius.compile.tiles.run import ENTRIES, PARTS
from vesalius.compile.tiles.run import ROWS as LEAST_ROWS
from vesalius.compile.tiles.skipping import hiding
from vesalius.compile.tiles.traces import Traces
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

RAGGED = 1.25  # how much longer products take where each tile has columns of its own
START = 8  # operators that cut out a tile and put its result where it belongs
BOUNDS = 40  # operators that tell which columns some rows see


def work(call: Call) -> list[Work]:
    """The operators of the body for one tile, so often as there are tiles with something to see."""
    block, tiles = _cut(call.body, call.target, Traces(call.body))
    ragged = RAGGED if call.shown < 1 else 1.0
    inside = [one for one in steps(call.body, call.target) or () if one != Work()]
    inside += _learned_tables(call.body, call.target)
    times = max(tiles * call.shown, 1.0)
    return [
        Work(calls=START, times=times),
        *_bounds(call, block),
        *(
            Work(
                ragged * one.products / tiles,
                one.simple / tiles,
                one.exponentials / tiles,
                one.moved / tiles,
                times=times,
            )
            for one in inside
        ),
    ]


def _bounds(call: Call, block: int) -> Iterator[Work]:
    """What it takes to see, for each block of rows, which columns they see."""
    if call.shown < 1:
        rows = call.target.length(_lengths(call.body)[0])
        yield Work(calls=BOUNDS, times=ceil(rows / _masked(block, rows)))


def _masked(block: int, rows: int) -> int:
    """The rows of a tile where columns may be hidden."""
    return min(block, max(ceil(rows / PARTS), LEAST_ROWS))


def _learned_tables(body: Diagram, target: Target) -> Iterator[Work]:
    """What it takes to learn a table: backward, each read is compared with each of its places."""
    for node in body.nodes:
        if node.box.kind is GATHER and body.types[node.first].dtype == "float":
            lengths = [target.length(size) for size in body.site(node).sizes]
            (places,) = node.box.bound
            compared = float(lengths[places] * prod(lengths[a] for a in node.box.maps[1]))
            yield Work(simple=compared, moved=4 * compared)


def has_room(body: Diagram, target: Target) -> bool:
    """Whether a tile of one row, in one place of the outer tubes, is not too large."""
    rows, outer, most = _largest(body, target, Traces(body))
    return most <= rows * outer * ENTRIES.get(target.device, ENTRIES["cuda"])


def _largest(body: Diagram, target: Target, traces: Traces) -> tuple[int, int, int]:
    """The rows, the places of outer tubes, and the entries of the largest array inside."""
    rows, outer, most = 1, 1, 1
    for wire, type_ in enumerate(body.types):
        kinds = [traces.find((wire, slot)) for slot in range(len(type_.sizes))]
        if traces.rows in kinds and traces.columns in kinds:
            lengths = {k: target.length(s) for k, s in zip(kinds, type_.sizes, strict=True)}
            rows = lengths[traces.rows]
            outer = max(outer, prod(lengths.get(kind, 1) for kind in traces.outer))
            most = max(most, prod(lengths.values()))
    return rows, outer, most


def _cut(body: Diagram, target: Target, traces: Traces) -> tuple[int, float]:
    """The rows of a tile, and the number of tiles, as `vesalius.compile.tiles.run` cuts them."""
    rows, outer, most = _largest(body, target, traces)
    entries = ENTRIES.get(target.device, ENTRIES["cuda"])
    block = max(entries // max(most // (rows * outer), 1), 1)
    block = rows if block >= rows else max(block // 32 * 32, min(rows, 16))
    blocks = ceil(rows / block)
    return block, blocks * max(most / (blocks * entries), 1.0)


def share(place: Place, region: Region, body: Body) -> float:
    """The part of all pairs that tiles compute, since masks hide the others from all their rows."""
    traces = Traces(body.diagram)
    conditions = list(_conditions(place, region, body, traces))
    if not conditions:
        return 1.0
    rows, columns = _lengths(body.diagram)
    block = _masked(_cut(body.diagram, place.target, traces)[0], place.target.length(rows))
    part = shown(place, conditions, (ROWS, COLUMNS), (rows, columns), block)
    width = place.target.length(columns)  # columns are seen in blocks: half of one more at each end
    return min(part + column_block(width) / width, 1.0)


def _lengths(body: Diagram) -> list[Size]:
    found = {a: s for port in body.inputs for a, s in body.port_type(port).axes.items()}
    return [found[ROWS], found[COLUMNS]]


def _conditions(place: Place, region: Region, body: Body, traces: Traces) -> Iterator[Condition]:
    """The truth values without which a column is hidden, read at rows and columns."""
    hides = dict(hiding(body.diagram, traces))
    diagram = place.diagram
    for k in region.nodes:
        node = diagram.nodes[k]
        inner = body.made.get(node.first)
        if inner in hides:
            names = {region.rows[k]: ROWS, region.columns[k]: COLUMNS}
            use: Use = (node.first, tuple([names.get(axis, axis) for axis in node.box.outs[0]]))
            yield Condition(use, not hides[inner])
