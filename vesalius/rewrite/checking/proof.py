"""Proof by computer algebra: SymPy on small sizes, where the expressions are small enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vesalius.diagrams.errors import VesaliusError
from vesalius.rewrite.checking.draws import different_sizes, fits
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.verdict import Tier

SYMBOLS = 24  # entries of all inputs that SymPy is given
OPERATIONS = 120  # in the largest entry that SymPy is asked about


def symbolic(pair: Pair) -> Tier:
    """Ask SymPy for a proof at small sizes, where the expressions are small enough."""
    from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra, symbol_array

    rng = np.random.default_rng(6)
    sizes = next(different_sizes(pair, rng), None)
    if sizes is None:
        return Tier("SymPy", "outside", 0, "no sizes fit")
    algebra = SymbolicAlgebra()
    for shape in (sizes, {name: min(value, 2) for name, value in sizes.items()}):
        if not fits(pair, shape):
            continue
        arrays = {name: symbol_array(name, t, shape) for name, t in pair.types.items()}
        if sum(x.size for x in arrays.values()) > SYMBOLS:
            continue
        inputs = tuple(arrays[name] for name in pair.left.input_types)
        values = Values(shape, inputs, {name: arrays[name] for name in pair.sources})
        try:
            left, right = (pair.run(side, values, algebra, 0) for side in (pair.left, pair.right))
            if _operations([*left, *right]) > OPERATIONS:
                continue
            same = all(algebra.same(x, y) for x, y in zip(left, right, strict=True))
        except VesaliusError as problem:
            return Tier("SymPy", "outside", 0, str(problem).split("\n")[0])
        where = ", ".join(f"{name} = {value}" for name, value in shape.items())
        if same:
            return Tier("SymPy", "equal", 1, f"at {where}" if where else "", 0.0)
        return Tier("SymPy", "different", 1, where)
    return Tier("SymPy", "outside", 0, "the expressions are too large")


def _operations(results: Sequence[Any]) -> int:
    return max(
        (entry.count_ops() for x in results for entry in x.flat if hasattr(entry, "count_ops")),
        default=0,
    )
