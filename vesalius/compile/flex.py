"""Running `flex_attention`: masks of blocks, compiled calls, and what to do where it fails.

A plain call of `flex_attention` writes all scores, so each object compiles its call: once for the
first shapes, once more, for all shapes, when a length changes. The first call of each kind is
tried out, backward too: where a kernel needs more shared memory than the device has, it is
compiled again with fewer stages of loads in flight, and refused if that fails as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from vesalius.compile.kernels.kernel import Unserved

TRIES = 2  # of each kind of call: for fixed shapes, then for all
LEAST_WIDTH = 16  # of channels, on a GPU
MASKS = 16  # that are kept, by lengths
OPTIONS: tuple[dict[str, Any] | None, ...] = (None, {"num_stages": 2}, {"num_stages": 1})

Mod = Callable[..., Any]


def _unserved(reason: str, *, lasting: bool) -> Unserved:
    return Unserved("flex_attention", reason, lasting)


class Flex:
    """An attention whose scores are changed pair by pair.

    `score(n, m, *arrays)` makes a function `(score, b, h, i, j)` of one pair, `mask(n, m, *arrays)`
    one `(b, h, i, j)` that says whether it counts; `batches` and `heads` say whether the mask
    differs between those.
    """

    def __init__(
        self,
        score: Mod | None = None,
        mask: Mod | None = None,
        batches: bool = False,
        heads: bool = False,
    ) -> None:
        self.score, self.mask = score, mask
        self.batches, self.heads = batches, heads
        self.options: dict[Any, dict[str, Any] | None] = {}  # by kind of call
        self.tried: dict[Any, set[tuple[torch.Size, ...]]] = {}
        self.refused: dict[Any, str] = {}
        self.masks: dict[Any, tuple[list[tuple[ref[Tensor], int]], BlockMask | None]] = {}
        self._attend = torch.compile(_own(_attention))
        self._hide = torch.compile(_own(_block_mask))

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        scale: float | None = None,
        score: Sequence[Tensor] = (),
        mask: Sequence[Tensor] = (),
    ) -> Tensor:
        """The attention of queries `[b, h, n, c]` to keys `[b, h, m, c]` and values `[b, h, m, e]`.

        Raises `Unserved` where it cannot be computed so.
        """
        q, k, v = _cast(q, k, v)
        arrays = (q, k, v, *score)
        if torch.compiler.is_compiling():
            made = self._made(_block_mask, q, k, mask)
            return _attention(self, q, k, v, made, scale, tuple(score), None)
        kind = (
            tuple((x.dtype, x.device, x.requires_grad) for x in arrays),
            (q.shape[1], q.shape[3], k.shape[1], v.shape[3]),
            scale,
            torch.is_grad_enabled(),
        )
        self._check(q, k, v, arrays, kind)
        blocks = self._blocks(q, k, mask)
        shapes = tuple(x.shape for x in arrays)
        tried = self.tried.setdefault(kind, set())
        if shapes not in tried and len(tried) < TRIES:
            self._try(kind, q, k, v, blocks, scale, score)
            tried.add(shapes)
        found: Tensor = self._attend(self, q, k, v, blocks, scale, tuple(score), self.options[kind])
        return found

    def _check(self, q: Tensor, k: Tensor, v: Tensor, arrays: Sequence[Tensor], kind: Any) -> None:
        if kind in self.refused:
            raise _unserved(self.refused[kind], lasting=True)
        if any(x.numel() == 0 for x in arrays):
            raise _unserved("it takes no empty arrays", lasting=False)
        if q.dtype not in (torch.float32, torch.bfloat16, torch.float16):
            raise _unserved(f"it does not compute in {q.dtype}", lasting=True)
        if q.is_cuda and min(q.shape[-1], v.shape[-1]) < LEAST_WIDTH:
            raise _unserved(f"it needs {LEAST_WIDTH} channels", lasting=True)
        gradients = torch.is_grad_enabled() and any(x.requires_grad for x in arrays)
        if gradients and not q.is_cuda:
            raise _unserved("it has no backward pass on a CPU", lasting=False)

    # -- trying out -------------------------------------------------------------------------------

    def _try(
        self,
        kind: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        blocks: BlockMask | None,
        scale: float | None,
        score: Sequence[Tensor],
    ) -> None:
        """Find the options with which this kind of call compiles and runs, backward too."""
        first = self.options.get(kind)
        for options in OPTIONS[OPTIONS.index(first) :]:
            given = [x.detach().requires_grad_(x.requires_grad) for x in (q, k, v, *score)]
            leaves = [x for x in given if x.requires_grad]
            try:
                out = self._attend(self, *given[:3], blocks, scale, tuple(given[3:]), options)
                if leaves and out.requires_grad:
                    torch.autograd.grad(out, leaves, torch.zeros_like(out), allow_unused=True)
                if q.is_cuda:
                    torch.cuda.synchronize(q.device)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                reason = _reason(error)
                if "out of resource" not in reason and "No valid triton configs" not in reason:
                    break
            else:
                self.options[kind] = options
                return
        self.refused[kind] = reason
        raise _unserved(reason, lasting=True)

    # -- masks ------------------------------------------------------------------------------------

    def _blocks(self, q: Tensor, k: Tensor, arrays: Sequence[Tensor]) -> BlockMask | None:
        """The mask of blocks; the same for the same lengths and the same arrays, unchanged."""
        if self.mask is None:
            return None
        key = (q.shape[0] if self.batches else 1, q.shape[1] if self.heads else 1,
               q.shape[2], k.shape[2], q.device)  # fmt: skip
        found = self.masks.get(key)
        if found is not None and _unchanged(found[0], arrays):
            return found[1]
        with torch.no_grad():
            made = self._made(self._hide if q.is_cuda else _block_mask, q, k, arrays)
        self.masks.pop(key, None)
        if not any(x.is_inference() for x in arrays):
            while len(self.masks) >= MASKS:
                del self.masks[next(iter(self.masks))]
            self.masks[key] = [(ref(x), x._version) for x in arrays], made
        return made

    def _made(
        self, make: Callable[..., BlockMask], q: Tensor, k: Tensor, arrays: Sequence[Tensor]
    ) -> BlockMask | None:
        if self.mask is None:
            return None
        batches = q.shape[0] if self.batches else None
        heads = q.shape[1] if self.heads else None
        return make(self, batches, heads, q.shape[2], k.shape[2], str(q.device), tuple(arrays))


def _attention(
    flex: Flex,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    blocks: BlockMask | None,
    scale: float | None,
    arrays: tuple[Tensor, ...],
    options: dict[str, Any] | None,
) -> Tensor:
    """What is compiled."""
    mod = None if flex.score is None else flex.score(q.shape[2], k.shape[2], *arrays)
    found: Tensor = flex_attention(
        q,
        k,
        v,
        score_mod=mod,
        block_mask=blocks,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
        kernel_options=options,  # type: ignore[arg-type]
    )
    return found


def _block_mask(
    flex: Flex,
    batches: int | None,
    heads: int | None,
    n: int,
    m: int,
    device: str,
    arrays: tuple[Tensor, ...],
) -> BlockMask:
    """What makes a mask of blocks, compiled on a GPU: else it writes all pairs."""
    assert flex.mask is not None
    return create_block_mask(flex.mask(n, m, *arrays), batches, heads, n, m, device=device)


def _own(function: Any) -> Any:
    """A copy: torch.compile counts recompilations by code."""
    code = function.__code__.replace()
    return FunctionType(code, function.__globals__, function.__name__)


def _cast(*arrays: Tensor) -> Iterator[Tensor]:
    """Under autocast, the arrays in its element type."""
    device = arrays[0].device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        return (x.to(dtype) for x in arrays)
    return iter(arrays)


def _unchanged(kept: Sequence[tuple[ref[Tensor], int]], arrays: Sequence[Tensor]) -> bool:
    """Whether these are the arrays that were kept, with the values that they had."""
    return all(
        known() is x and version == x._version
        for (known, version), x in zip(kept, arrays, strict=True)
        if not x.is_inference()
    ) and not any(x.is_inference() for x in arrays)


def _reason(error: Exception) -> str:
    """What an error says, in one line: the last that names a cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error:" in line or "out of resource" in line]
    text = (named or lines or [type(error).__name__])[0]
    return f"it failed to compile: {text[:200]}"
