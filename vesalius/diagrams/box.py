"""Boxes: a kind is declared once; a box is a kind applied to axes, without names.

A *kind* (`Kind`) says what a family of boxes is: typing, meaning, cost and look, in one
declaration. A *box* (`Box`) is a kind with its attributes and its pattern of axes. The axes
of a box are local to it: they are numbered by first occurrence over its input ports, so two
spellings that differ only in names are the same box.

    maps[p][s]   local axis that slot s of the wire at port p becomes
    bound        local axes that the box acts on; all its other input axes are tubes
    new          sizes of the local axes that the box creates, numbered after the others
    outs[o]      local axes of output o, in the order of the slots of its wire
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from vesalius.diagrams.errors import FormatError, TypeClash
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.graph import Diagram
    from vesalius.diagrams.wire import Wire

Axes = tuple[int, ...]
Pullback: TypeAlias = "Callable[[Pull], Sequence[Wire | None]]"


class WireType(NamedTuple):
    """The type of a wire without names: the size of each slot, and an element type."""

    sizes: tuple[Size, ...]
    dtype: str


class Site(NamedTuple):
    """A box where it stands: its local sizes and the element types of its inputs."""

    box: Box
    sizes: Sequence[Any]
    dtypes: tuple[str, ...]

    @property
    def bound_sizes(self) -> list[Any]:
        """The sizes of the axes that the box binds, in the box's order."""
        return [self.sizes[a] for a in self.box.bound]

    @property
    def new_sizes(self) -> list[Any]:
        """The sizes of the axes that the box creates."""
        return list(self.sizes[self.box.inner :])

    def in_sizes(self, port: int) -> list[Any]:
        """The sizes of the slots of the wire at an input port."""
        return [self.sizes[a] for a in self.box.maps[port]]


@dataclass(frozen=True)
class Look:
    """How a box is drawn: a shape and a short label; `label(box)` wins over `text`."""

    shape: str = "box"
    text: str = ""
    label: Callable[[Box], str] | None = None

    def __call__(self, box: Box) -> str:
        return self.label(box) if self.label is not None else (self.text or box.kind.name)


def tubes_only(box: Box) -> tuple[Axes, ...]:
    """One output that carries the tubes alone: the bound axes are consumed."""
    return (tuple(a for a in range(box.inner) if a not in box.bound),)


def tubes_and_bound(box: Box) -> tuple[Axes, ...]:
    """One output that carries the tubes and the bound axes, as softmax does."""
    return (tuple(range(box.inner)),)


def tubes_and_new(box: Box) -> tuple[Axes, ...]:
    """One output that carries the tubes and the new axes, in place of the bound ones."""
    tubes = tuple(a for a in range(box.inner) if a not in box.bound)
    return ((*tubes, *range(box.inner, box.rank)),)


