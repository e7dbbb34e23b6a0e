"""Identities of attention as pairs of diagrams, true and false, and one trial in the field."""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

import vesalius as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.field import FieldAlgebra, ZeroDenominator
from vesalius.diagrams.names import sizes_of

MINUS_INFINITY = float("-inf")
PROPER = [
    {"n": 2, "m": 3, "c": 4, "e": 5, "l": 2, "h": 2},
    {"n": 3, "m": 2, "c": 5, "e": 4, "l": 3, "h": 3},
    {"n": 4, "m": 3, "c": 2, "e": 6, "l": 2, "h": 2},
]
DEGENERATE = [
    {"n": 1, "m": 1, "c": 1, "e": 1, "l": 1, "h": 1},
    {"n": 1, "m": 3, "c": 1, "e": 2, "l": 1, "h": 2},
    {"n": 2, "m": 1, "c": 3, "e": 1, "l": 2, "h": 1},
]

softmax, contract, exp, sum_ = vs.softmax, vs.contract, vs.exp, vs.sum
Pair = tuple[str, Callable[..., Any], Callable[..., Any]]


def drawn(diagram: Diagram, sizes: dict[str, int], seed: int) -> list[Any]:
    algebra = FieldAlgebra()
    return [
        algebra.arbitrary(name, [size.at(sizes) for size in type_.axes.values()], seed)
        for name, type_ in diagram.input_types.items()
    ]


def trial(left: Diagram, right: Diagram, sizes: dict[str, int], seed: int) -> bool:
    """Whether two diagrams agree at one draw; a denominator that is 0 by chance draws again."""
    algebra = FieldAlgebra()
    for attempt in range(4):
        redrawn = 1000 * attempt + seed
        inputs = drawn(left, sizes, redrawn)
        try:
            results = [
                d.evaluate(*inputs, algebra=algebra, sizes=sizes_of(d, sizes), seed=redrawn)
                for d in (left, right)
            ]
        except ZeroDenominator:
            continue
        return algebra.same(*results)
    raise AssertionError("a denominator is always 0")


def build(signature: str, body: Callable[..., Any]) -> Diagram:
    """A diagram from `"q: n c, k: m c -> n m"` and a function of wires."""
    left, right = signature.split("->")
    declared = dict(part.split(":", 1) for part in left.replace(" ", "_").split(","))

    def side(**wires: Any) -> Any:
        return body(*wires.values())

    side.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name.strip("_"), Parameter.KEYWORD_ONLY, annotation=type_.replace("_", " "))
            for name, type_ in declared.items()
        ],
        return_annotation=right.strip(),
    )
    return vs.diagram(side)


def scores(q, k):
    return contract(q, k, over="c")


def halves(s, v, join):
    """Attention over the first two entries of m and over the rest, joined."""
    parts = []
    for start, length in ((0, 2), (2, 2)):
        part = exp(vs.slice(s, "m", start, length=length))
        value = vs.slice(v, "m", start, length=length)
        parts.append((contract(part, value, over="m"), sum_(part, "m")))
    return join(*parts)


def causal(s):
    return vs.where(vs.iota("m") <= vs.iota("n"), s, MINUS_INFINITY)


