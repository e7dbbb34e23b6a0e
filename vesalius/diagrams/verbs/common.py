"""What the verbs share: from operands to uses, and errors in the user's names."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.builder import CURRENT, Builder, Label, Made, SizeMismatch, Use
from vesalius.diagrams.errors import AxisError, FormatError, SizeError, StructureError, TypeClash
from vesalius.diagrams.graph import check_same_builder
from vesalius.diagrams.names import meant
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import is_axis_name
from vesalius.diagrams.wire import Wire

P = ParamSpec("P")
R = TypeVar("R")


def builder_of(operands: Iterable[Any]) -> Builder:
    """The builder of the wires among these operands, else the one under construction."""
    owners = [x.builder for x in operands if isinstance(x, Wire)]
    if owners:
        check_same_builder(*owners)
        return owners[0]
    current = CURRENT.get()
    if current is None:
        raise StructureError(
            "no diagram is under construction: write this inside a function under @vs.diagram, "
            "or inside `with vs.Builder() as b:`"
        )
    return current


def atomic(verb: Callable[P, R]) -> Callable[P, R]:
    """Make a verb place all of its boxes or none: when it fails, the builder is as before."""

    @wraps(verb)
    def guarded(*operands: P.args, **options: P.kwargs) -> R:
        builder = _builder_among((*operands, *options.values())) or CURRENT.get()
        if builder is None:
            return called(*operands, **options)
        mark = builder.mark()
        try:
            return called(*operands, **options)
        except BaseException:
            builder.undo(mark)
            raise

    called = explained(verb)
    return guarded


def explained(verb: Callable[P, R]) -> Callable[P, R]:
    """Make a verb say what is wrong with a call that does not fit its signature."""

    @wraps(verb)
    def called(*operands: P.args, **options: P.kwargs) -> R:
        try:
            return verb(*operands, **options)
        except TypeError:
            wrong = _miscalled(verb, operands, options)
            if wrong is None:
                raise
        raise TypeClash(wrong)

    return called


OF_AXES = ("over", "axis", "axes")  # what the verbs call the axes that they act on


def _miscalled(verb: Callable[..., Any], given: tuple[Any, ...], options: Any) -> str | None:
    """What is wrong with how a verb is called; None where the call fits."""
    name, signature = verb.__name__, inspect.signature(verb)
    try:
        signature.bind(*given, **options)
        return None
    except TypeError as error:
        why = str(error)
    takes = list(signature.parameters)
    axes = next((word for word in OF_AXES if word in takes), None)
    for option in options:
        if option in takes:
            continue
        if axes and option in ("dim", "dims", "axis", "axes"):
            return f"{name} takes {axes}=, not {option}=: axes have names, as {axes}='c'"
        return f"{name} has no option {option!r}; {meant(option, takes)}"
    return f"{name}: {why}; it takes {', '.join(takes)}"


def _builder_among(values: Iterable[Any]) -> Builder | None:
    """The builder of the first wire, which may stand in a sequence or a mapping."""
    for value in values:
        if isinstance(value, Wire):
            return value.builder
        if isinstance(value, (tuple, list, dict)) and value:
            inside = value.values() if isinstance(value, dict) else value
            builder = _builder_among(inside)
            if builder is not None:
                return builder
    return None


def wires(verb: str, *operands: Any) -> list[Wire]:
    """The operands as wires of one builder; numbers and sizes become constants."""
    if not operands:
        raise StructureError(f"{verb} is given nothing")
    builder = builder_of(operands)
    return [x if isinstance(x, Wire) else constant_wire(builder, x, verb) for x in operands]


def constant_wire(builder: Builder, value: Any, verb: str = "constant") -> Wire:
    """A scalar constant: a number, a truth value, a fraction or a size."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a scalar of numpy or torch
    if not isinstance(value, (bool, int, float, Fraction, Size)):
        raise TypeClash(f"{verb} takes wires and numbers, not {_shown(value)}")
    if isinstance(value, Size) and value.constant is not None:
        value = value.constant
    if value != value:
        raise FormatError(f"{verb}: a constant is a number, not {value!r}")
    made = builder.add(CONSTANT, (value, element_type(value)), ())
    return Wire(builder, made.wires.start, ())


def _shown(value: Any) -> str:
    """A value in few words: of an array its shape, and what computes with it."""
    kind = type(value).__name__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        shape = ", ".join(map(str, value.shape))
        return (
            f"{kind} of shape ({shape}): a diagram is built of wires; its .evaluate(...), or "
            f"vs.to_torch of it, computes with arrays"
        )
    if isinstance(value, (list, tuple)) and any(isinstance(x, Wire) for x in value):
        return f"a {kind}: wires are given one by one, as (x, y, over='n')"
    return f"{kind}: {reprlib.repr(value)}"


def element_type(value: Any) -> str:
    """The element type of a constant; it keeps 1, 1.0 and True apart."""
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, (int, Size)) else "float"


def place(
    verb: str,
    kind: Kind,
    attrs: tuple[Any, ...],
    operands: Sequence[Wire],
    uses: Sequence[Use],
    bound: Sequence[Label] = (),
    new: Sequence[tuple[Label, Size]] = (),
) -> Made:
    """Add a box to the operands' builder, and speak of sizes in the user's names."""
    builder = builder_of(operands)
    try:
        return builder.add(kind, attrs, uses, bound, new)
    except SizeMismatch:
        raise _named_mismatch(verb, operands, uses) from None


def _named_mismatch(verb: str, operands: Sequence[Wire], uses: Sequence[Use]) -> SizeError:
    seen: dict[Label, tuple[Size, Wire]] = {}
    for wire, (_, labels) in zip(operands, uses, strict=True):
        for name, label, size in zip(wire.names, labels, wire.axes.values(), strict=True):
            known = seen.setdefault(label, (size, wire))
            if known[0] != size:
                return SizeError(
                    f"{verb}: the axis {name!r} has size {known[0]} in {known[1].type} "
                    f"and size {size} in {wire.type}"
                )
    return SizeError(f"{verb}: two sizes of one axis differ")


def named_use(wire: Wire) -> Use:
    """A use that calls the slots of a wire by the names of the handle."""
    return wire.id, wire.names


def handle(builder: Builder, made: Made, output: int = 0) -> Wire:
    """The user's handle on an output; its labels are all names by now."""
    names = tuple(str(label) for label in made.labels[output])
    return Wire(builder, made.wires[output], names)


def require_axis(verb: str, wire: Wire, axis: str) -> Size:
    """The size of an axis of a wire; an error that shows the type when there is none."""
    if not isinstance(wire, Wire):
        raise TypeClash(f"{verb} takes a wire, not {_shown(wire)}")
    if axis not in wire.names:
        raise AxisError(f"{verb}: the wire {wire.type} has no axis {axis!r}")
    return wire.axes[axis]


def require_free(verb: str, axis: str, taken: Iterable[str]) -> None:
    """Refuse a new axis whose name another axis of the result has."""
    if not is_axis_name(axis):
        raise AxisError(f"{verb}: an axis name is an identifier, not {axis!r}")
    if axis in taken:
        raise AxisError(f"{verb}: the result would have two axes called {axis!r}")


def sized_axes(text: str | Sequence[str]) -> dict[str, Size]:
    """Read new axes with sizes: `"h:8 c"`."""
    from vesalius.diagrams.types import ArrayType

    if not isinstance(text, (str, tuple, list)):
        raise FormatError(f"a new axis is a name with a size, as 'k:3', not {text!r}")
    return ArrayType.parse(text if isinstance(text, str) else " ".join(text)).axes
