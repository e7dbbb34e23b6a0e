"""Verbs that read at places known at run time, and the Fourier transform."""

from __future__ import annotations

from vesalius.diagrams.boxes.indexing import GATHER, TOPK
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.errors import AxisError
from vesalius.diagrams.verbs.common import (
    atomic,
    explained,
    handle,
    named_use,
    place,
    require_axis,
    require_free,
    sized_axes,
    wires,
)
from vesalius.diagrams.wire import Operand, Wire


@atomic
def gather(table: Wire, index: Wire, over: str) -> Wire:
    """Read `table` along the axis `over` at the positions in `index` (integers).

    The index may carry an axis of the same name: it is another axis. Axes that both carry
    are zipped, the others are tubes.
    """
    table, index = wires("gather", table, index)
    require_axis("gather", table, over)
    uses = [
        (table.id, tuple(("table",) if name == over else name for name in table.names)),
        (index.id, index.names),
    ]
    made = place("gather", GATHER, (), [table, index], uses, [("table",)])
    return handle(table.builder, made)


@explained
def topk(x: Wire, over: str, k: str, *, largest: bool = True) -> tuple[Wire, Wire]:
    """The `k` largest entries along an axis, in order, and their positions.

    `k` names the new axis with its size: `values, places = topk(x, "m", "k:4")`. Among equal
    entries the first comes first.
    """
    require_axis("topk", x, over)
    named = sized_axes(k)
    if len(named) != 1:
        raise AxisError(f"topk: one new axis such as 'k:4', not {k!r}")
    ((axis, length),) = named.items()
    require_free("topk", axis, [other for other in x.names if other != over])
    use = (x.id, tuple(("whole",) if name == over else name for name in x.names))
    made = place("topk", TOPK, (bool(largest),), [x], [use], [("whole",)], [(axis, length)])
    return handle(x.builder, made, 0), handle(x.builder, made, 1)


@atomic
def fourier(
    real: Operand, imaginary: Operand = 0, *, over: str, inverse: bool = False
) -> tuple[Wire, Wire]:
    """The discrete Fourier transform along an axis: real and imaginary parts.

    y[f] = Σ_n x[n]·exp(∓2πi·f·n/|n|); the inverse divides by |n|.
    """
    given = wires("fourier", real, imaginary)
    if not any(over in wire.names for wire in given):
        raise AxisError(f"fourier: no input has the axis {over!r}: {given[0].type}")
    uses = [named_use(wire) for wire in given]
    made = place("fourier", FOURIER, (bool(inverse),), given, uses, [over])
    return handle(given[0].builder, made, 0), handle(given[0].builder, made, 1)
