"""The float behaviour of rules: measured, and right where it can be worked out."""

import math

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.errors import StructureError
from vesalius.rewrite.float_behaviour import DTYPES, MAGNITUDES, float_behaviour
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules import RULES


@pytest.fixture(scope="module")
def softmax():
    return float_behaviour(RULES["unfold_softmax"])


def test_there_is_a_row_for_each_type_and_magnitude(softmax):
    assert [(row.dtype, row.magnitude) for row in softmax.rows] == [
        (dtype, magnitude) for dtype in DTYPES for magnitude in MAGNITUDES
    ]


def test_exponentials_without_a_shift_overflow(softmax):
    """exp overflows float32 beyond 88.7, so at magnitude 10 nothing is lost, at 100 something."""
    assert softmax.row("float32", 10.0).right_lost == 0
    assert 0 < softmax.row("float32", 100.0).right_lost < 1
    assert all(row.left_lost == 0 for row in softmax.rows)
    assert not softmax.safe
    assert "lost" in str(softmax)


def test_errors_are_of_the_size_of_the_last_place(softmax):
    for dtype in DTYPES:
        last = torch.finfo(getattr(torch, dtype)).eps
        row = softmax.row(dtype, 1.0)
        assert last / 100 < row.left < 10 * last
        assert last / 100 < row.right < 10 * last


def test_what_minus_infinity_does_is_noted(softmax):
    assert softmax.notes == ("the right side is not a number where s is all −∞",)


def test_cancellation_shows():
    @rule("equal")
    def shifted(x: "", y: "") -> "":
        """(x + 2¹⁵·y) − 2¹⁵·y = x"""
        return (x + 2.0**15 * y) - 2.0**15 * y, vs.like(x, y)

    table = float_behaviour(shifted)
    row = table.row("float32", 1.0)
    assert row.right == 0
    assert 1e-4 < row.left < 0.1
    assert table.row("bfloat16", 1.0).left >= 1  # nothing of x is left


def test_the_error_is_that_of_the_sides_and_not_of_the_rounding_of_inputs():
    @rule("equal")
    def negated(x: "") -> "":
        return vs.negate(vs.negate(x)), x

    for row in float_behaviour(negated).rows:
        assert (row.left, row.right, row.left_lost, row.right_lost) == (0, 0, 0, 0)


def test_a_pair_of_diagrams_is_measured_too():
    @vs.diagram
    def one(x: "n") -> "":
        return vs.sum(x, "n")

    @vs.diagram
    def other(x: "n") -> "":
        return vs.contract(x, 1.0, over="n")

    table = float_behaviour((one, other))
    assert table.name == "one = other"
    assert table.safe
    with pytest.raises(LookupError):
        table.row("float64", 1.0)


def test_a_hole_has_no_float_behaviour():
    @vs.diagram
    def hole(x: "n d") -> "n e":
        return vs.learner("u", x, binds="d", into="e")

    with pytest.raises(StructureError, match="hole"):
        float_behaviour((hole, hole))


def test_every_rule_of_the_library_has_a_table():
    for known in RULES.values():
        if known.grade.name == "equal":
            table = float_behaviour(known)
            assert len(table.rows) == len(DTYPES) * len(MAGNITUDES)
            assert all(math.isfinite(row.left) and math.isfinite(row.right) for row in table.rows)
