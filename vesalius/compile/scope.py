"""What a lowering works with: one function of the text, and one box in that.

`Scope` is one function: a diagram with a layout, its statements, and where its sizes come from.
`Here` is a box where it stands: its operands as terms, and the order of axes of its results.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vesalius.compile import names
from vesalius.compile.folding import Number, fold
from vesalius.compile.layout import Order, layout
from vesalius.compile.lengths import Solution, size_term, solved
from vesalius.compile.masks import NO, may_hide
from vesalius.compile.precision import exponents, wide_floats
from vesalius.compile.program import Declared, Program, Unit
from vesalius.compile.text import (
    ATOM,
    PRODUCT,
    Block,
    Term,
    apply,
    chain,
    method,
)
from vesalius.compile.views import permuted, unsqueezed
from vesalius.diagrams.box import Box, Parameter, Site, Token
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size

DTYPES = {"int": "torch.int64", "bool": "torch.bool"}
Path = tuple[str, ...]


class Lengths(dict[str, str]):
    """What size variables are called in one function; remembers which of them are used."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __missing__(self, variable: str) -> str:
        name = self[variable] = self.scope.find_length(variable)
        return name


class Operand(NamedTuple):
    """A tensor as a box reads it: `axes` are the box's, dimension by dimension."""

    term: Term
    axes: Order
    dtype: str


