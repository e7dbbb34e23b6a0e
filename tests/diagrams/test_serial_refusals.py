"""JSON that is not a diagram is refused, with the place where it is not."""

import copy
import json

import pytest
from serial_samples import BASE, LEARNED, NESTED, SCAN, SHAPES, SOURCES, changed, first

import vesalius as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.serial import from_json

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


def test_nothing_is_left_half_built() -> None:
    with vs.Builder("outer") as builder:
        x = builder.input("x", "n")
        before = (len(builder.nodes), dict(builder.token_names))
        with pytest.raises(FormatError):
            from_json(json.dumps(changed(BASE, "outputs[0].wire", 99)))
        assert (len(builder.nodes), builder.token_names) == before
        assert len(builder.diagram(vs.exp(x))) == 1
