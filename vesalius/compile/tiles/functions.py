"""Tiles as functions that torch differentiates: in both modes, again, and for many examples.

The first derivative in reverse mode is in linear memory. All others go through one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from vesalius.compile.tiles import run
from vesalius.compile.tiles.run import Tiles, empty, where_floats, whole_back


class Tiled(torch.autograd.Function):
    """The results and what is kept, in linear memory, and so the first derivative in reverse."""

    generate_vmap_rule = True

    @staticmethod
    def forward(t: Tiles, learns: bool, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(run.operator(t.key, list(inputs), learns))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.tiles, _, *given = inputs
        ctx.given = len(given)
        kept = output[ctx.tiles.results :]
        ctx.save_for_backward(*given, *kept)
        ctx.save_for_forward(*given, *kept)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        t, given, kept = ctx.tiles, ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
        grads = iter(TiledBack.apply(t, len(given), *cotangents[: t.results], *given, *kept))
        return None, None, *where_floats(given, grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        """The transpose of the derivative, which is linear in the cotangent: any will do."""
        t, given, kept = ctx.tiles, ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
        zeros = map(torch.zeros_like, empty(t, given))
        pull = torch.func.vjp(lambda *d: whole_back(t, given, d), *zeros)[1]
        return *pull(_directions(given, tangents[2:])), *map(torch.zeros_like, kept)


class TiledBack(torch.autograd.Function):
    """The gradients of the inputs that are floats; differentiated again, it is one tile.

    The tensors are the cotangents, so many inputs, and what was kept, which follows from them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(t: Tiles, inputs: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ends = [0, t.results, t.results + inputs, len(tensors)]
        cotangents, given, kept = (list(tensors[i:j]) for i, j in pairwise(ends))
        return tuple(run.operator_back(t.key, given, kept, cotangents))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.tiles, count, *tensors = inputs
        read = ctx.tiles.results + count
        ctx.kept = len(tensors) - read
        ctx.save_for_backward(*tensors[:read])
        ctx.save_for_forward(*tensors[:read])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        whole, floats = _whole_again(ctx)
        grads = iter(torch.func.vjp(whole, *floats)[1](cotangents))
        return None, None, *where_floats(ctx.saved_tensors, grads), *[None] * ctx.kept

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        whole, floats = _whole_again(ctx)
        found, pull = torch.func.vjp(whole, *floats)[:2]
        push = torch.func.vjp(lambda *d: pull(d), *map(torch.zeros_like, found))[1]
        given = ctx.saved_tensors
        pushed: tuple[Tensor, ...] = push(_directions(given, tangents[2 : 2 + len(given)]))
        return pushed


def _whole_again(ctx: Any) -> tuple[Callable[..., tuple[Tensor, ...]], list[Tensor]]:
    """`whole_back` as a function of all that are floats, the cotangents first, and those."""
    given, results = ctx.saved_tensors, ctx.tiles.results

    def whole(*floats: Tensor) -> tuple[Tensor, ...]:
        read = where_floats(given, iter(floats), others=True)
        return whole_back(ctx.tiles, read[results:], read[:results])

    return whole, [x for x in given if x.is_floating_point()]


def _directions(inputs: Sequence[Tensor], tangents: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The tangents of the inputs that are floats."""
    pairs = zip(inputs, tangents, strict=True)
    return tuple(torch.zeros_like(x) if d is None else d for x, d in pairs if x.is_floating_point())