class Scope:
    """One function of the text: the statements that compute a diagram.

    `attributes[w]` is where wire w is found below `self`: parameters, and the inputs that are
    parameters of the class of a named box. `axis_names` renames axes for people.
    """

    def __init__(
        self,
        program: Program,
        diagram: Diagram,
        attributes: Mapping[int, Path],
        tokens: Mapping[int, Token],
        orders: tuple[Sequence[Order], Sequence[Order]],
        *,
        kind: str,
        axis_names: Mapping[str, str] | None = None,
        eager: bool = False,
    ) -> None:
        self.program = program
        self.eager = eager  # always run as it stands: what it does may hang on values
        self.diagram = diagram
        self.kind = kind  # "main", "class" or "function"
        self.unit = Unit("")
        self.attributes = dict(attributes)
        self.tokens = dict(tokens)
        self.declared = {
            path: Declared(self.tokens[wire], diagram.types[wire].sizes)
            for wire, path in self.attributes.items()
        }
        self.axis_names = dict(axis_names or {})
        self.parts: dict[str, Unit] = {}  # attribute -> the class of a named box
        self.static: dict[str, None] = {}  # size variables kept as attributes
        self.extras: dict[str, None] = {}
        self.block = Block()
        self.bases = names.base_names(diagram, {w: path[-1] for w, path in attributes.items()})
        self.hidden = may_hide(diagram)
        self.exact = wide_floats(diagram)
        self.widens = False  # whether the box that is lowered computes them
        self.wide: Term | None = None
        self.rounded: dict[int, Term] = {}
        self.orders = layout(diagram, *orders)
        self.ends = orders[1]
        self.arguments: dict[int, Term] = {}
        self.argument_names: list[str] = []
        self.generator = False
        self.used: dict[str, tuple[int, int, Solution]] = {}
        self._declare_arguments()
        self.lengths = Lengths(self)
        self.values: list[Term | Number | None] = []
        self.outputs = {port.wire for port in diagram.outputs}
        self.absorbed: dict[int, tuple[str, Operand]] = {}
        self.results: list[Term] = []

    def declare(self, tokens: Sequence[tuple[Token, Node]], diagram: Diagram) -> None:
        """Let the class have the parameters of another diagram, in the order of that one."""
        self.declared = {
            tuple(token.name.split(".")): Declared(token, diagram.types[node.first].sizes)
            for token, node in tokens
            if isinstance(token, Parameter)
        }

    def _declare_arguments(self) -> None:
        taken = set(names.RESERVED)
        for port in self.diagram.inputs:
            if port.wire in self.attributes:
                continue
            name = names.fresh(names.identifier(port.name), taken)
            taken.add(name)
            self.argument_names.append(name)
            self.arguments[port.wire] = self.block.argument(name)

    # -- sizes ----------------------------------------------------------------------------------

    def find_length(self, variable: str) -> str:
        """What a size variable is called here, having found where its value comes from."""
        source = self._length_source(variable)
        if source is None and variable in self.program.sizes and self.kind != "function":
            self.static[variable] = None
            return f"self.{self.static_name(variable)}"
        if source is None and self.kind == "main":
            raise SizeError(
                f"to_torch({self.diagram.name}): no input says what {variable!r} is; "
                f"pass sizes={{{variable!r}: ...}}"
            )
        shown = self.axis_names.get(variable, variable)
        name = names.fresh(
            names.identifier(shown), {*names.RESERVED, *self.argument_names, *self.lengths.values()}
        )
        if source is not None:
            self.used[variable] = source
        else:
            self.extras[variable] = None
        return name

    def _length_source(self, variable: str) -> tuple[int, int, Solution] | None:
        """The argument, its dimension and the solution that give the variable."""
        best: tuple[int, int, Solution] | None = None
        for wire in self.arguments:
            for dim, slot in enumerate(self.orders[wire]):
                found = solved(self.diagram.types[wire].sizes[slot])
                if found is not None and found.variable == variable:
                    if found.plain:
                        return wire, dim, found
                    best = best or (wire, dim, found)
        return best

    def static_name(self, variable: str) -> str:
        """The attribute that keeps a size; not one that a parameter or a module has."""
        heads = {path[0] for path in self.attributes.values()}
        return names.fresh(names.identifier(variable), heads | MODULE_NAMES)

    def length(self, size: Size) -> Term:
        """A size as a term."""
        return size_term(size, self.lengths)

    def extra_term(self, extra: str) -> Term:
        """The value of a further argument, as the caller of a unit hands it over."""
        if extra == "dtype":
            return self.dtype()
        if extra == "device":
            return self.device()
        return Term(self.lengths[extra])

    def constructor_sizes(self) -> list[str]:
        """The size variables that the constructor of this class takes."""
        found: dict[str, None] = {}
        for token, sizes in self.declared.values():
            for size in sizes:
                found.update(dict.fromkeys(sorted(size.variables)))
            found.update(dict.fromkeys(token.needs if isinstance(token, Parameter) else ()))
        for unit in self.parts.values():
            found.update(dict.fromkeys(unit.sizes))
        return list({**found, **self.static})

    # -- element type and device ----------------------------------------------------------------

    def dtype(self) -> Term:
        """The element type of floats where they are computed now."""
        return self._wide() if self.widens else self._dtype()

    def _wide(self) -> Term:
        """The element type of floats that follow from positions alone."""
        if self.wide is None:
            wide = apply("torch.promote_types", self._dtype(), "torch.float32")
            self.wide = self.block.let(wide, "wide", kept=True)
        return self.wide

    def _dtype(self) -> Term:
        """That of the first float that the function gets."""
        for wire, term in self.arguments.items():
            if self.diagram.types[wire].dtype == "float":
                return method(term, "dtype", cost=0)
        return self._from_attribute("dtype")

    def device(self) -> Term:
        """The device of the first tensor that the function gets."""
        for term in self.arguments.values():
            return method(term, "device", cost=0)
        return self._from_attribute("device")

    def _from_attribute(self, what: str) -> Term:
        if self.kind == "function":
            self.extras[what] = None
            return Term(what)
        for path in self.attributes.values():
            return method(attribute(path), what, cost=0)
        self.program.blank = True
        return Term(f"self._blank.{what}")

    def dtype_of(self, dtype: str) -> Term:
        """An element type of torch as a term."""
        return Term(DTYPES[dtype]) if dtype in DTYPES else self.dtype()

    def new(self, function: str, *arguments: Term | str, dtype: str | None = None) -> Term:
        """A call of `torch.function` that makes a tensor: with an element type and a device."""
        given: list[Term | str] = list(arguments)
        for wire, term in self.arguments.items():
            found = self.diagram.types[wire].dtype
            if found != dtype or found == "int" or function not in _NEW or self.widens:
                break  # an int may be an int32
            return apply(f"{term.at(ATOM)}.new_{function}", *given)  # as the first argument is
        if dtype is not None:
            given.append(_keyword("dtype", self.dtype_of(dtype)))
        given.append(_keyword("device", self.device()))
        return apply(f"torch.{function}", *given)

    def filled(self, shape: Sequence[Term], number: Number) -> Term:
        """A tensor of this shape that holds a number everywhere."""
        lengths = ", ".join(length.at(0) for length in shape)
        if number.literal and number.amount in (0, 1) and shape:
            name = "ones" if number.amount else "zeros"
            return self.new(name, lengths, dtype=number.dtype)
        comma = "," if len(shape) == 1 else ""
        made = self.new("full", f"({lengths}{comma})", number.top(self.lengths), dtype=number.dtype)
        for factor in number.below:
            made = chain("/", PRODUCT, [made, factor.term(self.lengths)])
        return made

    # -- names ----------------------------------------------------------------------------------

    def axes(self, wire: int) -> list[str]:
        """The names of the axes of a wire, in the order of its tensor's dimensions."""
        hints = self.diagram.hints[wire]
        return [self.axis_names.get(hints[s], hints[s]) or "?" for s in self.orders[wire]]

    def comment(self, wire: int) -> str:
        """The type of a wire as a comment."""
        dtype = self.diagram.types[wire].dtype
        words = [names.clean(axis) for axis in self.axes(wire)]
        return " ".join(words if dtype == "float" else [*words, dtype])

    # -- lowering -------------------------------------------------------------------------------

    def run(self) -> None:
        """Lower every box, in order, and then the outputs."""
        from vesalius.compile.lowerings import lowering

        diagram = self.diagram
        for wire in range(len(diagram.inputs)):
            if wire in self.attributes:
                self.values.append(attribute(self.attributes[wire]))
            else:
                self.values.append(self.arguments[wire])
        for node in diagram.nodes[len(diagram.inputs) :]:
            here = Here(self, node)
            self.widens = not self.exact.isdisjoint(node.wires)
            number = None
            if len(node.wires) == 1 and not diagram.types[node.first].sizes:
                folded = [v if isinstance(v, Number) else None for v in here.values]
                number = fold(here.site, folded, diagram.types[node.first].dtype)
            if number is not None:
                self.values.append(number)
            elif not self._absorb(here):
                terms = lowering(node.box.kind).lower(here)
                self.values += [here.keep(k, term) for k, term in enumerate(terms)]
        self.widens = False
        for port, order in zip(diagram.outputs, self.ends, strict=True):
            term = self.tensor(port.wire)
            self.results.append(permuted(term, self.orders[port.wire], order))

    def _absorb(self, here: Here) -> bool:
        """Leave a reciprocal to the one product that divides, a negation to the one sum."""
        node = here.node
        if node.box.kind.name != "pointwise":
            return False
        taker = {"reciprocal": "contract", "negate": "add"}.get(node.box["function"].name)
        uses = self.diagram.consumers[node.first]
        if taker is None or len(uses) != 1 or node.first in self.outputs:
            return False
        user, port = self.diagram.nodes[uses[0][0]], uses[0][1]
        bound = set(user.box.bound) & set(user.box.maps[port])
        if user.box.kind.name != taker or bound or self.widens != (user.first in self.exact):
            return False
        operand = here.operand(0, "float" if taker == "contract" else None)
        self.absorbed[node.first] = (node.box["function"].name, operand)
        self.values.append(None)
        return True

    def nominal(self, size: Size, otherwise: int) -> int:
        """A length to choose an order of evaluation by; `otherwise` where sizes are open."""
        known = {v: self.program.sizes.get(v, otherwise) for v in size.variables}
        try:
            return size.at(known)
        except SizeError:  # an exact quotient of made-up lengths
            return otherwise

    def tensor(self, wire: int, wide: bool = False) -> Term:
        """A wire as a tensor, also where it is a number, of the type that is computed with now.

        One that is read `wide` is in float32 at least, whatever is computed with.
        """
        if wide and not self.widens:
            self.widens = True
            found = self.tensor(wire)
            self.widens = False
            return found
        value = self.values[wire]
        assert value is not None, "an absorbed wire is read by its one user only"
        if isinstance(value, Number):
            return self.full(value)
        if self.widens and wire not in self.exact and self.diagram.types[wire].dtype == "float":
            return method(value, f"to({self._wide().at(0)})")
        return self._rounded(wire, value) if wire in self.exact and not self.widens else value

    def _rounded(self, wire: int, value: Term) -> Term:
        """An exact float as the other floats are, rounded once for all that read it so."""
        if wire not in self.rounded:
            term = method(value, f"to({self._dtype().at(0)})")
            self.rounded[wire] = self.block.let(term, self.bases[wire], self.comment(wire))
        return self.rounded[wire]

    def full(self, number: Number) -> Term:
        """A number as a tensor without axes, filled on the device itself."""
        return self.filled((), number)

    def may_hide_all(self, wire: int, slots: Sequence[int]) -> bool:
        """Whether a wire may hold minus infinity all along these slots."""
        level, left_open = self.hidden[wire]
        return level != NO and left_open.isdisjoint(slots)


