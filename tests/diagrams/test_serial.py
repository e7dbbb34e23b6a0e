"""JSON: what is written is read back; what is not such a text is refused, with its place."""

import builtins
import copy
import itertools
import json
import math
import pickle
import random
import re
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams import serial, serial_reading
from vesalius.diagrams.box import KINDS, Draw, Hole, Kind, Parameter, box, declare
from vesalius.diagrams.boxes.nested import MAX_NESTING
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.errors import FormatError, VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.serial import encode_number, from_json, to_json
from vesalius.diagrams.serial_reading import CODECS


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
examples = pytest.mark.parametrize("diagram", EXAMPLES, ids=lambda d: d.name)


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


# -- round trips ------------------------------------------------------------------------------


@examples
def test_a_diagram_is_read_back(diagram: Diagram) -> None:
    text = diagram.to_json()
    again = Diagram.from_json(text)
    assert again == diagram
    assert hash(again) == hash(diagram)
    assert again.to_json() == text
    same_to_a_person(again, diagram)
    assert from_json(to_json(diagram, indent=2)) == diagram
    assert json.loads(to_json(diagram, indent=2)) == json.loads(text)
    assert text.isascii()


@examples
def test_copies_are_made_by_way_of_the_text(diagram: Diagram) -> None:
    for again in (pickle.loads(pickle.dumps(diagram)), copy.deepcopy(diagram)):
        assert again == diagram
        same_to_a_person(again, diagram)


def test_what_is_read_back_means_the_same() -> None:
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    for diagram in (nested.unfold(), nested):
        again = from_json(to_json(diagram))
        y = torch.randn(5, 6, dtype=torch.float64)
        sizes = {"h": 2, "c": 3}
        assert torch.equal(again.evaluate(y, x, sizes=sizes), diagram.evaluate(y, x, sizes=sizes))
    again = from_json(to_json(recurrent))
    for one, two in zip(again.evaluate(x, x[0, 0]), recurrent.evaluate(x, x[0, 0]), strict=True):
        assert torch.equal(one, two)


@given(testing.diagrams(kinds=testing.KINDS))
def test_diagrams_of_every_kind_are_read_back(diagram: Diagram) -> None:
    text = to_json(diagram)
    again = from_json(text)
    assert again == diagram
    assert to_json(again) == text
    same_to_a_person(again, diagram)


@given(testing.diagrams(), st.integers(0, 2**16))
def test_diagrams_of_every_kind_written_otherwise(diagram: Diagram, seed: int) -> None:
    assert from_json(scrambled(diagram, random.Random(seed))) == diagram
    assert from_json(to_json(testing.alpha_variant(diagram, seed))) == diagram


def random_text(seed: int, steps: int) -> Diagram:
    """A diagram in which wires are read often, in any order, along either of two like axes."""
    choose = random.Random(seed)
    builder = vs.Builder("random", doc="drawn")
    wires = [builder.input("x", "a b:a"), builder.input("y", "a b:a"), builder.input("z", "a")]

    def draw() -> vs.Wire:
        wire = choose.choice(wires)
        turned = {"a": "b", "b": "a"} if choose.random() < 0.5 else {}
        return wire.rename(**{name: turned[name] for name in wire.names if turned})

    def several() -> list[vs.Wire]:
        return [draw() for _ in range(choose.randint(2, 4))]

    with builder:
        for _ in range(steps):
            made = choose.choice(
                [
                    lambda: vs.add(*several()),
                    lambda: vs.contract(*several()),
                    lambda: vs.sum(vs.contract(*several(), *wires[:1]), "b"),
                    lambda: vs.contract(draw(), *wires[1:2], vs.parameter("w", "b:a a"), over="a"),
                    lambda: vs.maximum(draw(), draw()),
                    lambda: vs.where(vs.less(draw(), draw()), 0, draw()),
                    lambda: vs.softmax(vs.exp(draw()) + wires[0], over="a b"),
                    lambda: vs.expand(vs.sum(draw() + wires[2], "a"), "a"),
                    lambda: draw() * choose.choice([1, 2.5, Fraction(1, 3), vs.size("a")]),
                ]
            )()
            if made.names:
                wires.append(made)
    return builder.diagram(*choose.sample(wires, choose.randint(1, 3)))


@given(st.integers(0, 10**6), st.integers(0, 12))
def test_random_diagrams_are_read_back(seed: int, steps: int) -> None:
    diagram = random_text(seed, steps)
    text = to_json(diagram)
    again = from_json(text)
    assert again == diagram
    assert to_json(again) == text
    same_to_a_person(again, diagram)


