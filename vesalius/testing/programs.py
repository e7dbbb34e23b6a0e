"""Straight-line programs of verbs: what drawn diagrams are made from.

A program says what was called on what, by names of axes. It builds a diagram, and since it
says nothing about nodes, slots or sharing, it can be run by another interpreter to test that
the diagram means what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vesalius.diagrams import verbs
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire


class Use(NamedTuple):
    """A wire of a program, by number, with other names for some of its axes."""

    wire: int
    names: Mapping[str, str] = {}


@dataclass(frozen=True)
class Step:
    """A verb called on wires (`Use`) and numbers; its results are the next wires.

    Besides the verbs of `vesalius` there are `call` and `boxed`, with the `Program` that is
    called as the option `body`; `scan` takes its body so, too. `made` names the parameters
    and random sources that the step made in the diagram; `renamed` gives axes of each result
    other names.
    """

    verb: str
    operands: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    renamed: tuple[Mapping[str, str], ...] = ()


class Result(NamedTuple):
    """An output of a program: its name, the wire, the order in which its axes are read."""

    name: str
    use: Use
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """Inputs by name, steps, and outputs. Wires are numbered: inputs first, then results."""

    inputs: Mapping[str, ArrayType]
    steps: tuple[Step, ...]
    outputs: tuple[Result, ...]
    name: str = "drawn"

    def diagram(self) -> Diagram:
        """The diagram of this program, with parameters of its own."""
        builder = Builder(self.name)
        wires = [builder.input(name, type_) for name, type_ in self.inputs.items()]
        for step in self.steps:
            wires += take(builder, wires, step)
        return builder.finish([port_of(wires, result) for result in self.outputs])


def port_of(wires: list[Wire], result: Result) -> Port:
    """An output of a diagram under construction."""
    wire = used(wires, result.use)
    slots = tuple(wire.names.index(axis) for axis in result.axes)
    return Port(result.name, wire.id, result.axes, slots)


def used(wires: list[Wire], operand: Any) -> Any:
    """The wire that an operand is, renamed; numbers are themselves."""
    if not isinstance(operand, Use):
        return operand
    return wires[operand.wire].rename(**operand.names)


def take(builder: Builder, wires: list[Wire], step: Step) -> list[Wire]:
    """Call the verb of a step; returns the wires that it makes."""
    operands = [used(wires, operand) for operand in step.operands]
    options = dict(step.options)
    with builder:
        if step.verb in ("call", "boxed"):
            body: Diagram = options.pop("body").diagram()
            made = (body if step.verb == "call" else body.boxed)(*operands, **options)
        elif step.verb == "scan":
            made = _scan(operands, options)
        else:
            made = getattr(verbs, step.verb)(*operands, **options)
    results = list(made) if isinstance(made, tuple) else [made]
    if step.renamed:
        results = [w.rename(**names) for w, names in zip(results, step.renamed, strict=True)]
    return results


def _scan(operands: list[Any], options: dict[str, Any]) -> tuple[Wire, ...]:
    body = options.pop("body").diagram()
    states, sequences = options.pop("states"), options.pop("sequences")
    return verbs.scan(
        body,
        states=operands[:states],
        sequences=operands[states : states + sequences],
        captured=operands[states + sequences :],
        **options,
    )
