"""Diagrams in which a rule stands."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.checking.instances import host, instances
from vesalius.rewrite.rule import Rule


def hosts(rule: Rule) -> st.SearchStrategy[Diagram]:
    """Diagrams with the left side of a rule inside.

    Operands are inputs or computed, and some are one wire; tubes are shared or not; a `many` has
    0 to 3 operands; outputs and wires inside have further readers. For few operands boxes of the
    left side vanish, and the rule need not stand there. Raises `StructureError` for a rule
    that has a meaning for no number of operands.
    """
    chosen = instances(rule, np.random.default_rng(0))
    if not chosen:
        raise StructureError(f"{rule.name}: no number of operands gives both sides a meaning")
    numbers = st.integers(0, 2**16)
    return st.builds(
        lambda instance, seed: host(rule, instance, np.random.default_rng(seed)),
        st.sampled_from(chosen),
        numbers,
    )
