"""Instances of a rule: how many operands, which tubes, which functions; and hosts around them.

An instance puts both sides on the same inputs. A host is a random diagram with the left side
inside it, in which the engine itself has to find the rule and apply it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interface import same_tokens
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.checking.networks import with_networks
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.instance import Spelling
from vesalius.rewrite.rule import Rule

COUNTS = (1, 2, 0, 3)
INSTANCES = 8  # combinations of numbers of operands
TUBINGS = 4  # ways to put tubes on them
Functions = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """`counts[k]` operands for input k; `tubes[i]` are the tubes of operand i, over all inputs;
    `variant` chooses the samples for stand-ins."""

    counts: tuple[int, ...]
    tubes: tuple[tuple[str, ...], ...]
    variant: int = 0


# -- stand-ins ------------------------------------------------------------------------------------


_WRITTEN: dict[Function, str] = {}


@lru_cache(maxsize=256)
def sample(name: str, k: int, variant: int = 0) -> Function:
    """A function for a stand-in: rational, so that exact algebras know it, and not special.

    In the finite field it is unspecified, for SymPy as well. Variants have other signs and sizes.
    """
    drawn = np.random.default_rng([variant, k]).integers(1, 12, 4)
    signs = [(-1) ** (variant >> j & 1) for j in range(4)]
    a, b, c, d = (Fraction(sign * int(x), 4) for sign, x in zip(signs, drawn, strict=True))
    e = 2 * k + 3

    def form(x: Any) -> Any:
        return (((a * x + b) * x + c) * x + d) / (x * x + e)

    shown = [float(x) for x in (a, b, c, d)]
    made = Function(
        f"any_{name}",
        torch="((({} * {{0}} + {}) * {{0}} + {}) * {{0}} + {}) / ({{0}} ** 2 + {})".format(
            *shown, e
        ),
        exact=form,
        symbol=name,
    )
    _WRITTEN[made] = f"sample({name!r}, {k}, {variant})"
    return made


def written(function: Function) -> str | None:
    """The call of `sample` that made a function, if one did."""
    return _WRITTEN.get(function)


def samples(rule: Rule, variant: int = 0) -> Functions:
    """A sample for each stand-in, as a box holds a function: with its numbers."""
    return {name: (sample(name, k, variant), ()) for k, name in enumerate(rule.functions)}


# -- instances ------------------------------------------------------------------------------------


def spelled(rule: Rule, side: str, counts: Sequence[int], functions: Functions) -> Diagram:
    """One side with each `many` spelled out and each stand-in replaced.

    Raises `VesaliusError` when the side has no meaning for so many operands.
    """
    chosen = rule if side == "right" else replace(rule, left=rule.right, right=rule.left)
    if not rule.many and not functions:
        return chosen.right
    return Spelling(chosen, counts, functions).build()


def legal_counts(rule: Rule, functions: Functions) -> Iterator[tuple[int, ...]]:
    """Numbers of operands for which both sides have a meaning; simple ones first."""
    choices = [
        tuple(k for k in COUNTS if k >= rule.many[port.name]) if port.name in rule.many else (1,)
        for port in rule.left.inputs
    ]
    for counts in sorted(product(*choices), key=lambda row: sum(map(COUNTS.index, row))):
        try:
            spelled(rule, "left", counts, functions)
            spelled(rule, "right", counts, functions)
        except VesaliusError:
            continue
        yield counts


def instances(rule: Rule, rng: np.random.Generator) -> list[Instance]:
    """Each number of operands for each `many`, in as many combinations as there is room for;
    without tubes, with one tube shared by all, with a tube each, and at random."""
    rows = covering(list(legal_counts(rule, samples(rule))))
    if not rows:
        return []
    found: dict[Instance, None] = {}
    for k in range(max(len(rows), TUBINGS)):
        row = rows[k % len(rows)]
        found[Instance(row, _tubes(sum(row), k, rng), k)] = None
    return list(found)


def covering(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Some rows in which all pairs of entries occur that do, as far as `INSTANCES` allows.

    The first row stays the first; those that show more that is new come before others.
    """
    pairs = {
        row: {((i, a), (j, b)) for i, a in enumerate(row) for j, b in enumerate(row) if i <= j}
        for row in rows
    }
    chosen = rows[:1]
    seen = set().union(*(pairs[row] for row in chosen))
    while len(chosen) < INSTANCES:
        best = max(rows, key=lambda row: _news(pairs[row] - seen), default=None)
        if best is None or pairs[best] <= seen:
            break
        chosen.append(best)
        seen |= pairs[best]
    return chosen


