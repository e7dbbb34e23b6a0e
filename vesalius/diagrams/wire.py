"""Wires as a person holds them: a wire of a builder, with a name for each slot.

A `Wire` is light and immutable. Renaming makes another handle on the same wire: names live
here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from vesalius.diagrams.errors import AxisError, StructureError
from vesalius.diagrams.habits import NoTensor, place
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType, is_axis_name

if TYPE_CHECKING:
    from fractions import Fraction

    from vesalius.diagrams.builder import Builder

Operand: TypeAlias = "Wire | int | float | Fraction | Size"


class Wire(NoTensor):
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

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | float | Size):
            raise StructureError(
                "== asks whether two wires are one; write vs.equal(x, 0) for where x is 0"
            )
        return self is other

    __hash__ = object.__hash__

    def __add__(self, other: Operand) -> Wire:
        return place("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Wire:
        return place("subtract", self, other)

    def __rsub__(self, other: Operand) -> Wire:
        return place("subtract", other, self)

    def __pos__(self) -> Wire:
        return self

    def __neg__(self) -> Wire:
        return place("negate", self)

    def __mul__(self, other: Operand) -> Wire:
        return place("contract", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Wire:
        return place("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Wire:
        return place("divide", other, self)

    def __floordiv__(self, other: Operand) -> Wire:
        return place("floor_divide", self, other)

    def __rfloordiv__(self, other: Operand) -> Wire:
        return place("floor_divide", other, self)

    def __mod__(self, other: Operand) -> Wire:
        return place("remainder", self, other)

    def __rmod__(self, other: Operand) -> Wire:
        return place("remainder", other, self)

    def __pow__(self, exponent: float) -> Wire:
        if isinstance(exponent, Wire):
            return self.__rpow__(exponent)
        return place("power", self, exponent)

    def __abs__(self) -> Wire:
        return place("abs", self)

    def __lt__(self, other: Operand) -> Wire:
        return place("less", self, other)

    def __le__(self, other: Operand) -> Wire:
        return place("less_equal", self, other)

    def __gt__(self, other: Operand) -> Wire:
        return place("less", other, self)

    def __ge__(self, other: Operand) -> Wire:
        return place("less_equal", other, self)

    def __and__(self, other: Operand) -> Wire:
        return place("logical_and", self, other)

    def __or__(self, other: Operand) -> Wire:
        return place("logical_or", self, other)

    def __invert__(self) -> Wire:
        return place("logical_not", self)
