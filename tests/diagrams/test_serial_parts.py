"""JSON of what a diagram is made of: numbers, bodies, boxes and identities of users."""

import builtins
import copy
import json
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from serial_samples import EXAMPLES, multihead

import vesalius as vs
from vesalius.diagrams import serial_reading
from vesalius.diagrams.box import KINDS, Kind, Parameter, declare
from vesalius.diagrams.boxes.nested import MAX_NESTING
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.serial import encode_number, from_json, to_json
from vesalius.diagrams.serial_reading import CODECS

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
