"""Initial values that are computed: a diagram without inputs says how a parameter starts.

It reads positions along the axes of the parameter, sizes, and random draws: ramps over the
channels, signs that alternate, step sizes whose logarithms are uniform.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import Draw
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.errors import AxisError, FormatError, TypeClash
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.listing import box_name, local_names
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

Rule = Callable[..., "Wire | float"]


def start(name: str, declared: ArrayType, rule: Rule) -> Diagram:
    """What `rule` makes of the positions along each axis, repeated along those it lacks.

    Raises `FormatError`, `AxisError` or `TypeClash` where that is no array of this type.
    """
    from vesalius.diagrams import verbs as vs
    from vesalius.diagrams.verbs.common import constant_wire

    rule_name = getattr(rule, "__name__", "start")
    title = rule_name if rule_name.isidentifier() else "start"
    with Builder(title) as builder:
        made = rule(*(vs.iota(word) for word in declared.words()))
        wire = made if isinstance(made, Wire) else constant_wire(builder, made)
        if wire.dtype == "bool":
            raise TypeClash(f"parameter {name!r}: initial values are numbers, not truth values")
        wire = vs.to_float(wire) if wire.dtype == "int" else wire
        for axis, size in wire.axes.items():
            if declared.axes.get(axis) != size:
                raise AxisError(
                    f"parameter {name!r}: its initial values have the type {wire.type}, "
                    f"the parameter has {declared}"
                )
        missing = {axis: size for axis, size in declared.axes.items() if axis not in wire.axes}
        if missing:
            wire = vs.expand(wire, " ".join(ArrayType(missing).words()))
        slots = tuple(wire.names.index(axis) for axis in declared)
        return checked(name, builder.finish([Port("out", wire.id, tuple(declared), slots)]))


def checked(name: str, diagram: Diagram) -> Diagram:
    """The diagram, if it can say how a parameter starts; raises `FormatError` otherwise."""
    if diagram.inputs or len(diagram.outputs) != 1:
        raise FormatError(f"parameter {name!r}: initial values have no inputs, and one output")
    for token, _ in diagram.tokens:
        if not isinstance(token, Draw):
            raise FormatError(f"parameter {name!r}: initial values depend on {token.name!r}")
    if diagram.port_type(diagram.outputs[0]).dtype != "float":
        raise FormatError(f"parameter {name!r}: initial values are floats")
    return diagram


def widened(diagram: Diagram, tubes: Sequence[tuple[Label, Size]]) -> Diagram:
    """The same values along further axes in front; random draws are other ones at each place."""
    known = diagram.port_type(diagram.outputs[0])
    new: dict[str, Size] = {}
    for name, size in tubes:
        new[fresh_name(str(name), {*known, *new})] = size
    wide = diagram.over(ArrayType(new).words())
    return start(diagram.name, ArrayType({**new, **known.axes}), lambda *places: wide())


# -- one line for people --------------------------------------------------------------------------

_SUM, _PRODUCT, _ATOM = range(3)
Term = tuple[str, int]
_DRAWS = {"normal": "N(0, 1)", "uniform": "U(0, 1)"}


def formula(diagram: Diagram) -> str:
    """The values in one line: positions are called as their axes, their number is |axis|."""
    port = diagram.outputs[0]
    called = {slot: axis for axis, slot in zip(port.axes, port.slots, strict=True)}
    return _said(diagram, port.wire, [called[slot] for slot in range(len(called))])[0]


def _at(term: Term, level: int) -> str:
    return f"({term[0]})" if term[1] < level else term[0]


def _said(diagram: Diagram, wire: int, called: Sequence[str]) -> Term:
    """A wire whose slots are called so, and how tightly its last operation binds."""
    node = diagram.nodes[diagram.owner[wire]]
    box, names = node.box, local_names(diagram, node)
    for axis, name in zip(box.outs[wire - node.first], called, strict=True):
        names[axis] = name
    if box.kind.name == "iota":
        return names[0], _ATOM
    if box.kind.name == "random":
        token = box["token"]
        return _DRAWS.get(token.distribution, f"B({token.p:g})"), _ATOM
    if box.kind.name == "constant":
        return _number(box["value"])
    inputs = [
        _said(diagram, read, [names[axis] for axis in row])
        for read, row in zip(node.src, box.maps, strict=True)
    ]
    if box.kind.name == "expand":
        return inputs[0]
    if box.kind.name == "add":
        return _sum([_at(term, _SUM) for term in inputs]), _SUM
    if box.kind.name == "contract" and not box.bound:
        return _product([_at(term, _PRODUCT) for term in inputs]), _PRODUCT
    if box.kind.name == "pointwise" and box["function"].name in _WRITTEN:
        return _WRITTEN[box["function"].name](*inputs, *box["numbers"])
    over = "".join(f"; over {names[axis]}" for axis in box.bound)
    return f"{box_name(box)}({', '.join(text for text, _ in inputs)}{over})", _ATOM


_WRITTEN: Mapping[str, Callable[..., Term]] = {
    "to_float": lambda x: x,
    "negate": lambda x: (f"−{_at(x, _PRODUCT)}", _SUM),
    "reciprocal": lambda x: (f"1 / {_at(x, _ATOM)}", _PRODUCT),
    "power": lambda x, exponent: (f"{_at(x, _ATOM)}^{exponent:g}", _ATOM),
    "remainder": lambda x, y: (f"{_at(x, _ATOM)} mod {_at(y, _ATOM)}", _SUM),
    "equal": lambda x, y: (f"[{x[0]} = {y[0]}]", _ATOM),
}


def _number(value: Any) -> Term:
    if isinstance(value, Size):
        text = re.sub(r"[A-Za-z_]\w*", r"|\g<0>|", str(value)).replace("-", "−")
        return text, _ATOM if text.strip("|").isalnum() else _SUM
    if isinstance(value, tuple):
        return f"({', '.join(_number(entry)[0] for entry in value)})", _ATOM
    if isinstance(value, Fraction) and value.denominator != 1:
        return f"{value.numerator} / {value.denominator}", _PRODUCT
    return f"{value:.6g}".replace("-", "−"), _ATOM if value >= 0 else _SUM


def _sum(terms: list[str]) -> str:
    """Terms joined, those with a minus sign behind the others."""
    ordered = sorted(terms, key=lambda term: term.startswith("−"))
    rest = [f" − {t[1:]}" if t.startswith("−") else f" + {t}" for t in ordered[1:]]
    return ordered[0] + "".join(rest)


def _product(factors: list[str]) -> str:
    """Factors joined, the numbers first, reciprocals as divisions."""
    above = [f for f in factors if not f.startswith("1 / ")]
    below = [f for f in factors if f.startswith("1 / ")]
    above.sort(key=lambda factor: not factor.lstrip("(−").replace(".", "").rstrip(")").isdigit())
    return "·".join(above or ["1"]) + "".join(f" / {f[4:]}" for f in below)
