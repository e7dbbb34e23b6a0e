"""Rules: two diagrams with one interface, a grade, and what must hold.

    @vs.rule("equal")
    def pull_out_of_sum(w: "", x: "j") -> "":
        \"\"\"Σ_j w·x_j = w·Σ_j x_j\"\"\"
        return vs.contract(w, x, over="j"), w * vs.contract(x, over="j")

Typing is the side condition. A rule declares the axes that some box of either side binds or
creates; with respect to those, declared types are exact, and every other axis of the host is a
tube. So `w: ""` says that `w` has no axis `j`, and the rule holds under heads, batches and
queries without saying so. `vs.many("j")` stands for any number of operands of one `contract`
or `add`, all of that type; an argument annotated `vs.anyfunction` stands for a pointwise
function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vesalius.diagrams.boxes.nested import dependence
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import AxisError, FormatError, SizeError, StructureError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.trace import output_port, outputs_declared, read_type
from vesalius.diagrams.types import ArrayType, TypeLike
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import Grade, grade


class RuleError(StructureError):
    """A rule that cannot mean what it says, with the reason."""


@dataclass(frozen=True)
class Many:
    """Any number of operands of one box, all of one type: `vs.many("j")`."""

    type: ArrayType


def many(type: TypeLike) -> Many:
    """The annotation of an argument that stands for any number of operands of one box."""
    return Many(ArrayType.parse(type))


class AnyFunction:
    """The annotation of an argument that stands for a pointwise function of one argument."""

    def __repr__(self) -> str:
        return "vs.anyfunction"


anyfunction = AnyFunction()


@dataclass(frozen=True, eq=False)
class Rule:
    """A pair of diagrams with the same inputs and outputs, and a grade.

    `many` names the inputs that stand for several operands, `functions` the stand-ins for
    pointwise functions. `conditions` are asked of each match and return the reason why it
    does not serve, or None. `source` is the file and line of the definition.
    """

    name: str
    grade: Grade
    left: Diagram
    right: Diagram
    many: frozenset[str]
    functions: Mapping[str, Function]
    conditions: tuple[Callable[[Any], str | None], ...]
    doc: str
    source: str

    def inverse(self) -> Rule:
        """The rule read from right to left."""
        return _checked(
            Rule(
                f"{self.name}_inverse",
                self.grade.inverse(),
                self.right,
                self.left,
                self.many,
                self.functions,
                self.conditions,
                self.doc,
                self.source,
            )
        )

    def __repr__(self) -> str:
        return f"<rule {self.name} ({self.grade}): {self.doc.splitlines()[0] if self.doc else ''}>"


def rule(
    grade_name: str | Grade, *, conditions: tuple[Callable[[Any], str | None], ...] = ()
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function that returns its two sides.

    Raises `RuleError` when the sides depend on different inputs, when the left side does not
    use an input, or when an axis or a size is declared that no box binds.
    """
    promise = grade(grade_name)

    def make(function: Callable[..., Any]) -> Rule:
        return _checked(_trace(function, promise, conditions))

    return make


def _trace(
    function: Callable[..., Any],
    promise: Grade,
    conditions: tuple[Callable[[Any], str | None], ...],
) -> Rule:
    name = function.__name__
    builder = Builder(name, inspect.getdoc(function) or "")
    builder.pattern = True
    signature = inspect.signature(function)
    arguments: dict[str, Any] = {}
    several, functions = set(), {}
    for argument in signature.parameters.values():
        wanted = _annotation(function, argument.annotation)
        if isinstance(wanted, AnyFunction):
            functions[argument.name] = arguments[argument.name] = stand_in(argument.name)
            continue
        if isinstance(wanted, Many):
            several.add(argument.name)
            wanted = wanted.type
        elif wanted is inspect.Parameter.empty:
            raise FormatError(f"{name}: the argument {argument.name!r} has no type")
        wire = arguments[argument.name] = builder.input(argument.name, read_type(wanted))
        if argument.name in several:
            builder.several.add(wire.id)
    declared = outputs_declared(name, signature.return_annotation)
    with builder:
        sides = function(**arguments)
    if not isinstance(sides, tuple) or len(sides) != 2:
        raise RuleError(f"{name}: a rule returns its two sides: `return left, right`")
    left, right = (
        _side(builder, declared, side, word) for side, word in zip(sides, _WORDS, strict=True)
    )
    return Rule(
        name,
        promise,
        left,
        right,
        frozenset(several),
        functions,
        conditions,
        builder.doc,
        _source(function),
    )


