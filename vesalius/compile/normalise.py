"""Normalise: one form for what people write in several ways, and nothing else changed.

A diagram is built anew, box by box; before a box is added, each *law* of its kind is asked
whether it has a better way to say the same. Every law is an equality, stated beside the function
that applies it. What a law returns is written by laws again, so one pass does most of the work;
passes follow until nothing changes.

The nesting of contractions stays as written: it is the order of evaluation that a person chose.
Whoever looks for a kernel reads through it (`vesalius.compile.scores`), and a better order is a
choice with a cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vesalius.compile.terms import Axis, Writing
from vesalius.diagrams.box import Kind
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as
from vesalius.diagrams.sizes import Size

PASSES = 8

# A law is given the parts of a box that is about to be added, and may return a use instead.
Law = Callable[[Writing, "Parts"], "Use | None"]


class Parts:
    """A box that is about to be added."""

    __slots__ = ("attrs", "bound", "kind", "new", "uses")

    def __init__(
        self,
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: list[Use],
        bound: Sequence[Label],
        new: Sequence[tuple[Label, Size]],
    ) -> None:
        self.kind = kind
        self.attrs = attrs
        self.uses = uses
        self.bound = bound
        self.new = new

    @property
    def function(self) -> str:
        """The name of a pointwise function."""
        name: str = self.attrs[0].name
        return name


LAWS: dict[str, list[Law]] = {}


def law(kind: str) -> Callable[[Law], Law]:
    """Enter a law for boxes of a kind; pointwise functions have laws of their own, by name."""

    def enter(apply: Law) -> Law:
        LAWS.setdefault(kind, []).append(apply)
        return apply

    return enter


def normalise(diagram: Diagram) -> Diagram:
    """The diagram in normal form: softmaxes found, dead shifts dropped.

    Named boxes stay closed; `diagram.unfold()` opens them before. It computes the same over the
    reals, for inputs for which the diagram is defined; a softmax that was spelled out gains the
    safe form, and the zeros of a row that is hidden whole.
    """
    from vesalius.compile import laws

    assert laws.__doc__
    for _ in range(PASSES):
        following, changed = _Pass(diagram).run()
        if not changed:
            break
        diagram = following
    return diagram


class _Pass:
    """One building anew; `seen[w]` is what wire w became, its labels being the slots of w."""

    def __init__(self, old: Diagram) -> None:
        self.old = old
        builder = Builder(old.name, old.doc)
        for port in old.inputs:
            builder.input(port.name, old.port_type(port))
        builder.token_names = dict.fromkeys(token.name for token, _ in old.tokens)
        self.writing = Writing(builder)
        self.seen: list[tuple[int, tuple[int, ...]]] = [
            (k, tuple(range(len(port.axes)))) for k, port in enumerate(old.inputs)
        ]
        self.changed = False

    def run(self) -> tuple[Diagram, bool]:
        """The diagram built anew, and whether any law applied."""
        old = self.old
        outputs = {port.wire for port in old.outputs}
        for wire, (here, _) in enumerate(self.seen):
            self._count(here, wire, outputs)
        for node in old.nodes[len(old.inputs) :]:
            box = node.box
            labels: list[Label] = [None] * box.rank
            rows = [*zip(node.wires, box.outs, strict=True), *zip(node.src, box.maps, strict=True)]
            for wire, row in rows:
                for axis, name in zip(row, old.hints[wire], strict=True):
                    if labels[axis] is None:
                        labels[axis] = Axis(name or "a")
            uses: list[Use] = []
            for wire, row in zip(node.src, box.maps, strict=True):
                here, slots = self.seen[wire]
                uses.append((here, tuple([labels[row[s]] for s in slots])))
            bound = [labels[axis] for axis in box.bound]
            new = [(labels[box.inner + k], size) for k, size in enumerate(box.new)]
            made = self._written(Parts(box.kind, box.attrs, uses, bound, new))
            for wire, row, (here, found) in zip(node.wires, box.outs, made, strict=True):
                place = {labels[axis]: slot for slot, axis in enumerate(row)}
                self.seen.append((here, tuple([place[label] for label in found])))
                self._count(here, wire, outputs)
        ends: list[Use] = []
        for port in old.outputs:
            here, slots = self.seen[port.wire]
            names = dict(zip(port.slots, port.axes, strict=True))
            ends.append((here, tuple(names[s] for s in slots)))
        return finish_as(self.writing.builder, old, ends, ()), self.changed

    def _count(self, here: int, wire: int, outputs: set[int]) -> None:
        """The readers of a wire are those that it has now: what a law adds has one."""
        readers = self.writing.readers
        readers[here] = readers.get(here, 0) + len(self.old.consumers[wire]) + (wire in outputs)

    def _written(self, parts: Parts) -> list[Use]:
        name = parts.function if parts.kind.name == "pointwise" else parts.kind.name
        for apply in LAWS.get(name, ()):
            found = apply(self.writing, parts)
            if found is not None:
                self.changed = True
                return [found]
        return self.writing.box(parts.kind, parts.attrs, parts.uses, parts.bound, parts.new)
