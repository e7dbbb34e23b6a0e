"""Orders of evaluation against egglog, an e-graph that others wrote, and against its extractor."""

from __future__ import annotations

import egglog
import pytest
from matrices import Matrix, associativity, cols, costs, rows, shapes

import vesalius as vs
from vesalius.diagrams.builder import Builder

CHAINS = [
    [10, 20, 30],
    [40, 20, 30, 10, 30],
    [30, 35, 15, 5, 10, 20, 25],
    [3, 50, 3, 50, 3, 50, 3, 50, 3],
    [7, 3, 9, 3, 8, 2, 9, 4, 6, 3, 5, 8, 2],
    [5, 40, 3, 12, 20, 9, 30, 4, 25, 6, 11, 2, 50, 8, 10, 3, 21],
]


def attention_shape(factors: int, n: int, d: int) -> list[int]:
    """Sizes of q·kᵀ·v·kᵀ·v…: queries and keys of d channels for n positions, again and again."""
    return [n if k % 2 == 0 else d for k in range(factors)] + [d]


SHAPES = [attention_shape(k, n, d) for k in (3, 7, 16) for n, d in ((64, 8), (8, 64), (16, 16))]


def chain(dims: list[int]) -> vs.Diagram:
    builder = Builder("chain")
    wires = [
        builder.input(f"x{k}", f"a{k}:{dims[k]} a{k + 1}:{dims[k + 1]}")
        for k in range(len(dims) - 1)
    ]
    with builder:
        product = wires[0]
        for k, wire in enumerate(wires[1:], 1):
            product = vs.contract(product, wire, over=f"a{k}")
    return builder.diagram(y=product)


def by_egglog(dims: list[int]) -> int:
    """The least cost of a chain: associativity to saturation, then egglog's own extraction."""
    graph = egglog.EGraph()
    factors = [Matrix(f"x{k}") for k in range(len(dims) - 1)]
    for k, factor in enumerate(factors):
        graph.register(
            egglog.set_(rows(factor)).to(egglog.i64(dims[k])),
            egglog.set_(cols(factor)).to(egglog.i64(dims[k + 1])),
        )
    product = factors[0]
    for factor in factors[1:]:
        product = product @ factor
    graph.register(product)
    for rules in (associativity, shapes, costs):
        graph.run(rules.saturate())
    _, cost = graph.extract(product, include_cost=True)
    return cost - 2 * len(factors)  # a factor and its name cost 1 each


@pytest.mark.parametrize("dims", [*CHAINS, *SHAPES], ids=lambda dims: f"{len(dims) - 1} factors")
def test_the_best_order_is_as_cheap_as_egglogs(dims: list[int]) -> None:
    found = vs.search(chain(dims), rules=[], check=False)
    assert found.after == by_egglog(dims)
    assert found.end.cost().at().flops == found.after
    assert found.whole
