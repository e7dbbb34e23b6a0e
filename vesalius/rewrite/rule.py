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

Parameters, random sources and learners are pattern variables too, by name: one that stands on
both sides is kept, one of the left side alone goes, one of the right side alone is new. With
respect to the axes that it declares a parameter is exact; other axes of its own (heads, say) are
*parameter tubes*, and a new parameter takes those of the parameters that it replaces.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.trace import output_port, outputs_declared, read_type
from vesalius.diagrams.types import ArrayType, TypeLike
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.grade import Grade, grade
from vesalius.rewrite.refusals import RuleError, refuse, replaced
from vesalius.rewrite.witness import Witness

if TYPE_CHECKING:
    from vesalius.rewrite.pattern import Pattern


@dataclass(frozen=True)
class Many:
    """Any number of operands of one box, all of one type: `vs.many("j")`."""

    type: ArrayType
    least: int = 0


def many(type: TypeLike, least: int = 0) -> Many:
    """The annotation of an argument that stands for any number of operands of one box.

    `least` is how many there are at least.
    """
    return Many(ArrayType.parse(type), least)


class AnyFunction:
    """The annotation of an argument that stands for a pointwise function of one argument."""

    def __repr__(self) -> str:
        return "vs.anyfunction"


anyfunction = AnyFunction()


@dataclass(frozen=True, eq=False)
class Rule:
    """A pair of diagrams with the same inputs and outputs, and a grade.

    `many` names the inputs that stand for several operands, with how many there are at least,
    `functions` the stand-ins for pointwise functions. `conditions` are asked of each match and
    return the reason why it does not serve, or None. `source` is the file and line of the
    definition. `witness` maps parameters between the sides. `replaces` says for each new
    parameter or random source which of the left side it stands for; `free` are sizes that the
    right side brings, to be chosen; `fixed` are sizes that size variables stand for beforehand.
    """

    name: str
    grade: Grade
    left: Diagram
    right: Diagram
    many: Mapping[str, int]
    functions: Mapping[str, Function]
    conditions: tuple[Callable[[Any], str | None], ...]
    doc: str
    source: str
    witness: Witness | None = None
    replaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    free: frozenset[str] = frozenset()
    fixed: Mapping[str, Size] = field(default_factory=dict)

    @cached_property
    def pattern(self) -> Pattern:
        """The left side, prepared for matching."""
        from vesalius.rewrite.pattern import Pattern

        return Pattern(self)

    def explain(self, diagram: Diagram) -> str:
        """Why this rule does not match: the nearest miss, the box and what failed there."""
        from vesalius.rewrite.explain import explain

        return explain(self, diagram)

    def inverse(self) -> Rule:
        """The rule read from right to left. Raises `RuleError` where it has no such reading."""
        back: dict[str, list[str]] = {}
        for new, old in self.replaces.items():
            for name in old:
                back.setdefault(name, []).append(new)
        turned = replace(
            self,
            name=f"{self.name}_inverse",
            grade=self.grade.inverse(),
            left=self.right,
            right=self.left,
            witness=self.witness.inverse() if self.witness is not None else None,
            replaces={name: tuple(new) for name, new in back.items()},
            free=frozenset(self.left.size_variables) - set(self.right.size_variables),
        )
        return checked(turned)

    def __repr__(self) -> str:
        return f"<rule {self.name} ({self.grade}): {self.doc.splitlines()[0] if self.doc else ''}>"


def rule(
    grade_name: str | Grade,
    *,
    conditions: tuple[Callable[[Any], str | None], ...] = (),
    witness: Witness | None = None,
    replaces: Mapping[str, str] | None = None,
    free: str = "",
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function that returns its two sides.

    `witness` maps parameters between the sides, where the grade promises that such maps exist.
    `replaces={"w": "wq wk"}` says which parameters a new one stands for, where that is not
    plain. `free="r"` names sizes that the right side brings, such as the rank of a
    factorisation; the witness's width is one.

    Raises `RuleError` when the sides depend on different inputs, when the left side does not
    use an input, when an axis or a size is declared that no box binds, or when it is ambiguous
    what a new parameter replaces.
    """
    if callable(grade_name):
        raise FormatError('a rule says its grade: write @vs.rule("equal") for @vs.rule')
    promise = grade(grade_name)
    stated = {new: tuple(old.split()) for new, old in (replaces or {}).items()}
    sizes = {*free.split(), *([witness.width] if witness is not None and witness.width else [])}

    def make(function: Callable[..., Any]) -> Rule:
        traced = _trace(function, promise, conditions)
        brought = frozenset(sizes - set(traced.left.size_variables))
        return checked(replace(traced, witness=witness, replaces=stated, free=brought))

    return make


def checked(made: Rule) -> Rule:
    """The rule, with what each new parameter replaces found out. Raises what `rule` says."""
    made = replace(made, replaces=replaced(made))
    refuse(made)
    return made


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
    several: dict[str, int] = {}
    functions = {}
    for argument in signature.parameters.values():
        wanted = _annotation(function, argument.annotation)
        if isinstance(wanted, AnyFunction):
            functions[argument.name] = arguments[argument.name] = stand_in(argument.name)
            continue
        if isinstance(wanted, Many):
            several[argument.name] = wanted.least
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
        several,
        functions,
        conditions,
        builder.doc,
        source_of(function),
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


def source_of(function: Callable[..., Any]) -> str:
    """The file and line of a definition."""
    code = function.__code__
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}"
