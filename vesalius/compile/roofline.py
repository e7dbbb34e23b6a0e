"""How long a kernel is expected to take: a roofline of operations, bytes and calls.

    seconds = max(operations / rate of their kind, bytes / bandwidth) + calls · time of a call

Operations of several kinds follow each other, so their times add up. Bytes that fit into the cache
are not moved. Williams, Waterman, Patterson, Roofline: an
insightful visual performance model, 2009.

`steps` counts what a diagram does as it is written: an operator of PyTorch for each box. A kernel
declares what its box does in one of three ways: `fused` (all of the body in one pass), `stepwise`
(the text of its computation), or a function of its own. Only forward is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import log2, prod
from typing import TYPE_CHECKING, NamedTuple

from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN, port_tubes, tubed
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.boxes.shape import DIAGONAL, EXPAND, LIKE, MERGE, SLICE, SPLIT, WINDOW
from vesalius.diagrams.boxes.sources import CONSTANT, INPUT, PARAMETER
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.graph import Diagram, Node

if TYPE_CHECKING:
    from vesalius.compile.kernels.kernel import Kernel, Target

NOTHING = (INPUT, PARAMETER, CONSTANT)
VIEWS = (DIAGONAL, EXPAND, LIKE, MERGE, SPLIT, SLICE, WINDOW)
# Functions for which a processor computes a series.
EXPONENTIALS = frozenset(
    ["exp", "log", "tanh", "sigmoid", "sin", "cos", "erf", "gelu", "silu", "softplus", "elu"]
)


class Machine(NamedTuple):
    """What a device does in a second; `call` is what a call of an operator takes, in seconds.

    `float32`, `half` and `float64` are floating-point operations of matrix products, `simple` and
    `exponentials` are entries, `bandwidth` bytes read and written, `fresh` bytes of large results,
    for which the system gives new memory each time. Arrays of `cache` bytes stay near.
    """

    float32: float
    half: float
    float64: float
    simple: float
    exponentials: float
    bandwidth: float
    fresh: float
    call: float
    cache: float

    def products(self, dtype: str) -> float:
        """The rate of matrix products for an element type."""
        return {"float32": self.float32, "float64": self.float64}.get(dtype, self.half)


# Until a machine is measured (`vesalius.compile.machine`): two cores of a server, and an H100.
USUAL = {
    "cpu": Machine(2.1e11, 8e11, 1e11, 6.5e9, 1.5e9, 2e10, 5e9, 1e-6, 1 << 23),
    "cuda": Machine(5e13, 6e14, 5e13, 3e12, 4e12, 2.5e12, 1e18, 5e-6, 1 << 25),
}
LARGE = 1 << 25  # bytes; the C library gives larger arrays back to the system


class Work(NamedTuple):
    """What one operator does: operations by kind, bytes moved, calls; `times` in turn.

    `fresh` are those of the bytes for which new memory is needed.
    """

    products: float = 0.0
    simple: float = 0.0
    exponentials: float = 0.0
    moved: float = 0.0
    fresh: float = 0.0
    calls: float = 1.0
    times: float = 1.0


def seconds(work: Work, machine: Machine, dtype: str = "float32") -> float:
    """The time that a machine is expected to take.

    >>> machine = Machine(1e9, 1e9, 1e9, 1e9, 1e9, bandwidth=1e9, fresh=1e9, call=0.0, cache=0)
    >>> seconds(Work(products=2e9, moved=1e9), machine), seconds(Work(moved=3e9), machine)
    (2.0, 3.0)
    """
    entries = work.simple / machine.simple + work.exponentials / machine.exponentials
    computed = work.products / machine.products(dtype) + entries * (1 + (dtype == "float64"))
    moved = max(work.moved - machine.cache, 0.0) / machine.bandwidth
    spent = max(computed, moved) + work.fresh / machine.fresh + work.calls * machine.call
    return work.times * spent


class Call(NamedTuple):
    """A kernel's box where it stands, with the lengths of its local axes.

    `moved` are the bytes that go in and out, `fresh` those of a large result, `shown` is the part
    of the pairs that masks show.
    """

    kernel: Kernel
    variant: str
    box: Box
    local: Sequence[int]
    target: Target
    moved: float
    fresh: float
    shown: float = 1.0

    @property
    def body(self) -> Diagram:
        """What the box stands for."""
        body: Diagram = self.box["body"]
        return body

    @property
    def tubes(self) -> int:
        """How often the body is run: once for each tube."""
        return prod(self.local[a] for a in self.box.tubes)

    def lengths(self, port: int) -> list[int]:
        """The lengths of the declared axes of an input."""
        axes = self.body.port_type(self.body.inputs[port]).axes
        return [self.target.length(size) for size in axes.values()]

    def steps(self, body: Diagram) -> list[Work]:
        """What a body does, each of its inputs with the tubes that it has here."""
        tubes = {f"_{a}": self.local[a] for a in self.box.tubes}
        target = replace(self.target, sizes={**self.target.sizes, **tubes})
        return steps(tubed(body, tuple(port_tubes(self.box))), target, self.shown) or []


Counts = Callable[[Call], "Iterable[Work]"]


def fused(call: Call) -> Iterator[Work]:
    """All that a body does in one pass: only what goes in and comes out is moved."""
    inside = call.steps(call.body)
    yield Work(
        sum(one.times * one.products for one in inside),
        sum(one.times * one.simple for one in inside),
        sum(one.times * one.exponentials for one in inside),
        call.moved,
        call.fresh,
    )


def stepwise(call: Call) -> Iterable[Work]:
    """What the text does by which a kernel is computed (`Kernel.runs`)."""
    return call.steps(call.kernel.computation(call.variant, call.body))


# -- counting -------------------------------------------------------------------------------------


def steps(
    diagram: Diagram, target: Target, shown: float = 1.0, nodes: Iterable[int] | None = None
) -> list[Work] | None:
    """What the boxes of a diagram do, one after the other; None where a kernel does not say."""
    found: list[Work] = []
    every = range(len(diagram.nodes)) if nodes is None else nodes
    for k in every:
        own = _work(diagram, diagram.nodes[k], target, shown)
        if own is None:
            return None
        found += own
    return found


def predicted(
    diagram: Diagram, target: Target, shown: float = 1.0, nodes: Iterable[int] | None = None
) -> float | None:
    """The seconds that a diagram, or some of its boxes, are expected to take on a target."""
    work = steps(diagram, target, shown, nodes)
    if work is None:
        return None
    return sum(seconds(one, target.machine, target.dtype) for one in work)


def _work(diagram: Diagram, node: Node, target: Target, shown: float) -> Sequence[Work] | None:
    kind = node.box.kind
    if kind in NOTHING:
        return ()
    if kind in VIEWS:
        return (Work(),)
    site = diagram.site(node)
    lengths = [target.length(size) for size in site.sizes]
    if kind is NAMED:
        return _call(diagram, node, lengths, target, shown)
    moved, fresh = _traffic(diagram, node, target)
    if kind is SCAN:
        times = target.length(node.box["length"])
        inside = steps(node.box["body"], target, shown)
        tubes = prod(lengths[a] for a in node.box.tubes)
        return inside and [_repeated(one, tubes, times) for one in inside]
    if kind is CONTRACT:
        return _contraction(node, lengths, float(prod(lengths)), moved, fresh)
    most = float(max(entries(diagram, wire, target) for wire in (*node.src, *node.wires)))
    if kind is FOURIER:
        (axis,) = node.box.bound
        simple = 2 * most * of_transform(lengths[axis])
        return (Work(simple=simple, moved=moved, fresh=fresh, calls=5),)
    name = node.box["function"].name if kind is POINTWISE else ""
    if kind is SOFTMAX or name in EXPONENTIALS:
        return (Work(exponentials=most, moved=moved, fresh=fresh),)
    return (Work(simple=most, moved=moved, fresh=fresh),)


def of_transform(length: int) -> float:
    """What an entry of a Fourier transform costs, in simple ones, of which one is four steps."""
    return max(log2(length), 1.0) / 4


def _repeated(one: Work, tubes: int, times: float = 1.0) -> Work:
    """An operator over all tubes at once, so often in turn."""
    return Work(
        tubes * one.products,
        tubes * one.simple,
        tubes * one.exponentials,
        tubes * one.moved,
        tubes * one.fresh,
        one.calls,
        times * one.times,
    )


def _traffic(diagram: Diagram, node: Node, target: Target) -> tuple[float, float]:
    """The bytes that a box reads and writes, and those of its results that are large."""
    made = [size_of(diagram, wire, target) for wire in node.wires]
    moved = sum(made) + sum(size_of(diagram, wire, target) for wire in node.src)
    return float(moved), float(sum(one for one in made if one > LARGE))


def size_of(diagram: Diagram, wire: int, target: Target) -> int:
    """The bytes of a wire, at lengths that are known or usual."""
    dtype = diagram.types[wire].dtype
    width = {"bool": 1, "int": 8}.get(dtype) or WIDTHS.get(target.dtype, 4)
    return width * entries(diagram, wire, target)


def entries(diagram: Diagram, wire: int, target: Target) -> int:
    """The entries of a wire, at lengths that are known or usual."""
    return target.entries(diagram.types[wire].sizes)


WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def _call(
    diagram: Diagram, node: Node, lengths: Sequence[int], target: Target, shown: float
) -> Sequence[Work] | None:
    """What a named box does: as its kernel declares, or what its body does."""
    from vesalius.compile.kernels.kernel import kernel_of

    found = kernel_of(node.box)
    if found is None:
        tubes = prod(lengths[a] for a in node.box.tubes)
        inside = steps(node.box["body"], target, shown)
        return inside and [_repeated(one, tubes) for one in inside]
    one, variant = found
    if one.work is None:
        return None
    traffic = _traffic(diagram, node, target)
    return list(one.work(Call(one, variant, node.box, lengths, target, *traffic, shown)))


def _contraction(
    node: Node, lengths: Sequence[int], entries: float, moved: float, fresh: float
) -> Sequence[Work]:
    """A matrix product, if two factors or more are summed over what they share."""
    rows = [frozenset(row) for row in node.box.maps if row]
    bound = frozenset(node.box.bound)
    if len(rows) < 2 or not any(bound & row & other for row, other in _pairs(rows)):
        return (Work(simple=entries, moved=moved, fresh=fresh),)
    if len(rows) == 2:
        return (Work(products=2 * entries, moved=moved, fresh=fresh),)
    return [Work(products=2 * flops) for flops in _in_turn(rows, bound, lengths)]


def _pairs(rows: Sequence[frozenset[int]]) -> Iterator[tuple[frozenset[int], frozenset[int]]]:
    return ((row, other) for k, row in enumerate(rows) for other in rows[k + 1 :])


def _in_turn(
    rows: Sequence[frozenset[int]], bound: frozenset[int], lengths: Sequence[int]
) -> Iterator[float]:
    """Entries of the products of many factors, the cheapest two first."""
    rest = list(rows)
    while len(rest) > 1:
        one, other = min(_pairs(rest), key=lambda pair: prod(lengths[a] for a in pair[0] | pair[1]))
        rest.remove(one)
        rest.remove(other)
        yield float(prod(lengths[a] for a in one | other))
        needed = frozenset[int]().union(*rest)
        rest.append(frozenset(a for a in one | other if a not in bound or a in needed))


def spoken(time: float) -> str:
    """A time as people read it, to two digits.

    >>> spoken(0.00123), spoken(4.5e-7), spoken(1840.0)
    ('1.2 ms', '0.45 µs', '1800 s')
    """
    unit, scale = next((u for u in (("s", 1.0), ("ms", 1e-3)) if time >= u[1]), ("µs", 1e-6))
    value = float(f"{time / scale:.1e}")
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:g} {unit}"


def told(machine: Machine) -> str:
    """The numbers of a machine, for people."""
    rows = [
        ("matrix products, float32", f"{machine.float32 / 1e9:,.0f} GFLOP/s"),
        ("matrix products, bfloat16", f"{machine.half / 1e9:,.0f} GFLOP/s"),
        ("matrix products, float64", f"{machine.float64 / 1e9:,.0f} GFLOP/s"),
        ("simple functions", f"{machine.simple / 1e9:,.2f} G entries/s"),
        ("exponentials", f"{machine.exponentials / 1e9:,.2f} G entries/s"),
        ("memory", f"{machine.bandwidth / 1e9:,.1f} GB/s"),
        ("new memory", f"{machine.fresh / 1e9:,.1f} GB/s"),
        ("a call of an operator", f"{machine.call * 1e6:.2f} µs"),
    ]
    return "\n".join(f"{name:26}  {value:>20}" for name, value in rows)
