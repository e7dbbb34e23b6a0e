"""Hypothesis strategies for diagrams, for tests of your own: rules, modules, transformations.

    from hypothesis import given
    from vesalius import testing

    @given(testing.diagrams())
    def test_round_trip(diagram):
        assert vs.Diagram.from_json(diagram.to_json()) == diagram

`assert_rule(rule)` checks a rule of your own as the library's are checked.

Needs `hypothesis`. Everything shrinks: towards fewer boxes, fewer axes, smaller sizes.
"""

from vesalius.rewrite.check import assert_rule
from vesalius.testing.programs import Program, Step, Use
from vesalius.testing.strategies import KINDS, diagrams, programs
from vesalius.testing.types import array_types, sizes, tubes
from vesalius.testing.values import inputs_for, parameters_for, sizes_for
from vesalius.testing.variants import alpha_variant, alpha_variants

__all__ = [
    "KINDS",
    "Program",
    "Step",
    "Use",
    "alpha_variant",
    "alpha_variants",
    "array_types",
    "assert_rule",
    "diagrams",
    "inputs_for",
    "parameters_for",
    "programs",
    "sizes",
    "sizes_for",
    "tubes",
]
