"""What a kernel is: a box, how it is found, and how it is written in PyTorch.

The box of a kernel is a named box: its body is the diagram that the kernel stands for. So it has
the meaning of that diagram in every algebra, can be drawn, unfolded, saved and checked like any
other, and a kernel can never compute anything else than what the box says. Choosing a kernel is a
rewriting: `find` looks at a place in the normalised diagram and returns an equal right side in
which the box stands, or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from vesalius.compile.machine import machine_of
from vesalius.compile.nominal import POSITIONS
from vesalius.compile.roofline import Call, Counts, Machine
from vesalius.compile.terms import Writing, Written, instance
from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.graft import Replacement
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType, is_axis_name
from vesalius.rewrite.apply import replacements
from vesalius.rewrite.grade import grade
from vesalius.rewrite.match import Matcher
from vesalius.rewrite.pattern import head
from vesalius.rewrite.rule import Rule, checked

if TYPE_CHECKING:
    from vesalius.compile.layout import Order
    from vesalius.compile.scope import Here
    from vesalius.compile.text import Term
    from vesalius.compile.tune import Timings


@dataclass(frozen=True)
class Target:
    """For what a diagram is compiled: the device, the element type, and sizes that are known.

    `prefer` names kernels that are taken wherever they can stand, `forbid` those that are not
    taken anywhere, `unable` those that failed to run, each with the reason. `model` names the size
    variables of parameters: lengths that do not grow with the input. `usual` are lengths to compare
    costs by where nobody says how long an axis is (`vesalius.compile.nominal`). `machine` is what
    the device does in a second: as it was measured, if it was, or usual numbers. `timed` is what
    kernels took where they were timed. Raises `FormatError` for the name of no kernel.
    """

    device: str = "cpu"
    dtype: str = "float32"
    sizes: Mapping[str, int] = field(default_factory=dict)
    prefer: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    model: frozenset[str] = frozenset()
    usual: Mapping[str, int] = field(default_factory=dict)
    unable: Mapping[str, str] = field(default_factory=dict)
    timed: Timings | None = None
    machine: Machine = None  # type: ignore[assignment]  # __post_init__ looks it up
    _known: dict[Any, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from vesalius.compile.kernels import load

        load()
        if self.machine is None:
            object.__setattr__(self, "machine", machine_of(self.device))
        for name in (*self.prefer, *self.forbid):
            if name not in KERNELS:
                known = ", ".join(KERNELS)
                raise FormatError(f"no kernel is called {name!r}; there are {known}")

    def length(self, size: Size) -> int:
        """The length of an axis, to compare costs by; nominal where it is not known."""
        return max(1, self.integer(size))

    def entries(self, sizes: tuple[Size, ...]) -> int:
        """How many entries an array has."""
        found = self._known.get(sizes)
        if found is None:
            found = self._known[sizes] = prod(self.length(size) for size in sizes)
        return found

    def integer(self, size: Size) -> int:
        """A size as a number, also one that is no length."""
        found = self._known.get(size)
        if found is None:
            usual, sizes = self.usual, self.sizes
            lengths = {v: sizes.get(v, usual.get(v, POSITIONS)) for v in size.variables}
            try:
                found = size.at(lengths)
            except SizeError:  # an exact quotient of made-up lengths
                found = POSITIONS
            self._known[size] = found
        return found


class Unserved(Exception):
    """Why a kernel does not serve a call; `lasting` if it will serve no later one either.

    A module then computes the call without that kernel.
    """

    def __init__(self, kernel: str, reason: str, lasting: bool) -> None:
        super().__init__(f"{kernel}: {reason}")
        self.kernel, self.reason, self.lasting = kernel, reason, lasting


class Place(Written):
    """A box of a normalised diagram, at which a kernel may stand; read by labels."""

    def __init__(
        self,
        diagram: Diagram,
        node: Node,
        target: Target,
        matchers: dict[Rule, Matcher] | None = None,
    ) -> None:
        super().__init__(diagram)
        self.node = node
        self.index = diagram.owner[node.first]
        self.target = target
        self.use: Use = self.result(node)
        self._matchers = {} if matchers is None else matchers

    def matcher(self, rule: Rule) -> Matcher:
        """What finds a rule in this diagram; the same for all places."""
        if rule not in self._matchers:
            self._matchers[rule] = Matcher(rule, self.diagram)
        return self._matchers[rule]

    def length(self, use: Use, label: Label) -> int:
        """The length of an axis, nominal where it is not known."""
        return self.target.length(self.size(use, label))

    def right(self, reads: Iterable[Use]) -> Right:
        """A right side that reads these wires of the diagram."""
        return Right(self, reads)


class Found(NamedTuple):
    """What a kernel takes over: an equal right side for one wire.

    `replacement` is the pair's right side with what it reads; `note` says to people what of the
    diagram went into the kernel, and `shown` which part of the pairs masks show, where the kernel
    skips the others. `others` are further wires that are replaced together with it, `spared` those
    that all readers can do without as this one does.
    """

    wire: int
    replacement: Replacement
    note: str = ""
    shown: float = 1.0
    others: tuple[tuple[int, Replacement], ...] = ()
    spared: tuple[int, ...] = ()


class Right(Writing):
    """The right side of a rewriting while it is written; `read` is how it reads the diagram."""

    def __init__(self, place: Place, reads: Iterable[Use]) -> None:
        super().__init__(Builder("right"))
        self.place = place
        self.wires: dict[int, int] = {}
        for wire in dict.fromkeys(use[0] for use in reads):
            axes: dict[str, Size] = {}
            names = zip(place.hints[wire], place.types[wire].sizes, strict=True)
            for name, length in names:
                axes[fresh_name(name if is_axis_name(name) else "a", axes)] = length
            handle = self.builder.input(f"x{wire}", ArrayType(axes, place.types[wire].dtype))
            self.wires[wire] = handle.id

    def read(self, use: Use) -> Use:
        """A wire of the diagram, here."""
        return self.wires[use[0]], use[1]

    def copied(self, use: Use) -> Use:
        """A use of the diagram, here: a number is written again, a wire is read."""
        if use[0] in self.wires:
            return self.read(use)
        opened = self.place.open(use)
        inner = [self.copied(one) for one in opened.uses]
        return self.box(opened.box.kind, opened.box.attrs, inner)[0]

    def found(
        self,
        result: Use,
        note: str = "",
        others: Sequence[tuple[Use, Use]] = (),
        of: Use | None = None,
    ) -> Found:
        """The rewriting that puts this result in the stead of a use, the place's unless said.

        `others` are further pairs of what is replaced and what by.
        """
        pairs = [(of or self.place.use, result), *others]
        (first, *rest) = self._replacements(pairs)
        return Found(*first, note, 1.0, tuple(rest))

    def _replacements(self, pairs: Sequence[tuple[Use, Use]]) -> list[tuple[int, Replacement]]:
        place = self.place
        wide = [(old, self.expand(new, place.sizes([old]))) for old, new in pairs]
        ports = []
        for j, (_, new) in enumerate(wide):
            names = tuple(f"a{k}" for k in range(len(new[1])))
            ports.append(Port(f"out{j}", new[0], names, tuple(range(len(names)))))
        body = self.builder.finish(ports)
        uses = tuple((w, tuple(range(len(place.types[w].sizes)))) for w in self.wires)
        found = []
        for j, ((wire, labels), new) in enumerate(wide):
            axes = tuple(new[1].index(label) for label in labels)
            found.append((wire, Replacement(body, uses, axes, j)))
        return found


Find = Callable[[Place], "Found | str"]
Emit = Callable[["Here", str], "list[Term]"]
Gives = Callable[[Box, "list[Order]", "list[Order | None]"], "list[Order]"]
Asks = Callable[[Box, "list[Order]", "list[Order]"], "list[Order | None]"]


@dataclass(frozen=True, eq=False)
class Kernel:
    """The declaration of a kernel; everything about it stands here.

    `define(variant)` is the diagram that the kernel stands for; it has no parameters, and its axes
    are declared by size variables. A kernel with several variants (with a mask, without) says which
    in a text of its own making. One that stands for many diagrams has `accepts` instead, which says
    whether the body of a box called `name` is one of them. Without either it has no box: its right
    side is made of what PyTorch has already.

    *How it is found.* Without more, wherever that diagram stands in a normalised one. `rules` are
    further pairs, with the kernel's box on the right. Else `find(place)` returns the rewriting or
    the reason why it does not stand there (an empty one says that nothing there is worth a word);
    `root` is the kind of box at which it is asked. `otherwise(kernel, place)` does so at
    contractions, and at boxes like those that end the definition, where that does not stand.

    *How it is written.* `runs(variant)` is an equal diagram, by which it is computed. Or `function`
    gets a tensor for each input of the definition: all tubes first, and then the axes that the
    definition declares there; it returns such a tensor. Or `emit(here, variant)` writes the call,
    and `layout` is how it likes its inputs, by default tubes first and then the declared axes.

    *What it takes.* `work` counts operations, bytes and calls (`vesalius.compile.roofline`:
    `fused`, `stepwise`, or a function of one's own). Kernels that say so compete with each other,
    and with the text as it is written, by the time that is expected; one that does not comes first.
    One that `spares_memory` is not taken for nothing: where the text makes no large array. One that
    is `finite` where the text overflows is taken whatever it takes. `backward` counts the entries
    of the largest array made inside, once gradients of the inputs at some ports are asked for.

    *How exactly.* `exponents(variant)` are the inputs whose rounding grows along an axis: levels
    that go into exponentials, and gates. They are handed over in float32 at least, and a diagram by
    which it `runs` is computed in that.
    """

    name: str
    summary: str
    define: Callable[[str], Diagram] | None
    root: str = ""
    find: Find | None = None
    rules: tuple[Rule, ...] = ()
    otherwise: Callable[[Kernel, Place], Found | str] | None = None
    runs: Callable[[str], Diagram] | None = None
    function: Callable[..., Any] | None = None
    emit: Emit | None = None
    accepts: Callable[[Diagram], bool] | None = None
    layout: tuple[Gives, Asks] | None = None
    work: Counts | None = None
    backward: Callable[[Call, Set[int]], int] | None = None
    spares_memory: bool = False
    finite: bool = False
    exponents: Callable[[str], Set[int]] | None = None

    def __post_init__(self) -> None:
        if (self.find is None) == bool(self.root):
            raise FormatError(f"kernel {self.name!r}: `find` and `root` come together")
        boxless = self.define is None and self.accepts is None
        if sum(x is not None for x in (self.runs, self.function, self.emit)) != (not boxless):
            raise FormatError(
                f"kernel {self.name!r} is written in one way: by `runs`, a `function` or an `emit`"
            )

    @cached_property
    def _definitions(self) -> dict[str, Diagram]:
        return {}

    def definition(self, variant: str = "") -> Diagram:
        """The diagram that a variant stands for, with the name of its box: `name(variant)`."""
        if variant not in self._definitions:
            if self.define is None:
                raise KeyError(variant)
            made = self.define(variant)
            made.name = f"{self.name}({variant})" if variant else self.name
            self._definitions[variant] = made
        return self._definitions[variant]

    def computation(self, variant: str, body: Diagram) -> Diagram:
        """The diagram by which a variant is computed, at the sizes of a body."""
        assert self.runs is not None
        if variant not in self._computations:
            self._computations[variant] = self.runs(variant)
        made = self._computations[variant]
        return instance(made, _sizes(made, body) or {})

    @cached_property
    def _computations(self) -> dict[str, Diagram]:
        return {}

    @cached_property
    def pairs(self) -> tuple[Rule, ...]:
        """The rules by which it is found, where it has no `find`."""
        if self.find is not None:
            return ()
        from vesalius.compile.normalise import normalise

        definition = self.definition()
        left, right = normalise(definition), definition.fold(self.name)
        written = Rule(self.name, grade("equal"), left, right, {}, {}, (), self.summary, self.name)
        return (checked(written), *self.rules)

    @cached_property
    def roots(self) -> frozenset[str]:
        """The kinds of boxes at which it is looked for."""
        if self.root:
            return frozenset([self.root])
        ends = (rule.left.nodes[rule.pattern.roots[0]].box for rule in self.pairs)
        also = () if self.otherwise is None else (CONTRACT.name,)
        return frozenset([*(box.kind.name for box in ends), *also])

    def found(self, place: Place) -> Found | str:
        """The rewriting at a place, or the reason why there is none."""
        if self.find is not None:
            return self.find(place)
        index = place.diagram.owner[place.node.first]
        for rule in self.pairs:
            matcher = place.matcher(rule)
            kind, function = rule.pattern.head(rule.pattern.roots[0])
            here = head(place.node.box)
            if here[0] is not kind or function not in (None, here[1]):
                continue
            for match in matcher.at(index):
                ((wire, replacement),) = replacements(match).items()
                return Found(wire, replacement, rule.doc)
        return "" if self.otherwise is None else self.otherwise(self, place)

    def box(
        self,
        writing: Writing,
        arguments: Sequence[tuple[Use, Mapping[str, Label]]],
        made: Mapping[str, Label],
        variant: str = "",
    ) -> Use:
        """The kernel's box on these arguments, each with its labels of the declared axes."""
        return writing.named(self.definition(variant), arguments, [made])[0]


KERNELS: dict[str, Kernel] = {}


def kernel(declared: Kernel) -> Kernel:
    """Enter a kernel into the table of kernels; its name must be free."""
    if declared.name in KERNELS:
        raise FormatError(f"a kernel called {declared.name!r} is declared already")
    KERNELS[declared.name] = declared
    return declared


def kernel_of(box: Box) -> tuple[Kernel, str] | None:
    """The kernel whose box this is, with its variant: by its name and by what it stands for."""
    if box.kind is not NAMED:
        return None
    name, _, variant = box["name"].partition("(")
    variant = variant.removesuffix(")")
    found = KERNELS.get(name)
    if found is None:
        return None
    body: Diagram = box["body"]
    known: dict[Diagram, bool] = found.__dict__.setdefault("_bodies", {})
    same = known.get(body)
    if same is None:
        same = known[body] = _stands_for(found, variant, body)
    return (found, variant) if same else None


def _stands_for(declared: Kernel, variant: str, body: Diagram) -> bool:
    """Whether a body is what the kernel stands for, at some sizes."""
    if declared.accepts is not None:
        return declared.accepts(body)
    try:
        definition = declared.definition(variant)
    except (KeyError, ValueError):
        return False
    sizes = _sizes(definition, body)
    if sizes is None:
        return False
    made = instance(definition, sizes)
    return made is body or made == body


def _sizes(definition: Diagram, body: Diagram) -> dict[str, Size] | None:
    """The sizes at which a definition has inputs as those of a body, if it can have such."""
    sizes: dict[str, Size] = {}
    if len(definition.inputs) != len(body.inputs):
        return None
    for wanted, port in zip(definition.inputs, body.inputs, strict=True):
        if len(wanted.axes) != len(port.axes):
            return None
        lengths = list(body.port_type(port).axes.values())
        for length, actual in zip(definition.port_type(wanted).axes.values(), lengths, strict=True):
            if length.variable is not None:
                sizes[length.variable] = actual
    return sizes


__all__ = [
    "KERNELS",
    "Found",
    "Kernel",
    "Place",
    "Right",
    "Target",
    "Unserved",
    "kernel",
    "kernel_of",
]
