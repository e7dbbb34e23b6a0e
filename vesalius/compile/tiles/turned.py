"""Gradients of what has columns, with the columns last: how a product with a tile is quickest.

    Σ_rows w[rows, columns]·x[rows, c],  as  [c, columns]  and not  [columns, c]

Libraries of matrix products on a CPU turn the operand that is read across its memory: so it is x
that is turned, and not the tile, which is larger.
"""

from __future__ import annotations

from vesalius.compile.tiles.traces import Place, Traces
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram

Order = tuple[int, ...]


def turned(backward: Diagram) -> tuple[Diagram, tuple[Order, ...]]:
    """Backward with such gradients, and for each gradient the order of its dimensions.

    The order is empty where the dimensions come in that of the input.
    """
    traces = Traces(backward)
    ports, orders = [], []
    for port in backward.outputs:
        kinds = [traces.find((port.wire, slot)) for slot in port.slots]
        order: Order = ()
        if traces.columns in kinds[:-1] and _is_product_with_tile(backward, traces, port.wire):
            at = kinds.index(traces.columns)
            order = (*(d for d in range(len(kinds)) if d != at), at)
            axes = tuple([port.axes[d] for d in order])
            port = port._replace(axes=axes, slots=tuple([port.slots[d] for d in order]))
        ports.append(port)
        orders.append(order)
    return Builder.resume(backward).finish(ports), tuple(orders)


def _is_product_with_tile(diagram: Diagram, traces: Traces, wire: int) -> bool:
    """Whether it is a sum over rows of what has rows and columns times what has rows alone.

    Where both have further axes it is no product of matrices, and is left as it is.
    """
    node = diagram.nodes[diagram.owner[wire]]
    factors = [source for source in node.src if diagram.types[source].sizes]
    if node.box.kind is not CONTRACT or len(factors) > 2:
        return False
    if len(factors) == 1:
        return not node.box.bound and _is_product_with_tile(diagram, traces, factors[0])
    kinds = [_kinds(diagram, traces, source) for source in factors]
    tile, other = sorted(kinds, key=lambda found: traces.columns not in found)
    return (
        traces.columns in tile - other
        and traces.rows in tile & other - _kinds(diagram, traces, wire)
        and tile - {traces.columns} <= other
    )


def _kinds(diagram: Diagram, traces: Traces, wire: int) -> set[Place]:
    return {traces.find((wire, slot)) for slot in range(len(diagram.types[wire].sizes))}