def _annotation(function: Callable[..., Any], written: Any) -> Any:
    """What an annotation means, also where `from __future__ import annotations` quotes it."""
    if not isinstance(written, str) or written[:1] in "'\"":
        return written
    try:
        meant = eval(written, function.__globals__)
    except (NameError, SyntaxError, AttributeError):
        return written  # a type such as "n c", written without the import
    return meant if isinstance(meant, (AnyFunction, Many)) else written


_WORDS = ("left", "right")


def stand_in(name: str) -> Function:
    """A pointwise function of which nothing is known; `torch` gives it a smooth sample."""
    return Function(name, torch="torch.sin(1.7 * {0} + 0.3) + 0.2 * {0}", symbol=name)


def _side(builder: Builder, declared: Mapping[str, ArrayType], side: Any, word: str) -> Diagram:
    wires = side if isinstance(side, tuple) else (side,)
    if len(wires) != len(declared) or not all(isinstance(wire, Wire) for wire in wires):
        raise RuleError(f"{builder.name}: the {word} side returns {len(declared)} wires")
    ports: list[Port] = [
        output_port(builder, name, type_, wire)
        for (name, type_), wire in zip(declared.items(), wires, strict=True)
    ]
    return builder.finish(ports)


def _source(function: Callable[..., Any]) -> str:
    code = function.__code__
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}"


# -- what is refused, with the reason -------------------------------------------------------------


def _checked(made: Rule) -> Rule:
    _check_inputs(made)
    _check_tubes(made)
    _check_axes(made)
    _check_sizes(made)
    return made


def _check_inputs(made: Rule) -> None:
    used = 0
    for mask in dependence(made.left):
        used |= mask
    for k, port in enumerate(made.left.inputs):
        if not used >> k & 1:
            raise RuleError(
                f"{made.name}: the left side does not use {port.name!r}, so no match says what "
                f"it is"
            )


def _check_tubes(made: Rule) -> None:
    """Both sides of an output carry the same tubes when they depend on the same inputs."""
    sides = zip(dependence(made.left), dependence(made.right), made.left.outputs, strict=True)
    for one, other, port in sides:
        if one != other:
            names = [p.name for k, p in enumerate(made.left.inputs) if (one ^ other) >> k & 1]
            poorer = "right" if one & ~other else "left"
            raise RuleError(
                f"{made.name}: the {poorer} side of {port.name!r} does not depend on "
                f"{', '.join(names)}, so it would lose the tubes of {', '.join(names)}"
            )


def _check_axes(made: Rule) -> None:
    named = {axis for port in (*made.left.inputs, *made.left.outputs) for axis in port.axes}
    bound = _bound_names(made.left) | _bound_names(made.right)
    for axis in sorted(named):
        if axis not in bound:
            raise AxisError(
                f"{made.name}: no box of either side binds or makes the axis {axis!r}; leave it "
                f"out, every axis that a rule does not declare is a tube"
            )


def _bound_names(side: Diagram) -> set[str]:
    """The axes of the interface that some box binds or makes."""
    origins: list[list[frozenset[str]]] = []
    found: set[str] = set()
    for k, node in enumerate(side.nodes):
        box = node.box
        if k < len(side.inputs):
            origins.append([frozenset([axis]) for axis in side.inputs[k].axes])
            continue
        local: list[set[str]] = [set() for _ in range(box.rank)]
        for wire, row in zip(node.src, box.maps, strict=True):
            for slot, axis in enumerate(row):
                local[axis] |= origins[wire][slot]
        for bound in box.bound:
            found |= local[bound]
        made = {box.inner + j: frozenset([f"#{k}.{j}"]) for j in range(len(box.new))}
        for row in box.outs:
            origins.append([made.get(axis, frozenset(local[axis])) for axis in row])
    for port in side.outputs:
        for name, slot in zip(port.axes, port.slots, strict=True):
            if any(origin.startswith("#") for origin in origins[port.wire][slot]):
                found.add(name)
    return found


def _check_sizes(made: Rule) -> None:
    known = set(made.left.size_variables)
    for name in made.right.size_variables:
        if name not in known:
            raise SizeError(f"{made.name}: nothing on the left side says what the size {name!r} is")
