"""What tiles are expected to take: how many there are, and which part of the pairs they compute.

A mask that compares positions is a line `a·row + b·column + c ≥ 0`; a tile computes the columns
that one of its rows sees. Lengths that nobody knows are nominal.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, prod

from vesalius.compile.kernels.kernel import Place, Target
from vesalius.compile.roofline import Call, Work, steps
from vesalius.compile.scores import Condition, at_least_zero, read_line
from vesalius.compile.terms import Use
from vesalius.compile.tiles.body import COLUMNS, ROWS, Body
from vesalius.compile.tiles.region import Region
from vesalius.compile.tiles.run import ENTRIES, PARTS
from vesalius.compile.tiles.run import ROWS as LEAST_ROWS
from vesalius.compile.tiles.skipping import hiding
from vesalius.compile.tiles.traces import Traces
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

SAMPLES = 256  # positions at which masks are looked at
BY_DATA = 0.25  # the part of the pairs that data are taken to show: four segments in a row
START = 8  # operators that cut out a tile and put its result where it belongs


def work(call: Call) -> list[Work]:
    """The operators of the body for one tile, so often as there are tiles with something to see."""
    tiles = _cut(call.body, call.target, Traces(call.body))[1]
    inside = [one for one in steps(call.body, call.target) or () if one != Work()]
    times = max(tiles * call.shown, 1.0)
    return [
        Work(calls=START, times=times),
        *(
            Work(
                one.products / tiles,
                one.simple / tiles,
                one.exponentials / tiles,
                one.moved / tiles,
                times=times,
            )
            for one in inside
        ),
    ]


def _cut(body: Diagram, target: Target, traces: Traces) -> tuple[int, float]:
    """The rows of a tile, and the number of tiles, as `vesalius.compile.tiles.run` cuts them."""
    rows, outer, most = 1, 1, 1
    for wire, type_ in enumerate(body.types):
        kinds = [traces.find((wire, slot)) for slot in range(len(type_.sizes))]
        if traces.rows in kinds and traces.columns in kinds:
            lengths = {k: target.length(s) for k, s in zip(kinds, type_.sizes, strict=True)}
            rows = lengths[traces.rows]
            outer = max(outer, prod(lengths.get(kind, 1) for kind in traces.outer))
            most = max(most, prod(lengths.values()))
    entries = ENTRIES.get(target.device, ENTRIES["cuda"])
    block = max(entries // max(most // (rows * outer), 1), 1)
    block = rows if block >= rows else max(block // 32 * 32, min(rows, 16))
    blocks = ceil(rows / block)
    return block, blocks * max(most / (blocks * entries), 1.0)


def shown(place: Place, region: Region, body: Body) -> float:
    """The part of all pairs that tiles compute, since masks hide the others from all their rows."""
    import numpy as np

    traces = Traces(body.diagram)
    conditions = list(_conditions(place, region, body, traces))
    read = [(use, at_least_zero(place, Condition(use, truth))) for use, truth in conditions]
    lines = [line for _, line in read if line is not None and line.slopes.keys() <= {ROWS, COLUMNS}]
    by_data = any(line is None and _is_of_both(place, use) for use, line in read)
    share = BY_DATA if by_data else 1.0
    if not lines:
        return share
    target = place.target
    n, m = (target.length(size) for size in _lengths(body.diagram))
    block = min(_cut(body.diagram, target, traces)[0], max(ceil(n / PARTS), LEAST_ROWS))
    starts = np.arange(0, n, block * ceil(n / block / SAMPLES))
    inside = np.arange(0, block, max(block // SAMPLES, 1))
    columns = np.unique(np.linspace(0, m - 1, min(m, SAMPLES)).round())
    seen: np.ndarray = np.ones((starts.size, inside.size, columns.size), dtype=bool)
    rows = np.minimum(starts[:, None] + inside, n - 1)[:, :, None]
    for line in lines:
        height = line.slopes.get(ROWS, 0) * rows + line.slopes.get(COLUMNS, 0) * columns
        seen &= height + target.integer(line.constant) >= 0
    some: np.ndarray = np.any(seen, axis=1)
    return share * max(float(some.mean()), 1 / m)


def _lengths(body: Diagram) -> list[Size]:
    found = {a: s for port in body.inputs for a, s in body.port_type(port).axes.items()}
    return [found[ROWS], found[COLUMNS]]


def _conditions(
    place: Place, region: Region, body: Body, traces: Traces
) -> Iterator[tuple[Use, bool]]:
    """The truth values without which a column is hidden, read at rows and columns."""
    hides = dict(hiding(body.diagram, traces))
    diagram = place.diagram
    for k in region.nodes:
        node = diagram.nodes[k]
        inner = body.made.get(node.first)
        if inner in hides:
            names = {region.rows[k]: ROWS, region.columns[k]: COLUMNS}
            labels = tuple([names.get(axis, axis) for axis in node.box.outs[0]])
            yield (node.first, labels), not hides[inner]


def _is_of_both(place: Place, use: Use) -> bool:
    """Whether truth values of pairs are made from data of rows and data of columns, as segments."""
    todo, sides = [use], set[str]()
    while todo:
        one = todo.pop()
        if {ROWS, COLUMNS} <= set(one[1]):
            if place.kind(one) not in (POINTWISE, ADD, CONTRACT, EXPAND):
                return False
            todo += place.open(one).uses
        elif read_line(place, one) is None:
            sides.update({ROWS, COLUMNS} & set(one[1]))
    return len(sides) == 2
