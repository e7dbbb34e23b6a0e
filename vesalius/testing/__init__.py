"""Hypothesis strategies for diagrams, for tests of your own: rules, modules, transformations.

    from hypothesis import given
    from vesalius import testing

    @given(testing.diagrams())
    def test_round_trip(diagram):
        assert vs.Diagram.from_json(diagram.to_json()) == diagram

`assert_rule(rule)` checks a rule of your own as the library's are checked, and raises
`AssertionError` with a counterexample, so a test of it is one line. `hosts(rule)` are diagrams in
which it stands, for properties of your own:

    @given(testing.hosts(my_rule))
    def test_it_never_makes_a_diagram_dearer(before):
        for match in matches(my_rule, before):
            assert cost(apply(before, match)) <= cost(before)

Needs `hypothesis`. Everything shrinks: towards fewer boxes, fewer axes, smaller sizes.
"""

from vesalius.rewrite.check import assert_rule
from vesalius.testing.hosts import hosts
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
    "hosts",
    "inputs_for",
    "parameters_for",
    "programs",
    "sizes",
    "sizes_for",
    "tubes",
]