def _news(pairs: set[Any]) -> tuple[int, int]:
    """How many entries, and then how many pairs of them, are new."""
    return sum(one == other for one, other in pairs), len(pairs)


def _tubes(operands: int, k: int, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    if k == 0:
        return ((),) * operands
    if k == 1:
        return (("t",),) * operands
    if k == 2 and operands < 5:
        return tuple((f"t{i}",) for i in range(operands))
    return tuple(tuple(t for t in ("t", "u") if rng.random() < 0.5) for _ in range(operands))


def sides_of(
    rule: Rule, instance: Instance, functions: Functions | None = None
) -> tuple[Diagram, Diagram]:
    """Both sides on the inputs of an instance, with samples for stand-ins unless told."""
    functions = samples(rule, instance.variant) if functions is None else functions
    left, right = (
        _on_inputs(rule, spelled(rule, side, instance.counts, functions), instance, side)
        for side in ("left", "right")
    )
    return left, right


def pair_of(rule: Rule, instance: Instance, functions: Functions | None = None) -> Pair:
    """The two sides of an instance as a pair, whose parameters of one name are one."""
    left, right = with_networks(*sides_of(rule, instance, functions))
    return Pair(left, right)


def _on_inputs(rule: Rule, body: Diagram, instance: Instance, name: str) -> Diagram:
    """A side with tubes added to its inputs."""
    builder = Builder(name)
    tubes = _tube_names(rule, instance)
    wires = []
    for port, own in zip(body.inputs, instance.tubes, strict=True):
        known = body.port_type(port)
        axes = {**{tubes[t]: size(tubes[t]) for t in own}, **known.axes}
        wires.append(builder.input(port.name, ArrayType(axes, known.dtype)))
    uses = [_use(wire.id, wire.names, port) for wire, port in zip(wires, body.inputs, strict=True)]
    outputs = builder.graft(body, uses, replace=same_tokens(body))
    ports = []
    for port, (wire_, labels) in zip(body.outputs, outputs, strict=True):
        names = [str(label) for label in labels]
        order = sorted(names, key=lambda name: (name in port.axes, _place(port, name)))
        ports.append(Port(port.name, wire_, tuple(order), tuple(map(names.index, order))))
    return builder.finish(ports)


def _place(port: Port, name: str) -> tuple[int, str]:
    return (port.axes.index(name) if name in port.axes else 0, name)


def _use(wire: int, names: Sequence[str], port: Port) -> Use:
    """A wire as an input of a body: its declared axes are slots, the others tubes."""
    return wire, tuple(port.axes.index(n) if n in port.axes else n for n in names)


def _tube_names(rule: Rule, instance: Instance) -> dict[str, str]:
    """Names for tubes that no declared axis and no size has."""
    taken = {*rule.left.size_variables, *rule.right.size_variables}
    for port in (*rule.left.inputs, *rule.left.outputs):
        taken |= set(port.axes)
    found = {}
    for tube in sorted({t for row in instance.tubes for t in row}):
        found[tube] = fresh_name(tube, taken)
        taken.add(found[tube])
    return found


# -- hosts ----------------------------------------------------------------------------------------

_LETTERS = tuple("pqrsxyzijklmn")


def host(rule: Rule, instance: Instance, rng: np.random.Generator) -> Diagram:
    """A random diagram with the left side of a rule in it.

    Some operands are computed, some are one wire, some outputs are read twice, and some wires
    inside the left side are outputs themselves. Axes have names of their own.
    """
    body = spelled(rule, "left", instance.counts, samples(rule, instance.variant))
    return _Host(rule, body, instance, rng).build()


class _Host:
    def __init__(
        self, rule: Rule, body: Diagram, instance: Instance, rng: np.random.Generator
    ) -> None:
        self.body = body
        self.instance = instance
        self.rng = rng
        self.builder = Builder("host")
        axes = dict.fromkeys(a for port in (*body.inputs, *body.outputs) for a in port.axes)
        tubes = dict.fromkeys(t for row in instance.tubes for t in row)
        letters = [str(x) for x in rng.permutation(_LETTERS)]
        names = [letters[k] if k < len(letters) else f"a{k}" for k in range(len(axes) + len(tubes))]
        self.names = dict(zip([*axes, *(f"tube_{t}" for t in tubes)], names, strict=True))
        self.sizes: Mapping[str, Size] = {
            v: rule.fixed.get(v) or size(self.names.get(v, f"{v}_")) for v in body.size_variables
        }

    def build(self) -> Diagram:
        builder, rng = self.builder, self.rng
        given: list[Wire] = []
        for k, (port, own) in enumerate(zip(self.body.inputs, self.instance.tubes, strict=True)):
            known = self.body.port_type(port)
            axes = {self.names[f"tube_{t}"]: size(self.names[f"tube_{t}"]) for t in own}
            for axis, length in known.axes.items():
                axes[self.names[axis]] = length.substitute(self.sizes)
            order = [str(a) for a in rng.permutation(list(axes))] if axes else []
            type_ = ArrayType({a: axes[a] for a in order}, known.dtype)
            same = [wire for wire in given if wire.type == type_ and rng.random() < 0.3]
            given.append(same[0] if same else builder.input(f"in{k}", type_))
        beside = builder.input("beside", "")
        uses = []
        for wire, port in zip(given, self.body.inputs, strict=True):
            before = self._before(wire, beside)
            turned = {name: label for label, name in self.names.items()}
            uses.append(_use(before.id, [turned[name] for name in before.names], port))
        first = len(builder.types)
        made = builder.graft(self.body, uses, sizes=self.sizes, replace=same_tokens(self.body))
        inside = range(first, len(builder.types))
        ports = []
        for k, (wire_, labels) in enumerate(made):
            names = tuple(self.names[str(x)] for x in labels)
            ports.append(Port(f"out{k}", wire_, names, tuple(range(len(names)))))
            after = self._after(wire_, names, beside)
            if after is not None:
                ports.append(Port(f"after{k}", *after))
        for wire_ in inside:
            if rng.random() < 0.25 and all(wire_ != port.wire for port in ports):
                names = tuple(f"e{slot}" for slot in range(len(builder.types[wire_].sizes)))
                ports.append(Port(f"escaped{wire_}", wire_, names, tuple(range(len(names)))))
        return builder.finish(ports)

    def _before(self, wire: Any, beside: Any) -> Any:
        """What stands before an operand: often nothing."""
        from vesalius.diagrams import verbs

        if wire.dtype != "float":
            return wire
        choice = int(self.rng.integers(6))
        if choice == 0:
            return verbs.negate(wire)
        if choice == 1:
            return verbs.add(wire, beside)
        return verbs.contract(wire, wire) if choice == 2 else wire

    def _after(
        self, wire: int, names: tuple[str, ...], beside: Any
    ) -> tuple[int, tuple[str, ...], tuple[int, ...]] | None:
        """A second reader of an output, now and then."""
        if self.builder.types[wire].dtype != "float" or self.rng.random() < 0.5:
            return None
        labels: tuple[Label, ...] = names
        made = self.builder.add(
            ADD if self.rng.random() < 0.5 else CONTRACT, (), [(wire, labels), (beside.id, ())]
        )
        found = tuple(str(x) for x in made.labels[0])
        return made.wires.start, found, tuple(range(len(found)))


def is_whole(rule: Rule, instance: Instance) -> bool:
    """Whether the left side is all there for so few operands: every box, with every axis."""
    body = spelled(rule, "left", instance.counts, samples(rule, instance.variant))
    return _outline(body) == _outline(rule.left)


def _outline(side: Diagram) -> list[tuple[str, tuple[int, ...]]]:
    """The boxes of a side by kind, with the ranks of what they make."""
    rows = [(n.box.kind.name, tuple(map(len, n.box.outs))) for n in side.nodes[len(side.inputs) :]]
    return sorted(rows)
