"""The parts of a JSON text, checked one by one: each check returns what it stands for.

A check raises `Bad` with what it found and where, seen from the part that it looked at; those
who look at larger parts add to the place. Python's reader of JSON lets pass more than JSON is;
that is refused here as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import KINDS, Axes, Draw, Hole, Kind, Parameter, Token
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.sizes import size as read_size
from vesalius.diagrams.types import DTYPES, is_axis_name
from vesalius.diagrams.verbs.sources import DISTRIBUTIONS

TOKENS: Mapping[str, frozenset[str]] = {
    "parameter": frozenset({"type", "name", "init", "scale", "fan", "trainable"}),
    "draw": frozenset({"type", "name", "distribution", "p"}),
    "hole": frozenset({"type", "name", "ports", "into"}),
}


class Bad(Exception):
    """What is wrong, and where, seen from the part that found it."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def under(self, place: str) -> Bad:
        """The same, seen from a larger part."""
        self.place = place + self.place
        return self


# -- JSON ---------------------------------------------------------------------------------------


class _NotJson:
    """What Python's reader lets pass and JSON does not: it is refused where it is used."""

    def __init__(self, what: str) -> None:
        self.what = what


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    return _NotJson(f"an object with the field {shown(twice)} twice")


def load(text: str) -> Any:
    """The values that a JSON text holds, not yet checked."""
    if not isinstance(text, str):
        raise Bad(f"a JSON text is a string, not {type(text).__name__}")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_NotJson)
    except RecursionError:
        raise Bad("lists or objects are nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Bad(f"this is not JSON: {error.msg} at {where}") from None
    except ValueError as error:
        raise Bad(f"this is not JSON: {error}") from None


def shown(value: Any) -> str:
    """A value in a message: short, whatever it is."""
    if isinstance(value, _NotJson):
        return value.what
    if isinstance(value, (dict, list)):
        return {dict: "an object", list: "a list"}[type(value)]
    if isinstance(value, int) and value.bit_length() > 256:
        return "a huge integer"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_object(value: Any, required: frozenset[str], allowed: frozenset[str]) -> dict[str, Any]:
    """An object that has all of some fields and none but the allowed ones."""
    if type(value) is not dict:
        raise Bad(f"expected an object, found {shown(value)}")
    for name in value:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise Bad(f"there is no field {shown(name)} here; the fields are {known}")
    for name in sorted(required):
        if name not in value:
            raise Bad(f"the field {name!r} is missing")
    return value


def as_list(value: Any) -> list[Any]:
    """A list of anything."""
    if type(value) is not list:
        raise Bad(f"expected a list, found {shown(value)}")
    return value


def as_text(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise Bad(f"expected a string, found {shown(value)}")
    return value


def as_flag(value: Any) -> bool:
    """A truth value."""
    if type(value) is not bool:
        raise Bad(f"expected true or false, found {shown(value)}")
    return value


def as_integer(value: Any) -> int:
    """An integer, and no truth value."""
    if type(value) is not int:
        raise Bad(f"expected an integer, found {shown(value)}")
    return value


def as_one_of(value: Any, known: Sequence[str]) -> str:
    """One of some strings."""
    if type(value) is not str or value not in known:
        raise Bad(f"expected one of {', '.join(known)}, found {shown(value)}")
    return value


def as_place(value: Any, count: int, what: str) -> int:
    """The number of one of `count` things, from 0."""
    if type(value) is not int or not 0 <= value < count:
        raise Bad(f"expected the number of one of {count} {what}, found {shown(value)}")
    return value


def each(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    """The items of a list, each checked."""
    found = []
    for k, item in enumerate(as_list(value)):
        try:
            found.append(check(item))
        except Bad as bad:
            raise bad.under(f"[{k}]") from None
    return found


def field(value: dict[str, Any], name: str, check: Callable[[Any], Any]) -> Any:
    """A field of an object, checked."""
    try:
        return check(value[name])
    except Bad as bad:
        raise bad.under(f".{name}") from None


def said(error: VesaliusError) -> str:
    """The message of an error, without the place in the program that called us."""
    return str(error).partition("\n  at ")[0]


# -- values -------------------------------------------------------------------------------------


def as_size(value: Any) -> Size:
    """A formula."""
    text = as_text(value)
    try:
        found = read_size(text)
    except VesaliusError as error:
        raise Bad(said(error)) from None
    return found


def as_length(value: Any) -> Size:
    """The size of an axis: a formula that is no negative number."""
    found = as_size(value)
    if (found.constant or 0) < 0:
        raise Bad(f"an axis has the size {found}; none is negative")
    return found


def as_number(value: Any, dtype: str = "") -> int | float | Fraction:
    """A number of an element type; without one, any number but a truth value."""
    if dtype == "bool":
        return as_flag(value)
    if type(value) is int:
        return _whole_float(value) if dtype == "float" else value
    if dtype == "int":
        return as_integer(value)
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise Bad("the number is too large for a float; infinity is written 'inf'")
    if value in ("inf", "-inf"):
        return float(value)
    if type(value) is dict:
        fields = as_object(value, frozenset({"fraction"}), frozenset({"fraction"}))
        return field(fields, "fraction", as_fraction)  # type: ignore[no-any-return]
    raise Bad(f"expected a number, found {shown(value)}")


def _whole_float(value: int) -> int | float:
    """The integer as a float where nothing is lost."""
    try:
        return float(value) if int(float(value)) == value else value
    except OverflowError:
        return value


def as_fraction(value: Any) -> Fraction:
    """A numerator and a denominator."""
    pair = each(value, as_integer)
    if len(pair) != 2 or pair[1] < 1 or math.gcd(*pair) != 1:
        raise Bad("a fraction is a numerator and a positive denominator in lowest terms")
    return Fraction(pair[0], pair[1])


def as_value(value: Any, dtype: str) -> Any:
    """What a constant may hold: a number of an element type, a size, or a table of numbers."""
    if type(value) is dict and ("size" in value or "table" in value):
        which = "size" if "size" in value else "table"
        fields = as_object(value, frozenset({which}), frozenset({which}))
        if which == "table":
            table = field(fields, "table", lambda x: each(x, lambda e: as_number(e, dtype)))
            return tuple(table)
        if dtype not in ("", "int"):
            raise Bad(f"a size is an integer, the element type is {dtype}")
        found: Size = field(fields, "size", as_size)
        return found if found.constant is None else found.constant
    return as_number(value, dtype)


def as_name(value: Any) -> str:
    """A name of a diagram, a port or an identity: something that can be printed."""
    text = as_text(value)
    if not text.isprintable():
        raise Bad(f"expected a name that can be printed, found {shown(text)}")
    return text


def as_names(value: Any) -> tuple[str, ...]:
    """Names of axes: identifiers, each of them once."""
    names = tuple(each(value, as_text))
    for k, name in enumerate(names):
        if not is_axis_name(name):
            raise Bad(f"expected a name of an axis, found {shown(name)}", f"[{k}]")
        if name in names[:k]:
            raise Bad(f"the axis {name!r} stands twice", f"[{k}]")
    return names


def as_function(value: Any) -> Any:
    """A declared function, by name."""
    name = as_text(value)
    if name not in FUNCTIONS:
        raise Bad(
            f"there is no function {shown(name)}; declare it before reading: "
            f"vs.function({shown(name)}, ...)"
        )
    return FUNCTIONS[name]


def as_kind(value: Any) -> Kind:
    """A declared kind of box, by name; inputs are no boxes."""
    name = as_text(value)
    if name == "input":
        raise Bad("inputs are declared in the list of inputs")
    if name not in KINDS:
        raise Bad(
            f"there is no kind of box {shown(name)}; declare it before reading: "
            f"vs.box({shown(name)}, ...)"
        )
    return KINDS[name]


def as_token(value: Any, as_start: Callable[[Any], str | Diagram]) -> Token:
    """An identity: a parameter, a random source, or a hole; `as_start` reads initial values."""
    if type(value) is not dict or type(value.get("type")) is not str or value["type"] not in TOKENS:
        kinds = ", ".join(TOKENS)
        raise Bad(f"expected an object whose type is one of {kinds}, found {shown(value)}")
    which: str = value["type"]
    fields = as_object(value, TOKENS[which], TOKENS[which])
    name = field(fields, "name", as_name)
    if which == "hole":
        ports = field(fields, "ports", lambda x: each(x, as_names))
        return Hole(name, tuple(ports), field(fields, "into", as_names))
    if which == "draw":
        distribution = field(fields, "distribution", lambda x: as_one_of(x, DISTRIBUTIONS))
        return Draw(name, distribution, field(fields, "p", as_probability))
    return Parameter(
        name,
        field(fields, "init", as_start),
        field(fields, "scale", as_finite),
        field(fields, "fan", lambda x: None if x is None else as_size(x)),
        field(fields, "trainable", as_flag),
    )


def as_finite(value: Any) -> float:
    """A float that is neither infinite nor undefined."""
    found = as_number(value, "float")
    if type(found) is not float or not math.isfinite(found):
        raise Bad(f"expected a finite float, found {shown(value)}")
    return found


def as_probability(value: Any) -> float:
    """A float in [0, 1]."""
    found = as_finite(value)
    if not 0 <= found <= 1:
        raise Bad(f"a probability lies in [0, 1], not {found}")
    return found


def as_row(value: Any) -> Axes:
    """A row of a map: injective, without negative numbers."""
    row = tuple(each(value, as_integer))
    if len(set(row)) != len(row):
        raise Bad("two slots become one axis; a map is injective")
    if any(not 0 <= axis <= 1000 for axis in row):
        raise Bad("a local axis is a number from 0 to 1000")
    return row


def as_dtype(value: Any) -> str:
    """An element type."""
    return as_one_of(value, DTYPES)