def same_dtype(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Every output has the element type of the first input."""
    return dtypes[:1] * len(box.outs)


def numeric(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """`float` when an input is, else `int`; truth values are refused."""
    if "bool" in dtypes:
        raise TypeClash(f"{box.kind.name} takes numbers, not truth values: write vs.to_float(x)")
    return ("float" if "float" in dtypes else "int",) * len(box.outs)


def floats(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Takes numbers and gives floats."""
    numeric(box, dtypes)
    return ("float",) * len(box.outs)


def no_cost(site: Site) -> Mapping[str, Size]:
    """Costs no arithmetic: it only moves or names values."""
    return {}


def no_check(site: Site) -> None:
    """No condition on sizes beyond agreement."""


def never(attrs: tuple[Any, ...]) -> bool:
    """The order of the inputs matters."""
    return False


def always(attrs: tuple[Any, ...]) -> bool:
    """The order of the inputs does not matter."""
    return True


@dataclass(frozen=True, eq=False)
class Kind:
    """The declaration of a family of boxes; everything about it stands here.

    `fields` names the attributes and their codecs (`size`, `int`, `number`, `text`,
    `function`, `numbers`, `diagram`, `token`, `value`, `flag`, `dtype`). `commutes(attrs)` says
    whether the order of the inputs matters. `meaning(algebra, site, inputs)`
    returns one value per output. `cost(site)` returns operations by name as sizes.
    `derivative` is a stated rule or a stated refusal; `pullback` is that rule: from cotangents of
    the outputs to cotangents of the inputs, one wire each or None (`vesalius.diagrams.derivative`).
    `refusals` maps the name of an algebra
    to the reason why it does not contain this kind.
    """

    name: str
    summary: str
    formula: str
    meaning: Callable[[Any, Site, list[Any]], Sequence[Any]]
    outs: Callable[[Box], tuple[Axes, ...]] = tubes_only
    dtypes: Callable[[Box, tuple[str, ...]], tuple[str, ...]] = same_dtype
    fields: tuple[tuple[str, str], ...] = ()
    cost: Callable[[Site], Mapping[str, Size]] = no_cost
    check: Callable[[Site], None] = no_check
    look: Look = field(default_factory=Look)
    derivative: str = ""
    pullback: Pullback | None = None
    commutes: Callable[[tuple[Any, ...]], bool] = never
    bound_is_set: bool = False
    broadcasts: bool = False
    refusals: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def has_identity(self) -> bool:
        """Whether boxes of this kind carry a token, to be made fresh at each call."""
        return any(codec == "token" for _, codec in self.fields)

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"


KINDS: dict[str, Kind] = {}


def declare(kind: Kind) -> Kind:
    """Enter a kind into the table of kinds; its name must be free."""
    if kind.name in KINDS:
        raise FormatError(f"a kind of box named {kind.name!r} is declared already")
    KINDS[kind.name] = kind
    return kind


class Box:
    """A kind applied to axes. Immutable, and interned by `box`: equal boxes are one object."""

    __slots__ = ("__weakref__", "attrs", "bound", "inner", "kind", "maps", "new", "outs")
    kind: Kind
    attrs: tuple[Any, ...]
    maps: tuple[Axes, ...]
    bound: Axes
    new: tuple[Size, ...]
    inner: int
    outs: tuple[Axes, ...]

    def __init__(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        maps: tuple[Axes, ...],
        bound: Axes,
        new: tuple[Size, ...],
    ) -> None:
        self.kind = kind
        self.attrs = attrs
        self.maps = maps
        self.bound = bound
        self.new = new
        self.inner = 1 + max((a for row in maps for a in row), default=-1)
        self.outs = kind.outs(self)

    @property
    def rank(self) -> int:
        """The number of local axes."""
        return self.inner + len(self.new)

    @property
    def tubes(self) -> Axes:
        """The input axes that the box does not bind: it is mapped over them."""
        return tuple(a for a in range(self.inner) if a not in self.bound)

    def __getitem__(self, name: str) -> Any:
        for (field_name, _codec), value in zip(self.kind.fields, self.attrs, strict=True):
            if field_name == name:
                return value
        raise KeyError(f"{self.kind.name} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"Box({self.kind.look(self)})"


_BOXES: weakref.WeakValueDictionary[tuple[Any, ...], Box] = weakref.WeakValueDictionary()


def box(
    kind: Kind,
    attrs: tuple[Any, ...],
    maps: tuple[Axes, ...],
    bound: Axes = (),
    new: tuple[Size, ...] = (),
) -> Box:
    """The box with these parts; one object for equal parts."""
    key = (kind, attrs, maps, bound, new)
    found = _BOXES.get(key)
    if found is None:
        found = _BOXES[key] = Box(kind, attrs, maps, bound, new)
    return found


# -- identities: what is fresh at each call -------------------------------------------------


class Token:
    """An identity: parameters, random sources and learners are equal only to themselves."""

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    def fresh(self, name: str, sizes: Mapping[str, Size]) -> Token:
        """A new identity with the same description and another name."""
        return type(self)(name)

    def describe(self) -> tuple[Any, ...]:
        """What two tokens must share to stand for each other in an equality."""
        return (type(self).__name__,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Parameter(Token):
    """A learned (or, with `trainable=False`, a fixed) array of its own.

    `init` is `fan` (uniform within scale/√fan), `zeros`, `ones`, `normal` or `uniform` with
    `scale` as standard deviation or half-width, divided by √fan where there is one, `orthogonal`
    rows, or a diagram without inputs that computes the initial values.
    """

    __slots__ = ("fan", "init", "scale", "trainable")

    def __init__(
        self,
        name: str,
        init: str | Diagram = "fan",
        scale: float = 1.0,
        fan: Size | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(name)
        self.init = init
        self.scale = scale
        self.fan = fan
        self.trainable = trainable

    def fresh(self, name: str, sizes: Mapping[str, Size]) -> Parameter:
        fan = self.fan.substitute(sizes) if self.fan is not None else None
        init = self.init
        if not isinstance(init, str):
            init = init.substitute(**sizes_of(init, sizes))
        return Parameter(name, init, self.scale, fan, self.trainable)

    @property
    def needs(self) -> tuple[str, ...]:
        """The size variables on which the initial values depend, beside those of the axes."""
        of_fan = self.fan.variables if self.fan is not None else frozenset()
        computed = () if isinstance(self.init, str) else self.init.size_variables
        return tuple(sorted(of_fan.union(computed)))

    def describe(self) -> tuple[Any, ...]:
        return ("Parameter", self.init, self.scale, self.fan, self.trainable)


class Draw(Token):
    """A random source: `normal`, `uniform` on [0, 1) or `bernoulli` with probability `p`."""

    __slots__ = ("distribution", "p")

    def __init__(self, name: str, distribution: str = "normal", p: float = 0.5) -> None:
        super().__init__(name)
        self.distribution = distribution
        self.p = p

    def fresh(self, name: str, sizes: Mapping[str, Size]) -> Draw:
        return Draw(name, self.distribution, self.p)

    def describe(self) -> tuple[Any, ...]:
        return ("Draw", self.distribution, self.p)


class Hole(Token):
    """The identity of a learner, or of a named box whose body holds learners.

    `ports[p]` names the axes that input p binds, `into` the axes that the output makes: a
    diagram that fills the hole declares them by these names.
    """

    __slots__ = ("into", "ports")

    def __init__(
        self, name: str, ports: tuple[tuple[str, ...], ...] = (), into: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name)
        self.ports = ports
        self.into = into

    def fresh(self, name: str, sizes: Mapping[str, Size]) -> Hole:
        return Hole(name, self.ports, self.into)
