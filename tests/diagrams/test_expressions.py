"""The text of what numbers, lengths and positions compute says exactly what is computed."""

import math
import random
import re

import torch

import vesalius as vs
from vesalius.anatomy.mechanism import initial
from vesalius.diagrams.expressions import RAISED, size_text

SIZES = {"n": 5, "m": 3, "w": 2}
GROW = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 1),
    lambda x, y: -x,
    lambda x, y: x / 2,
    lambda x, y: vs.sqrt(x * x + 1),
    lambda x, y: vs.power(x * x + 1, exponent=0.6),
    lambda x, y: vs.power(x, exponent=3),
    lambda x, y: abs(x - y),
    lambda x, y: vs.to_float(whole(x) % (vs.remainder(whole(y), 3) + 1)),
    lambda x, y: vs.to_float(whole(x) // (vs.remainder(whole(y), 3) + 1)),
    lambda x, y: vs.to_float(x < y),
    lambda x, y: vs.sin(x),
)


def whole(x):
    return vs.to_int(vs.floor(x))


def random_table(rng: random.Random) -> vs.Diagram:
    """A parameter that starts at a random expression of its positions and of lengths."""

    def start(n, m):
        n, m = vs.to_float(n), vs.to_float(m)
        known = [m, 3 * n - 7, 0.5 * m, vs.size("n") - m, n - vs.size("m") * vs.size("w")]
        known += [n / (vs.size("n") + vs.size("w")), n]
        for _ in range(rng.randint(1, 4)):
            known.append(rng.choice(GROW)(rng.choice(known[-3:]), rng.choice(known)))
        return known[-1]

    @vs.diagram
    def table(x: "w") -> "w n m":
        return vs.expand(x, "n m") * vs.parameter("t", "n m", init=start)

    return table


def read(text: str, n: int, m: int) -> float:
    """The value of a text at a position, as a reader takes it."""
    down = {raised: chr(plain) for plain, raised in RAISED.items()}
    raised = "".join(map(chr, down))
    text = re.sub(rf"[{raised}]+", lambda found: f"**{found[0].translate(down)}", text)
    for written, meant in (
        (r"\|([nm])\|", r"\1_"),  # a length
        (r"⌊", "floor("), (r"⌋", ")"), (r"−", "-"), (r"·", "*"), (r"\^", "**"),
        (r"÷", "//"), (r"\bmod\b", "%"), (r"√(\w+)", r"√(\1)"), (r"√", "sqrt"),
        (r" = ", " == "), (r"≤", "<="), (r"\[", "float("), (r"\]", ")"),
    ):  # fmt: skip
        text = re.sub(written, meant, text)
    while "|" in text:  # inner ones first
        text = re.sub(r"\|([^|]*?[\w)])\|(?!\w)", r"abs(\1)", text, count=1)
    known = {
        "sqrt": math.sqrt,
        "sin": math.sin,
        "floor": math.floor,
        "abs": abs,
        "float": float,
        "int": int,
    }
    lengths = {f"{name}_": size for name, size in SIZES.items()}
    return eval(text, known | lengths | {"n": n, "m": m, "w": SIZES["w"]})  # of this file alone


def test_an_expression_says_what_it_computes():
    for seed in range(150):
        table = random_table(random.Random(seed))
        text = initial(table)["t"]
        found = table.evaluate(torch.ones(2), dtype=torch.float64, sizes={"n": 5, "m": 3})[0]
        said = [[read(text, n, m) for m in range(3)] for n in range(5)]
        torch.testing.assert_close(found, torch.tensor(said, dtype=torch.float64), msg=text)


def test_a_size_reads_as_mathematics():
    assert size_text("2*h*n**2 - n**12") == "2·h·n² − n¹²"


def test_what_would_fill_pages_is_not_written():
    def doubled(n):
        x = vs.sin(n)
        for _ in range(60):
            x = vs.sin(x * x)
        return x

    @vs.diagram
    def table(x: "n") -> "n":
        return x * vs.parameter("t", "n", init=doubled)

    assert initial(table) == {"t": "computed"}


def test_draws_and_what_is_not_arithmetic_are_named():
    def draws(n, m):
        return 0.5 * vs.random("n m", "normal") + vs.random("n m", "uniform")

    @vs.diagram
    def table(x: "n m") -> "n m":
        rows = vs.parameter("rows", "n m", init=lambda n, m: vs.softmax(-m, over="m"))
        return x * rows * vs.parameter("drawn", "n m", init=draws)

    assert initial(table) == {"rows": "softmax(−m; over m)", "drawn": "N(0, 1)/2 + U(0, 1)"}


def test_sizes_and_whole_numbers_stand_on_the_left():
    @vs.diagram
    def left(x: "n", k: "n int") -> {"sum": "n", "ratio": "n", "rest": "n int", "whole": "n int"}:
        n = vs.size("n")
        return {"sum": n - n * x, "ratio": n / x, "rest": 7 % k, "whole": n // k}

    found = left.evaluate(torch.tensor([1.0, 2, 4]), torch.tensor([1, 2, 3]), dtype=torch.float64)
    assert [x.tolist() for x in found] == [[0, -3, -9], [3, 1.5, 0.75], [0, 1, 1], [3, 1, 1]]
