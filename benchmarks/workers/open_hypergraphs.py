"""open-hypergraphs: everything as integer arrays; composition is one coequaliser.

``>>`` is linear in both sides, so building box by box is quadratic with a small constant. The
best bulk call makes the arrays of the whole hypergraph. Equality is that of arrays, not up to
isomorphism: it holds here because both sides number their wires alike. It has no JSON.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from open_hypergraphs import FiniteFunction, Hypergraph, IndexedCoproduct, OpenHypergraph
from sampling import Operation
from shapes import brick_offsets

DISTRIBUTION = "open-hypergraphs"


def function(target: int | None, values: object) -> FiniteFunction:
    """A finite function, by its array of values."""
    return FiniteFunction(target, np.asarray(values, dtype=np.uint32))


def wires(n: int) -> FiniteFunction:
    """The labels of n wires of the one type."""
    return FiniteFunction.terminal(n)


NO_BOXES = function(3, [])
CHAIN_BOXES = tuple(OpenHypergraph.singleton(function(3, [k]), wires(1), wires(1)) for k in (0, 1))
BRICK = OpenHypergraph.singleton(function(3, [2]), wires(2), wires(2))


def chain(n: int) -> OpenHypergraph:
    """Box after box by ``>>``."""
    diagram = OpenHypergraph.identity(wires(1), NO_BOXES)
    for i in range(n):
        diagram = diagram >> CHAIN_BOXES[i % 2]
    return diagram


def whole(
    boxes: np.ndarray, ends: int, total: int, ins: np.ndarray, outs: np.ndarray, last: np.ndarray
) -> OpenHypergraph:
    """The diagram of given arrays: ``ends`` inputs, ``total`` wires, ``last`` the outputs."""
    n = len(boxes)
    hypergraph = Hypergraph(
        s=IndexedCoproduct(function(None, np.full(n, len(ins) // n)), function(total, ins)),
        t=IndexedCoproduct(function(None, np.full(n, len(outs) // n)), function(total, outs)),
        w=wires(total),
        x=function(3, boxes),
    )
    return OpenHypergraph(function(total, np.arange(ends)), function(total, last), hypergraph)


def chain_bulk(n: int) -> OpenHypergraph:
    """All arrays at once."""
    ports = np.arange(n + 1)
    return whole(ports[:-1] % 2, 1, n + 1, ports[:-1], ports[1:], ports[-1:])


def brick(n: int, width: int) -> OpenHypergraph:
    """Box after box by ``@`` and ``>>``."""
    identities = [OpenHypergraph.identity(wires(k), NO_BOXES) for k in range(width + 1)]
    diagram = identities[width]
    for k in brick_offsets(n, width):
        diagram = diagram >> (identities[k] @ BRICK @ identities[width - 2 - k])
    return diagram


def brick_bulk(n: int, width: int) -> OpenHypergraph:
    """All arrays at once."""
    ends, ins = list(range(width)), []
    for i, k in enumerate(brick_offsets(n, width)):
        ins += ends[k : k + 2]
        ends[k : k + 2] = width + 2 * i, width + 2 * i + 1
    total = width + 2 * n
    outs = np.arange(width, total)
    return whole(np.full(n, 2), width, total, np.asarray(ins), outs, np.asarray(ends))


def building(build: Callable[[int], OpenHypergraph], n: int) -> Operation:
    """The operation that builds, and checks how many boxes there are."""
    return Operation(lambda: build(n), check=lambda d: len(d.H.x) == n)


def compose(n: int) -> Operation:
    """Two chains of n boxes, by ``>>``."""
    return Operation(
        lambda first, second: first >> second,
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=lambda d: len(d.H.x) == 2 * n,
    )


def equal(n: int) -> Operation:
    """Two chains, array by array."""
    return Operation(
        lambda a, b: a == b, prepare=lambda: (chain_bulk(n), chain_bulk(n)), check=bool
    )


OPERATIONS = {
    "build_chain": lambda n: building(chain, n),
    "build_chain_bulk": lambda n: building(chain_bulk, n),
    "build_brick": lambda n, wires: building(lambda n: brick(n, wires), n),
    "build_brick_bulk": lambda n, wires: building(lambda n: brick_bulk(n, wires), n),
    "compose": compose,
    "equal": equal,
}
