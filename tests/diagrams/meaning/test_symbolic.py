"""SymPy entries: formulas that a person reads, and equality that is decided or refused."""

import numpy as np
import pytest
import sympy
import torch

import vesalius as vs
from vesalius.diagrams.errors import Outside, TypeClash
from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra, symbol_array, symbols

x, y = sympy.symbols("x y", real=True)
n = sympy.Symbol("n", integer=True)
a, b = sympy.symbols("a b")


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), over="m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def layer(x: "n d") -> "n e":
    return vs.linear(x, "d", "e", name="w")


def evaluate(body, *inputs, types=("n",)):
    builder = vs.Builder("f")
    wires = [builder.input(f"x{k}", type_) for k, type_ in enumerate(types)]
    with builder:
        diagram = builder.diagram(out=body(*wires))
    return diagram.evaluate(*inputs, algebra="sympy")


# -- symbols --------------------------------------------------------------------------------------


def test_symbols_for_inputs_and_parameters():
    inputs, parameters = symbols(layer, {"n": 1, "d": 2, "e": 2})
    assert [str(entry) for entry in inputs[0].flat] == ["x[0, 0]", "x[0, 1]"]
    assert parameters["w"].shape == (2, 2)
    result = layer.evaluate(*inputs, algebra="sympy", parameters=parameters)
    assert str(result[0, 1]) == "w[0, 1]*x[0, 0] + w[1, 1]*x[0, 1]"
    # Without values a parameter is the same array of symbols.
    assert (layer.evaluate(*inputs, algebra="sympy", sizes={"e": 2}) == result).all()


def test_symbols_have_the_assumptions_of_their_type():
    (whole,) = symbol_array("i", vs.ArrayType({"n": 1}, "int"), {})
    (truth,) = symbol_array("c", vs.ArrayType({"n": 1}, "bool"), {})
    scalar = symbol_array("s", vs.ArrayType({}), {})
    assert whole.is_integer
    assert isinstance(truth, sympy.logic.boolalg.Boolean)
    assert scalar.item().is_real
    assert str(scalar.item()) == "s"


def test_attention_by_substitution_is_torchs():
    sizes = {"n": 2, "m": 3, "c": 2, "e": 1}
    inputs, _ = symbols(attention, sizes)
    result = attention.evaluate(*inputs, algebra="sympy")
    generator = torch.Generator().manual_seed(0)
    numbers = [torch.randn(s.shape, generator=generator, dtype=torch.float64) for s in inputs]
    flat = [entry for array in inputs for entry in array.flat]
    values = [entry for array in numbers for entry in array.flatten().tolist()]
    point = dict(zip(flat, map(sympy.Float, values), strict=True))
    found = [[float(entry.evalf(subs=point)) for entry in row] for row in result]
    expected = torch.nn.functional.scaled_dot_product_attention(*numbers)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10)


# -- forms ----------------------------------------------------------------------------------------


def test_functions_have_their_form():
    assert evaluate(vs.tanh, [x]).tolist() == [sympy.tanh(x)]
    assert evaluate(vs.relu, [x]).tolist() == [sympy.Max(x, 0)]
    assert evaluate(lambda w: vs.power(w, exponent=0.5), [x]).tolist() == [sympy.sqrt(x)]
    (opaque,) = evaluate(vs.softplus, [x])
    assert opaque == sympy.Function("softplus")(x)
    assert evaluate(lambda w: vs.max(w, "n"), [x, y]).item() == sympy.Max(x, y)


def test_numbers_are_exact():
    half, tenth = evaluate(lambda w: w * 0.1, [5, 1])
    assert tenth == sympy.Rational(0.1)
    assert half == sympy.Rational(0.1) * 5
    assert evaluate(lambda w: w / vs.sqrt(vs.size("n")), [x, x])[0] == x / sympy.sqrt(2)


def test_conditions_may_be_symbols():
    chosen = evaluate(lambda w: vs.where(w < 1, w, 2), [x]).item()
    assert chosen.subs(x, 0) == 0
    assert chosen.subs(x, 3) == 2
    types = ("n bool", "n bool", "n bool")
    truth = evaluate(vs.where, [a], [b], [True], types=types).item()
    assert sympy.simplify_logic(truth) == sympy.Or(b, sympy.Not(a))
    assert evaluate(lambda c: vs.all(c, "n"), [a, b], types=("n bool",)).item() == sympy.And(a, b)
    indicator = evaluate(vs.to_float, [a], types=("n bool",)).item()
    assert indicator.subs(a, True) == 1
    assert indicator.subs(a, False) == 0


def test_masks_of_minus_infinity():
    plain = sympy.Symbol("plain")  # even a symbol about which nothing is assumed
    masked = evaluate(lambda s: vs.softmax(s + 1, "n"), [plain, -sympy.oo])
    assert SymbolicAlgebra().same(masked, entries(1, 0))
    nothing = evaluate(lambda s: vs.softmax(s, "n"), [-sympy.oo, float("-inf")])
    assert nothing.tolist() == [0, 0]
    for body in (lambda s: s * 2, lambda s: s - s, lambda s: vs.contract(s, s, over="n")):
        with pytest.raises(Outside):
            evaluate(body, [-sympy.oo])