def scrambled(diagram: Diagram, choose: random.Random) -> str:
    """The same diagram as a stranger would write it: any order of boxes, operands and axes."""
    document = json.loads(to_json(diagram))
    inputs, nodes = len(diagram.inputs), diagram.nodes
    done = list(range(inputs))
    waiting = list(range(inputs, len(nodes)))
    while waiting:
        ready = [k for k in waiting if all(diagram.owner[w] in done for w in nodes[k].src)]
        done.append(choose.choice(ready))
        waiting.remove(done[-1])
    place: dict[int, int] = {}  # wires as they are numbered now
    slots: dict[int, list[int]] = {}  # slot i of the wire now was slot slots[i]
    written = []
    for k in done:
        node, old = nodes[k], nodes[k].box
        for wire in node.wires:
            place[wire] = len(place)
        if k < inputs:
            slots[node.first] = list(range(len(diagram.types[node.first].sizes)))
            continue
        order = list(range(len(node.src)))
        if old.kind.commutes(old.attrs):
            choose.shuffle(order)
        number: dict[int, int] = {}
        maps = []
        for p in order:
            row = [old.maps[p][s] for s in slots[node.src[p]]]
            maps.append([number.setdefault(axis, len(number)) for axis in row])
        for axis in range(old.inner, old.rank):
            number[axis] = axis
        bound = [number[axis] for axis in old.bound]
        if old.kind.bound_is_set:
            choose.shuffle(bound)
        new = box(old.kind, old.attrs, tuple(map(tuple, maps)), tuple(bound), old.new)
        raw = document["nodes"][k - inputs]
        raw.update({"from": [place[node.src[p]] for p in order], "maps": maps, "bound": bound})
        back = {axis: was for was, axis in number.items()}
        for j, (wire, row) in enumerate(zip(node.wires, new.outs, strict=True)):
            slots[wire] = [old.outs[j].index(back[axis]) for axis in row]
            raw["names"][j] = [raw["names"][j][s] for s in slots[wire]]
        written.append(raw)
    document["nodes"] = written
    for raw in document["outputs"]:
        turned = slots[raw["wire"]]
        raw["slots"] = [turned.index(s) for s in raw["slots"]]
        raw["wire"] = place[raw["wire"]]
    return json.dumps(document)


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_strangers_write_the_same_diagram_otherwise(seed: int, steps: int) -> None:
    diagram = random_text(seed, steps)
    again = from_json(scrambled(diagram, random.Random(seed)))
    assert again == diagram
    assert from_json(to_json(again)) == diagram


@examples
def test_examples_written_otherwise(diagram: Diagram) -> None:
    for seed in range(5):
        assert from_json(scrambled(diagram, random.Random(seed))) == diagram


def test_the_text_is_what_the_format_says() -> None:
    assert to_json(vs.identity("n c:2*d")) == (
        '{"vesalius":"diagram","version":1,"name":"identity",'
        '"inputs":[{"name":"x","type":"{n, c:2*d} float"}],"nodes":[],'
        '"outputs":[{"name":"x","wire":0,"axes":["n","c"],"slots":[0,1]}]}'
    )
    document = json.loads(to_json(attention))
    assert document["doc"] == "Scaled dot-product attention."
    assert document["nodes"][0] == {
        "kind": "contract",
        "from": [0, 1],
        "maps": [[0, 1], [2, 1]],
        "bound": [1],
        "names": [["n", "m"]],
    }
    assert document["nodes"][1] == {
        "kind": "constant",
        "attrs": {"value": {"size": "c"}, "dtype": "int"},
        "names": [[]],
    }
    assert document["outputs"] == [{"name": "out", "wire": 9, "axes": ["n", "e"], "slots": [1, 0]}]
    tokens = json.loads(to_json(sources))["tokens"]
    assert {token["name"]: token for token in tokens} == {
        "keep": {"type": "draw", "name": "keep", "distribution": "bernoulli", "p": 0.25},
        "noise": {"type": "draw", "name": "noise", "distribution": "uniform", "p": 0.5},
        "table.rows": {"type": "parameter", "name": "table.rows", "init": "normal", "scale": 0.02,
                       "fan": None, "trainable": False},
        "ones": {"type": "parameter", "name": "ones", "init": "ones", "scale": 1.0, "fan": None,
                 "trainable": True},
    }  # fmt: skip
    assert json.loads(to_json(learned))["tokens"] == [
        {"type": "hole", "name": "score", "ports": [["c"], ["c"]], "into": ["r"]}
    ]


def test_the_bytes_are_the_same_in_every_process() -> None:
    code = (
        "import vesalius as vs\n"
        "@vs.diagram\n"
        "def f(x: 'n c') -> 'n c':\n"
        "    noise = vs.random('n c') + vs.parameter('w', 'c n')\n"
        "    return vs.softmax(vs.add(x, noise, x * 2, vs.exp(x)), over='c')\n"
        "@vs.diagram\n"
        "def g(x: 'b n c') -> 'b n c':\n"
        "    return f.boxed(f.boxed(x)) * vs.power(x, 2.0)\n"
        "print(g.to_json())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("0", "1", "123")
    }  # fmt: skip
    assert len(texts) == 1


