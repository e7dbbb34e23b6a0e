"""Sizes hold against Python's integers, fractions and SymPy, whatever is built from them."""

import copy
import itertools
import math
import operator
import pickle
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.formulas import MAX_TEXT
from vesalius.diagrams.sizes import (
    MAX_EXPONENT,
    ONE,
    ZERO,
    Size,
    number,
    parse,
    product,
    size,
    variable,
)

NAMES = ("a", "b", "n")
n, m, c, d, h = (variable(name) for name in "nmcdh")

# -- formulas as trees, with two meanings -----------------------------------------------------

ROUNDED = ("exact", "floor", "ceil")
OPERATIONS: dict[str, Callable[[Size, Size], Size]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "exact": operator.truediv,
    "floor": operator.floordiv,
    "ceil": Size.ceil_div,
}

leaves = st.sampled_from(NAMES) | st.integers(-6, 9)
polynomial_trees = st.recursive(
    leaves, lambda t: st.tuples(st.sampled_from(["add", "sub", "mul"]), t, t), max_leaves=7
)
trees = st.recursive(
    leaves, lambda t: st.tuples(st.sampled_from(sorted(OPERATIONS)), t, t), max_leaves=7
)
environments = st.fixed_dictionaries({name: st.integers(0, 12) for name in NAMES})


class Undefined(Exception):
    """The formula has no value here: a division by zero, or a quotient that leaves a rest."""


def build(tree) -> Size:
    if isinstance(tree, tuple):
        return OPERATIONS[tree[0]](build(tree[1]), build(tree[2]))
    return size(tree)


def value(tree, at: Mapping[str, int]) -> int:
    """What Python's integers and fractions say."""
    if isinstance(tree, str):
        return at[tree]
    if isinstance(tree, int):
        return tree
    how, left, right = tree[0], value(tree[1], at), value(tree[2], at)
    if how in ROUNDED:
        if right == 0:
            raise Undefined
        ratio = Fraction(left, right)
        if how == "exact" and ratio.denominator != 1:
            raise Undefined
        return {"exact": int, "floor": math.floor, "ceil": math.ceil}[how](ratio)
    return {"add": operator.add, "sub": operator.sub, "mul": operator.mul}[how](left, right)


def built(tree) -> Size:
    """The size of a tree; trees that have no value anywhere are passed over."""
    try:
        return build(tree)
    except SizeError:
        assume(False)
        raise


sizes = trees.map(built)
polynomials = polynomial_trees.map(build)
monomials = st.lists(st.sampled_from(NAMES), max_size=3).flatmap(
    lambda names: st.integers(1, 6).map(lambda k: product(map(size, names)) * k)
)


# -- values -----------------------------------------------------------------------------------


@given(trees, environments)
def test_a_size_has_the_value_of_its_formula(tree, at) -> None:
    try:
        expected = value(tree, at)
    except Undefined:
        assume(False)
    assert build(tree).at(at) == expected


@given(trees, st.lists(environments, min_size=5, max_size=5))
def test_a_formula_is_refused_only_where_it_has_no_value(tree, places) -> None:
    try:
        build(tree)
    except SizeError:
        for at in places:
            with pytest.raises(Undefined):
                value(tree, at)


