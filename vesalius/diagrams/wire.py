"""Wires as a person holds them: a wire of a builder, with a name for each slot.

A `Wire` is light and immutable. Renaming makes another handle on the same wire: names live
here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from vesalius.diagrams.errors import AxisError, NoAttribute, StructureError
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType, is_axis_name

if TYPE_CHECKING:
    from fractions import Fraction

    from vesalius.diagrams.builder import Builder

Operand: TypeAlias = "Wire | int | float | Fraction | Size"


class Wire:
    """A wire of a diagram under construction; `names[s]` names its slot s.

    Supports `+ - * / **`, comparisons and unary minus; `==` compares handles, use
    `vs.equal(x, y)` for the box.
    """

    __slots__ = ("builder", "id", "names")

    def __init__(self, builder: Builder, id: int, names: tuple[str, ...]) -> None:
        self.builder = builder
        self.id = id
        self.names = names

    @property
    def type(self) -> ArrayType:
        """The array type, with the names of this handle."""
        sizes, dtype = self.builder.types[self.id]
        return ArrayType(dict(zip(self.names, sizes, strict=True)), dtype)

    @property
    def axes(self) -> dict[str, Size]:
        """The axes with their sizes."""
        return dict(zip(self.names, self.builder.types[self.id].sizes, strict=True))

    @property
    def dtype(self) -> str:
        """The element type: `float`, `int` or `bool`."""
        return self.builder.types[self.id].dtype

    def rename(self, *given: Any, **names: str) -> Wire:
        """The same wire with other names, all replaced at once: `x.rename(n="m", m="n")`.

        Raises `AxisError` for an axis that the wire lacks, or when two axes would share a
        name (a diagonal is a box of its own).
        """
        if given:
            raise AxisError("rename: each axis says what it is called, as x.rename(n='m')")
        for old in names:
            if old not in self.names:
                raise AxisError(f"rename: the wire {self.type} has no axis {old!r}")
            if not is_axis_name(names[old]):
                raise AxisError(f"rename: an axis name is an identifier, not {names[old]!r}")
        renamed = tuple(names.get(name, name) for name in self.names)
        if len(set(renamed)) != len(renamed):
            twice = next(name for name in renamed if renamed.count(name) > 1)
            raise AxisError(
                f"rename: two axes of {self.type} would be called {twice!r}; renaming is "
                f"injective, write vs.diagonal(x, 'i j', '{twice}') for a diagonal"
            )
        return Wire(self.builder, self.id, renamed)

    def __repr__(self) -> str:
        return f"<wire {self.id}: {self.type}>"

    def __bool__(self) -> bool:
        raise StructureError(
            "a wire has no truth value while a diagram is built: use vs.where(condition, a, b)"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoAttribute(f"a wire has no .{name}; {_instead(name)}")

    def __getitem__(self, place: Any) -> Any:
        raise StructureError(
            "a wire has no positions to index: its axes have names; vs.slice(x, 'n', 0, 1) takes a "
            "part of an axis, vs.gather(table, index, over='n') what an index says"
        )

    def __len__(self) -> int:
        raise StructureError("a wire has no length: its axes have sizes, x.axes['n']")

    def __float__(self) -> float:
        raise StructureError(
            "a wire has no value while a diagram is built: use the functions of vs, as vs.sqrt(x)"
        )

    def __matmul__(self, other: Any) -> Any:
        raise StructureError(
            "@ takes the last axis of one and the last but one of the other, and axes have names, "
            "no order: write vs.contract(x, y, over='c')"
        )

    __rmatmul__ = __matmul__

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "it")
        raise StructureError(
            f"torch's {name} computes with tensors, and a wire has no value yet; {_instead(name)}"
        )

    def __iter__(self) -> Any:
        raise StructureError("a wire cannot be iterated: its axes have names, not positions")

    __array_ufunc__ = None  # numpy scalars on the left defer to the operators below

    def __add__(self, other: Operand) -> Wire:
        return _place("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Wire:
        return _place("subtract", self, other)

    def __rsub__(self, other: Operand) -> Wire:
        return _place("subtract", other, self)

    def __neg__(self) -> Wire:
        return _place("negate", self)

    def __mul__(self, other: Operand) -> Wire:
        return _place("contract", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Wire:
        return _place("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Wire:
        return _place("divide", other, self)

    def __floordiv__(self, other: Operand) -> Wire:
        return _place("floor_divide", self, other)

    def __rfloordiv__(self, other: Operand) -> Wire:
        return _place("floor_divide", other, self)

    def __mod__(self, other: Operand) -> Wire:
        return _place("remainder", self, other)

    def __rmod__(self, other: Operand) -> Wire:
        return _place("remainder", other, self)

    def __pow__(self, exponent: int) -> Wire:
        return _place("power", self, exponent)

    def __rpow__(self, base: Any) -> Wire:
        raise StructureError(
            "a wire is no exponent: b**x is vs.exp(x * math.log(b)), and e**x is vs.exp(x)"
        )

    def __abs__(self) -> Wire:
        return _place("abs", self)

    def __lt__(self, other: Operand) -> Wire:
        return _place("less", self, other)

    def __le__(self, other: Operand) -> Wire:
        return _place("less_equal", self, other)

    def __gt__(self, other: Operand) -> Wire:
        return _place("less", other, self)

    def __ge__(self, other: Operand) -> Wire:
        return _place("less_equal", other, self)

    def __and__(self, other: Operand) -> Wire:
        return _place("logical_and", self, other)

    def __or__(self, other: Operand) -> Wire:
        return _place("logical_or", self, other)

    def __invert__(self) -> Wire:
        return _place("logical_not", self)


_AXES_HAVE_NAMES = {
    "axes have names, no order: no transpose is needed": (
        "T", "mT", "H", "t", "transpose", "permute", "swapaxes", "movedim", "contiguous",
    ),
    "tubes are matched by name: nothing needs to be broadcast": (
        "unsqueeze", "squeeze", "expand_as", "broadcast_to", "repeat", "tile",
    ),
    "x.axes has the sizes of the axes by name": ("shape", "size", "ndim", "dim", "numel"),
    "vs.split(x, 'd', 'h c') and vs.merge(x, 'h c', 'd') cut and join axes": (
        "view", "reshape", "flatten", "unflatten", "chunk",
    ),
    "write vs.contract(x, y, over='c')": ("matmul", "mm", "bmm", "einsum", "dot", "inner"),
    "write vs.concat(x, y, over='n')": ("cat", "stack", "hstack", "vstack"),
    "write vs.linear(x, 'd', 'e', name='w')": ("Linear", "linear"),
    "write vs.where(condition, a, b)": ("masked_fill", "masked_fill_"),
    "element types change by vs.to_float(x) and vs.to_int(x)": (
        "float", "int", "long", "double", "half", "bfloat16", "to", "type",
    ),
}  # fmt: skip
_INSTEAD = {name: hint for hint, names in _AXES_HAVE_NAMES.items() for name in names}


def _instead(name: str) -> str:
    """What to write for what a tensor would be asked."""
    from vesalius.diagrams import verbs

    if name in _INSTEAD:
        return _INSTEAD[name]
    if callable(getattr(verbs, name, None)) and not name.startswith("_"):
        reduces = name in ("softmax", "sum", "mean", "max", "min", "all", "any")
        return f"write vs.{name}(x, over='n')" if reduces else f"write vs.{name}(x)"
    return "the verbs of vs make wires from wires, as vs.exp(x); x.axes and x.dtype say its type"


def _place(verb: str, *operands: Any) -> Wire:
    """Call a verb by name; the verbs import this module."""
    from vesalius.diagrams import verbs

    wire: Wire = getattr(verbs, verb)(*operands)
    return wire
