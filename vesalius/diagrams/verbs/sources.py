"""Verbs without inputs: constants, sizes, positions, parameters, random draws; and `linear`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vesalius.diagrams.box import Draw, Parameter, Token
from vesalius.diagrams.boxes.sources import CONSTANT, IOTA, PARAMETER, RANDOM
from vesalius.diagrams.errors import AxisError, FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, SizeLike, number, product
from vesalius.diagrams.sizes import size as read_size
from vesalius.diagrams.starts import checked, start
from vesalius.diagrams.types import ArrayType, axis_names
from vesalius.diagrams.verbs.arithmetic import contract
from vesalius.diagrams.verbs.common import (
    atomic,
    builder_of,
    constant_wire,
    element_type,
    explained,
    handle,
    require_axis,
)
from vesalius.diagrams.wire import Wire

INITS = ("fan", "zeros", "ones", "normal", "uniform", "orthogonal")
DRAWN = ("normal", "uniform")  # of a width that a fan may divide
DISTRIBUTIONS = ("normal", "uniform", "bernoulli")


def size(formula: SizeLike) -> Size:
    """A size, to compute with: `x / vs.sqrt(vs.size("c"))`.

    Raises `FormatError` for a text that is no formula, `SizeError` for what is no size at all.
    """
    return read_size(formula)


def constant(value: Any, axes: str | None = None) -> Wire:
    """A number, or with `axes` a small table: `constant([[0, 1], [1, 0]], "i j")`.

    A table is kept in the diagram entry by entry; use a parameter for anything large.
    """
    if axes is None:
        return constant_wire(builder_of(()), value)
    names = axis_names(axes)
    shape: list[int] = []
    level = value.tolist() if hasattr(value, "tolist") else value
    flat = [level]
    for _ in names:
        if not all(isinstance(row, (list, tuple)) for row in flat):
            raise FormatError(f"constant: the table has fewer than {len(names)} axes")
        lengths = {len(row) for row in flat}
        if len(lengths) != 1:
            raise FormatError("constant: the rows of the table differ in length")
        shape.append(lengths.pop())
        flat = [entry for row in flat for entry in row]
    values = tuple(entry if isinstance(entry, bool) else number(entry) for entry in flat)
    kinds = {element_type(entry) for entry in values} or {"float"}
    dtype = "float" if kinds == {"float", "int"} else kinds.pop() if len(kinds) == 1 else ""
    if not dtype:
        raise FormatError("constant: a table holds numbers or truth values, not both")
    if dtype == "float":
        values = tuple(entry * 1 for entry in values)
    builder = builder_of(())
    new = [(name, read_size(length)) for name, length in zip(names, shape, strict=True)]
    return handle(builder, builder.add(CONSTANT, (values, dtype), (), (), new))


@explained
def iota(axis: str) -> Wire:
    """The positions 0, 1, … along a new axis: `iota("n")`, `iota("k:8")`. Integers.

    Raises `AxisError` where that is not one axis.
    """
    builder = builder_of(())
    named = ArrayType.parse(axis).axes
    if len(named) != 1:
        raise AxisError(f"iota: one axis, not {axis!r}")
    return handle(builder, builder.add(IOTA, (), (), (), list(named.items())))


@explained
def parameter(
    name: str,
    axes: str,
    *,
    init: str | Callable[..., Wire | float] | Diagram = "fan",
    scale: float = 1.0,
    fan: str | Size | None = None,
    trainable: bool = True,
) -> Wire:
    """A fresh parameter: `parameter("wq", "d h e", fan="d")`.

    `init` is how it starts:

    - `fan`: uniform within ±scale/√fan. `fan` names the axes that are summed, by default the
      first, or is a formula in axes, `"d + h*e"`;
    - `zeros`, `ones`;
    - `normal` or `uniform`, with the deviation or within ± `scale`, divided by √fan if `fan` is
      given;
    - `orthogonal`, of two axes: rows as long as normal ones, but orthogonal to each other in
      blocks of as many as they have entries (Orthogonal Random Features, arXiv 1610.09072);
    - a function that computes it, of the positions along each axis, from these, sizes and random
      draws: `parameter("a", "h", init=lambda h: vs.log(h + 1))`; or such a diagram without inputs.

    Each call makes another parameter; hand the same wire to two places to share one. In a rule, a
    name is one parameter: on both sides it is kept, on one side only it goes or is new.
    """
    if init not in INITS if isinstance(init, str) else not callable(init):
        known = ", ".join(INITS)
        raise FormatError(
            f"parameter {name!r}: init is one of {known}, or a function of positions, not {init!r}"
        )
    if not all(part.isidentifier() for part in name.split(".")):
        raise FormatError(f"a parameter's name is made of identifiers and dots, not {name!r}")
    builder = builder_of(())
    named = ArrayType.parse(axes)
    if named.dtype != "float":
        raise FormatError(f"parameter {name!r}: parameters are float, not {named.dtype}")
    if init == "orthogonal" and len(named.axes) != 2:
        raise FormatError(f"parameter {name!r}: orthogonal rows have two axes, not {named}")
    width = _fan(name, named, fan) if init == "fan" or (fan is not None and init in DRAWN) else None
    kept = init if isinstance(init, str) else _computed(name, named, init)

    def fresh(name: str) -> Token:
        return Parameter(name, kept, float(scale), width, trainable)

    axes_ = tuple(named.axes.items())
    token = builder.identity(name, fresh, (PARAMETER, axes_))
    return handle(builder, builder.add(PARAMETER, (token,), (), (), axes_))


def _fan(name: str, named: ArrayType, fan: str | Size | None) -> Size:
    """The number under the root: a size, a product of axes, or a formula in them."""
    if isinstance(fan, Size):
        return fan
    words = fan.split() if fan is not None else list(named)[:1]
    formula = not all(word.isidentifier() for word in words)
    found = read_size(fan) if formula and fan is not None else product(map(read_size, words))
    for axis in sorted(found.variables):
        if axis not in named:
            raise AxisError(f"parameter {name!r}: fan names {axis!r}, the type is {named}")
    return found.substitute(named.axes)


def _computed(name: str, named: ArrayType, init: Callable[..., Wire | float] | Diagram) -> Diagram:
    """The diagram that computes the initial values of a parameter of this type."""
    if not isinstance(init, Diagram):
        return start(name, named, init)
    made = checked(name, init).port_type(init.outputs[0])
    if list(made.axes.values()) != list(named.axes.values()):
        raise AxisError(
            f"parameter {name!r}: its initial values have the type {made}, the parameter {named}"
        )
    return init


@explained
def random(axes: str, distribution: str = "normal", *, p: float = 0.5, name: str = "noise") -> Wire:
    """A fresh random draw with declared axes; never merged with another, never duplicated.

    `normal` and `uniform` (on [0, 1)) give floats, `bernoulli` truth values, true with
    probability `p`.
    """
    if distribution not in DISTRIBUTIONS:
        raise FormatError(f"random: one of {', '.join(DISTRIBUTIONS)}, not {distribution!r}")
    if not 0 <= p <= 1:
        raise FormatError(f"random: a probability lies in [0, 1], not {p!r}")
    builder = builder_of(())
    named = ArrayType.parse(axes)

    def fresh(name: str) -> Token:
        return Draw(name, distribution, float(p))

    axes_ = tuple(named.axes.items())
    token = builder.identity(name, fresh, (RANDOM, axes_, distribution, float(p)))
    return handle(builder, builder.add(RANDOM, (token,), (), (), axes_))


@atomic
def linear(
    x: Wire,
    over: str | Sequence[str],
    into: str,
    *,
    name: str = "w",
    bias: bool | str = False,
    init: str | Callable[..., Wire | float] = "fan",
    scale: float = 1.0,
    fan: Size | None = None,
) -> Wire:
    """A fresh linear map: `linear(x, "d", "h e", name="wq")` contracts `d` with `wq[d,h,e]`.

    With `bias=True` a parameter `name_bias` with the new axes is added. Both start uniform within
    ±1/√fan, as those of `torch.nn.Linear` do; a weight may start as any `parameter` (`init`,
    `scale`, and `fan`, a size), and with `bias="zeros"` the bias starts at 0.
    """
    if bias not in (True, False, "zeros"):
        raise FormatError(f"linear: a bias is true, false or 'zeros', not {bias!r}")
    summed = axis_names(over)
    axes = {axis: require_axis("linear", x, axis) for axis in summed}
    new = ArrayType.parse(into)
    for axis in new:
        if axis in x.names and axis not in summed:
            raise AxisError(f"linear: {x.type} already has the new axis {axis!r}")
    # The summed axes get names of their own, so that `linear(x, "d", "d")` is a square map.
    inner = {axis: f"{axis}_in" if axis in new else axis for axis in summed}
    while set(inner.values()) & ({*x.names, *new.axes} - set(summed)):
        inner = {axis: f"{label}_" for axis, label in inner.items()}
    both = ArrayType({**{inner[axis]: length for axis, length in axes.items()}, **new.axes})
    with x.builder:
        width = fan if fan is not None or init in DRAWN else " ".join(inner.values())
        weight = parameter(name, " ".join(both.words()), init=init, scale=scale, fan=width)
    y = contract(x.rename(**inner), weight, over=tuple(inner.values()))
    if not bias:
        return y
    builder, width_ = x.builder, product(axes.values())

    def fresh(name: str) -> Token:
        return Parameter(name, "zeros") if bias == "zeros" else Parameter(name, "fan", 1.0, width_)

    own = tuple(new.axes.items())
    token = builder.identity(f"{name}_bias", fresh, (PARAMETER, own))
    made = builder.add(PARAMETER, (token,), (), (), own)
    return y + handle(builder, made)
