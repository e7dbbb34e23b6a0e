"""What a search minimises: FLOPs, bytes, peak memory, time, or whatever a function says.

Some costs are sums over boxes, so that an e-node has a price of its own; the cost of a box is
found once for each shape, by asking for the cost of the diagram that holds nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from vesalius.diagrams.box import Site
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.cost import CostNumbers
from vesalius.diagrams.cost import cost as cost_of
from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.graph import Diagram, Port

Number = int | float
Runner = Callable[[Diagram], Callable[[], Any]]


class Price:
    """A cost of diagrams at given sizes.

    `of(diagram)` is the cost; `of_box(site)` the share of one box where the cost is a sum
    over boxes (`additive`), and else a stand-in that points in the right direction.
    """

    def __init__(
        self, name: str, of: Callable[[Diagram], Number], at: Mapping[str, int], additive: bool
    ) -> None:
        self.name = name
        self.of = of
        self.at = dict(at)
        self.additive = additive
        self._known: dict[Any, Number] = {}

    def of_box(self, site: Site) -> Number:
        """The cost of a diagram that holds this box alone."""
        if site.box.kind is INPUT or site.box.kind is PARAMETER:
            return 0
        key = site.box, tuple(site.sizes), site.dtypes
        if key not in self._known:
            alone = single(site)
            self._known[key] = self.of(alone) if self.additive else flops(self.at)(alone)
        return self._known[key]


def single(site: Site) -> Diagram:
    """The diagram of one box."""
    box = site.box
    builder = Builder(box.kind.name)
    uses = []
    for port, (row, dtype) in enumerate(zip(box.maps, site.dtypes, strict=True)):
        sizes = site.in_sizes(port)
        new = list(enumerate(sizes))
        made = builder.add(INPUT, (port, dtype), (), (), new)
        names = tuple(f"s{k}" for k in range(len(sizes)))
        builder.inputs.append(Port(f"x{port}", made.wires[0], names, tuple(range(len(sizes)))))
        uses.append((made.wires[0], row))
    new_axes = [(box.inner + k, size) for k, size in enumerate(box.new)]
    made = builder.add(box.kind, box.attrs, uses, box.bound, new_axes)
    ports = []
    for output, wire in enumerate(made.wires):
        slots = tuple(range(len(builder.types[wire].sizes)))
        ports.append(Port(f"y{output}", wire, tuple(f"s{k}" for k in slots), slots))
    return builder.finish(ports)


# -- the costs that have names --------------------------------------------------------------------


def flops(at: Mapping[str, int]) -> Callable[[Diagram], int]:
    """FLOPs at these sizes."""
    return lambda diagram: _at(diagram, at).flops


def _bytes(at: Mapping[str, int]) -> Callable[[Diagram], int]:
    return lambda diagram: _at(diagram, at).bytes_moved


def _peak(at: Mapping[str, int]) -> Callable[[Diagram], int]:
    return lambda diagram: _at(diagram, at).peak_bytes


def _at(diagram: Diagram, at: Mapping[str, int]) -> CostNumbers:
    return cost_of(diagram).at(**at)


def measured(at: Mapping[str, int], run: Runner) -> Callable[[Diagram], float]:
    """Seconds, the median of a few runs; `run(diagram)` prepares one."""

    def seconds(diagram: Diagram) -> float:
        once = run(diagram)
        once()
        times: list[float] = []
        while len(times) < 3 or (len(times) < 15 and sum(times) < 0.05):
            start = time.perf_counter()
            once()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    return seconds


NAMED: Mapping[str, tuple[Callable[[Mapping[str, int]], Callable[[Diagram], int]], bool]] = {
    "flops": (flops, True),
    "bytes": (_bytes, True),
    "peak": (_peak, False),
}


def price(
    cost: str | Price | Callable[[Diagram], Number], diagram: Diagram, at: Mapping[str, int]
) -> Price:
    """The cost that a name or a function stands for.

    Raises `FormatError` for an unknown name, and `SizeError` when a size has no value.
    """
    if isinstance(cost, Price):
        return cost
    if not isinstance(cost, str):
        return Price(getattr(cost, "__name__", "cost"), cost, at, False)
    if cost not in NAMED:
        known = ", ".join(NAMED)
        raise FormatError(f"a cost is one of {known}, or a function of a diagram, not {cost!r}")
    missing = [name for name in diagram.size_variables if name not in at]
    if missing:
        raise SizeError(
            f"the cost {cost!r} of {diagram.name} needs a value for every size; at lacks "
            f"{', '.join(missing)}"
        )
    make, additive = NAMED[cost]
    return Price(cost, make(at), at, additive)
