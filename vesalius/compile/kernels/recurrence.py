"""Recurrences with a gate, many chunks side by side: h[n] = a[n]·h[n−1] + x[n].

Two steps of such a recurrence are one with the gate a[n]·a[n−1], so a chunk of positions is one
with the product of its gates, whatever these are: zero, negative, one for each channel. About √n
chunks go through their positions side by side, then from one to the next: 2·√n steps, and a few
passes over the arrays. A loop calls PyTorch for each position. It stands where a scan is such a
recurrence (`vesalius.compile.unrolled`). Blelloch, Prefix sums and their applications, 1990.
"""

from __future__ import annotations

from math import sqrt

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Kernel, kernel
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply
from vesalius.compile.views import permuted
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
    """A product of gates, a product and a sum, twice, and copies of what is known."""
    (length, *_) = call.lengths(0)
    return [of_recurrence(float(length * call.tubes), call.moved, length)]


def of_recurrence(entries: float, moved: float, length: int) -> Work:
    """What a recurrence over so many entries does."""
    return Work(simple=6 * entries, moved=3 * moved, calls=12 + 3 * sqrt(length))


RECURRENCE = kernel(
    Kernel(
        name=NAME,
        summary="gated recurrences, many chunks side by side",
        define=define,
        root="scan",
        find=lambda place: "",
        emit=emit,
        work=work,
        exponents=lambda variant: {0},
    )
)
