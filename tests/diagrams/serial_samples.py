"""Diagrams that are written and read back in the tests of JSON, and their documents."""

import copy
import json
import math
import re
from fractions import Fraction

import vesalius as vs
from vesalius.diagrams.box import Hole
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.serial import to_json


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    """Scaled dot-product attention."""
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def multihead(x: "n d") -> "n d":
    q, k, v = (vs.linear(x, "d", "h c", name=name) for name in ("wq", "wk", "wv"))
    o = attention(q, k.rename(n="m"), v.rename(n="m", c="e"))
    return vs.linear(o, "h e", "d", name="wo", bias=True)


@vs.diagram
def sources(x: "n c") -> {"a": "n c", "b": "n c bool", "c": "k:3 j:2", "d": "n"}:
    table = vs.constant([[1, 2.5], [math.inf, Fraction(1, 3)], [0, -1]], "k j")
    keep = vs.random("n c", "bernoulli", p=0.25, name="keep")
    fixed = vs.parameter("table.rows", "n c", init="normal", scale=0.02, trainable=False)
    ones = vs.parameter("ones", "c", init="ones")
    noise = vs.random("n c", "uniform")
    size = vs.to_float(vs.iota("n")) * vs.size("2*n + c//2") / Fraction(1, 7)
    return {"a": x + fixed * ones + noise + 0.1, "b": keep, "c": table, "d": size}


@vs.diagram
def shapes(x: "n c:2*h", y: "m c:2*h") -> {"a": "n h:h k:2", "i": "n k:2 int", "z": "i:h*m+1"}:
    halves = vs.split(x, "c", "k:2 h")
    values, places = vs.topk(vs.concat(x, y, over=("n", "m"), into="t"), "t", "k:2")
    z = vs.pad(vs.slice(vs.merge(y, "m c", "t"), "t", 1, step=2), "t", 1, 2, 0.5)
    z = vs.sum(vs.window(z, "t", "i d:3"), "d")
    g = vs.gather(vs.fourier(x, over="n")[1], vs.iota("j:3"), over="n")
    square = vs.diagonal(vs.contract(x, x.rename(n="m"), over="c"), "n m", "n")
    i = vs.to_int(vs.expand(square, "k:2")) + vs.remainder(vs.iota("n"), 3)
    rest = vs.sum(values, "k c") + vs.sum(vs.to_float(places), "k c") + vs.sum(g, "j c")
    return {"a": halves * rest, "i": i, "z": z}


@vs.diagram
def symmetric(x: "n d") -> "n m:n":
    gram = vs.contract(x, x.rename(n="m"), over="d")
    return vs.exp(gram) + gram.rename(n="m", m="n") + vs.expand(vs.sum(x, "n d"), "n m:n")


@vs.diagram
def learned(q: "n c", k: "m c") -> "n m r:4":
    return vs.learner("score", q, k, binds="c", into="r:4")


@vs.diagram
def nested(x: "n d", y: "b n d") -> "b n d":
    once = multihead.boxed(x)
    return multihead.boxed(multihead.boxed(y)) + once


@vs.diagram
def cell(s: "c", x: "c") -> {"s": "c", "y": "c"}:
    new = vs.tanh(vs.linear(s, "c", "c", name="u") + x)
    return {"s": new, "y": new * 2}


@vs.diagram
def recurrent(x: "b t c", s: "c") -> {"last": "b c", "all": "b t c"}:
    last, every = vs.scan(cell, over="t", states=[s], sequences=[x], reverse=True)
    return {"last": last, "all": every}


@vs.diagram
def holds_learners(q: "b n c", k: "m c") -> "b n m r:4":
    return learned.boxed(q, k)


EXAMPLES = [
    attention, attention.over("b h"), multihead, sources, shapes, symmetric, learned, nested,
    recurrent, holds_learners, nested.unfold(), vs.identity("n c", "m int"), nested.fold().fold(),
    multihead.over("b", parameters=True), attention.substitute(c="2*h", n=7),
]  # fmt: skip


def same_to_a_person(a: Diagram, b: Diagram) -> None:
    """All that equality does not look at."""
    assert str(a) == str(b)
    assert (a.name, a.doc, a.hints, a.types) == (b.name, b.doc, b.hints, b.types)
    assert (a.symmetries, a.expanded) == (b.symmetries, b.expanded)
    mine, other = ([token for token, _ in d.tokens] for d in (a, b))
    assert [(type(t), t.name, t.describe()) for t in mine] == [
        (type(t), t.name, t.describe()) for t in other
    ]
    for one, two in zip(mine, other, strict=True):
        assert one is not two
        if isinstance(one, Hole):
            assert (one.ports, one.into) == (two.ports, two.into)
    for one, two in zip(a.boxes, b.boxes, strict=True):
        for x, y in zip(one.box.attrs, two.box.attrs, strict=True):
            if isinstance(x, Diagram):
                assert to_json(x) == to_json(y)


def first(document: dict, kind: str) -> int:
    """The number of the first node of a kind."""
    return next(k for k, node in enumerate(document["nodes"]) if node["kind"] == kind)


def changed(document: dict, where: str, value: object) -> dict:
    """The document with the part at a path such as `nodes[3].attrs.step` replaced."""
    found = copy.deepcopy(document)
    steps = [int(a) if a else b for a, b in re.findall(r"\[(\d+)\]|([^.\[\]]+)", where)]
    part = found
    for step in steps[:-1]:
        part = part[step]
    if value is ...:
        del part[steps[-1]]
    else:
        part[steps[-1]] = value
    return found


BASE = json.loads(to_json(multihead))
NESTED = json.loads(to_json(nested))
SCAN = json.loads(to_json(recurrent))
SOURCES = json.loads(to_json(sources))
LEARNED = json.loads(to_json(learned))
SHAPES = json.loads(to_json(shapes))
