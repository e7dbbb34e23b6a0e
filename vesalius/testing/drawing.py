"""How a program is drawn: step by step, each on wires that are there already.

Beside every wire stands what is known of its values (`Known`), so that nothing overflows,
nothing divides by zero, and nothing discontinuous reads a rounded number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from hypothesis import strategies as st

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.testing.programs import Program, Result, Step, Use, port_of, take
from vesalius.testing.types import AXES, VARIABLES

KINDS = (
    "add",
    "contract",
    "pointwise",
    "constant",
    "softmax",
    "max",
    "min",
    "all",
    "any",
    "expand",
    "iota",
    "parameter",
    "random",
    "split",
    "merge",
    "concat",
    "slice",
    "pad",
    "window",
    "diagonal",
    "gather",
    "topk",
    "fourier",
    "named",
    "scan",
)
OPTIONAL = ("learner",)
OUTSIDE = {
    None: (),
    "rational": ("softmax", "fourier"),
    "field": ("max", "min", "topk", "fourier"),
}

MAX_RANK = 4
MAX_OUTPUTS = 3
LARGE = 1e6
EXACT_DEGREE = 6  # products of that many inputs are exact in float64
LARGEST_SIZE = 4  # the value of a size variable, at most

STEPS: dict[str, Callable[[Drawer], bool]] = {}


def draws(kind: str) -> Callable[[Callable[[Drawer], bool]], Callable[[Drawer], bool]]:
    """Enter what draws a step of a kind; it says whether it did, or found nothing to act on."""

    def entered(step: Callable[[Drawer], bool]) -> Callable[[Drawer], bool]:
        STEPS[kind] = step
        return step

    return entered


class Known(NamedTuple):
    """What is known of the values of a wire at modest inputs.

    `degree`: of the polynomial in the inputs that it is, or None when values are rounded;
    `bound`: on the magnitude; `depth`: how many exponentials lie on a path to here.
    """

    degree: int | None = 1
    bound: float = 4.0
    depth: int = 0

    @classmethod
    def of(cls, type_: ArrayType) -> Known:
        """An input of this type."""
        return cls(1, 1.0 if type_.dtype == "bool" else 4.0)

    @property
    def exact(self) -> bool:
        """Whether float64 holds these values without rounding."""
        return self.degree is not None and self.degree <= EXACT_DEGREE


def together(known: Sequence[Known], degree: int | None, bound: float) -> Known:
    """A value made from several, of this degree and bound."""
    return Known(degree, bound, max((k.depth for k in known), default=0))


@lru_cache(maxsize=1024)
def integers(low: int, high: int) -> st.SearchStrategy[int]:
    """The integers from `low` to `high`, drawn often."""
    return st.integers(low, high)


@lru_cache(maxsize=64)
def plans(least: int, most: int) -> st.SearchStrategy[list[int]]:
    """Where in the list of kinds each step begins to look."""
    return st.lists(st.integers(0, 999), min_size=least, max_size=most)


class Drawer:
    """Draws the steps of one program, or of the body of a step."""

    def __init__(
        self,
        draw: st.DrawFn,
        inputs: Mapping[str, ArrayType],
        known: Sequence[Known],
        kinds: Collection[str],
        exact: str | None,
        level: int = 0,
        exponentials: bool = True,
    ) -> None:
        self.draw = draw
        self.inputs = dict(inputs)
        self.known = list(known)
        self.exact = exact
        self.level = level
        self.exponentials = exponentials
        self.kinds = [
            kind
            for kind in (*KINDS, *OPTIONAL)
            if kind in kinds and kind not in OUTSIDE[exact] and (exponentials or kind != "softmax")
        ]
        self.builder = Builder("drawn")
        self.wires = [self.builder.input(name, type_) for name, type_ in inputs.items()]
        self.steps: list[Step] = []
        self.axes = AXES if level == 0 else tuple(f"{name}{level}" for name in "pqrstuvw")
        self.read: set[int] = set()

    def boxes(self, least: int, most: int) -> None:
        """Draw at least `least` steps, while there are fewer than `most` boxes."""
        self.limit = len(self.inputs) + most
        for first in self.draw(plans(least, most)):
            if self.kinds and len(self.builder.nodes) < self.limit:
                self.step(first % len(self.kinds))

    def step(self, first: int) -> bool:
        """Draw one step of a kind, or of the next kind that fits here."""
        for kind in [*self.kinds[first:], *self.kinds[:first]]:
            before = self.builder.mark(), len(self.wires), len(self.steps), set(self.read)
            if STEPS[kind](self):
                if len(self.builder.nodes) <= self.limit:
                    return True
                mark, wires, steps, self.read = before
                self.builder.undo(mark)
                del self.wires[wires:], self.known[wires:], self.steps[steps:]
                return False
        return False

    def program(self, name: str, wanted: Sequence[ArrayType] | None = None) -> Program:
        """The program so far, with drawn outputs or with outputs of wanted types."""
        if wanted is not None:
            chosen = [self.made_to(type_) for type_ in wanted]
            orders: list[Sequence[str]] = [tuple(type_) for type_ in wanted]
        else:
            ends = [w for w in range(len(self.wires)) if w not in self.read]
            chosen = ends[: -1 - MAX_OUTPUTS : -1] or list(range(len(self.wires)))[-1:]
            others = [w for w in range(len(self.wires)) if w not in chosen]
            if others and len(chosen) < MAX_OUTPUTS and self.number(0, 3) == 3:
                chosen.append(others[-1 - self.number(0, len(others) - 1)])
            orders = [self.shuffled(self.wires[w].names) for w in chosen]
        self.ends = chosen
        names = ["y", *(f"y{k}" for k in range(1, len(chosen)))]
        outputs = [
            Result(name_, Use(wire), tuple(order))
            for name_, wire, order in zip(names, chosen, orders, strict=True)
        ]
        return Program(self.inputs, tuple(self.steps), tuple(outputs), name)

    def diagram(self, wanted: Sequence[ArrayType] | None = None) -> Diagram:
        """The diagram so far, with drawn outputs or with outputs of wanted types."""
        program = self.program("drawn", wanted)
        return self.builder.finish([port_of(self.wires, result) for result in program.outputs])

    def place(
        self,
        verb: str,
        operands: Sequence[Any],
        known: Known | Sequence[Known],
        inner: Drawer | None = None,
        **options: Any,
    ) -> int:
        """Call a verb; returns the number of the first wire that it makes.

        Axes that are called as inside the body `inner` get other names.
        """
        first = len(self.wires)
        taken = len(self.builder.token_names)
        step = Step(verb, tuple(operands), options)
        made = take(self.builder, self.wires, step)
        step = replace(step, made=tuple(self.builder.token_names)[taken:])
        if inner is not None:
            inside = {axis for wire in inner.wires for axis in wire.names}
            renamed = tuple(self.outside(wire.names, inside) for wire in made)
            step = replace(step, renamed=renamed)
            made = [wire.rename(**names) for wire, names in zip(made, renamed, strict=True)]
        self.steps.append(step)
        self.wires += made
        self.known += [known] * len(made) if isinstance(known, Known) else known
        self.read.update(operand.wire for operand in operands if isinstance(operand, Use))
        return first

    def outside(self, names: Sequence[str], inside: Collection[str]) -> dict[str, str]:
        """Names out here for axes that are called as inside a body."""
        taken = set(names)
        found = {}
        for axis in names:
            if axis in inside:
                found[axis] = self.fresh(taken)
                taken.add(found[axis])
        return found

    def number(self, low: int, high: int) -> int:
        """A drawn integer."""
        return self.draw(integers(low, high)) if low < high else low

    def chance(self) -> bool:
        """One time in two; shrinks to no."""
        return self.number(0, 1) == 1

    def one_of(self, options: Sequence[Any]) -> Any:
        """A drawn element; shrinks to the first."""
        return options[self.number(0, len(options) - 1)]

    def shuffled(self, items: Iterable[Any]) -> list[Any]:
        """The elements in a drawn order; shrinks to the order given."""
        rest, found = list(items), []
        while rest:
            found.append(rest.pop(self.number(0, len(rest) - 1)))
        return found

    def pick(self, admits: Callable[[Wire, Known], bool]) -> int | None:
        """A wire that is admitted: those that nothing reads yet first, recent ones first."""
        found = [w for w in range(len(self.wires)) if admits(self.wires[w], self.known[w])]
        if len(found) < 2:
            return found[0] if found else None
        found.sort(key=lambda w: (w in self.read, -w))
        place = self.number(0, len(found) + 1)
        return found[place] if place < len(found) else found[0]

    def fresh(self, taken: Collection[str]) -> str:
        """A name of an axis that is not taken."""
        k = 0
        while True:
            for name in self.axes:
                candidate = f"{name}{k or ''}"
                if candidate not in taken:
                    return candidate
            k += 1

    def length(self) -> Size:
        """A size for a new axis: one that is there, or a small one."""
        there = {length: None for wire in self.wires[-3:] for length in wire.axes.values()}
        small = [size(x) for x in (VARIABLES[0], 2, 1, 3)]
        return self.one_of([*small, *list(there)[:4]])

    def joined(self, chosen: Sequence[int]) -> tuple[list[Use], dict[str, Size]]:
        """Uses of wires with names such that axes that meet have one size; and the axes."""
        union: dict[str, Size] = {}
        uses = []
        for w in chosen:
            axes = self.wires[w].axes
            twist = bool(union or len(axes) > 1) and self.number(0, 2) == 2
            names: dict[str, str] = {}
            taken: set[str] = set()
            for axis, length in axes.items():
                keeps = axis not in taken and union.get(axis, length) == length
                options = [axis] if keeps else []
                if twist or not keeps:
                    meets = [
                        name
                        for name, known in union.items()
                        if known == length and name not in taken and name != axis
                    ]
                    options += meets if twist else []
                    rest = [a for a in axes if a not in names]
                    options.append(self.fresh({*union, *taken, *rest}))
                name = self.one_of(options)
                taken.add(name)
                names[axis] = name
            union.update({names[axis]: length for axis, length in axes.items()})
            uses.append(Use(w, {a: n for a, n in names.items() if a != n}))
        return uses, union

    def several(
        self, low: int, high: int, admits: Callable[[Wire, Known], bool]
    ) -> list[int] | None:
        """Some wires that are admitted; the same one may come twice."""
        found = []
        for _ in range(self.number(low, high)):
            w = self.pick(admits)
            if w is None:
                return None
            found.append(w)
        return found

    def largest(self, length: Size) -> int:
        """The largest value of a size that is drawn."""
        return length.at(dict.fromkeys(length.variables, LARGEST_SIZE))

    def scalar(self) -> Any:
        """A number that float64 holds without rounding, or a size."""
        numbers = [2, 1, -1, 0.5, Fraction(1, 2), 3, -2.0, 0, size(VARIABLES[0])]
        return self.one_of(numbers)

    def some(self, names: Sequence[str]) -> list[str]:
        """At least one of these."""
        first = self.number(0, len(names) - 1)
        more = [name for name in names if name != names[first] and self.number(0, 3) == 3]
        return [names[first], *more]

    def axis(self, admits: Callable[[Wire, Known], bool], low: int = 1) -> int | None:
        """A wire with `low` axes at least."""
        return self.pick(lambda wire, known: len(wire.names) >= low and admits(wire, known))

    def made_to(self, wanted: ArrayType) -> int:
        """A wire of exactly this type, made from one that is there."""
        w = self.pick(lambda wire, known: wire.dtype == wanted.dtype)
        if w is None:
            value = {"float": 0.5, "int": 1, "bool": True}[wanted.dtype]
            w = self.place("constant", [value], Known(1, 1.0))
        # Axes of the wanted names and sizes stay; the others go.
        extra = [
            axis for axis, length in self.wires[w].axes.items() if wanted.axes.get(axis) != length
        ]
        if extra:
            known = self.known[w]
            bound = known.bound * math.prod(self.largest(self.wires[w].axes[a]) for a in extra)
            verb = "any" if wanted.dtype == "bool" else "sum"
            w = self.place(verb, [Use(w)], known._replace(bound=bound), over=" ".join(extra))
        missing = [
            word(axis, length)
            for axis, length in wanted.axes.items()
            if axis not in self.wires[w].names
        ]
        if missing:
            w = self.place("expand", [Use(w)], self.known[w], axes=" ".join(missing))
        return w


def anything(wire: Wire, known: Known) -> bool:
    """Admits every wire."""
    return True


def numeric(wire: Wire, known: Known) -> bool:
    """Admits wires of numbers."""
    return wire.dtype != "bool"


def truth(wire: Wire, known: Known) -> bool:
    """Admits wires of truth values."""
    return wire.dtype == "bool"


def word(name: str, length: Size) -> str:
    """An axis with its size, as a type writes it."""
    return f"{name}:{str(length).replace(' ', '')}"