def test_the_bytes_are_the_same_once_read_elsewhere() -> None:
    """Here, what is read may be given boxes that are alive already; there, nothing is."""
    code = "import sys, vesalius as vs\nprint(vs.Diagram.from_json(sys.stdin.read()).to_json())"
    for diagram in (nested, recurrent, holds_learners):
        text = to_json(diagram)
        done = subprocess.run(
            [sys.executable, "-c", code], input=text, check=True, capture_output=True, text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        assert done.stdout.strip() == text


def test_names_that_cannot_be_printed_are_not_written() -> None:
    builder = vs.Builder("x\ny")
    diagram = builder.diagram(builder.input("x", "n"))
    with pytest.raises(FormatError, match=r"the name 'x\\ny' cannot be printed"):
        to_json(diagram)


def test_the_bytes_do_not_depend_on_what_else_is_alive() -> None:
    """Boxes are shared between diagrams, and 2, 2.0 and Fraction(2) are equal numbers."""
    texts = set()
    for two in (2, 2.0, Fraction(2)):
        builder = vs.Builder("square")
        x = builder.input("x", "n")
        texts.add(to_json(builder.diagram(vs.power(x, two))))
    assert len(texts) == 1
    halves = set()
    for half in (0.5, Fraction(1, 2)):
        builder = vs.Builder("half")
        halves.add(to_json(builder.diagram(builder.input("x", "n") * half)))
    assert len(halves) == 1


# -- numbers ----------------------------------------------------------------------------------

NUMBERS = [
    (2, "", "2"), (2.0, "", "2"), (Fraction(2), "", "2"), (-0.0, "", "0"), (0.1, "", "0.1"),
    (Fraction(1, 2), "", "0.5"), (Fraction(1, 3), "", '{"fraction": [1, 3]}'),
    (1e300, "", "1e+300"),
    (2**53, "", "9007199254740992"), (2**53 + 1, "", "9007199254740993"),
    (2**60, "", str(2.0**60)),
    (10**400 + 1, "", str(10**400 + 1)),
    (Fraction(1, 10**400), "", '{"fraction": [1, 1' + "0" * 400),
    (2, "float", "2.0"), (2.0, "float", "2.0"), (2**53 + 1, "float", "9007199254740993"),
    (2, "int", "2"), (2**60, "int", str(2**60)), (True, "bool", "true"), (0, "bool", "false"),
    (math.inf, "", '"inf"'), (-math.inf, "float", '"-inf"'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "dtype", "text"), NUMBERS)
def test_numbers_are_written_by_value(value, dtype: str, text: str) -> None:
    assert json.dumps(encode_number(value, dtype)).startswith(text)


@given(
    st.integers() | st.floats(allow_nan=False) | st.fractions() | st.integers(-(2**70), 2**70),
    st.sampled_from(["", "float"]),
)
def test_numbers_are_read_back(value, dtype: str) -> None:
    text = json.dumps(encode_number(value, dtype))
    again = serial_reading.as_value(json.loads(text), dtype)
    assert again == value
    if dtype == "float" and not isinstance(value, Fraction) and abs(value) < 2**53:
        assert type(again) is float
    assert encode_number(again, dtype) == encode_number(value, dtype)


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4))
def test_integers_stay_integers(values: list[int]) -> None:
    with vs.Builder("table") as builder:
        table = builder.diagram(vs.constant(values, "n"))
    again = from_json(to_json(table))
    assert again == table
    (value, dtype) = again.boxes[0].box.attrs
    assert (value, dtype) == (tuple(values), "int")
    assert all(type(entry) is int for entry in value)


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(FormatError, match="not a number"):
        encode_number(math.nan)


def test_a_number_of_thousands_of_digits_is_not_written() -> None:
    with vs.Builder("huge") as builder:
        diagram = builder.diagram(vs.constant(10**5000))
    with pytest.raises(FormatError, match="holds a number too long"):
        to_json(diagram)


# -- bodies -----------------------------------------------------------------------------------


def test_a_body_is_written_once() -> None:
    builder = vs.Builder("deep")
    x = builder.input("x", "n d")
    for _ in range(100):
        x = multihead.boxed(x)
    diagram = builder.diagram(x)
    document = json.loads(to_json(diagram))
    assert len(document["bodies"]) == 1
    again = from_json(to_json(diagram))
    assert again == diagram
    bodies = {id(node.box["body"]) for node in again.boxes if node.box.kind.name == "named"}
    assert len(bodies) == 1
    assert len(document["tokens"]) == 500


def test_bodies_that_only_people_tell_apart_stay_apart() -> None:
    builder = vs.Builder("two")
    x = builder.input("x", "n d")
    bodies = []
    for doc in ("first", "second"):
        inner = vs.Builder("body", doc)
        bodies.append(inner.diagram(vs.exp(inner.input("x", "n d"))))
    y = bodies[0].boxed(x)
    document = json.loads(to_json(builder.diagram(y, vs.sum(bodies[1].boxed(y), "d"))))
    assert {body["doc"] for body in document["bodies"]} <= {"first", "second"}


def level(k: int, body: Diagram) -> Diagram:
    builder = vs.Builder(f"level{k}")
    x = builder.input("x", "n")
    return builder.diagram(body.boxed(body.boxed(x)))


def test_bodies_nest_so_deep_and_no_deeper() -> None:
    builder = vs.Builder("leaf")
    diagram = builder.diagram(vs.exp(builder.input("x", "n")))
    for k in range(MAX_NESTING):
        diagram = level(k, diagram)
    text = to_json(diagram)  # 2⁶⁴ boxes, were they unfolded
    assert len(json.loads(text)["bodies"]) == MAX_NESTING
    assert from_json(text) == diagram
    with pytest.raises(vs.StructureError, match=f"nested more than {MAX_NESTING} deep"):
        level(MAX_NESTING, diagram)
    document = json.loads(text)
    outer = {k: document[k] for k in ("name", "inputs", "nodes", "outputs")}
    document["bodies"].append(outer)
    document["nodes"] = copy.deepcopy(outer["nodes"])
    for node in document["nodes"]:
        node["attrs"]["body"] = MAX_NESTING
    place = rf"\$\.bodies\[{MAX_NESTING}\]: bodies are nested more than {MAX_NESTING} deep"
    with pytest.raises(FormatError, match=place):
        from_json(json.dumps(document))


# -- what users declare -----------------------------------------------------------------------


