"""All algebras agree where they overlap, and torch is the measure."""

import importlib
import pkgutil
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams import boxes, verbs
from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning.field import FieldAlgebra
from vesalius.diagrams.meaning.rational import RationalAlgebra
from vesalius.diagrams.meaning.residues import FIELD
from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra, symbol_array

EXACT = ("rational", "field", "sympy")


def as_floats(x: np.ndarray) -> np.ndarray:
    return np.array([float(entry) for entry in x.flat]).reshape(x.shape)


def assert_like_torch(exact: list[np.ndarray], reference: list[torch.Tensor]) -> None:
    for x, y in zip(exact, reference, strict=True):
        assert x.shape == tuple(y.shape)
        if y.dtype == torch.bool:
            assert [bool(entry) for entry in x.flat] == y.flatten().tolist()
        elif y.dtype == torch.int64:
            assert [int(entry) for entry in x.flat] == y.flatten().tolist()
        else:
            np.testing.assert_allclose(as_floats(x), y.numpy(), rtol=1e-12, atol=1e-12)


def assert_residues(field: list[np.ndarray], rational: list[np.ndarray]) -> None:
    """Field results are the residues of rational ones; integers and truth values are the same."""
    algebra = FieldAlgebra()
    for x, y in zip(field, rational, strict=True):
        if x.dtype == FIELD:
            y = algebra.floats(y)
            assert (x["q"] >= 0).all()  # no exponential: every residue is known
        assert x.shape == y.shape
        assert x.dtype == y.dtype
        assert x.tolist() == y.tolist()


# -- kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algebra", EXACT)
def test_refuses_what_it_does_not_contain(case, algebra):
    if algebra not in case.outside:
        case.run(algebra)
        return
    with pytest.raises(Outside):
        case.run(algebra)


def test_rationals_agree_with_torch(case):
    if "rational" not in case.outside:
        result = case.run("rational")
        assert_like_torch(result, case.run("torch"))
        for x, port in zip(result, case.diagram.outputs, strict=True):
            dtype = case.diagram.port_type(port).dtype
            kinds = {"float": Fraction, "int": int, "bool": np.bool_}[dtype]
            assert all(isinstance(entry, kinds) for entry in x.flat)


def test_numbers_of_sympy_agree_with_torch(case):
    if "sympy" not in case.outside:
        assert_like_torch(case.run("sympy"), case.run("torch"))


def test_symbols_agree_with_torch(case):
    """Float inputs as symbols; then numbers in their place."""
    if "sympy" in case.outside:
        return
    inputs, values = [], {}
    for (name, type_), given_ in zip(case.diagram.input_types.items(), case.inputs, strict=True):
        x = np.asarray(given_)
        if type_.dtype == "float":
            sizes = dict(zip(type_, x.shape, strict=True))
            made = symbol_array(name, vs.ArrayType(sizes), {})
            values.update(zip(made.flat, (sympy.Integer(int(v)) for v in x.flat), strict=True))
            inputs.append(made)
        else:
            inputs.append(given_)
    results = [
        np.array([sympy.sympify(entry).subs(values) for entry in x.flat]).reshape(x.shape)
        for x in case.run("sympy", inputs)
    ]
    assert_like_torch(results, case.run("torch"))


def test_field_gives_the_residues_of_the_rationals(case):
    if not {"rational", "field"} & set(case.outside):
        assert_residues(case.run("field"), case.run("rational"))


