"""What people bring from Python, numpy and torch, and what they write of wires instead.

A wire has no value while a diagram is built. Whatever asks it for one is told the verb that
makes a wire of wires.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from vesalius.diagrams.errors import NoAttribute, StructureError

if TYPE_CHECKING:
    from vesalius.diagrams.wire import Wire

_AXES_HAVE_NAMES = {
    "axes have names, no order: no transpose is needed": (
        "T", "mT", "H", "t", "transpose", "permute", "swapaxes", "movedim", "contiguous",
    ),
    "tubes are matched by name: nothing needs to be broadcast": (
        "unsqueeze", "squeeze", "expand_as", "broadcast_to", "repeat", "tile",
    ),
    "x.axes has the sizes of the axes by name": ("shape", "size", "ndim", "dim", "numel"),
    "vs.split(x, 'd', 'h c') and vs.merge(x, 'h c', 'd') cut and join axes": (
        "view", "reshape", "flatten", "unflatten", "chunk", "ravel",
    ),
    "write vs.contract(x, y, over='c')": (
        "matmul", "mm", "bmm", "einsum", "dot", "inner", "tensordot", "vdot",
    ),
    "write vs.concat(x, y, over='n')": (
        "cat", "stack", "hstack", "vstack", "concat", "concatenate",
    ),
    "write vs.linear(x, 'd', 'e', name='w')": ("Linear", "linear"),
    "write vs.where(condition, x, y)": ("masked_fill", "masked_fill_", "where"),
    "write vs.contract, vs.softmax and vs.contract, as in "
    "print(vs.anatomy['scaled_dot_product']())": ("scaled_dot_product_attention",),
    "write vs.scan(body, over='n', ...), or vs.contract with vs.iota('m') <= vs.iota('n')": (
        "cumsum", "cumprod", "logcumsumexp",
    ),
    "write vs.floor(x + 0.5)": ("round", "rint"),
    "write -vs.floor(-x)": ("ceil",),
    "write vs.maximum(x, lower) and vs.minimum(x, upper)": ("clamp", "clip"),
    "element types change by vs.to_float(x) and vs.to_int(x)": (
        "float", "int", "long", "double", "half", "bfloat16", "to", "type", "astype",
    ),
}  # fmt: skip
_INSTEAD = {name: hint for hint, names in _AXES_HAVE_NAMES.items() for name in names}
_NO_VALUE = "and a wire has no value while a diagram is built"

# numpy's numbers ask for these where they stand on the left of an operator.
_OF_NUMPY = {"multiply": "contract", "greater": "less", "greater_equal": "less_equal"}
_OPERATORS = (
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder",
    "less", "less_equal", "greater", "greater_equal",
)  # fmt: skip


def instead(name: str) -> str:
    """What to write for what a tensor, numpy or torch would be asked."""
    from vesalius.diagrams import verbs

    if name in _INSTEAD:
        return _INSTEAD[name]
    verb = getattr(verbs, name, None)
    if name.startswith("_") or not inspect.isfunction(verb):
        return "the verbs of vs make wires of wires, as vs.exp(x); x.axes and x.dtype say its type"
    over = ", over='n'" if "over" in inspect.signature(verb).parameters else ""
    return f"write vs.{name}({', '.join('xyz'[: _arity(name)])}{over})"


def _arity(name: str) -> int:
    """How many wires the verb of a pointwise function takes; others take one."""
    from vesalius.diagrams.boxes.pointwise import FUNCTIONS

    return FUNCTIONS[name].arity if name in FUNCTIONS else 1


def place(verb: str, *operands: Any) -> Wire:
    """Call a verb by name; the verbs import the module of wires."""
    from vesalius.diagrams import verbs

    wire: Wire = getattr(verbs, verb)(*operands)
    return wire


class NoTensor:
    """What a wire is not: each way in which one is taken for a tensor, and what to write."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise StructureError(
            "a wire has no truth value while a diagram is built: use vs.where(condition, a, b), "
            "vs.maximum(x, y) and vs.minimum(x, y) for max and min, & and | for and and or"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoAttribute(f"a wire has no .{name}; {instead(name)}")

    def __getitem__(self, place: Any) -> Any:
        raise StructureError(
            "a wire has no positions to index: its axes have names; vs.slice(x, 'n', 0, 1) takes a "
            "part of an axis, vs.gather(table, index, over='n') what an index says"
        )

    def __setitem__(self, place: Any, value: Any) -> None:
        raise StructureError(
            "a wire never changes: vs.where(condition, x, y) takes each entry from one of two"
        )

    def __len__(self) -> int:
        raise StructureError("a wire has no length: its axes have sizes, x.axes['n']")

    def __iter__(self) -> Any:
        raise StructureError(
            "a wire cannot be iterated: its axes have names, not positions; vs.sum(x, over='n') "
            "and vs.max(x, over='n') reduce one"
        )

    def __float__(self) -> float:
        raise StructureError(f"math computes with numbers, {_NO_VALUE}: vs has verbs, as vs.exp(x)")

    def __int__(self) -> int:
        raise StructureError(f"int makes numbers, {_NO_VALUE}; write vs.to_int(x)")

    __trunc__ = __int__

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise StructureError(f"round rounds numbers, {_NO_VALUE}; {instead('round')}")

    def __floor__(self) -> Wire:
        return place("floor", self)

    def __ceil__(self) -> NoReturn:
        raise StructureError(f"ceil rounds numbers, {_NO_VALUE}; {instead('ceil')}")

    def __rpow__(self, base: Any) -> Any:
        raise StructureError(
            "a wire is no exponent: b**x is vs.exp(x * math.log(b)), e**x is vs.exp(x), and y**x "
            "is vs.exp(x * vs.log(y))"
        )

    def __xor__(self, other: Any) -> Any:
        raise StructureError("^ is no operator of wires: a power is x**2")

    __rxor__ = __xor__

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
        _refuse("torch", getattr(function, "__name__", "it"), "tensors")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        _refuse("numpy", function.__name__, "arrays")

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **options: Any) -> Any:
        name = function.__name__
        if method == "__call__" and name in _OPERATORS:
            ordered = operands[::-1] if name.startswith("greater") else operands
            return place(_OF_NUMPY.get(name, name), *ordered)
        if name == "matmul":
            return self.__matmul__(None)
        reduced = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod"}
        _refuse("numpy", reduced.get(name, name) if method == "reduce" else name, "arrays")

    def __array__(self, *given: Any, **options: Any) -> NoReturn:
        raise StructureError(f"numpy makes arrays of numbers, {_NO_VALUE}")


def _refuse(library: str, name: str, of: str) -> NoReturn:
    raise StructureError(
        f"{library}'s {name} computes with {of}, and a wire has no value yet; {instead(name)}"
    )
