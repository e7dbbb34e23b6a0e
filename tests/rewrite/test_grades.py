"""Grades as an algebra: how promises compose along a derivation and inside a context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.rewrite.grade import EQUAL, GRADES, VARIANT, Context, Grade, Precision, Relation

errors = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0, 4.0]))
grades = st.builds(
    Grade, st.sampled_from(Relation), st.sampled_from(Precision), st.booleans(), errors
)
names = st.sampled_from([(), ("w",)])
contexts = st.builds(Context, names, names, st.sampled_from(["", "sign"]), errors)


@given(grades, grades, grades)
def test_composition_is_associative(a: Grade, b: Grade, c: Grade) -> None:
    assert a.then(b).then(c) == a.then(b.then(c))


@given(grades)
def test_equal_is_the_unit_and_variant_absorbs(a: Grade) -> None:
    assert EQUAL.then(a) == a == a.then(EQUAL)
    assert VARIANT.then(a) == VARIANT == a.then(VARIANT)


@given(grades, grades, grades)
def test_composition_is_monotone(strong: Grade, weak: Grade, other: Grade) -> None:
    """A better part never makes a worse whole."""
    if strong.implies(weak):
        assert strong.then(other).implies(weak.then(other))
        assert other.then(strong).implies(other.then(weak))


@given(grades, grades, grades)
def test_implication_is_an_order(a: Grade, b: Grade, c: Grade) -> None:
    assert a.implies(a)
    assert EQUAL.implies(a)
    assert a.implies(VARIANT)
    if a.implies(b) and b.implies(a):
        assert a == b
    if a.implies(b) and b.implies(c):
        assert a.implies(c)


@given(grades, grades)
def test_a_composite_promises_no_more_than_its_parts(a: Grade, b: Grade) -> None:
    whole = a.then(b)
    assert a.implies(whole)
    assert b.implies(whole)


@given(grades, grades)
def test_reading_backwards_turns_a_composite_round(a: Grade, b: Grade) -> None:
    assert a.then(b).inverse() == b.inverse().then(a.inverse())
    assert a.inverse().inverse() == a


def test_up_and_then_down_makes_siblings() -> None:
    up, down = GRADES["generalises"], GRADES["reduces"]
    assert up.inverse() == down
    assert up.then(up) == up
    assert down.then(down) == down
    assert up.then(down) == down.then(up) == VARIANT


def test_errors_add_and_an_unknown_one_leaves_no_bound() -> None:
    def within(error: float | None) -> Grade:
        return Grade(Relation.EQUAL, Precision.BOUND, True, error)

    assert within(0.5).then(within(0.25)).error == 0.75
    assert within(0.5).then(EQUAL).error == 0.5
    assert within(0.5).then(within(None)).error is None
    assert str(within(None)) == "approximates, no bound known"
    assert str(within(0.5).then(GRADES["reduces"])) == "approximates, within 0.5"


def test_what_a_grade_cannot_use_is_dropped() -> None:
    """So that two grades that promise the same are one value."""
    assert Grade(Relation.UNKNOWN, Precision.LIMIT, True, 1.0) == VARIANT
    assert Grade(Relation.CONTAINS, same=True) == GRADES["reduces"]
    assert Grade(Relation.EQUAL, Precision.EXACT, True, 1.0) == EQUAL
    with pytest.raises(vs.FormatError, match="at least 0"):
        Grade(Relation.EQUAL, Precision.BOUND, error=-1.0)


@pytest.mark.parametrize("name", GRADES)
def test_a_grade_has_the_name_by_which_rules_declare_it(name: str) -> None:
    assert GRADES[name].name == name


# -- in a context -------------------------------------------------------------------------------


@given(grades, contexts)
def test_a_context_never_adds_to_a_promise_of_functions(a: Grade, where: Context) -> None:
    inside = a.within(where)
    assert a.relation is Relation.EQUAL or inside.relation in (a.relation, Relation.UNKNOWN)
    assert inside == VARIANT or inside.precision is a.precision


@given(grades, grades, contexts)
def test_a_context_is_monotone(strong: Grade, weak: Grade, where: Context) -> None:
    if strong.implies(weak):
        assert strong.within(where).implies(weak.within(where))


@given(contexts)
def test_equal_holds_in_every_context(where: Context) -> None:
    assert EQUAL.within(where) == EQUAL


def test_weights_that_the_rest_uses_too_weaken_a_step() -> None:
    """The rest keeps the old weights: more can be done than before, not less."""
    tied = Context(shared=("wk",))
    assert GRADES["reduces"].within(tied) == VARIANT
    assert GRADES["reparametrised"].within(tied) == GRADES["generalises"]
    assert GRADES["generalises"].within(tied) == GRADES["generalises"]
    assert GRADES["generalises"].within(Context(kept=("wk",))) == VARIANT
    assert GRADES["reduces"].within(Context()) == GRADES["reduces"]


def test_limits_and_bounds_do_not_pass_through_jumps() -> None:
    jump = Context(breaks="sign", lipschitz=1.0)
    assert GRADES["limit"].within(jump) == VARIANT
    assert GRADES["approximates"].within(jump) == VARIANT
    assert GRADES["reduces"].within(jump) == GRADES["reduces"]


def test_an_error_grows_by_a_stated_lipschitz_constant_or_is_unknown() -> None:
    bound = Grade(Relation.EQUAL, Precision.BOUND, True, 0.5)
    assert bound.within(Context(lipschitz=3.0)).error == 1.5
    assert bound.within(Context()).error is None
    assert bound.within(Context()).then(bound.within(Context(lipschitz=1.0))).error is None
