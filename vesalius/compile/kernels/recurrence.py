"""Recurrences with a gate, in steps that double: h[n] = a[n]·h[n−1] + x[n].

Two steps of such a recurrence are one with the gate a[n]·a[n−1], so all positions are reached in
log n steps over whole arrays, whatever the gate is: zero, negative, one for each channel. A loop
calls PyTorch for each position. Hillis, Steele, Data parallel algorithms, 1986. It stands where a
scan is such a recurrence (`vesalius.compile.unrolled`).
"""

from __future__ import annotations

from math import log2

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Kernel, kernel
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here, permuted
from vesalius.compile.text import Term, apply
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram

NAME = "recurrence"


def define(variant: str) -> Diagram:
    """The scan; there are no variants."""
    step = Builder("step")
    h, a, x = step.input("h", ""), step.input("a", ""), step.input("x", "")
    with step:
        after = a * h + x
    builder = Builder(NAME)
    gates, values = builder.input("a", "n"), builder.input("x", "n")
    with builder:
        body = step.diagram(after=after, each=after)
        _, every = vs.scan(body, over="n", states=[0.0], sequences=[gates, values])
        return builder.diagram(h=every)


def emit(here: Here, variant: str) -> list[Term]:
    """`recurrent(a, x)` along the last dimension; all others broadcast."""
    box, out = here.box, here.out()
    tubes = tuple(a for a in out if a < box.inner)
    parts = [
        here.aligned(here.operand(port, "float"), (*tubes, axis))
        for port, axis in enumerate(box.bound)
    ]
    term = apply(here.scope.program.helper("recurrent"), *parts, heavy=True)
    return [permuted(term, (*tubes, box.inner), out)]


def work(call: Call) -> list[Work]:
    """A product, a sum and a product of gates in each step, and a copy of what is known."""
    (length, *_) = call.lengths(0)
    entries = float(length * call.tubes)
    return [Work(simple=4 * entries, moved=2 * call.moved, calls=6, times=max(log2(length), 1.0))]


RECURRENCE = kernel(
    Kernel(
        name=NAME,
        summary="gated recurrences, in steps that double",
        define=define,
        root="scan",
        find=lambda place: "",
        emit=emit,
        work=work,
    )
)
