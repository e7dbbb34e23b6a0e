"""Reading a diagram from JSON; the format is described in `vesalius.diagrams.serial`.

Every part of the text is checked before it is used. A box is held against the form of its kind
and then built by `Builder.add`, as the verbs do, so what comes out is canonical and well typed
whoever wrote the text. The builder may order the slots of a wire in another way than the text
does; `seen` remembers how.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from vesalius.diagrams.box import Axes, Box, Draw, Hole, Kind, Parameter, Token, WireType
from vesalius.diagrams.box import box as make_box
from vesalius.diagrams.boxes.nested import MAX_NESTING, NAMED, SCAN
from vesalius.diagrams.boxes.shape import EXPAND, LIKE
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.errors import FormatError, VesaliusError
from vesalius.diagrams.forms import Draft, complaint
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.serial import VERSION
from vesalius.diagrams.serial_values import (
    Bad,
    as_dtype,
    as_flag,
    as_function,
    as_integer,
    as_kind,
    as_length,
    as_list,
    as_name,
    as_names,
    as_number,
    as_object,
    as_one_of,
    as_place,
    as_row,
    as_size,
    as_text,
    as_token,
    as_value,
    each,
    field,
    load,
    said,
    shown,
)
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.starts import checked
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.verbs.sources import INITS

GRAPH_REQUIRED = frozenset({"name", "inputs", "nodes", "outputs"})
GRAPH_OPTIONAL = frozenset({"doc", "tokens"})
NODE_REQUIRED = frozenset({"kind", "names"})
NODE_FIELDS = NODE_REQUIRED | {"from", "maps", "bound", "new", "attrs"}
# The identities that a kind carries; of other kinds with an identity, any.
HOLDS: Mapping[str, type[Token]] = {
    "parameter": Parameter,
    "random": Draw,
    "learner": Hole,
    "named": Hole,
    "scan": Hole,
}


def read(text: str) -> Diagram:
    """The diagram that a JSON text describes; raises `FormatError` with the place otherwise."""
    try:
        return _document(load(text))
    except Bad as bad:
        raise FormatError(f"${bad.place}: {bad.message}") from None


# -- graphs -------------------------------------------------------------------------------------


def _document(value: Any) -> Diagram:
    head = frozenset({"vesalius", "version"})
    allowed = head | GRAPH_REQUIRED | GRAPH_OPTIONAL | {"bodies"}
    if type(value) is dict and value.get("vesalius") == "diagram":
        version = value.get("version")  # first, as other versions may have other fields
        if type(version) is int and version != VERSION:
            raise Bad(f"this library reads version {VERSION}, not {shown(version)}", ".version")
    document = as_object(value, head | GRAPH_REQUIRED, allowed)
    field(document, "vesalius", lambda x: as_one_of(x, ("diagram",)))
    field(document, "version", as_integer)
    bodies: list[Diagram] = []
    written = field(document, "bodies", as_list) if "bodies" in document else []
    for k, body in enumerate(written):
        try:
            fields = as_object(body, GRAPH_REQUIRED, GRAPH_REQUIRED | GRAPH_OPTIONAL)
            made = _Graph(fields, bodies).read()
            if made.nesting >= MAX_NESTING:
                raise Bad(f"bodies are nested more than {MAX_NESTING} deep")
            for token, _ in made.tokens:
                if not isinstance(token, Hole):
                    raise Bad(f"{token.name!r} stands in a body; it comes in as an input there")
        except Bad as bad:
            raise bad.under(f".bodies[{k}]") from None
        bodies.append(made)
    return _Graph(document, bodies).read()


class _Shape(NamedTuple):
    """All that a node says but the wires that it reads; `hints` name the slots of its outputs."""

    kind: Kind
    attrs: tuple[Any, ...]
    maps: tuple[Axes, ...]
    bound: Axes
    new: tuple[Size, ...]
    hints: list[tuple[str, ...]]


class _Plain(NamedTuple):
    """A box that the builder takes as it is written, on wires whose slots are not turned."""

    box: Box
    commutes: bool
    hints: list[tuple[str, ...]]
    types: dict[tuple[int, ...], list[WireType]]  # of the outputs, by identity of the inputs'


class _Graph:
    """One GRAPH; `seen[w]` is what wire w of the text is here, and how its slots are turned.

    `seen[w] = (wire, slots)`: slot i of the wire is slot `slots[i]` of the text, and None
    stands for the same order.
    """

    def __init__(self, fields: dict[str, Any], bodies: Sequence[Diagram]) -> None:
        self.fields = fields
        self.bodies = bodies
        self.tokens: list[Token] = []
        self.used: set[Token] = set()
        self.builder = Builder()
        self.seen: list[tuple[int, Axes | None]] = []
        self.plain: dict[bytes, _Plain] = {}
        self.types: dict[WireType, WireType] = {}  # one object for equal types

    def read(self) -> Diagram:
        """Read all fields, in an order in which each finds what it needs."""
        fields, builder = self.fields, self.builder
        builder.name = field(fields, "name", as_name)
        builder.doc = field(fields, "doc", as_text) if "doc" in fields else ""
        if "tokens" in fields:
            field(fields, "tokens", lambda x: each(x, self._token))
        field(fields, "inputs", lambda x: each(x, self._input))
        nodes = field(fields, "nodes", as_list)
        # `like` stands in rules only; where it does, it is kept.
        builder.pattern = any(type(n) is dict and n.get("kind") == LIKE.name for n in nodes)
        try:
            for k, node in enumerate(nodes):  # noqa: B007
                self._node(node)
        except Bad as bad:
            raise bad.under(f".nodes[{k}]") from None
        except VesaliusError as error:
            raise Bad(said(error), f".nodes[{k}]") from None
        ports = field(fields, "outputs", lambda x: each(x, self._output))
        try:
            return builder.finish(ports)
        except VesaliusError as error:
            raise Bad(said(error), ".outputs") from None

    def _token(self, value: Any) -> None:
        token = as_token(value, self._start)
        if isinstance(token, Parameter) and not isinstance(token.init, str):
            try:
                checked(token.name, token.init)
            except VesaliusError as error:
                raise Bad(said(error), ".init") from None
        if token.name in self.builder.token_names:
            raise Bad(f"two identities are called {token.name!r}", ".name")
        self.builder.free_name(token.name)
        self.tokens.append(token)

    def _start(self, value: Any) -> str | Diagram:
        if type(value) is not dict:
            return as_one_of(value, INITS)
        fields = as_object(value, GRAPH_REQUIRED, GRAPH_REQUIRED | GRAPH_OPTIONAL)
        return _Graph(fields, self.bodies).read()

    def _input(self, value: Any) -> None:
        names = frozenset({"name", "type"})
        fields = as_object(value, names, names)
        name, text = field(fields, "name", as_name), field(fields, "type", as_text)
        try:
            type_ = ArrayType.parse(text)
        except VesaliusError as error:
            raise Bad(said(error), ".type") from None
        try:
            wire = self.builder.input(name, type_)
        except VesaliusError as error:
            raise Bad(said(error), ".name") from None
        self.seen.append((wire.id, None))

    def _output(self, value: Any) -> Port:
        names = frozenset({"name", "wire", "axes", "slots"})
        fields = as_object(value, names, names)
        name = field(fields, "name", as_name)
        place = field(fields, "wire", lambda x: as_place(x, len(self.seen), "wires"))
        axes = field(fields, "axes", as_names)
        slots = field(fields, "slots", lambda x: each(x, as_integer))
        wire, turned = self.seen[place]
        rank = len(self.builder.types[wire].sizes)
        if len(axes) != rank:
            raise Bad(f"the wire has {rank} axes, not {len(axes)}", ".axes")
        if sorted(slots) != list(range(rank)):
            raise Bad(f"expected 0 to {rank - 1} in some order", ".slots")
        if turned is not None:
            slots = [turned.index(slot) for slot in slots]
        return Port(name, wire, axes, tuple(slots))

    # -- nodes ----------------------------------------------------------------------------------

    def _node(self, raw: Any) -> None:
        if type(raw) is not dict:
            as_object(raw, NODE_REQUIRED, NODE_FIELDS)
        src = raw.pop("from") if "from" in raw else []
        if type(src) is not list:
            raise Bad(f"expected a list, found {shown(src)}", ".from")
        seen = self.seen
        count = len(seen)
        for wire in src:
            if type(wire) is not int or not 0 <= wire < count:
                self._refuse_wires(src)
        uses = [seen[wire] for wire in src]
        # Boxes repeat themselves. The key keeps 1, 1.0 and true apart, as equality would not.
        try:
            key = marshal.dumps(raw, 2)
        except ValueError:  # nested too deeply, or no JSON: it will be refused
            key = b""
        plain = self.plain.get(key)
        if plain is None or not self._repeat(plain, uses):
            self._build(self._read_shape(raw), uses, key)

    def _refuse_wires(self, src: list[Any]) -> NoReturn:
        count = len(self.seen)
        for k, wire in enumerate(src):
            if type(wire) is int and wire >= count:
                message = f"the wire {shown(wire)} is made later, or never: a cycle"
                raise Bad(message, f".from[{k}]")
            try:
                as_place(wire, count, "wires")
            except Bad as bad:
                raise bad.under(f".from[{k}]") from None
        raise AssertionError

    def _repeat(self, plain: _Plain, uses: Sequence[tuple[int, Axes | None]]) -> bool:
        """The fast path for a node that was here before on other wires of the same types."""
        builder = self.builder
        types = builder.types
        src = tuple([wire for wire, turned in uses if turned is None])
        found = plain.types.get(tuple([id(types[wire]) for wire in src]))
        if (
            found is None
            or len(src) < len(uses)
            or (builder.symmetries and not builder.symmetries.keys().isdisjoint(src))
            or (builder.expanded and plain.box.kind.broadcasts)
            or (plain.commutes and not all(a < b for a, b in pairwise(src)))
        ):
            return False
        key = (plain.box, src)
        node = builder.table.get(key)
        if node is None:
            node = builder.table[key] = Node(plain.box, src, len(types))
            builder.nodes.append(node)
            types.extend(found)
            builder.hints.extend(plain.hints)
        for wire in range(node.first, node.first + len(found)):
            self.seen.append((wire, None))
        return True

    def _build(self, shape: _Shape, uses: Sequence[tuple[int, Axes | None]], key: bytes) -> None:
        """Check a node against the form of its kind, and have the builder add it."""
        builder = self.builder
        kind, maps, bound = shape.kind, shape.maps, shape.bound
        if len(maps) != len(uses):
            raise Bad(f"{len(uses)} wires are read, and {len(maps)} mapped", ".maps")
        types = [_as_written(builder.types[wire], turned) for wire, turned in uses]
        for k, (row, type_) in enumerate(zip(maps, types, strict=True)):
            if len(row) != len(type_.sizes):
                message = f"the wire has {len(type_.sizes)} axes, {len(row)} are mapped"
                raise Bad(message, f".maps[{k}]")
        attrs = dict(zip((name for name, _ in kind.fields), shape.attrs, strict=True))
        wrong = complaint(Draft(kind, attrs, types, maps, bound, shape.new))
        if wrong:
            raise Bad(wrong)
        box = make_box(kind, shape.attrs, maps, bound, shape.new)
        if [len(row) for row in shape.hints] != [len(slots) for slots in box.outs]:
            counts = ", ".join(str(len(slots)) for slots in box.outs)
            raise Bad(f"expected names for outputs of {counts} axes", ".names")
        labelled = [
            (wire, row if turned is None else tuple([row[slot] for slot in turned]))
            for (wire, turned), row in zip(uses, maps, strict=True)
        ]
        new: list[tuple[Label, Size]] = [(box.inner + k, s) for k, s in enumerate(shape.new)]
        made = builder.add(kind, shape.attrs, labelled, bound, new)
        for wire, axes, names, labels in zip(
            made.wires, box.outs, shape.hints, made.labels, strict=True
        ):
            slots = tuple([axes.index(label) for label in labels])
            if made.fresh:
                builder.hints[wire] = tuple([names[slot] for slot in slots])
                type_ = builder.types[wire]
                builder.types[wire] = self.types.setdefault(type_, type_)
            self.seen.append((wire, None if slots == tuple(range(len(slots))) else slots))
        node = builder.nodes[-1]
        if (
            made.fresh
            and node.box is box  # so the slots of its outputs are in the order of the text
            and all(turned is None for _, turned in uses)
            and not kind.has_identity
            and kind not in (EXPAND, LIKE)
        ):
            plain = _Plain(box, kind.commutes(box.attrs), shape.hints, {})
            plain = self.plain.setdefault(key, plain)
            here = tuple([id(builder.types[wire]) for wire in node.src])
            plain.types[here] = [builder.types[wire] for wire in made.wires]

    def _read_shape(self, raw: dict[str, Any]) -> _Shape:
        as_object(raw, NODE_REQUIRED, NODE_FIELDS)
        kind = field(raw, "kind", as_kind)
        maps = tuple(field(raw, "maps", lambda x: each(x, as_row)) if "maps" in raw else ())
        inner = 1 + max((axis for row in maps for axis in row), default=-1)
        if len({axis for row in maps for axis in row}) != inner:
            raise Bad(f"some local axis below {inner} stands nowhere", ".maps")
        bound: Axes = ()
        if "bound" in raw:
            bound = tuple(field(raw, "bound", lambda x: each(x, as_integer)))
            if len(set(bound)) != len(bound) or not set(bound) <= set(range(inner)):
                raise Bad(f"bound axes are some of 0 to {inner - 1}, each once", ".bound")
        new = tuple(field(raw, "new", lambda x: each(x, as_length)) if "new" in raw else ())
        hints = field(raw, "names", lambda x: each(x, as_names))
        attrs = self._attributes(kind, raw)
        for token in attrs:
            if isinstance(token, Parameter) and not isinstance(token.init, str):
                made = token.init.port_type(token.init.outputs[0])
                if tuple(made.axes.values()) != new:
                    raise Bad(f"{token.name!r} starts as {made}, which has other sizes", ".new")
        return _Shape(kind, attrs, maps, bound, new, hints)

    def _attributes(self, kind: Kind, raw: dict[str, Any]) -> tuple[Any, ...]:
        codecs = dict(kind.fields)
        names = frozenset(codecs)
        given = raw.get("attrs", {})
        try:
            fields = as_object(given, names, names)
            dtype = field(fields, "dtype", as_dtype) if codecs.get("dtype") == "dtype" else ""
            return tuple(
                field(fields, name, partial(self._attribute, kind, codec, dtype))
                for name, codec in kind.fields
            )
        except Bad as bad:
            raise bad.under(".attrs") from None

    def _attribute(self, kind: Kind, codec: str, dtype: str, value: Any) -> Any:
        if codec == "value":
            return as_value(value, dtype)
        if codec == "numbers":
            return tuple(each(value, as_number))
        if codec == "diagram":
            return self.bodies[as_place(value, len(self.bodies), "bodies before")]
        if codec == "token":
            return self._identity(kind, value)
        if codec not in _PLAIN:
            raise Bad(f"{kind.name} has an attribute of the codec {codec!r}")
        return _PLAIN[codec](value)

    def _identity(self, kind: Kind, value: Any) -> Token | None:
        if value is None and kind in (NAMED, SCAN):
            return None
        token = self.tokens[as_place(value, len(self.tokens), "tokens")]
        wanted = HOLDS.get(kind.name, Token)
        if not isinstance(token, wanted):
            raise Bad(f"a {kind.name} carries a {wanted.__name__}, not {token!r}")
        if token in self.used and kind.name != "learner":
            raise Bad(f"{token.name!r} stands at another node already; wires are shared instead")
        self.used.add(token)
        return token


def _as_written(type_: WireType, turned: Axes | None) -> WireType:
    """The type of a wire with its slots in the order of the text."""
    if turned is None:
        return type_
    return type_._replace(sizes=tuple([type_.sizes[turned.index(k)] for k in range(len(turned))]))


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "size": as_size,
    "int": as_integer,
    "number": as_number,
    "text": as_text,
    "flag": as_flag,
    "dtype": as_dtype,
    "function": as_function,
}
CODECS = frozenset(_PLAIN) | {"value", "numbers", "diagram", "token"}
