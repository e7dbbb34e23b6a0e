"""The finite-field pair: unspecified functions, order, and exact forms of one's own."""

import math
from fractions import Fraction

import numpy as np
import pytest
from field_pairs import made, pair

import vesalius as vs
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside, SizeError
from vesalius.diagrams.meaning.field import FieldAlgebra
from vesalius.diagrams.meaning.rational import RationalAlgebra
from vesalius.diagrams.meaning.residues import ABSENT, P, Q, Residue

# -- unspecified functions ------------------------------------------------------------------------


def hashed(name, algebra, x):
    builder = vs.Builder("f")
    y = builder.input("y", "n")
    diagram = builder.diagram(out=getattr(vs, name)(y))
    return diagram.evaluate(x, algebra=algebra, seed=algebra.seed)


@pytest.mark.parametrize("name", ["log", "sin", "cos", "erf", "gelu", "softplus", "elu", "sqrt"])
def test_unspecified_functions(name):
    algebra, other = FieldAlgebra(), FieldAlgebra()
    other.begin({}, {}, 1)
    x = algebra.arbitrary("x", [400])
    y = hashed(name, algebra, x)
    assert algebra.unspecified == {name}
    assert algebra.same(y, hashed(name, algebra, x))  # equal arguments
    assert len(set(y["p"].tolist())) == len(set(y["q"].tolist())) == 400
    assert (y["p"] >= 0).all()
    assert (y["q"] >= 0).all()
    assert (y["p"] < P).all()
    assert (y["q"] < Q).all()
    for values, top in ((y["p"], P), (y["q"], Q)):  # spread evenly: four deviations of the mean
        assert abs(values.mean() / top - 0.5) < 4 / math.sqrt(12 * 400)
        assert not np.isin(values, x["p"]).any()
    assert not algebra.same(y, hashed(name, other, x))  # another run, another function
    algebra.exp(y)  # its residue mod q is known: no exponential stands on the path


def test_a_number_behind_an_exponential_has_the_same_functions(algebra):
    """An unspecified function sees what is known of a number on either side: its residue mod p."""
    one = made((1, 1))
    assert algebra.same(hashed("gelu", algebra, one), hashed("gelu", algebra, made((1, ABSENT))))


def test_a_function_of_several_arguments_tells_them_apart(algebra):
    function = vs.function("meaning_test_pairing", lambda x, y: x - y, arity=2)
    builder = vs.Builder("f")
    x, y = builder.input("x", "n"), builder.input("y", "n")
    diagram = builder.diagram(a=function(x, y), b=function(y, x), c=function(x, x))
    inputs = [algebra.arbitrary(name, [3]) for name in "xy"]
    a, b, c = diagram.evaluate(*inputs, algebra=algebra)
    assert not algebra.same(a, b)
    assert not algebra.same(a, c)
    assert algebra.unspecified == {"meaning_test_pairing"}


def test_a_function_declared_rational_is_computed():
    function = Function(
        "meaning_test_moebius",
        parameters=("shift",),
        torch=lambda x, shift: (x + shift) / (x * x + 1),
        exact=lambda x, shift: (x + shift) / (x * x + 1),
        field="rational",
    )
    builder = vs.Builder("f")
    x = builder.input("x", "n")
    diagram = builder.diagram(out=function(x, shift=0.5))
    algebra = FieldAlgebra()
    result = diagram.evaluate([2, -1], algebra=algebra)
    exact = np.array([Fraction(1, 2), Fraction(-1, 4)], dtype=object)
    assert algebra.same(result, algebra.floats(exact))
    assert not algebra.unspecified


def test_tanh_is_exact_outside_exponents_and_odd_inside(algebra):
    x = algebra.arbitrary("x", [20])
    minus = algebra.negate(x)
    t, u = algebra.tanh(x), algebra.tanh(minus)
    assert algebra.same(algebra.negate(t), u)  # both residues
    e = algebra.exp(algebra.plus(x, x))
    exact = algebra.times(
        algebra.plus(e, pair(-1, algebra)), algebra.inverse(algebra.plus(e, pair(1, algebra)))
    )
    assert algebra.same(exact, t)
    assert algebra.tanh(pair(0, algebra)).tolist() == (0, 0)
    assert algebra.tanh(made((5, 0)))["p"].item() == 0  # e⁰ = 1, whatever stands mod p
    behind = algebra.tanh(e)
    assert algebra.same(algebra.negate(behind), algebra.tanh(algebra.negate(e)))


# -- order, integers, truth values ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        vs.relu,
        vs.abs,
        vs.sign,
        vs.floor,
        vs.to_int,
        lambda x: vs.leaky_relu(x, slope=0.5),
        lambda x: vs.maximum(x, 0),
        lambda x: vs.minimum(x, 1),
        lambda x: x < 0,
        lambda x: x <= 0,
        lambda x: vs.equal(x, 0),
        lambda x: vs.max(x, "n"),
        lambda x: vs.topk(x, "n", "k:1")[0],
    ],
)
def test_there_is_no_order(body):
    builder = vs.Builder("f")
    x = builder.input("x", "n")
    diagram = builder.diagram(out=body(x))
    with pytest.raises(Outside, match="no order"):
        diagram.evaluate([1.0, 2.0], algebra="field")


