"""Running a tile over all rows: some rows, and some of the outer tubes, at a time.

Nothing of the size rows × columns is ever whole: forward keeps the result alone, and backward
computes each tile again before it pulls back through it. Columns that no row of a tile sees are not
computed. On a CPU, half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

Dims = tuple["int | None", ...]
Part = tuple[int, int]  # where a part of an axis starts, and how long it is

_KNOWN: dict[int, Tiles] = {}
ENTRIES = {"cpu": 1 << 18, "cuda": 1 << 27}  # of the arrays of a tile with rows and columns


@dataclass(frozen=True, eq=False)
class Tiles:
    """A tile's functions, and how its inputs are cut (`vesalius.compile.tiles.plan.Cuts`).

    `weight` is the number of entries of the largest array for each row, column and outer place, or
    names an input and a dimension that is as long as a further axis.
    """

    forward: Callable[..., Tensor]
    backward: Callable[..., Any]
    rows: Dims
    columns: Dims
    outer: tuple[Dims, ...]
    rows_out: int
    outer_out: tuple[int, ...]
    shape: tuple[tuple[int, int], ...]
    weight: tuple[tuple[int, int], ...] = ()
    shared: Callable[..., Any] | None = None
    seen: Callable[..., Tensor] | None = None
    key: int = field(init=False)  # the number by which the operators below know this object

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", len(_KNOWN))
        _KNOWN[self.key] = self

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The result for all rows.

        An exported program is read elsewhere, where the number of this object means nothing: it
        gets the operations of one tile over all rows, which is not in linear memory.
        """
        if torch.compiler.is_exporting():
            return run_whole(self, inputs)
        found: Tensor = _tiles(self.key, list(inputs))
        return found


class Place(NamedTuple):
    """Some rows with the columns that they see, and what all their tiles share."""

    rows: Part
    columns: Part
    shared: tuple[Tensor, ...]


