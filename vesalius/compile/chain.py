"""The steps from a diagram to a module, one after another, each to be looked at.

    normalise    one spelling for what people write in several ways
    choose       the boxes of kernels where they compute the same faster
    layout       an order of axes for every array
    emit         the text that runs

Each is a function of what the one before it returns, and of nothing else. `to_torch` goes through
the same ones; here nothing is made of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vesalius.compile.choose import chosen
from vesalius.compile.emit import lowered, source
from vesalius.compile.explain import Explanation
from vesalius.compile.kernels import Target
from vesalius.compile.layout import Order
from vesalius.compile.normalise import normalise
from vesalius.diagrams.drawing.picture import Options, Picture
from vesalius.diagrams.drawing.scene import Scene
from vesalius.diagrams.drawing.sketch import sketch
from vesalius.diagrams.graph import Diagram


class Layout(NamedTuple):
    """A diagram whose wires have an order of axes: for each, its slots as a tensor has them."""

    diagram: Diagram
    orders: tuple[Order, ...]

    def axes(self, wire: int) -> tuple[str, ...]:
        """The names of the axes of a wire, in order."""
        return tuple(self.diagram.hints[wire][slot] or "" for slot in self.orders[wire])

    def draw(self, file: str | Path | None = None) -> Picture:
        """The diagram, each string labelled with its axes in the order of the tensor."""
        picture = _InOrder(self)
        if file is not None:
            picture.save(file)
        return picture

    def _repr_html_(self) -> str:
        return self.draw()._repr_html_()


class Steps(NamedTuple):
    """What each step made: two diagrams, a layout, a text; which kernels were chosen, and why."""

    normalised: Diagram
    chosen: Diagram
    layout: Layout
    source: str
    choices: Explanation


def steps(
    diagram: Diagram, target: Target | None = None, sizes: Mapping[str, int] | None = None
) -> Steps:
    """The steps of a diagram: what each makes of what came before it.

    `sizes` are those of `to_torch`: of the axes of parameters, above all.

    >>> import vesalius as vs
    >>> @vs.diagram
    ... def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    ...     return vs.contract(vs.softmax(vs.contract(q, k, over="c"), "m"), v, over="m")
    >>> made = steps(attention.over("b h"))
    >>> [made.layout.axes(port.wire) for port in made.chosen.outputs]
    [('b', 'h', 'n', 'e')]
    """
    sizes = dict(sizes or {})
    target = target or Target(sizes=sizes)
    found = chosen(diagram, target)
    program, main = lowered(found.diagram, sizes, diagram, target.device)
    return Steps(
        normalise(diagram.unfold()),
        found.diagram,
        Layout(found.diagram, tuple(main.orders)),
        source(program),
        found.choices,
    )


class _InOrder(Picture):
    """A picture in which the axes of each string stand in the order of its tensor."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.diagram, Options(labels="all"))
        self.layout = layout

    @cached_property
    def scene(self) -> Scene:
        drawn = sketch(self.diagram, labels="all")
        for string in drawn.strings:
            string.label = " ".join(string.names[slot] for slot in self.layout.orders[string.wire])
        return self.options.scene(drawn)
