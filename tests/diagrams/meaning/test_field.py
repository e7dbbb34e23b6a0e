"""The finite-field pair: residues, the exponential, roots, masks, what it refuses."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from field_pairs import exponential, made, pair
from hypothesis import assume, example, given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.errors import Outside, TypeClash
from vesalius.diagrams.meaning.field import FieldAlgebra, ZeroDenominator, acceptance, trials
from vesalius.diagrams.meaning.residues import ABSENT, LARGEST, P, Q, rational

MINUS_INFINITY = float("-inf")
# So small that neither one of them nor a difference of two has a numerator of Q or more.
FRACTIONS = st.fractions(max_denominator=1000).filter(lambda x: abs(x.numerator) < 400_000)


@vs.diagram
def weights(s: "n m") -> "n m":
    return vs.softmax(s, "m")


# -- the primes -----------------------------------------------------------------------------------


def test_primes():
    assert sympy.isprime(P)
    assert sympy.isprime(Q)
    assert P == 2 * Q + 1
    assert P < 2**31  # so that the product of two residues fits in 64 bits
    for prime in sympy.primerange(24):
        assert sympy.jacobi_symbol(prime, P) == sympy.jacobi_symbol(prime, Q) == 1


def test_omega_has_order_q_and_is_drawn_anew_for_each_run(algebra):
    found = set()
    for seed in range(20):
        algebra.begin({}, {}, seed)
        one = algebra.exp(pair(1, algebra))["p"].item()
        assert sympy.n_order(one, P) == Q
        found.add(one)
    assert len(found) == 20


# -- arithmetic -----------------------------------------------------------------------------------


@given(FRACTIONS, FRACTIONS)
def test_residues_are_a_homomorphism(a, b):
    algebra = FieldAlgebra()
    x, y = pair(a, algebra), pair(b, algebra)
    assert algebra.same(algebra.plus(x, y), pair(a + b, algebra))
    assert algebra.same(algebra.times(x, y), pair(a * b, algebra))
    if b:
        assert algebra.same(algebra.times(x, algebra.inverse(y)), pair(a / b, algebra))
        assert algebra.same(algebra.power(y, -3), pair(b**-3, algebra))
    assert algebra.same(algebra.power(x, 5), pair(a**5, algebra))
    assert algebra.same(x, y) == (a == b)


@given(FRACTIONS, FRACTIONS, st.integers(0, 50))
def test_the_exponential_is_a_homomorphism(a, b, seed):
    algebra = FieldAlgebra()
    algebra.begin({}, {}, seed)
    x, y = algebra.exp(pair(a, algebra)), algebra.exp(pair(b, algebra))
    assert algebra.same(algebra.times(x, y), algebra.exp(pair(a + b, algebra)))
    assert algebra.same(algebra.inverse(x), algebra.exp(pair(-a, algebra)))
    assert algebra.same(x, y) == (a == b)
    assert x["q"] == ABSENT


@given(st.integers(0, Q - 1), st.integers(0, 9))
def test_the_exponential_is_the_power_of_omega(exponent, seed):
    algebra = FieldAlgebra()
    algebra.begin({}, {}, seed)
    omega = algebra.exp(pair(1, algebra))["p"].item()
    assert algebra.exp(made((7, exponent)))["p"].item() == pow(omega, exponent, P)


def test_sums_of_the_largest_residues_do_not_overflow():
    @vs.diagram
    def total(x: "n", y: "n") -> "":
        return vs.contract(x, y, over="n")

    count = 4000
    x = made(*[(P - 1, Q - 1)] * count)
    result = total.evaluate(x, x, algebra="field")
    assert result.tolist() == (count, count)  # (-1)·(-1), summed
    assert FieldAlgebra().total(x, [0]).tolist() == [(P - count, Q - count)]


def test_floats_are_the_binary_fractions_that_they_are(algebra):
    assert algebra.same(pair(0.1, algebra), pair(Fraction(0.1), algebra))
    assert not algebra.same(pair(0.1, algebra), pair(Fraction(1, 10), algebra))


def test_a_zero_denominator_asks_to_draw_again(algebra):
    @vs.diagram
    def inverse(x: "n") -> "n":
        return 1 / x

    for zero in ((0, 5), (5, 0), (0, 0)):
        with pytest.raises(ZeroDenominator, match="draw again"):
            inverse.evaluate(made((1, 1), zero), algebra=algebra)
    assert issubclass(ZeroDenominator, Outside)
    inverse.evaluate(made((1, 1), (5, ABSENT)), algebra=algebra)  # an absent residue is not 0


def test_a_constant_whose_denominator_is_a_prime_is_outside(algebra):
    for prime in (P, Q):
        with pytest.raises(Outside, match="denominator"):
            pair(Fraction(1, prime), algebra)


# -- roots ----------------------------------------------------------------------------------------


def root(value, algebra):
    return algebra.sqrt(pair(value, algebra))


@pytest.mark.parametrize("size", range(1, 29))
def test_roots_of_sizes(size, algebra):
    """√d·√d = d, √(d²) = d, and √(d·e) = √d·√e, all with one choice of signs."""
    here = root(size, algebra)
    assert algebra.same(algebra.times(here, here), pair(size, algebra))
    assert algebra.same(root(size * size, algebra), pair(size, algebra))
    assert algebra.same(root(Fraction(1, size), algebra), algebra.inverse(here))
    for other in range(1, 29):
        both = algebra.times(here, root(other, algebra))
        assert algebra.same(root(size * other, algebra), both)
    assert not algebra.unspecified


def test_roots_of_what_is_no_square(algebra):
    with pytest.raises(Outside, match="prime factors are at most 23"):
        root(29, algebra)
    with pytest.raises(Outside, match="not real"):
        root(-4, algebra)
    assert root(0, algebra).tolist() == (0, 0)


def test_the_root_of_a_variable_is_unspecified(algebra):
    x = algebra.arbitrary("x", [50])
    y = algebra.sqrt(x)
    assert algebra.unspecified == {"sqrt"}
    assert algebra.same(y, algebra.sqrt(x))
    squares = algebra.times(y, y)
    assert not np.isin(squares["p"], x["p"]).any()  # no root is found by chance
    mixed = algebra.sqrt(np.concatenate([x[:1], algebra.floats(np.array([4], dtype=object))]))
    assert algebra.same(mixed[0], y[0])
    assert algebra.same(mixed[1], pair(2, algebra))


@given(st.fractions(max_denominator=LARGEST))
@example(Fraction(LARGEST))
@example(Fraction(-LARGEST, LARGEST - 1))
@example(Fraction(LARGEST - 1, LARGEST))
def test_small_rationals_are_recognised(value):
    assume(abs(value.numerator) <= LARGEST)
    p, q = pair(value, FieldAlgebra()).tolist()
    assert rational(p, q) == value


def test_arbitrary_numbers_are_not_taken_for_rationals(algebra):
    for p, q in algebra.arbitrary("x", [2000]).tolist():
        assert rational(p, q) is None
    assert rational(1, ABSENT) is None


# -- minus infinity -------------------------------------------------------------------------------


def test_minus_infinity_is_a_mask(algebra):
    bottom = algebra.array([MINUS_INFINITY, 0.0], "float")
    other = algebra.array([3.0, MINUS_INFINITY], "float")
    both = algebra.plus(bottom, algebra.array([1.0, 1.0], "float"))
    assert both.tolist()[0] == (ABSENT, ABSENT)
    assert both.tolist()[1] == (1, 1)
    assert algebra.plus(bottom, other).tolist() == [(ABSENT, ABSENT)] * 2
    assert algebra.exp(bottom).tolist()[0] == (0, 0)
    assert algebra.same(bottom, bottom)
    assert not algebra.same(bottom, algebra.array([0.0, 0.0], "float"))


def test_rows_that_see_nothing_get_zeros(algebra):
    s = algebra.arbitrary("s", [3, 2])
    s[1] = (ABSENT, ABSENT)
    s[2, 0] = (ABSENT, ABSENT)
    w = weights.evaluate(s, algebra=algebra)
    assert w[1].tolist() == [(0, 0), (0, 0)]
    assert w[2]["p"].tolist() == [0, 1]
    assert algebra.total(w, [1])["p"].ravel().tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x * 2,
        lambda x: 1 / x,
        lambda x: -x,
        lambda x: x**2,
        vs.tanh,
        vs.sigmoid,
        vs.gelu,
        vs.sqrt,
        lambda x: vs.contract(x, x, over="n"),
    ],
)
def test_minus_infinity_is_refused_elsewhere(body):
    builder = vs.Builder("f")
    x = builder.input("x", "n")
    diagram = builder.diagram(out=body(x))
    with pytest.raises(Outside, match="infinity"):
        diagram.evaluate([MINUS_INFINITY, 1.0], algebra="field")


def test_residues_are_floats(algebra):
    x = algebra.arbitrary("x", [2])
    assert exponential.evaluate(x, algebra=algebra).shape == (2,)
    for dtype in ("int", "bool"):
        with pytest.raises(TypeClash, match=dtype):
            algebra.array(x, dtype)


def test_plus_infinity_and_nan_are_refused(algebra):
    with pytest.raises(Outside, match="inf"):
        exponential.evaluate([math.inf], algebra=algebra)
    with pytest.raises(TypeClash, match="nan"):
        exponential.evaluate([math.nan], algebra=algebra)


# -- comparison -----------------------------------------------------------------------------------


def test_same(algebra):
    x = made((1, 1), (2, ABSENT))
    assert algebra.same(x, made((1, 1), (2, 5)))
    assert algebra.same(x, made((1, ABSENT), (2, ABSENT)))
    assert not algebra.same(x, made((1, 2), (2, 5)))  # known on both sides, and different
    assert not algebra.same(x, made((1, 1), (3, 5)))
    assert not algebra.same(made((1, 0)), made((1, 5)))  # 0 is known
    assert not algebra.same(x, x.reshape(2, 1))
    assert not algebra.same(x, x[:1])
    ones = np.array([1, 1], dtype=object)
    assert algebra.same(made((1, 1), (1, 1)), ones)
    assert not algebra.same(made((1, 1), (1, 1)), np.array([True, True]))
    assert algebra.same(ones, ones)
    assert not algebra.same(np.array([True, False]), np.array([True, True]))


def test_draws_depend_on_the_seed_the_name_and_nothing_else(algebra):
    x = algebra.arbitrary("x", [3, 4], seed=7)
    assert algebra.same(x, FieldAlgebra().arbitrary("x", [3, 4], seed=7))
    assert not algebra.same(x, algebra.arbitrary("x", [3, 4], seed=8))
    assert not algebra.same(x, algebra.arbitrary("y", [3, 4], seed=7))
    assert len(set(algebra.arbitrary("z", [1000])["p"].tolist())) == 1000
    algebra.begin({}, {}, 7)
    assert algebra.same(x, algebra.arbitrary("x", [3, 4]))


def test_a_parameter_is_arbitrary_whatever_its_initialisation():
    """Else dropping a bias that starts at 0 would pass for an identity."""

    @vs.diagram
    def biased(x: "n") -> "n":
        return x + vs.parameter("b", "n", init="zeros")

    algebra = FieldAlgebra()
    x = algebra.arbitrary("x", [3])
    assert not algebra.same(biased.evaluate(x, algebra=algebra), x)
    given_ = biased.evaluate(x, algebra=algebra, parameters={"b": [0, 0, 0]})
    assert algebra.same(given_, x)


def test_bounds():
    """Theorems 2 and 3 of arXiv 2405.05751, worked out by hand."""
    assert [trials(k, 1e-9) for k in (1, 2, 4, 16)] == [2, 5, 17, 258]
    assert acceptance(0, 10) == pytest.approx(10 / P)
    assert acceptance(1, 1) == pytest.approx(9 / Q)
    assert acceptance(2, 3) == pytest.approx(8 * 3 * 16 / Q + Q**-0.25)
    assert acceptance(100, 10**9) == 1
