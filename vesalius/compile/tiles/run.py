"""Running a tile over all rows: some rows, and some of the outer tubes, at a time.

Nothing of the size rows × columns is ever whole: forward keeps the result alone, and backward
computes each tile again before it pulls back through it. What the result has for each row is
written once; a sum over rows is added up tile by tile. Blocks of columns that no row of a tile
sees are not computed. On a CPU, half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vesalius.compile.tiles.blocks import Blocks, Dims, Part, cut

_KNOWN: dict[int, Tiles] = {}
ENTRIES = {"cpu": 1 << 19, "cuda": 1 << 27}  # of the arrays of a tile with rows and columns
THREADS = 16  # at most, that have so many entries each on a CPU: a tile is as long as they all need
LEAST = 16  # rows in a block; half as many where arrays have further axes, so that they stay small
ROWS, PARTS = 64, 16  # where columns may be hidden: rows in a block, and blocks of rows, at least

# The C library gives back what is freed beyond twice the largest array that was freed so far, and
# each tile would take its pages anew: once an array of this size was freed, those are kept.
torch.empty(31 << 20, dtype=torch.uint8)


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
    shapes: tuple[tuple[tuple[int, int], ...], ...]
    rows_out: Dims = ()  # the first one of each, unless said
    columns_out: Dims = ()
    outer: tuple[Dims, ...] = ()
    outer_out: tuple[Dims, ...] = ()
    distances: Dims = ()
    results: int = 1
    weight: tuple[tuple[int, int], ...] = ()
    turned: tuple[tuple[int, ...], ...] = ()
    shared: Callable[..., Any] | None = None
    seen: Callable[..., Tensor] | None = None
    seen_inputs: tuple[int, ...] = ()  # what `seen` reads the bounds of
    seen_outer: tuple[int, ...] = ()  # the outer tubes that it tells apart
    key: int = field(init=False)  # the number by which the operators below know this object

    def __post_init__(self) -> None:
        if not self.distances:
            object.__setattr__(self, "distances", (None,) * len(self.rows))
        if not self.rows_out:
            object.__setattr__(self, "rows_out", (0,) * len(self.shapes))
        if not self.columns_out:
            object.__setattr__(self, "columns_out", (None,) * len(self.shapes))
        object.__setattr__(self, "key", len(_KNOWN))
        _KNOWN[self.key] = self

    def __call__(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The result for all rows, or several.

        An exported program is read elsewhere, where the number of this object means nothing: it
        gets the operations of one tile over all rows, which is not in linear memory.
        """
        learns = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
        if torch.compiler.is_exporting():
            found: Sequence[Tensor] = run_whole(self, inputs)
        elif torch.compiler.is_compiling():
            found = operator(self.key, list(inputs), learns)
        else:
            from vesalius.compile.tiles.functions import Tiled

            found = Tiled.apply(self, learns, *inputs)
        return found[0] if self.results == 1 else tuple(found[: self.results])


class Place(NamedTuple):
    """Some rows, a part of each outer tube, and the columns that are seen there.

    `distances` are those of these columns from these rows, from the last row on; there are none
    where columns are not in a row. `shared` is what all tiles with these rows and columns share.
    """

    rows: Part
    heads: tuple[Part, ...]
    columns: Part | Tensor
    distances: Part | None
    shared: tuple[Tensor, ...]


def room(device: str) -> int:
    """The entries of the arrays of a tile."""
    if device == "cpu":
        return ENTRIES["cpu"] * min(torch.get_num_threads(), THREADS)
    return ENTRIES.get(device, ENTRIES["cuda"])


