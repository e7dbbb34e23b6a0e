"""Diagrams of every kind of box, with inputs, on which the algebras must agree."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import vesalius as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.field import FieldAlgebra

MINUS_INFINITY = float("-inf")


@pytest.fixture
def algebra() -> FieldAlgebra:
    """The finite-field pair, drawn anew."""
    return FieldAlgebra()


@dataclass
class Case:
    """A diagram with small inputs; `outside` names the algebras that must refuse it."""

    diagram: Diagram
    inputs: list[Any]
    sizes: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    randoms: dict[str, Any] = field(default_factory=dict)
    outside: tuple[str, ...] = ()

    def run(self, algebra: Any, inputs: list[Any] | None = None) -> list[np.ndarray]:
        """The outputs as a list."""
        results = self.diagram.evaluate(
            *(self.inputs if inputs is None else inputs),
            algebra=algebra,
            sizes=self.sizes,
            parameters=self.parameters,
            randoms=self.randoms,
        )
        return list(results) if isinstance(results, tuple) else [results]


def numbers(*shape: int, start: int = 0) -> np.ndarray:
    """Small integers as floats, of both signs, no two rows alike."""
    count = int(np.prod(shape))
    return np.array([(7 * k + start) % 11 - 5 for k in range(count)], dtype=float).reshape(shape)


@vs.diagram
def linear_attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(q, vs.contract(k, v, over="m"), over="c")


@vs.diagram
def three_operands(x: "n c", w: "c", y: "n") -> "":
    return vs.contract(x, w, y, over="n c")


@vs.diagram
def sums(x: "n c", y: "c") -> "n c":
    return x + y + 3 - vs.sum(x, "n") * Fraction(1, 2)


@vs.diagram
def integer_sums(x: "n int") -> {"total": "int", "shifted": "n int"}:
    return {"total": vs.contract(x, vs.iota("n"), over="n"), "shifted": x + 2}


@vs.diagram
def extremes(x: "n c") -> ("c", "n", ""):
    return vs.max(x, "n"), vs.min(x, "c"), vs.max(x, "n c")


@vs.diagram
def logic(x: "n c bool") -> ("c bool", "n bool", "n c bool"):
    return vs.all(x, "n"), vs.any(x, "c"), ~x | (x & vs.any(x, "n"))


@vs.diagram
def softmax(x: "n m") -> "n m":
    return vs.softmax(x, "m")


@vs.diagram
def masked_softmax(x: "n m") -> "n m":
    seen = vs.iota("m") < vs.iota("n")  # the first row sees nothing
    return vs.softmax(vs.where(seen, x, MINUS_INFINITY), "m")


@vs.diagram
def masked_maximum(x: "n m") -> "n":
    seen = vs.iota("m") <= vs.iota("n")
    return vs.max(vs.where(seen, x, MINUS_INFINITY) + 2, "m")


@vs.diagram
def expanded(x: "n") -> "n c:3":
    return vs.expand(x, "c:3")


def as_in_a_rule() -> Diagram:
    """The box `like` stands in rules only; elsewhere it is opened while a diagram is built."""
    builder = vs.Builder("alike")
    builder.pattern = True
    x, y = builder.input("x", "n"), builder.input("y", "n m")
    return builder.diagram(out=vs.like(x, y) * 2)


@vs.diagram
def cut_and_joined(x: "n d:6") -> "n d:6":
    heads = vs.split(x, "d", "h:2 c:3")
    return vs.merge(heads, "c h", "d")


@vs.diagram
def joined(x: "n c", y: "m") -> "k:n+m c":
    return vs.concat(x, y, over=("n", "m"), into="k")


@vs.diagram
def sliced(x: "n:5 c") -> ("k:2 c", "n:5 c"):
    return vs.slice(x, "n", 1, 5, step=2, into="k"), vs.slice(x, "n", step=-1)


@vs.diagram
def padded(x: "n c") -> ("k:n+3 c", "n c"):
    y = vs.pad(x, "n", 1, 2, value=7, into="k")
    return y, vs.slice(vs.pad(x, "n", 2, value=0.5), "n", 2)


@vs.diagram
def windows(x: "n:7") -> "i:3 d:2":
    return vs.window(x, "n", "i d:2", stride=2, dilation=2)


@vs.diagram
def trace(x: "i:3 j:3 k:3 c") -> ("c", "n:3 c"):
    return vs.sum(vs.diagonal(x, "i j k", "n"), "n"), vs.diagonal(vs.sum(x, "k"), "i j", "n")


@vs.diagram
def positions(x: "n") -> ("n int", "n m:4 bool", "n"):
    i, j = vs.iota("n"), vs.iota("m:4")
    return (
        vs.remainder(i * 5, 3) + vs.floor_divide(i, 2),
        vs.equal(i, j),
        x * vs.to_float(i) + vs.to_float(vs.less_equal(i, 1)),
    )


@vs.diagram
def tables(x: "n:2") -> ("n:2", "n:2"):
    return x * vs.constant([2, -3], "n"), x + vs.constant([0.5, Fraction(1, 4)], "n")


@vs.diagram
def sizes_in_values(x: "n c") -> "n":
    return vs.mean(x, "c") / vs.sqrt(vs.size("4*n*n")) + vs.size("c")


@vs.diagram
def read(table: "n c", index: "n t int") -> ("n t c", "n t"):
    first = vs.gather(table.rename(n="k"), index, "k")
    return first, vs.gather(vs.sum(table, "c").rename(n="k"), index, "k")


@vs.diagram
def read_rows(table: "b h n c", index: "t h b int") -> "b h t c":
    return vs.gather(table, index, "n")


@vs.diagram
def best(x: "n m") -> ("n k:2", "n k:2 int"):
    return vs.topk(x, "m", "k:2")


@vs.diagram
def worst(x: "n m") -> ("n k:3", "n k:3 int"):
    return vs.topk(x, "m", "k:3", largest=False)


@vs.diagram
def layer(x: "n d") -> "n e":
    return vs.linear(x, "d", "e", name="w", bias=True)


@vs.diagram
def folded(x: "n d:2") -> "n d:2":
    square = layer.substitute(d=2, e=2)
    return square.boxed(square.boxed(x).rename(e="d")).rename(e="d")


@vs.diagram
def step(s: "c", x: "c") -> ("c", "c"):
    following = vs.contract(s, 2) + x
    return following, following * x


@vs.diagram
def running(s: "c", x: "n c") -> ("c", "n c"):
    return vs.scan(step, over="n", states=[s], sequences=[x])


@vs.diagram
def backwards(s: "b c", x: "n c") -> ("b c", "n b c"):
    return vs.scan(step, over="n", states=[s], sequences=[x], reverse=True)


@vs.diagram
def spectrum(x: "n:4 c", y: "n:4") -> ("n:4 c", "n:4 c"):
    return vs.fourier(x, y, over="n")


@vs.diagram
def round_trip(x: "n:2 c") -> ("n:2 c", "n:2 c"):
    return vs.fourier(*vs.fourier(x, over="n"), over="n", inverse=True)


@vs.diagram
def thirds(x: "n:3") -> ("n:3", "n:3"):
    return vs.fourier(x, over="n", inverse=True)


@vs.diagram
def dropped(x: "n c") -> "n c":
    return vs.where(vs.random("n c", "bernoulli", name="keep"), x, 0) * vs.random("c", name="gain")


@vs.diagram
def ratio(x: "n", y: "n") -> "n":
    return (x**3 - 1) / (y * y + 1) + vs.power(y, -2)


CASES = {
    "linear attention": Case(
        linear_attention, [numbers(2, 3), numbers(4, 3, start=1), numbers(4, 2, start=2)]
    ),
    "three operands": Case(three_operands, [numbers(2, 3), numbers(3), numbers(2, start=4)]),
    "sums": Case(sums, [numbers(2, 3), numbers(3, start=2)]),
    "integer sums": Case(integer_sums, [[5, -1, 2, 2]]),
    "extremes": Case(extremes, [numbers(3, 4)], outside=("field",)),
    "logic": Case(logic, [[[True, False, True], [True, False, False]]]),
    "softmax": Case(softmax, [numbers(2, 3)], outside=("rational",)),
    "masked softmax": Case(masked_softmax, [numbers(3, 4)], outside=("rational",)),
    "masked maximum": Case(masked_maximum, [numbers(3, 4)], outside=("field",)),
    "expand": Case(expanded, [numbers(2)]),
    "like": Case(as_in_a_rule(), [numbers(2), numbers(2, 3)]),
    "split and merge": Case(cut_and_joined, [numbers(2, 6)]),
    "concat": Case(joined, [numbers(2, 3), numbers(4, start=1)]),
    "slice": Case(sliced, [numbers(5, 2)]),
    "pad": Case(padded, [numbers(2, 2)]),
    "window": Case(windows, [numbers(7)]),
    "diagonal": Case(trace, [numbers(3, 3, 3, 2)]),
    "positions": Case(positions, [numbers(3)]),
    "tables": Case(tables, [numbers(2)]),
    "sizes": Case(sizes_in_values, [numbers(3, 5)]),
    "gather": Case(read, [numbers(3, 2), [[2, 0], [1, 1], [0, 2]]]),
    "gather along tubes": Case(
        read_rows,
        [numbers(2, 3, 4, 2), [[[k, 3 - k], [1, k], [2, 0]] for k in range(4)]],
    ),
    "largest of no rows": Case(best, [np.zeros((0, 4))], outside=("field", "sympy")),
    "largest": Case(best, [[[1, 3, 3, 2], [5, 5, 5, -5]]], outside=("field", "sympy")),
    "smallest": Case(worst, [[[1, 3, 1, 2], [5, 5, 5, -5]]], outside=("field", "sympy")),
    "layer": Case(
        layer,
        [numbers(2, 3)],
        parameters={"w": numbers(3, 2, start=3), "w_bias": numbers(2, start=6)},
    ),
    "named": Case(
        folded,
        [numbers(3, 2)],
        parameters={
            "layer.w": numbers(2, 2, start=3),
            "layer.w_bias": numbers(2, start=6),
            "layer_1.w": numbers(2, 2, start=1),
            "layer_1.w_bias": numbers(2, start=8),
        },
    ),
    "scan": Case(running, [numbers(2), numbers(3, 2)]),
    "scan of nothing": Case(running, [numbers(2), np.zeros((0, 2))]),
    "reverse scan": Case(backwards, [numbers(2, 2), numbers(3, 2, start=1)]),
    "fourier": Case(spectrum, [numbers(4, 2), numbers(4, start=3)], outside=("field",)),
    "fourier and back": Case(round_trip, [numbers(2, 3)], outside=("field",)),
    "fourier of 3": Case(thirds, [numbers(3)], outside=("rational", "field")),
    "random": Case(
        dropped,
        [numbers(2, 3)],
        randoms={"keep": [[True, False, True], [False, True, True]], "gain": numbers(3, start=4)},
    ),
    "ratio": Case(ratio, [numbers(4), numbers(4, start=1)]),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES.values(), ids=CASES.keys())


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return CASES