@pytest.mark.parametrize(
    ("body", "given", "types"),
    [
        (lambda w: 1 / w, [[0]], ("n",)),
        (vs.log, [[0]], ("n",)),
        (vs.to_int, [[x]], ("n",)),
        (lambda t, i: vs.gather(t, i.rename(n="k"), "n"), [[1, 2], [n, 0]], ("n", "n int")),
    ],
)
def test_what_has_no_form_is_outside(body, given, types):
    with pytest.raises(Outside):
        evaluate(body, *given, types=types)


def test_inputs_of_the_wrong_type():
    for given_, type_ in [([sympy.true], "n"), ([x], "n int"), ([sympy.Integer(1)], "n bool")]:
        with pytest.raises(TypeClash):
            evaluate(lambda w: w, given_, types=(type_,))


def test_fourier_of_any_length():
    real, imaginary = (
        evaluate(lambda w, part=part: vs.fourier(w, over="n")[part], [1, 2, 0, 0, 3])
        for part in (0, 1)
    )
    expected = torch.fft.fft(torch.tensor([1, 2, 0, 0, 3], dtype=torch.float64))
    np.testing.assert_allclose([float(v) for v in real], expected.real, atol=1e-12)
    np.testing.assert_allclose([float(v) for v in imaginary], expected.imag, atol=1e-12)


def test_a_box_of_a_users_own():
    running = vs.box("meaning_test_cumsum", "n -> n", None, exact=lambda w: np.cumsum(w, axis=-1))
    assert evaluate(running, [x, y]).tolist() == [x, x + y]


# -- equality -------------------------------------------------------------------------------------


def entries(*values):
    made = np.empty(len(values), dtype=object)
    made[:] = [sympy.sympify(value) for value in values]
    return made


def same(left, right):
    return SymbolicAlgebra().same(entries(left), entries(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (x * (x + y), x**2 + x * y),
        (sympy.exp(x + y), sympy.exp(x) * sympy.exp(y)),
        (1 / (1 + sympy.exp(-x)), sympy.exp(x) / (1 + sympy.exp(x))),
        (sympy.sin(x) ** 2 + sympy.cos(x) ** 2, 1),
        (sympy.sqrt(x**2), sympy.Abs(x)),
        (-sympy.oo, -sympy.oo),
        (sympy.Function("f")(x) * 2, sympy.Function("f")(x) + sympy.Function("f")(x)),
        (sympy.Not(sympy.And(a, b)), sympy.Or(sympy.Not(a), sympy.Not(b))),
        (x < y, sympy.Not(y <= x)),
    ],
)
def test_equal(left, right):
    assert same(left, right)
    assert same(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (x * (x + y), x**2 + y),
        (sympy.exp(x + y), sympy.exp(x) + sympy.exp(y)),
        (sympy.sqrt(x**2), x),
        (sympy.Abs(x), x + sympy.Rational(1, 10**9)),
        (x, -sympy.oo),
        (n, n + 1),
        (sympy.And(a, b), sympy.Or(a, b)),
        (sympy.true, sympy.false),
        (x < y, y < x),
        (x < 1, sympy.And(x < 1, y < 1)),
    ],
)
def test_not_equal(left, right):
    assert not same(left, right)
    assert not same(right, left)


def test_what_is_not_decided_is_outside():
    f = sympy.Function("f")
    with pytest.raises(Outside, match="does not decide"):
        same(f(x), f(y))
    with pytest.raises(Outside, match="does not decide"):
        same(f(x) * sum(sympy.sin(k * x) ** k for k in range(150)), f(x))


def test_shapes_are_compared():
    algebra = SymbolicAlgebra()
    assert not algebra.same(entries(x, y), entries(x))
    assert not algebra.same(entries(x, y), entries(x, y).reshape(2, 1))


def test_softmax_ignores_a_shift_of_rows_and_no_other():
    @vs.diagram
    def shifted(s: "n m", r: "n") -> "n m":
        return vs.softmax(s + r, "m")

    @vs.diagram
    def plain(s: "n m", r: "n") -> "n m":
        return vs.softmax(s, "m")

    algebra = SymbolicAlgebra()
    inputs, _ = symbols(shifted, {"n": 1, "m": 3})
    results = [d.evaluate(*inputs, algebra=algebra) for d in (shifted, plain)]
    assert algebra.same(*results)

    @vs.diagram
    def column(s: "n m", r: "m") -> "n m":
        return vs.softmax(s + r, "m")

    inputs, _ = symbols(column, {"n": 1, "m": 3})
    shifted_columns = column.evaluate(*inputs, algebra=algebra)
    unshifted = plain.evaluate(inputs[0], inputs[1][:1], algebra=algebra)
    assert not algebra.same(shifted_columns, unshifted)