TRUE: dict[str, Pair] = {
    "linear attention reassociates": (
        "q: n c, k: m c, v: m e -> n e",
        lambda q, k, v: contract(scores(q, k), v, over="m"),
        lambda q, k, v: contract(q, contract(k, v, over="m"), over="c"),
    ),
    "a scale moves into q": (
        "q: n c, k: m c -> n m",
        lambda q, k: softmax(scores(q, k) / vs.sqrt(vs.size("c")), "m"),
        lambda q, k: softmax(scores(q / vs.sqrt(vs.size("c")), k), "m"),
    ),
    "the root of a size squares to it": (
        "s: n c -> n c",
        lambda s: s / vs.sqrt(vs.size("c")) * vs.sqrt(vs.size("c")),
        lambda s: s,
    ),
    "the root counts what a sum of ones counts": (
        "s: n c -> n",
        lambda s: sum_(vs.like(1, s), "c") * sum_(s, "c") / vs.sqrt(vs.size("c")),
        lambda s: sum_(s, "c") * vs.power(vs.size("c"), exponent=0.5),
    ),
    "roots multiply": (
        "s: n c -> n c",
        lambda s: s * vs.sqrt(vs.size("n")) * vs.sqrt(vs.size("c")),
        lambda s: s * vs.sqrt(vs.size("n*c")),
    ),
    "a root of a square": (
        "s: n c -> n c",
        lambda s: s * vs.sqrt(vs.size("4*c*c")),
        lambda s: s * 2 * vs.size("c"),
    ),
    "softmax ignores a shift of rows": (
        "s: n m, r: n -> n m",
        lambda s, r: softmax(s + r, "m"),
        lambda s, r: softmax(s, "m"),
    ),
    "softmax ignores a bias of keys": (
        "q: n c, k: m c, b: c -> n m",
        lambda q, k, b: softmax(scores(q, k + b), "m"),
        lambda q, k, b: softmax(scores(q, k), "m"),
    ),
    "softmax unfolds": (
        "s: n m -> n m",
        lambda s: softmax(s, "m"),
        lambda s: exp(s) / sum_(exp(s), "m"),
    ),
    "query and key weights merge": (
        "x: n c, y: m c, a: c e, b: c e -> n m",
        lambda x, y, a, b: softmax(
            contract(contract(x, a, over="c"), contract(y, b, over="c"), over="e"), "m"
        ),
        lambda x, y, a, b: softmax(
            contract(x, contract(a, b.rename(c="d"), over="e"), y.rename(c="d"), over="c d"), "m"
        ),
    ),
    "the output weight absorbs the value weight": (
        "s: n m, y: m c, a: c e, b: e h -> n h",
        lambda s, y, a, b: contract(
            contract(softmax(s, "m"), contract(y, a, over="c"), over="m"), b, over="e"
        ),
        lambda s, y, a, b: contract(
            contract(softmax(s, "m"), y, over="m"), contract(a, b, over="e"), over="c"
        ),
    ),
    "normalisation is delayed": (
        "s: n m, v: m e -> n e",
        lambda s, v: contract(softmax(s, "m"), v, over="m"),
        lambda s, v: contract(exp(s), v, over="m") / sum_(exp(s), "m"),
    ),
    "split attention merges": (
        "s: n m:4, v: m:4 e -> n e",
        lambda s, v: contract(softmax(s, "m"), v, over="m"),
        lambda s, v: halves(s, v, lambda a, b: (a[0] + b[0]) / (a[1] + b[1])),
    ),
    "a value bias leaves a stochastic mix": (
        "s: n m, v: m e, b: e -> n e",
        lambda s, v, b: contract(softmax(s, "m"), v + b, over="m"),
        lambda s, v, b: contract(softmax(s, "m"), v, over="m") + b,
    ),
    "an additive score without tanh forgets its query": (
        "q: n c, k: m c, w: c -> n m",
        lambda q, k, w: softmax(contract(q + k, w, over="c"), "m"),
        lambda q, k, w: softmax(vs.like(contract(k, w, over="c"), sum_(q + k, "c")), "m"),
    ),
    "a mask of minus infinity leaves terms out": (
        "s: n m -> n m",
        lambda s: softmax(causal(s), "m"),
        lambda s: vs.where(vs.iota("m") <= vs.iota("n"), exp(s), 0) / sum_(exp(causal(s)), "m"),
    ),
    "a masked score keeps its shift": (
        "s: n m, r: n -> n m",
        lambda s, r: softmax(causal(s) + r, "m"),
        lambda s, r: softmax(causal(s), "m"),
    ),
    "exponentials multiply": (
        "a: n c, b: n c -> n c",
        lambda a, b: exp(a) * exp(b) / exp(1),
        lambda a, b: exp(a + b - 1),
    ),
    "the exponential of a half squares": ("a: n -> n", lambda a: exp(a / 2) ** 2, exp),
    "a quotient of exponentials": (
        "a: n, b: n -> n",
        lambda a, b: 1 / (1 / exp(a) + exp(b)),
        lambda a, b: exp(a) / (1 + exp(a + b)),
    ),
    "the sigmoid is rational in exp": ("x: n -> n", vs.sigmoid, lambda x: 1 / (1 + exp(-x))),
    "tanh is a sigmoid": ("x: n -> n", vs.tanh, lambda x: 2 * vs.sigmoid(2 * x) - 1),
    "tanh is odd": ("x: n -> n", lambda x: vs.tanh(-x), lambda x: -vs.tanh(x)),
    "tanh of nothing": ("x: n -> n", lambda x: vs.tanh(x - x), lambda x: x - x),
    "silu is x times a sigmoid": ("x: n -> n", vs.silu, lambda x: x / (1 + exp(-x))),
    "additive attention reassociates inside tanh": (
        "x: n c, y: m c, a: c e, b: c e, w: e -> n m",
        lambda x, y, a, b, w: softmax(
            contract(vs.tanh(contract(x, a, over="c") + contract(y, b, over="c")), w, over="e"),
            "m",
        ),
        lambda x, y, a, b, w: (
            exp(
                contract(w, vs.tanh(contract(b, y, over="c") - contract(-a, x, over="c")), over="e")
            )
            / sum_(
                exp(
                    contract(
                        vs.tanh(contract(y, b, over="c") + contract(a, x, over="c")), w, over="e"
                    )
                ),
                "m",
            )
        ),
    ),
    "an unspecified function of equal arguments": (
        "a: n c, b: c -> n c",
        lambda a, b: vs.gelu(a * b + b) + vs.log(exp(a)) + vs.power(a, exponent=0.3),
        lambda a, b: vs.power(a, exponent=0.3) + vs.log(1 / exp(-a)) + vs.gelu(b * (1 + a)),
    ),
    "a score of features reassociates": (
        "q: n c, k: m c, v: m e -> n e",
        lambda q, k, v: contract(scores(vs.elu(q) + 1, vs.elu(k) + 1), v, over="m"),
        lambda q, k, v: contract(vs.elu(q) + 1, contract(vs.elu(k) + 1, v, over="m"), over="c"),
    ),
    "heads are cut and joined": (
        "x: n d:2*h -> n d:2*h",
        lambda x: vs.merge(softmax(vs.split(x, "d", "h k:2"), "h"), "h k", "d"),
        lambda x: vs.merge(
            vs.split(exp(x), "d", "h k:2") / sum_(vs.split(exp(x), "d", "h k:2"), "h"), "h k", "d"
        ),
    ),
}

