"""Exact rationals: exact results, infinities as masks, and refusals that say why."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.errors import Outside, SizeError, TypeClash
from vesalius.diagrams.meaning.rational import RationalAlgebra

MINUS_INFINITY = float("-inf")


def evaluate(body, *inputs, types=("n",), **options):
    builder = vs.Builder("f")
    wires = [builder.input(f"x{k}", type_) for k, type_ in enumerate(types)]
    with builder:
        diagram = builder.diagram(out=body(*wires))
    return diagram.evaluate(*inputs, algebra="rational", **options)


def test_thirds_are_thirds():
    third = evaluate(lambda x: x / 3, [1, 2])
    assert third.tolist() == [Fraction(1, 3), Fraction(2, 3)]
    assert evaluate(lambda x: vs.sum(x / 3, "n"), [1, 1, 1]).item() == 1
    assert evaluate(lambda x: x + 10**30 - 10**30, [1]).tolist() == [1]


def test_an_input_float_is_the_binary_fraction_that_it_is():
    assert evaluate(lambda x: x * 1, [0.1]).tolist() == [Fraction(0.1)]
    assert evaluate(lambda x: x * 0.1, [1]).tolist() == [Fraction(0.1)]


@pytest.mark.parametrize(
    "given_",
    [
        [1, Fraction(1, 2), 2.5],
        (1, 0.5, 2.5),
        np.array([1, 0.5, 2.5]),
        np.array([1, 0.5, 2.5], dtype=np.float32),
        np.array([1, Fraction(1, 2), np.float64(2.5)], dtype=object),
        torch.tensor([1, 0.5, 2.5], requires_grad=True),
        torch.tensor([1, 0.5, 2.5], dtype=torch.bfloat16),
        [np.int64(1), np.float64(0.5), 2.5],
    ],
)
def test_what_an_input_may_be(given_):
    result = evaluate(lambda x: x * 2, given_)
    assert result.tolist() == [2, 1, 5]
    assert all(isinstance(entry, Fraction) for entry in result)


@pytest.mark.parametrize("algebra", ["rational", "field", "sympy"])
@pytest.mark.parametrize(
    ("type_", "wrong", "message"),
    [
        ("n", [True], "True"),
        ("n", [1j], "1j"),
        ("n", ["1"], "'1'"),
        ("n", [math.nan], "nan"),
        ("n", [None], "None"),
        ("n int", [1.0], "1.0"),
        ("n int", [True], "True"),
        ("n int", torch.tensor([1.0]), "1.0"),
        ("n bool", [1], "1"),
        ("n bool", np.array([0.0]), "0.0"),
    ],
)
def test_what_an_input_may_not_be(algebra, type_, wrong, message):
    builder = vs.Builder("f")
    x = builder.input("x", type_)
    with pytest.raises(TypeClash, match=message):
        builder.diagram(out=x).evaluate(wrong, algebra=algebra)


def test_ragged_rows_and_wrong_shapes():
    with pytest.raises(SizeError, match="length"):
        evaluate(lambda x: x * 2, [[1, 2], [3]], types=("n m",))
    with pytest.raises(SizeError, match="dimensions"):
        evaluate(lambda x: x * 2, [[1, 2]])


# -- infinities -----------------------------------------------------------------------------------


def test_infinities_are_values_of_maxima_comparisons_and_sums():
    mask = [MINUS_INFINITY, 0, 1]
    assert evaluate(lambda x: vs.max(x, "n"), mask).item() == 1
    assert evaluate(lambda x: vs.min(x, "n"), mask).item() == MINUS_INFINITY
    assert evaluate(lambda x: x + 5, mask).tolist() == [MINUS_INFINITY, 5, 6]
    assert evaluate(lambda x: vs.sum(x, "n"), mask).item() == MINUS_INFINITY
    assert evaluate(lambda x: x < 0, mask).tolist() == [True, False, False]
    assert evaluate(vs.relu, mask).tolist() == [0, 0, 1]
    assert evaluate(vs.sign, mask).tolist() == [-1, 0, 1]
    assert evaluate(vs.negate, mask).tolist() == [math.inf, 0, -1]
    assert all(isinstance(entry, Fraction) for entry in evaluate(vs.relu, mask))
    chosen = evaluate(lambda x: vs.where(x < 1, x, MINUS_INFINITY), [0, 1])
    assert chosen.tolist() == [0, MINUS_INFINITY]
    top = evaluate(lambda x: vs.topk(x, "n", "k:2")[1], mask)
    assert top.tolist() == [2, 1]
    assert evaluate(lambda x: vs.to_float(x) + x, mask).tolist() == [MINUS_INFINITY, 0, 2]
    padded = evaluate(lambda x: vs.pad(x, "n", 1, value=MINUS_INFINITY), [1])
    assert padded.tolist() == [MINUS_INFINITY, 1]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x * 2,
        lambda x: vs.contract(x, x, over="n"),
        lambda x: x - x,
        lambda x: vs.sum(vs.where(vs.less(x, 0), x, math.inf), "n"),
        lambda x: x**2,
        lambda x: 1 / x,
        vs.floor,
        vs.to_int,
        vs.sqrt,
    ],
)
def test_infinities_are_refused_where_they_would_be_lost(body):
    with pytest.raises(Outside):
        evaluate(body, [MINUS_INFINITY, 2])


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (vs.exp, "exp"),
        (vs.log, "log"),
        (vs.tanh, "tanh"),
        (vs.gelu, "gelu"),
        (vs.sqrt, "square root of 2"),
        (lambda x: vs.sqrt(-x), "negative"),
        (lambda x: vs.power(x, exponent=0.5), "1/2"),
        (lambda x: 1 / (x - 2), "zero"),
        (lambda x: (x - 2) ** -1, "power"),
        (lambda x: vs.softmax(x, "n"), "softmax"),
        (lambda x: vs.fourier(x, over="n")[0], "rational"),
    ],
)
def test_what_is_not_rational_is_outside(body, message):
    with pytest.raises(Outside, match=message):
        evaluate(body, [2, 2, 2])


def test_roots_of_squares():
    assert evaluate(vs.sqrt, [Fraction(9, 4), 0, 16]).tolist() == [Fraction(3, 2), 0, 4]
    assert evaluate(lambda x: x / vs.sqrt(vs.size("n")), [1, 2, 3, 4])[0] == Fraction(1, 2)


def test_the_largest_of_nothing():
    with pytest.raises(SizeError, match="size 0"):
        evaluate(lambda x: vs.max(x, "n"), [])


def test_sums_of_nothing_are_zeros():
    total = evaluate(lambda x: vs.sum(x, "m"), np.zeros((2, 0)), types=("n m",))
    assert total.tolist() == [0, 0]
    assert all(isinstance(entry, Fraction) for entry in total)


def test_an_exact_form_that_rounds_is_refused():
    halved = vs.function("meaning_test_halved", lambda x: x * 0.5, exact=lambda x: float(x) * 0.5)
    with pytest.raises(Outside, match="float"):
        evaluate(halved, [1, 3])
    rounded = vs.box("meaning_test_rounded", "n -> n", lambda x: x, exact=lambda x: x.astype(float))
    with pytest.raises(Outside, match="float"):
        evaluate(rounded, [1, 3])
    without = vs.box("meaning_test_without", "n -> n", lambda x: x)
    with pytest.raises(Outside, match="exact form"):
        evaluate(without, [1, 3])


def test_a_function_of_a_users_own():
    cube = vs.function(
        "meaning_test_power_plus",
        lambda x, shift: x**3 + shift,
        exact=lambda x, shift: x**3 + shift,
        parameters=("shift",),
    )
    assert evaluate(lambda x: cube(x, shift=0.25), [2]).tolist() == [Fraction(33, 4)]


def test_a_box_of_a_users_own():
    order = vs.box("meaning_test_order", "n -> n, n int", None, exact=lambda x: (-x, np.argsort(x)))
    assert evaluate(lambda x: order(x)[1], [3, 1, 2]).tolist() == [1, 2, 0]
    assert evaluate(lambda x: order(x)[0], [3, 1]).tolist() == [-3, -1]


# -- laws -----------------------------------------------------------------------------------------


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=7), st.booleans())
def test_topk_is_a_stable_sort(values, largest):
    for k in range(len(values) + 1):
        builder = vs.Builder("f")
        x = builder.input("x", f"n:{len(values)}")
        top, places = vs.topk(x, "n", f"k:{k}", largest=largest)
        diagram = builder.diagram(top=top, places=places)
        exact = diagram.evaluate(values, algebra="rational")
        reference = diagram.evaluate(values)
        assert exact[0].tolist() == reference[0].tolist()
        assert exact[1].tolist() == reference[1].tolist()


def test_same():
    algebra = RationalAlgebra()
    x = algebra.array([1, MINUS_INFINITY], "float")
    assert algebra.same(x, algebra.array([1.0, MINUS_INFINITY], "float"))
    assert not algebra.same(x, algebra.array([1, 0], "float"))
    assert not algebra.same(x, x.reshape(2, 1))
    assert not algebra.same(x, x[:1])


def test_arbitrary_values_are_floats_too():
    algebra = RationalAlgebra()
    drawn = algebra.arbitrary("w", [300], seed=1)
    assert all(isinstance(x, Fraction) and Fraction(float(x)) == x for x in drawn)
    assert len(set(drawn)) > 150
    assert min(drawn) < -1 < 1 < max(drawn)
    assert algebra.same(drawn, algebra.arbitrary("w", [300], seed=1))
    assert not algebra.same(drawn, algebra.arbitrary("v", [300], seed=1))
    assert not algebra.same(drawn, algebra.arbitrary("w", [300], seed=2))
