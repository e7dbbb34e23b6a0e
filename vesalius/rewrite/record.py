"""Derivations as JSON: versioned, strict, no code inside, applied anew when they are read.

    {
      "vesalius": "derivation", "version": 1, "name": "softmax-to-linear",
      "start": DIAGRAM,
      "steps": [{"move": MOVE, "backwards": false, "grade": "equal", "after": DIAGRAM}, ...]
    }

A DIAGRAM is what `Diagram.to_json` writes. A MOVE is one of

    {"kind": "rewrite", "rule": "unfold_softmax", "place": 0, "sizes": {"r": "8"}, "lipschitz": 2.0}
    {"kind": "fill", "bodies": {"score": DIAGRAM}, "doc": "", "source": "own.py:7"}
    {"kind": "restrict", "input": "y", "by": "x", "axes": {"m": "n"}, "doc": "", "source": ""}
    {"kind": "choose", "sizes": {"r": "2*c"}, "doc": "", "source": ""}
    {"kind": "unfold", "box": "norm", "doc": "", "source": ""}
    {"kind": "rename", "inputs": {"s": "q"}, "axes": {"e": "c"}, "doc": "", "source": ""}
    {"kind": "prepare", "bodies": {"q": DIAGRAM}, "doc": "", "source": ""}
    {"kind": "finish", "body": DIAGRAM, "over": "n", "doc": "", "source": ""}
    {"kind": "tie", "names": {"keys_gain": "gain"}, "doc": "", "source": ""}
    {"kind": "lemma", "left": DIAGRAM, "right": DIAGRAM, "doc": "", "source": ""}

with `sizes` and `lipschitz` where they were given. Rules are named, not written: they are those
of the library, and those that the reader hands in. Every step is applied again, and must give
the diagram that the text says and the grade that it states; nothing of the text is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from vesalius.diagrams.errors import FormatError, VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.serial_values import (
    Bad,
    as_finite,
    as_flag,
    as_integer,
    as_name,
    as_object,
    as_one_of,
    as_size,
    as_text,
    each,
    field,
    load,
    said,
    shown,
)
from vesalius.diagrams.sizes import Size, SizeLike
from vesalius.diagrams.types import is_axis_name
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.grade import GRADES
from vesalius.rewrite.interfaces import Prepare, Rename, Tie
from vesalius.rewrite.lemma import Lemma
from vesalius.rewrite.moves import Choose, Fill, Move, Restrict, Rewrite, Unfold
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema

T = TypeVar("T")

VERSION = 1
HEAD = frozenset({"vesalius", "version", "name", "start", "steps"})
STEP = frozenset({"move", "backwards", "grade", "after"})
SAID = frozenset({"kind", "doc", "source"})


def to_json(derivation: Derivation, indent: int | None = None) -> str:
    """This derivation as a JSON text in ASCII. Raises `FormatError` for a move of another class."""
    steps = [
        {
            "move": _move(step.move),
            "backwards": step.backwards,
            "grade": step.grade.name,
            "after": _diagram(step.after),
        }
        for step in derivation.steps
    ]
    document = {
        "vesalius": "derivation",
        "version": VERSION,
        "name": derivation.name,
        "start": _diagram(derivation.start),
        "steps": steps,
    }
    return json.dumps(document, indent=indent, separators=(",", ":") if indent is None else None)


def from_json(text: str, rules: Iterable[Rule | Schema] = ()) -> Derivation:
    """The derivation that a JSON text describes, every step applied anew.

    `rules` are those of your own that it names. Raises `FormatError`, with the place in the text,
    for anything else than such a text, and for a step that does not give what it says.
    """
    from vesalius.rewrite.rules import RULES, SCHEMAS

    known: dict[str, Rule | Schema] = {**RULES, **SCHEMAS}
    for rule in rules:
        if known.setdefault(rule.name, rule) is not rule:
            raise FormatError(f"two rules are called {rule.name!r}; call yours otherwise")
    try:
        return _document(load(text), known)
    except Bad as bad:
        raise FormatError(f"${bad.place}: {bad.message}") from None


# -- writing ------------------------------------------------------------------------------------


def _diagram(diagram: Diagram) -> Any:
    return json.loads(diagram.to_json())


def _sizes(sizes: Mapping[str, SizeLike]) -> dict[str, str]:
    return {name: str(value) for name, value in sizes.items()}


def _move(move: Move) -> dict[str, Any]:
    said_of = {"doc": move.doc, "source": move.source}
    if isinstance(move, Rewrite):
        written: dict[str, Any] = {"kind": "rewrite", "rule": move.name, "place": move.place}
        if move.sizes:
            written["sizes"] = _sizes(move.sizes)
        if move.lipschitz is not None:
            written["lipschitz"] = move.lipschitz
        return written
    if isinstance(move, Fill):
        bodies = {name: _diagram(body) for name, body in move.bodies.items()}
        return {"kind": "fill", "bodies": bodies, **said_of}
    if isinstance(move, Restrict):
        axes = dict(move.axes)
        return {"kind": "restrict", "input": move.input, "by": move.by, "axes": axes, **said_of}
    if isinstance(move, Choose):
        return {"kind": "choose", "sizes": _sizes(move.sizes), **said_of}
    if isinstance(move, Unfold):
        return {"kind": "unfold", "box": move.box, **said_of}
    if isinstance(move, Rename):
        names = {"inputs": dict(move.inputs), "axes": dict(move.axes)}
        return {"kind": "rename", **names, **said_of}
    if isinstance(move, Prepare):
        bodies = {name: _diagram(body) for name, body in move.bodies.items()}
        return {"kind": "prepare", "bodies": bodies, **said_of}
    if isinstance(move, Finish):
        return {"kind": "finish", "body": _diagram(move.body), "over": move.over, **said_of}
    if isinstance(move, Tie):
        return {"kind": "tie", "names": dict(move.names), **said_of}
    if isinstance(move, Lemma):
        sides = {"left": _diagram(move.left), "right": _diagram(move.right)}
        return {"kind": "lemma", **sides, **said_of}
    raise FormatError(f"to_json: {type(move).__name__} is a move that the format does not know")


# -- reading ------------------------------------------------------------------------------------


def _document(value: Any, rules: Mapping[str, Rule | Schema]) -> Derivation:
    if type(value) is dict and value.get("vesalius") == "derivation":
        version = value.get("version")  # first, as other versions may have other fields
        if type(version) is int and version != VERSION:
            raise Bad(f"this library reads version {VERSION}, not {shown(version)}", ".version")
    document = as_object(value, HEAD, HEAD)
    field(document, "vesalius", lambda x: as_one_of(x, ("derivation",)))
    field(document, "version", as_integer)
    name = field(document, "name", as_name)
    derivation = Derivation(field(document, "start", _read_diagram), (), name)

    def read(step: Any) -> None:
        nonlocal derivation
        derivation = _step(derivation, step, rules)

    field(document, "steps", lambda steps: each(steps, read))
    return derivation


def _step(derivation: Derivation, value: Any, rules: Mapping[str, Rule | Schema]) -> Derivation:
    """The derivation with one more step, applied anew."""
    written = as_object(value, STEP, STEP)
    move = field(written, "move", lambda x: _read_move(x, rules))
    backwards = field(written, "backwards", as_flag)
    grade = field(written, "grade", lambda x: as_one_of(x, tuple(GRADES)))
    after = field(written, "after", _read_diagram)
    try:
        longer = derivation.back(move, after) if backwards else derivation.then(move)
    except VesaliusError as error:
        raise Bad(said(error), ".move") from None
    if longer.end != after:
        raise Bad("the step gives another diagram", ".after")
    found = longer.steps[-1].grade.name
    if found != grade:
        raise Bad(f"the step is {shown(found)}, not {shown(grade)}", ".grade")
    return longer


def _read_diagram(value: Any) -> Diagram:
    try:
        return Diagram.from_json(json.dumps(value))
    except TypeError:
        raise Bad(f"expected a diagram, found {shown(value)}") from None
    except FormatError as error:
        place, _, message = said(error).partition(": ")
        raise Bad(message, place.removeprefix("$")) from None


def _read_sizes(value: Any) -> dict[str, Size]:
    fields = as_object(value, frozenset(), frozenset(_keys(value)))
    return {name: field(fields, name, as_size) for name in fields}


def _read_axes(value: Any) -> dict[str, str]:
    fields = as_object(value, frozenset(), frozenset(_keys(value)))
    return {name: field(fields, name, as_text) for name in fields}


def _keys(value: Any) -> list[str]:
    """The fields of an object whose fields are names."""
    if type(value) is not dict:
        return []
    for name in value:
        if not is_axis_name(name):
            raise Bad(f"expected a name, found {shown(name)}")
    return list(value)


def _read_move(value: Any, rules: Mapping[str, Rule | Schema]) -> Move:
    kind = value.get("kind") if type(value) is dict else None
    if type(kind) is not str or kind not in _READ:
        raise Bad(f"expected an object whose kind is one of {', '.join(_READ)}")
    fields, read = _READ[kind]
    if kind == "rewrite":
        required = frozenset({"kind", "rule", "place"})
        allowed = required | {"sizes", "lipschitz"}
        return _read_rewrite(as_object(value, required, allowed), rules)
    written = as_object(value, SAID | fields, SAID | fields)
    doc, source = field(written, "doc", as_text), field(written, "source", as_text)
    move = read(written, doc)
    object.__setattr__(move, "source", source)
    return move


def _read_rewrite(written: dict[str, Any], rules: Mapping[str, Rule | Schema]) -> Rewrite:
    def rule(name: Any) -> Rule | Schema:
        if as_text(name) not in rules:
            raise Bad(
                f"there is no rule {shown(name)} in the library; hand yours in: "
                f"from_json(text, rules=[{name}])"
            )
        return rules[name]

    place = field(written, "place", as_integer)
    sizes = field(written, "sizes", _read_sizes) if "sizes" in written else {}
    lipschitz = field(written, "lipschitz", as_finite) if "lipschitz" in written else None
    try:
        return Rewrite(field(written, "rule", rule), place, sizes, lipschitz)
    except FormatError as error:
        raise Bad(said(error)) from None


def _read_fill(written: dict[str, Any], doc: str) -> Move:
    return Fill(field(written, "bodies", _read_bodies), doc)


def _read_bodies(value: Any) -> dict[str, Diagram]:
    return _read_named(value, _read_diagram, "a diagram, at least, is given")


def _read_named(value: Any, read: Callable[[Any], T], nothing: str) -> dict[str, T]:
    """An object whose fields are all read alike; without one, `nothing` is what is wrong."""
    names = list(value) if type(value) is dict else []
    fields = as_object(value, frozenset(), frozenset(names))
    if not names:
        raise Bad(nothing)
    return {name: field(fields, name, read) for name in names}


def _read_restrict(written: dict[str, Any], doc: str) -> Move:
    axes = field(written, "axes", _read_axes)
    return Restrict(field(written, "input", as_name), field(written, "by", as_name), axes, doc)


def _read_choose(written: dict[str, Any], doc: str) -> Move:
    return Choose(field(written, "sizes", _read_sizes), doc)


def _read_rename(written: dict[str, Any], doc: str) -> Move:
    inputs, axes = field(written, "inputs", _read_axes), field(written, "axes", _read_axes)
    if not inputs and not axes:
        raise Bad("a name, at least, is another")
    return Rename(inputs, axes, doc)


def _read_prepare(written: dict[str, Any], doc: str) -> Move:
    return Prepare(field(written, "bodies", _read_bodies), doc)


def _read_finish(written: dict[str, Any], doc: str) -> Move:
    return Finish(field(written, "body", _read_diagram), field(written, "over", as_name), doc)


def _read_tie(written: dict[str, Any], doc: str) -> Move:
    return Tie(field(written, "names", _read_tied), doc)


def _read_tied(value: Any) -> dict[str, str]:
    found = _read_named(value, as_name, "a parameter, at least, is another")
    return {as_name(name): other for name, other in found.items()}


def _read_lemma(written: dict[str, Any], doc: str) -> Move:
    left, right = (field(written, side, _read_diagram) for side in ("left", "right"))
    return Lemma(left, right, doc)


def _read_unfold(written: dict[str, Any], doc: str) -> Move:
    return Unfold(field(written, "box", as_name), doc)


_Reader = Callable[[dict[str, Any], str], Move]
_READ: dict[str, tuple[frozenset[str], _Reader]] = {
    "rewrite": (frozenset(), _read_unfold),
    "fill": (frozenset({"bodies"}), _read_fill),
    "restrict": (frozenset({"input", "by", "axes"}), _read_restrict),
    "choose": (frozenset({"sizes"}), _read_choose),
    "unfold": (frozenset({"box"}), _read_unfold),
    "rename": (frozenset({"inputs", "axes"}), _read_rename),
    "prepare": (frozenset({"bodies"}), _read_prepare),
    "finish": (frozenset({"body", "over"}), _read_finish),
    "tie": (frozenset({"names"}), _read_tie),
    "lemma": (frozenset({"left", "right"}), _read_lemma),
}
