"""What each mechanism claims about causality and caching, found out by perturbation."""

import pytest

import vesalius as vs
from vesalius.inspect.perturb import LONGEST, change_from, growth_from, shallow

LENGTHS = {
    "flash": (3, 6, 9),
    "nystromformer": (3, 6, 9),
    "synthesizer_factorised_dense": (4, 6, 8),
    "sinkhorn": (4, 8, 12),
}
"""For mechanisms whose length cannot be any: those that are tried."""

LOCAL = {"sliding_window", "strided", "poolformer", "light_convolution", "dynamic_convolution"}
"""Mechanisms in which an output depends on near positions only, whether causal or not."""

SEEDS = range(4)  # a weight that is cut off at 0 may stay there: what counts is what can happen


def lengths(mechanism):
    return LENGTHS.get(mechanism.name, (3, 4, 7, LONGEST))


def requests(mechanism, claim):
    """The diagrams for which a claim is made: as built or on request, in every form."""
    asked = {"causal": True} if claim == "request" else {}
    yield shallow(mechanism, **asked)
    for form in ("weights", "scan") if "form" in mechanism.options else ():
        inner = {"attention": "linear"} if "attention" in mechanism.options else {}
        yield shallow(mechanism, **asked, **inner, form=form)


def any_of(rows):
    """For each position whether any of the rows has it."""
    return [any(row) for row in zip(*rows, strict=True)]


def those(wanted):
    found = [m for m in vs.anatomy if wanted(m)]
    return pytest.mark.parametrize("mechanism", [pytest.param(m, id=m.name) for m in found])


@those(lambda m: m.causal != "never")
def test_an_output_of_a_causal_mechanism_does_not_depend_on_later_positions(mechanism):
    for diagram in requests(mechanism, mechanism.causal):
        for n in lengths(mechanism):
            for at in range(1, n):
                found = any_of(change_from(diagram, at, n, seed) for seed in SEEDS)
                assert found == [i >= at for i in range(n)], (n, at)


@those(lambda m: m.causal != "always")
def test_without_the_request_outputs_depend_on_later_positions(mechanism):
    diagram = shallow(mechanism)
    n = max(lengths(mechanism))
    found = any_of(change_from(diagram, n - 1, n, seed) for seed in range(8))
    assert any(found[:-1]) if mechanism.name in LOCAL else all(found)


@those(lambda m: m.cacheable != "never")
def test_appended_positions_leave_the_outputs_of_a_cacheable_mechanism(mechanism):
    for diagram in requests(mechanism, mechanism.cacheable):
        *short, longest = lengths(mechanism)
        for n in short:
            assert not any(any_of(growth_from(diagram, n, longest, seed) for seed in SEEDS)), n


@those(lambda m: m.cacheable == "never")
def test_appended_positions_change_the_outputs_of_any_other(mechanism):
    diagram = shallow(mechanism, **({"causal": True} if mechanism.causal == "request" else {}))
    *short, longest = lengths(mechanism)
    assert any(any(growth_from(diagram, n, longest, seed)) for n in short for seed in SEEDS)


def test_the_option_is_there_exactly_where_causality_can_be_requested():
    for mechanism in vs.anatomy:
        assert ("causal" in mechanism.options) == (mechanism.causal == "request"), mechanism.name