def test_every_kind_of_box_is_tried_or_refused(cases):
    declared = {
        value
        for module in pkgutil.iter_modules(boxes.__path__, f"{boxes.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, Kind)
    }
    assert len(declared) > 20
    tried: dict[str, set[Kind]] = {algebra: set() for algebra in EXACT}
    for case in cases.values():
        kinds = {node.box.kind for node in case.diagram.nodes}
        for algebra in EXACT:
            if algebra not in case.outside:
                tried[algebra] |= kinds
    for algebra in EXACT:
        missing = {kind.name for kind in declared - tried[algebra] if algebra not in kind.refusals}
        assert not missing, algebra


# -- functions ------------------------------------------------------------------------------------

HALVES = [Fraction(k, 2) for k in (-5, -2, -1, 0, 1, 2, 7)]
ARGUMENTS: dict[str, list[Any]] = {
    "float": HALVES,
    "number": HALVES,
    "int": [-7, -2, -1, 1, 3],
    "bool": [True, False],
    "any": HALVES,
    "sqrt": [Fraction(0), Fraction(1, 4), Fraction(9)],
    "log": [Fraction(1, 4), Fraction(9)],
    "reciprocal": [Fraction(-3, 2), Fraction(4)],
    "power": [Fraction(-3, 2), Fraction(4)],
}
NUMBERS = {"power": [(3,), (0,), (-2,)], "leaky_relu": [(0.25,)]}
# A user's functions, which other tests declare, are not meant here.
DECLARED = [f for f in FUNCTIONS.values() if hasattr(verbs, f.name) and f.name != "where"]


def applied(
    function: Function, algebra: str, arguments: list[Any], numbers: tuple[Any, ...]
) -> Any:
    """The function of two wires that differ in axes: all pairs of arguments."""
    dtype = "float" if isinstance(arguments[0], Fraction) else type(arguments[0]).__name__
    names = ["x", "y"][: function.arity]
    builder = vs.Builder(function.name)
    wires = [builder.input(n, f"{a} {dtype}") for n, a in zip(names, "ij", strict=False)]
    result = function(*wires, **dict(zip(function.parameters, numbers, strict=True)))
    given_ = [[float(v) if dtype == "float" else v for v in arguments]] * function.arity
    return builder.diagram(out=result).evaluate(*given_, algebra=algebra)


@pytest.mark.parametrize("algebra", ["rational", "sympy"])
@pytest.mark.parametrize("function", DECLARED, ids=lambda f: f.name)
def test_functions_agree_with_torch(function, algebra):
    form = function.exact if algebra == "rational" else function.sympy
    arguments = ARGUMENTS.get(function.name, ARGUMENTS[function.takes])
    for numbers in NUMBERS.get(function.name, [()]):
        if form is None and algebra == "rational":
            with pytest.raises(Outside, match=function.name):
                applied(function, algebra, arguments, numbers)
        elif form is not None:
            result = applied(function, algebra, arguments, numbers)
            assert_like_torch([result], [applied(function, "torch", arguments, numbers)])


@pytest.mark.parametrize("function", DECLARED, ids=lambda f: f.name)
def test_functions_of_the_field_are_residues(function):
    """What is exact on rationals and computes with + − × ÷, roots of squares, or integers."""
    arguments = ARGUMENTS.get(function.name, ARGUMENTS[function.takes])
    whole = [int(v) if isinstance(v, Fraction) else v for v in arguments]
    if function.takes == "number":
        expected = applied(function, "rational", whole, (*NUMBERS.get(function.name, [()])[0],))
        assert_residues([applied(function, "field", whole, ())], [expected])
    if function.field in ("rational", "root"):
        for numbers in NUMBERS.get(function.name, [()]):
            expected = applied(function, "rational", arguments, numbers)
            assert_residues([applied(function, "field", arguments, numbers)], [expected])


def test_a_choice_takes_the_entries_of_either_side():
    @vs.diagram
    def chosen(c: "n bool", x: "n", y: "m", i: "n int") -> ("n m", "n", "n bool"):
        return vs.where(c, x, y), vs.where(c, i, x), vs.where(c, c, ~c)

    inputs = [[True, False], [1.5, 2.5], [3.0, 4.0], [7, 8]]
    reference = list(chosen.evaluate(*inputs))
    rational = list(chosen.evaluate(*inputs, algebra="rational"))
    assert_like_torch(rational, reference)
    assert_like_torch(list(chosen.evaluate(*inputs, algebra="sympy")), reference)
    assert_residues(list(chosen.evaluate(*inputs, algebra="field")), rational)


# -- random rational diagrams ---------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "contract", "sum", "negate", "square", "invert", "mask", "turn"]),
        st.integers(0, 7),
        st.integers(0, 7),
        st.sampled_from(["", "n", "c", "n c"]),
    ),
    min_size=1,
    max_size=7,
)


def program(steps: list[tuple[str, int, int, str]]) -> vs.Diagram:
    """A diagram of sums, products and quotients without a pole at rational inputs."""
    with vs.Builder("program") as builder:
        pool = [builder.input("x", "n c"), builder.input("y", "c"), builder.input("z", "n:n")]
        for what, i, j, axes in steps:
            x, y = pool[i % len(pool)], pool[j % len(pool)]
            over = [a for a in axes.split() if a in x.names]
            if what == "add":
                made = x + y
            elif what == "contract":
                made = vs.contract(x, y, over=[a for a in axes.split() if a in x.names + y.names])
            elif what == "sum":
                made = vs.sum(x, over)
            elif what == "negate":
                made = 1 - x
            elif what == "square":
                made = x**2
            elif what == "invert":
                made = y / (1 + x * x)
            elif what == "mask":
                made = vs.where(vs.iota("n") < vs.iota("c"), x, Fraction(1, 3))
            else:
                made = vs.sum(x, over) * vs.size("n*c + 1")
            pool.append(made)
        return builder.diagram(out=vs.sum(pool[-1], pool[-1].names), last=pool[-1])


@given(STEPS)
def test_random_rational_diagrams(steps):
    diagram = program(steps)
    inputs = [[[1, -2, 3], [0, 2, -1]], [2, 1, -3], [3, -2]]
    exact = diagram.evaluate(*inputs, algebra="rational", sizes={"c": 3, "n": 2})
    reference = diagram.evaluate(*inputs, sizes={"c": 3, "n": 2})
    for x, y in zip(exact, reference, strict=True):
        np.testing.assert_allclose(as_floats(x), y.numpy(), rtol=1e-9)
    field = diagram.evaluate(*inputs, algebra="field", sizes={"c": 3, "n": 2})
    assert_residues(list(field), list(exact))


def test_random_draws_are_the_same_for_a_seed_and_a_name():
    @vs.diagram
    def draws() -> ("n:40 bool", "n:40", "n:40"):
        return (
            vs.random("n:40", "bernoulli", p=0.25, name="coin"),
            vs.random("n:40", "uniform", name="u"),
            vs.parameter("w", "n:40"),
        )

    for algebra in (RationalAlgebra(), FieldAlgebra(), SymbolicAlgebra()):
        first = draws.evaluate(algebra=algebra, seed=3)
        again = draws.evaluate(algebra=algebra, seed=3)
        other = draws.evaluate(algebra=algebra, seed=4)
        for x, y in zip(first, again, strict=True):
            assert algebra.same(x, y)
        assert not algebra.same(first[0], other[0])
        assert 0 < sum(bool(coin) for coin in first[0]) < 25
        assert not algebra.same(first[1], first[2])  # different names, different draws
    coins = [draws.evaluate(algebra=a, seed=5)[0].tolist() for a in ("rational", "field", "sympy")]
    assert coins[0] == coins[1] == [bool(coin) for coin in coins[2]]
    uniform = draws.evaluate(algebra="rational", seed=5)[1]
    assert all(0 <= u < 1 for u in uniform)
    assert not RationalAlgebra().same(uniform, draws.evaluate(algebra="rational", seed=6)[1])
