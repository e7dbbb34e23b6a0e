"""A table by distance read for all pairs: y[n, m] = x[n, m − n + |n| − 1], as a view of a copy.

Read along its memory one entry less far in each row, an array of rows × distances is one of rows ×
columns. So a score that hangs on the distance, as those of relative positions do, needs no index
and no array but itself (Huang et al., Music Transformer, arXiv 1809.04281, section 3.4). Backward
is the same the other way (`back`): each diagonal becomes a column.
"""

from __future__ import annotations

from collections.abc import Sequence

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.rebuild import Rebuild
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.scores import read_line
from vesalius.compile.terms import Reading, Use, Writing
from vesalius.compile.text import Term, apply
from vesalius.compile.views import permuted
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size

NAME = "relative_shift"
BACK = "back"


def define(variant: str) -> Diagram:
    """y[n, m] = x[n, m − n + |n| − 1]; `back`, what takes cotangents of y to those of x."""
    builder = Builder(NAME)
    if variant == BACK:
        y = builder.input("y", "n m")
        with builder:
            place = vs.iota("m") - vs.iota("n") + (vs.size("n") - 1)
            here = vs.to_float(vs.equal(place, vs.iota("d:n+m-1")))
            return builder.diagram(x=vs.contract(y, here, over="m"))
    x = builder.input("x", "n d")
    with builder:
        place = vs.iota("m:d-n+1") - vs.iota("n") + (vs.size("n") - 1)
        return builder.diagram(y=vs.gather(x, place, over="d"))


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """A table of floats that is read at the distance, from the first to the last."""
    opened = place.open(place.use)
    table, at = opened.uses
    pair = _read(place, table, at, opened.bound[0])
    if pair is None:
        return ""
    right = place.right([table])
    made = shift(right, right.read(table), *pair, place.size(at, pair[1]))
    return right.found(made, "read at the distance")


def shift(w: Writing, table: Use, axis: Label, n: Label, m: Label, rows: Size) -> Use:
    """A table read along an axis at the distances of rows n and columns m."""
    return SHIFT.box(w, [(w.expand(table, {n: rows}), {"n": n, "d": axis})], {"n": n, "m": m})


def _read(r: Reading, table: Use, at: Use, axis: Label) -> tuple[Label, Label, Label] | None:
    """The axis of a table, the rows and the columns, if it is read so."""
    line = None if r.dtype(table) != "float" or len(at[1]) != 2 else read_line(r, at)
    if line is None:
        return None
    for n, m in (at[1], at[1][::-1]):
        rows, columns = r.size(at, n), r.size(at, m)
        whole = line.constant == rows - 1 and r.size(table, axis) == rows + columns - 1
        if line.slopes == {n: -1, m: 1} and whole and m not in table[1]:
            return axis, n, m
    return None


def shifted(diagram: Diagram) -> Diagram:
    """The diagram with the box of the kernel wherever it stands, and that of the way back.

    Whatever is differentiated has its named boxes opened; so both are found again.
    """
    return _Shifts(diagram).run()


class _Shifts(Rebuild):
    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        w, kind = self.writing, node.box.kind
        found = None
        if kind is GATHER:
            table, at = (self.here(use) for use in uses)
            pair = _read(w, table, at, labels[node.box.bound[0]])
            found = pair and shift(w, table, *pair, w.size(at, pair[1]))
        elif kind is CONTRACT and node.box.bound:
            bound = [labels[a] for a in node.box.bound]
            found = _summed(w, [self.here(use) for use in uses], bound)
        return super().place(node, uses, labels) if found is None else [found]


def _summed(w: Writing, uses: Sequence[Use], bound: Sequence[Label]) -> Use | None:
    """Σ_m y[n, m]·[m − n + |n| − 1 = d], with other factors and sums around it."""
    for k, use in enumerate(uses):
        axes = _diagonals(w, use, bound)
        if axes is None:
            continue
        n, m, d = axes
        others = [*uses[:k], *uses[k + 1 :]]
        inside = [other for other in others if m in other[1]]
        rest = [other for other in others if m not in other[1]]
        outside = {n, m, *(label for other in rest for label in other[1])}
        own = [x for x in bound if x not in outside and any(x in one[1] for one in inside)]
        if not inside:
            continue
        y = w.expand(w.contract(inside, own), {n: w.size(use, n)})
        x = SHIFT.box(w, [(y, {"n": n, "m": m})], {"n": n, "d": d}, BACK)
        return w.contract([x, *rest], [label for label in bound if label not in (m, *own)])
    return None


def _diagonals(w: Writing, use: Use, bound: Sequence[Label]) -> tuple[Label, Label, Label] | None:
    """Rows, columns and distances, if a factor is 1 where they meet and 0 elsewhere."""
    inside = w.applied(use, "to_float")
    sides = w.applied(inside[0], "equal") if inside else None
    if sides is None or len(use[1]) != 3:
        return None
    one, other = (read_line(w, side) for side in sides)
    if one is None or other is None:
        return None
    line = one.plus(other.times(-1))
    for sign in (1, -1):
        slopes, constant = line.times(sign)
        negative = [x for x, slope in slopes.items() if slope == -1]
        positive = [x for x, slope in slopes.items() if slope == 1]
        if len(negative) != 2 or len(positive) != 1:
            continue
        (m,) = positive
        for n, d in (negative, negative[::-1]):
            rows = w.size(use, n)
            whole = constant == rows - 1 and w.size(use, d) == rows + w.size(use, m) - 1
            if whole and m in bound and d not in bound:
                return n, m, d
    return None


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`shifted(x)` on the last two dimensions, or `shifted_back(y)`."""
    box, out = here.box, here.out()
    tubes = tuple(a for a in out if a < box.inner)
    x = here.full(here.operand(0), (*tubes, *box.bound))
    helper = here.scope.program.helper("shifted_back" if variant == BACK else "shifted")
    made = (*tubes, box.inner, box.inner + 1)
    return [permuted(apply(helper, x, heavy=True), made, out)]


def work(call: Call) -> list[Work]:
    """A copy."""
    rows, columns = call.lengths(0)
    return [Work(simple=float(call.tubes * rows * columns), moved=call.moved, fresh=call.fresh)]


SHIFT = kernel(
    Kernel(
        name=NAME,
        summary="a table by distance read for all pairs, without an index",
        define=define,
        root="gather",
        find=find,
        emit=emit,
        work=work,
    )
)
