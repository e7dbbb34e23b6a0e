"""Calls of `flex_attention` written by hand, compiled: the best on a GPU for changed scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

torch._dynamo.config.recompile_limit = 256  # one function for all cases; else it is not compiled
attend: Any = torch.compile(flex_attention, dynamic=False)


def _future(b: Any, h: Any, i: Any, j: Any) -> Any:
    return j <= i


def _near(b: Any, h: Any, i: Any, j: Any) -> Any:
    return (j <= i) & (i - j < 256)


@cache
def _blocks(mask: Callable[..., Any], n: int, device: torch.device) -> BlockMask:
    return create_block_mask(mask, None, None, n, n, device=device, _compile=True)


def softcap(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """20·tanh(scores/20), causal."""

    def capped(score: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return 20 * torch.tanh(score / 20)

    blocks = _blocks(_future, q.shape[2], q.device)
    found: torch.Tensor = attend(q, k, v, score_mod=capped, block_mask=blocks)
    return found


def window(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The last 256 keys."""
    found: torch.Tensor = attend(q, k, v, block_mask=_blocks(_near, q.shape[2], q.device))
    return found


_documents: list[tuple[torch.Tensor, BlockMask]] = []


def documents(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, document: torch.Tensor
) -> torch.Tensor:
    """Keys of the same document up to now; the mask is made once for a batch, as in training."""
    if not _documents or _documents[0][0] is not document:

        def same(b: Any, h: Any, i: Any, j: Any) -> Any:
            return (j <= i) & (document[b, i] == document[b, j])

        n = q.shape[2]
        made = create_block_mask(same, q.shape[0], None, n, n, device=q.device, _compile=True)
        _documents[:] = [(document, made)]
    found: torch.Tensor = attend(q, k, v, block_mask=_documents[0][1])
    return found


def relative(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """A bias for each head and distance, causal."""

    def biased(score: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return score + table[h, i - j]

    blocks = _blocks(_future, q.shape[2], q.device)
    options = {"num_stages": 2}  # else it needs more shared memory than there is
    found: torch.Tensor = attend(
        q, k, v, score_mod=biased, block_mask=blocks, kernel_options=options
    )
    return found


def alibi(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """A bias that falls with the distance to either side."""

    def biased(score: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return score - slope[h] * (i - j).abs()

    found: torch.Tensor = attend(q, k, v, score_mod=biased)
    return found