def places(t: Tiles, inputs: Sequence[Tensor]) -> Iterator[tuple[Place, list[tuple[Part, ...]]]]:
    """The rows in blocks, with the parts of the outer tubes to run each for."""
    n, m = _length(inputs, t.rows), _length(inputs, t.columns)
    lengths = [_length(inputs, dims) for dims in t.outer]
    if n == 0 or 0 in lengths:
        return
    entries = ENTRIES.get(inputs[0].device.type, ENTRIES["cuda"])
    wide = max(m, 1)
    for k, d in t.weight:
        wide *= max(inputs[k].shape[d], 1)
    block = max(entries // wide, 1)
    block = n if block >= n else max(block // 32 * 32, min(n, 16))
    heads = list(_parts(lengths, max(entries // (wide * block), 1)))
    for start in range(0, n, block):
        rows = (start, min(block, n - start))
        given = [
            x if d is None else x.narrow(d, *rows) for x, d in zip(inputs, t.rows, strict=True)
        ]
        columns = _columns(t, given, m)
        seen = [_cut(x, d, columns) for x, d in zip(given, t.columns, strict=True)]
        yield Place(rows, columns, _shared(t, seen)), heads


def _length(inputs: Sequence[Tensor], dims: Dims) -> int:
    return next(x.shape[d] for x, d in zip(inputs, dims, strict=True) if d is not None)


def _parts(lengths: Sequence[int], at_once: int) -> Iterator[tuple[Part, ...]]:
    """The outer places, about so many at once: the last tube is cut last."""
    if not lengths:
        yield ()
        return
    inner = 1
    for length in lengths[1:]:
        inner *= length
    step = min(max(at_once // inner, 1), lengths[0])
    for start in range(0, lengths[0], step):
        for rest in _parts(lengths[1:], max(at_once // step, 1)):
            yield ((start, min(step, lengths[0] - start)), *rest)


def _columns(t: Tiles, given: Sequence[Tensor], m: int) -> Part:
    """The columns from the first to the last that some row sees; at least one, if there is one."""
    if t.seen is None or m == 0:
        return 0, m
    found = t.seen(*given).nonzero()
    if not len(found):
        return 0, 1
    first, last = int(found[0]), int(found[-1])
    return first, last + 1 - first


def _cut(x: Tensor, dim: int | None, part: Part) -> Tensor:
    return x if dim is None or part == (0, x.shape[dim]) else x.narrow(dim, *part)


def _view(t: Tiles, k: int, x: Tensor, place: Place, heads: Sequence[Part]) -> Tensor:
    """What a tile reads of input k."""
    x = _cut(_cut(x, t.rows[k], place.rows), t.columns[k], place.columns)
    for dims, part in zip(t.outer, heads, strict=True):
        x = _cut(x, dims[k], part)
    return x


def _view_out(t: Tiles, y: Tensor, place: Place, heads: Sequence[Part]) -> Tensor:
    """Where a tile writes."""
    y = _cut(y, t.rows_out, place.rows)
    for dim, part in zip(t.outer_out, heads, strict=True):
        y = _cut(y, dim, part)
    return y


def _wide(x: Tensor) -> Tensor:
    """Half precision in float32, but on a GPU, whose matrix units take it and add up in float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) and not x.is_cuda else x


def _empty(t: Tiles, inputs: Sequence[Tensor]) -> Tensor:
    like = next(x for x in inputs if x.is_floating_point())
    return like.new_empty([inputs[k].shape[d] for k, d in t.shape])


def run(t: Tiles, inputs: Sequence[Tensor]) -> Tensor:
    """The result."""
    result = _empty(t, inputs)
    for place, parts in places(t, inputs):
        for heads in parts:
            given = [_wide(_view(t, k, x, place, heads)) for k, x in enumerate(inputs)]
            _view_out(t, result, place, heads).copy_(t.forward(*given, *place.shared))
    return result


def run_whole(t: Tiles, inputs: Sequence[Tensor]) -> Tensor:
    """The result as one tile, in operations of torch alone."""
    given = [_wide(x) for x in inputs]
    return t.forward(*given, *_shared(t, inputs)).to(_empty(t, inputs).dtype)


def _shared(t: Tiles, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What all tiles of the given rows and columns share."""
    if t.shared is None:
        return ()
    made = t.shared(*inputs)
    return made if isinstance(made, tuple) else (made,)


def run_back(t: Tiles, inputs: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    """The gradients of the inputs that are floats, in order."""
    floats = [k for k, x in enumerate(inputs) if x.is_floating_point()]
    # Sums over many tiles are kept in float32.
    totals = [
        torch.zeros_like(inputs[k], dtype=torch.promote_types(inputs[k].dtype, torch.float32))
        for k in floats
    ]
    for place, parts in places(t, inputs):
        for heads in parts:
            given = [_wide(_view(t, k, x, place, heads)) for k, x in enumerate(inputs)]
            dy = _wide(_view_out(t, cotangent, place, heads))
            found = t.backward(*given, *place.shared, dy)
            found = found if isinstance(found, tuple) else (found,)
            for k, total, part in zip(floats, totals, found, strict=True):
                _view(t, k, total, place, heads).add_(part)
    return [total.to(inputs[k].dtype) for k, total in zip(floats, totals, strict=True)]


# -- as operators of torch, which compilers and exporters take as they are -------------------------


@torch.library.custom_op("vesalius::tiles", mutates_args=())
def _tiles(key: int, inputs: Sequence[Tensor]) -> Tensor:
    return run(_KNOWN[key], inputs)


@_tiles.register_fake
def _(key: int, inputs: Sequence[Tensor]) -> Tensor:
    return _empty(_KNOWN[key], inputs)


@torch.library.custom_op("vesalius::tiles_back", mutates_args=())
def _tiles_back(key: int, inputs: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    return run_back(_KNOWN[key], inputs, cotangent)


@_tiles_back.register_fake
def _(key: int, inputs: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    return [torch.empty_like(x) for x in inputs if x.is_floating_point()]


def _save(ctx: Any, inputs: tuple[int, Sequence[Tensor]], output: Tensor) -> None:
    ctx.key, given = inputs
    ctx.save_for_backward(*given)


def _whole_back(t: Tiles, inputs: Sequence[Tensor], cotangent: Tensor) -> Sequence[Tensor]:
    """The gradients as one tile, which can be differentiated again; not in linear memory."""
    found = t.backward(*inputs, *_shared(t, inputs), cotangent)
    return found if isinstance(found, tuple) else (found,)


def _back(ctx: Any, cotangent: Tensor) -> tuple[None, list[Tensor | None]]:
    given = ctx.saved_tensors
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        grads = iter(_whole_back(_KNOWN[ctx.key], given, cotangent))
    else:
        grads = iter(_tiles_back(ctx.key, given, cotangent))
    return None, [next(grads) if x.is_floating_point() else None for x in given]


_tiles.register_autograd(_back, setup_context=_save)
