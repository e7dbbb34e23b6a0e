"""Terms keep their meaning when they are put together, named and broken into lines."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from vesalius.compile.text import (
    PRODUCT,
    SIGN,
    SUM,
    WIDTH,
    Block,
    Term,
    apply,
    chain,
    index,
    kept_dimension,
    method,
    wrapped,
)


def lines_of(block, *results, reserved=()):
    return block.render(results, reserved)


def run(block, results, **arguments):
    """Run the statements of a block as a function of its arguments."""
    lines = "\n".join(f"    {line}" for line in block.render(results, set()))
    namespace = {"f": lambda x: 3 * x + 1}
    exec(f"def run({', '.join(block.fixed.values())}):\n{lines}", namespace)
    return namespace["run"](**arguments)


# -- precedence ---------------------------------------------------------------------------------


def test_brackets_stand_where_they_are_needed() -> None:
    a, b, c = Term("a"), Term("b"), Term("c")
    total = chain("+", SUM, [a, b])
    assert chain("*", PRODUCT, [total, c]).text == "(a + b) * c"
    assert chain("-", SUM, [c, total]).text == "c - (a + b)"
    assert chain("+", SUM, [total, c]).text == "a + b + c"
    assert chain("/", PRODUCT, [a, chain("*", PRODUCT, [b, c])]).text == "a / (b * c)"
    assert method(total, "sum()").text == "(a + b).sum()"
    assert index(Term("-a", SIGN), "0").text == "(-a)[0]"
    assert apply("f", total, "dim=1").text == "f(a + b, dim=1)"


def test_operations_are_counted() -> None:
    term = apply("f", chain("*", PRODUCT, [Term("a"), Term("b"), Term("c")]), heavy=True)
    assert (term.operations, term.heavy) == (3, True)
    assert method(term, "T", cost=0).operations == 3


OPERATORS = [("+", SUM), ("-", SUM), ("*", PRODUCT)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_a_block_computes_what_its_terms_say(steps) -> None:
    block = Block()
    values = [(block.argument("x"), 5), (block.argument("y"), 7), (block.argument("f_"), 2)]
    for operator, a, b in steps:
        sign, level = OPERATORS[operator]
        (left, u), (right, v) = values[a % len(values)], values[b % len(values)]
        value = {"+": u + v, "-": u - v, "*": u * v}[sign] % 1009
        term = chain(sign, level, [left, right])
        values.append((block.let(Term(f"({term.text}) % 1009"), "xyz"[a % 3]), value))
    results = [term for term, _ in values[-2:]]
    assert run(block, results, x=5, y=7, f_=2) == tuple(value for _, value in values[-2:])


# -- putting statements into their use ----------------------------------------------------------


def test_a_short_statement_stands_in_its_only_use() -> None:
    block = Block()
    x = block.argument("x")
    total = block.let(chain("+", SUM, [x, Term("1")]), "y", "n")
    scaled = block.let(chain("*", PRODUCT, [total, x]), "y", "n")
    assert lines_of(block, scaled) == ["return (x + 1) * x  # n"]


def test_what_is_used_twice_has_a_name() -> None:
    block = Block()
    y = block.let(apply("f", block.argument("x")), "y")
    assert lines_of(block, chain("*", PRODUCT, [y, y])) == ["y = f(x)", "return y * y"]


def test_what_is_kept_stays_on_its_line() -> None:
    block = Block()
    y = block.let(apply("softmax", block.argument("x"), heavy=True), "weights", kept=True)
    z = block.let(apply("g", y), "z")
    assert lines_of(block, apply("h", z)) == ["weights = softmax(x)", "return h(g(weights))"]


def test_long_and_heavy_statements_keep_their_lines() -> None:
    block = Block()
    x = block.argument("x")
    one = block.let(apply("a_function_with_quite_a_long_name", x, heavy=True), "a")
    two = block.let(apply("another_function_with_a_long_name", one, heavy=True), "b")
    assert len(lines_of(block, two)) == 2
    short = Block()
    y = short.let(apply("f", short.argument("x"), heavy=True), "a")
    assert lines_of(short, short.let(apply("g", y, heavy=True), "b")) == ["return g(f(x))"]


def test_what_nothing_reads_is_not_written() -> None:
    block = Block()
    x = block.argument("x")
    unused = block.let(apply("f", x), "y")
    block.let(apply("g", unused), "z")
    first, _ = block.let_all(apply("sort", x), ["values", "places"])
    assert lines_of(block, first) == ["values, _ = sort(x)", "return values"]


def test_a_statement_can_be_taken_back() -> None:
    block = Block()
    x = block.argument("x")
    total = block.let(method(x, "sum(-1)"), "total")
    block.forget(total)
    assert lines_of(block, method(x, "mean(-1)")) == ["return x.mean(-1)"]


def test_a_reduced_dimension_is_kept_where_it_is_needed() -> None:
    block = Block()
    x = block.argument("x")
    mean = block.let(method(x, "mean(-1)"), "mean")
    centred = block.let(chain("-", SUM, [x, kept_dimension(mean, "..., None")]), "x")
    assert lines_of(block, centred) == ["return x - x.mean(-1, keepdim=True)"]
    block = Block()
    x = block.argument("x")
    mean = block.let(method(x, "mean(-1)"), "mean")
    centred = chain("-", SUM, [x, kept_dimension(mean, "..., None")])
    assert lines_of(block, centred, mean)[-1] == "return x - mean[..., None], mean"


# -- names --------------------------------------------------------------------------------------


def test_names_are_used_again_when_they_are_free() -> None:
    block = Block()
    x = block.argument("x")
    for _ in range(3):
        x = block.let(apply("f", x), "x", kept=True)
    assert lines_of(block, x) == ["x = f(x)", "x = f(x)", "return f(x)"]


def test_a_name_in_use_is_not_taken() -> None:
    block = Block()
    x = block.argument("x")
    y = block.let(apply("f", x), "x", kept=True)
    z = block.let(apply("g", x, y), "n", kept=True)
    assert lines_of(block, z, y, reserved={"n"}) == ["x2 = f(x)", "n2 = g(x, x2)", "return n2, x2"]


def test_a_loop_rebinds_what_it_carries() -> None:
    block = Block()
    x = block.argument("x")
    state, item = block.loop(["state", "x"])
    block.assign(state, apply("f", x))
    lines = [f"for {item.at(0)} in range({x.at(0)}):", f"    {state.at(0)} += {item.at(0)}"]
    block.add_loop([state], lines)
    assert run(block, [state], x=4) == 13 + 6
    assert "for x2 in range(x):" in block.render([state], set())


def test_a_carried_variable_can_be_called_as_what_it_starts_from() -> None:
    block = Block()
    x = block.argument("x")
    (state,) = block.loop(["x"])
    block.assign(state, x)
    block.add_loop([state], [f"{state.at(0)} += 1"])
    assert block.render([state], set()) == ["x += 1", "return x"]


# -- long lines ---------------------------------------------------------------------------------


def test_a_short_line_is_left_alone() -> None:
    assert wrapped("x = f(a, b)") == ["x = f(a, b)"]


def test_a_long_call_is_broken_at_its_commas() -> None:
    assert wrapped("x = f(alpha, beta, gamma, 'a, b')", width=24) == [
        "x = f(",
        "    alpha, beta, gamma,",
        "    'a, b'",
        ")",
    ]


def test_a_long_sum_is_put_into_brackets() -> None:
    assert wrapped("return alpha + beta * g(1, 2) - gamma", width=24) == [
        "return (",
        "    alpha + beta",
        "    * g(1, 2) - gamma",
        ")",
    ]


names = st.text("abcdefgh", min_size=1, max_size=20)
expressions = st.recursive(
    names,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=6).map(lambda xs: f"{'f'}({', '.join(xs)})"),
        st.lists(inner, min_size=2, max_size=6).map(lambda xs: f"({' + '.join(xs)})"),
        st.lists(inner, min_size=2, max_size=6).map(" @ ".join).map("({})".format),
        inner.map("g[{}, ':, (']".format),
    ),
    max_leaves=40,
)


@given(expressions)
def test_breaking_a_line_does_not_change_it(text) -> None:
    lines = wrapped(f"value = {text} - 1")
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(f"value = {text} - 1"))
    assert max(map(len, lines)) <= max(WIDTH, len(text) + 12)