@given(st.sampled_from(ROUNDED), st.integers(-40, 40), st.integers(-9, 9).filter(bool))
def test_quotients_of_integers_are_python_s(how: str, top: int, bottom: int) -> None:
    if how == "exact" and top % bottom:
        with pytest.raises(SizeError, match="leaves a rest"):
            size(top) / bottom
    else:
        expected = {"exact": top // bottom, "floor": top // bottom, "ceil": -(-top // bottom)}
        assert OPERATIONS[how](size(top), size(bottom)) == expected[how]


@given(sizes, environments)
def test_sympy_agrees(x: Size, at) -> None:
    at = {name: length + 1 for name, length in at.items()}  # its symbols are positive
    expression = x.sympy()
    there = expression.subs({symbol: at[symbol.name] for symbol in expression.free_symbols})
    try:
        here = x.at(at)
    except SizeError:
        assume(False)
    assert there == here


def test_an_exact_quotient_must_come_out_even() -> None:
    half = d / 2
    assert half.at({"d": 6}) == 3
    with pytest.raises(SizeError, match=r"d/2 is 7/2, no integer, for d=7"):
        half.at({"d": 7})
    with pytest.raises(SizeError, match="divides by zero"):
        (d / h).at({"d": 4, "h": 0})
    with pytest.raises(SizeError, match="divides by zero"):
        (d // h).at({"d": 4, "h": 0})
    with pytest.raises(SizeError, match="divided by zero"):
        d / (h - h)
    with pytest.raises(SizeError, match="'h' has no value"):
        (d / h).at({"d": 4})


def test_the_difference_of_two_sizes_is_no_half() -> None:
    with pytest.raises(SizeError, match="1/2 leaves a rest"):
        (n + 1) / 2 - n / 2
    with pytest.raises(SizeError, match="leaves a rest"):
        (d / 2).substitute({"d": 5})
    assert ((n + m) / 2).substitute({"n": 3, "m": 5}) == 4


# -- the normal form --------------------------------------------------------------------------


@given(sizes, sizes, sizes)
def test_ring_laws(x: Size, y: Size, z: Size) -> None:
    assert x + y == y + x
    assert x * y == y * x
    assert (x + y) + z == x + (y + z)
    assert (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x + 0 == x == x * 1
    assert x * 0 == 0 == x - x
    assert x + (-y) == x - y
    assert x**3 == x * x * x


@given(polynomials, polynomials)
def test_equality_is_sympy_s_on_polynomials(x: Size, y: Size) -> None:
    assert (x == y) == (sympy.expand(x.sympy() - y.sympy()) == 0)


@given(polynomial_trees, st.integers(2, 5))
def test_two_formulas_of_one_polynomial_are_equal_and_hash_alike(tree, k: int) -> None:
    x = build(tree)
    y = build(("sub", ("mul", tree, k), ("mul", k - 1, tree)))
    assert x == y
    assert hash(x) == hash(y)
    assert str(x) == str(y)


@given(sizes, monomials)
def test_an_exact_quotient_by_a_term_undoes_the_product(x: Size, by: Size) -> None:
    assert x * by / by == x
    assert (x * d / by) * by == x * d
    assert x * d / by + x * d / by == x * d * 2 / by


@given(polynomials, polynomials)
def test_a_product_is_divided_evenly(x: Size, y: Size) -> None:
    assume(y != 0)
    assert x * y / y == x
    assert x * y // y == x
    assert (x * y).ceil_div(y) == x


@given(polynomials, polynomials, st.integers(1, 9))
def test_whole_parts_come_out_of_a_floor(x: Size, y: Size, k: int) -> None:
    assert (x * k + y) // k == x + y // k
    assert (x * k + y).ceil_div(k) == x + y.ceil_div(k)
    assert (x + k - 1) // k == x.ceil_div(k)


@given(polynomials, st.integers(1, 5), st.integers(1, 5))
def test_floors_of_floors_and_common_factors(x: Size, k: int, j: int) -> None:
    assert (x * k) // (k * j) == x // j
    assert (x * n) // (n * j) == x // j
    assert (x * d / k) // (j + 1) == x * d // (k * (j + 1))


def test_what_must_not_be_confused() -> None:
    assert n + n == 2 * n != n
    assert n // 2 * 2 != n
    assert n // 2 != n / 2 != n.ceil_div(2) != n // 2
    assert n / h != h / n
    assert n * n != n * 2
    assert size("n") != "n"
    assert n != m


def test_splitting_an_axis_and_joining_it_again() -> None:
    assert d / 8 * 8 == d
    assert h * (d / h) == d
    assert (h * c) / h == c
    assert (2 * d) / 4 * 2 == d
    assert (n * n - 1) / (n - 1) == n + 1


def test_a_division_too_long_is_left_opaque_and_stays_right() -> None:
    many = sum((size(f"v{k}") for k in range(20)), ZERO)
    quotient = (n**40 - 1) // (many + n)
    assert quotient.variables == {"n", *many.variables}
    at = {"n": 3, **{f"v{k}": k for k in range(20)}}
    assert quotient.at(at) == (3**40 - 1) // (190 + 3)


def test_a_product_too_large_is_refused() -> None:
    many = sum((size(f"v{k}") for k in range(300)), ZERO)
    with pytest.raises(SizeError, match="more than 65536 terms"):
        many * (many + 1)


@given(st.integers(-5, 30))
def test_a_constant_size_is_its_integer(k: int) -> None:
    assert size(k) == k
    assert hash(size(k)) == hash(k)
    assert {k: "found"}[size(k)] == "found"
    assert size(k).constant == k
    assert bool(size(k)) == bool(k)
    assert size(numpy.int64(k)) == k
    assert size(str(k)) == k


def test_constants_and_variables_are_recognised() -> None:
    assert n.constant is None
    assert n.variable == "n"
    assert (n - n).constant == 0
    for other in (2 * n, n * n, n + 1, n * m, n // 2, 1 / n, ONE, ZERO):
        assert other.variable is None
    assert ((n + 1) // (2 * m) + c / (d + 1)).variables == {"n", "m", "c", "d"}


@given(sizes)
def test_sizes_are_values(x: Size) -> None:
    assert pickle.loads(pickle.dumps(x)) == x
    assert copy.deepcopy(x) == x
    with pytest.raises(AttributeError):
        x.terms = ()


# -- substitution -----------------------------------------------------------------------------


@given(sizes, st.fixed_dictionaries({"a": sizes, "b": sizes}), environments)
def test_substitution_commutes_with_evaluation(x: Size, values, at) -> None:
    try:
        outer = {"n": at["n"], **{name: one.at(at) for name, one in values.items()}}
        expected = x.at(outer)
    except SizeError:
        assume(False)
    assert x.substitute(values).at(at) == expected


@given(polynomials, polynomials, st.fixed_dictionaries({"a": sizes, "b": sizes}))
def test_substitution_is_a_homomorphism(x: Size, y: Size, values) -> None:
    assert (x + y).substitute(values) == x.substitute(values) + y.substitute(values)
    assert (x * y).substitute(values) == x.substitute(values) * y.substitute(values)


@given(sizes)
def test_substitution_is_simultaneous(x: Size) -> None:
    swapped = x.substitute({"a": "b", "b": "a"})
    assert swapped.substitute({"a": "b", "b": "a"}) == x
    assert x.substitute({"a": "a", "unknown": 3}) == x


# -- growth -----------------------------------------------------------------------------------


@given(polynomials)
def test_the_leading_terms_are_what_is_left_far_out(x: Size) -> None:
    assume(x != 0)
    leading = x.leading("n")
    polynomial = sympy.Poly(x.sympy(), sympy.Symbol("n", integer=True, positive=True))
    assert x.degree("n") == polynomial.degree()
    expected = polynomial.LC() * polynomial.gen ** polynomial.degree()
    assert sympy.expand(leading.sympy() - expected) == 0


def test_quotients_grow_as_their_parts_do() -> None:
    assert (n * n // c).degree("n") == 2
    assert (n // c + 1).leading("n") == n // c
    assert (d / h).degree("h") == -1
    assert (n / (n + 1)).degree("n") == 0
    assert ZERO.degree("n") == -1


# -- text -------------------------------------------------------------------------------------


@given(sizes)
def test_a_size_is_read_back_from_its_text(x: Size) -> None:
    assume(len(str(x)) <= MAX_TEXT)
    assert parse(str(x)) == x
    assert parse(str(x).replace(" ", "")) == x
    assert eval(repr(x), {"Size": size}) == x


@given(polynomials, environments)
def test_python_reads_the_text_of_a_polynomial_as_we_do(x: Size, at) -> None:
    assert eval(str(x), dict(at)) == x.at(at)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("n", "n"),
        ("c*h", "c*h"),
        ("h*c", "c*h"),
        ("2*d+1", "2*d + 1"),
        ("1 - n", "-n + 1"),
        ("n//2", "n//2"),
        ("a - n//2", "a - n//2"),
        ("-(n//2)", "-(n//2)"),
        ("n//2*2", "2*(n//2)"),
        ("ceil(n/2)", "ceil(n/2)"),
        ("ceil( ( n + m ) / 2 )", "ceil((m + n)/2)"),
        ("3*n/(4*h)", "3*n/(4*h)"),
        ("d/h**2", "d/(h**2)"),
        ("(n+1)/2", "(n + 1)/2"),
        ("x/y/(a+1)**2", "x/y/(a**2 + 2*a + 1)"),
        ("(n - w)//s + 1", "(n - w)//s + 1"),
        ("-n**2", "-n**2"),
        ("--n", "n"),
        ("lambda*2", "2*lambda"),
        ("ceil*2", "2*ceil"),
        ("n*0", "0"),
        ("ñ*名前", "ñ*名前"),
    ],
)
def test_texts(formula: str, text: str) -> None:
    assert str(parse(formula)) == text
    assert parse(text) == parse(formula)


@given(trees, environments)
def test_operators_bind_as_in_python(tree, at) -> None:
    """Formulas written without redundant parentheses, read by Python and by us."""
    symbols = {"add": "+", "sub": "-", "mul": "*", "floor": "//"}

    def write(tree) -> str:
        if not isinstance(tree, tuple):
            return f"({tree})" if isinstance(tree, int) and tree < 0 else str(tree)
        assume(tree[0] in symbols)
        left, right = (
            f"({write(t)})" if isinstance(t, tuple) and t[0] in ("add", "sub") else write(t)
            for t in tree[1:]
        )
        return f"{left}{symbols[tree[0]]}{right}"

    text = write(tree)
    try:
        expected = eval(text, dict(at))
    except ZeroDivisionError:
        assume(False)
    assert parse(text).at(at) == expected


NOT_FORMULAS = [
    "", " ", "n n", "2n", "n2.5", "1e5", "1_000", "0x10", "+n", "n+", "*n", "n*", "n**", "n**m",
    "n**-1", "2**n**2", "n**2**2", "(n", "n)", "()", "n[0]", "n.real", "n,m", "n%2", "n@m", "n<m",
    "n=m", "n:=1", "ceil(n)", "ceil(n/2+1)", "ceil(n//2)", "ceil()", "floor(n/2)", "len(n)",
    "__import__('os')", "'n'", "n if n else 1", "lambda: 1", "n\nm", "n;m", "#n", "n\x00", "²",
    "n²", "∞", "true/", "\\n",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_FORMULAS)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="is not a size such as"):
        parse(text)
    with pytest.raises(FormatError):
        size(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n" * (MAX_TEXT + 1), "too long"),
        ("(" * 900 + "n" + ")" * 900, "nested too deeply"),
        ("ceil(" * 300 + "n/2" + ")" * 300, "nested too deeply|is not a size"),
        ("9" * 1500, "too large"),
        ("((2**64)**64)**64", "too large"),
        ("(n**64)**64", "too large"),
        ("1/(n**64)**64", "too large"),
        ("(a+b+c+d+e)**64", "too much work"),
        ("((n+1)**64)**64", "too much work"),
        ("*".join(["(a+b+c+d)"] * 100), "too much work"),
        ("/".join(["(a+b+c+d+e-f)**3"] * 100), "too much work"),
    ],
)
def test_hostile_formulas_are_refused(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(text)


@pytest.mark.parametrize("exponent", [MAX_EXPONENT + 1, 10**9, 10**100])
def test_exponents_are_bounded(exponent: int) -> None:
    with pytest.raises(SizeError, match="integer from 0 to 64"):
        parse(f"n**{exponent}")
    with pytest.raises(SizeError, match="integer from 0 to 64"):
        n**exponent


def test_exponents_are_whole() -> None:
    for exponent in (-1, 1.0, "2"):
        with pytest.raises(SizeError):
            n**exponent
    assert n**0 == 1
    assert str(n**MAX_EXPONENT) == "n**64"


@pytest.mark.parametrize("wrong", [True, 1.0, None, b"n", [], Fraction(1, 2)])
def test_what_is_no_size_is_refused(wrong) -> None:
    with pytest.raises(SizeError, match="a size is an integer, a name or a formula"):
        size(wrong)


def test_a_variable_is_an_identifier() -> None:
    with pytest.raises(SizeError, match="identifier"):
        variable("2n")
    assert variable("é").variable == "é"


@given(st.lists(sizes, max_size=4), environments)
def test_products(factors: list[Size], at) -> None:
    try:
        expected = math.prod(one.at(at) for one in factors)
    except SizeError:
        assume(False)
    assert product(factors).at(at) == expected


def test_numbers() -> None:
    for one in (1, 2.5, Fraction(1, 3), True, math.inf):
        assert number(one) is one
    for wrong in ("1", 1j, None, [1], math.nan):
        with pytest.raises(FormatError, match="a constant is a number"):
            number(wrong)


def test_operators_take_integers_and_texts_on_both_sides() -> None:
    assert 2 + n == n + 2 == n + size("2") == "2" + n
    assert 2 * n == n * 2
    assert 6 - n == -(n - 6)
    assert (6 / n).at({"n": 3}) == 2
    assert (7 // n).at({"n": 3}) == 2
    assert (n + "m").at({"n": 1, "m": 5}) == 6


def test_order_of_building_does_not_show() -> None:
    terms = [n * m, n, 2 * c, d / h, n // 2, size(5)]
    found = {str(sum(order, ZERO)) for order in itertools.permutations(terms)}
    assert len(found) == 1