def test_functions_and_boxes_of_users() -> None:
    triple = FUNCTIONS.get("serial_triple") or vs.function("serial_triple", lambda x: 3 * x)
    cumsum = OWN.get("serial_cumsum") or vs.box(
        "serial_cumsum",
        "t c, c -> t c:2*c",
        lambda x, y: torch.cat([x.cumsum(-2), x * y[..., None, :]], -1),
    )

    @vs.diagram
    def own(x: "b t c", y: "c") -> "b t c:2*c":
        return cumsum(triple(x), y)

    text = to_json(own)
    assert from_json(text) == own
    node = json.loads(text)["nodes"][1]

    def refused(**change) -> str:
        document = json.loads(text)
        document["nodes"][1] = {**node, **change}
        with pytest.raises(FormatError) as error:
            from_json(json.dumps(document))
        return str(error.value)

    assert "takes 2 inputs, not 1" in refused(**{"from": [2], "maps": [[0, 1, 2]]})
    assert "binds t c" in refused(bound=[1])
    assert "input 1 of serial_cumsum binds c" in refused(bound=[2, 1])
    assert "the new axes are" in refused(new=["t", "3*c"])
    for name, kind in (("serial_triple", "function"), ("serial_cumsum", "box")):
        document = text.replace(name, "not_declared")
        with pytest.raises(FormatError, match=rf'declare it before reading: vs.{kind}\("not_decl'):
            from_json(document)


def test_kinds_of_users_with_attributes_that_the_format_does_not_know() -> None:
    name = "serial_strange"
    kind = KINDS.get(name) or declare(
        Kind(name, "strange", "y = x", lambda a, s, i: i, fields=(("what", "colour"),))
    )
    builder = vs.Builder("strange")
    x = builder.input("x", "n")
    made = builder.add(kind, ("red",), [(x.id, x.names)])
    diagram = builder.diagram(vs.Wire(builder, made.wires.start, ("n",)))
    with pytest.raises(FormatError, match="serial_strange has an attribute of the codec 'colour'"):
        to_json(diagram)
    document = json.loads(to_json(vs.identity("n")))
    document["nodes"] = [{"kind": name, "from": [0], "maps": [[0]], "attrs": {"what": "red"},
                          "names": [["n"]]}]  # fmt: skip
    with pytest.raises(FormatError, match=r"\$\.nodes\[0\]\.attrs\.what: .* the codec 'colour'"):
        from_json(json.dumps(document))


def test_every_codec_of_every_kind_is_known() -> None:
    for kind in KINDS.values():
        if not kind.name.startswith("serial_"):
            assert {codec for _, codec in kind.fields} <= CODECS, kind


class Brand(Parameter):
    """An identity of a class of a user's own."""


def test_identities_of_other_classes_are_not_written() -> None:
    from vesalius.diagrams.boxes.sources import PARAMETER

    builder = vs.Builder("brand")
    made = builder.add(PARAMETER, (Brand("w"),), (), (), [("n", vs.Size({(("n", 1),): 1}))])
    with pytest.raises(FormatError, match="a class that the format does not know"):
        to_json(builder.diagram(vs.Wire(builder, made.wires.start, ("n",))))


# -- nothing is run ---------------------------------------------------------------------------


def test_reading_runs_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [to_json(diagram) for diagram in EXAMPLES]

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"code was run: {args}")

    with monkeypatch.context() as patch:
        for name in ("eval", "exec", "compile"):
            patch.setattr(builtins, name, never)
        read = [from_json(text) for text in texts]
    assert read == EXAMPLES


# -- what is refused --------------------------------------------------------------------------

BASE = json.loads(to_json(multihead))
NESTED = json.loads(to_json(nested))
SCAN = json.loads(to_json(recurrent))
SOURCES = json.loads(to_json(sources))
LEARNED = json.loads(to_json(learned))
SHAPES = json.loads(to_json(shapes))


def first(document: dict, kind: str) -> int:
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


PARAMETER = first(BASE, "parameter")
CONTRACT = first(BASE, "contract")
SOFTMAX = first(BASE, "softmax")
POINTWISE = first(BASE, "pointwise")
CONSTANT = first(BASE, "constant")
NAMED = first(NESTED, "named")
SLICE, TOPK, SPLIT, CONCAT, GATHER, PAD, DIAGONAL = (
    first(SHAPES, kind)
    for kind in ("slice", "topk", "split", "concat", "gather", "pad", "diagonal")
)

