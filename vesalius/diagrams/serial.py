"""Diagrams as JSON: versioned, strict, the same bytes for the same diagram, no code inside.

    {
      "vesalius": "diagram", "version": 1,
      "bodies": [GRAPH, ...],              of named boxes and scans; each reads earlier ones only
      "name": "f", "doc": "", "tokens": [TOKEN, ...], "inputs": [...], "nodes": [NODE, ...],
      "outputs": [...]
    }

The fields of the last two lines are those of a GRAPH; bodies are written once, however often
they are used. Wires are numbered: first the inputs, then the outputs of each node in order. A
node reads wires with smaller numbers only.

    inputs      {"name": "q", "type": "{n, c} float"}
    outputs     {"name": "out", "wire": 7, "axes": ["n", "e"], "slots": [1, 0]}
                the k-th axis of the interface is slot `slots[k]` of the wire
    NODE        {"kind": "contract", "from": [0, 1], "maps": [[0, 1], [2, 1]], "bound": [1],
                 "new": [], "attrs": {}, "names": [["n", "m"]]}
                `from` are wires; `maps[p][s]` is the local axis that slot s of input p becomes,
                local axes being numbered by first occurrence; `bound` are those that the box
                acts on, `new` the sizes of those that it makes; `names` are names for the slots
                of each output. Empty fields are left out.
    TOKEN       {"type": "parameter", "name": "wq", "init": "fan", "scale": 1.0, "fan": "d",
                 "trainable": true}
                `init` is a word, or a GRAPH without inputs that computes the initial values
                {"type": "draw", "name": "noise", "distribution": "normal", "p": 0.5}
                {"type": "hole", "name": "score", "ports": [["c"], ["c"]], "into": []}

Attributes are written by their codecs:

    size        a formula: "2*d + 1"
    int, text, flag, dtype              a JSON number, string, truth value; "float"
    function    the name of a declared function
    number, numbers                     2, 0.5, {"fraction": [1, 3]}, "inf", "-inf"
    value       a number, a truth value, {"size": "n"}, or {"table": [...]} in row-major order
    token       its place in `tokens`, or null
    diagram     its place in `bodies`

Numbers are written by value, so that equal diagrams have equal texts: as the element type says
where there is one, else as an integer where they are one. An identity is the same within one
GRAPH and does not reach into another.

Whatever differs from this is refused with a `FormatError` that names the place, as in
`$.nodes[3].attrs.step: ...`; nothing of the text is ever run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import Box, Draw, Hole, Parameter, Token
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.formulas import MAX_TEXT
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import is_axis_name

VERSION = 1
_EXACT_INTEGERS = 2**53  # up to here every integer is a float


def to_json(diagram: Diagram, indent: int | None = None) -> str:
    """This diagram as a JSON text in ASCII; `indent` spreads it over lines.

    Raises `FormatError` for what the format does not hold: attributes and identities of classes
    that are not the library's, numbers of thousands of digits.
    """
    writer = _Writer()
    try:
        graph = writer.graph(diagram)
    except ValueError as error:  # an integer too long to be written
        raise FormatError(f"to_json: {diagram.name} holds a number too long: {error}") from None
    bodies = f'"bodies":[{",".join(writer.bodies)}],' if writer.bodies else ""
    text = f'{{"vesalius":"diagram","version":{VERSION},{bodies}{graph}}}'
    return text if indent is None else json.dumps(json.loads(text), indent=indent)


def from_json(text: str) -> Diagram:
    """The diagram that a JSON text describes.

    Raises `FormatError`, with the place in the text, for anything else than such a text. Boxes
    and functions that are declared outside this package must be declared before.
    """
    from vesalius.diagrams.serial_reading import read

    return read(text)


def encode_number(value: float | Fraction, dtype: str = "") -> Any:
    """A number as JSON, by its value; `dtype` is the element type where one is known."""
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise FormatError("to_json: nan is not a number")
        return str(value)
    exact = Fraction(value)
    if dtype == "bool":
        return bool(value)
    whole = exact.denominator == 1
    if whole and (dtype == "int" or (not dtype and abs(exact) <= _EXACT_INTEGERS)):
        return int(exact)
    try:
        nearest = float(exact)
    except OverflowError:
        nearest = math.inf
    if nearest == exact:
        return nearest
    return int(exact) if whole else {"fraction": [exact.numerator, exact.denominator]}


def encode_value(value: Any, dtype: str = "") -> Any:
    """The value of a constant: a number, a truth value, a size, or a table of those numbers."""
    if isinstance(value, Size):
        return {"size": _formula(value)}
    if isinstance(value, tuple):
        return {"table": [encode_number(entry, dtype) for entry in value]}
    return encode_number(value, dtype)


class _Writer:
    """Writes graphs; bodies are collected once for all of them, by their text."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self._by_text: dict[str, int] = {}
        self._by_object: dict[int, tuple[Diagram, int]] = {}  # keeps the object, so its id
        self._boxes: dict[Box, tuple[str, str]] = {}
        self._names: dict[tuple[tuple[str, ...], ...], str] = {}

    def graph(self, diagram: Diagram) -> str:
        """The fields of a GRAPH, without the braces around them."""
        tokens: dict[Token, int] = {}
        nodes = [self._node(diagram, node, tokens) for node in diagram.boxes]
        fields = [f'"name":{_compact(_name(diagram.name))}']
        if diagram.doc:
            fields.append(f'"doc":{json.dumps(diagram.doc)}')
        if tokens:
            fields.append(f'"tokens":{_compact([self._token(token) for token in tokens])}')
        fields.append(f'"inputs":{_compact([_input(diagram, p) for p in diagram.inputs])}')
        fields.append(f'"nodes":[{",".join(nodes)}]')
        fields.append(f'"outputs":{_compact([_output(port) for port in diagram.outputs])}')
        return ",".join(fields)

    def _node(self, diagram: Diagram, node: Node, tokens: dict[Token, int]) -> str:
        box = node.box
        written = self._boxes.get(box)
        if written is None:
            written = self._box(box, tokens)
            if not box.kind.has_identity:
                self._boxes[box] = written
        first = node.first
        hints = tuple(diagram.hints[first : first + len(box.outs)])
        names = self._names.get(hints)
        if names is None:
            names = self._names[hints] = _compact([_axis_names(row) for row in hints])
        read = f',"from":[{",".join(map(str, node.src))}]' if node.src else ""
        return f'{written[0]}{read}{written[1]},"names":{names}}}'

    def _box(self, box: Box, tokens: dict[Token, int]) -> tuple[str, str]:
        """The text of a node before and after `from`."""
        rest = ""
        if box.maps:
            rest += f',"maps":{_compact(box.maps)}'
        if box.bound:
            rest += f',"bound":{_compact(box.bound)}'
        if box.new:
            rest += f',"new":{_compact([_formula(size) for size in box.new])}'
        if box.attrs:
            pairs = zip(box.kind.fields, box.attrs, strict=True)
            attrs = {
                name: self._attribute(box, codec, value, tokens) for (name, codec), value in pairs
            }
            rest += f',"attrs":{_compact(attrs)}'
        return f'{{"kind":{json.dumps(box.kind.name)}', rest

    def _attribute(self, box: Box, codec: str, value: Any, tokens: dict[Token, int]) -> Any:
        if codec == "size":
            return _formula(value)
        if codec == "function":
            return value.name
        if codec == "number":
            return encode_number(value)
        if codec == "numbers":
            return [encode_number(number) for number in value]
        if codec == "value":
            fields = dict(zip((name for name, _ in box.kind.fields), box.attrs, strict=True))
            return encode_value(value, fields.get("dtype", ""))
        if codec == "diagram":
            return self._body(value)
        if codec == "token":
            return None if value is None else tokens.setdefault(value, len(tokens))
        if codec in ("int", "text", "flag", "dtype"):
            return value
        raise FormatError(f"to_json: {box.kind.name} has an attribute of the codec {codec!r}")

    def _token(self, token: Token) -> dict[str, Any]:
        if type(token) is Parameter:
            return {
                "type": "parameter",
                "name": _name(token.name),
                "init": self._start(token.init),
                "scale": encode_number(token.scale, "float"),
                "fan": None if token.fan is None else _formula(token.fan),
                "trainable": token.trainable,
            }
        if type(token) is Draw:
            p = encode_number(token.p, "float")
            name = _name(token.name)
            return {"type": "draw", "name": name, "distribution": token.distribution, "p": p}
        if type(token) is Hole:
            name = _name(token.name)
            return {"type": "hole", "name": name, "ports": token.ports, "into": token.into}
        raise FormatError(f"to_json: {token!r} is of a class that the format does not know")

    def _start(self, init: str | Diagram) -> Any:
        """How a parameter starts: a word, or the fields of a GRAPH."""
        return init if isinstance(init, str) else json.loads(f"{{{self.graph(init)}}}")

    def _body(self, body: Diagram) -> int:
        """The place of a body; equal texts share one."""
        known = self._by_object.get(id(body))
        if known is None:
            text = f"{{{self.graph(body)}}}"
            place = self._by_text.setdefault(text, len(self.bodies))
            if place == len(self.bodies):
                self.bodies.append(text)
            known = self._by_object[id(body)] = body, place
        return known[1]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _formula(value: Size) -> str:
    text = str(value)
    if len(text) > MAX_TEXT:
        raise FormatError(f"to_json: a size of {len(text)} characters is too long")
    return text


def _axis_names(hints: Sequence[str]) -> list[str]:
    """The names of slots; where people could not use one, another that they can."""
    names: list[str] = []
    for hint in hints:
        plain = hint if is_axis_name(hint) else "a"
        names.append(fresh_name(plain, set(names)))
    return names


def _name(name: str) -> str:
    if not name.isprintable():
        raise FormatError(f"to_json: the name {name!r} cannot be printed")
    return name


def _input(diagram: Diagram, port: Port) -> dict[str, Any]:
    return {"name": _name(port.name), "type": str(diagram.port_type(port))}


def _output(port: Port) -> dict[str, Any]:
    return {"name": _name(port.name), "wire": port.wire, "axes": port.axes, "slots": port.slots}