def test_integers_keep_their_order():
    @vs.diagram
    def bucket(x: "n int") -> ("n int", "n bool", "n"):
        distance = vs.abs(x - vs.iota("n"))
        capped = vs.minimum(vs.floor_divide(distance, 2), 3)
        return capped, capped <= 1, vs.to_float(vs.maximum(x, 0)) / 2

    inputs = [[-9, 10**30, 2]]
    exact = bucket.evaluate(*inputs, algebra="rational")
    field = bucket.evaluate(*inputs, algebra="field")
    for x, y in zip(exact[:2], field[:2], strict=True):
        assert x.tolist() == y.tolist()
    algebra = FieldAlgebra()
    assert algebra.same(algebra.floats(exact[2]), field[2])


def test_the_largest_of_integers_and_none_of_floats(algebra):
    """Said by the algebra too, whatever a kind of box says."""
    whole = np.array([[3, 1, 2], [5, 5, 9]], dtype=object)
    assert algebra.reduce("max", whole, [1]).tolist() == [3, 9]
    assert algebra.reduce("min", whole, [0, 1]).item() == 1
    assert algebra.topk(whole, 2, largest=True)[1].tolist() == [[0, 2], [2, 0]]
    for refused in (
        lambda x: algebra.reduce("max", x, [1]),
        lambda x: algebra.reduce("min", x, [0]),
        lambda x: algebra.topk(x, 1, largest=True),
    ):
        with pytest.raises(Outside, match="no order"):
            refused(algebra.floats(whole))


def test_an_index_outside_the_table():
    @vs.diagram
    def read(x: "n", i: "t int") -> "t":
        return vs.gather(x, i, "n")

    for index in (-1, 3, 10**30):
        with pytest.raises(SizeError, match="index"):
            read.evaluate([1, 2, 3], [0, index], algebra="field")


def test_turns_by_quarters_are_residues(algebra):
    rationals = RationalAlgebra()
    real = np.array([[3, -1, 4, 1], [0, 2, 7, -5]], dtype=object)
    imaginary = real[::-1]
    for inverse in (False, True):
        exact = rationals.fourier(real, imaginary, 1, 4, inverse)
        field = algebra.fourier(real, imaginary, 1, 4, inverse)
        for x, y in zip(exact, field, strict=True):
            assert algebra.same(algebra.floats(x), y)


# -- exact forms of a user's own ------------------------------------------------------------------


def test_a_box_with_an_exact_form_is_in_the_field():
    running = vs.box(
        "meaning_test_running_mean",
        "n -> n",
        lambda x: x.cumsum(-1) / (1 + np.arange(x.shape[-1])),
        exact=lambda x: np.cumsum(x, axis=-1) / np.arange(1, x.shape[-1] + 1).astype(object) ** 1,
    )

    @vs.diagram
    def means(x: "b n") -> "b n":
        return running(x)

    exact = means.evaluate([[1, 2, 4], [0, 5, 5]], algebra="rational")
    field = means.evaluate([[1, 2, 4], [0, 5, 5]], algebra="field")
    assert exact.tolist()[0] == [1, Fraction(3, 2), Fraction(7, 3)]
    algebra = FieldAlgebra()
    assert algebra.same(algebra.floats(exact), field)


def test_a_box_with_an_exponential_of_its_own():
    quiet = vs.box(
        "meaning_test_softmax_one",
        "m -> m",
        lambda x: x.exp() / (1 + x.exp().sum(-1, keepdim=True)),
        exact=lambda x: np.exp(x) / (1 + np.exp(x).sum(-1, keepdims=True)),
    )

    @vs.diagram
    def box(s: "n m") -> "n m":
        return quiet(s)

    @vs.diagram
    def written(s: "n m") -> "n m":
        return vs.exp(s) / (1 + vs.sum(vs.exp(s), "m"))

    algebra = FieldAlgebra()
    s = algebra.arbitrary("s", [2, 3])
    assert algebra.same(box.evaluate(s, algebra=algebra), written.evaluate(s, algebra=algebra))
    with pytest.raises(Outside, match="exact numbers"):
        box.evaluate([[1, 2]], algebra="rational")


def test_scalars_have_operators_and_no_order(algebra):
    x, y = (Residue(pair(v, algebra), algebra) for v in (Fraction(3, 2), -4))
    for made_, value in [
        (x + y, Fraction(-5, 2)),
        (1 + x, Fraction(5, 2)),
        (x - y, Fraction(11, 2)),
        (1 - x, Fraction(-1, 2)),
        (x - Fraction(1, 2), 1),
        (x * y, -6),
        (2 * x, 3),
        (x / y, Fraction(-3, 8)),
        (3 / x, 2),
        (-x, Fraction(-3, 2)),
        (+x, Fraction(3, 2)),
        (x**3, Fraction(27, 8)),
        (x**-1, Fraction(2, 3)),
    ]:
        assert algebra.same(made_.value, pair(value, algebra))
    for compare in (
        lambda: x < y,
        lambda: x >= 0,
        lambda: x == y,
        lambda: x != 0,
        lambda: abs(x),
        lambda: bool(x),
        lambda: float(x),
        lambda: int(x),
    ):
        with pytest.raises(Outside, match="no order"):
            compare()
    with pytest.raises(TypeError, match="residue"):
        x + "1"
    assert repr(Residue(pair(0, algebra), algebra)) == "Residue(0 mod p, 0 mod q)"
    assert "absent" in repr(x.exp())