class Here:
    """A box where it stands in a scope."""

    def __init__(self, scope: Scope, node: Node) -> None:
        self.scope = scope
        self.node = node
        self.box: Box = node.box
        self.site: Site = scope.diagram.site(node)
        self.exponents = exponents(node.box)  # the inputs that are read wide

    @property
    def values(self) -> Iterator[Term | Number | None]:
        """What the inputs are: terms, numbers, or None where they are absorbed."""
        return (self.scope.values[wire] for wire in self.node.src)

    def number(self, port: int) -> Number | None:
        """The input as a number, if it is one."""
        value = self.scope.values[self.node.src[port]]
        return value if isinstance(value, Number) else None

    def axes(self, port: int) -> Order:
        """The axes of the box at an input, dimension by dimension."""
        row = self.box.maps[port]
        return tuple(row[slot] for slot in self.scope.orders[self.node.src[port]])

    def out(self, output: int = 0) -> Order:
        """The axes of an output, in the order that the layout wants."""
        row = self.box.outs[output]
        return tuple(row[slot] for slot in self.scope.orders[self.node.wires[output]])

    def dtype(self, output: int = 0) -> str:
        """The element type of an output."""
        return self.scope.diagram.types[self.node.wires[output]].dtype

    def operand(self, port: int, dtype: str | None = None) -> Operand:
        """An input as a tensor; integers are cast when floats are wanted."""
        number, given = self.number(port), self.site.dtypes[port]
        if number is not None and dtype == "float":
            return Operand(self.scope.full(number._replace(dtype="float")), (), "float")
        term = self.scope.tensor(self.node.src[port], port in self.exponents)
        if dtype == "float" and given == "int":
            term, given = self.cast(term), "float"
        return Operand(term, self.axes(port), given)

    def absorbed(self, port: int, dtype: str | None = None) -> Operand | None:
        """What is below the reciprocal, or the negation, that this box has taken over."""
        found = self.scope.absorbed.get(self.node.src[port])
        if found is None:
            return None
        _, (term, inner, given) = found
        # A pointwise box numbers its axes as its wire does its slots.
        row = self.box.maps[port]
        slots = self.scope.diagram.nodes[self.scope.diagram.owner[self.node.src[port]]].box.outs[0]
        axes = tuple(row[slots.index(axis)] for axis in inner)
        if dtype == "float" and given == "int":
            term, given = self.cast(term), "float"
        return Operand(term, axes, given)

    def cast(self, term: Term) -> Term:
        """Integers as floats."""
        return method(term, f"to({self.scope.dtype().at(0)})")

    def size(self, axis: int) -> Term:
        """The length of an axis of the box."""
        return self.scope.length(self.site.sizes[axis])

    def aligned(self, operand: Operand, axes: Sequence[int]) -> Term:
        """The operand so that it broadcasts over these axes; leading ones may be missing."""
        order = tuple(a for a in axes if a in operand.axes)
        return unsqueezed(permuted(operand.term, operand.axes, order), order, axes)

    def full(self, operand: Operand, axes: Sequence[int]) -> Term:
        """The operand with exactly these axes, repeated along those that it lacks."""
        order = tuple(a for a in axes if a in operand.axes)
        term = permuted(operand.term, operand.axes, order)
        if len(order) == len(axes):
            return term
        missing = [a for a in axes if a not in order]
        if order and axes[0] in order and all(self.site.sizes[a] == 1 for a in missing):
            return unsqueezed(term, order, axes)
        lengths = ["-1" if a in order else self.size(a).at(0) for a in axes]
        return method(unsqueezed(term, order, axes), f"expand({', '.join(lengths)})", cost=0)

    def keep(self, output: int, term: Term) -> Term:
        """Give a result its name, unless it was one already."""
        wire = self.node.wires[output]
        return self.scope.block.let(
            term,
            self.scope.bases[wire],
            self.scope.comment(wire),
            kept=self.box.kind.name in KEPT,
        )

    def axis_names(self) -> list[str]:
        """A name for each axis of the box: as on its outputs, else as on an input."""
        hints, rename = self.scope.diagram.hints, self.scope.axis_names
        found = [""] * self.box.rank
        for wire, row in zip(self.node.wires, self.box.outs, strict=True):
            for axis, name in zip(row, hints[wire], strict=True):
                found[axis] = found[axis] or rename.get(name, name)
        for wire, row in reversed(list(zip(self.node.src, self.box.maps, strict=True))):
            for axis, name in zip(row, hints[wire], strict=True):
                if not found[axis] or (found.count(found[axis]) > 1 and axis in self.box.bound):
                    found[axis] = rename.get(name, name)
        return found


_NEW = frozenset({"full", "zeros", "ones", "tensor"})

# Statements of these kinds keep a line and a name of their own: a reader looks for them, and
# draws have to happen in order.
KEPT = frozenset({"softmax", "random"})


def attribute(path: Path) -> Term:
    """`self.a.b`."""
    text = "self"
    for part in path:
        text = f'getattr({text}, "{part}")' if keyword.iskeyword(part) else f"{text}.{part}"
    return Term(text)


def _keyword(name: str, term: Term) -> Term:
    return Term(f"{name}={term.at(0)}", ATOM, term.operations)


def _module_names() -> frozenset[str]:
    from torch import nn

    own = {"diagram", "chosen", "source", "sizes", "target", "explain", "tap"}
    return frozenset(dir(nn.Module())) | own


MODULE_NAMES = _module_names()
