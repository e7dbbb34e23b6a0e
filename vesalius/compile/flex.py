"""Running `flex_attention`: masks of blocks, compiled calls, and what to do where it fails.

A plain call of `flex_attention` writes all scores, so calls are compiled: once for the first
shapes, once more, for all shapes, when a length changes. Both are tried out, backward too: where a
kernel needs more shared memory than the device has, it is compiled again with fewer stages of
loads in flight, then with smaller blocks, and refused if that fails as well.

Backward, each pair adds to the place of an array that its score has read, one after the other where
that is one place: learning 16 slopes took 1.9 s for 4,096 positions. So what is learned is copied
first, and pairs that are neighbours read, and add to, different copies: 60 ms. Where there are so
few places, calls that learn go to another kernel, but inside `torch.compile`, which knows no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from vesalius.compile.kernels.flex_attention import LEAST_WIDTH
from vesalius.compile.kernels.kernel import Unserved

TRIES = 2  # of each kind of call: for fixed shapes, then for all
MASKS = 16  # that are kept, by lengths
CALLS = 1024  # that are known to be served, by shapes
FEW, CROWD = 256, 256  # places that are learned, and pairs that may add to one of so few
COPIES = (64, 32)  # of an array that is learned, by queries and by keys
COPIED = 1 << 24  # entries of all of them
SMALL = {
    "BLOCK_M": 32,
    "BLOCK_N": 32,
    "BLOCK_M1": 16,
    "BLOCK_N1": 32,
    "BLOCK_M2": 32,
    "BLOCK_N2": 16,
}
OPTIONS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"num_stages": 2},
    {"num_stages": 1},
    {"num_stages": 1, **SMALL},
)
TOO_LARGE = ("out of resource", "No valid triton configs", "NoValidChoices", "shared memory")

Mod = Callable[..., Any]


def _unserved(reason: str, *, lasting: bool) -> Unserved:
    return Unserved("flex_attention", reason, lasting)


class _Kind:
    """Calls of the same element types, widths and needs of gradients, compiled together."""

    def __init__(self) -> None:
        self.attend = torch.compile(_own(_attention), fullgraph=True)
        self.options: dict[str, Any] | None = None
        self.tried: set[Any] = set()
        self.refused = ""


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
        self.kinds: dict[Any, _Kind] = {}
        self.served: dict[Any, _Kind] = {}
        self.masks: dict[Any, tuple[list[tuple[ref[Tensor], int]], BlockMask | None]] = {}
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
        arrays = (q, k, v, *map(_copies, score))
        if torch.compiler.is_compiling():
            made = self._made(_block_mask, q, k, mask)
            return _attention(self, q, k, v, made, scale, arrays[3:], None)
        call = (
            scale,
            torch.is_grad_enabled(),
            *[(x.shape, x.dtype, x.device, x.requires_grad) for x in arrays],
        )
        kind = self.served.get(call)
        if kind is None:
            _check(arrays, score)
        blocks = None if self.mask is None else self._blocks(q, k, mask)
        if kind is None:
            kind = self._served(call, arrays, blocks)
        try:
            return self._run(kind, arrays, blocks, scale)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # compiled for all shapes, it may fail for some
            kind.tried.discard(call)
            del self.served[call]
            kind.refused = _reason(error)
            raise _unserved(kind.refused, lasting=not kind.tried) from error

    def _served(self, call: Any, arrays: Sequence[Tensor], blocks: BlockMask | None) -> _Kind:
        """The kind of a call, the first ones of which are tried out."""
        q, k, v = arrays[:3]
        scale, grad = call[:2]
        types = tuple((x.dtype, x.device, x.requires_grad) for x in arrays)
        widths = (q.shape[1], q.shape[3], k.shape[1], v.shape[3])
        key = (types, widths, scale, grad)
        kind = self.kinds.get(key)
        if kind is None:
            kind = self.kinds[key] = _Kind()
        known = call in kind.tried
        if kind.refused and not known:
            raise _unserved(kind.refused, lasting=not kind.tried)
        if not known and len(kind.tried) < TRIES:
            self._try(kind, arrays, blocks, scale)
            kind.tried.add(call)
        if len(self.served) >= CALLS:
            self.served.clear()
        self.served[call] = kind
        return kind

    def _run(
        self, kind: _Kind, arrays: Sequence[Tensor], blocks: BlockMask | None, scale: float | None
    ) -> Tensor:
        found: Tensor = kind.attend(
            self, *arrays[:3], blocks, scale, tuple(arrays[3:]), kind.options
        )
        return found

    def _try(
        self, kind: _Kind, arrays: Sequence[Tensor], blocks: BlockMask | None, scale: float | None
    ) -> None:
        """Find the options with which this kind of call compiles and runs, backward too."""
        before = kind.options
        for options in OPTIONS[OPTIONS.index(before) :]:
            kind.options = options
            given = [x.detach().requires_grad_(x.requires_grad) for x in arrays]
            leaves = [x for x in given if x.requires_grad]
            try:
                out = self._run(kind, given, blocks, scale)
                if leaves and out.requires_grad:
                    torch.autograd.grad(out, leaves, torch.zeros_like(out), allow_unused=True)
                if out.is_cuda:
                    torch.cuda.synchronize(out.device)
                return
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                reason = _reason(error)
                if not any(words in str(error) for words in TOO_LARGE):
                    break
        kind.options, kind.refused = before, reason
        raise _unserved(reason, lasting=not kind.tried)

    # -- masks ------------------------------------------------------------------------------------

    def _blocks(self, q: Tensor, k: Tensor, arrays: Sequence[Tensor]) -> BlockMask | None:
        """The mask of blocks; the same for the same lengths and the same arrays, unchanged."""
        key = (q.shape[0] if self.batches else 1, q.shape[1] if self.heads else 1,
               q.shape[2], k.shape[2], q.device)  # fmt: skip
        found = self.masks.get(key)
        if found is not None and _unchanged(found[0], arrays):
            return found[1]
        with torch.inference_mode(False), torch.no_grad():  # a mask may serve training later
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
    mod = None if flex.score is None else _reading(flex.score, q.shape[2], k.shape[2], arrays)
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


def _learned(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()


def _copies(x: Tensor) -> Tensor:
    """An array, or copies of it along two more dimensions if it is learned.

    They are float32: a sum of many small terms stops growing in half precision.
    """
    if not _learned(x):
        return x
    rows = min(max(COPIED // max(x.numel(), 1), 1), COPIES[0])
    columns = min(max(COPIED // max(x.numel() * rows, 1), 1), COPIES[1])
    return x.float()[..., None, None].expand(*x.shape, rows, columns).contiguous()


class _Copied:
    """Copies of an array, of which each pair reads its own."""

    def __init__(self, copies: Tensor, i: Tensor, j: Tensor) -> None:
        self.copies = copies
        self.mine = (i % copies.shape[-2], j % copies.shape[-1])

    def __getitem__(self, places: Any) -> Tensor:
        return self.copies[(*(places if isinstance(places, tuple) else (places,)), *self.mine)]


def _reading(score: Mod, n: int, m: int, arrays: Sequence[Tensor]) -> Mod:
    """The function of one pair, which reads the copies of what is learned."""
    if not any(map(_learned, arrays)):
        return score(n, m, *arrays)

    def read(x: Tensor, i: Tensor, j: Tensor) -> Any:
        if not _learned(x):
            return x
        copied = _Copied(x, i, j)
        return copied[()] if x.ndim == len(COPIES) else copied

    def changed(one: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Any:
        return score(n, m, *[read(x, i, j) for x in arrays])(one, b, h, i, j)

    return changed


def _check(arrays: Sequence[Tensor], score: Sequence[Tensor]) -> None:
    """Refuse what flex_attention does not compute, or is slow to learn."""
    q, k, v = arrays[:3]
    if any(x.numel() == 0 for x in arrays):
        raise _unserved("it takes no empty arrays", lasting=False)
    if q.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise _unserved(f"it does not compute in {q.dtype}", lasting=True)
    if q.is_cuda and min(q.shape[-1], v.shape[-1]) < LEAST_WIDTH:
        raise _unserved(f"it needs {LEAST_WIDTH} channels", lasting=True)
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in arrays)
    if gradients and not q.is_cuda:
        raise _unserved("it has no backward pass on a CPU", lasting=False)
    if _crowded(q, k, score):
        raise _unserved("it learns slowly what many pairs read", lasting=False)


def _crowded(q: Tensor, k: Tensor, score: Sequence[Tensor]) -> bool:
    """Whether what is learned has few places, to each of which many pairs add."""
    pairs = q[..., 0].numel() * k.shape[2]
    few = [max(x.numel(), 1) for x in score if _learned(x) and x.numel() <= FEW]
    return bool(few) and pairs > CROWD * min(few)


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
