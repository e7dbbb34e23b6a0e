"""What an algebra provides: values, and what the primitives do to them.

`Algebra` states the protocol. A new algebra is a small class: those over exact numbers derive
from `ArrayAlgebra` in `vesalius.diagrams.meaning.arrays`, which moves entries of numpy arrays,
and add arithmetic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from vesalius.diagrams.box import Draw, Parameter, Site
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.sizes import Size


class Algebra(ABC):
    """Values are arrays with one dimension per slot of a wire.

    `align(x, have, want)` permutes the dimensions of `x`, which stand for the axes `have`,
    into the order `want`, and gives an axis that `x` lacks a dimension of length 1.
    """

    name: str
    sizes: Mapping[str, int]
    values: Mapping[str, Any]

    def begin(self, sizes: Mapping[str, int], values: Mapping[str, Any], seed: int) -> None:
        """Start a run: sizes of variables, values of parameters and random sources by name."""
        self.sizes = dict(sizes)
        self.values = values
        self.seed = seed

    def integer(self, size: Size | int) -> int:
        """The value of a size in this run."""
        return size if isinstance(size, int) else size.at(self.sizes)

    def run(self, diagram: Any, inputs: Sequence[Any], sizes: Mapping[str, int]) -> list[Any]:
        """The outputs of a body, with further sizes."""
        from vesalius.diagrams.meaning.evaluate import run

        outer = self.sizes
        self.sizes = {**outer, **sizes}
        try:
            return run(diagram, self, inputs)
        finally:
            self.sizes = outer

    # -- arrays: where entries are ------------------------------------------------------------

    @abstractmethod
    def array(self, value: Any, dtype: str) -> Any:
        """A value of this algebra from what a user gives: nested lists, numpy, torch."""

    @abstractmethod
    def shape(self, x: Any) -> tuple[int, ...]:
        """The lengths of the dimensions."""

    @abstractmethod
    def transpose(self, x: Any, order: Sequence[int]) -> Any:
        """Dimensions in another order."""

    @abstractmethod
    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """The same entries, row-major, in another shape."""

    @abstractmethod
    def broadcast(self, x: Any, shape: Sequence[int]) -> Any:
        """Repeat dimensions of length 1 to a shape."""

    @abstractmethod
    def concat(self, parts: Sequence[Any], dim: int) -> Any:
        """Join along a dimension."""

    @abstractmethod
    def stack(self, parts: Sequence[Any]) -> Any:
        """Join along a new first dimension."""

    @abstractmethod
    def take(self, x: Any, dim: int, places: Sequence[int]) -> Any:
        """The entries at known places along a dimension."""

    @abstractmethod
    def gather(self, table: Any, index: Any, shared: Sequence[int], free: int, size: int) -> Any:
        """`table` has dimensions (shared, axis, own), `index` (shared, free); the result has
        (shared, free, own). Raises `SizeError` for an index outside [0, size)."""

    @abstractmethod
    def pad(self, x: Any, dim: int, before: int, after: int, value: Any, dtype: str) -> Any:
        """Put copies of a number around a dimension."""

    @abstractmethod
    def empty(self, shape: Sequence[int], dtype: str) -> Any:
        """An array without entries."""

    def align(self, x: Any, have: Sequence[int], want: Sequence[int]) -> Any:
        """Dimensions for the axes `want`, of length 1 where `x` has no such axis."""
        if list(have) == list(want):
            return x
        order = [have.index(a) for a in want if a in have]
        shape = self.shape(x)
        x = self.transpose(x, order)
        if len(order) == len(want):
            return x
        lengths = dict(zip(have, shape, strict=True))
        return self.reshape(x, [lengths.get(a, 1) for a in want])

    def expand(self, x: Any, sizes: Sequence[int]) -> Any:
        """Repeat along new last dimensions."""
        shape = self.shape(x)
        x = self.reshape(x, (*shape, *(1 for _ in sizes)))
        return self.broadcast(x, (*shape, *sizes))

    def select(self, x: Any, dim: int, place: int) -> Any:
        """One entry along a dimension, which goes away."""
        shape = self.shape(x)
        one = self.take(x, dim, [place])
        return self.reshape(one, [s for d, s in enumerate(shape) if d != dim])

    def diagonal(self, x: Any, first: int, count: int, size: int) -> Any:
        """The entries at equal places on `count` last dimensions, from dimension `first` on."""
        shape = self.shape(x)[:first]
        step = sum(size**k for k in range(count))
        x = self.reshape(x, (*shape, size**count))
        return self.take(x, first, [i * step for i in range(size)])

    # -- sources ------------------------------------------------------------------------------

    @abstractmethod
    def constant(self, value: Any, shape: Sequence[int]) -> Any:
        """A scalar (number, truth value, size) or a table in row-major order."""

    @abstractmethod
    def positions(self, size: int) -> Any:
        """The integers from 0 to size - 1."""

    @abstractmethod
    def parameter(self, token: Parameter, site: Site) -> Any:
        """The value of a parameter: given, or drawn from its initialisation."""

    @abstractmethod
    def draw(self, token: Draw, site: Site) -> Any:
        """The value of a random source: given, or drawn with the seed of the run."""

    # -- arithmetic ---------------------------------------------------------------------------

    @abstractmethod
    def add(self, site: Site, inputs: Sequence[Any]) -> Any:
        """The sum of inputs over the union of their axes."""

    @abstractmethod
    def contract(self, site: Site, inputs: Sequence[Any]) -> Any:
        """The product of inputs, summed over the bound axes."""

    @abstractmethod
    def reduce(self, how: str, x: Any, dims: Sequence[int]) -> Any:
        """`max`, `min`, `all` or `any` over dimensions. Raises `SizeError` where there is none."""

    @abstractmethod
    def softmax(self, x: Any, dims: Sequence[int]) -> Any:
        """Exponentials over their sum; zeros where all entries are minus infinity."""

    @abstractmethod
    def pointwise(
        self,
        function: Function,
        numbers: tuple[int | float | Fraction, ...],
        inputs: Sequence[Any],
        dtypes: Sequence[str],
    ) -> Any:
        """A function of arrays that have the same number of dimensions."""

    @abstractmethod
    def topk(self, x: Any, k: int, largest: bool) -> tuple[Any, Any]:
        """The k first entries of the last dimension in order, and their places."""

    @abstractmethod
    def fourier(self, real: Any, imaginary: Any, dim: int, size: int, inverse: bool) -> Any:
        """The discrete Fourier transform along a dimension: real and imaginary parts."""

    @abstractmethod
    def call(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
        """Apply a user's function to whole arrays."""
