"""The base of the exact algebras: a new algebra is a small class."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.meaning import evaluate
from vesalius.diagrams.meaning.arrays import ArrayAlgebra, boxed, digest, elementwise, exactly

NOWHERE = float("-inf")


class Tropical(ArrayAlgebra):
    """Longest paths: the sum is the maximum, the product is the sum."""

    name = "tropical"

    def floats(self, x):
        return elementwise(float, x)

    def arbitrary(self, name, shape, seed=None):
        return self.floats(np.asarray(self.generator(name, seed).random(shape)))

    def apply(self, function, numbers, inputs, gives):
        return exactly(function, numbers, inputs)

    def plus(self, x, y):
        return boxed(np.maximum(x, y))

    def times(self, x, y):
        return boxed(x + y)

    def total(self, x, dims):
        for d in dims:
            x = np.maximum.reduce(x, axis=d, keepdims=True, initial=NOWHERE)
        return x


@vs.diagram
def three_steps(a: "i j:i") -> "i j:i":
    square = vs.contract(a.rename(j="k"), a.rename(i="k"), over="k")
    return vs.contract(square.rename(j="k"), a.rename(i="k"), over="k")


@given(st.lists(st.integers(-5, 5) | st.just(NOWHERE), min_size=9, max_size=9))
def test_an_algebra_of_longest_paths(lengths):
    roads = np.array(lengths, dtype=float).reshape(3, 3)
    found = evaluate(three_steps, roads, algebra=Tropical())
    for i, j in itertools.product(range(3), repeat=2):
        ways = [roads[i, k] + roads[k, m] + roads[m, j] for k in range(3) for m in range(3)]
        assert found[i, j] == max(ways)


def test_what_an_algebra_does_not_say_is_outside():
    @vs.diagram
    def weights(s: "m") -> "m":
        return vs.softmax(s, "m")

    with pytest.raises(Outside, match="tropical"):
        weights.evaluate([1.0], algebra=Tropical())


def test_parameters_are_drawn_from_the_algebra():
    @vs.diagram
    def layer(x: "d") -> "e:3":
        return vs.linear(x, "d", "e:3", name="w")

    first, again = (layer.evaluate([0.0, 1.0], algebra=Tropical(), seed=1) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != layer.evaluate([0.0, 1.0], algebra=Tropical(), seed=2).tolist()


def test_a_run_inside_a_run_leaves_the_sizes_as_they_were():
    @vs.diagram
    def inner(x: "n") -> "n":
        return x * vs.size("n")

    @vs.diagram
    def outer(x: "n m") -> ("m n", "n m"):
        turned = inner.boxed(x.rename(n="t", m="n").rename(t="m"))
        return turned.rename(n="m", m="n"), x * vs.size("n")

    turned, plain = outer.evaluate([[1, 1, 1]], algebra="rational")
    assert turned.tolist() == [[3]] * 3
    assert plain.tolist() == [[1, 1, 1]]


def test_helpers():
    assert boxed(3).shape == ()
    assert boxed(True).dtype == bool
    assert boxed(Fraction(1, 2)).item() == Fraction(1, 2)
    assert digest(1, "a") == digest(1, "a")
    assert digest(1, "a") != digest("1a") != digest("1", "a", "")
    sums = elementwise(lambda x, y: x + y, np.array([[1], [2]]), np.array([10, 20]))
    assert sums.tolist() == [[11, 21], [12, 22]]
    assert elementwise(abs, np.empty((0, 2), dtype=object)).shape == (0, 2)
