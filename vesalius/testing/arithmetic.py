"""Drawing sums, products, pointwise functions and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from vesalius.diagrams.wire import Wire
from vesalius.testing.drawing import (
    LARGE,
    LARGEST_SIZE,
    MAX_RANK,
    Drawer,
    Known,
    anything,
    draws,
    numeric,
    together,
    truth,
)
from vesalius.testing.programs import Use

# What these do to a bound on magnitudes; all of them are made of exponentials or series.
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


@draws("add")
def draw_add(d: Drawer) -> bool:
    """Add wires, and sometimes a number."""
    chosen = d.several(1, 3, numeric)
    if chosen is None:
        return False
    uses, union = d.joined(chosen)
    if len(union) > MAX_RANK:
        return False
    known = [d.known[w] for w in chosen]
    operands: list[Any] = list(uses)
    if len(chosen) == 1 or d.number(0, 3) == 3:
        operands.append(d.scalar())
    bound = sum(k.bound for k in known) + LARGEST_SIZE
    degrees = [k.degree for k in known]
    degree = None if None in degrees else max(x for x in degrees if x is not None)
    if bound > LARGE:
        return False
    d.place("add", operands, together(known, degree, bound))
    return True


@draws("contract")
def draw_contract(d: Drawer) -> bool:
    """Multiply wires, and sometimes a number; sum over some axes."""
    chosen = d.several(1, 3, numeric)
    if chosen is None:
        return False
    uses, union = d.joined(chosen)
    names = list(union)
    over = [name for name in names if d.number(0, 2) == 1]
    kept = [name for name in names if name not in over]
    over += kept[MAX_RANK:]
    known = [d.known[w] for w in chosen]
    bound = math.prod(k.bound for k in known)
    bound *= math.prod(d.largest(union[name]) for name in over) * LARGEST_SIZE
    degrees = [k.degree for k in known]
    degree = None if None in degrees else 1 + sum(x for x in degrees if x is not None)
    if bound > LARGE:
        return False
    operands: list[Any] = list(uses)
    if (len(chosen) == 1 and not over) or d.number(0, 3) == 3:
        operands.append(d.scalar())
    d.place("contract", operands, together(known, degree, bound), over=" ".join(over))
    return True


@draws("pointwise")
def draw_pointwise(d: Drawer) -> bool:
    """Apply a function to one wire, two or three."""
    ways = [unary, unary, binary, compare, choose, guarded]
    return bool(d.one_of(ways)(d))


def unary(d: Drawer) -> bool:
    """A function of one wire."""
    w = d.pick(anything)
    if w is None:
        return False
    wire, known = d.wires[w], d.known[w]
    degree, bound, depth = known
    step = known if known.exact or d.exact else None
    more = None if degree is None else degree + 1
    options: list[tuple[str, Known, dict[str, Any]]] = []
    if wire.dtype == "bool":
        if d.exact != "field" or known.depth == 0:
            options.append(("to_float", known, {}))
        options += [("to_int", known, {}), ("logical_not", known, {})]
    else:
        options += [("negate", known, {})]
        if bound**2 < LARGE:
            two = None if degree is None else 2 * degree
            options.append(("power", known._replace(degree=two, bound=bound**2), {"exponent": 2}))
    if wire.dtype != "bool" and d.exact != "field":
        options += [("abs", known, {}), ("relu", known, {})]
        options.append(("leaky_relu", known._replace(degree=more), {"slope": Fraction(1, 2)}))
        if step is not None:
            # Integers are floats here where a function takes floats.
            steps = STEPPED if wire.dtype == "float" else STEPPED[:1]
            options += [(name, known._replace(degree=1), {}) for name in steps]
            if wire.dtype == "float":
                options.append(("to_int", known._replace(degree=1), {}))
    if wire.dtype == "int":
        options.append(("to_float", known, {}))
    if wire.dtype != "bool" and d.exact != "rational" and d.exponentials:
        for name, grown in SMOOTH.items():
            if d.exact == "field" and (depth or name not in IN_FIELD):
                continue
            if grown(bound) < LARGE:
                options.append((name, Known(None, grown(bound), depth + 1), {}))
    name, result, parameters = d.one_of(options)
    d.place(name, [Use(w)], result, **parameters)
    return True


def binary(d: Drawer) -> bool:
    """The larger, the smaller, or a logical function of two wires."""
    w = d.pick(anything if d.exact != "field" else truth)
    if w is None:
        return False
    same = truth if d.wires[w].dtype == "bool" else numeric
    other = d.pick(same)
    assert other is not None
    uses, union = d.joined([w, other])
    if len(union) > MAX_RANK:
        return False
    logical = d.wires[w].dtype == "bool"
    name = d.one_of(("logical_and", "logical_or") if logical else ("maximum", "minimum"))
    one, two = d.known[w], d.known[other]
    degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
    d.place(name, uses, together((one, two), degree, max(one.bound, two.bound)))
    return True


def compare(d: Drawer) -> bool:
    """A comparison of exact numbers."""

    def admits(wire: Wire, known: Known) -> bool:
        if wire.dtype == "bool" or (d.exact == "field" and wire.dtype != "int"):
            return False
        return known.exact or d.exact is not None

    w = d.pick(admits)
    if w is None:
        return False
    other = d.pick(admits)
    assert other is not None
    uses, union = d.joined([w, other])
    if len(union) > MAX_RANK:
        return False
    d.place(d.one_of(COMPARISONS), uses, Known(1, 1.0))
    return True


def choose(d: Drawer) -> bool:
    """One wire where a condition holds, another elsewhere."""
    condition = d.pick(truth)
    w = d.pick(numeric)
    if condition is None or w is None:
        return False
    other = d.pick(numeric)
    assert other is not None
    uses, union = d.joined([condition, w, other])
    if len(union) > MAX_RANK:
        return False
    one, two = d.known[w], d.known[other]
    degree = None if None in (one.degree, two.degree) else max(one.degree or 0, two.degree or 0)
    d.place("where", uses, together((one, two), degree, max(one.bound, two.bound)))
    return True


def guarded(d: Drawer) -> bool:
    """A function of 1 + x², which is positive, and zero in no field that is used."""
    w = d.pick(lambda wire, known: wire.dtype == "float" and known.bound**2 < LARGE)
    if w is None:
        return False
    bound, depth = d.known[w].bound ** 2 + 1, d.known[w].depth
    square = d.place("power", [Use(w)], Known(None, bound, depth), exponent=2)
    positive = d.place("add", [Use(square), 1], Known(None, bound, depth))
    names = ("reciprocal",) if d.exact else ("reciprocal", "sqrt", "log")
    d.place(d.one_of(names), [Use(positive)], Known(None, bound, depth))
    return True


def reduced(d: Drawer, verb: str, admits: Callable[[Wire, Known], bool]) -> bool:
    """A reduction over one axis or more."""
    w = d.pick(lambda wire, known: bool(wire.names) and admits(wire, known))
    if w is None:
        return False
    over = d.some(d.wires[w].names)
    known = d.known[w]
    if verb == "softmax":
        known = Known(None, 1.0, known.depth + 1)
    d.place(verb, [Use(w)], known, over=" ".join(over))
    return True


@draws("softmax")
def draw_softmax(d: Drawer) -> bool:
    """Softmax over some axes."""

    def admits(wire: Wire, known: Known) -> bool:
        return wire.dtype != "bool" and (d.exact != "field" or known.depth == 0)

    return reduced(d, "softmax", admits)


@draws("max")
def draw_max(d: Drawer) -> bool:
    """The largest values."""
    return reduced(d, "max", numeric)


@draws("min")
def draw_min(d: Drawer) -> bool:
    """The smallest values."""
    return reduced(d, "min", numeric)


@draws("all")
def draw_all(d: Drawer) -> bool:
    """Whether all are true."""
    return reduced(d, "all", truth)


@draws("any")
def draw_any(d: Drawer) -> bool:
    """Whether some are true."""
    return reduced(d, "any", truth)