FALSE: dict[str, Pair] = {
    "softmax ignores a shift of columns": (
        "s: n m, r: m -> n m",
        lambda s, r: softmax(s + r, "m"),
        lambda s, r: softmax(vs.like(s, r), "m"),
    ),
    "softmax is additive": (
        "a: n m, b: n m -> n m",
        lambda a, b: softmax(a + b, "m"),
        lambda a, b: softmax(a, "m") + softmax(b, "m"),
    ),
    "softmax is homogeneous": (
        "s: n m, r: n -> n m",
        lambda s, r: softmax(s * r, "m"),
        lambda s, r: softmax(s, "m") * r,
    ),
    "a scale after softmax": (
        "s: n m -> n m",
        lambda s: softmax(s * 2, "m"),
        lambda s: softmax(s, "m") * 2,
    ),
    "softmax over queries": (
        "s: n m -> n m",
        lambda s: softmax(s, "m"),
        lambda s: softmax(s, "n"),
    ),
    "the average of halves": (
        "s: n m:4, v: m:4 e -> n e",
        lambda s, v: contract(softmax(s, "m"), v, over="m"),
        lambda s, v: halves(s, v, lambda a, b: (a[0] / a[1] + b[0] / b[1]) / 2),
    ),
    "a mask after softmax": (
        "s: n m -> n m",
        lambda s: softmax(causal(s), "m"),
        lambda s: vs.where(vs.iota("m") <= vs.iota("n"), softmax(s, "m"), 0),
    ),
    "a mask of zeros": (
        "s: n m -> n m",
        lambda s: softmax(causal(s), "m"),
        lambda s: softmax(vs.where(vs.iota("m") <= vs.iota("n"), s, 0), "m"),
    ),
    "a strict mask for one that is not": (
        "s: n m -> n m",
        lambda s: softmax(vs.where(vs.iota("m") <= vs.iota("n"), s, MINUS_INFINITY), "m"),
        lambda s: softmax(vs.where(vs.iota("m") < vs.iota("n"), s, MINUS_INFINITY), "m"),
    ),
    "sigmoid weights ignore a shift": (
        "s: n m, r: n -> n m",
        lambda s, r: vs.sigmoid(s + r),
        lambda s, r: vs.sigmoid(vs.like(s, r)),
    ),
    "a value bias leaves sigmoid weights": (
        "s: n m, v: m e, b: e -> n e",
        lambda s, v, b: contract(vs.sigmoid(s), v + b, over="m"),
        lambda s, v, b: contract(vs.sigmoid(s), v, over="m") + b,
    ),
    "an additive score forgets its query": (
        "q: n c, k: m c, w: c -> n m",
        lambda q, k, w: softmax(contract(vs.tanh(q + k), w, over="c"), "m"),
        lambda q, k, w: softmax(vs.like(contract(vs.tanh(k), w, over="c"), sum_(q + k, "c")), "m"),
    ),
    "the scale is forgotten": (
        "q: n c, k: m c -> n m",
        lambda q, k: softmax(scores(q, k) / vs.sqrt(vs.size("c")), "m"),
        lambda q, k: softmax(scores(q, k), "m"),
    ),
    "the scale is not rooted": (
        "q: n c, k: m c -> n m",
        lambda q, k: softmax(scores(q, k) / vs.sqrt(vs.size("c")), "m"),
        lambda q, k: softmax(scores(q, k) / vs.size("c"), "m"),
    ),
    "the scale of another size": (
        "q: n c, k: m c -> n m",
        lambda q, k: scores(q, k) / vs.sqrt(vs.size("c")),
        lambda q, k: scores(q, k) / vs.sqrt(vs.size("m")),
    ),
    "the scale of the other sign": (
        "s: n c -> n c",
        lambda s: s / vs.sqrt(vs.size("c")),
        lambda s: -s / vs.sqrt(vs.size("c")),
    ),
    "roots add": (
        "s: n -> n",
        lambda s: s * (vs.sqrt(vs.size("c")) + vs.sqrt(vs.size("n"))),
        lambda s: s * vs.sqrt(vs.size("c+n")),
    ),
    "a root undoes a square": ("x: n -> n", lambda x: vs.sqrt(x * x), lambda x: x),
    "the exponential is additive": ("a: n, b: n -> n", lambda a, b: exp(a + b), vs.add),
    "exponentials of sums add": (
        "a: n, b: n -> n",
        lambda a, b: exp(a + b),
        lambda a, b: exp(a) + exp(b),
    ),
    "exponentials of products multiply": (
        "a: n, b: n -> n",
        lambda a, b: exp(a * b),
        lambda a, b: exp(a) * exp(b),
    ),
    "a power moves out of the exponential": (
        "a: n -> n",
        lambda a: exp(a**2),
        lambda a: exp(a) ** 2,
    ),
    "quotients add": (
        "a: n, b: n -> n",
        lambda a, b: 1 / (a + b),
        lambda a, b: 1 / a + 1 / b,
    ),
    "tanh is additive": (
        "a: n, b: n -> n",
        lambda a, b: vs.tanh(a + b),
        lambda a, b: vs.tanh(a) + vs.tanh(b),
    ),
    "tanh is even": ("x: n -> n", lambda x: vs.tanh(-x), vs.tanh),
    "tanh is a sigmoid of its own argument": (
        "x: n -> n",
        vs.tanh,
        lambda x: 2 * vs.sigmoid(x) - 1,
    ),
    "an unspecified function is odd": ("x: n -> n", lambda x: vs.gelu(-x), lambda x: -vs.gelu(x)),
    "two unspecified functions are one": ("x: n -> n", vs.gelu, vs.erf),
    "two powers are one": (
        "x: n -> n",
        lambda x: vs.power(x, exponent=0.3),
        lambda x: vs.power(x, exponent=0.7),
    ),
    "two factors agree up to order": (
        "q: n c, k: m c -> n m",
        lambda q, k: scores(q, k),
        lambda q, k: contract(q, k.rename(c="d"), over="c d"),
    ),
    "a mean is a sum": ("x: n c -> n", lambda x: vs.mean(x, "c"), lambda x: sum_(x, "c")),
    "the order of grouped heads": (
        "x: n d:2*h -> n h g:2",
        lambda x: vs.split(x, "d", "h g:2"),
        lambda x: vs.split(x, "d", "g:2 h"),
    ),
    "a constant is nearly another": (
        "x: n -> n",
        lambda x: x * 0.1,
        lambda x: x * 0.1000000000000001,
    ),
    "a constant is the same modulo p": (
        "x: n -> n",
        lambda x: x * 1_784_742_959,
        lambda x: x * 0,
    ),
}