REFUSED = [
    # document, place, what is put there (... takes it away), where the error is, what it says
    (BASE, "version", 2, "version", "this library reads version 1, not 2"),
    (BASE, "version", True, "version", "expected an integer, found true"),
    (BASE, "version", "1", "version", "expected an integer"),
    (BASE, "version", ..., "", "the field 'version' is missing"),
    (BASE, "vesalius", "film", "vesalius", "expected one of diagram"),
    (BASE, "extra", 1, "", 'there is no field "extra" here; the fields are bodies, doc'),
    (BASE, "name", None, "name", "expected a string, found null"),
    (BASE, "name", "a\nb", "name", "a name that can be printed"),
    (BASE, "doc", 3, "doc", "expected a string, found 3"),
    (BASE, "inputs", {}, "inputs", "expected a list, found an object"),
    (BASE, "inputs[0]", [], "inputs[0]", "expected an object, found a list"),
    (BASE, "inputs[0].name", 1, "inputs[0].name", "expected a string"),
    (BASE, "inputs[0].type", "n n", "inputs[0].type", "'n' stands twice"),
    (BASE, "inputs[0].type", "n d:(", "inputs[0].type", "is not a size"),
    (BASE, "inputs[0].type", "n d:-2", "inputs[0].type", "none is negative"),
    (BASE, "inputs[0].extra", 1, "inputs[0]", "there is no field"),
    (BASE, "inputs", BASE["inputs"] * 2, "inputs[1].name", "two inputs are called 'x'"),
    (BASE, "outputs[0].wire", 99, "outputs[0].wire", "expected the number of one of"),
    (BASE, "outputs[0].wire", -1, "outputs[0].wire", "found -1"),
    (BASE, "outputs[0].wire", 1.0, "outputs[0].wire", "found 1.0"),
    (BASE, "outputs[0].axes", ["n"], "outputs[0].axes", "the wire has 2 axes, not 1"),
    (BASE, "outputs[0].axes", ["n", "n"], "outputs[0].axes[1]", "the axis 'n' stands twice"),
    (BASE, "outputs[0].axes", ["n", "float"], "outputs[0].axes[1]", "expected a name of an axis"),
    (BASE, "outputs[0].slots", [0, 0], "outputs[0].slots", "0 to 1 in some order"),
    (BASE, "outputs[0].slots", [0, 2], "outputs[0].slots", "0 to 1 in some order"),
    (BASE, "outputs[0].slots", [True, 0], "outputs[0].slots[0]", "expected an integer"),
    (BASE, "outputs", BASE["outputs"] * 2, "outputs", "two outputs are called 'out'"),
    (BASE, "tokens[1].name", "wq", "tokens[1].name", "two identities are called 'wq'"),
    (BASE, "tokens[0].type", "weight", "tokens[0]", "one of parameter, draw, hole"),
    (BASE, "tokens[0].init", "xavier", "tokens[0].init", "one of fan, zeros"),
    (BASE, "tokens[0].scale", "1", "tokens[0].scale", "expected a number"),
    (BASE, "tokens[0].scale", "inf", "tokens[0].scale", "expected a finite float"),
    (BASE, "tokens[0].fan", 3, "tokens[0].fan", "expected a string"),
    (BASE, "tokens[0].trainable", 1, "tokens[0].trainable", "expected true or false"),
    (BASE, "tokens[0].p", 0.5, "tokens[0]", "there is no field"),
    (SOURCES, "tokens[0].p", 1.5, "tokens[0].p", "a probability lies in"),
    (LEARNED, "tokens[0].ports", [["c", "c"], []], "tokens[0].ports[0][1]", "stands twice"),
    (LEARNED, "tokens[0].ports", [["c"], []], "nodes[0]", "the ports of 'score' are"),
    (LEARNED, "tokens[0].into", [], "nodes[0]", "'score' makes [], not 1 axes"),
    (BASE, f"nodes[{CONTRACT}].kind", "einsum", f"nodes[{CONTRACT}].kind", "no kind of box"),
    (BASE, f"nodes[{CONTRACT}].kind", "input", f"nodes[{CONTRACT}].kind", "list of inputs"),
    (BASE, f"nodes[{CONTRACT}].kind", ..., f"nodes[{CONTRACT}]", "'kind' is missing"),
    (BASE, f"nodes[{CONTRACT}].names", ..., f"nodes[{CONTRACT}]", "'names' is missing"),
    (BASE, f"nodes[{CONTRACT}].colour", 1, f"nodes[{CONTRACT}]", 'no field "colour"'),
    (BASE, f"nodes[{CONTRACT}].from", [0, 99], f"nodes[{CONTRACT}].from[1]", "a cycle"),
    (BASE, f"nodes[{CONTRACT}].from", [0, CONTRACT + 1], f"nodes[{CONTRACT}].from[1]", "a cycle"),
    (BASE, f"nodes[{CONTRACT}].from", [0, -1], f"nodes[{CONTRACT}].from[1]", "found -1"),
    (BASE, f"nodes[{CONTRACT}].from", [0, True], f"nodes[{CONTRACT}].from[1]", "found true"),
    (BASE, f"nodes[{CONTRACT}].from", 0, f"nodes[{CONTRACT}].from", "expected a list"),
    (BASE, f"nodes[{CONTRACT}].from", [0], f"nodes[{CONTRACT}].maps", "1 wires are read, and 2"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [0, 0], f"nodes[{CONTRACT}].maps[0]", "is injective"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [0], f"nodes[{CONTRACT}].maps[0]", "2 axes, 1 are mapped"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [0, 9], f"nodes[{CONTRACT}].maps", "stands nowhere"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [0, -1], f"nodes[{CONTRACT}].maps[0]", "0 to 1000"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [0, 10**9], f"nodes[{CONTRACT}].maps[0]", "0 to 1000"),
    (BASE, f"nodes[{CONTRACT}].maps[0][1]", 1.0, f"nodes[{CONTRACT}].maps[0][1]", "an integer"),
    (BASE, f"nodes[{CONTRACT}].maps[0][1]", True, f"nodes[{CONTRACT}].maps[0][1]", "an integer"),
    (BASE, f"nodes[{CONTRACT}].maps", "01", f"nodes[{CONTRACT}].maps", "expected a list"),
    (BASE, f"nodes[{CONTRACT}].maps[0]", [1, 0], f"nodes[{CONTRACT}]", "of size n and of size d"),
    (BASE, f"nodes[{CONTRACT}].bound", [9], f"nodes[{CONTRACT}].bound", "each once"),
    (BASE, f"nodes[{CONTRACT}].bound", [1, 1], f"nodes[{CONTRACT}].bound", "each once"),
    (BASE, f"nodes[{CONTRACT}].new", ["n"], f"nodes[{CONTRACT}]", "takes 0 new axes, not 1"),
    (BASE, f"nodes[{CONTRACT}].new", [3], f"nodes[{CONTRACT}].new[0]", "expected a string"),
    (BASE, f"nodes[{CONTRACT}].names", [], f"nodes[{CONTRACT}].names", "outputs of 3 axes"),
    (BASE, f"nodes[{CONTRACT}].names[0]", ["n"], f"nodes[{CONTRACT}].names", "outputs of 3 axes"),
    (BASE, f"nodes[{CONTRACT}].names[0][0]", "2n", f"nodes[{CONTRACT}].names[0][0]", "of an axis"),
    (BASE, f"nodes[{CONTRACT}].names[0][0]", 2, f"nodes[{CONTRACT}].names[0][0]", "a string"),
    (BASE, f"nodes[{CONTRACT}].attrs", {"x": 1}, f"nodes[{CONTRACT}].attrs", "the fields are none"),
    (BASE, f"nodes[{SOFTMAX}].bound", ..., f"nodes[{SOFTMAX}]", "at least 1 bound axes"),
    (BASE, f"nodes[{PARAMETER}].attrs.token", 77, f"nodes[{PARAMETER}].attrs.token", "tokens"),
    (BASE, f"nodes[{PARAMETER}].attrs.token", None, f"nodes[{PARAMETER}].attrs.token", "tokens"),
    (BASE, f"nodes[{PARAMETER}].attrs", ..., f"nodes[{PARAMETER}].attrs", "'token' is missing"),
    (BASE, f"nodes[{PARAMETER}].new[0]", "-1", f"nodes[{PARAMETER}].new[0]", "none is negative"),
    (BASE, f"nodes[{PARAMETER}].new[0]", "n**65", f"nodes[{PARAMETER}].new[0]", "from 0 to 64"),
    (BASE, f"nodes[{PARAMETER}].new[0]", "__import__('os')", f"nodes[{PARAMETER}].new[0]", "size"),
    (BASE, f"nodes[{PARAMETER}].new[0]", "(" * 999, f"nodes[{PARAMETER}].new[0]", "too deeply"),
    (BASE, f"nodes[{POINTWISE}].attrs.function", "rm", f"nodes[{POINTWISE}].attrs.function",
     'no function "rm"'),
    (BASE, f"nodes[{POINTWISE}].attrs.function", "where", f"nodes[{POINTWISE}]",
     "where takes 3 inputs"),
    (BASE, f"nodes[{POINTWISE}].attrs.numbers", [2], f"nodes[{POINTWISE}]",
     "takes 0 numbers, not 1"),
    (BASE, f"nodes[{POINTWISE}].attrs.numbers", [True], f"nodes[{POINTWISE}].attrs.numbers[0]",
     "expected a number, found true") ,
    (BASE, f"nodes[{CONSTANT}].attrs.dtype", "complex",
     f"nodes[{CONSTANT}].attrs.dtype", "one of float, int, bool"),
    (BASE, f"nodes[{CONSTANT}].attrs.dtype", "float",
     f"nodes[{CONSTANT}].attrs.value", "a size is an integer"),
    (BASE, f"nodes[{CONSTANT}].attrs.value", {"size": "c", "table": []},
     f"nodes[{CONSTANT}].attrs.value", "there is no field"),
    (BASE, f"nodes[{CONSTANT}].attrs.value", {"table": [1, 2]},
     f"nodes[{CONSTANT}]", "a table of 2 entries does not fill 1 places"),
    (BASE, f"nodes[{CONSTANT}].attrs.value", 2.5,
     f"nodes[{CONSTANT}].attrs.value", "expected an integer, found 2.5"),
    (BASE, f"nodes[{CONSTANT}].new", ["n"], f"nodes[{CONSTANT}]",
     "a single value has no axes"),
    (BASE, "bodies", 3, "bodies", "expected a list"),
    (BASE, "bodies", [{}], "bodies[0]", "is missing"),
    (NESTED, "bodies[0].bodies", [], "bodies[0]", "there is no field"),
    (NESTED, "bodies[0].nodes[0].kind", "no", "bodies[0].nodes[0].kind", "no kind of box"),
    (NESTED, f"nodes[{NAMED}].attrs.body", 1, f"nodes[{NAMED}].attrs.body", "of 1 bodies"),
    (NESTED, f"nodes[{NAMED}].attrs.body", "0", f"nodes[{NAMED}].attrs.body", "bodies"),
    (NESTED, f"nodes[{NAMED}].attrs.token", 0, f"nodes[{NAMED}].attrs.token", "carries a Hole"),
    (NESTED, f"nodes[{NAMED}].new", ["n"], f"nodes[{NAMED}]", "the new axes are n:n, d:d, not n"),
    (NESTED, f"nodes[{NAMED}].bound[0]", 1, f"nodes[{NAMED}].bound", "each once"),
    (NESTED, f"nodes[{NAMED}].bound", [], f"nodes[{NAMED}]", "binds axes of sizes n, d"),
    (NESTED, f"nodes[{NAMED}].attrs.name", 5, f"nodes[{NAMED}].attrs.name", "expected a string"),
    (SCAN, "nodes[1].attrs.states", 3, "nodes[1]", "3 states"),
    (SCAN, "nodes[1].attrs.states", -1, "nodes[1]", "-1 states"),
    (SCAN, "nodes[1].attrs.states", 1.0, "nodes[1].attrs.states", "expected an integer"),
    (SCAN, "nodes[1].attrs.states", 0, "nodes[1]", "binds axes of sizes"),
    (SCAN, "nodes[1].attrs.elements", 0, "nodes[1]", "binds axes of sizes"),
    (SCAN, "nodes[1].attrs.reverse", 0, "nodes[1].attrs.reverse", "expected true or false"),
    (SCAN, "nodes[1].attrs.length", "2*t", "nodes[1]", "binds axes of sizes"),
    (SCAN, "nodes[1].new", ["c", "c", "t"], "nodes[1]", "the new axes are"),
    (SHAPES, f"nodes[{SLICE}].attrs.step", 0, f"nodes[{SLICE}]", "a step is not 0"),
    (SHAPES, f"nodes[{SLICE}].attrs.step", 1.5, f"nodes[{SLICE}].attrs.step", "an integer"),
    (SHAPES, f"nodes[{SLICE}].attrs.start", "(", f"nodes[{SLICE}].attrs.start", "size"),
    (SHAPES, f"nodes[{TOPK}].attrs.largest", 1, f"nodes[{TOPK}].attrs.largest", "or false"),
    (SHAPES, f"nodes[{SPLIT}].new", ["2", "3"], f"nodes[{SPLIT}]", "does not split"),
    (SHAPES, f"nodes[{SPLIT}].bound", [0, 1], f"nodes[{SPLIT}]", "takes 1 bound axes"),
    (SHAPES, f"nodes[{CONCAT}].bound", [0], f"nodes[{CONCAT}]", "each has one"),
    (SHAPES, f"nodes[{GATHER}].bound", [9], f"nodes[{GATHER}].bound", "each once"),
    (SHAPES, f"nodes[{PAD}].attrs.value", "NaN", f"nodes[{PAD}].attrs.value", "a number"),
    (SHAPES, f"nodes[{PAD}].attrs.value", {"fraction": [2, 4]},
     f"nodes[{PAD}].attrs.value.fraction", "lowest terms"),
    (SHAPES, f"nodes[{PAD}].attrs.value", {"fraction": [1, 0]},
     f"nodes[{PAD}].attrs.value.fraction", "positive denominator"),
    (SHAPES, f"nodes[{PAD}].attrs.value", {"fraction": [1]},
     f"nodes[{PAD}].attrs.value.fraction", "a numerator and a positive"),
    (SHAPES, f"nodes[{PAD}].attrs.value", {"fraction": [1.0, 2]},
     f"nodes[{PAD}].attrs.value.fraction[0]", "expected an integer"),
    (SHAPES, f"nodes[{DIAGONAL}].bound", [0], f"nodes[{DIAGONAL}]", "at least 2 bound"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "where", "value", "place", "message"),
    REFUSED,
    ids=[f"{k}-{row[1]}" for k, row in enumerate(REFUSED)],
)
def test_what_is_wrong_is_refused_with_its_place(document, where, value, place, message) -> None:
    from_json(json.dumps(document))
    with pytest.raises(FormatError) as error:
        from_json(json.dumps(changed(document, where, value)))
    said = str(error.value).partition("\n")[0]
    there = f"$.{place}" if place else "$"
    assert said.startswith(f"{there}: "), said
    assert message in said


