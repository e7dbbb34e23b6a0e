"""What a search minimises: FLOPs, bytes, peak memory, time, a mixture, or a function of yours.

Some costs are sums over boxes, so that an e-node has a price of its own. It is found once for
each shape, from the diagram that holds nothing else than that box.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vesalius.diagrams.box import Site
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.cost import CostNumbers
from vesalius.diagrams.cost import cost as cost_of
from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import among, check_sizes, sizes_of

Number = int | float
Function = Callable[[Diagram], Number]


class Price:
    """A cost of diagrams at given sizes.

    `of(diagram)` is the cost; where it is `additive` that is the sum of `of_box(site)` over its
    boxes, and else these are FLOPs, which point in the right direction.
    """

    def __init__(
        self, name: str, function: Function, at: Mapping[str, int], additive: bool
    ) -> None:
        self.name = name
        self.function = function
        self.at = dict(at)
        self.additive = additive
        self._known: dict[Any, Number] = {}

    def of(self, diagram: Diagram) -> Number:
        """The cost of a diagram."""
        if not self.additive:
            return self.function(diagram)
        return sum(self.of_box(diagram.site(node)) for node in diagram.boxes)

    def of_box(self, site: Site) -> Number:
        """The cost of a diagram that holds this box alone."""
        if site.box.kind is INPUT or site.box.kind is PARAMETER:
            return 0
        key = site.box, tuple(site.sizes), site.dtypes
        if key not in self._known:
            alone = single(site)
            if self.additive:
                self._known[key] = self.function(alone)
            else:
                values = dict.fromkeys(alone.size_variables, UNKNOWN)
                self._known[key] = _numbers(alone, {**values, **self.at}).flops
        return self._known[key]


UNKNOWN = 64  # what a size without a value counts as, where a function says what is cheap


def single(site: Site) -> Diagram:
    """The diagram of one box."""
    box = site.box
    builder = Builder(box.kind.name)
    uses = []
    for port, (row, dtype) in enumerate(zip(box.maps, site.dtypes, strict=True)):
        sizes = site.in_sizes(port)
        made = builder.add(INPUT, (port, dtype), (), (), list(enumerate(sizes)))
        slots = tuple(range(len(sizes)))
        builder.inputs.append(Port(f"x{port}", made.wires[0], _names(slots), slots))
        uses.append((made.wires[0], row))
    new = [(box.inner + k, size) for k, size in enumerate(box.new)]
    made = builder.add(box.kind, box.attrs, uses, box.bound, new)
    ports = []
    for output, wire in enumerate(made.wires):
        slots = tuple(range(len(builder.types[wire].sizes)))
        ports.append(Port(f"y{output}", wire, _names(slots), slots))
    return builder.finish(ports)


def _names(slots: tuple[int, ...]) -> tuple[str, ...]:
    return tuple([f"s{slot}" for slot in slots])


# -- the costs that have names --------------------------------------------------------------------


def _numbers(diagram: Diagram, at: Mapping[str, int]) -> CostNumbers:
    return cost_of(diagram).given(at)


HOPELESS = 4  # a box of more FLOPs than so many diagrams is not run, only to find it slow
SLOW = 10**9  # how many FLOPs a second it is taken to do


def _flops(diagram: Diagram, at: Mapping[str, int]) -> int:
    return _numbers(diagram, at).flops


def _bytes(diagram: Diagram, at: Mapping[str, int]) -> int:
    return _numbers(diagram, at).bytes_moved


def _peak(diagram: Diagram, at: Mapping[str, int]) -> int:
    return _numbers(diagram, at).peak_bytes


def _time(diagram: Diagram, at: Mapping[str, int], most: int) -> float:
    """Seconds, the sum of what its boxes take one by one in float32.

    A box of more than `most` FLOPs is not run.
    """
    import torch

    total = 0.0
    for node in diagram.boxes:
        if node.box.kind is PARAMETER:
            continue
        alone = single(diagram.site(node))
        work = _flops(alone, at)
        if work > most:
            total += work / SLOW
            continue
        values = []
        for type_ in alone.input_types.values():
            shape = [length.at(at) for length in type_.axes.values()]
            dtype = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}[type_.dtype]
            values.append(
                torch.rand(shape, dtype=dtype)
                if type_.dtype == "float"
                else torch.zeros(shape, dtype=dtype)
            )
        run = partial(alone.evaluate, *values, sizes=sizes_of(alone, at), dtype=torch.float32)
        total += seconds(run)
    return total


def seconds(run: Callable[[], Any], least: int = 3, budget: float = 0.05) -> float:
    """The least time of a few runs, after one to warm up: what disturbs only adds."""
    run()
    times: list[float] = []
    while len(times) < least or (len(times) < 10 * least and sum(times) < budget):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


ADDITIVE = ("flops", "bytes", "time")
NAMES = (*ADDITIVE, "peak")


def price(cost: Any, diagram: Diagram, at: Mapping[str, int]) -> Price:
    """The cost that a name, weights of names, or a function stands for.

    Raises `FormatError` for an unknown name, and `SizeError` when a size has no value, or a value
    is of no size.
    """
    if isinstance(cost, Price):
        return cost
    check_sizes(diagram.name, at, diagram.size_variables)
    if callable(cost):
        return Price(getattr(cost, "__name__", "cost"), cost, at, False)
    weights = {cost: 1} if isinstance(cost, str) else cost
    if not isinstance(weights, Mapping) or not weights:
        raise FormatError(f"a cost is a name, weights of names, or a function, not {cost!r}")
    for name in weights:
        if name not in NAMES:
            raise FormatError(among("a cost", (*NAMES, "a function"), name))
    missing = [name for name in diagram.size_variables if name not in at]
    if missing:
        wanted = ", ".join(f"{name}=..." for name in missing)
        raise SizeError(
            f"the cost of {diagram.name} needs a value for every size; add at=dict({wanted})"
        )
    additive = all(name in ADDITIVE for name in weights)
    known: dict[str, Callable[[Diagram, Mapping[str, int]], Number]] = {
        "flops": _flops,
        "bytes": _bytes,
        "peak": _peak,
        "time": partial(_time, most=HOPELESS * _flops(diagram, at)),
    }
    title = " + ".join(name if w == 1 else f"{w:g}·{name}" for name, w in weights.items())

    def total(one: Diagram) -> Number:
        return sum(weight * known[name](one, at) for name, weight in weights.items())

    return Price(title, total, at, additive)
