"""Which part of all pairs masks show, so far as that can be read: at nominal lengths, by blocks."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from vesalius.compile.kernels.kernel import Place
from vesalius.compile.scores import Condition, Line, at_least_zero, read_line
from vesalius.compile.terms import Use
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.builder import Label
from vesalius.diagrams.sizes import Size

SAMPLES = 256  # positions at which masks are looked at
BY_DATA = 0.25  # the part of the pairs that data are taken to show: four segments in a row


def shown(
    place: Place,
    conditions: Iterable[Condition],
    axes: tuple[Label, Label],
    lengths: tuple[Size, Size],
    block: int,
) -> float:
    """The part of the pairs of rows and columns for which a block of rows sees the column.

    Only conditions that compare positions are evaluated. If one compares data of the rows with
    data of the columns, a part is guessed; all others are taken to show everything.
    """
    lines: list[Line] = []
    share = 1.0
    for one in conditions:
        line = at_least_zero(place, one)
        if line is not None and line.slopes.keys() <= set(axes):
            lines.append(line)
        elif line is None and _is_of_both(place, one.use, axes):
            share = BY_DATA
    if not lines:
        return share
    n, m = (place.target.length(size) for size in lengths)
    constants = [(line, place.target.integer(line.constant)) for line in lines]
    return share * _seen(constants, axes, n, m, min(block, n))


def _seen(
    lines: list[tuple[Line, int]], axes: tuple[Label, Label], n: int, m: int, block: int
) -> float:
    import numpy as np

    row, column = axes
    starts = np.arange(0, n, block * ceil(n / block / SAMPLES))
    inside = np.arange(0, block, max(block // SAMPLES, 1))
    columns = np.unique(np.linspace(0, m - 1, min(m, SAMPLES)).round())
    rows = np.minimum(starts[:, None] + inside, n - 1)[:, :, None]
    seen: np.ndarray = np.ones((starts.size, inside.size, columns.size), dtype=bool)
    for line, constant in lines:
        height = line.slopes.get(row, 0) * rows + line.slopes.get(column, 0) * columns
        seen &= height + constant >= 0
    return max(float(np.any(seen, axis=1).mean()), 1 / m)


def _is_of_both(place: Place, use: Use, axes: tuple[Label, Label]) -> bool:
    """Whether truth values of pairs are made from data of rows and data of columns, as segments."""
    todo, sides = [use], set[Label]()
    while todo:
        one = todo.pop()
        if set(axes) <= set(one[1]):
            if place.kind(one) not in (POINTWISE, ADD, CONTRACT, EXPAND):
                return False
            todo += place.open(one).uses
        elif read_line(place, one) is None:
            sides.update(set(axes) & set(one[1]))
    return len(sides) == 2
