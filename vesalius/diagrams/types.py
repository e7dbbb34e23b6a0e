"""Array types: an element type and a set of named axes, each with a size.

    {b, n, c:2*d} float

The order in which axes are written is kept for reading and for the interface (a torch
tensor has an order); it is no part of the type, and equality ignores it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from vesalius.diagrams.errors import AxisError, FormatError, SizeError
from vesalius.diagrams.names import among
from vesalius.diagrams.sizes import Size, SizeLike, size

DTYPES = ("float", "int", "bool")
_FORM = re.compile(r"\s*(?:\{([^{}]*)\}\s*(\w*)|([^{}]*?))\s*")
_WORD = re.compile(r"[^\s,]+")
_KEPT = re.compile(rf"_\d+|{'|'.join(DTYPES)}")


def is_axis_name(name: object) -> bool:
    """Whether a person may call an axis this: an identifier that is no element type.

    `_0`, `_1`, … are kept for the tubes of a nested diagram.
    """
    return isinstance(name, str) and name.isidentifier() and not _KEPT.fullmatch(name)


class ArrayType:
    """An element type and an unordered set of named axes with sizes.

    `axes` maps each name to its `Size`, in the order in which a person wrote them.
    """

    __slots__ = ("axes", "dtype")

    def __init__(self, axes: Mapping[str, SizeLike], dtype: str = "float") -> None:
        if dtype not in DTYPES:
            raise FormatError(among("an element type", DTYPES, dtype))
        for name in axes:
            if not isinstance(name, str) or not name.isidentifier() or name in DTYPES:
                raise AxisError(f"an axis name is an identifier, not {name!r}")
        self.axes: dict[str, Size] = {name: size(value) for name, value in axes.items()}
        for name, length in self.axes.items():
            if (length.constant or 0) < 0:
                raise SizeError(f"the axis {name!r} has the size {length}; none is negative")
        self.dtype = dtype

    @classmethod
    def parse(cls, text: TypeLike) -> ArrayType:
        """Read `"n c"`, `"n c:2*d"`, `"n int"` or `"{b, n, c} float"`; `""` is a scalar."""
        if isinstance(text, ArrayType):
            return text
        if not isinstance(text, str):
            raise FormatError(f"an array type is a text such as 'n c', not {text!r}")
        axes: dict[str, Size] = {}
        form = _FORM.fullmatch(text)
        if form is None:
            raise FormatError(f"the braces of {text!r} do not match; write '{{n, c}} float'")
        words = _WORD.findall(" ".join(part for part in form.groups() if part))
        dtype = words.pop() if words and words[-1] in DTYPES else "float"
        for word in words:
            name, colon, formula = word.partition(":")
            if not is_axis_name(name):
                raise FormatError(f"{word!r} in the type {text!r} is not an axis such as 'c:2*d'")
            if name in axes:
                raise AxisError(f"the axis {name!r} stands twice in the type {text!r}")
            axes[name] = size(formula) if colon else size(name)
            if any(_KEPT.fullmatch(variable) for variable in axes[name].variables):
                raise FormatError(f"{word!r} in the type {text!r} uses a name that is kept")
        return cls(axes, dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self.axes)

    def __contains__(self, name: object) -> bool:
        return name in self.axes

    def __len__(self) -> int:
        return len(self.axes)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ArrayType) and self.dtype == other.dtype and self.axes == other.axes
        )

    def __hash__(self) -> int:
        return hash((self.dtype, frozenset(self.axes.items())))

    def __repr__(self) -> str:
        return f"ArrayType({str(self)!r})"

    def __str__(self) -> str:
        return f"{{{', '.join(self.words())}}} {self.dtype}"

    def words(self) -> list[str]:
        """Each axis as it is written in a type: `n`, or `c:2*d` when its size differs."""
        return [
            name if value.variable == name else f"{name}:{str(value).replace(' ', '')}"
            for name, value in self.axes.items()
        ]


TypeLike: TypeAlias = "ArrayType | str"


def axis_names(axes: str | Sequence[str]) -> tuple[str, ...]:
    """Read `"b h"` or `("b", "h")` as names of axes; refuses a name that stands twice."""
    if not isinstance(axes, (str, list, tuple)):
        raise AxisError(f"axes are named by a text such as 'n c', not by {axes!r}")
    names = tuple(axes.replace(",", " ").split()) if isinstance(axes, str) else tuple(axes)
    for name in names:
        if not is_axis_name(name):
            raise AxisError(f"an axis name is an identifier, not {name!r}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AxisError(f"the axis {twice!r} is named twice in {' '.join(names)!r}")
    return names