def places(t: Tiles, inputs: Sequence[Tensor]) -> Iterator[Place]:
    """All rows in blocks, and for each block the parts of the outer tubes to run it for."""
    n, m = _length(inputs, t.rows), _length(inputs, t.columns)
    lengths = [_length(inputs, dims) for dims in t.outer]
    if n == 0 or 0 in lengths:
        return
    device = inputs[0].device
    entries = room(device.type)
    weight = 1
    for k, d in t.weight:
        weight *= max(inputs[k].shape[d], 1)
    block = max(entries // (max(m, 1) * weight), 1)
    by_distance = any(dim is not None for dim in t.distances)
    if by_distance:
        block = min(block, max(m, ROWS))  # a tile makes rows × distances
    block = n if block >= n else max(block // 32 * 32, min(n, LEAST // 2 if weight > 1 else LEAST))
    blocks = _blocks(t, inputs, m) if m else None
    if blocks is not None:
        block = min(block, max(-(-n // PARTS), ROWS))
    start = 0
    while start < n:
        rows, width, most = (start, min(block, n - start)), m, list(lengths)
        seen = None if blocks is None else blocks.seen_by(rows)
        if blocks is not None and seen is not None:
            width = blocks.width(seen)
            if rows[1] == block < ROWS and ROWS * width * weight <= entries:
                block = ROWS
                continue  # so few columns are seen that there is room for more rows
            most = _alike(t, seen, lengths, entries // (16 * rows[1] * width * weight))
        start += rows[1]
        given = [cut(x, d, rows) for x, d in zip(inputs, t.rows, strict=True)]
        columns: Part | Tensor = (0, m)
        shared: tuple[Tensor, ...] | None = None
        at_once = max(entries // (max(width, 1) * weight * rows[1]), 1)
        for heads in _parts(lengths, most, at_once):
            if blocks is not None and seen is not None and (shared is None or t.seen_outer):
                columns, shared = blocks.of(_part_of(t, seen, heads), device, by_distance), None
            distances = _distances(rows, columns, n)
            if shared is None:
                read = [cut(x, d, columns) for x, d in zip(given, t.columns, strict=True)]
                shared = _shared(
                    t, [cut(x, d, distances) for x, d in zip(read, t.distances, strict=True)]
                )
            yield Place(rows, heads, columns, distances, shared)


def _distances(rows: Part, columns: Part | Tensor, n: int) -> Part | None:
    """The places of a table by distance that some of n rows read at some columns."""
    if isinstance(columns, Tensor):
        return None
    (i, height), (j, width) = rows, columns
    return j + n - i - height, height + width - 1


def _blocks(t: Tiles, inputs: Sequence[Tensor], m: int) -> Blocks | None:
    """The blocks of columns, if a mask may hide any."""
    if t.seen is None or captured(inputs[0]):
        return None  # a graph is replayed for other masks than that which is there now
    read = [inputs[k] for k in t.seen_inputs]
    rows, columns = ([dims[k] for k in t.seen_inputs] for dims in (t.rows, t.columns))
    return Blocks(t.seen, read, rows, columns, m)


def captured(x: Tensor) -> bool:
    """Whether what is done to a tensor becomes part of a CUDA graph."""
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


def _length(inputs: Sequence[Tensor], dims: Dims) -> int:
    return next(x.shape[d] for x, d in zip(inputs, dims, strict=True) if d is not None)


def _alike(t: Tiles, seen: Tensor, lengths: Sequence[int], at_once: int) -> list[int]:
    """How long a part of each outer tube may be, for what is seen to be much the same in it.

    Where it differs, a part holds only as many places as a tile of some size needs.
    """
    most = list(lengths)
    for dim, k in enumerate(t.seen_outer):
        if not seen.eq(seen.narrow(dim, 0, 1)).all():
            inner = 1
            for length in lengths[k + 1 :]:
                inner *= length
            most[k] = max(at_once // inner, 1)
    return most


def _part_of(t: Tiles, seen: Tensor, heads: Sequence[Part]) -> Tensor:
    for dim, k in enumerate(t.seen_outer):
        seen = seen.narrow(dim, *heads[k])
    return seen


def _parts(lengths: Sequence[int], most: Sequence[int], at_once: int) -> Iterator[tuple[Part, ...]]:
    """The outer places, about so many at once: the last tube is cut last."""
    if not lengths:
        yield ()
        return
    inner = 1
    for length in lengths[1:]:
        inner *= length
    step = min(max(at_once // inner, 1), lengths[0], most[0])
    for start in range(0, lengths[0], step):
        for rest in _parts(lengths[1:], most[1:], max(at_once // step, 1)):
            yield ((start, min(step, lengths[0] - start)), *rest)


def _view(t: Tiles, k: int, x: Tensor, place: Place) -> Tensor:
    """The rows, the distances and the outer places of input k that a tile reads."""
    x = cut(cut(x, t.rows[k], place.rows), t.distances[k], place.distances)
    for dims, part in zip(t.outer, place.heads, strict=True):
        x = cut(x, dims[k], part)
    return x


def _read(t: Tiles, inputs: Sequence[Tensor], place: Place) -> list[Tensor]:
    """What a tile reads."""
    return [
        _wide(cut(_view(t, k, x, place), t.columns[k], place.columns)) for k, x in enumerate(inputs)
    ]


def _accumulate(total: Tensor, dim: int | None, columns: Part | Tensor, part: Tensor) -> None:
    """Add to a sum over tiles what one found for some columns, which are a dimension if any."""
    if dim is not None and isinstance(columns, Tensor):
        total.index_add_(dim, columns, part.to(total.dtype))
    else:
        cut(total, dim, columns).add_(part)


def _view_out(t: Tiles, k: int, y: Tensor, place: Place) -> Tensor:
    """The rows and the outer places of what forward gives that a tile finds."""
    y = cut(y, t.rows_out[k], place.rows)
    for dims, part in zip(t.outer_out, place.heads, strict=True):
        y = cut(y, dims[k], part)
    return y


def _wide(x: Tensor) -> Tensor:
    """Half precision in float32, but on a GPU, whose matrix units take it and add up in float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) and not x.is_cuda else x


def empty(t: Tiles, inputs: Sequence[Tensor], learns: bool = False) -> list[Tensor]:
    """Results that are still to be filled and, where it learns, what is kept for backward.

    What is kept is as exact as a tile makes it on a CPU.
    """
    like = next(x for x in inputs if x.is_floating_point())
    wide = torch.promote_types(like.dtype, torch.float32)
    return [
        like.new_empty(
            [inputs[i].shape[d] for i, d in shape], dtype=like.dtype if k < t.results else wide
        )
        for k, shape in enumerate(t.shapes[: None if learns else t.results])
    ]


def run(t: Tiles, inputs: Sequence[Tensor], learns: bool = False) -> list[Tensor]:
    """The results and, where it learns, what is kept for backward."""
    made = empty(t, inputs, learns)
    totals = [_zeros(x) if d is None else x for x, d in zip(made, t.rows_out, strict=False)]
    for place in places(t, inputs):
        found = _all(t.forward(*_read(t, inputs, place), *place.shared))
        for k, total in enumerate(totals):
            view = _view_out(t, k, total, place)
            if t.rows_out[k] is None:
                _accumulate(view, t.columns_out[k], place.columns, found[k])
            else:
                view.copy_(found[k])
    return [total.to(x.dtype) for x, total in zip(made, totals, strict=True)]


def run_whole(t: Tiles, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The results as one tile, in operations of torch alone."""
    found = _all(t.forward(*[_wide(x) for x in inputs], *_shared(t, inputs)))
    return [y.to(x.dtype) for x, y in zip(empty(t, inputs), found, strict=False)]


def _all(made: Any) -> tuple[Tensor, ...]:
    """What a function of the text gives, as a tuple also where it is one."""
    return made if isinstance(made, tuple) else (made,)


def _shared(t: Tiles, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What all tiles of the given rows and columns share."""
    if t.shared is None:
        return ()
    return _all(t.shared(*inputs))


def run_back(
    t: Tiles, inputs: Sequence[Tensor], kept: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    """The gradients of the inputs that are floats, in order."""
    if t.results + len(kept) < len(t.shapes):  # nobody said that something learns, as under vmap
        kept = run(t, inputs, True)[t.results :]
    floats = [k for k, x in enumerate(inputs) if x.is_floating_point()]
    back = [_order_back(order) for order in t.turned]
    totals = [_zeros(inputs[k], order) for k, order in zip(floats, t.turned, strict=True)]
    for place in places(t, inputs):
        pulled = [
            _wide(cut(_view_out(t, k, dy, place), t.columns_out[k], place.columns))
            for k, dy in enumerate(cotangents)
        ]
        known = [
            _view_out(t, k, x, place).to(pulled[0].dtype) for k, x in enumerate(kept, t.results)
        ]
        found = _all(t.backward(*pulled, *_read(t, inputs, place), *place.shared, *known))
        for k, total, part, order in zip(floats, totals, found, back, strict=True):
            part = part.permute(order) if order else part
            _accumulate(_view(t, k, total, place), t.columns[k], place.columns, part)
    return [_like(inputs[k], total) for k, total in zip(floats, totals, strict=True)]


def _zeros(x: Tensor, order: Sequence[int] = ()) -> Tensor:
    """Zeros of the shape of an array; in memory, its dimensions are in this order.

    Sums over many tiles are kept in float32.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    if not order:
        return torch.zeros_like(x, dtype=dtype)
    shape = [x.shape[d] for d in order]
    return torch.zeros(shape, dtype=dtype, device=x.device).permute(_order_back(order))


def _order_back(order: Sequence[int]) -> list[int]:
    """The permutation that undoes one."""
    return [order.index(d) for d in range(len(order))]


def _like(x: Tensor, total: Tensor) -> Tensor:
    """A gradient as its input lies in memory."""
    made = torch.empty_like(x)
    if total.dtype == x.dtype and total.stride() == made.stride():
        return total
    _copy(made, total)
    return made


def _copy(to: Tensor, x: Tensor) -> None:
    """Copy on a CPU matrix by matrix: so PyTorch turns them quickly."""
    if to.dim() < 3 or to.is_cuda:
        to.copy_(x)
        return
    for one, other in zip(to, x, strict=True):
        _copy(one, other)


def whole_back(
    t: Tiles, inputs: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The gradients as one tile, in operations of torch alone; not in linear memory."""
    given = [*inputs, *_shared(t, inputs)]
    found = _all(t.backward(*cotangents, *given, *_all(t.forward(*given))[t.results :]))
    back = [_order_back(order) for order in t.turned]
    return tuple(x.permute(order) if order else x for x, order in zip(found, back, strict=True))


def where_floats(inputs: Sequence[Tensor], found: Iterator[Tensor], others: bool = False) -> Any:
    """For each input that is a float the next of what was found; None, or itself, for others."""
    return [next(found) if x.is_floating_point() else x if others else None for x in inputs]


# -- as operators of torch, which compilers and exporters take as they are -------------------------


@torch.library.custom_op("vesalius::tiles", mutates_args=())
def operator(key: int, inputs: Sequence[Tensor], learns: bool) -> list[Tensor]:
    """`run`, for tiles that are known by a number."""
    return run(_KNOWN[key], inputs, learns)


@operator.register_fake
def _(key: int, inputs: Sequence[Tensor], learns: bool) -> list[Tensor]:
    return empty(_KNOWN[key], inputs, learns)


@torch.library.custom_op("vesalius::tiles_back", mutates_args=())
def operator_back(
    key: int, inputs: Sequence[Tensor], kept: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    """`run_back`, for tiles that are known by a number."""
    return run_back(_KNOWN[key], inputs, kept, cotangents)


@operator_back.register_fake
def _(
    key: int, inputs: Sequence[Tensor], kept: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Tensor]:
    return [torch.empty_like(x) for x in inputs if x.is_floating_point()]


def _save(ctx: Any, inputs: tuple[int, Sequence[Tensor], bool], output: list[Tensor]) -> None:
    ctx.key, given, _ = inputs
    ctx.given = len(given)
    ctx.save_for_backward(*given, *output[_KNOWN[ctx.key].results :])


def _back(ctx: Any, cotangents: Sequence[Tensor]) -> tuple[None, list[Tensor | None], None]:
    """What is kept is read by backward alone, so nobody gives cotangents of it."""
    given, kept = ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
    pulled = list(cotangents[: _KNOWN[ctx.key].results])
    grads = iter(operator_back(ctx.key, given, kept, pulled))
    return None, where_floats(given, grads), None


operator.register_autograd(_back, setup_context=_save)


@operator.register_vmap
def _(
    info: Any, dims: Any, key: int, inputs: Sequence[Tensor], learns: bool
) -> tuple[list[Tensor], list[int]]:
    return _stacked([operator(key, x, learns) for x in _examples(info, inputs, dims[1])])


@operator_back.register_vmap
def _(
    info: Any,
    dims: Any,
    key: int,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    cotangents: Sequence[Tensor],
) -> tuple[list[Tensor], list[int]]:
    n, m = len(inputs), len(inputs) + len(kept)
    examples = _examples(info, [*inputs, *kept, *cotangents], [d for row in dims[1:] for d in row])
    return _stacked([operator_back(key, x[:n], x[n:m], x[m:]) for x in examples])


def _examples(
    info: Any, inputs: Sequence[Tensor], dims: Sequence[int | None]
) -> Iterator[list[Tensor]]:
    """What a batch of `vmap` holds, one example after the other."""
    for k in range(info.batch_size):
        yield [x if d is None else x.select(d, k) for x, d in zip(inputs, dims, strict=True)]


def _stacked(found: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], list[int]]:
    stacked = [torch.stack(examples) for examples in zip(*found, strict=True)]
    return stacked, [0] * len(stacked)
