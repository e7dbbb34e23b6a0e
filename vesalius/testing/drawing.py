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

# name: does it need exact arguments, is it an exponential, bound of the result
SMOOTH: dict[str, Callable[[float], float]] = {
    "tanh": lambda b: 1.0,
    "sigmoid": lambda b: 1.0,
    "silu": lambda b: b,
    "exp": lambda b: math.exp(min(b, 700.0)),
    "sin": lambda b: 1.0,
    "cos": lambda b: 1.0,
    "erf": lambda b: 1.0,
    "gelu": lambda b: b,
    "softplus": lambda b: b + 1,
    "elu": lambda b: b + 1,
}
IN_FIELD = ("tanh", "sigmoid", "silu", "exp")
STEPPED = ("sign", "floor")
COMPARISONS = ("less", "less_equal", "equal")


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

    # -- the whole --------------------------------------------------------------------------

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
            if getattr(self, f"draw_{kind}")():
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

    # -- choices ----------------------------------------------------------------------------

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

    # -- linear boxes and pointwise functions -------------------------------------------------

    def draw_add(self) -> bool:
        """Add wires, and sometimes a number."""
        chosen = self.several(1, 3, _numeric)
        if chosen is None:
            return False
        uses, union = self.joined(chosen)
        if len(union) > MAX_RANK:
            return False
        known = [self.known[w] for w in chosen]
        operands: list[Any] = list(uses)
        if len(chosen) == 1 or self.number(0, 3) == 3:
            operands.append(self.scalar())
        bound = sum(k.bound for k in known) + LARGEST_SIZE
        degrees = [k.degree for k in known]
        degree = None if None in degrees else max(d for d in degrees if d is not None)
        if bound > LARGE:
            return False
        self.place("add", operands, together(known, degree, bound))
        return True

    def draw_contract(self) -> bool:
        """Multiply wires, and sometimes a number; sum over some axes."""
        chosen = self.several(1, 3, _numeric)
        if chosen is None:
            return False
        uses, union = self.joined(chosen)
        names = list(union)
        over = [name for name in names if self.number(0, 2) == 1]
        kept = [name for name in names if name not in over]
        over += kept[MAX_RANK:]
        known = [self.known[w] for w in chosen]
        bound = math.prod(k.bound for k in known)
        bound *= math.prod(self.largest(union[name]) for name in over) * LARGEST_SIZE
        degrees = [k.degree for k in known]
        degree = None if None in degrees else 1 + sum(d for d in degrees if d is not None)
        if bound > LARGE:
            return False
        operands: list[Any] = list(uses)
        if (len(chosen) == 1 and not over) or self.number(0, 3) == 3:
            operands.append(self.scalar())
        self.place("contract", operands, together(known, degree, bound), over=" ".join(over))
        return True

    def scalar(self) -> Any:
        """A number that float64 holds without rounding, or a size."""
        numbers = [2, 1, -1, 0.5, Fraction(1, 2), 3, -2.0, 0, size(VARIABLES[0])]
        return self.one_of(numbers)

    def draw_pointwise(self) -> bool:
        """Apply a function to one wire, two or three."""
        ways = [self.unary, self.unary, self.binary, self.compare, self.choose, self.guarded]
        return bool(self.one_of(ways)())

    def unary(self) -> bool:
        """A function of one wire."""
        w = self.pick(_any)
        if w is None:
            return False
        wire, known = self.wires[w], self.known[w]
        degree, bound, depth = known
        step = known if known.exact or self.exact else None
        more = None if degree is None else degree + 1
        options: list[tuple[str, Known, dict[str, Any]]] = []
        if wire.dtype == "bool":
            if self.exact != "field" or known.depth == 0:
                options.append(("to_float", known, {}))
            options += [("to_int", known, {}), ("logical_not", known, {})]
        else:
            options += [("negate", known, {})]
            if bound**2 < LARGE:
                two = None if degree is None else 2 * degree
                options.append(("power", known._replace(degree=two, bound=bound**2), {"exponent": 2}))
        if wire.dtype != "bool" and self.exact != "field":
            options += [("abs", known, {}), ("relu", known, {})]
            options.append(
                ("leaky_relu", known._replace(degree=more), {"slope": Fraction(1, 2)})
            )
            if step is not None:
                # Integers are floats here where a function takes floats.
                steps = STEPPED if wire.dtype == "float" else STEPPED[:1]
                options += [(name, known._replace(degree=1), {}) for name in steps]
                if wire.dtype == "float":
                    options.append(("to_int", known._replace(degree=1), {}))
        if wire.dtype == "int":
            options.append(("to_float", known, {}))
        if wire.dtype != "bool" and self.exact != "rational" and self.exponentials:
            for name, grown in SMOOTH.items():
                if self.exact == "field" and (depth or name not in IN_FIELD):
                    continue
                if grown(bound) < LARGE:
                    options.append((name, Known(None, grown(bound), depth + 1), {}))
        name, result, parameters = self.one_of(options)
        self.place(name, [Use(w)], result, **parameters)
        return True

    def binary(self) -> bool:
        """The larger, the smaller, or a logical function of two wires."""
        w = self.pick(_any if self.exact != "field" else _truth)
        if w is None:
            return False
        same = _truth if self.wires[w].dtype == "bool" else _numeric
        other = self.pick(same)
        assert other is not None
        uses, union = self.joined([w, other])
        if len(union) > MAX_RANK:
            return False
        logical = self.wires[w].dtype == "bool"
        name = self.one_of(("logical_and", "logical_or") if logical else ("maximum", "minimum"))
        one, two = self.known[w], self.known[other]
        degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
        self.place(name, uses, together((one, two), degree, max(one.bound, two.bound)))
        return True

    def compare(self) -> bool:
        """A comparison of exact numbers."""

        def admits(wire: Wire, known: Known) -> bool:
            if wire.dtype == "bool" or (self.exact == "field" and wire.dtype != "int"):
                return False
            return known.exact or self.exact is not None

        w = self.pick(admits)
        if w is None:
            return False
        other = self.pick(admits)
        assert other is not None
        uses, union = self.joined([w, other])
        if len(union) > MAX_RANK:
            return False
        self.place(self.one_of(COMPARISONS), uses, Known(1, 1.0))
        return True

    def choose(self) -> bool:
        """One wire where a condition holds, another elsewhere."""
        condition = self.pick(_truth)
        w = self.pick(_numeric)
        if condition is None or w is None:
            return False
        other = self.pick(_numeric)
        assert other is not None
        uses, union = self.joined([condition, w, other])
        if len(union) > MAX_RANK:
            return False
        one, two = self.known[w], self.known[other]
        degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
        self.place("where", uses, together((one, two), degree, max(one.bound, two.bound)))
        return True

    def guarded(self) -> bool:
        """A function of 1 + x², which is positive, and zero in no field that is used."""
        w = self.pick(lambda wire, known: wire.dtype == "float" and known.bound**2 < LARGE)
        if w is None:
            return False
        bound, depth = self.known[w].bound ** 2 + 1, self.known[w].depth
        square = self.place("power", [Use(w)], Known(None, bound, depth), exponent=2)
        positive = self.place("add", [Use(square), 1], Known(None, bound, depth))
        names = ("reciprocal",) if self.exact else ("reciprocal", "sqrt", "log")
        self.place(self.one_of(names), [Use(positive)], Known(None, bound, depth))
        return True

    # -- reductions -----------------------------------------------------------------------------

    def reduced(self, verb: str, admits: Callable[[Wire, Known], bool]) -> bool:
        """A reduction over one axis or more."""
        w = self.pick(lambda wire, known: bool(wire.names) and admits(wire, known))
        if w is None:
            return False
        over = self.some(self.wires[w].names)
        known = self.known[w]
        if verb == "softmax":
            known = Known(None, 1.0, known.depth + 1)
        self.place(verb, [Use(w)], known, over=" ".join(over))
        return True

    def some(self, names: Sequence[str]) -> list[str]:
        """At least one of these."""
        first = self.number(0, len(names) - 1)
        more = [name for name in names if name != names[first] and self.number(0, 3) == 3]
        return [names[first], *more]

    def draw_softmax(self) -> bool:
        """Softmax over some axes."""

        def admits(wire: Wire, known: Known) -> bool:
            return wire.dtype != "bool" and (self.exact != "field" or known.depth == 0)

        return self.reduced("softmax", admits)

    def draw_max(self) -> bool:
        """The largest values."""
        return self.reduced("max", _numeric)

    def draw_min(self) -> bool:
        """The smallest values."""
        return self.reduced("min", _numeric)

    def draw_all(self) -> bool:
        """Whether all are true."""
        return self.reduced("all", _truth)

    def draw_any(self) -> bool:
        """Whether some are true."""
        return self.reduced("any", _truth)

    # -- sources ----------------------------------------------------------------------------------

    def new_axes(self, high: int) -> list[str]:
        """Axes of a new wire, with sizes; often those of a recent wire."""
        there = dict(self.wires[-1 - self.number(0, len(self.wires) - 1)].axes if self.wires else {})
        found: dict[str, Size] = {}
        for _ in range(self.number(0, high)):
            shared = [item for item in there.items() if item[0] not in found]
            if shared and self.chance():
                name, length = self.one_of(shared)
            else:
                name, length = self.fresh({*found, *there}), self.length()
            found[name] = length
        return [_word(name, length) for name, length in found.items()]

    def draw_constant(self) -> bool:
        """A number or a small table."""
        if self.chance():
            self.place("constant", [self.scalar()], Known(1, 4.0))
            return True
        rows, columns = self.number(1, 3), self.number(1, 2)
        kind = self.one_of(("int", "float", "bool"))
        entries = [self.number(0, 3) for _ in range(rows * columns)]
        values: list[Any] = {
            "int": entries,
            "float": [x / 2 - 1 for x in entries],
            "bool": [x > 1 for x in entries],
        }[kind]
        table = [values[k * columns : (k + 1) * columns] for k in range(rows)]
        a = self.fresh(())
        self.place("constant", [table], Known(1, 4.0), axes=f"{a} {self.fresh({a})}")
        return True

    def draw_iota(self) -> bool:
        """Positions along a new axis."""
        self.place("iota", [_word(self.fresh(()), self.length())], Known(1, 16.0))
        return True

    def draw_parameter(self) -> bool:
        """A parameter, or a linear map with one."""
        init = self.one_of(("fan", "uniform", "ones", "zeros"))
        if self.chance():
            axes = " ".join(self.new_axes(3))
            known = Known(1 if init in ("ones", "zeros") else None, 2.0)
            self.place("parameter", [f"w{self.number(0, 1) or ''}", axes], known, init=init)
            return True
        w = self.pick(lambda wire, known: bool(wire.names) and wire.dtype == "float")
        if w is None:
            return False
        wire, known = self.wires[w], self.known[w]
        over = self.some(wire.names)
        into = _word(self.fresh(wire.names), self.length())
        bound = known.bound * 2 * math.prod(self.largest(wire.axes[a]) for a in over)
        if bound > LARGE:
            return False
        result = Known(None, bound, known.depth)
        bias = self.chance()
        self.place("linear", [Use(w)], result, over=" ".join(over), into=into, bias=bias)
        return True

    def draw_random(self) -> bool:
        """A random draw."""
        axes = " ".join(self.new_axes(2))
        distribution = self.one_of(("uniform", "normal", "bernoulli"))
        self.place("random", [axes], Known(None, 8.0), distribution=distribution)
        return True

    # -- shape --------------------------------------------------------------------------------------

    def axis(self, admits: Callable[[Wire, Known], bool], low: int = 1) -> int | None:
        """A wire with `low` axes at least."""
        return self.pick(lambda wire, known: len(wire.names) >= low and admits(wire, known))

    def draw_expand(self) -> bool:
        """Repeat along one or two new axes."""
        w = self.pick(lambda wire, known: len(wire.names) < MAX_RANK)
        if w is None:
            return False
        taken = set(self.wires[w].names)
        words = []
        for _ in range(1 + (len(taken) + 1 < MAX_RANK and self.chance())):
            name = self.fresh(taken)
            taken.add(name)
            words.append(_word(name, self.length()))
        self.place("expand", [Use(w)], self.known[w], axes=" ".join(words))
        return True

    def draw_split(self) -> bool:
        """Read one axis as two."""
        w = self.axis(lambda wire, known: len(wire.names) < MAX_RANK)
        if w is None:
            return False
        axes = self.wires[w].axes
        axis = self.one_of(list(axes))
        parts = self.one_of(_factors(axes[axis]))
        one = self.fresh(axes)
        two = self.one_of([axis, self.fresh({*axes, one})])
        into = " ".join(
            _word(name, length) for name, length in zip((one, two), parts, strict=True)
        )
        self.place("split", [Use(w)], self.known[w], axis=axis, into=into)
        return True

    def draw_merge(self) -> bool:
        """Read two axes or three as one."""
        w = self.axis(_any, 2)
        if w is None:
            return False
        names = self.shuffled(self.wires[w].names)[: self.number(2, 3)]
        into = self.one_of([names[0], self.fresh(self.wires[w].names)])
        self.place("merge", [Use(w)], self.known[w], axes=" ".join(names), into=into)
        return True

    def draw_concat(self) -> bool:
        """Join two wires, or one with itself."""
        w = self.axis(_any)
        if w is None:
            return False
        dtype = self.wires[w].dtype
        other = self.axis(lambda wire, known: wire.dtype == dtype)
        assert other is not None
        uses, union = self.joined([w, other])
        if len(union) > MAX_RANK:
            return False
        ends = [
            self.one_of([use.names.get(a, a) for a in self.wires[use.wire].names]) for use in uses
        ]
        one, two = self.known[w], self.known[other]
        degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
        known = together((one, two), degree, max(one.bound, two.bound))
        self.place("concat", uses, known, over=tuple(ends), into=self.fresh(union))
        return True

    def draw_slice(self) -> bool:
        """Some entries of an axis; at least one of them."""
        w = self.axis(_any)
        if w is None:
            return False
        axes = self.wires[w].axes
        axis = self.one_of(list(axes))
        ways: list[dict[str, Any]] = [{"step": -1}, {"stop": 1}, {"step": 2}, {"length": 1}]
        count = axes[axis].constant
        if count is not None and count > 1:
            start = self.number(0, count - 1)
            ways.append({"start": start, "stop": self.number(start + 1, count)})
            ways.append({"start": count - 1, "step": -2})
        options = self.one_of(ways)
        into = self.one_of([axis, self.fresh(axes)])
        self.place("slice", [Use(w)], self.known[w], axis=axis, into=into, **options)
        return True

    def draw_pad(self) -> bool:
        """Numbers around an axis."""
        w = self.axis(_numeric)
        if w is None:
            return False
        axes = self.wires[w].axes
        axis = self.one_of(list(axes))
        value = self.one_of((0, 1, -2) if self.wires[w].dtype == "int" else (0, 0.5, -1))
        before, after = self.one_of(((1, 0), (0, 1), (1, 2), (0, 0)))
        known = self.known[w]._replace(bound=max(self.known[w].bound, 2.0))
        into = self.one_of([axis, self.fresh(axes)])
        self.place(
            "pad", [Use(w)], known, axis=axis, before=before, after=after, value=value, into=into
        )
        return True

    def draw_window(self) -> bool:
        """Sliding windows; an axis of unknown size is padded first."""
        w = self.axis(lambda wire, known: wire.dtype != "bool" and len(wire.names) < MAX_RANK)
        if w is None:
            return False
        known = self.known[w]
        axis = self.one_of(self.wires[w].names)
        dilation = self.number(1, 2)
        width = self.number(1, 3)
        span = (width - 1) * dilation
        count = self.wires[w].axes[axis].constant
        if span and (count is None or count <= span):
            w = self.place("pad", [Use(w)], known, axis=axis, before=span, after=0)
        names = self.wires[w].names
        places = self.one_of([axis, self.fresh(names)])
        offsets = self.fresh({*names, places})
        self.place(
            "window",
            [Use(w)],
            known,
            axis=axis,
            into=f"{places} {offsets}:{width}",
            stride=self.number(1, 2),
            dilation=dilation,
        )
        return True

    def draw_diagonal(self) -> bool:
        """The diagonal of two axes of one size."""

        def twice(wire: Wire, known: Known) -> bool:
            lengths = list(wire.axes.values())
            return len(set(lengths)) < len(lengths)

        w = self.pick(twice)
        if w is None:
            return False
        axes = self.wires[w].axes
        alike = [
            (a, b)
            for a, length in axes.items()
            for b, other in axes.items()
            if a != b and length == other
        ]
        pair = self.one_of(alike)
        into = self.one_of([*pair, self.fresh(axes)])
        self.place("diagonal", [Use(w)], self.known[w], axes=" ".join(pair), into=into)
        return True

    # -- indexing -------------------------------------------------------------------------------------

    def draw_gather(self) -> bool:
        """Read a wire at the places that another names, brought into range first."""
        table = self.axis(_any)
        index = self.pick(lambda wire, known: wire.dtype == "int")
        if table is None or index is None:
            return False
        over = self.one_of(self.wires[table].names)
        length = self.wires[table].axes[over]
        (into, where), union = self.joined([table, index])
        if len(union) > MAX_RANK:
            return False
        known = Known(1, float(self.largest(length)))
        places = self.place("remainder", [Use(index), length], known)
        operands = [into, where._replace(wire=places)]
        self.place("gather", operands, self.known[table], over=into.names.get(over, over))
        return True

    def draw_topk(self) -> bool:
        """The first entries in order, and their places."""

        def ordered(wire: Wire, known: Known) -> bool:
            return wire.dtype != "bool" and (known.exact or self.exact is not None)

        w = self.axis(ordered)
        if w is None:
            return False
        axes = self.wires[w].axes
        over = self.one_of(list(axes))
        length = self.one_of([size(1), axes[over]])
        k = self.one_of([over, self.fresh(axes)])
        places = Known(1, float(self.largest(axes[over])))
        largest = not self.chance()
        known = [self.known[w], places]
        self.place("topk", [Use(w)], known, over=over, k=_word(k, length), largest=largest)
        return True

    def draw_fourier(self) -> bool:
        """The Fourier transform of one wire, or of a pair."""
        chosen = self.several(1, 2, lambda wire, known: wire.dtype == "float")
        if chosen is None:
            return False
        uses, union = self.joined(chosen)
        if not union or len(union) > MAX_RANK:
            return False
        over = self.one_of(list(union))
        bound = 2 * max(self.known[w].bound for w in chosen) * self.largest(union[over])
        if bound > LARGE:
            return False
        known = Known(None, bound, max(self.known[w].depth for w in chosen))
        self.place("fourier", uses, known, over=over, inverse=self.chance())
        return True

    # -- boxes that hold a diagram -----------------------------------------------------------------------

    def arguments(
        self, uses: Sequence[Use], kept: Collection[str]
    ) -> tuple[list[Use], list[ArrayType]]:
        """Declare some axes of each argument of a body, under the body's own names.

        Returns the uses as the body wants them, and its input types. Axes in `kept` stay.
        """
        inner: dict[str, str] = {}
        lengths: dict[Size, Size] = {}
        general = self.chance()
        found, types = [], []
        pool = tuple(f"{name}{self.level + 1}" for name in "pqrstuvw")
        for use in uses:
            wire = self.wires[use.wire]
            names, declared = {}, {}
            for axis, length in wire.axes.items():
                name = use.names.get(axis, axis)
                if name not in kept and not self.chance():
                    inside = inner.setdefault(name, pool[len(inner) % len(pool)])
                    if general and length.variable is not None:
                        fresh = size(f"s{self.level}_{len(lengths)}")
                        length = lengths.setdefault(length, fresh)
                    declared[inside] = length
                    name = inside
                names[axis] = name
            found.append(Use(use.wire, {a: n for a, n in names.items() if a != n}))
            types.append(ArrayType(declared, wire.dtype))
        return found, types

    def body(
        self,
        types: Sequence[ArrayType],
        known: Sequence[Known],
        exponentials: bool = True,
        learners: bool = True,
    ) -> Drawer:
        """A drawer for a body."""
        without = () if self.level == 0 else ("named", "scan")
        without += () if learners else OPTIONAL
        kinds = [kind for kind in self.kinds if kind not in without]
        inputs = {f"{'uvwxyz'[k]}": type_ for k, type_ in enumerate(types)}
        return Drawer(
            self.draw,
            inputs,
            known,
            kinds,
            self.exact,
            self.level + 1,
            exponentials and self.exponentials,
        )

    def draw_named(self) -> bool:
        """A diagram, called in place or as one box."""
        chosen = self.several(1, 2, _any)
        if chosen is None:
            return False
        uses, union = self.joined(chosen)
        if len(union) > MAX_RANK:
            return False
        arguments, types = self.arguments(uses, ())
        inner = self.body(types, [self.known[w] for w in chosen])
        inner.boxes(1, 4)
        program = inner.program(self.one_of(("block", "part")))
        made = [inner.wires[w] for w in inner.ends]
        if any(len(wire.names) + len(union) > MAX_RANK + 1 for wire in made):
            return False
        verb = self.one_of(("boxed", "call"))
        known = [inner.known[w] for w in inner.ends]
        self.place(verb, arguments, known, inner, body=program)
        return True

    def draw_scan(self) -> bool:
        """A body run along an axis."""
        states = self.several(0, 2, _any)
        sequences = self.several(0, 2, lambda wire, known: bool(wire.names))
        if states is None or sequences is None or not states + sequences:
            return False
        captured = self.several(0, 1, _any) or []
        chosen = [*states, *sequences, *captured]
        uses, union = self.joined(chosen)
        if len(union) > MAX_RANK:
            return False
        over = self.fresh(union)
        options: dict[str, Any] = {"over": over, "reverse": self.chance()}
        time: Size | None = None
        for k in range(len(states), len(states) + len(sequences)):
            axes = self.wires[uses[k].wire].axes
            alike = [axis for axis, length in axes.items() if time in (None, length)]
            if not alike:
                return False
            axis = self.one_of(alike)
            time = axes[axis]
            uses[k] = Use(uses[k].wire, {**uses[k].names, axis: over})
        if time is None:
            time = options["length"] = self.length()
        arguments, types = self.arguments(uses, (over,))
        known = [self.known[w] for w in chosen]
        for k in range(len(states)):
            known[k] = Known(None, max(known[k].bound, 4.0), known[k].depth)
        inner = self.body(types, known, exponentials=self.exact != "field", learners=False)
        inner.boxes(1, 4)
        ends = [inner.tamed(inner.made_to(type_), type_.dtype) for type_ in types[: len(states)]]
        orders: list[Sequence[str]] = [tuple(type_) for type_ in types[: len(states)]]
        for _ in range(self.number(0 if states else 1, 2)):
            ends.append(len(inner.wires) - 1 - self.number(0, len(inner.wires) - 1))
            orders.append(self.shuffled(inner.wires[ends[-1]].names))
        if any(len(order) + len(union) > MAX_RANK + 1 for order in orders):
            return False
        results = [
            Result(f"y{k}", Use(w), tuple(order))
            for k, (w, order) in enumerate(zip(ends, orders, strict=True))
        ]
        program = Program(inner.inputs, tuple(inner.steps), tuple(results), "cell")
        depth = max(k.depth for k in known)
        found = [
            Known(None, max(inner.known[w].bound, 4.0), max(depth, inner.known[w].depth))
            for w in ends
        ]
        self.place(
            "scan",
            arguments,
            found,
            inner,
            body=program,
            states=len(states),
            sequences=len(sequences),
            **options,
        )
        return True

    def made_to(self, wanted: ArrayType) -> int:
        """A wire of exactly this type, made from one that is there."""
        w = self.pick(lambda wire, known: wire.dtype == wanted.dtype)
        if w is None:
            value = {"float": 0.5, "int": 1, "bool": True}[wanted.dtype]
            w = self.place("constant", [value], Known(1, 1.0))
        # Axes of the wanted names and sizes stay; the others go.
        extra = [axis for axis, length in self.wires[w].axes.items() if wanted.axes.get(axis) != length]
        if extra:
            known = self.known[w]
            bound = known.bound * math.prod(self.largest(self.wires[w].axes[a]) for a in extra)
            verb = "any" if wanted.dtype == "bool" else "sum"
            w = self.place(verb, [Use(w)], known._replace(bound=bound), over=" ".join(extra))
        missing = [
            _word(axis, length)
            for axis, length in wanted.axes.items()
            if axis not in self.wires[w].names
        ]
        if missing:
            w = self.place("expand", [Use(w)], self.known[w], axes=" ".join(missing))
        return w

    def tamed(self, w: int, dtype: str) -> int:
        """The next state from a wire: bounded, however often the body runs."""
        depth = self.known[w].depth
        if dtype == "float" and self.exact is None:
            return self.place("tanh", [Use(w)], Known(None, 1.0, depth + 1))
        if dtype == "int":
            return self.place("remainder", [Use(w), 5], Known(1, 5.0))
        return w

    # -- learners ------------------------------------------------------------------------------------------

    def draw_learner(self) -> bool:
        """A hole that binds one axis and makes another."""
        w = self.axis(lambda wire, known: wire.dtype == "float")
        if w is None:
            return False
        binds = self.some(self.wires[w].names)
        into = _word(self.fresh(self.wires[w].names), self.length())
        known = Known(None, 4.0, self.known[w].depth)
        self.place("learner", ["u", Use(w)], known, binds=" ".join(binds), into=into)
        return True


def _any(wire: Wire, known: Known) -> bool:
    return True


def _numeric(wire: Wire, known: Known) -> bool:
    return wire.dtype != "bool"


def _truth(wire: Wire, known: Known) -> bool:
    return wire.dtype == "bool"


def _word(name: str, length: Size) -> str:
    return f"{name}:{str(length).replace(' ', '')}"


def _factors(length: Size) -> list[tuple[Size, Size]]:
    """Ways to write a size as a product of two."""
    one = size(1)
    count = length.constant
    if count is not None:
        pairs = [(size(f), size(count // f)) for f in range(1, count + 1) if count % f == 0]
        return pairs[::-1]
    found = [(one, length), (length, one)]
    for name in sorted(length.variables):
        rest = length / name
        if rest * name == length and "/" not in str(rest):
            found.append((size(name), rest))
    return found
