"""Sizes as Python have the values of sizes; an axis tells the variable that is linear in it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vesalius.compile.lengths import may_break, non_negative, size_term, solved
from vesalius.compile.text import POWER, PRODUCT, SUM
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.sizes import size

NAMES = {"n": "n", "m": "m", "h": "h"}
values = st.fixed_dictionaries({name: st.integers(1, 12) for name in NAMES})


def combined(parts):
    (a, b), how = parts
    try:
        return {
            "+": lambda: a + b,
            "-": lambda: a - b,
            "*": lambda: a * b,
            "/": lambda: a / b,
            "//": lambda: a // b,
            "ceil": lambda: a.ceil_div(b),
        }[how]()
    except SizeError:
        return a


sizes = st.recursive(
    st.one_of(st.sampled_from(list(NAMES)), st.integers(1, 4)).map(size),
    lambda inner: st.tuples(
        st.tuples(inner, inner), st.sampled_from(["+", "-", "*", "/", "//", "ceil"])
    ).map(combined),
    max_leaves=6,
)


@given(sizes, values)
def test_a_size_as_python_has_its_value(one, at) -> None:
    try:
        value = one.at(at)
    except SizeError:
        assume(False)
    assert eval(size_term(one, NAMES).text, {}, dict(at)) == value


@given(sizes, sizes, values)
def test_brackets_are_put_where_an_operand_needs_them(a, b, at) -> None:
    try:
        u, v = a.at(at), b.at(at)
    except SizeError:
        assume(False)
    left, right = size_term(a, NAMES), size_term(b, NAMES)
    assert eval(f"{left.at(SUM)} - {right.at(PRODUCT)}", {}, dict(at)) == u - v
    assert eval(f"{left.at(PRODUCT)} * {right.at(PRODUCT + 1)}", {}, dict(at)) == u * v
    assert eval(f"{left.at(POWER + 1)}**2", {}, dict(at)) == u**2


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("n", "n"),
        ("2*d + 1", "2 * d + 1"),
        ("n - 1", "n - 1"),
        ("d/h", "d // h"),
        ("n//2", "n // 2"),
        ("ceil(n/2)", "-(-n // 2)"),
        ("h*(n//2)", "h * (n // 2)"),
        ("n*(n+1)/2", "(n**2 + n) // 2"),
        ("64*ceil(n/64) - n", "-n % 64"),
        ("d*ceil((n+1)/d) - n - 1", "-(n + 1) % d"),
        ("64*ceil(n/64) - 2*n", "64 * -(-n // 64) - 2 * n"),
        ("0", "0"),
    ],
)
def test_it_reads_well(text, python) -> None:
    class Same(dict):
        def __missing__(self, name):
            return name

    assert size_term(size(text), Same()).text == python


@given(st.integers(1, 5), st.integers(-4, 4), st.integers(0, 9))
def test_a_linear_size_is_solved(factor, offset, value) -> None:
    found = solved(size("n") * factor + offset)
    length = factor * value + offset
    assert found.variable == "n"
    assert found.of(length) == value
    assert eval(found.term(size_term(size(length), {})).text) == value
    assert found.plain == (factor == 1 and offset == 0)
    if factor > 1:
        assert found.of(length + 1) is None
    assert found.of(offset - factor) is None


@pytest.mark.parametrize("text", ["3", "n*m", "n + m", "n//2", "n/2", "n**2", "2 - n"])
def test_what_does_not_tell_a_variable(text) -> None:
    assert solved(size(text)) is None


@pytest.mark.parametrize(
    ("text", "positive", "breaks"),
    [
        ("n*m + 2", True, False),
        ("n - 1", False, False),
        ("(n-3)//2", False, False),
        ("n//2", True, False),
        ("n/2", True, True),
        ("d/h", True, True),
        ("n/(h+1)", True, True),
    ],
)
def test_what_has_to_be_checked_at_run_time(text, positive, breaks) -> None:
    assert non_negative(size(text)) == positive
    assert may_break(size(text)) == breaks
