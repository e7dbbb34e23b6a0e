"""Which columns a tile computes: those in blocks that some of its rows may see.

The bounds of what a mask reads are found once for each block of columns and once for the rows of a
tile, so a mask of all pairs is never made, neither whole nor for these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Dims = tuple["int | None", ...]
Part = tuple[int, int]  # where a part of an axis starts, and how long it is

LEAST, MOST = 32, 256  # columns in a block, at least; blocks, at most
GAPS = 0.75  # of a stretch is computed: then all of it is, gaps too


def column_block(m: int) -> int:
    """The columns of a block, of m in all."""
    return max(LEAST, -(-m // MOST))


def cut(x: Tensor, dim: int | None, part: Part | Tensor | None) -> Tensor:
    """A part of a tensor along a dimension; all of it where there is none."""
    if dim is None or part is None:
        return x
    if isinstance(part, Tensor):
        return x.index_select(dim, part)
    return x if part == (0, x.shape[dim]) else x.narrow(dim, *part)


class Blocks:
    """The blocks of columns that rows may see.

    `seen` takes the least and the largest of each of `inputs`, over some rows and over each block
    of columns, and returns truth values: for each place of some outer tubes, for each block.
    """

    def __init__(
        self,
        seen: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        rows: Sequence[int | None],
        columns: Sequence[int | None],
        m: int,
    ) -> None:
        self.seen, self.inputs, self.rows, self.columns, self.m = seen, inputs, rows, columns, m
        self.size = column_block(m)
        # What has no rows is the same for all of them.
        self.fixed = [
            None if d is not None else self._bounds(x, None, e)
            for x, d, e in zip(inputs, rows, columns, strict=True)
        ]

    def _bounds(self, x: Tensor, row: int | None, column: int | None) -> tuple[Tensor, Tensor]:
        low = high = x
        if row is not None:
            low, high = x.amin(row, keepdim=True), x.amax(row, keepdim=True)
        if column is not None:
            low, high = (self._in_blocks(end, column) for end in (low, high))
            low, high = low.amin(column + 1), high.amax(column + 1)
        if row is not None:
            low, high = low.squeeze(row), high.squeeze(row)
        return (low, high) if x.dtype == torch.bool else (low.double(), high.double())

    def _in_blocks(self, x: Tensor, dim: int) -> Tensor:
        """A dimension of columns as blocks by columns; the last column fills up the last block."""
        count = -(-self.m // self.size)
        if count * self.size > self.m:
            places = torch.arange(count * self.size, device=x.device).clamp(max=self.m - 1)
            x = x.index_select(dim, places)
        return x.unflatten(dim, (count, self.size))

    def seen_by(self, rows: Part) -> Tensor:
        """For each block of columns, whether some of the rows may see it."""
        ends: list[Tensor] = []
        for x, d, e, fixed in zip(self.inputs, self.rows, self.columns, self.fixed, strict=True):
            ends += fixed or self._bounds(cut(x, d, rows), d, e)
        return self.seen(*ends).cpu()

    def width(self, seen: Tensor) -> int:
        """How many columns are seen at most, at any place of the outer tubes."""
        return min(max(int(seen.sum(-1).max()), 1) * self.size, self.m)

    def of(self, seen: Tensor, device: torch.device, in_a_row: bool = False) -> Part | Tensor:
        """The columns to compute; at least one, so that there is something to normalise.

        Columns `in_a_row` are all those from the first to the last that is seen.
        """
        (found,) = seen.reshape(-1, seen.shape[-1]).any(0).nonzero(as_tuple=True)
        if not len(found):
            return 0, 1
        first, last = int(found[0]), int(found[-1])
        start, stop = first * self.size, min((last + 1) * self.size, self.m)
        if in_a_row or len(found) >= GAPS * (last + 1 - first):
            return start, stop - start
        places = found[:, None] * self.size + torch.arange(self.size)
        return places[places < self.m].to(device)
