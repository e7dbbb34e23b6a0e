"""JSON from anywhere: hostile and damaged texts are refused, or read as a sound diagram."""

import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_samples import EXAMPLES, multihead

from vesalius.diagrams.box import Draw, Parameter
from vesalius.diagrams.errors import FormatError, VesaliusError
from vesalius.diagrams.serial import from_json, to_json

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
    assert diagram.cost().at(d=1, h=1, c=1).flops > 10**60


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
