"""JSON: what is written is read back, and is the same text everywhere."""

import copy
import itertools
import json
import pickle
import random
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from serial_samples import (
    EXAMPLES,
    attention,
    holds_learners,
    learned,
    multihead,
    nested,
    recurrent,
    same_to_a_person,
    sources,
)

import vesalius as vs
from vesalius import testing
from vesalius.diagrams import serial
from vesalius.diagrams.box import box
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.serial import from_json, to_json

examples = pytest.mark.parametrize("diagram", EXAMPLES, ids=lambda d: d.name)


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
    document = json.loads(to_json(multihead))
    assert document["version"] == serial.VERSION == 1
    assert list(itertools.islice(document, 2)) == ["vesalius", "version"]
