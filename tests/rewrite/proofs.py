"""Proofs by SymPy that two diagrams are equal, which owe nothing to the tiers of the checker.

Floats are symbols; truth values and places run through all cases. Sizes are at least 2, so that
nothing is proved that holds at size 1 alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

import numpy as np
import sympy

from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra, symbol_array
from vesalius.rewrite.checking.draws import small_sizes
from vesalius.rewrite.checking.pair import Pair, Values

CASES = 512


def proved(pair: Pair) -> bool:
    """Whether both sides are one formula at the smallest sizes of at least 2, in all cases."""
    sizes = next(small_sizes(pair, top=4, least=2))
    count = 0
    for values in cases(pair, sizes):
        count += 1
        left, right = (
            pair.run(side, values, SymbolicAlgebra()) for side in (pair.left, pair.right)
        )
        if not all(map(same, left, right)):
            return False
    return 0 < count < CASES


def cases(pair: Pair, sizes: dict[str, int]) -> Iterator[Values]:
    """Symbols for floats, and every choice of truth values and of places to read at."""
    reach = min((length.at(sizes) for length in pair.indexed), default=3)
    kinds: list[list[np.ndarray]] = []
    for name, type_ in pair.types.items():
        shape = tuple(length.at(sizes) for length in type_.axes.values())
        if type_.dtype == "float":
            kinds.append([symbol_array(name, type_, sizes)])
            continue
        entries = (False, True) if type_.dtype == "bool" else range(reach)
        rows = product(entries, repeat=int(np.prod(shape)))
        kinds.append([np.array(row, object).reshape(shape) for row in islice(rows, CASES)])
    count = len(pair.left.inputs)
    for chosen in islice(product(*kinds), CASES):
        sources = dict(zip(pair.sources, chosen[count:], strict=True))
        yield Values(sizes, tuple(chosen[:count]), sources)


def same(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether all entries are the same formulas."""
    return x.shape == y.shape and all(map(equal, x.flat, y.flat))


def equal(a: object, b: object) -> bool:
    """Whether two entries are one formula; infinities have no difference."""
    if a == b:
        return True
    gap = sympy.simplify(sympy.sympify(a) - sympy.sympify(b))
    return gap == 0 or sympy.simplify(gap.rewrite(sympy.exp)) == 0