def test_an_identity_stands_once() -> None:
    document = copy.deepcopy(BASE)
    places = [k for k, node in enumerate(document["nodes"]) if node["kind"] == "parameter"]
    document["nodes"][places[1]]["attrs"]["token"] = 0
    with pytest.raises(FormatError, match=r"attrs\.token: 'wq' stands at another node already"):
        from_json(json.dumps(document))
    random_token = changed(SOURCES, f"nodes[{first(SOURCES, 'random')}].attrs.token",
                           next(k for k, t in enumerate(SOURCES["tokens"])
                                if t["type"] == "parameter"))  # fmt: skip
    with pytest.raises(FormatError, match="a random carries a Draw, not Parameter"):
        from_json(json.dumps(random_token))


def test_bodies_are_closed() -> None:
    body = {key: BASE[key] for key in ("name", "tokens", "inputs", "nodes", "outputs")}
    with pytest.raises(FormatError, match=r"\$\.bodies\[0\]: 'wq' stands in a body"):
        from_json(json.dumps({**BASE, "bodies": [body]}))


def test_a_body_reads_earlier_bodies_only() -> None:
    document = copy.deepcopy(NESTED)
    outer = {key: document[key] for key in ("name", "inputs", "outputs")}
    document["bodies"] = [{**outer, "nodes": document["nodes"]}, *document["bodies"]]
    with pytest.raises(FormatError, match=r"\$\.bodies\[0\]\.nodes\[\d+\]\.attrs\."):
        from_json(json.dumps(document))


