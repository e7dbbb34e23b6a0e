"""Arrays of pairs that hang on the columns through the distance alone, written by distance.

    y[i, j] = s[i, j − i]

A bias by distance is so, whether a table, a slope or any function; so is the product of queries
with a vector for each distance, the relative positions of Shaw and of Transformer-XL. What is read
of tables is written once, along the axis of distances, outside of the tiles; a tile gets the
stretch that it sees, as long as its rows and columns together, does the rest along it, and reads
the result for all pairs by one shift (`vesalius.compile.kernels.relative_shift`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from vesalius.compile.kernels.kernel import Place, Right
from vesalius.compile.scores import read_line
from vesalius.compile.terms import Axis
from vesalius.compile.tiles.region import Region
from vesalius.compile.toeplitz import ALL, Distances, Plan, Planner
from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import ZERO, Size


class Read(NamedTuple):
    """An array as it is."""

    use: Use


class Table(NamedTuple):
    """An array by distance that has no rows: it is made outside, from what it reads there."""

    write: Callable[[Distances], Use]
    reads: tuple[Use, ...]


class Applied(NamedTuple):
    """A box, mapped over the distances."""

    kind: Kind
    attrs: tuple[Any, ...]
    parts: tuple[Written, ...]
    bound: tuple[Label, ...] = ()


class Along(NamedTuple):
    """What is by distance, read for all pairs."""

    source: Written


Written = Read | Table | Applied | Along

# Functions that are finite where their arguments are, and so are their slopes.
MILD = frozenset([
    "abs", "cos", "equal", "erf", "floor", "less", "less_equal", "logical_and", "logical_not",
    "logical_or", "maximum", "minimum", "negate", "relu", "remainder", "sigmoid", "sign", "sin",
    "tanh", "to_float", "to_int", "where",
])  # fmt: skip


class Shift(NamedTuple):
    """An array of pairs, its rows and columns as its use labels them, and how it is written."""

    use: Use
    rows: Label
    columns: Label
    source: Written


class Offsets(Distances):
    """Distances of rows from columns, from the last row and first column: |rows| − 1 − place."""

    def __init__(self, right: Right, rows: Size, columns: Size) -> None:
        self.right, self.which, self.keys = right, ALL, columns
        self.label = Axis("distance")
        self.length, self.last = rows + columns - 1, rows - 1
        self.places = right.positions(self.label, self.length)

    def line(self, slope: int, constant: Size) -> Use:
        right, start = self.right, self.last * slope + constant
        term = self.places if slope == -1 else right.contract([right.number(-slope), self.places])
        return term if start == ZERO else right.add([term, right.number(start)])


def leaves(source: Written) -> Iterator[Read | Table]:
    """What an expression is made from."""
    if isinstance(source, Along):
        yield from leaves(source.source)
    elif isinstance(source, Applied):
        for part in source.parts:
            yield from leaves(part)
    else:
        yield source


def by_distance(place: Place, region: Region, kept: Collection[int]) -> dict[int, Shift]:
    """The arrays of pairs of a region that are written so, by their wires; the largest alone.

    What is made from the wires in `kept`, which are conditions that hide, stays: it is skipped. So
    does what may overflow at a distance that is hidden, since a table has all of them.
    """
    diagram = place.diagram
    found: dict[int, Shift] = {}
    hidden = _made_from(place, region, kept)
    todo = {diagram.owner[one.wire] for one in region.exits}
    for k in reversed(region.nodes):
        if k not in todo:
            continue
        node = diagram.nodes[k]
        shift = None if node.first in hidden else _read(place, region, k, bool(kept))
        if shift is None:
            todo.update(owner for owner in (diagram.owner[w] for w in node.src))
        else:
            found[node.first] = shift
            todo.update(
                diagram.owner[leaf.use[0]]
                for leaf in leaves(shift.source)
                if isinstance(leaf, Read)
            )
    return found


def _made_from(place: Place, region: Region, wires: Collection[int]) -> set[int]:
    """The wires of a region that are some of these or made from them; an integer hides nothing, nor
    does what is read at one.
    """
    found = set(wires)
    for k in region.nodes:
        node = place.diagram.nodes[k]
        if not found.isdisjoint(node.src):
            found.update(w for w in node.wires if place.diagram.types[w].dtype != "int")
    return found


def _read(place: Place, region: Region, k: int, mild: bool) -> Shift | None:
    node = place.diagram.nodes[k]
    rows, columns = region.rows[k], region.columns[k]
    (slots, *others) = node.box.outs
    if others or rows not in slots or columns not in slots or columns is None:
        return None
    use = place.result(node)
    if place.dtype(use) != "float" or read_line(place, use) is not None:
        return None
    query, key = (use[1][slots.index(axis)] for axis in (rows, columns))
    reader = _Reader(place, region, query, key, use)
    reader.mild = mild
    whole = reader.of(use)
    source = reader.in_part(use) if whole is None else Along(whole)
    if source is None or all(isinstance(leaf, Read) for leaf in leaves(source)):
        return None
    return Shift(use, query, key, source)


class _Reader:
    """Reads an array of rows and columns by distance."""

    def __init__(self, place: Place, region: Region, rows: Label, columns: Label, use: Use) -> None:
        self.place, self.region, self.rows, self.columns = place, region, rows, columns
        lengths = place.size(use, rows), place.size(use, columns)
        self.planner = Planner(place, rows, columns, lengths)
        self.mild = False  # whether it has to be finite at all distances

    def of(self, use: Use) -> Written | None:
        """A use by distance, or None where it hangs on the columns otherwise."""
        if self.columns not in use[1]:
            return Read(use)
        if self.rows in use[1]:
            plan = self.planner.of(use)
            if plan is not None:
                return self._table(use, plan)
        place, kind = self.place, self.place.kind(use)
        if kind is EXPAND:
            return self.of(place.open(use).uses[0])
        if kind is GATHER:
            opened = place.open(use)
            table, at = opened.uses
            plan = None if self.columns in table[1] else self.planner.of(at)
            places = None if plan is None else self._table(at, plan)
            return None if places is None else self._at(table, opened.bound[0], places)
        if kind not in (CONTRACT, ADD, POINTWISE):
            return None
        opened = place.open(use)
        if {self.rows, self.columns} & set(opened.bound):
            return None
        return self._applied(kind, opened.box.attrs, opened.uses, opened.bound, self.of)

    def in_part(self, use: Use) -> Written | None:
        """Σ_c q·(k + t), where t is by distance, as Σ_c q·k and Σ_c q·t."""
        place = self.place
        opened = place.open(use)
        if opened.box.kind is not CONTRACT or {self.rows, self.columns} & set(opened.bound):
            return None
        for k, one in enumerate(opened.uses):
            others = [*opened.uses[:k], *opened.uses[k + 1 :]]
            if place.kind(one) is not ADD or any(self.columns in x[1] for x in others):
                continue
            both = [(part, self.of(part)) for part in place.open(one).uses]
            rest = [Read(part) for part, source in both if source is None]
            along = [source for _, source in both if source is not None]
            if not rest or all(isinstance(leaf, Read) for x in along for leaf in leaves(x)):
                continue
            factors = [Read(x) for x in others]
            sums = [Applied(CONTRACT, (), (*factors, Applied(ADD, (), tuple(parts))), opened.bound)
                    for parts in (rest, along)]  # fmt: skip
            return Applied(ADD, (), (sums[0], Along(sums[1])))
        return None

    def _table(self, use: Use, plan: Plan) -> Table | None:
        inside = (self.place.diagram.owner[one[0]] in self.region.rows for one in plan.reads)
        if not plan.moves or any(inside) or (self.mild and not self._is_mild(use)):
            return None
        return Table(plan.write, plan.reads)

    def _is_mild(self, use: Use) -> bool:
        """Whether no function of distances can overflow, nor its slope."""
        if {self.rows, self.columns}.isdisjoint(use[1]):
            return True
        opened = self.place.open(use)
        if opened.box.kind is POINTWISE and opened.box["function"].name not in MILD:
            return False
        return all(self._is_mild(one) for one in opened.uses)

    @staticmethod
    def _applied(
        kind: Kind,
        attrs: tuple[Any, ...],
        uses: Sequence[Use],
        bound: Sequence[Label],
        inner: Callable[[Use], Written | None],
    ) -> Applied | None:
        parts: list[Written] = []
        for use in uses:
            part = inner(use)
            if part is None:
                return None
            parts.append(part)
        return Applied(kind, attrs, tuple(parts), tuple(bound))

    def _at(self, use: Use, axis: Label, places: Table) -> Written:
        """A table read along an axis at places by distance."""
        place = self.place
        if axis not in use[1]:
            return Read(use)
        if self.rows not in use[1]:

            def write(d: Distances) -> Use:
                read, here = d.right.copied(use), places.write(d)
                whole = d.table(read, axis, here)
                return whole or d.right.box(GATHER, (), [read, here], [axis])[0]

            return Table(write, (use, *places.reads))
        kind = place.kind(use)
        if kind in (CONTRACT, ADD, POINTWISE):
            opened = place.open(use)
            if not {self.rows, axis} & set(opened.bound):
                inner = self._applied(
                    kind,
                    opened.box.attrs,
                    opened.uses,
                    opened.bound,
                    lambda one: self._at(one, axis, places),
                )
                if inner is not None:
                    return inner
        return Applied(GATHER, (), (Read(use), places), (axis,))
