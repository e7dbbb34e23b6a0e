"""Drawing boxes without inputs, and linear maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from vesalius.diagrams.sizes import Size
from vesalius.testing.drawing import LARGE, Drawer, Known, draws, word
from vesalius.testing.programs import Use


def new_axes(d: Drawer, high: int) -> list[str]:
    """Axes of a new wire, with sizes; often those of a recent wire."""
    there = dict(d.wires[-1 - d.number(0, len(d.wires) - 1)].axes if d.wires else {})
    found: dict[str, Size] = {}
    for _ in range(d.number(0, high)):
        shared = [item for item in there.items() if item[0] not in found]
        if shared and d.chance():
            name, length = d.one_of(shared)
        else:
            name, length = d.fresh({*found, *there}), d.length()
        found[name] = length
    return [word(name, length) for name, length in found.items()]


@draws("constant")
def draw_constant(d: Drawer) -> bool:
    """A number or a small table."""
    if d.chance():
        d.place("constant", [d.scalar()], Known(1, 4.0))
        return True
    rows, columns = d.number(1, 3), d.number(1, 2)
    kind = d.one_of(("int", "float", "bool"))
    entries = [d.number(0, 3) for _ in range(rows * columns)]
    read: Callable[[int], Any] = {
        "int": lambda x: x,
        "float": lambda x: x / 2 - 1,
        "bool": lambda x: x > 1,
    }[kind]
    values = [read(x) for x in entries]
    table = [values[k * columns : (k + 1) * columns] for k in range(rows)]
    a = d.fresh(())
    d.place("constant", [table], Known(1, 4.0), axes=f"{a} {d.fresh({a})}")
    return True


@draws("iota")
def draw_iota(d: Drawer) -> bool:
    """Positions along a new axis."""
    d.place("iota", [word(d.fresh(()), d.length())], Known(1, 16.0))
    return True


@draws("parameter")
def draw_parameter(d: Drawer) -> bool:
    """A parameter, or a linear map with one."""
    init = d.one_of(("fan", "uniform", "ones", "zeros"))
    if d.chance():
        axes = " ".join(new_axes(d, 3))
        known = Known(1 if init in ("ones", "zeros") else None, 2.0)
        d.place("parameter", [f"w{d.number(0, 1) or ''}", axes], known, init=init)
        return True
    w = d.pick(lambda wire, known: bool(wire.names) and wire.dtype == "float")
    if w is None:
        return False
    wire, known = d.wires[w], d.known[w]
    over = d.some(wire.names)
    into = word(d.fresh(wire.names), d.length())
    bound = known.bound * 2 * math.prod(d.largest(wire.axes[a]) for a in over)
    if bound > LARGE:
        return False
    result = Known(None, bound, known.depth)
    bias = d.chance()
    d.place("linear", [Use(w)], result, over=" ".join(over), into=into, bias=bias)
    return True


@draws("random")
def draw_random(d: Drawer) -> bool:
    """A random draw."""
    axes = " ".join(new_axes(d, 2))
    distribution = d.one_of(("uniform", "normal", "bernoulli"))
    d.place("random", [axes], Known(None, 8.0), distribution=distribution)
    return True
