"""The table of primitives, written from their declarations: one row a kind of box or function.

For each row it says what the primitive means in each algebra or why an algebra refuses it, how
it is typed, counted, differentiated, compiled, drawn and written as JSON. The compiler is not
known here: who knows it hands over what it says about each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vesalius.diagrams.box import KINDS, Kind, no_cost
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.forms import FORMS, Bounds
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.evaluate import ALGEBRAS

UNKNOWN = "not said"
UNSPECIFIED = "as an unspecified function"
# Quotients of exponentials: the field knows them exactly, but for the residue that a further
# exponential would see.
RATIONAL_IN_EXP = ("tanh", "sigmoid", "silu")
# What a kind can do in an algebra depends on sizes here, so its declaration does not refuse it.
PARTIAL: Mapping[tuple[str, str], str] = {
    ("fourier", "rational"): "in part: along axes of length 1, 2 and 4",
}
KNOWN: Mapping[str, Any] = {"float": 4.0, "int": 2, "bool": True}


@dataclass(frozen=True)
class Row:
    """What there is to say about a primitive, in words.

    `family` is `box` or `function`; `meanings` has an entry for each algebra: `yes`, or `in
    part` or `no` with the reason, or `as an unspecified function`. What is said of boxes is what
    they declare; functions are tried.
    """

    family: str
    name: str
    summary: str
    formula: str
    types: str
    meanings: Mapping[str, str]
    cost: str
    derivative: str
    lowering: str
    drawing: str
    json: str

    def cells(self) -> dict[str, str]:
        """The row by headings."""
        return {
            "name": f"`{self.name}`",
            "meaning": f"{self.summary}: {self.formula}" if self.formula else self.summary,
            "types": self.types,
            **self.meanings,
            "cost": self.cost,
            "derivative": self.derivative,
            "PyTorch": self.lowering,
            "drawing": self.drawing,
            "JSON": self.json,
        }


def primitives_table(lowerings: Mapping[str, str] | None = None) -> list[Row]:
    """A row for each declared kind of box, then one for each declared pointwise function.

    `lowerings` says by name how a kind is written in PyTorch.
    """
    written = lowerings or {}
    rows = [_kind_row(kind, written.get(kind.name, UNKNOWN)) for kind in KINDS.values()]
    return [*rows, *map(_function_row, FUNCTIONS.values())]


# -- kinds --------------------------------------------------------------------------------------


def _kind_row(kind: Kind, lowering: str) -> Row:
    return Row(
        "box",
        kind.name,
        kind.summary,
        kind.formula,
        _form(kind),
        {name: _refusal(kind, name) for name in ALGEBRAS},
        "nothing: it moves or names entries" if kind.cost is no_cost else "counted by its sizes",
        kind.derivative,
        lowering,
        _drawing(kind),
        ", ".join(f"{name}: {codec}" for name, codec in kind.fields) or "no attributes",
    )


def _refusal(kind: Kind, algebra: str) -> str:
    reason = kind.refusals.get(algebra)
    return PARTIAL.get((kind.name, algebra), "yes") if reason is None else f"no: {reason}"


def _form(kind: Kind) -> str:
    form = FORMS.get(kind.name)
    if form is None:
        return UNKNOWN
    words = [f"{_count(form.inputs)} in"]
    if form.bound != (0, 0):
        words.append(f"binds {_count(form.bound)}")
    if form.new != (0, 0):
        words.append(f"makes {_count(form.new)}")
    return ", ".join([*words, form.says] if form.says else words)


def _count(bounds: Bounds) -> str:
    least, most = bounds
    if most is None:
        return f"{least} or more" if least else "any"
    return str(least) if most == least else f"{least} to {most}"


def _drawing(kind: Kind) -> str:
    label = "by its attributes" if kind.look.label is not None else kind.look.text or kind.name
    return f"{kind.look.shape}, {label}"


# -- functions ----------------------------------------------------------------------------------


def _function_row(function: Function) -> Row:
    arguments = ", ".join([*"xyz"[: function.arity], *function.parameters])
    written = function.torch if isinstance(function.torch, str) else "a callable"
    for k, name in enumerate("xyz"):
        written = written.replace(f"{{{k}}}", name)
    return Row(
        "function",
        function.name,
        f"{function.name}({arguments})",
        "",
        f"{function.takes} → {function.gives}",
        {name: _in_algebra(function, name) for name in ALGEBRAS},
        f"{function.flops} an entry",
        function.derivative or UNKNOWN,
        f"`{written.replace('{', '').replace('}', '')}`",
        f"box, {function.symbol or function.name}",
        f"function: {function.name}" + "".join(f", {name}" for name in function.parameters),
    )


def _in_algebra(function: Function, name: str) -> str:
    """What an algebra does with a function: it is tried on one entry that nothing is known of."""
    diagram = _applied(function)
    first = _tried(diagram, name, known=False)
    if first == "yes":
        return first
    if _tried(diagram, name, known=True) == "yes":
        return f"in part; else {first}"
    if name == "field" and function.name in RATIONAL_IN_EXP:
        return "yes, up to a second exponential"
    return first


def _applied(function: Function) -> Diagram:
    """A function of wires, its numbers being 2."""
    dtype = {"number": "float", "any": "float"}.get(function.takes, function.takes)
    dtypes = [dtype] * function.arity
    if function.name == "where":
        dtypes[0] = "bool"
    with Builder(function.name) as builder:
        wires = [builder.input(x, f"n {t}") for x, t in zip("xyz", dtypes, strict=False)]
        return builder.diagram(function(*wires, **dict.fromkeys(function.parameters, 2)))


def _tried(diagram: Diagram, name: str, *, known: bool) -> str:
    """Whether an algebra evaluates a diagram: floats are arbitrary, or 4 if they are `known`."""
    from vesalius.diagrams.meaning import algebra_named

    algebra: Any = algebra_named(name)
    inputs = []
    for port, type_ in diagram.input_types.items():
        free = type_.dtype == "float" and not known and name != "torch"
        inputs.append(algebra.arbitrary(port, (1,), 1) if free else [KNOWN[type_.dtype]])
    try:
        result = diagram.evaluate(*inputs, algebra=algebra)
    except VesaliusError as error:
        reason = str(error).partition("\n")[0].removeprefix(f"{diagram.name}: ")
        return f"no: {reason}"
    unspecified = getattr(algebra, "unspecified", None)
    return UNSPECIFIED if unspecified or (name == "sympy" and _is_opaque(result)) else "yes"


def _is_opaque(result: Any) -> bool:
    """Whether SymPy was left with a function of which it knows the name only."""
    from sympy.core.function import AppliedUndef

    return any(entry.has(AppliedUndef) for entry in result.flat)
