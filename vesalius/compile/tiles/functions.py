"""Tiles as functions that torch differentiates: in both modes, again, and for many examples.

The first derivative in reverse mode is in linear memory. All others go through one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vesalius.compile.tiles import run
from vesalius.compile.tiles.run import Tiles, empty, where_floats, whole_back


class Tiled(torch.autograd.Function):
    """The result and what is kept, in linear memory, and so the first derivative in reverse."""

    generate_vmap_rule = True

    @staticmethod
    def forward(t: Tiles, learns: bool, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(run.operator(t.key, list(inputs), learns))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.tiles, _, *given = inputs
        ctx.given = len(given)
        ctx.save_for_backward(*given, *output[1:])
        ctx.save_for_forward(*given, *output[1:])

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        t, given, kept = ctx.tiles, ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
        grads = iter(TiledBack.apply(t, len(given), cotangent, *given, *kept))
        return None, None, *where_floats(given, grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        """The transpose of the derivative, which is linear in the cotangent: any will do."""
        t, given, kept = ctx.tiles, ctx.saved_tensors[: ctx.given], ctx.saved_tensors[ctx.given :]
        pull = torch.func.vjp(lambda d: whole_back(t, given, d), empty(t, given).zero_())[1]
        found: Tensor = pull(_directions(given, tangents[2:]))[0]
        return found, *map(torch.zeros_like, kept)


class TiledBack(torch.autograd.Function):
    """The gradients of the inputs that are floats; differentiated again, it is one tile.

    The tensors are the cotangent, so many inputs, and what was kept, which follows from them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(t: Tiles, inputs: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        cotangent, given, kept = tensors[0], tensors[1 : 1 + inputs], tensors[1 + inputs :]
        return tuple(run.operator_back(t.key, list(given), list(kept), cotangent))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.tiles, count, *tensors = inputs
        ctx.kept = len(tensors) - 1 - count
        ctx.save_for_backward(*tensors[: 1 + count])
        ctx.save_for_forward(*tensors[: 1 + count])

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
    """`whole_back` as a function of all that are floats, the cotangent first, and those."""
    given = ctx.saved_tensors

    def whole(*floats: Tensor) -> tuple[Tensor, ...]:
        cotangent, *inputs = where_floats(given, iter(floats), others=True)
        return whole_back(ctx.tiles, inputs, cotangent)

    return whole, [x for x in given if x.is_floating_point()]


def _directions(inputs: Sequence[Tensor], tangents: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The tangents of the inputs that are floats."""
    pairs = zip(inputs, tangents, strict=True)
    return tuple(torch.zeros_like(x) if d is None else d for x, d in pairs if x.is_floating_point())
