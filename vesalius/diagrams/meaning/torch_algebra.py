"""Tensors of torch: the reference in float64, any other element type on request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from vesalius.diagrams.box import Draw, Parameter, Site
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside, SizeError, TypeClash
from vesalius.diagrams.meaning.algebra import Algebra
from vesalius.diagrams.sizes import Size, variable


class TorchAlgebra(Algebra):
    """Differentiable; `dtype` is the element type of floats, integers are int64."""

    name = "torch"

    def __init__(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> None:
        self.dtype = dtype
        self.device = torch.device(device) if device is not None else None

    def _dtype(self, dtype: str) -> torch.dtype:
        return {"float": self.dtype, "int": torch.int64, "bool": torch.bool}[dtype]

    # -- arrays -------------------------------------------------------------------------------

    def array(self, value: Any, dtype: str) -> torch.Tensor:
        tensor = value if isinstance(value, torch.Tensor) else torch.as_tensor(value)
        whole = not tensor.is_floating_point() and not tensor.is_complex()
        if dtype == "bool" and tensor.dtype != torch.bool:
            raise TypeClash(f"an input of truth values is a bool tensor, not {tensor.dtype}")
        if dtype == "int" and (not whole or tensor.dtype == torch.bool):
            raise TypeClash(f"an input of integers is an integer tensor, not {tensor.dtype}")
        if dtype == "float" and (tensor.is_complex() or tensor.dtype == torch.bool):
            raise TypeClash(f"an input of floats is a floating tensor, not {tensor.dtype}")
        return tensor.to(device=self.device, dtype=self._dtype(dtype))

    def shape(self, x: torch.Tensor) -> tuple[int, ...]:
        return tuple(x.shape)

    def transpose(self, x: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        return x.permute(tuple(order))

    def reshape(self, x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        return x.reshape(tuple(shape))

    def broadcast(self, x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        return x.expand(tuple(shape))

    def concat(self, parts: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
        return torch.cat(list(parts), dim)

    def stack(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack(list(parts))

    def take(self, x: torch.Tensor, dim: int, places: Sequence[int]) -> torch.Tensor:
        return x.index_select(dim, torch.tensor(places, dtype=torch.int64, device=x.device))

    def gather(
        self, table: torch.Tensor, index: torch.Tensor, shared: Sequence[int], free: int, size: int
    ) -> torch.Tensor:
        if index.numel() and (int(index.min()) < 0 or int(index.max()) >= size):
            raise SizeError(
                f"gather: an index lies in [0, {size}), found {int(index.min())} to "
                f"{int(index.max())}"
            )
        grid = [
            torch.arange(length, device=index.device).reshape(
                [-1 if d == k else 1 for d in range(len(shared) + free)]
            )
            for k, length in enumerate(shared)
        ]
        return table[(*grid, index)]

    def pad(
        self, x: torch.Tensor, dim: int, before: int, after: int, value: Any, dtype: str
    ) -> torch.Tensor:
        rest = [0, 0] * (x.dim() - dim - 1)
        return F.pad(x, [*rest, before, after], value=_plain(value))

    def empty(self, shape: Sequence[int], dtype: str) -> torch.Tensor:
        return torch.zeros(tuple(shape), dtype=self._dtype(dtype), device=self.device)

    # -- sources ------------------------------------------------------------------------------

    def constant(self, value: Any, shape: Sequence[int]) -> torch.Tensor:
        if isinstance(value, Size):
            value = self.integer(value)
        if isinstance(value, tuple):
            whole = not any(isinstance(v, (float, Fraction)) for v in value)
            dtype = None if whole else self.dtype
            flat = torch.tensor([_plain(v) for v in value], dtype=dtype, device=self.device)
            return flat.reshape(tuple(shape))
        whole = isinstance(value, int)
        dtype = None if whole else self.dtype
        return torch.tensor(_plain(value), dtype=dtype, device=self.device)

    def positions(self, size: int) -> torch.Tensor:
        return torch.arange(size, device=self.device)

    def parameter(self, token: Parameter, site: Site) -> torch.Tensor:
        if token.name in self.values:
            value: torch.Tensor = self.values[token.name]
            return value
        made = initial(token, tuple(site.sizes), self.integer, self._generator(token.name))
        return made.to(self.device, self.dtype)

    def draw(self, token: Draw, site: Site) -> torch.Tensor:
        if token.name in self.values:
            value: torch.Tensor = self.values[token.name]
            return value
        generator, shape = self._generator(token.name), tuple(site.sizes)
        if token.distribution == "normal":
            made = torch.randn(shape, generator=generator, dtype=torch.float64)
        else:
            made = torch.rand(shape, generator=generator, dtype=torch.float64)
        if token.distribution == "bernoulli":
            return (made < token.p).to(self.device)
        return made.to(self.device, self.dtype)

    def _generator(self, name: str) -> torch.Generator:
        """Draws are the same for a name and a seed, in any order of evaluation."""
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    # -- arithmetic ---------------------------------------------------------------------------

    def _float(self, x: torch.Tensor, dtypes: Sequence[str]) -> torch.Tensor:
        return x if x.is_floating_point() or "float" not in dtypes else x.to(self.dtype)

    def add(self, site: Site, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        order = list(range(site.box.inner))
        aligned = [self.align(x, row, order) for x, row in zip(inputs, site.box.maps, strict=True)]
        total: torch.Tensor = aligned[0]
        for x in aligned[1:]:
            total = total + x
        return total

    def contract(self, site: Site, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        operands: list[Any] = []
        for x, row in zip(inputs, site.box.maps, strict=True):
            operands += [self._float(x, site.dtypes), list(row)]
        if site.box.inner > 52:
            raise SizeError("contract: torch.einsum takes at most 52 axes")
        product: torch.Tensor = torch.einsum(*operands, list(site.box.outs[0]))
        return product

    def reduce(self, how: str, x: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
        if how in ("max", "min") and any(x.shape[d] == 0 for d in dims):
            raise SizeError(f"{how}: an axis of size 0 has none")
        if how in ("max", "min"):
            return x.amax(tuple(dims)) if how == "max" else x.amin(tuple(dims))
        for d in sorted(dims, reverse=True):
            x = x.all(d) if how == "all" else x.any(d)
        return x

    def softmax(self, x: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
        x = x if x.is_floating_point() else x.to(self.dtype)
        if any(x.shape[d] == 0 for d in dims):
            return x
        top = x.amax(tuple(dims), keepdim=True)
        top = torch.where(torch.isinf(top) & (top < 0), torch.zeros_like(top), top)
        e = torch.exp(x - top)
        total = e.sum(tuple(dims), keepdim=True)
        return torch.where(
            total == 0, e, e / torch.where(total == 0, torch.ones_like(total), total)
        )

    def pointwise(
        self,
        function: Function,
        numbers: tuple[Any, ...],
        inputs: Sequence[torch.Tensor],
        dtypes: Sequence[str],
    ) -> torch.Tensor:
        if function.takes == "float":
            inputs = [x if x.is_floating_point() else x.to(self.dtype) for x in inputs]
        elif function.arity > 1 and "float" in dtypes:
            inputs = [
                x if x.dtype in (torch.bool, self.dtype) else x.to(self.dtype) for x in inputs
            ]
        made: torch.Tensor
        if callable(function.torch):
            made = function.torch(*inputs, *numbers)
            return made
        apply = _compiled(function.torch, function.arity, function.parameters)
        try:
            made = apply(*inputs, *(_plain(value) for value in numbers), dtype=self.dtype)
        except RuntimeError as problem:
            if "ZeroDivisionError" in str(problem):  # integers; floats become infinite
                raise Outside(f"{function.name}: an integer divided by zero") from None
            raise
        return made

    def topk(self, x: torch.Tensor, k: int, largest: bool) -> tuple[torch.Tensor, torch.Tensor]:
        values, places = torch.sort(x, dim=-1, descending=largest, stable=True)
        return values[..., :k], places[..., :k]

    def fourier(
        self, real: torch.Tensor, imaginary: torch.Tensor, dim: int, size: int, inverse: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if real.numel() == 0:
            return real.to(self.dtype), imaginary.to(self.dtype)
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        z = torch.complex(real.to(wide), imaginary.to(wide))
        z = torch.fft.ifft(z, dim=dim) if inverse else torch.fft.fft(z, dim=dim)
        return z.real.to(self.dtype), z.imag.to(self.dtype)

    def call(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> Any:
        return function(*inputs)


def initial(
    token: Parameter,
    shape: Sequence[int],
    integer: Callable[[Size], int],
    generator: torch.Generator | None,
) -> torch.Tensor:
    """A parameter's initial value in float64; `integer` tells what sizes are."""
    shape, start = tuple(shape), token.init
    if not isinstance(start, str):
        sizes = {name: integer(variable(name)) for name in start.size_variables}
        seed = int(torch.randint(2**62, (), generator=generator))
        made: torch.Tensor = start.evaluate(sizes=sizes, seed=seed, dtype=torch.float64)
        return made.contiguous()
    if start == "zeros":
        return torch.zeros(shape, dtype=torch.float64)
    if start == "ones":
        return torch.ones(shape, dtype=torch.float64)
    if start == "orthogonal":
        turned, normal = torch.randn((2, *shape), generator=generator, dtype=torch.float64)
        blocks = [torch.linalg.qr(block.T)[0].T for block in torch.split(turned, shape[1])]
        rows: torch.Tensor = torch.cat(blocks) * normal.norm(dim=1, keepdim=True)
        return token.scale * rows
    width = token.scale * (max(integer(token.fan), 1) ** -0.5 if token.fan is not None else 1.0)
    if start == "normal":
        return width * torch.randn(shape, generator=generator, dtype=torch.float64)
    return width * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value


@cache
def _compiled(template: str, arity: int, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """A function's own template of code, as declared in this package, as a callable."""
    arguments = [f"x{k}" for k in range(arity)]
    body = template.format(*arguments, dtype="dtype", **{name: name for name in parameters})
    text = f"lambda {', '.join([*arguments, *parameters])}, dtype=None: {body}"
    made: Callable[..., Any] = eval(text, {"torch": torch, "F": F})
    return made