# -- hostile texts ----------------------------------------------------------------------------

TEXT = to_json(multihead)
HOSTILE = [
    ("", "this is not JSON"),
    ("{", "this is not JSON"),
    (TEXT[:-1], "this is not JSON"),
    (TEXT + "x", "Extra data"),
    ("\ufeff" + TEXT, "this is not JSON"),
    ("null", "expected an object, found null"),
    ("[]", "expected an object, found a list"),
    ('"text"', 'expected an object, found "text"'),
    ("[" * 100_000, "nested too deeply"),
    ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    (
        TEXT.replace('"bound":[1]', '"bound":' + "[" * 5000 + "]" * 5000, 1),
        "nested too deep|integer",
    ),
    (TEXT.replace('"bound":[1]', '"bound":' + "[" * 500 + "]" * 500, 1), "expected an integer"),
    ("1" * 5000, "this is not JSON: Exceeds the limit"),
    (TEXT.replace('"version":1', '"version":' + "1" * 4000), "not a huge integer"),
    (TEXT.replace('"scale":1.0', '"scale":1e400', 1), r"tokens\[0\]\.scale: .*too large"),
    (TEXT.replace('"scale":1.0', '"scale":-1e400', 1), r"tokens\[0\]\.scale: .*too large"),
    (TEXT.replace('"scale":1.0', '"scale":NaN', 1), r"tokens\[0\]\.scale: .*found NaN"),
    (TEXT.replace('"scale":1.0', '"scale":Infinity', 1), "found Infinity"),
    (TEXT.replace('"scale":1.0', '"scale":-Infinity', 1), "found -Infinity"),
    (TEXT.replace('"bound":[1]', '"bound":[NaN]', 1), r"bound\[0\]: .*found NaN"),
    (TEXT.replace('"scale":1.0', '"scale":1' + "0" * 400, 1), "expected a finite float"),
    (TEXT.replace('"scale":1.0', '"scale":1.0,"scale":2.0', 1), r'tokens\[0\]: .*"scale" twice'),
    (TEXT.replace('"name":', '"name":"x","name":', 1), r'^\$: .*field "name" twice'),
    (TEXT.replace('"attrs":{', '"attrs":{"token":0,', 1), r'attrs: .*field "token" twice'),
    (TEXT.replace('"from":[', '"from":[1' + "0" * 300 + ",", 1), "a huge integer is made later"),
    (TEXT.replace('"kind":"contract"', '"kind":"__import__"', 1), "no kind of box"),
    (TEXT.replace('"type":"{n, d} float"', '"type":"{n, d:d**64**64} float"'), "is not a size"),
    (TEXT.replace('"type":"{n, d} float"', '"type":"{n, d:(a+b+c)**64} float"'), "too much work"),
    (TEXT.replace('"multihead"', '"\\u0000"', 1), "a name that can be printed"),
    (TEXT.replace('"multihead"', '"\\ud800"', 1), "a name that can be printed"),
    (b"{}", "a JSON text is a string, not bytes"),
    (None, "a JSON text is a string, not NoneType"),
    ({}, "a JSON text is a string, not dict"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_refused(text, message: str) -> None:
    with pytest.raises(FormatError) as error:
        from_json(text)
    assert re.search(message, str(error.value).partition("\n")[0]), error.value
    assert str(error.value).startswith("$")
    assert len(str(error.value).partition("\n")[0]) < 1000


def test_gigantic_sizes_are_only_numbers() -> None:
    text = TEXT.replace('"type":"{n, d} float"', f'"type":"{{n:{10**30}, d}} float"')
    diagram = from_json(text)
    assert diagram.cost().at(d=1, h=1, c=1, e=1).flops > 10**60


def test_nothing_is_left_half_built() -> None:
    with vs.Builder("outer") as builder:
        x = builder.input("x", "n")
        before = (len(builder.nodes), dict(builder.token_names))
        with pytest.raises(FormatError):
            from_json(json.dumps(changed(BASE, "outputs[0].wire", 99)))
        assert (len(builder.nodes), builder.token_names) == before
        assert len(builder.diagram(vs.exp(x))) == 1


JUNK = st.sampled_from([
    None, True, False, 0, 1, 2, 3, -1, 1.0, 1e300, 10**30, "", "n", "c", "d", "2*n", "(", "exp",
    "where", "contract", "named", "scan", "float", "bool", "__import__('os')", [], [0], [1, 0],
    [[0]], ["n"], ["n", "d"], {}, {"size": "n"}, {"table": [1, 2]}, {"fraction": [1, 3]},
])  # fmt: skip


def places(part: object, path: tuple = ()) -> list[tuple]:
    """The paths of all parts of a document."""
    items = enumerate(part) if isinstance(part, list) else part.items()
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, (list, dict)):
            found += places(value, (*path, key))
    return found


DOCUMENTS = [json.loads(to_json(d)) for d in EXAMPLES]
PLACES = [places(document) for document in DOCUMENTS]


@given(st.data())
@settings(max_examples=400)
def test_changed_texts_are_refused_or_well_formed(data) -> None:
    """Whatever happens to a text, what is read from it is a diagram that all else can use."""
    which = data.draw(st.integers(0, len(DOCUMENTS) - 1))
    document = copy.deepcopy(DOCUMENTS[which])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PLACES[which]))
        try:
            part = document
            for step in path[:-1]:
                part = part[step]
            value = data.draw(JUNK)
            change = data.draw(st.sampled_from(["put", "take", "swap", "twice"]))
            if change == "put":
                part[path[-1]] = value
            elif change == "take":
                del part[path[-1]]
            elif isinstance(part, list) and change == "swap":
                part.reverse()
            elif isinstance(part, list):
                part.append(copy.deepcopy(part[path[-1]]))
            else:
                part["further"] = value
        except (KeyError, IndexError, TypeError):
            continue
    try:
        diagram = from_json(json.dumps(document))
    except FormatError as error:
        assert str(error).startswith("$")  # noqa: PT017
        return
    assert from_json(to_json(diagram)) == diagram
    assert hash(diagram) is not None
    assert str(diagram)
    assert diagram.cost().bytes_moved is not None
    assert diagram.parameters.keys() == {
        token.name for token, _ in diagram.tokens if isinstance(token, Parameter)
    }
    assert diagram.randoms.keys() == {t.name for t, _ in diagram.tokens if isinstance(t, Draw)}
    try:
        diagram.over("batch_axis")
        diagram.unfold()
    except VesaliusError:
        pass


@pytest.mark.parametrize("boxes", [20_000])
def test_long_diagrams(boxes: int) -> None:
    builder = vs.Builder("long")
    x = y = builder.input("x", "n c")
    for k in range(boxes // 2):
        x = vs.softmax(x + y, over="c") if k % 3 else vs.exp(vs.tanh(x))
    diagram = builder.diagram(x)
    text = to_json(diagram)
    again = from_json(text)
    assert again == diagram
    assert to_json(again) == text
    assert len(text) < 150 * boxes


def test_one_place_for_the_version() -> None:
    assert json.loads(TEXT)["version"] == serial.VERSION == 1
    assert list(itertools.islice(json.loads(TEXT), 2)) == ["vesalius", "version"]
