"""What is said otherwise in a tile, because it is much faster on small arrays: equalities all.

    where(c, s, −∞)  =  s + where(c, 0, −∞)      for s < ∞; the mask is made once for all heads
    where(c, w, 0)  =  w·float(c)                for finite w
    where(0 < x, d, 0)  =  d·relu(sign(x))       for finite d; d where it has a factor relu(x)
    Σ_c w·(y − 1)  =  Σ_c w·y − Σ_c w            where w lacks an axis of y

Selecting by truth values costs PyTorch on a CPU ten to forty times what a product costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vesalius.compile.rebuild import Rebuild
from vesalius.compile.terms import Use, Writing
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Label
from vesalius.diagrams.graph import Diagram, Node

HIDDEN = float("-inf")


def quick(body: Diagram) -> Diagram:
    """The body said so that it is quick on a CPU."""
    return _Quick(body).run()


class _Quick(Rebuild):
    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        found = None
        if node.box.kind is CONTRACT and node.box.bound:
            here = [self.here(use) for use in uses]
            found = _without_shift(self.writing, here, [labels[a] for a in node.box.bound])
        elif node.box.kind is POINTWISE and self.old.types[node.first].dtype == "float":
            here = [self.here(use) for use in uses]
            if node.box["function"].name == "where":
                found = _selected(self.writing, *here)
        if found is None:
            return super().place(node, uses, labels)
        sizes = self.old.types[node.first].sizes
        wanted = {labels[a]: size for a, size in zip(node.box.outs[0], sizes, strict=True)}
        return [self.writing.expand(found, wanted)]


def _without_shift(w: Writing, uses: Sequence[Use], over: Sequence[Label]) -> Use | None:
    """A number that is added to a factor, multiplied with the other factors alone."""
    for k, use in enumerate(uses):
        others = [*uses[:k], *uses[k + 1 :]]
        below = {label for other in others for label in other[1]}
        if w.kind(use) is not ADD or not set(over) <= below or set(use[1]) <= below:
            continue
        parts = w.open(use).uses
        numbers = [part for part in parts if w.is_number(part)]
        rest = [part for part in parts if part not in numbers]
        if numbers and any(set(part[1]) == set(use[1]) for part in rest):
            whole = w.contract([w.add(rest), *others], over)
            return w.add([whole, w.contract([w.add(numbers), *others], over)])
    return None


def _selected(w: Writing, condition: Use, yes: Use, no: Use) -> Use | None:
    if w.value(no) == HIDDEN:
        return w.add([yes, w.apply("where", condition, w.number(0.0), no)])
    if w.value(yes) == HIDDEN:
        return w.add([no, w.apply("where", condition, yes, w.number(0.0))])
    if w.value(no) == 0:
        return _kept(w, condition, yes)
    if w.value(yes) == 0:
        return w.contract([no, w.apply("to_float", w.apply("logical_not", condition))])
    return None


def _kept(w: Writing, condition: Use, value: Use) -> Use:
    """where(condition, value, 0), by the sign of what is compared with 0 if that is it."""
    compared = w.applied(condition, "less")
    if compared is not None and w.value(compared[0]) == 0 and w.dtype(compared[1]) == "float":
        positive = compared[1]
        if positive in _rectified(w, value):
            return value
        return w.contract([value, w.apply("relu", w.apply("sign", positive))])
    return w.contract([value, w.apply("to_float", condition)])


def _rectified(w: Writing, value: Use) -> Iterator[Use]:
    """What the factors of a product that are a relu are applied to."""
    todo = [value]
    while todo:
        use = todo.pop()
        inside = w.applied(use, "relu")
        if inside is not None:
            yield inside[0]
        elif w.kind(use) is CONTRACT:
            opened = w.open(use)
            if not opened.bound:
                todo += opened.uses
