"""What a diagram costs: operations, bytes moved, peak memory, parameters, as polynomials.

The model is stated here once, and holds for the diagram as it is written, before anything is
fused, reordered or kept in a faster memory:

* **Operations** are those that each kind of box declares, by name. **FLOPs** are operations
  weighted by `FLOPS_PER_OPERATION`: 1 unless it says otherwise. A `multiply-add` is one product
  or one addition, so a matrix product of n by c and c by m entries has 2·n·c·m of them.
* **Bytes moved**: every box reads each of its inputs once and writes each of its outputs once.
  The inputs and parameters of the diagram are there already; nobody writes them.
* **Peak memory**: boxes run in the order of the diagram, and a wire is kept until its last
  reader has run. Inputs, parameters and outputs are kept throughout. A box needs its outputs
  beside all that is alive. The largest of several polynomials is no polynomial, so the peak is
  a short list of them, one of which is the largest at any given sizes.
* **Parameters**: entries of the trainable parameters.

A named box costs what its body costs. A scan does and moves what its body does, at every
position; it holds its collected outputs in full and the states of one position beside what its
body holds. A learner that is still a hole costs nothing, and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from vesalius.diagrams.box import Box, Parameter, Site, WireType
from vesalius.diagrams.boxes.nested import NAMED, SCAN, port_tubes, state_tubes, tubed
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among, check_sizes
from vesalius.diagrams.sizes import (
    ONE,
    ZERO,
    Coefficient,
    Monomial,
    Quotient,
    Size,
    monomial_key,
    product,
)

# Operations that are no arithmetic on numbers; every other counts one FLOP.
FLOPS_PER_OPERATION: Mapping[str, int] = {
    "random": 0,
    "where": 0,
    "logical_and": 0,
    "logical_or": 0,
    "logical_not": 0,
}
BYTES_PER_ELEMENT: Mapping[str, int] = {"float": 4, "int": 8, "bool": 1}
CANDIDATES = 32  # how many polynomials a peak may have before two are bounded by one

Terms = dict[Monomial, Coefficient]


@dataclass(frozen=True)
class CostNumbers:
    """The cost at given sizes: FLOPs, bytes, entries of parameters; operations by name."""

    flops: int
    bytes_moved: int
    peak_bytes: int
    parameters: int
    operations: Mapping[str, int] = field(default_factory=dict)

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved; 0 when nothing moves."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0


@dataclass(frozen=True)
class Cost:
    """The cost of a diagram as formulas; see `vesalius.diagrams.cost` for the model.

    `peak` lists the candidates for the peak memory in bytes: the peak is the largest of them,
    or at most that where `peak_is_bound` is set. `learners` names holes that cost nothing yet,
    `sizes` the size variables of the diagram.
    """

    name: str
    operations: Mapping[str, Size]
    flops: Size
    bytes_moved: Size
    peak: tuple[Size, ...]
    parameters: Size
    learners: tuple[str, ...] = ()
    peak_is_bound: bool = False
    sizes: tuple[str, ...] = ()

    def at(self, **sizes: int) -> CostNumbers:
        """The cost at sizes: `cost.at(n=1024, c=64)`.

        Raises `SizeError` for a size variable without a value, and for one that the diagram does
        not have.
        """
        check_sizes(self.name, sizes, self.sizes)
        return self.given(sizes)

    def given(self, sizes: Mapping[str, int]) -> CostNumbers:
        """The cost at sizes, of which the diagram need not have all."""
        return CostNumbers(
            self.flops.at(sizes),
            self.bytes_moved.at(sizes),
            max(candidate.at(sizes) for candidate in self.peak),
            self.parameters.at(sizes),
            {name: count.at(sizes) for name, count in self.operations.items()},
        )

    def leading(self, variable: str) -> Cost:
        """The terms that are left of each formula as one size variable grows.

        Raises `SizeError` for a variable that the diagram does not have.
        """
        check_sizes(self.name, [variable], self.sizes)
        degree = max(candidate.degree(variable) for candidate in self.peak)
        highest = [c.leading(variable) for c in self.peak if c.degree(variable) == degree]
        return Cost(
            self.name,
            {name: count.leading(variable) for name, count in self.operations.items()},
            self.flops.leading(variable),
            self.bytes_moved.leading(variable),
            _in_order(map(Size, _undominated(dict(c.terms) for c in highest))),
            self.parameters.leading(variable),
            self.learners,
            self.peak_is_bound,
            self.sizes,
        )

    def sympy(self) -> dict[str, Any]:
        """The formulas as SymPy expressions, by the names of `CostNumbers`."""
        import sympy

        return {
            "flops": self.flops.sympy(),
            "bytes_moved": self.bytes_moved.sympy(),
            "peak_bytes": sympy.Max(*(candidate.sympy() for candidate in self.peak)),
            "parameters": self.parameters.sympy(),
            "operations": {name: count.sympy() for name, count in self.operations.items()},
        }

    def __str__(self) -> str:
        peak = ", ".join(map(str, self.peak))
        peak = f"max({peak})" if len(self.peak) > 1 else peak
        rows = [
            ("FLOPs", str(self.flops)),
            *((f"  {name}", str(count)) for name, count in self.operations.items()),
            ("bytes moved", str(self.bytes_moved)),
            ("peak bytes", f"at most {peak}" if self.peak_is_bound else peak),
            ("parameters", str(self.parameters)),
        ]
        if self.learners:
            rows.append(("not counted", f"learners still to be filled: {', '.join(self.learners)}"))
        width = max(len(label) for label, _ in rows)
        return "\n".join([f"cost of {self.name}", *(f"  {a:{width}}  {b}" for a, b in rows)])


def cost(
    diagram: Diagram,
    *,
    element_bytes: Mapping[str, int] | None = None,
    flops_per_operation: Mapping[str, int] | None = None,
) -> Cost:
    """FLOPs by kind, bytes moved, peak memory and parameters of a diagram.

    `element_bytes` overrides bytes per element by element type (`float` 4, `int` 8, `bool` 1),
    `flops_per_operation` the weights of operations, as `{"exp": 8}`.

    Raises `FormatError` for an element type that does not exist.
    """
    a_diagram("cost", diagram)
    unknown = set(element_bytes or {}) - set(BYTES_PER_ELEMENT)
    if unknown:
        raise FormatError(among("cost: an element type", BYTES_PER_ELEMENT, min(unknown)))
    weights = {**FLOPS_PER_OPERATION, **(flops_per_operation or {})}
    done = operations(diagram)
    flops: Terms = {}
    for name, count in done.items():
        _add(flops, count, weights.get(name, 1))
    moved, held = _memory(diagram, tuple({**BYTES_PER_ELEMENT, **(element_bytes or {})}.items()))
    learned: Terms = {}
    for token, node in diagram.tokens:
        if isinstance(token, Parameter) and token.trainable:
            _add(learned, product(diagram.types[node.first].sizes))
    return Cost(
        diagram.name,
        done,
        Size(flops),
        moved,
        _in_order(held.resident + Size(candidate) for candidate in held.transient),
        Size(learned),
        tuple(diagram.learners),
        held.is_bound,
        diagram.size_variables,
    )


def operations(diagram: Diagram) -> Mapping[str, Size]:
    """How often each operation is done, by name; operations that are never done are left out."""
    known: Mapping[str, Size] | None = diagram.__dict__.get("_operations")
    if known is None:
        totals: dict[str, Terms] = {}
        for (node, _), count in _alike(diagram).items():
            site = diagram.site(diagram.nodes[node])
            for name, size in site.box.kind.cost(site).items():
                _add(totals.setdefault(name, {}), size, count)
        found = {name: Size(terms) for name, terms in totals.items()}
        known = diagram.__dict__["_operations"] = {k: size for k, size in found.items() if size}
    return known


def _add(into: Terms, size: Size, times: int = 1) -> None:
    for monomial, coefficient in size.terms:
        into[monomial] = into.get(monomial, 0) + times * coefficient


# -- boxes that cost the same -------------------------------------------------------------------


def _alike(diagram: Diagram) -> Mapping[tuple[int, int], int]:
    """How many boxes are like each other: one box, on wires of the same types.

    Keys are (a node of that sort, the number of the sort), in order of first occurrence.
    """
    firsts, sorts = _sorts(diagram)
    counts = Counter(sorts)
    return {(node, sort): counts[sort] for sort, node in enumerate(firsts)}


def _sorts(diagram: Diagram) -> tuple[list[int], list[int]]:
    """The first node of each sort, and the sort of each node; see `_alike`."""
    known: tuple[list[int], list[int]] | None = diagram.__dict__.get("_sorts")
    if known is not None:
        return known
    types: dict[WireType, int] = {}
    type_of = [types.setdefault(wire_type, len(types)) for wire_type in diagram.types]
    table: dict[tuple[Box, tuple[int, ...]], int] = {}
    firsts: list[int] = []
    sorts: list[int] = []
    for k, node in enumerate(diagram.nodes):
        key = (node.box, tuple([type_of[wire] for wire in node.src]))
        sort = table.get(key)
        if sort is None:
            sort = table[key] = len(firsts)
            firsts.append(k)
        sorts.append(sort)
    diagram.__dict__["_sorts"] = firsts, sorts
    return firsts, sorts


# -- memory -------------------------------------------------------------------------------------


class _Held(NamedTuple):
    """Memory in bytes: what is there throughout, and candidates for the most beside it."""

    resident: Size
    transient: Sequence[Terms]
    is_bound: bool


class _Traffic(NamedTuple):
    """What one sort of box moves; the sizes of its outputs; what it holds while it runs."""

    moved: Size
    outputs: Sequence[Size]
    inside: Sequence[Size]
    is_bound: bool


Weights = tuple[tuple[str, int], ...]


def _memory(diagram: Diagram, weights: Weights) -> tuple[Size, _Held]:
    """Bytes moved, and memory held."""
    cache = diagram.__dict__.setdefault("_memory", {})
    if weights not in cache:
        cache[weights] = _traffic_of(diagram, weights)
    found: tuple[Size, _Held] = cache[weights]
    return found


def _traffic_of(diagram: Diagram, weights: Weights) -> tuple[Size, _Held]:
    bytes_of = dict(weights)
    firsts, sorts = _sorts(diagram)
    traffic = [_traffic(diagram, k, weights, bytes_of) for k in firsts]
    moved: Terms = {}
    for sort, count in Counter(sorts).items():
        _add(moved, traffic[sort].moved, count)
    freed = _freed(diagram)
    sizes: dict[int, Size] = {}  # of the wires that are alive
    resident: Terms = {}
    live: Terms = {}
    peaks = _Peaks()
    for k, node in enumerate(diagram.nodes):
        box, own = node.box, traffic[sorts[k]]
        if box.kind is INPUT or box.kind is PARAMETER:
            _add(resident, own.outputs[0])
            continue
        for inside in own.inside:
            _add(live, inside)
            peaks.offer(live)
            _add(live, inside, -1)
        for wire, size in zip(node.wires, own.outputs, strict=True):
            sizes[wire] = size
            _add(live, size)
        ends = freed.get(k)
        if ends is not None:
            peaks.offer(live)
            for wire in ends:
                if wire in sizes:
                    _add(live, sizes.pop(wire), -1)
    peaks.offer(live)
    is_bound = peaks.is_bound or any(one.is_bound for one in traffic)
    return Size(moved), _Held(Size(resident), peaks.found, is_bound)


def _freed(diagram: Diagram) -> dict[int, list[int]]:
    """For each node, the wires that nobody reads after it; outputs of the diagram stay."""
    last = diagram.owner[:]
    for k, node in enumerate(diagram.nodes):
        for wire in node.src:
            last[wire] = k
    kept = {port.wire for port in diagram.outputs}
    found: dict[int, list[int]] = {}
    for wire, k in enumerate(last):
        if wire not in kept:
            found.setdefault(k, []).append(wire)
    return found


def moved(diagram: Diagram, k: int, element_bytes: Mapping[str, int] | None = None) -> Size:
    """The bytes that one box reads and writes, that of node k."""
    bytes_of = {**BYTES_PER_ELEMENT, **(element_bytes or {})}
    return _traffic(diagram, k, tuple(bytes_of.items()), bytes_of).moved


def _traffic(diagram: Diagram, k: int, weights: Weights, bytes_of: Mapping[str, int]) -> _Traffic:
    node = diagram.nodes[k]
    kind = node.box.kind
    outputs = [_bytes(diagram.types[wire], bytes_of) for wire in node.wires]
    if kind is INPUT or kind is PARAMETER:
        return _Traffic(ZERO, outputs, (), False)
    if kind is NAMED or kind is SCAN:
        return _nested_traffic(diagram.site(node), outputs, weights)
    moved: Terms = {}
    for wire in node.src:
        _add(moved, _bytes(diagram.types[wire], bytes_of))
    for size in outputs:
        _add(moved, size)
    return _Traffic(Size(moved), outputs, (), False)


def _nested_traffic(site: Site, outputs: Sequence[Size], weights: Weights) -> _Traffic:
    box = site.box
    tubes, times, beside = port_tubes(box), ONE, ZERO
    if box.kind is SCAN:
        tubes = [*state_tubes(box)[0], *tubes[box["states"] :]]
        times = box["length"]
        for size in outputs:
            beside = beside + size
    moved, held = _memory(tubed(box["body"], tuple(tubes)), weights)
    sizes = {f"_{t}": site.sizes[t] for t in box.tubes}
    inside = [Size(terms).substitute(sizes) + beside for terms in held.transient]
    return _Traffic(moved.substitute(sizes) * times, outputs, inside, held.is_bound)


def _bytes(wire_type: WireType, bytes_of: Mapping[str, int]) -> Size:
    return product(wire_type.sizes) * bytes_of[wire_type.dtype]


# -- the largest of many polynomials ------------------------------------------------------------


class _Peaks:
    """Polynomials none of which is known to be at most another, whatever the sizes are.

    At most about `CANDIDATES` are kept: beyond, the two that are closest are replaced by one
    that is at least as large as both, and `is_bound` says so.
    """

    def __init__(self) -> None:
        self.found: list[Terms] = []
        self.is_bound = False

    def offer(self, terms: Terms) -> None:
        """Take a polynomial into account; it may be changed afterwards."""
        for k, other in enumerate(self.found):
            if _at_most(terms, other):
                if k:  # the next one is likely to be at most the same
                    self.found.insert(0, self.found.pop(k))
                return
        mine = {monomial: c for monomial, c in terms.items() if c}
        self.found = [mine, *(other for other in self.found if not _at_most(other, mine))]
        if len(self.found) > CANDIDATES:
            self._merge_closest()

    def _merge_closest(self) -> None:
        best: tuple[Coefficient, int, Terms] | None = None
        first = self.found[0]
        for k, other in enumerate(self.found[1:], 1):
            joined = _join(first, other)
            if joined is None:
                continue
            excess = sum(2 * c - first.get(m, 0) - other.get(m, 0) for m, c in joined.items())
            if best is None or excess < best[0]:
                best = excess, k, joined
        if best is not None:
            self.is_bound = True
            _, k, joined = best
            rest = [other for j, other in enumerate(self.found) if j not in (0, k)]
            self.found = [joined, *(other for other in rest if not _at_most(other, joined))]


def _at_most(small: Terms, large: Terms) -> bool:
    """Whether no coefficient of `large - small` is negative; so it holds at all sizes."""
    for monomial, coefficient in small.items():
        other = large.get(monomial, 0)
        if coefficient > other or (coefficient != other and not _is_natural(monomial)):
            return False
    for monomial, coefficient in large.items():
        if monomial not in small and (coefficient < 0 or not _is_natural(monomial)):
            return False
    return True


def _join(one: Terms, other: Terms) -> Terms | None:
    """A polynomial that is at least as large as both, or None where a sign is not known."""
    joined: Terms = {}
    for monomial in one.keys() | other.keys():
        a, b = one.get(monomial, 0), other.get(monomial, 0)
        if a != b and not _is_natural(monomial):
            return None
        joined[monomial] = max(a, b)
    return joined


@lru_cache(maxsize=4096)
def _is_natural(monomial: Monomial) -> bool:
    """Whether a monomial is surely not negative: a floor such as `(n - 4)//2` may be."""
    return all(power % 2 == 0 or _is_natural_atom(atom) for atom, power in monomial)


def _is_natural_atom(atom: str | Quotient) -> bool:
    if isinstance(atom, str):
        return True
    parts = (atom.numerator, atom.denominator)
    return all(c > 0 and _is_natural(m) for part in parts for m, c in part.terms)


def _in_order(candidates: Iterable[Size]) -> tuple[Size, ...]:
    """One order for equal sets, the highest powers first."""
    return tuple(
        sorted(candidates, key=lambda size: [(monomial_key(m), -c) for m, c in size.terms])
    )


def _undominated(candidates: Iterable[Terms]) -> list[Terms]:
    peaks = _Peaks()
    for candidate in candidates:
        peaks.offer(candidate)
    return peaks.found
